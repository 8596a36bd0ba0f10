//! `stead apply` and `stead validate`.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use stead_client::Target;
use stead_model::{AgentRef, Incarnation, Namespace};

use crate::app::App;
use crate::args::{Apply, Validate};
use crate::failure::{Exit, Failure};
use crate::render;
use crate::settle::{Aim, settle};

pub(super) async fn apply(app: &mut App<'_>, apply: &Apply) -> Result<(), Failure> {
    let toml = read(&apply.file)?;
    let applied = if apply.dry_run {
        app.client.apply_dry_run(&toml).await?
    } else {
        app.client.apply(&toml).await?
    };
    app.out.show(&applied, |applied, _| render::applied(applied))?;
    if apply.wait {
        let namespace: Namespace = app.client.config().await?.namespace.parse().unwrap_or_default();
        let changed = applied.added.iter().chain(&applied.changed);
        let targets = changed.filter_map(|name| name.parse::<AgentRef>().ok());
        let up = Aim::Up { after: Incarnation(0) };
        let aims = targets
            .map(|agent| (Target::new(namespace.clone(), agent), up.clone()))
            .collect();
        settle(app, aims, apply.timeout).await?;
    }
    Ok(())
}

pub(super) async fn validate(app: &mut App<'_>, validate: &Validate) -> Result<ExitCode, Failure> {
    let toml = read(&validate.file)?;
    let validation = app.client.validate(&toml).await?;
    app.out.show(&validation, |validation, _| {
        if validation.valid {
            render::valid(&validate.file)
        } else {
            render::invalid(&validate.file, &validation.problems)
        }
    })?;
    Ok(ExitCode::from(if validation.valid { 0 } else { Exit::Refused.code() }))
}

fn read(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        std::fs::File::open(file)
            .and_then(|mut file| file.read_to_string(&mut text))
            .map(drop)
    };
    match read {
        Ok(()) => Ok(text),
        Err(error) => Err(Failure::new(format!("{} cannot be read: {error}", file.display()))),
    }
}
