//! Revisions of the configuration: kept in the store, shown without secrets, taken up again at the start.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stead_model::{AuditKind, AuditRow, Namespace, Origin, Outcome, Problem, ProblemCode, Revision};
use stead_store::{ConfigRow, Store, StoreError};
use tracing::warn;

use crate::api::{ConfigRevision, ConfigText};
use crate::capability::Specs;
use crate::config::{DaemonSettings, FileStamp, Fleet, Retained, Shape, masked};
use crate::degradation::Degrading;

/// What is kept of a configuration beside its text: what must be known at a start, whatever the environment is by then.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Facts {
    pub(crate) namespace: Namespace,
    pub(crate) agents: usize,
    pub(crate) shape: Shape,
    pub(crate) daemon: DaemonSettings,
    pub(crate) retention: Retained,
    pub(crate) capabilities: Specs,
    pub(crate) degrading: Degrading,
}

impl Facts {
    pub(super) fn of(fleet: &Fleet) -> Self {
        Self {
            namespace: fleet.namespace.clone(),
            agents: fleet.count(),
            shape: fleet.shape.clone(),
            daemon: fleet.daemon.clone(),
            retention: fleet.retention.clone(),
            capabilities: fleet.capabilities.clone(),
            degrading: fleet.degrading.clone(),
        }
    }
}

/// The configuration that was applied last.
#[derive(Clone, Debug)]
pub(crate) struct InForce {
    pub(crate) row: ConfigRow,
    pub(crate) facts: Facts,
    /// What its file was like when it was applied; none for one of an earlier daemon.
    pub(crate) stamp: Option<FileStamp>,
}

impl InForce {
    /// Reads what an earlier daemon left in the store. What cannot be read is told, and nothing is in force then.
    pub(crate) fn read(store: &dyn Store) -> Option<Self> {
        let row = match store.config(None) {
            Ok(row) => row?,
            Err(error) => {
                warn!(%error, "which configuration is in force cannot be read");
                return None;
            }
        };
        let facts = facts(&row);
        Some(Self {
            row,
            facts,
            stamp: None,
        })
    }
}

impl InForce {
    /// Whether its file was there when it was applied, and is not any more.
    pub(super) fn is_missing(&self) -> bool {
        self.stamp.is_some() && FileStamp::of(Path::new(&self.row.file)).is_none()
    }

    /// Whether its file is there and says something else, as after a rollback.
    pub(super) fn differs(&self) -> bool {
        let file = Path::new(&self.row.file);
        file.is_file() && std::fs::read_to_string(file).is_ok_and(|text| text != self.row.text)
    }

    /// The fleet as it was read; nothing where its text comes to something else by now, as the environment is another.
    pub(super) fn as_it_was(&self) -> Option<Fleet> {
        let read = super::read_text(&self.row.text, Path::new(&self.row.file)).ok()?;
        (read.hash.to_string() == self.row.hash).then_some(read)
    }
}

fn facts(row: &ConfigRow) -> Facts {
    serde_json::from_str(&row.facts).unwrap_or_else(|error| {
        warn!(revision = row.revision, %error, "what is kept of a configuration cannot be read");
        Facts::default()
    })
}

/// Keeps a fleet as the configuration in force, unless it is so already.
pub(super) fn keep(
    store: &Arc<dyn Store>,
    fleet: &Fleet,
    (origin, reason): (&Origin, Option<String>),
    at: stead_model::Wall,
) -> Result<InForce, Problem> {
    let facts = Facts::of(fleet);
    // A text that came by itself is put before what lies in the file at this time.
    let stamp = fleet.stamp.or_else(|| FileStamp::of(&fleet.file));
    let row = ConfigRow {
        revision: 0,
        at,
        actor: origin.actor.clone(),
        reason,
        file: fleet.file.display().to_string(),
        hash: fleet.hash.to_string(),
        text: fleet.text.as_str().to_owned(),
        facts: serde_json::to_string(&facts).map_err(|error| Problem::new(ProblemCode::Internal, error.to_string()))?,
    };
    let same = |last: &ConfigRow| {
        (&last.file, &last.hash, &last.text, &last.facts) == (&row.file, &row.hash, &row.text, &row.facts)
    };
    if let Some(last) = store.config(None).map_err(|error| unkept(&error))?.filter(same) {
        return Ok(InForce {
            row: last,
            facts,
            stamp,
        });
    }
    let asked = AuditRow {
        at,
        actor: origin.actor.clone(),
        role: origin.role,
        namespace: fleet.namespace.clone(),
        kind: AuditKind::Config,
        id: None,
        name: row.file.clone(),
        verb: "apply".into(),
        outcome: Outcome::Accepted,
        revision: Revision(0),
        reason: row.reason.clone(),
        correlation_id: origin.correlation_id.clone(),
        trace_id: origin.trace_id.clone(),
    };
    let revision = store.put_config(row.clone(), asked).map_err(|error| unkept(&error))?;
    let row = ConfigRow { revision, ..row };
    Ok(InForce { row, facts, stamp })
}

/// The newest revisions, without their texts.
pub(super) fn list(store: &Arc<dyn Store>) -> Result<Vec<ConfigRevision>, Problem> {
    let most = usize::try_from(stead_store::MOST_CONFIGS).unwrap_or(usize::MAX);
    let rows = store.configs(most).map_err(|error| unread(&error))?;
    Ok(rows.iter().map(shown).collect())
}

/// One revision with its text, without the values of secrets.
pub(super) fn show(store: &Arc<dyn Store>, revision: u64) -> Result<ConfigText, Problem> {
    let row = find(store, revision)?;
    Ok(ConfigText {
        toml: masked(&row.text),
        revision: shown(&row),
    })
}

/// One revision, secrets included.
pub(super) fn find(store: &Arc<dyn Store>, revision: u64) -> Result<ConfigRow, Problem> {
    let found = store.config(Some(revision)).map_err(|error| unread(&error))?;
    found.ok_or_else(|| {
        let detail = format!("there is no revision {revision} of the configuration, or it is no longer kept");
        Problem::new(ProblemCode::NotFound, detail)
    })
}

fn shown(row: &ConfigRow) -> ConfigRevision {
    let Facts { namespace, agents, .. } = facts(row);
    ConfigRevision {
        revision: row.revision,
        at: row.at,
        actor: row.actor.clone(),
        reason: row.reason.clone(),
        file: row.file.clone(),
        hash: row.hash.clone(),
        namespace,
        agents,
    }
}

fn unread(error: &StoreError) -> Problem {
    Problem::new(
        ProblemCode::StoreUnavailable,
        format!("the history of the configuration cannot be read now: {error}"),
    )
}

fn unkept(error: &StoreError) -> Problem {
    Problem::new(
        ProblemCode::StoreUnavailable,
        format!("nothing was applied: the configuration cannot be written down now: {error}"),
    )
}
