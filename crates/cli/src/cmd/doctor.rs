//! `stead doctor`: what is wrong with the daemon or this machine, and what to do.

mod daemon;
mod machine;

use std::process::ExitCode;

use stead_client::{Client, state_dir};

use crate::app;
use crate::args::{Doctor, Global};
use crate::failure::{Exit, Failure};
use crate::render::{self, Check, Out, Verdict};

/// A fleet that any machine should hold.
const AT_LEAST: u64 = 100;

pub(super) async fn doctor(global: &Global, doctor: &Doctor, out: &mut Out) -> Result<ExitCode, Failure> {
    let client = Client::new(&app::settings(global)?)?;
    let mut checks = Vec::new();
    let view = daemon::checks(&client, &mut checks).await;
    let agents = doctor
        .agents
        .or(view.as_ref().map(|view| view.agents))
        .unwrap_or(0)
        .max(AT_LEAST);
    let dir = view.map_or_else(state_dir, |view| view.state_dir.into());
    machine::checks(&dir, agents, &mut checks);
    out.show(&checks, |checks, _| render::checks(checks))?;
    let wrong = checks.iter().any(|check| check.verdict == Verdict::Wrong);
    Ok(ExitCode::from(if wrong { Exit::Failure.code() } else { 0 }))
}

fn fine(check: &'static str, detail: impl Into<String>) -> Check {
    Check {
        check,
        verdict: Verdict::Fine,
        detail: detail.into(),
        help: None,
    }
}

fn warning(check: &'static str, detail: impl Into<String>, help: impl Into<String>) -> Check {
    Check {
        check,
        verdict: Verdict::Warning,
        detail: detail.into(),
        help: Some(help.into()),
    }
}

fn wrong(check: &'static str, detail: impl Into<String>, help: impl Into<String>) -> Check {
    Check {
        check,
        verdict: Verdict::Wrong,
        detail: detail.into(),
        help: Some(help.into()),
    }
}
