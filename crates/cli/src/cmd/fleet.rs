//! `stead apply` and `stead validate`.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use stead_client::{Applying, Target};
use stead_daemon::config::{Diagnostic, Fleet};
use stead_model::{AgentRef, Incarnation, Namespace};

use super::consent::{self, Asked};
use crate::app::App;
use crate::args::{Apply, Validate};
use crate::failure::{Exit, Failure};
use crate::render::{self, Out};
use crate::settle::{Aim, settle};

pub(super) async fn apply(app: &mut App<'_>, apply: &Apply) -> Result<(), Failure> {
    let toml = read(&apply.file)?;
    // Relative paths start at the file's folder, as they do for `up`; what comes by a pipe starts where this command runs.
    let place = if apply.file == Path::new("-") {
        Path::new("fleet.toml")
    } else {
        &apply.file
    };
    let place = std::path::absolute(place)?;
    let applying = Applying {
        file: Some(&place),
        dry_run: apply.dry_run,
        restart: apply.consent.restart,
        reason: apply.consent.reason.as_deref(),
    };
    let asked = match consent::may_ask(app, &apply.consent, apply.dry_run) {
        Some(asking) => {
            let would = Applying {
                dry_run: true,
                ..applying
            };
            let would = app.client.apply(&toml, &would).await?;
            asking.ask(app, &would)?
        }
        None => Asked::Nothing,
    };
    let applied = app.client.apply(&toml, &applying).await?;
    consent::show(app, &applied, asked)?;
    if apply.wait {
        let namespace: Namespace = app.client.config().await?.namespace.parse().unwrap_or_default();
        let changed = applied.added.iter().chain(&applied.changed);
        let rolled_back = applied
            .rolled_back
            .iter()
            .filter(|name| !applied.changed.contains(name));
        let changed = changed.chain(rolled_back);
        let targets = changed.filter_map(|name| name.parse::<AgentRef>().ok());
        let mut aims = Vec::new();
        for agent in targets {
            let target = Target::new(namespace.clone(), agent);
            let aim = match app.client.group(&target).await {
                Ok(group) if group.rollout.is_some() => Aim::Rollout,
                Ok(_) => Aim::Available,
                Err(_single) => Aim::Up { after: Incarnation(0) },
            };
            aims.push((target, aim));
        }
        settle(app, aims, apply.timeout).await?;
    }
    Ok(())
}

/// What was found wrong with a file, for programs.
#[derive(Serialize)]
struct Validation {
    valid: bool,
    problems: Vec<Diagnostic>,
}

/// Needs no daemon: the file is read here as `up` would read it.
pub(super) fn validate(validate: &Validate, out: &mut Out) -> Result<ExitCode, Failure> {
    let environment = |name: &str| std::env::var(name).ok();
    let fleet = if validate.file == Path::new("-") {
        Fleet::parse(&read(&validate.file)?, Path::new("stdin"), &environment)
    } else {
        readable(&validate.file)?;
        Fleet::read(&validate.file, &environment)
    };
    let problems = fleet.err().unwrap_or_default();
    let validation = Validation {
        valid: problems.is_empty(),
        problems,
    };
    out.show(&validation, |validation, _| {
        if validation.valid {
            render::valid(&validate.file)
        } else {
            render::invalid(&validation.problems)
        }
    })?;
    Ok(ExitCode::from(if validation.valid { 0 } else { Exit::Refused.code() }))
}

/// Fails where a file cannot be read at all, which is another thing than what is wrong in it.
pub(super) fn readable(file: &Path) -> Result<(), Failure> {
    let opened = std::fs::File::open(file).and_then(|file| file.metadata());
    match opened {
        Ok(about) if about.is_file() => Ok(()),
        // A pipe is read as it comes.
        Ok(about) if !about.is_dir() => Ok(()),
        Ok(_) => Err(unreadable(file, "it is a directory")),
        Err(error) => Err(unreadable(file, &error.to_string())),
    }
}

fn unreadable(file: &Path, why: &str) -> Failure {
    Failure::new(format!("the fleet file {} cannot be read: {why}", file.display()))
        .help("check the path; docs/guides/fleet-file.md says how such a file is written")
}

fn read(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    // One byte more than is taken: whoever checks it says that it is too much, and a device without end has one.
    let most = Fleet::MAX_BYTES + 1;
    let read = if file == Path::new("-") {
        std::io::stdin().take(most).read_to_string(&mut text).map(drop)
    } else {
        std::fs::File::open(file)
            .and_then(|file| file.take(most).read_to_string(&mut text))
            .map(drop)
    };
    match read {
        Ok(()) => Ok(text),
        Err(error) => Err(unreadable(file, &error.to_string())),
    }
}
