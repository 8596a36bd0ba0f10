//! Stories as text: `at 5s exit web code=1`, one happening a line, and what is expected then.

use std::time::Duration;

use stead_model::group::GroupRequest;
use stead_model::spec::ProbeKind;
use stead_model::{
    AgentSpec, Exit, IdempotencyKey, Notice, Observation, PauseMode, Report, Request, Revision, Signal, Span, Wanted,
};
use stead_sim::{Crash, World};

/// A story is a test whose transcript is kept.
macro_rules! stories {
    ($($name:ident: $story:literal;)*) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!(play($story));
        }
    )*};
}
pub(crate) use stories;

/// Plays a story and gives its transcript. A line that expects something fails the test where it does not hold.
pub(crate) fn play(story: &str) -> String {
    play_in(1, story)
}

/// Plays a story with its agents spread over so many engines.
pub(crate) fn play_in(engines: usize, story: &str) -> String {
    let lines: Vec<Line<'_>> = story.lines().filter_map(Line::read).collect();
    let mut names: Vec<String> = lines.iter().map(|line| line.name.to_owned()).collect();
    for group in lines.iter().filter(|line| line.verb == "create-group") {
        names.extend((1..=MOST_REPLICAS).map(|ordinal| format!("{}-{ordinal}", group.name)));
    }
    let names: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| !name.is_empty())
        .collect();
    let mut world = World::new(engines, &names);
    for line in lines {
        world.run_until(line.at);
        line.play(&mut world);
        world.settle();
    }
    world.check_history().unwrap();
    world.transcript()
}

/// How many replicas a group of a story has at most.
const MOST_REPLICAS: u32 = 8;

struct Line<'a> {
    at: Duration,
    verb: &'a str,
    name: &'a str,
    rest: &'a str,
}

