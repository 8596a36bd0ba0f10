//! What an agent is told itself of pauses, where its spec says how: that it shall pause, write down where it is, go on.
//!
//! A word is written down before it is said, and kept until the agent has gone on: the pause of an agent may outlive its process, and the
//! next one is told to go on as soon as it is there. Each run is told anew, where it listens itself, whatever the spec says by now.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;

use stead_model::journal::{Listener, WordRow};
use stead_model::{AgentSpec, Driver, InstanceId, Order, PauseMode, Role, Wall, Wanted, Word};

use super::{end, plan, wanted};
use crate::record::Record;
use crate::step::Step;

/// Says what is to be said, once to each run; ends one that hibernates and has written down where it is.
pub(crate) fn tell(step: &mut Step, record: &mut Record) {
    if record.ending() || !runs(record) {
        return;
    }
    let (Some(word), Some(instance)) = (due(record), record.instance_id()) else {
        return;
    };
    let to = instance.incarnation;
    let known = record.row.word.as_ref();
    if known.is_none_or(|known| known.word != word || known.to != to) {
        record.row.word = Some(Box::new(WordRow { word, to, heard: None }));
        step.touch();
        say(step, record, instance, word);
    } else if hibernates(record) && known.is_some_and(|known| known.heard.is_some()) {
        end(step, record);
    }
}

/// Says again what may have been lost with the node that said it.
pub(crate) fn tell_again(step: &mut Step, record: &Record) {
    let (Some(known), Some(instance)) = (&record.row.word, record.instance_id()) else {
        return;
    };
    if known.heard.is_none() && known.to == instance.incarnation && !record.ending() {
        say(step, record, instance, known.word);
    }
}

/// When it had done as it was told of a pause in this mode.
pub(crate) fn acknowledged(record: &Record, mode: PauseMode) -> Option<Wall> {
    let told = record.row.word.as_ref()?;
    (word_of(mode) == Some(told.word)).then_some(told.heard)?
}

/// Takes in what the agent answered.
pub(crate) fn heard(step: &mut Step, record: &mut Record, word: Word, result: Result<(), String>) {
    let wall = step.now.wall;
    let Some(known) = record.row.word.as_mut().filter(|known| known.word == word) else {
        return;
    };
    let said = match (&result, word) {
        (Ok(()), Word::Pause) => "it has paused".into(),
        (Ok(()), Word::Checkpoint) => "it has paused and written down where it is".into(),
        (Ok(()), Word::Resume) => "it goes on".into(),
        (Err(detail), Word::Pause) => format!("it was told to pause, and has not yet: {detail}"),
        (Err(detail), Word::Checkpoint) => format!("it was told to write down where it is, and has not yet: {detail}"),
        (Err(detail), Word::Resume) => format!("it was told to go on, and has not yet: {detail}"),
    };
    match (&result, word) {
        (Ok(()), Word::Pause | Word::Checkpoint) => known.heard = Some(wall),
        (Ok(()), Word::Resume) => record.row.word = None,
        (Err(_), _) => {}
    }
    step.evidence(record, "word", "agent", said);
    step.touch();
    plan(step, record);
}

/// What is to be said to it as it is.
fn due(record: &Record) -> Option<Word> {
    listener(record)?;
    match wanted(record) {
        // Of which kind a pause is, is noted right after that it is wanted; before, nothing is said.
        Wanted::Paused if record.role() == Role::Suspended => word_of(record.row.intent.pause.as_ref()?.mode),
        Wanted::Running => record.row.word.is_some().then_some(Word::Resume),
        Wanted::Paused | Wanted::Maintenance | Wanted::Stopped | Wanted::Terminated | Wanted::Deleted => None,
    }
}

/// What it is told of a pause.
const fn word_of(mode: PauseMode) -> Option<Word> {
    match mode {
        PauseMode::Soft => Some(Word::Pause),
        PauseMode::Checkpoint | PauseMode::Hibernate => Some(Word::Checkpoint),
        // It could not answer.
        PauseMode::Freeze => None,
    }
}

/// Whether it is to be down, or is, until its pause is over.
pub(crate) fn hibernates(record: &Record) -> bool {
    let pause = record.row.intent.pause.as_ref();
    wanted(record) == Wanted::Paused && pause.is_some_and(|pause| pause.mode == PauseMode::Hibernate)
}

/// Whether its process is there to be spoken to.
fn runs(record: &Record) -> bool {
    let instance = record.row.instance.as_ref();
    instance.is_some_and(|instance| instance.process.is_some())
}

fn listener(record: &Record) -> Option<&Listener> {
    record.row.instance.as_ref()?.listens.as_deref()
}

fn say(step: &mut Step, record: &Record, instance: InstanceId, word: Word) {
    let Some(Listener { endpoint, token }) = listener(record).cloned() else {
        return;
    };
    step.order(Order::Tell {
        instance,
        word,
        note: record.row.intent.reason.clone(),
        endpoint,
        token,
    });
}

/// Where a run that is started as this says takes word of pauses.
pub(super) fn listens(spec: &AgentSpec) -> Option<Box<Listener>> {
    let endpoint = spec.lifecycle.clone()?;
    let token = match &spec.driver {
        Driver::None => None,
        Driver::Process(process) => process.env.get(TOKEN).cloned(),
    };
    Some(Box::new(Listener { endpoint, token }))
}

/// The variable that has what the agent wants to be shown.
const TOKEN: &str = "STEAD_LIFECYCLE_TOKEN";
