//! What became of a request.

use owo_colors::OwoColorize;
use stead_model::{Answer, Outcome};

use crate::failure::Failure;

/// One agent's answer to a verb in one line.
pub(crate) fn acted(verb: &str, answer: &Answer) -> String {
    let agent = &answer.agent;
    match answer.outcome {
        Outcome::Created => format!("{}: created, {}\n", agent.name.bold(), agent.phase),
        Outcome::Accepted => format!("{}: {verb} accepted, {}\n", agent.name.bold(), agent.phase),
        Outcome::Already => format!("{}: nothing to do for {verb}, {}\n", agent.name.bold(), agent.phase),
    }
}

/// One agent's refusal among others' answers.
pub(crate) fn refused_one(agent: &str, failure: &Failure) -> String {
    let help = failure.help.iter().map(|help| format!(" ({help})"));
    format!(
        "{} {agent}: {}{}",
        "error:".red().bold(),
        failure.message,
        help.collect::<String>()
    )
}
