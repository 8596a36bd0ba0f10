//! What takes inputs on a thread of its own: the pump, or a bystander where the stored state is damaged.

use std::sync::Arc;
use std::thread::JoinHandle;

use futures_util::future::BoxFuture;
use stead_model::journal::{Append, Durability};
use stead_model::{Epoch, Slot, Wall};
use stead_store::{DamagedStore, LateStore, Lease, Options, Owner, Sink, SqliteStore, StateDir, Store, StoreError};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tracing::{error, warn};

use super::apply::InForce;
use super::{StartError, gap};
use crate::bystander::Bystander;
use crate::clock::Clock;
use crate::damage;
use crate::handle::Lifecycles;
use crate::pump::{Fleet, Parts, Pump, thaw};
use crate::status::Part;

/// It, running.
pub(super) struct Mind {
    pub(super) store: Arc<dyn Store>,
    pub(super) thread: JoinHandle<()>,
    /// What is wrong with the stored state, and what to do.
    pub(super) damage: Option<String>,
    /// The configuration that an earlier daemon left in force.
    pub(super) in_force: Option<InForce>,
}

/// A store that is this daemon's.
pub(super) struct Taken {
    pub(super) store: Arc<dyn Store>,
    /// The highest epoch under which a slot of it is held.
    pub(super) epoch: Epoch,
    /// Why it cannot be written yet.
    away: Option<StoreError>,
}

/// A store with what it holds, thawed.
pub(super) struct Loaded {
    taken: Taken,
    fleet: Fleet,
    in_force: Option<InForce>,
    /// What is missing in the store.
    gap: Gap,
}

/// Whether an earlier daemon left something out that it could not write.
enum Gap {
    None,
    /// It did, and there is no agent in whose slot that could be told.
    Untold,
    /// It did; this tells of it.
    Told(Append),
}

/// Something, or the damage that it met.
pub(super) type Found<T> = Result<T, StoreError>;

/// Opens the store and takes every slot of it. Where the disk is full, it is opened and taken once there is room.
pub(super) fn take(
    dir: &Arc<StateDir>,
    slots: &[Slot],
    now: Wall,
    sink: impl Fn() -> Sink,
) -> Result<Found<Taken>, StartError> {
    let options = Options {
        opened_at: now,
        least: least_durability()?,
        ..Options::default()
    };
    let (owner, lease) = (Owner::new("local"), Lease::unending(now));
    let late = |away| {
        let claim = (slots.to_vec(), owner.clone(), lease);
        Ok(Ok(Taken {
            store: Arc::new(LateStore::new(Arc::clone(dir), options, claim, sink())),
            epoch: Epoch(0),
            away: Some(away),
        }))
    };
    let store = match SqliteStore::open(Arc::clone(dir), options, sink()) {
        Ok(store) => store,
        Err(error) if error.full() => return late(StoreError::Full),
        Err(error) => return error.damage().cloned().map(Err).ok_or(StartError::Store(error)),
    };
    match store.take(slots, &owner, lease) {
        Ok(held) => Ok(Ok(Taken {
            store: Arc::new(store),
            epoch: held.iter().map(|(_, epoch)| *epoch).max().unwrap_or_default(),
            away: None,
        })),
        Err(StoreError::Full) => {
            drop(store);
            late(StoreError::Full)
        }
        Err(error) => found(Err(error)),
    }
}

/// What `STEAD_DURABILITY` asks for: `flushed` has every change wait for the disk, also those that otherwise only must not be lost with
/// the daemon.
pub(super) fn least_durability() -> Result<Durability, StartError> {
    match std::env::var_os("STEAD_DURABILITY") {
        None => Ok(Durability::Written),
        Some(asked) if asked.is_empty() => Ok(Durability::Written),
        Some(asked) if asked == "flushed" => Ok(Durability::Flushed),
        Some(asked) => Err(StartError::Durability(asked.to_string_lossy().into_owned())),
    }
}

/// Loads what was taken, and thaws each agent where it was read: of what is stored hardly more than one is in memory at once.
pub(super) fn load(
    taken: Found<Taken>,
    slots: &[Slot],
    dir: &StateDir,
    (clock, started_at): (Clock, Wall),
) -> Result<Found<Loaded>, StartError> {
    let taken = match taken {
        Ok(taken) => taken,
        Err(damage) => return Ok(Err(damage)),
    };
    let store = Arc::clone(&taken.store);
    let in_force = InForce::read(&*store);
    let loaded = find_gap(&*store, slots, dir, started_at).and_then(|gap| {
        let moved = match &gap {
            Gap::Told(told) => Some((told.slot, told.position)),
            Gap::None | Gap::Untold => None,
        };
        let fleet = thaw(&*store, slots, clock, lifecycles(in_force.as_ref()), moved)?;
        Ok((fleet, gap))
    });
    match found(loaded)? {
        Ok((fleet, gap)) => Ok(Ok(Loaded {
            taken,
            fleet: fleet?,
            in_force,
            gap,
        })),
        Err(damage) => Ok(Err(damage)),
    }
}

