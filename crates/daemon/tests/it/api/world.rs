//! A whole API on a store in memory, behind it a pump that is played: simple rules, everything recorded.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, Response, StatusCode};
use futures_util::future::BoxFuture;
use serde_json::Value;
use stead_daemon::{
    ApiState, ApplyMode, ApplyOrder, Ask, ConfigApplied, ConfigCheck, ConfigDoor, ConfigFault, ConfigRevision,
    ConfigText, ConfigView, DaemonInfo, FleetText, Handle, Host, LogLine, LogReader, LogRequest, LogSource, LogStream,
    Part, Ports, ShutdownOrder, Status, Token, Views, router,
};
use stead_model::journal::{Append, Durability};
use stead_model::{
    AgentId, AgentRef, AgentSpec, AgentView, Answer, BeatAnswer, BeatHandle, BeatOutcome, Command, Event, Explanation,
    Foresight, Happening, Health, Incarnation, Intent, LifecycleView, Namespace, Origin, Outcome, Problem, ProblemCode,
    Refusal, Remedy, Request as Asked, Revision, Slot, Span, Transition, Wall, Wanted,
};
use stead_model::{DegradationAnswer, DegradationView};
use stead_store::{Lease, MemoryStore, Owner, Store};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub(crate) const NOON: &str = "2026-11-22T12:00:00Z";

/// Everything around one API.
pub(crate) struct World {
    pub(crate) router: axum::Router,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) views: Arc<Views>,
    pub(crate) status: Arc<Status>,
    pub(crate) closing: CancellationToken,
    pub(crate) seen: Arc<Mutex<Seen>>,
    committed: watch::Sender<u64>,
    slot: (Slot, stead_model::Epoch),
}

