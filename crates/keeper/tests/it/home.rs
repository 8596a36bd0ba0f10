//! A keeper of one's own, and waiting for conditions with a bound.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use stead_keeper::wire::{End, Event, InstanceState, InstanceView, Notice, Reply, Request, SpawnOrder};
use stead_keeper::{ClientError, Session, logs};
use stead_model::spec::ProcessSpec;
use stead_model::{AgentId, Epoch, Incarnation, InstanceId, Namespace, ProcessIdentity, Slot, SpawnFailure};

use crate::skip;

pub(crate) const KEEPER: &str = env!("CARGO_BIN_EXE_stead-keeper-alone");
const BOUND: Duration = Duration::from_secs(120);

/// A state directory with a keeper. Both are gone afterwards, and all agents with them.
pub(crate) struct Home {
    dir: tempfile::TempDir,
    keeper: Option<Child>,
    options: &'static [&'static str],
    cgroup: Option<PathBuf>,
    epoch: u64,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// A keeper that makes a cgroup for each instance; none where it may not, which is said.
    pub(crate) fn with_cgroups() -> Option<Self> {
        let mut home = Self::new();
        if home.session().welcome.cgroups {
            return Some(home);
        }
        skip::without_root("the keeper may not make cgroups of version 2 here");
        None
    }

    /// A keeper that makes no cgroups, as on systems where it may not.
    pub(crate) fn without_cgroups() -> Self {
        Self::with(&["--no-cgroups"])
    }

    /// A keeper in this cgroup.
    pub(crate) fn in_cgroup(cgroup: &Path) -> Self {
        let mut home = Self::stopped(&[]);
        home.cgroup = Some(cgroup.join("cgroup.procs"));
        home.start();
        home
    }

    fn with(options: &'static [&'static str]) -> Self {
        let mut home = Self::stopped(options);
        home.start();
        home
    }

    fn stopped(options: &'static [&'static str]) -> Self {
        Self {
            dir: tempfile::Builder::new().prefix("stead-k").tempdir().unwrap(),
            keeper: None,
            options,
            cgroup: None,
            epoch: 0,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn agent_dir(&self, instance: InstanceId) -> PathBuf {
        stead_keeper::agent_dir(self.path(), instance.agent)
    }

    /// The FIFOs of an agent, and all notify sockets.
    pub(crate) fn made_for(&self, instance: InstanceId) -> Vec<String> {
        let names = |dir: PathBuf| {
            let entries = std::fs::read_dir(dir).into_iter().flatten();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap())
        };
        let fifos = names(self.agent_dir(instance)).filter(|name| name.ends_with(".out") || name.ends_with(".err"));
        fifos.chain(names(self.path().join("n"))).collect()
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = match &self.cgroup {
            Some(processes) => {
                let mut moved = Command::new("sh");
                moved
                    .args(["-c", "echo $$ > \"$0\" && exec \"$@\""])
                    .arg(processes)
                    .arg(KEEPER);
                moved
            }
            None => Command::new(KEEPER),
        };
        command
            .arg("keeper")
            .arg("--state-dir")
            .arg(self.path())
            .arg("--foreground");
        command.args(self.options);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        if std::env::var_os("SHOW_KEEPER").is_none() {
            command.stderr(Stdio::null());
        }
        command
    }

    pub(crate) fn start(&mut self) {
        assert!(self.keeper.is_none());
        self.keeper = Some(self.command().spawn().unwrap());
        until("the keeper answers", || stead_keeper::answers(self.dir.path()));
    }

    /// `kill -9` of the keeper.
    pub(crate) fn kill(&mut self) {
        let mut keeper = self.keeper.take().unwrap();
        keeper.kill().unwrap();
        keeper.wait().unwrap();
    }

    /// Waits until the keeper left by itself.
    pub(crate) fn left(&mut self) {
        let mut keeper = self.keeper.take().unwrap();
        until("the keeper leaves", || keeper.try_wait().unwrap().is_some());
    }

    pub(crate) fn keeper_pid(&self) -> u32 {
        self.keeper.as_ref().unwrap().id()
    }

    /// A session under an epoch that is higher than all before.
    pub(crate) fn session(&mut self) -> Session {
        self.epoch += 1;
        let session = Session::open(self.path(), Epoch(self.epoch));
        let ended = self.keeper.as_mut().map(|keeper| keeper.try_wait());
        let session = session.unwrap_or_else(|error| panic!("{error:?}; keeper: {ended:?}"));
        session.set_patience(Some(BOUND)).unwrap();
        session
    }

    /// Makes later sessions begin above an epoch that a test used by itself.
    pub(crate) fn session_epoch_at_least(&mut self, epoch: u64) {
        self.epoch = self.epoch.max(epoch);
    }

    /// The texts of all lines that an agent printed so far.
    pub(crate) fn printed(&self, instance: InstanceId) -> Vec<String> {
        let page = logs::read(&self.agent_dir(instance), logs::From::Start, usize::MAX).unwrap();
        page.lines.into_iter().map(|line| line.text).collect()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.keeper.is_none() {
            self.start();
        }
        let mut session = self.session();
        let live = |view: &InstanceView| matches!(view.state, InstanceState::Live { .. });
        for view in session.list().unwrap().into_iter().filter(live) {
            let _ended = session.ask(Request::KillTree {
                instance: view.instance,
            });
        }
        until("all agents are gone", || !session.list().unwrap().iter().any(live));
        for view in session.list().unwrap() {
            session.acknowledge(view.instance).unwrap();
        }
        session.ask(Request::Shutdown).unwrap();
        self.left();
    }
}

