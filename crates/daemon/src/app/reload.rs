//! The fleet file looked at: a change is applied once the file has come to rest.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use stead_model::{AccessRole, Origin};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::apply::{Config, faults, invalid};
use crate::api::{ApplyOrder, ConfigRefused};
use crate::clock::Clock;
use crate::config::{FileStamp, Fleet};

/// How often the file is looked at. It is applied when it is the same at two looks: a file that is being written is not.
const LOOK: Duration = Duration::from_secs(1);

/// Has the fleet file in force read again; cheap to clone.
#[derive(Clone, Debug)]
pub struct Reloader {
    config: Arc<Config>,
    clock: Clock,
}

impl Reloader {
    pub(super) const fn new(config: Arc<Config>, clock: Clock) -> Self {
        Self { config, clock }
    }

    /// Reads the fleet file in force again, since somebody asked for it by a signal. What is wrong is told in the log, by
    /// `stead config show` and by `stead doctor`, and changes nothing.
    pub async fn reload(&self) {
        match self.file() {
            Some(file) => self.take(&file, "SIGHUP").await,
            None => warn!("SIGHUP: no fleet file is in force, so there is none to read again"),
        }
    }

    fn file(&self) -> Option<PathBuf> {
        use crate::api::ConfigDoor;
        self.config.view().fleet_file.map(PathBuf::from)
    }

    /// Looks at the file again and again until `closing` is cancelled.
    pub(super) async fn watch(self, closing: CancellationToken) {
        // What was taken last, or put aside.
        let mut seen: Option<(PathBuf, FileStamp)> = None;
        // A change that was seen once and must be seen the same again.
        let mut moving: Option<FileStamp> = None;
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = closing.cancelled() => return,
            }
            let Some(known) = self.config.watched() else {
                (seen, moving) = (None, None);
                continue;
            };
            let file = PathBuf::from(&known.row.file);
            // A file that is gone is on its way to be replaced, or was not meant to be there.
            let Some(stamp) = FileStamp::of(&file) else {
                moving = None;
                continue;
            };
            let here = Some((file, stamp));
            if known.stamp == Some(stamp) || seen == here {
                moving = None;
            } else if known.stamp.is_none() && !stamp.is_younger(known.row.at) {
                // It was changed before what an earlier daemon left in force: something else was applied on purpose.
                seen = here;
            } else if moving == Some(stamp) {
                if let Some((file, _)) = &here {
                    self.take(file, "file").await;
                }
                (seen, moving) = (here, None);
            } else {
                moving = Some(stamp);
            }
        }
    }

    /// Applies the file if it says something else than what is in force.
    async fn take(&self, file: &Path, cause: &'static str) {
        let path = file.to_owned();
        let read = tokio::task::spawn_blocking(move || Fleet::read(&path, &|name| std::env::var(name).ok())).await;
        let Ok(read) = read else { return };
        let refused = match read {
            Ok(fleet) if self.config.is_in_force(&fleet) => {
                self.config.mended();
                if cause == "SIGHUP" {
                    info!("SIGHUP: {} is in force as it is", file.display());
                }
                return;
            }
            Ok(fleet) => {
                let order = ApplyOrder {
                    reason: Some(format!("{cause}: {} changed", file.display())),
                    ..ApplyOrder::default()
                };
                match self.config.apply(fleet, order, origin(cause)).await {
                    Ok(applied) => {
                        info!(
                            revision = applied.revision,
                            added = applied.added.len(),
                            changed = applied.changed.len(),
                            removed = applied.removed.len(),
                            "{} changed and is in force",
                            file.display()
                        );
                        if !applied.pending_restart.is_empty() {
                            let names: Vec<&str> = applied.pending_restart.iter().map(|name| name.as_str()).collect();
                            warn!(
                                "in force only after a restart, which waits for consent (`stead restart`): {}",
                                names.join(", ")
                            );
                        }
                        return;
                    }
                    Err(problem) => {
                        warn!("{} was not applied: {problem}", file.display());
                        ConfigRefused {
                            at: self.clock.now().wall,
                            cause: cause.to_owned(),
                            detail: problem.detail,
                            problems: Vec::new(),
                        }
                    }
                }
            }
            Err(problems) => {
                for problem in &problems {
                    let (line, column) = (problem.line, problem.column);
                    warn!("{}:{line}:{column}: {}", file.display(), problem.message);
                }
                warn!("{} was not applied; what was in force stays so", file.display());
                let problems = faults(problems);
                ConfigRefused {
                    at: self.clock.now().wall,
                    cause: cause.to_owned(),
                    detail: invalid(&problems).detail,
                    problems,
                }
            }
        };
        self.config.refuse(refused);
    }
}

fn origin(cause: &str) -> Origin {
    Origin {
        actor: format!("fleet-file ({cause})"),
        role: AccessRole::Admin,
        correlation_id: uuid::Uuid::now_v7().to_string(),
        trace_id: None,
    }
}
