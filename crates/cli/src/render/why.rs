//! Why an agent is as it is: the answer first, then what it rests on.

use stead_model::spec::RestartPolicy;
use stead_model::{Explanation, Intent, LogLine, PauseView, RestartBudget, Wall};

use super::age::{age, relative};
use super::table::facts;
use super::{agent, degradation, history, paint, recoveries};

/// The whole explanation.
pub(crate) fn why(explanation: &Explanation, now: Wall) -> String {
    let view = &explanation.agent;
    let mut rows = vec![
        ("Wanted", intent(&explanation.intent, view.pause.as_deref(), now)),
        (
            "Phase",
            vec![format!(
                "{} for {}",
                paint::phase(&view.profile, &view.phase).painted(0),
                age(now, view.since)
            )],
        ),
        ("Health", vec![agent::health_line(view.health, view.ready)]),
        ("Run", vec![agent::run_line(view)]),
    ];
    if !view.conditions.is_empty() {
        rows.push(("Conditions", agent::conditions(view, now)));
    }
    rows.push(("Evidence", agent::evidence(view, now)));
    if let Some(failure) = &explanation.failure {
        let can = if failure.restart_helps { "can" } else { "cannot" };
        let (kind, detail) = (failure.kind, &failure.detail);
        let ago = relative(now, failure.at);
        rows.push((
            "Failure",
            vec![format!("{kind}, {ago}: {detail}; a restart {can} help")],
        ));
    }
    if let Some(last) = &explanation.last_exit {
        let run = format!("run {} {}, {}", last.incarnation, last.exit, relative(now, last.at));
        rows.push(("Last exit", vec![run]));
    }
    if !explanation.last_output.is_empty() {
        rows.push(("Last output", last_output(&explanation.last_output, now)));
    }
    if !explanation.features_off.is_empty() {
        rows.push(("Features", degradation::off(&explanation.features_off)));
    }
    if !explanation.waiting_for.is_empty() {
        rows.push(("Waits until", explanation.waiting_for.clone()));
    }
    let mut next: Vec<_> = explanation
        .next
        .iter()
        .map(|step| agent::next_line(step, now))
        .collect();
    if next.is_empty() {
        next.push("nothing by itself".to_owned());
    }
    rows.push(("Next", next));
    rows.push(("Restarts", vec![budget(&explanation.restart_budget)]));
    if !explanation.attempts.is_empty() {
        let tried = explanation.attempts.iter();
        rows.push(("Recoveries", tried.map(|row| recoveries::line(row, now)).collect()));
    }
    if !explanation.clears.is_empty() {
        rows.push(("To clear", explanation.clears.clone()));
    }
    rows.push(("History", history::lines(&explanation.history, now)));
    let summary = paint::heading(&explanation.summary);
    format!("{summary}\n\n{}", facts(&rows))
}

/// What it printed last, each line behind the name of its stream.
fn last_output(output: &[LogLine], now: Wall) -> Vec<String> {
    let about = output
        .last()
        .map(|last| format!("run {}, {}", last.incarnation, relative(now, last.at)));
    let lines = output
        .iter()
        .map(|line| format!("{} {}", paint::Cell::dim(line.stream.as_str()).painted(0), line.line));
    about.into_iter().chain(lines).collect()
}

/// What is wanted; how it is paused is known of the agent, which may have said by now that it wrote down where it is.
fn intent(intent: &Intent, pause: Option<&PauseView>, now: Wall) -> Vec<String> {
    let mut lines = vec![format!(
        "{}, by {} {}",
        intent.wanted,
        intent.actor,
        relative(now, intent.at)
    )];
    lines.extend(pause.map(|pause| super::pause::manner(pause, now)));
    lines.extend(intent.reason.iter().map(|reason| format!("“{reason}”")));
    lines
}

fn budget(budget: &RestartBudget) -> String {
    let policy = match budget.policy {
        RestartPolicy::Always => "restarted always",
        RestartPolicy::OnFailure => "restarted on failure",
        RestartPolicy::Never => "never restarted",
    };
    format!(
        "{} of {} used within {}; {policy}",
        budget.used, budget.max, budget.period
    )
}
