//! What the embedded store reaches on this machine: `cargo bench -p stead-store`. Set `STEAD_BENCH_DIR` to choose the disk,
//! `STEAD_BENCH_AGENTS` to load more.
#![expect(clippy::print_stdout, reason = "its output is its purpose")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark that fails shall stop")]

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use stead_model::journal::{AgentRow, Append, Change, Durability, RecoveryRow, SlotState, SpecRow};
use stead_model::{
    AgentId, AgentSpec, Epoch, Event, Happening, Health, Incarnation, Intent, Namespace, Position, Reason, Revision,
    Sequence, Slot, Transition, Wall, Wanted,
};
use stead_store::{Completion, Holder, Lease, Loader, Options, Owner, SqliteStore, StateDir, Store};

fn main() {
    // `cargo test` runs this too; it has nothing to test.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let scratch = match std::env::var_os("STEAD_BENCH_DIR") {
        Some(directory) => tempfile::tempdir_in(directory).unwrap(),
        None => tempfile::tempdir_in(".").unwrap(),
    };
    println!("each append: one agent's row, one row of history, one event");
    one_at_a_time(&scratch.path().join("single"), Durability::Written, 5_000);
    one_at_a_time(&scratch.path().join("single"), Durability::Flushed, 1_000);
    for in_flight in [64, 1_000] {
        in_parallel(&scratch.path().join("parallel"), Durability::Flushed, in_flight, 20_000);
        in_parallel(&scratch.path().join("parallel"), Durability::Written, in_flight, 20_000);
    }
    let agents = std::env::var("STEAD_BENCH_AGENTS").map_or(100_000, |number| number.parse().unwrap());
    loading(&scratch.path().join("loading"), agents);
}

struct Bench {
    store: SqliteStore,
    completions: Receiver<Instant>,
    epoch: Epoch,
    positions: Vec<u64>,
}

impl Bench {
    fn open(directory: &Path) -> Self {
        let holder = Holder {
            pid: std::process::id(),
            listen: None,
            started_at: Wall::default(),
            away_since: None,
        };
        let (told, completions) = channel();
        let sink = Box::new(move |completion| match completion {
            Completion::Committed(_) => told.send(Instant::now()).unwrap(),
            Completion::Failed { error, .. } | Completion::Damaged { error } => panic!("{error}"),
        });
        let store = SqliteStore::open(StateDir::lock(directory, &holder).unwrap(), Options::default(), sink).unwrap();
        let slots: Vec<Slot> = Slot::all().collect();
        let epoch = store
            .take(&slots, &Owner::new("bench"), Lease::unending(Wall::default()))
            .unwrap()[0]
            .1;
        let mut positions = Vec::new();
        store
            .load_all(&slots, &mut |state| positions.push(state.position.0))
            .unwrap();
        Self {
            store,
            completions,
            epoch,
            positions,
        }
    }

    fn submit(&mut self, number: u64, durability: Durability) {
        let slot = Slot::try_from(u16::try_from(number % 1_024).unwrap()).unwrap();
        let position = &mut self.positions[usize::from(slot.number())];
        *position += 1;
        self.store.submit(moving(slot, self.epoch, *position, durability));
    }
}

fn one_at_a_time(directory: &Path, durability: Durability, count: u64) {
    let mut bench = Bench::open(directory);
    let mut waits: Vec<Duration> = (0..count)
        .map(|number| {
            let start = Instant::now();
            bench.submit(number, durability);
            bench.completions.recv().unwrap().duration_since(start)
        })
        .collect();
    waits.sort();
    let at = |share: usize| waits[(waits.len() - 1) * share / 100];
    println!(
        "{durability:?}, one at a time: p50 {:?}, p90 {:?}, p99 {:?}, max {:?}",
        at(50),
        at(90),
        at(99),
        at(100)
    );
}

fn in_parallel(directory: &Path, durability: Durability, in_flight: u64, count: u64) {
    let mut bench = Bench::open(directory);
    let start = Instant::now();
    let mut under_way: VecDeque<Instant> = VecDeque::new();
    let mut waited = Duration::ZERO;
    let mut commits = 0_u32;
    let mut last = start;
    for number in 0..count + in_flight {
        if number < count {
            under_way.push_back(Instant::now());
            bench.submit(number, durability);
        }
        if number >= in_flight {
            let done = bench.completions.recv().unwrap();
            waited += done.duration_since(under_way.pop_front().unwrap());
            // Completions of one commit come close together; a commit of several takes longer than this.
            commits += u32::from(done.duration_since(last) > Duration::from_micros(150));
            last = done;
        }
    }
    let whole = start.elapsed();
    println!(
        "{durability:?}, {in_flight} in flight: {:.0} appends/s, about {:.0} per commit, mean wait {:?}",
        count as f64 / whole.as_secs_f64(),
        count as f64 / f64::from(commits.max(1)),
        waited / u32::try_from(count).unwrap()
    );
}