impl<'a> Line<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let mut words = line.splitn(5, ' ');
        assert_eq!(words.next(), Some("at"), "{line}");
        let at: Span = words.next().unwrap().parse().unwrap();
        let verb = words.next().unwrap();
        let world = matches!(
            verb,
            "crash" | "up" | "sync" | "lose-keeper" | "fault" | "stop-daemon-for"
        );
        let name = if world { "" } else { words.next().unwrap_or("") };
        let rest = words.next().unwrap_or("");
        Some(Self {
            at: at.0,
            verb,
            name,
            rest,
        })
    }

    fn play(&self, world: &mut World) {
        let Self { verb, name, rest, .. } = *self;
        match verb {
            "register" | "declare" => {
                let wanted = if verb == "register" {
                    Wanted::Running
                } else {
                    Wanted::Stopped
                };
                self.request(
                    world,
                    Request::Register {
                        spec: Box::new(spec(rest)),
                        wanted,
                    },
                );
            }
            "respec" => self.request(
                world,
                Request::Respec {
                    spec: Box::new(spec(rest)),
                },
            ),
            "create-group" | "update-group" | "scale-group" | "undo-group" | "restart-group" | "stop-group"
            | "start-group" | "pause-group" | "freeze-group" | "resume-group" | "reset-group" | "drain-group"
            | "delete-group" => {
                world.request_of_group(name, group_request(verb, rest));
            }
            "expect-group" => self.expect_group(world),
            "crash" => {
                world.crash(match rest_or(self.name, rest) {
                    "daemon" => Crash::Daemon,
                    "keeper" => Crash::DaemonAndKeeper,
                    _ => Crash::Power { keep: 0 },
                });
            }
            "up" => world.start(),
            "sync" => world.sync(),
            "lose-keeper" => world.lose_keeper(),
            "stop-daemon-for" => {
                let span: Span = rest.parse().unwrap();
                world.pass(span.0);
            }
            "expect" => self.expect(world),
            "why" => {
                let why = world.explain(name).unwrap();
                world.tell(format!("why {name}: {}", why.summary));
                for next in why.next {
                    let at = next.at.map_or_else(|| "then".to_owned(), |at| at.to_string());
                    world.tell(format!("    next {at} {}", next.what));
                }
                why.clears
                    .iter()
                    .for_each(|clear| world.tell(format!("    clears {clear}")));
                why.waiting_for
                    .iter()
                    .for_each(|other| world.tell(format!("    waits until {other}")));
            }
            "exit" | "late-exit" | "late-notice" | "plant" | "notify" | "probe" | "report" => self.happen(world),
            _ => self.request(world, request(verb, rest)),
        }
    }

    /// Has something happen to the agent's run.
    fn happen(&self, world: &mut World) {
        let Self { verb, name, rest, .. } = *self;
        let mut instance = world.instance(name).unwrap();
        match verb {
            "exit" => {
                let exit = match rest.split_once('=') {
                    Some(("code", code)) => Exit::Code {
                        code: code.parse().unwrap(),
                    },
                    Some(("signal", signal)) => Exit::Signal {
                        signal: signal.parse::<Signal>().unwrap(),
                        core: false,
                    },
                    _ => Exit::OutOfMemory,
                };
                world.end(instance, exit);
            }
            "late-exit" => {
                instance.incarnation.0 -= 1;
                world.observe(Observation::Exited {
                    instance,
                    exit: Exit::Code { code: 9 },
                    swept: 0,
                });
            }
            "late-notice" => {
                instance.incarnation.0 -= 1;
                world.observe(Observation::Notified {
                    instance,
                    notice: Notice::WatchdogTrigger,
                });
            }
            "plant" => {
                instance.incarnation.0 += rest.parse::<u64>().unwrap();
                world.plant(instance);
            }
            "notify" => {
                world.notify(instance, notice(rest));
            }
            "probe" => {
                let (kind, result) = rest.split_once(' ').unwrap();
                let kind = match kind {
                    "startup" => ProbeKind::Startup,
                    "liveness" => ProbeKind::Liveness,
                    _ => ProbeKind::Readiness,
                };
                let result = if result == "ok" {
                    Ok(())
                } else {
                    Err("connection refused".to_owned())
                };
                world.observe(Observation::Probed { instance, kind, result });
            }
            _report => {
                let health = serde_json::from_value(serde_json::Value::from(rest)).ok();
                let agent = world.view(name).unwrap().id;
                let report = Report {
                    health,
                    ..Report::default()
                };
                world.observe(Observation::Reported { agent, report });
            }
        }
    }

    /// Hands in a request, with `if=REVISION` and `key=KEY:FINGERPRINT` taken off its words.
    fn request(&self, world: &mut World, request: Request) {
        let word = |key: &str| {
            self.rest
                .split(' ')
                .find_map(|word| word.strip_prefix(key).map(str::to_owned))
        };
        let expected = word("if=").map(|revision| Revision(revision.parse().unwrap()));
        let key = word("key=").map(|key| {
            let (key, fingerprint) = key.split_once(':').unwrap();
            IdempotencyKey {
                key: key.to_owned(),
                fingerprint: fingerprint.parse().unwrap(),
            }
        });
        world.request_with(self.name, request, expected, key);
    }

    fn expect_group(&self, world: &World) {
        let what = format!("`{}` of group {}\n{}", self.rest, self.name, world.transcript());
        if self.rest == "nobody" {
            assert!(world.group(self.name).is_none(), "{what}");
            return;
        }
        let view = serde_json::to_value(world.group(self.name).expect("a group")).unwrap();
        for word in self.rest.split(' ') {
            let (key, wanted) = word.split_once('=').expect("key=value");
            let found = match key {
                "rollout" => &view["rollout"]["state"],
                key => &view[key],
            };
            let found = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
            assert_eq!(found, wanted, "{what}");
        }
    }

    fn expect(&self, world: &World) {
        let what = format!("`{}` of {}\n{}", self.rest, self.name, world.transcript());
        if self.rest == "nobody" {
            assert!(world.view(self.name).is_none(), "{what}");
            return;
        }
        let view = serde_json::to_value(world.view(self.name).expect("an agent")).unwrap();
        for (key, wanted) in self
            .rest
            .split(' ')
            .map(|word| word.split_once('=').expect("key=value"))
        {
            let found = match &view[key] {
                serde_json::Value::String(text) => text.clone(),
                serde_json::Value::Array(items) if key == "conditions" => {
                    let words: Vec<&str> = items.iter().map(|item| item["condition"].as_str().unwrap()).collect();
                    words.join(",")
                }
                other => other.to_string(),
            };
            assert_eq!(found, wanted, "{what}");
        }
    }
}

