//! The verbs that change agents and groups.

use serde::Serialize;
use stead_client::{Change, ClientError, Pausing, Target, Verb};
use stead_model::group::GroupAnswer;
use stead_model::{AgentRef, Answer, Incarnation, Outcome, Role, Span};

use super::spec_file;
use super::subject::{Found, Subject, ask};
use crate::app::App;
use crate::args::{Act, Drain, Format, Pause, Scale, Undo, Update};
use crate::failure::{Exit, Failure};
use crate::render;
use crate::settle::{Aim, settle};

/// What the daemon said of one subject.
pub(super) type Answered = Result<Found<Answer, GroupAnswer>, ClientError>;

/// A wait, where one is asked for.
pub(super) type Patience = Option<Span>;

pub(super) async fn lifecycle(app: &mut App<'_>, verb: Verb, act: &Act) -> Result<(), Failure> {
    let change = because(act.reason.as_ref());
    let mut told = Told::new(verb.as_str());
    for subject in app.subjects(&act.agent, act.selector.as_ref()).await? {
        // What runs before tells a new run from the old one.
        let before = if act.wait {
            run(app, subject.target()).await
        } else {
            Incarnation(0)
        };
        let answered = ask(
            &subject,
            async |target| app.client.lifecycle(target, verb, &change).await,
            async |target| app.client.group_lifecycle(target, verb, &change).await,
        );
        let answered = answered.await;
        told.hear(
            app,
            &subject,
            answered,
            |answer| aim(verb, before, answer),
            || group_aim(verb),
        )?;
    }
    told.finish(app, act.wait.then_some(act.timeout)).await
}

pub(super) async fn pause(app: &mut App<'_>, pause: &Pause) -> Result<(), Failure> {
    let act = &pause.act;
    let change = because(pause.note.as_ref().or(act.reason.as_ref()));
    let pausing = Pausing {
        mode: pause.mode,
        lasts: pause.lasts,
    };
    let mut told = Told::new(Verb::Pause.as_str());
    for subject in app.subjects(&act.agent, act.selector.as_ref()).await? {
        let answered = ask(
            &subject,
            async |target| app.client.pause(target, pausing, &change).await,
            async |target| app.client.pause_group(target, pausing, &change).await,
        );
        let answered = answered.await;
        told.hear(app, &subject, answered, |_| Aim::Paused, || GroupAim::Each(Aim::Paused))?;
    }
    told.finish(app, act.wait.then_some(act.timeout)).await
}

pub(super) async fn delete(app: &mut App<'_>, act: &Act) -> Result<(), Failure> {
    let change = because(act.reason.as_ref());
    let mut told = Told::new("delete");
    for subject in app.subjects(&act.agent, act.selector.as_ref()).await? {
        let answered = ask(
            &subject,
            async |target| app.client.delete(target, &change).await,
            async |target| app.client.delete_group(target, &change).await,
        );
        let answered = answered.await;
        told.hear(
            app,
            &subject,
            answered,
            |_| Aim::Gone,
            || GroupAim::Whole(Aim::GroupGone),
        )?;
    }
    told.finish(app, act.wait.then_some(act.timeout)).await
}

pub(super) async fn drain(app: &mut App<'_>, drain: &Drain) -> Result<(), Failure> {
    let change = because(drain.reason.as_ref());
    let mut told = Told::new("drain");
    for subject in app.subjects(&drain.agent, drain.selector.as_ref()).await? {
        let answered = ask(
            &subject,
            async |target| app.client.drain(target, drain.timeout, &change).await,
            async |target| app.client.drain_group(target, drain.timeout, &change).await,
        );
        let answered = answered.await;
        told.hear(app, &subject, answered, |_| Aim::Down, || GroupAim::Each(Aim::Down))?;
    }
    // Those whose time is over still have their grace to end in.
    let patience = Span(drain.timeout.0.saturating_add(GRACE));
    told.finish(app, (!drain.no_wait).then_some(patience)).await
}

pub(super) async fn scale(app: &mut App<'_>, scale: &Scale) -> Result<(), Failure> {
    let change = because(scale.reason.as_ref());
    let subject = Subject::Named(app.target(&scale.group));
    let answered = ask(
        &subject,
        async |target| app.client.scale(target, scale.replicas, &change).await,
        async |target| app.client.scale_group(target, scale.replicas, &change).await,
    );
    let answered = answered.await;
    let mut told = Told::new("scale");
    told.hear(
        app,
        &subject,
        answered,
        |_| Aim::Ready,
        || GroupAim::Whole(Aim::Available),
    )?;
    told.finish(app, scale.wait.then_some(scale.timeout)).await
}