/// Waits for a condition, with a bound.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < BOUND, "not within {BOUND:?}: {what}");
        std::thread::sleep(Duration::from_millis(3));
    }
}

pub(crate) fn instance(agent: u64, incarnation: u64) -> InstanceId {
    InstanceId {
        agent: AgentId::new(Slot::try_from(7).unwrap(), agent),
        incarnation: Incarnation(incarnation),
    }
}

pub(crate) fn shell(script: &str) -> ProcessSpec {
    command(&["/bin/sh", "-c", script])
}

pub(crate) fn command(words: &[&str]) -> ProcessSpec {
    ProcessSpec {
        command: words.iter().map(|word| String::from(*word)).collect(),
        ..ProcessSpec::default()
    }
}

pub(crate) fn order(instance: InstanceId, spec: ProcessSpec) -> Request {
    Request::Spawn(Box::new(spawn_order(instance, spec)))
}

pub(crate) fn spawn_order(instance: InstanceId, spec: ProcessSpec) -> SpawnOrder {
    SpawnOrder {
        instance,
        name: format!("agent-{}", instance.agent.position()).parse().unwrap(),
        namespace: Namespace::default(),
        spec,
        env: BTreeMap::new(),
    }
}

/// What tests ask of a session, without the forms.
pub(crate) trait Shorthand {
    fn spawn(&mut self, instance: InstanceId, spec: ProcessSpec) -> ProcessIdentity;
    fn spawn_fails(&mut self, instance: InstanceId, spec: ProcessSpec) -> SpawnFailure;
    fn end(&mut self, instance: InstanceId) -> End;
    fn view(&mut self, instance: InstanceId) -> Option<InstanceView>;
    fn notices(&mut self, instance: InstanceId) -> Vec<Notice>;
    fn done(&mut self, request: Request);
    fn refused(&mut self, request: Request) -> stead_keeper::wire::Refusal;
}

impl Shorthand for Session {
    fn spawn(&mut self, instance: InstanceId, spec: ProcessSpec) -> ProcessIdentity {
        match self.ask(order(instance, spec)).unwrap() {
            Reply::Spawned { identity, .. } => identity,
            other => panic!("{other:?}"),
        }
    }

    fn spawn_fails(&mut self, instance: InstanceId, spec: ProcessSpec) -> SpawnFailure {
        match self.ask(order(instance, spec)).unwrap() {
            Reply::SpawnFailed { failure, .. } => failure,
            other => panic!("{other:?}"),
        }
    }

    fn end(&mut self, instance: InstanceId) -> End {
        loop {
            match self.next_event().unwrap() {
                Event::Exited { instance: ended, end } if ended == instance => return end,
                _ => {}
            }
        }
    }

    fn view(&mut self, instance: InstanceId) -> Option<InstanceView> {
        self.list().unwrap().into_iter().find(|view| view.instance == instance)
    }

    fn notices(&mut self, instance: InstanceId) -> Vec<Notice> {
        loop {
            match self.next_event().unwrap() {
                Event::Notified { instance: who, notices } if who == instance => return notices,
                _ => {}
            }
        }
    }

    fn done(&mut self, request: Request) {
        assert_eq!(self.ask(request).unwrap(), Reply::Done);
    }

    fn refused(&mut self, request: Request) -> stead_keeper::wire::Refusal {
        match self.ask(request) {
            Err(ClientError::Refused { code, .. }) => code,
            other => panic!("{other:?}"),
        }
    }
}

/// The cgroup of version 2 that a process is in.
pub(crate) fn cgroup_of(pid: i32) -> String {
    let all = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let path = all.lines().find_map(|line| line.strip_prefix("0::"));
    path.unwrap_or_default().to_owned()
}

/// Whether a process with this pid exists and is no zombie.
pub(crate) fn lives(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// Reads a number that an agent writes into a file, once it is whole.
pub(crate) fn number_in(path: &Path) -> i32 {
    let mut number = None;
    until("a number is written", || {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        number = text.strip_suffix('\n').and_then(|text| text.parse().ok());
        number.is_some()
    });
    number.unwrap()
}