/// What reached the other side of the API.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) commands: Vec<Command>,
    pub(crate) beats: Vec<stead_model::Beat>,
    pub(crate) orders: Vec<ShutdownOrder>,
    pub(crate) applied: Vec<(String, ApplyMode, Origin)>,
    pub(crate) lines: Vec<LogLine>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The status and code of a problem, which must be one in every respect.
    pub(crate) fn problem(&self) -> (u16, String) {
        let problem = self.json();
        assert_eq!(self.header("content-type"), "application/problem+json", "{problem}");
        assert_eq!(problem["status"], self.status.as_u16(), "{problem}");
        assert_eq!(problem["correlation_id"], self.header("x-correlation-id"), "{problem}");
        let code = problem["code"].as_str().unwrap().to_owned();
        assert_eq!(problem["type"], format!("urn:stead:problem:{code}"));
        (self.status.as_u16(), code)
    }

    pub(crate) fn detail(&self) -> String {
        self.json()["detail"].as_str().unwrap_or_default().to_owned()
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut ApiState)) -> Self {
        let (asks, asked) = mpsc::channel(64);
        let (committed, commits) = watch::channel(0);
        let (views, status) = (Arc::new(Views::default()), Arc::new(Status::default()));
        status.update(|report| {
            (report.store, report.keeper, report.adopted) = (Part::Up, Part::Up, Part::Up);
        });
        let store = Arc::new(MemoryStore::new(Box::new(|_| {})));
        let slot = Slot::try_from(7).unwrap();
        let slot = store
            .take(&[slot], &Owner::new("test"), Lease::unending(Wall::default()))
            .unwrap()[0];
        let seen = Arc::new(Mutex::new(Seen::default()));
        let closing = CancellationToken::new();
        let handle = Handle::new(
            asks,
            Arc::clone(&views),
            Arc::clone(&store) as _,
            commits,
            Arc::clone(&status),
        );
        let mut state = ApiState {
            handle,
            ports: ports(&seen),
            token: None,
            listen: "127.0.0.1:7878".parse().unwrap(),
            hosts: vec![],
            closing: closing.clone(),
        };
        change(&mut state);
        tokio::spawn(pump(asked, Arc::clone(&views), Arc::clone(&seen)));
        Self {
            router: router(state),
            store,
            views,
            status,
            closing,
            seen,
            committed,
            slot,
        }
    }

    pub(crate) async fn stream(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let (parts, body) = self.stream(request).await.into_parts();
        let bytes = to_bytes(body, 64 << 20).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Reply {
            status: parts.status,
            headers: parts.headers,
            text,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(get(path).body(Body::empty()).unwrap()).await
    }

    /// Sends JSON.
    pub(crate) async fn json(&self, method: &str, path: &str, body: &str) -> Reply {
        self.send(json(method, path).body(Body::from(body.to_owned())).unwrap())
            .await
    }

    /// Makes an agent known that runs nothing.
    pub(crate) async fn agent(&self, name: &str) -> AgentView {
        let made = self
            .json("POST", "/api/v1/agents", &format!(r#"{{"name":"{name}"}}"#))
            .await;
        assert_eq!(made.status, 201, "{}", made.text);
        serde_json::from_str(&made.text).unwrap()
    }

    /// Commits rows of history and events, and tells so as the pump does.
    pub(crate) fn commit(&self, transitions: Vec<Transition>, events: Vec<Event>) {
        let (slot, epoch) = self.slot;
        let position = self.store.load(slot).unwrap().position.next();
        let append = Append {
            slot,
            epoch,
            first: position,
            position,
            durability: Durability::Flushed,
            changes: vec![],
            transitions,
            events,
        };
        self.store.submit(append);
        assert_eq!(self.store.pump(), 1);
        assert_eq!(
            self.store.load(slot).unwrap().position,
            position,
            "the store refused the append"
        );
        self.committed.send_modify(|count| *count += 1);
    }

    pub(crate) fn last_command(&self) -> Command {
        self.seen.lock().unwrap().commands.last().unwrap().clone()
    }
}

pub(crate) fn get(path: &str) -> axum::http::request::Builder {
    Request::get(path)
}

pub(crate) fn json(method: &str, path: &str) -> axum::http::request::Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
}

pub(crate) fn event(agent: AgentId, task: u64) -> Event {
    Event {
        at: NOON.parse().unwrap(),
        namespace: Namespace::default(),
        agent,
        name: "web".parse().unwrap(),
        group: None,
        revision: Revision(task),
        actor: "ada".into(),
        correlation_id: format!("c-{task}"),
        trace_id: None,
        what: Happening::TaskAssigned {
            task: task.to_string(),
            in_flight: 1,
        },
    }
}

pub(crate) fn view(id: AgentId, command: &Command, name: &str, spec: &AgentSpec, wanted: Wanted) -> AgentView {
    AgentView {
        id,
        name: name.parse().unwrap(),
        namespace: command.namespace.clone(),
        profile: spec.profile.clone().into(),
        kind: spec.kind.clone(),
        phase: if spec.profile == "component" {
            "initializing"
        } else {
            "registered"
        }
        .into(),
        since: NOON.parse().unwrap(),
        health: Health::Unknown,
        ready: false,
        intent: wanted,
        pause: None,
        incarnation: Incarnation(0),
        pid: None,
        restarts: 0,
        tasks: 0,
        revision: Revision(1),
        spec_revision: 1,
        restart_pending: false,
        group: None,
        labels: spec.labels.clone(),
        conditions: vec![],
        evidence: vec![],
        next: None,
    }
}

/// Plays the engine: agents change at once, one revision at a time.
async fn pump(mut asked: mpsc::Receiver<Ask>, views: Arc<Views>, seen: Arc<Mutex<Seen>>) {
    let mut specs = BTreeMap::<AgentId, (u32, Arc<AgentSpec>)>::new();
    while let Some(ask) = asked.recv().await {
        let find = |namespace: &Namespace, agent: &AgentRef| {
            let found = views.get(namespace, agent).filter(|view| view.namespace == *namespace);
            found.ok_or_else(|| Refusal::Unknown(agent.to_string()))
        };
        match ask {
            Ask::Command(command, back) => {
                seen.lock().unwrap().commands.push(Command::clone(&command));
                let _left = back.send(carry_out(*command, &views, &mut specs, find).map_err(Problem::from));
            }
            Ask::Group(command, back) => {
                let _left = back.send(Err(Refusal::UnknownGroup(command.group.to_string()).into()));
            }
            Ask::Degradation(command, back) => {
                let degradation = DegradationView::full(command.namespace);
                let outcome = Outcome::Accepted;
                let _left = back.send(Ok(DegradationAnswer { outcome, degradation }));
            }
            Ask::Features(..) | Ask::Load(..) => {}
            Ask::GroupSpec(_, group, back) => {
                let _left = back.send(Err(Refusal::UnknownGroup(group.to_string()).into()));
            }
            Ask::Rollout(_, group, back) => {
                let _left = back.send(Err(Refusal::UnknownGroup(group.to_string()).into()));
            }
            Ask::Configure(_, back) | Ask::CouldConfigure(_, _, back) | Ask::Could(_, _, back) => {
                drop(back.send(Ok(())));
            }
            Ask::Halted(back) => drop(back.send(Ok(vec![]))),
            Ask::Beat(beat, back) => {
                let stead_model::BeatOf::Named(named) = &beat.of else {
                    panic!("single beats are of somebody with a name");
                };
                let found = find(&named.0, &named.1).map_err(Problem::from);
                let heard = found.map(|view| heard(&view));
                seen.lock().unwrap().beats.push(*beat);
                let _left = back.send(heard);
            }
            Ask::Vitals(back) => drop(back.send(Ok(Vec::new()))),
            Ask::Beats(beats, _, back) => {
                let answers = beats.iter().map(|beat| match &beat.of {
                    stead_model::BeatOf::Named(named) => {
                        find(&named.0, &named.1).map_or(BeatAnswer::refused(BeatOutcome::Unknown), |view| heard(&view))
                    }
                    stead_model::BeatOf::Id(_) | stead_model::BeatOf::Handle(_) => {
                        BeatAnswer::refused(BeatOutcome::Unknown)
                    }
                });
                let answers = answers.collect();
                seen.lock().unwrap().beats.extend(beats);
                let _left = back.send(Ok(answers));
            }
            Ask::Explain(namespace, agent, back) => {
                let _left = back.send(
                    find(&namespace, &agent)
                        .map(|view| explanation(&view))
                        .map_err(Problem::from),
                );
            }
            Ask::Foresee(namespace, agent, failure, back) => {
                let foreseen = find(&namespace, &agent).map(|view| Foresight {
                    agent: view.id,
                    namespace: view.namespace.clone(),
                    name: view.name.clone(),
                    failure,
                    would: Remedy::Restart,
                    after: Some(Span::default()),
                    why: "restart 1 of 5 within 10m".into(),
                });
                let _left = back.send(foreseen.map_err(Problem::from));
            }
            Ask::Lifecycle(namespace, agent, back) => {
                let view = |view: Arc<AgentView>| LifecycleView {
                    current_state: view.phase.clone(),
                    valid_transitions: vec!["deploying".into(), "deleted".into()],
                    is_operational: false,
                    is_available_for_tasks: false,
                    is_in_error_state: false,
                    is_in_maintenance: false,
                    states: vec![],
                };
                let _left = back.send(find(&namespace, &agent).map(view).map_err(Problem::from));
            }
            Ask::Spec(namespace, agent, back) => {
                let spec = |view: Arc<AgentView>| (view.id, specs[&view.id].0, Arc::clone(&specs[&view.id].1));
                let _left = back.send(find(&namespace, &agent).map(spec).map_err(Problem::from));
            }
        }
    }
}

fn carry_out(
    command: Command,
    views: &Views,
    specs: &mut BTreeMap<AgentId, (u32, Arc<AgentSpec>)>,
    find: impl Fn(&Namespace, &AgentRef) -> Result<Arc<AgentView>, Refusal>,
) -> Result<Answer, Refusal> {
    let answer = |outcome, agent: AgentView| {
        views.publish(agent.clone());
        Ok(Answer {
            outcome,
            agent,
            correlation_id: command.origin.correlation_id.clone(),
        })
    };
    if let Asked::Register { spec, wanted } = &command.request {
        let AgentRef::Name(name) = &command.agent else {
            panic!("registered by id");
        };
        if let Ok(taken) = find(&command.namespace, &command.agent) {
            return Err(Refusal::Duplicate {
                name: name.clone(),
                id: taken.id,
            });
        }
        let id = AgentId::new(Slot::try_from(7).unwrap(), specs.len() as u64 + 1);
        specs.insert(id, (1, Arc::from(spec.clone())));
        return answer(Outcome::Created, view(id, &command, name.as_str(), spec, *wanted));
    }
    let mut agent = AgentView::clone(&*find(&command.namespace, &command.agent)?);
    if let Some(expected) = command.expected.filter(|expected| *expected != agent.revision) {
        return Err(Refusal::Stale {
            expected,
            current: agent.revision,
        });
    }
    agent.revision = agent.revision.next();
    let wanted = match &command.request {
        Asked::Register { .. } => unreachable!("answered above"),
        Asked::Respec { spec } => {
            agent.spec_revision += 1;
            specs.insert(agent.id, (agent.spec_revision, Arc::from(spec.clone())));
            agent.intent
        }
        Asked::Update { .. } | Asked::Scale { .. } => agent.intent,
        Asked::Pause { .. } => Wanted::Paused,
        Asked::Want(Wanted::Maintenance) => {
            let possible = vec!["deploying".into(), "deleted".into()];
            return Err(Refusal::NotPossible {
                verb: "maintenance",
                phase: "registered".into(),
                possible,
                verbs: vec!["start", "stop", "delete"],
            });
        }
        Asked::Want(wanted) => *wanted,
        Asked::Resume | Asked::Restart => Wanted::Running,
        Asked::Drain { .. } => Wanted::Stopped,
        Asked::Halt | Asked::Lift | Asked::Deploy | Asked::Reset | Asked::ReportError { .. } => agent.intent,
        Asked::Assign { .. } | Asked::Complete { .. } => {
            agent.tasks += 1;
            agent.intent
        }
    };
    let outcome = if wanted == agent.intent {
        Outcome::Already
    } else {
        Outcome::Accepted
    };
    agent.intent = wanted;
    answer(outcome, agent)
}

fn explanation(view: &AgentView) -> Explanation {
    Explanation {
        features_off: Vec::new(),
        agent: view.clone(),
        summary: format!("{} is known and was never started", view.name),
        intent: Intent {
            wanted: view.intent,
            actor: "ada".into(),
            at: NOON.parse().unwrap(),
            reason: None,
            correlation_id: "c-1".into(),
            pause: None,
        },
        verdict: "satisfied".into(),
        waiting_for: vec![],
        next: vec![],
        failure: None,
        attempts: vec![],
        restart_budget: stead_model::RestartBudget {
            used: 0,
            max: 5,
            period: "10m".parse().unwrap(),
            policy: stead_model::spec::RestartPolicy::Always,
        },
        clears: vec![],
        last_exit: None,
        last_output: vec![],
        history: vec![],
    }
}

fn ports(seen: &Arc<Mutex<Seen>>) -> Ports {
    let player = Arc::new(Player(Arc::clone(seen)));
    Ports {
        host: player.clone(),
        logs: player.clone(),
        config: player,
    }
}

struct Player(Arc<Mutex<Seen>>);

impl Host for Player {
    fn now(&self) -> Wall {
        NOON.parse().unwrap()
    }

    fn info(&self) -> DaemonInfo {
        DaemonInfo {
            version: "0.1.0".into(),
            pid: 42,
            started_at: NOON.parse().unwrap(),
            state_dir: "/var/lib/stead".into(),
            listen: "127.0.0.1:7878".into(),
            keeper_pid: Some(43),
        }
    }

    fn shut_down(&self, order: ShutdownOrder) {
        assert_ne!(order.reason.as_deref(), Some("panic"), "as the test wishes");
        self.0.lock().unwrap().orders.push(order);
    }
}

impl ConfigDoor for Player {
    fn deadlines_of(&self, _: &str) -> stead_model::spec::Deadlines {
        stead_model::spec::Deadlines::default()
    }

    fn view(&self) -> ConfigView {
        ConfigView {
            fleet_file: Some("/srv/fleet.toml".into()),
            namespace: Namespace::default(),
            agents: 2,
            hash: "abc".into(),
            applied_at: Some(NOON.parse().unwrap()),
            ..ConfigView::default()
        }
    }

    fn check(&self, document: &FleetText) -> ConfigCheck {
        let toml = document.toml.as_str();
        let fault = ConfigFault {
            line: 1,
            column: 3,
            message: toml.to_owned(),
            help: None,
        };
        ConfigCheck {
            valid: toml == "good",
            problems: if toml == "good" { vec![] } else { vec![fault] },
        }
    }

    fn apply(
        &self,
        FleetText { toml, .. }: FleetText,
        order: ApplyOrder,
        origin: Origin,
    ) -> BoxFuture<'_, Result<ConfigApplied, Problem>> {
        Box::pin(async move {
            if toml != "good" {
                let mut problem = Problem::new(ProblemCode::InvalidConfig, "1 fault");
                problem.errors = vec!["1:3: bad".into()];
                return Err(problem);
            }
            self.0.lock().unwrap().applied.push((toml, order.mode, origin));
            Ok(ConfigApplied {
                added: vec!["web".parse().unwrap()],
                ..ConfigApplied::default()
            })
        })
    }

    fn revisions(&self) -> Result<Vec<ConfigRevision>, Problem> {
        Ok(Vec::new())
    }

    fn revision(&self, revision: u64) -> Result<ConfigText, Problem> {
        Err(Problem::new(ProblemCode::NotFound, revision.to_string()))
    }

    fn roll_back(&self, _: u64, _: ApplyOrder, _: Origin) -> BoxFuture<'_, Result<ConfigApplied, Problem>> {
        Box::pin(async { Ok(ConfigApplied::default()) })
    }

    fn reload(&self, _: ApplyOrder, _: Origin) -> BoxFuture<'_, Result<ConfigApplied, Problem>> {
        Box::pin(async { Ok(ConfigApplied::default()) })
    }
}