fn loading(directory: &Path, agents: u64) {
    let mut bench = Bench::open(directory);
    for number in 0..1_024 {
        let slot = Slot::try_from(u16::try_from(number).unwrap()).unwrap();
        let changes = (0..agents.div_ceil(1_024)).flat_map(|index| {
            let id = AgentId::new(slot, index + 1);
            [Change::Agent(Box::new(row(id, 1))), Change::Spec(Box::new(spec(id)))]
        });
        bench.positions[number] += 1;
        bench.store.submit(Append {
            changes: changes.collect(),
            transitions: Vec::new(),
            events: Vec::new(),
            ..moving(slot, bench.epoch, bench.positions[number], Durability::Written)
        });
    }
    for _ in 0..1_024 {
        bench.completions.recv().unwrap();
    }
    drop(bench);
    let bench = Bench::open(directory);
    let start = Instant::now();
    let slots: Vec<Slot> = Slot::all().collect();
    let (mut one, mut other) = (Counts(0), Counts(0));
    bench.store.load_into(&slots, &mut [&mut one, &mut other]).unwrap();
    println!(
        "load {} agents with their specs: {:?}",
        one.0 + other.0,
        start.elapsed()
    );
}

struct Counts(usize);

impl Loader for Counts {
    fn begin(&mut self, _: SlotState) {}

    fn agent(&mut self, _: AgentRow, _: Option<Arc<AgentSpec>>) {
        self.0 += 1;
    }

    fn end(&mut self) {}
}

fn moving(slot: Slot, epoch: Epoch, position: u64, durability: Durability) -> Append {
    let id = AgentId::new(slot, 1);
    let row = row(id, position);
    let transition = Transition {
        sequence: row.sequence,
        agent: id,
        namespace: row.namespace.clone(),
        name: row.name.clone(),
        group: None,
        incarnation: row.incarnation,
        from: "error".into(),
        to: "failed".into(),
        at: row.phase_since,
        reason: Reason::Crash,
        description: "killed by SIGKILL".into(),
        triggered_by: "stead".into(),
        via: false,
        correlation_id: row.correlation_id.clone(),
        trace_id: None,
        metadata: serde_json::Map::new(),
    };
    let event = Event {
        at: row.phase_since,
        namespace: row.namespace.clone(),
        agent: id,
        name: row.name.clone(),
        group: None,
        revision: row.revision,
        actor: "stead".into(),
        correlation_id: row.correlation_id.clone(),
        trace_id: None,
        what: Happening::PhaseChanged {
            sequence: row.sequence,
            from: "error".into(),
            to: "failed".into(),
            reason: Reason::Crash,
            description: "killed by SIGKILL".into(),
            via: false,
        },
    };
    Append {
        slot,
        epoch,
        first: Position(position),
        position: Position(position),
        durability,
        changes: vec![Change::Agent(Box::new(row))],
        transitions: vec![transition],
        events: vec![event],
    }
}

fn row(id: AgentId, position: u64) -> AgentRow {
    let at = Wall::from_unix_millis(1_760_000_000_000);
    AgentRow {
        id,
        namespace: Namespace::default(),
        name: format!("agent-{}-{}", id.slot(), id.position()).parse().unwrap(),
        boot: 7,
        profile: "agent".into(),
        revision: Revision(position),
        phase: "failed".into(),
        phase_since: at,
        sequence: Sequence(position),
        intent: Intent {
            wanted: Wanted::Running,
            actor: "bench".into(),
            at,
            reason: None,
            correlation_id: "0-1-1".into(),
            pause: None,
        },
        health: Health::Failed,
        claim: None,
        vital: None,
        health_since: at,
        ready: false,
        conditions: Vec::new(),
        evidence: Vec::new(),
        spec_revision: 1,
        incarnation: Incarnation(position),
        incarnations_reserved: Incarnation(position + 16),
        instance: None,
        last_exit: None,
        restarts: position,
        restart_wanted: false,
        halted: false,
        halt_reason: None,
        renewal: None,
        recovery: RecoveryRow::default(),
        deadline: None,
        tasks: Vec::new(),
        correlation_id: "0-1-1".into(),
        expiry: None,
        frozen: false,
        word: None,
        asked: Vec::new(),
        member: None,
        draining: false,
        drain: None,
        removed: false,
    }
}

fn spec(id: AgentId) -> SpecRow {
    SpecRow {
        agent: id,
        revision: 1,
        actor: "bench".into(),
        at: Wall::default(),
        spec: AgentSpec::reporting("agent"),
    }
}
