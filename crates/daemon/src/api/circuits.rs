//! Circuits: looked at, and turned by hand.

use std::sync::Arc;

use axum::http::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use stead_model::{AuditKind, AuditRow, CircuitVerb, CircuitView, Outcome, ProblemCode, Revision};

use super::extract::{JsonOr, NoQuery, Place, Post, Read, Text, part};
use super::find::blocking;
use super::openapi::Sketch;
use super::operation::{About, Table};
use super::problem::Failure;
use super::reply::{List, Shown};
use super::{Api, BASE};

pub(super) fn mount(table: &mut Table) {
    let list_all = About::new(
        "listCircuits",
        "capabilities",
        "Lists the circuits that providers are asked through, by name",
    );
    table.add(Method::GET, format!("{BASE}/circuits"), list_all, list);
    for verb in CircuitVerb::ALL.iter().copied() {
        let (id, summary) = match verb {
            CircuitVerb::ForceOpen => ("forceCircuitOpen", "Lets no call through, until it is reset"),
            CircuitVerb::ForceClose => (
                "forceCircuitClosed",
                "Lets every call through and counts none, until it is reset",
            ),
            CircuitVerb::Reset => ("resetCircuit", "Closes it with nothing counted, whatever it was"),
        };
        let about = About::new(id, "capabilities", summary)
            .more("Holds as long as the daemon runs. A slash in the name is written `%2F`.")
            .may(&[ProblemCode::UnknownCircuit, ProblemCode::StoreUnavailable]);
        let path = format!("{BASE}/circuits/{{circuit}}/{}", verb.as_str());
        table.add(Method::POST, path, about, move |api, post| turn(verb, api, post));
    }
}

/// A path that names a circuit.
#[derive(Debug)]
struct Named(String);

impl Place for Named {
    fn find(parts: &[(String, String)]) -> Result<Self, Failure> {
        Ok(Self(part(parts, "circuit").to_owned()))
    }

    fn describe(sketch: &mut Sketch) {
        let schema = serde_json::json!({ "type": "string" });
        sketch.path("circuit", "Name of the circuit, slashes as `%2F`.", schema);
    }
}

/// What may be said about it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "CircuitOrder")]
struct Why {
    /// Why, for the audit.
    reason: Option<Text<1024>>,
}

async fn list(api: Api, _: Read<(), NoQuery>) -> Result<Shown<List<CircuitView>>, Failure> {
    Ok(Shown(List {
        items: api.state.handle.capabilities().circuits(),
        next_cursor: None,
    }))
}

async fn turn(
    verb: CircuitVerb,
    api: Api,
    post: Post<Named, NoQuery, JsonOr<Why>>,
) -> Result<Shown<CircuitView>, Failure> {
    let (Named(name), JsonOr(why), origin) = (post.path, post.body, post.origin);
    let capabilities = Arc::clone(api.state.handle.capabilities());
    let namespace = capabilities.knows(&name)?;
    let asked = AuditRow {
        at: api.state.ports.host.now(),
        actor: origin.actor,
        role: origin.role,
        namespace,
        kind: AuditKind::Circuit,
        id: None,
        name: name.clone(),
        verb: verb.as_str().to_owned(),
        outcome: Outcome::Accepted,
        revision: Revision(0),
        reason: why.reason.map(|Text(reason)| reason),
        correlation_id: origin.correlation_id,
        trace_id: origin.trace_id,
    };
    let store = api.state.handle.store();
    // Who did it is written down first.
    let kept = blocking(move || store.put_audit(asked)).await?;
    kept.map_err(|error| {
        let detail = format!("the circuit is as it was: who turns it cannot be written down now: {error}");
        Failure::new(ProblemCode::StoreUnavailable, detail)
    })?;
    let (view, _changed) = capabilities.turn(&name, verb)?;
    Ok(Shown(view))
}