impl LogSource for Player {
    fn open(&self, request: &LogRequest) -> io::Result<Box<dyn LogReader>> {
        let wanted = |line: &LogLine| {
            request.since.is_none_or(|since| line.at >= since)
                && request.stream.is_none_or(|stream| line.stream == stream)
        };
        let fitting = self.0.lock().unwrap().lines.iter().filter(|line| wanted(line)).count();
        Ok(Box::new(Reader {
            seen: Arc::clone(&self.0),
            request: request.clone(),
            at: fitting.saturating_sub(request.tail),
        }))
    }
}

struct Reader {
    seen: Arc<Mutex<Seen>>,
    request: LogRequest,
    at: usize,
}

impl LogReader for Reader {
    fn read(&mut self, most: usize) -> io::Result<Vec<LogLine>> {
        let wanted = |line: &&LogLine| {
            self.request.since.is_none_or(|since| line.at >= since)
                && self.request.stream.is_none_or(|stream| line.stream == stream)
        };
        let seen = self.seen.lock().unwrap();
        let lines: Vec<_> = seen
            .lines
            .iter()
            .filter(wanted)
            .skip(self.at)
            .take(most)
            .cloned()
            .collect();
        self.at += lines.len();
        Ok(lines)
    }
}

pub(crate) fn line(number: u64, stream: LogStream) -> LogLine {
    LogLine {
        at: Wall::from_unix_millis(NOON.parse::<Wall>().unwrap().unix_millis() + i64::try_from(number).unwrap()),
        stream,
        incarnation: Incarnation(1),
        line: format!("line {number}"),
    }
}

pub(crate) fn token() -> Token {
    Token::new("0123456789abcdef").unwrap()
}

/// The answer to a beat of somebody who is there.
fn heard(view: &AgentView) -> BeatAnswer {
    BeatAnswer {
        outcome: BeatOutcome::Accepted,
        handle: Some(BeatHandle(1)),
        incarnation: view.incarnation,
        next_in: Span::secs(5),
    }
}