fn rest_or<'a>(name: &'a str, rest: &'a str) -> &'a str {
    if rest.is_empty() { name } else { rest }
}

/// The spec in JSON; words behind it are not its own.
fn spec(text: &str) -> AgentSpec {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<AgentSpec>();
    stream.next().expect("a spec").unwrap()
}

fn group_request(verb: &str, rest: &str) -> GroupRequest {
    let spec = || Box::new(serde_json::from_str(rest).expect("a group's spec"));
    match verb {
        "create-group" => GroupRequest::Create {
            spec: spec(),
            wanted: Wanted::Running,
        },
        "update-group" => GroupRequest::Respec { spec: spec() },
        "scale-group" => GroupRequest::Scale {
            replicas: rest.parse().unwrap(),
        },
        "undo-group" => GroupRequest::Undo { to: rest.parse().ok() },
        "restart-group" => GroupRequest::Restart,
        "stop-group" => GroupRequest::Want(Wanted::Stopped),
        "start-group" => GroupRequest::Want(Wanted::Running),
        "drain-group" => GroupRequest::Drain {
            within: rest.parse().unwrap(),
        },
        "resume-group" => GroupRequest::Resume,
        "reset-group" => GroupRequest::Reset,
        "pause-group" => GroupRequest::Want(Wanted::Paused),
        "freeze-group" => GroupRequest::Pause {
            mode: PauseMode::Freeze,
            lasts: rest.parse().ok(),
        },
        _ => GroupRequest::Want(Wanted::Deleted),
    }
}

fn request(verb: &str, rest: &str) -> Request {
    let first = rest.split(' ').next().unwrap_or("").to_owned();
    match verb {
        "start" => Request::Want(Wanted::Running),
        "stop" => Request::Want(Wanted::Stopped),
        "pause" => Request::Want(Wanted::Paused),
        "pause-for" | "freeze" => Request::Pause {
            mode: if verb == "freeze" {
                PauseMode::Freeze
            } else {
                PauseMode::Soft
            },
            lasts: first.parse().ok(),
        },
        "hibernate" => Request::Pause {
            mode: PauseMode::Hibernate,
            lasts: None,
        },
        "checkpoint" => Request::Pause {
            mode: PauseMode::Checkpoint,
            lasts: None,
        },
        "maintenance" => Request::Want(Wanted::Maintenance),
        "terminate" => Request::Want(Wanted::Terminated),
        "delete" => Request::Want(Wanted::Deleted),
        "drain" => Request::Drain {
            within: rest.parse().unwrap(),
        },
        "resume" => Request::Resume,
        "halt" => Request::Halt,
        "lift" => Request::Lift,
        "deploy" => Request::Deploy,
        "restart" => Request::Restart,
        "reset" => Request::Reset,
        "update" => Request::Update {
            spec: (!rest.is_empty()).then(|| Box::new(spec(rest))),
        },
        "scale" => Request::Scale {
            replicas: rest.parse().unwrap(),
        },
        "assign" => Request::Assign { task: first },
        "complete" => Request::Complete { task: first },
        "error" => Request::ReportError {
            detail: rest.to_owned(),
        },
        _ => panic!("no such verb: {verb}"),
    }
}

fn notice(word: &str) -> Notice {
    match word.split_once('=') {
        Some(("status", text)) => Notice::Status { text: text.to_owned() },
        Some((_extend, span)) => {
            let span: Span = span.parse().unwrap();
            Notice::ExtendTimeout {
                micros: u64::try_from(span.0.as_micros()).unwrap(),
            }
        }
        None => match word {
            "ready" => Notice::Ready,
            "reloading" => Notice::Reloading,
            "stopping" => Notice::Stopping,
            "watchdog" => Notice::Watchdog,
            _ => Notice::WatchdogTrigger,
        },
    }
}
