//! `stead config`: what is in force, what was, and the way back.

use serde::Serialize;
use stead_client::{Applying, ConfigText, ConfigView};

use super::consent::{self, Asked};
use crate::app::App;
use crate::args::{Config, Consent};
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::render;

/// What is in force with its text, for programs.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    view: ConfigView,
    toml: Option<String>,
}

pub(super) async fn config(app: &mut App<'_>, verb: &Config) -> Result<(), Failure> {
    match verb {
        Config::Show { revision: None } => show(app).await,
        Config::Show {
            revision: Some(revision),
        } => {
            let text = app.client.config_revision(*revision).await?;
            app.out.show(&text, |text, _| text.toml.clone())
        }
        Config::History => {
            let revisions = app.client.config_history().await?;
            let now = clock::now();
            app.out
                .show(&revisions, |revisions, _| render::config_revisions(revisions, now))
        }
        Config::Diff { revision, other } => diff(app, *revision, *other).await,
        Config::Rollback {
            revision,
            dry_run,
            consent,
        } => roll_back(app, *revision, *dry_run, consent).await,
        Config::Reload { reason } => {
            let applied = app.client.config_reload(reason.as_deref()).await?;
            consent::show(app, &applied, Asked::Nothing)
        }
    }
}

async fn show(app: &mut App<'_>) -> Result<(), Failure> {
    let view = app.client.config().await?;
    let toml = match view.revision {
        Some(revision) => Some(app.client.config_revision(revision).await?.toml),
        None => None,
    };
    let now = clock::now();
    app.out.show(&Shown { view, toml }, |shown, _| {
        render::config(&shown.view, shown.toml.as_deref(), now)
    })
}

/// Two revisions line by line, for programs.
#[derive(Serialize)]
struct Diff {
    from: u64,
    to: u64,
    diff: String,
}

async fn diff(app: &mut App<'_>, revision: u64, other: Option<u64>) -> Result<(), Failure> {
    let other = match other {
        Some(other) => other,
        None => app.client.config().await?.revision.ok_or_else(nothing)?,
    };
    let from: ConfigText = app.client.config_revision(revision).await?;
    let to = app.client.config_revision(other).await?;
    let plain = render::text_diff(&from, &to);
    let diff = Diff {
        from: revision,
        to: other,
        diff: plain.plain(),
    };
    app.out.show(&diff, |_, _| plain.painted())
}

fn nothing() -> Failure {
    Failure::with(Exit::NotFound, "no configuration is in force").help("`stead apply FILE` puts one in force")
}

async fn roll_back(app: &mut App<'_>, revision: u64, dry_run: bool, consent: &Consent) -> Result<(), Failure> {
    let applying = Applying {
        file: None,
        dry_run,
        restart: consent.restart,
        reason: consent.reason.as_deref(),
    };
    let asked = match consent::may_ask(app, consent, dry_run) {
        Some(asking) => {
            let would = Applying {
                dry_run: true,
                ..applying
            };
            let would = app.client.config_rollback(revision, &would).await?;
            asking.ask(app, &would)?
        }
        None => Asked::Nothing,
    };
    let applied = app.client.config_rollback(revision, &applying).await?;
    consent::show(app, &applied, asked)?;
    if !dry_run && app.client.config().await?.differs {
        app.out.note(&format!("note: {}", render::DIFFERS))?;
    }
    Ok(())
}