pub(super) async fn update(app: &mut App<'_>, update: &Update) -> Result<(), Failure> {
    let change = because(update.reason.as_ref());
    let whole = update.file.as_deref().map(spec_file::read).transpose()?;
    let target = app.target(&update.agent);
    // A spec shows by itself whose it can be.
    let subject = match &whole {
        Some(spec) if spec.get("template").is_some() => Subject::Group(target),
        Some(_) => Subject::Agent(target),
        None => Subject::Named(target),
    };
    let before = if update.wait {
        run(app, subject.target()).await
    } else {
        Incarnation(0)
    };
    let client = app.client.clone();
    let answered = ask(
        &subject,
        async |target| {
            if let Some(spec) = &whole {
                let told = client.give_back_spec(target, spec, &change).await?;
                if told.outcome == Outcome::Already {
                    return Ok(told);
                }
            }
            if let Some(patch) = &update.patch {
                client.patch_spec(target, patch, &change).await?;
            }
            client.update(target, None, &change).await
        },
        async |target| match (&whole, &update.patch) {
            (Some(spec), _) => client.give_back_group_spec(target, spec, &change).await,
            (None, Some(patch)) => {
                let patch = serde_json::json!({ "template": patch });
                client.patch_group(target, &patch, &change).await
            }
            (None, None) => client.group_lifecycle(target, Verb::Restart, &change).await,
        },
    );
    let answered = answered.await;
    let mut told = Told::new("update");
    told.hear(
        app,
        &subject,
        answered,
        |answer| match answer.outcome {
            Outcome::Already => aim(Verb::Start, before, answer),
            Outcome::Accepted | Outcome::Created => Aim::Up { after: before },
        },
        || GroupAim::Whole(Aim::Rollout),
    )?;
    told.finish(app, update.wait.then_some(update.timeout)).await
}

/// Goes to an earlier revision of a group, whichever verb that is called by.
pub(super) async fn to_revision(app: &mut App<'_>, undo: &Undo, verb: &'static str) -> Result<(), Failure> {
    let change = because(undo.reason.as_ref());
    let subject = Subject::Group(app.target(&undo.group));
    let answered = app.client.undo_rollout(subject.target(), undo.to, &change).await;
    let mut told = Told::new(verb);
    told.hear(
        app,
        &subject,
        answered.map(Found::Group),
        |_| Aim::Ready,
        || GroupAim::Whole(Aim::Rollout),
    )?;
    told.finish(app, undo.wait.then_some(undo.timeout)).await
}

/// How long one may take to end after its tasks had their time.
const GRACE: std::time::Duration = std::time::Duration::from_secs(60);

/// What is waited for where a group was asked.
pub(super) enum GroupAim {
    /// Something of each of its replicas.
    Each(Aim),
    /// Something of all of it.
    Whole(Aim),
}

/// An answer of an agent or of a group, for programs.
#[derive(Serialize)]
#[serde(untagged)]
enum Said {
    Agent(Answer),
    Group(GroupAnswer),
}

/// What was answered; one refusal does not keep the others from being asked.
struct Told {
    verb: &'static str,
    answers: Vec<Said>,
    aims: Vec<(Target, Aim)>,
    first_refusal: Option<Failure>,
}

impl Told {
    const fn new(verb: &'static str) -> Self {
        Self {
            verb,
            answers: Vec::new(),
            aims: Vec::new(),
            first_refusal: None,
        }
    }

