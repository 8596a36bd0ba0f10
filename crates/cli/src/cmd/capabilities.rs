//! `stead capabilities`, `stead invoke`, `stead circuits`.

use std::path::Path;

use serde_json::{Value, json};
use stead_model::CircuitVerb;

use super::spec_file;
use crate::app::App;
use crate::args::{Circuits, Invoke, Turn};
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::render;

pub(super) async fn capabilities(app: &mut App<'_>) -> Result<(), Failure> {
    let found = app.client.capabilities().await?;
    app.out.show(&found, |found, _| render::capabilities(found))
}

pub(super) async fn invoke(app: &mut App<'_>, asked: &Invoke) -> Result<(), Failure> {
    let parameters = parameters(asked.data.as_deref())?;
    let answer = app.client.invoke(&asked.capability, &parameters, asked.within).await?;
    app.out.show(&answer, |answer, _| render::invoked(answer))?;
    if answer.status < 300 {
        return Ok(());
    }
    let message = format!(
        "{} refuses what it was asked with HTTP {}: the mistake is in the parameters",
        answer.provider, answer.status
    );
    Err(Failure::with(Exit::Refused, message))
}

pub(super) async fn circuits(app: &mut App<'_>, asked: &Circuits) -> Result<(), Failure> {
    let now = clock::now();
    let Some(turn) = &asked.turn else {
        let found = app.client.circuits().await?;
        return app.out.show(&found, |found, _| render::circuits(found, now));
    };
    let (verb, one) = match turn {
        Turn::ForceOpen(one) => (CircuitVerb::ForceOpen, one),
        Turn::ForceClose(one) => (CircuitVerb::ForceClose, one),
        Turn::Reset(one) => (CircuitVerb::Reset, one),
    };
    let turned = app
        .client
        .turn_circuit(&one.circuit, verb, one.reason.as_deref())
        .await?;
    app.out
        .show(&turned, |turned, _| render::circuits(std::slice::from_ref(turned), now))
}

fn parameters(data: Option<&str>) -> Result<Value, Failure> {
    match data {
        None => Ok(json!({})),
        Some(data) => match data.strip_prefix('@') {
            Some(file) => spec_file::value(Path::new(file)),
            None => serde_json::from_str(data).map_err(|error| {
                let message = format!("--data is no JSON: {error}");
                Failure::with(Exit::Usage, message).help("write it in quotes: --data '{\"text\": \"…\"}'")
            }),
        },
    }
}
