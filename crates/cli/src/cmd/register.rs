//! `stead register`: one agent, without a fleet file.

use std::path::Path;

use serde_json::Value;
use stead_client::{NewAgent, Registry};
use stead_model::Wanted;
use stead_model::spec::SpecForm;

use super::spec_file;
use crate::app::App;
use crate::args::{Format, Register};
use crate::failure::{Exit, Failure};
use crate::render;

pub(super) async fn register(app: &mut App<'_>, register: Register) -> Result<(), Failure> {
    let agent = NewAgent {
        name: register.name,
        spec: register.file.as_deref().map(spec).transpose()?,
        intent: register.start.then_some(Wanted::Running),
        reason: register.reason,
    };
    let registry = if register.component {
        Registry::Components
    } else {
        Registry::Agents
    };
    let answer = app.client.register(registry, &app.namespace, &agent).await?;
    app.out
        .show(&answer, |answer, _: Format| render::acted("register", answer))
}

/// A spec, by itself or as the daemon shows one.
fn spec(file: &Path) -> Result<SpecForm, Failure> {
    let mut value = spec_file::value(file)?;
    let spec = value.get_mut("spec").map(Value::take).unwrap_or(value);
    serde_json::from_value(spec).map_err(|error| {
        Failure::with(Exit::Refused, format!("{}: {error}", file.display()))
            .help("`stead get NAME --spec` prints one that can be taken as a pattern")
    })
}