/// What is to be told of what an earlier daemon could not write.
fn find_gap(store: &dyn Store, slots: &[Slot], dir: &StateDir, now: Wall) -> Found<Gap> {
    let Some(since) = dir.away_since() else {
        return Ok(Gap::None);
    };
    for slot in slots {
        if let Some(told) = gap::tell(&store.load(*slot)?, since, now) {
            return Ok(Gap::Told(told));
        }
    }
    Ok(Gap::Untold)
}

/// Has the pump work on what was loaded.
pub(super) fn whole(home: Home, loaded: Loaded, parts: impl FnOnce(&Arc<dyn Store>) -> Parts) -> Mind {
    let Taken { store, epoch: _, away } = loaded.taken;
    let parts = parts(&store);
    let status = Arc::clone(&parts.status);
    let mut pump = Pump::new(parts);
    match &away {
        // Care begins at once; what comes of it is written when there is room.
        Some(error) => pump.begin_away(error),
        None => status.update(|report| report.store = Part::Up),
    }
    // Left by an earlier daemon; that this one begins without its store is a note of its own.
    match loaded.gap {
        Gap::None => {}
        Gap::Untold => pump.settle_first(),
        Gap::Told(told) => {
            pump.write_first(told);
            pump.settle_first();
        }
    }
    pump.adopt(loaded.fleet);
    Mind {
        store,
        thread: home.give(pump.run()),
        damage: None,
        in_force: loaded.in_force,
    }
}

/// Has a bystander show what is left.
pub(super) fn damaged(
    home: Home,
    found: StoreError,
    parts: impl FnOnce(&Arc<dyn Store>) -> Parts,
    dir: &Arc<StateDir>,
    sink: Sink,
) -> Mind {
    let trouble = damage::at_start(&dir.database(), &found);
    let damaged = Arc::new(DamagedStore::new(Arc::clone(dir), found, sink));
    let store = Arc::clone(&damaged) as Arc<dyn Store>;
    let mut bystander = Bystander::new(parts(&store), trouble.clone());
    let in_force = InForce::read(&*store);
    if let Some(lifecycles) = lifecycles(in_force.as_ref()) {
        bystander.configure(lifecycles);
    }
    let lost_slots = damaged.salvage(&mut |state| bystander.show(state));
    error!(lost_slots, "{trouble}");
    Mind {
        store,
        thread: home.give(bystander.run()),
        damage: Some(trouble),
        in_force,
    }
}

/// The profiles and policies that are in force.
fn lifecycles(in_force: Option<&InForce>) -> Option<Lifecycles> {
    let built = in_force?.facts.shape.build();
    built
        .inspect_err(|error| warn!("profiles and policies in force cannot be made: {error}"))
        .ok()
}

/// Damage is something to live with; every other error ends the start.
fn found<T>(result: Result<T, StoreError>) -> Result<Found<T>, StartError> {
    match result {
        Err(error) if !error.is_damage() => Err(error.into()),
        found => Ok(found),
    }
}

/// The thread of the mind, before there is one: what is to wake it alone may already be put there as tasks.
pub(super) struct Home {
    thread: JoinHandle<()>,
    tasks: Handle,
    run: oneshot::Sender<BoxFuture<'static, ()>>,
}

impl Home {
    /// Starts the thread. It ends when the mind does, or when there will be none.
    pub(super) fn start() -> Result<Self, StartError> {
        let system = |source| StartError::System {
            what: "the engine's thread",
            source,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(system)?;
        let tasks = runtime.handle().clone();
        let (run, given) = oneshot::channel::<BoxFuture<'static, ()>>();
        let live = async {
            if let Ok(run) = given.await {
                run.await;
            }
        };
        let thread = std::thread::Builder::new()
            .name("engine".into())
            .spawn(move || runtime.block_on(live))
            .map_err(system)?;
        Ok(Self { thread, tasks, run })
    }

    /// Where tasks run.
    pub(super) const fn tasks(&self) -> &Handle {
        &self.tasks
    }

    fn give(self, run: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        // The thread waits for it.
        let _taken = self.run.send(Box::pin(run));
        self.thread
    }
}
