//! The verbs that change agents.

use stead_client::{Change, Target, Verb};
use stead_model::{Answer, Incarnation, Role};

use crate::app::App;
use crate::args::{Act, Format};
use crate::failure::{Exit, Failure};
use crate::render;
use crate::settle::{Aim, settle};

pub(super) async fn lifecycle(app: &mut App<'_>, verb: Verb, act: &Act) -> Result<(), Failure> {
    let change = change(act);
    let mut aims = Vec::new();
    let mut told = Told::default();
    for target in app.pick(&act.agent, act.selector.as_ref()).await? {
        // What runs before tells a new run from the old one.
        let before = if act.wait {
            run(app, &target).await
        } else {
            Incarnation(0)
        };
        match app.client.lifecycle(&target, verb, &change).await {
            Ok(answer) => {
                aims.push((target, aim(verb, before, &answer)));
                told.answer(app, verb.as_str(), answer)?;
            }
            Err(error) => told.refusal(app, &target, error.into())?,
        }
    }
    finish(app, act, told, aims).await
}

pub(super) async fn delete(app: &mut App<'_>, act: &Act) -> Result<(), Failure> {
    let change = change(act);
    let mut aims = Vec::new();
    let mut told = Told::default();
    for target in app.pick(&act.agent, act.selector.as_ref()).await? {
        match app.client.delete(&target, &change).await {
            Ok(answer) => {
                aims.push((target, Aim::Gone));
                told.answer(app, "delete", answer)?;
            }
            Err(error) => told.refusal(app, &target, error.into())?,
        }
    }
    finish(app, act, told, aims).await
}

async fn finish(app: &mut App<'_>, act: &Act, told: Told, aims: Vec<(Target, Aim)>) -> Result<(), Failure> {
    if app.out.format() != Format::Table && app.out.format() != Format::Wide && !told.answers.is_empty() {
        app.out.show(&told.answers, |_, _| String::new())?;
    }
    if act.wait && !aims.is_empty() {
        settle(app, aims, act.timeout).await?;
    }
    match told.first_refusal {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

/// What was answered; one refusal does not keep the others from being asked.
#[derive(Default)]
struct Told {
    answers: Vec<Answer>,
    first_refusal: Option<Failure>,
}

impl Told {
    fn answer(&mut self, app: &mut App<'_>, verb: &str, answer: Answer) -> Result<(), Failure> {
        if matches!(app.out.format(), Format::Table | Format::Wide) {
            app.out.show(&answer, |answer, _| render::acted(verb, answer))?;
        }
        self.answers.push(answer);
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

fn change(act: &Act) -> Change {
    Change {
        reason: act.reason.clone(),
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
