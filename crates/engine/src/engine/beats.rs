//! Signs of life at the door: taken in by the table, spoken of by the next ticks.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use stead_model::{AgentId, Beat, BeatAnswer, BeatCounts, BeatMore, BeatOf, BeatOutcome, Now, Report, Vitals};

use super::{Engine, NotOwned};
use crate::batch::Batch;
use crate::beats::Word;
use crate::observe;

impl Engine {
    /// Takes in signs of life, and answers each in `answers`, which is added to. Nothing is decided here: what changed is spoken of by
    /// [`Input::Tick`](crate::Input::Tick), for which [`Engine::next_deadline`] asks at once. Beats that change nothing end here.
    pub fn beats(&mut self, now: Now, beats: &[Beat], answers: &mut Vec<BeatAnswer>) {
        answers.reserve(beats.len());
        for beat in beats {
            let answer = match self.place(now, &beat.of) {
                Some(place) => self.beats.hear(now.moment, place, beat),
                None => self.unheard(BeatOutcome::Unknown),
            };
            answers.push(answer);
        }
    }

    /// Counts a beat that could not be understood, and says so.
    pub const fn unheard(&mut self, outcome: BeatOutcome) -> BeatAnswer {
        self.beats.count(outcome);
        BeatAnswer::refused(outcome)
    }

    /// How many beats came to which end.
    #[must_use]
    pub const fn beat_counts(&self) -> BeatCounts {
        self.beats.counts()
    }

    /// What agents measured of themselves last, where they did.
    #[must_use]
    pub fn vitals(&self) -> Vec<(AgentId, Vitals)> {
        self.beats.vitals().collect()
    }

    /// Whether the silence of anybody is judged: whoever drives this engine must then come by each second, and say when it did not.
    #[must_use]
    pub const fn listens(&self) -> bool {
        self.beats.listens()
    }

    /// The node itself was away for so long: that is nobody's silence, and nobody's lateness. Whoever is waited for gets time anew.
    pub fn stalled(&mut self, now: Now, away: Duration) {
        self.beats.credit(now.moment, away);
        let cells = self.slots.iter().flatten();
        let waited: Vec<AgentId> = cells
            .flat_map(|cell| cell.agents.whole())
            .filter(|record| observe::is_waited_for(record))
            .map(|record| record.row.id)
            .collect();
        for id in waited {
            let Some(cell) = &mut self.slots[usize::from(id.slot().number())] else {
                continue;
            };
            let Some(mut record) = cell.agents.take(id) else {
                continue;
            };
            if let Some(due) = record.next_timer() {
                self.alarms.remove(&(due, id));
            }
            observe::excuse(&mut record, now.moment);
            self.alarms.extend(record.next_timer().map(|due| (due, id)));
            cell.agents.put(record);
        }
    }

    /// The place in the table of whom a beat is; given on the way where there is none yet.
    fn place(&mut self, now: Now, of: &BeatOf) -> Option<u32> {
        let id = match of {
            BeatOf::Handle(handle) => return self.beats.by_handle(*handle),
            BeatOf::Id(id) => *id,
            BeatOf::Named(named) => {
                let (namespace, agent) = &**named;
                let cell = self.cell(self.home(namespace, agent))?;
                cell.find(namespace, agent).ok()?
            }
        };
        if let Some(place) = self.beats.by_id(id) {
            return Some(place);
        }
        let cell = self.slots[usize::from(id.slot().number())].as_ref()?;
        let record = cell.agents.get(id)?;
        Some(self.beats.enter(now.moment, &record))
    }

    /// A report is a beat with words; what it changes is decided at once.
    pub(super) fn on_report(&mut self, now: Now, id: AgentId, report: Report) -> Result<Batch, NotOwned> {
        let beat = Beat {
            incarnation: report.incarnation,
            claim: report.health,
            vitals: Vitals::NONE,
            more: report.detail.map(|detail| {
                Box::new(BeatMore {
                    detail: Some(detail),
                    ..BeatMore::default()
                })
            }),
            ..Beat::bare(BeatOf::Id(id))
        };
        let word = self.place(now, &beat.of).and_then(|place| {
            self.beats.hear(now.moment, place, &beat);
            self.beats.word_of(now.moment, place)
        });
        match word {
            Some((id, word)) => self.on_word(now, id, word),
            None => Ok(self.open(now, id.slot())?.close(None)),
        }
    }

    /// Decides what follows from a word of the table.
    pub(super) fn on_word(&mut self, now: Now, id: AgentId, word: Word) -> Result<Batch, NotOwned> {
        let mut open = self.open(now, id.slot())?;
        open.with_agent(id, |step, record| observe::word(step, record, word));
        Ok(open.close(None))
    }
}