    fn hear(
        &mut self,
        app: &mut App<'_>,
        subject: &Subject,
        answered: Answered,
        aim: impl FnOnce(&Answer) -> Aim,
        group_aim: impl FnOnce() -> GroupAim,
    ) -> Result<(), Failure> {
        let for_people = matches!(app.out.format(), Format::Table | Format::Wide);
        match answered {
            Ok(Found::Agent(answer)) => {
                self.aims.push((subject.target().clone(), aim(&answer)));
                if for_people {
                    app.out.show(&answer, |answer, _| render::acted(self.verb, answer))?;
                }
                self.answers.push(Said::Agent(answer));
            }
            Ok(Found::Group(answer)) => {
                match group_aim() {
                    GroupAim::Whole(aim) => self.aims.push((subject.target().clone(), aim)),
                    GroupAim::Each(aim) => {
                        let namespace = &answer.group.namespace;
                        let member = |name: &stead_model::AgentName| {
                            let target = Target::new(namespace.clone(), AgentRef::Name(name.clone()));
                            (target, aim.clone())
                        };
                        self.aims.extend(answer.group.members.iter().map(member));
                    }
                }
                if for_people {
                    app.out
                        .show(&answer, |answer, _| render::group_acted(self.verb, answer))?;
                }
                self.answers.push(Said::Group(answer));
            }
            Err(error) => self.refusal(app, subject.target(), error.into())?,
        }
        Ok(())
    }

    fn refusal(&mut self, app: &mut App<'_>, target: &Target, failure: Failure) -> Result<(), Failure> {
        if failure.exit == Exit::Unreachable {
            return Err(failure);
        }
        if let Some(first) = &self.first_refusal {
            let help = instead(target, &failure).or_else(|| failure.help.clone());
            let text = render::refused_one(&target.agent.to_string(), &Failure { help, ..failure });
            debug_assert_ne!(first.exit, Exit::Unreachable);
            return app.out.note(&text);
        }
        let message = format!("{}: {}", target.agent, failure.message);
        let help = instead(target, &failure).or(failure.help);
        self.first_refusal = Some(Failure {
            message,
            help,
            ..failure
        });
        Ok(())
    }

    async fn finish(self, app: &mut App<'_>, patience: Patience) -> Result<(), Failure> {
        if app.out.format() != Format::Table && app.out.format() != Format::Wide && !self.answers.is_empty() {
            app.out.show(&self.answers, |_, _| String::new())?;
        }
        if let Some(limit) = patience.filter(|_| !self.aims.is_empty()) {
            settle(app, self.aims, limit).await?;
        }
        match self.first_refusal {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }
}

/// What can be asked of an agent in place of what was refused.
fn instead(target: &Target, failure: &Failure) -> Option<String> {
    let verbs = &failure.problem.as_ref()?.verbs;
    let lines: Vec<_> = verbs
        .iter()
        .map(|verb| format!("`stead {verb} {}`", target.agent))
        .collect();
    (!lines.is_empty()).then(|| format!("possible now: {}", lines.join(", ")))
}

fn because(reason: Option<&String>) -> Change {
    Change {
        reason: reason.cloned(),
        if_revision: None,
    }
}

/// The run before a change; none where that cannot be told, in which case the change will be refused anyway.
async fn run(app: &App<'_>, target: &Target) -> Incarnation {
    app.client
        .agent(target)
        .await
        .map_or(Incarnation(0), |view| view.incarnation)
}

fn aim(verb: Verb, before: Incarnation, answer: &Answer) -> Aim {
    match verb {
        Verb::Restart => Aim::Up { after: before },
        // It may be up already, and is to stay so.
        Verb::Start | Verb::Resume | Verb::Reset => match answer.agent.pid {
            Some(_) => Aim::Ready,
            None => Aim::Up { after: Incarnation(0) },
        },
        Verb::Stop | Verb::Terminate => Aim::Down,
        Verb::Pause | Verb::Suspend => Aim::Role(&[Role::Suspended]),
        Verb::Maintenance => Aim::Role(&[Role::Maintenance]),
        Verb::Deploy => Aim::Role(&[
            Role::Prepared,
            Role::Failed,
            Role::Error,
            Role::Ready,
            Role::Busy,
            Role::Idle,
        ]),
    }
}

fn group_aim(verb: Verb) -> GroupAim {
    match verb {
        Verb::Restart => GroupAim::Whole(Aim::Rollout),
        // No group can be asked to deploy: it says so.
        Verb::Start | Verb::Resume | Verb::Reset | Verb::Deploy => GroupAim::Whole(Aim::Available),
        Verb::Stop | Verb::Terminate => GroupAim::Each(Aim::Down),
        Verb::Pause | Verb::Suspend => GroupAim::Each(Aim::Role(&[Role::Suspended])),
        Verb::Maintenance => GroupAim::Each(Aim::Role(&[Role::Maintenance])),
    }
}
