//! The example fleet as newcomers meet it: one command, and what misbehaves is healed while they look on.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::fleet::{Fleet, PATIENCE, free};
use super::procs::until;
use super::tries::is_long;

/// Those that misbehave on purpose.
const ILL: [&str; 3] = ["crashy", "hang", "leaky"];

/// All of them were restarted within this time of the first command, where the machine has nothing else to do.
const GOAL: Duration = Duration::from_secs(60);

/// And within this time beside other tests.
const HEALED: Duration = Duration::from_secs(200);

/// A command that follows something, and what it has printed so far; it ends with the value.
struct Following {
    child: Child,
    printed: Arc<Mutex<String>>,
}

impl Following {
    fn start(fleet: &Fleet, words: &[&str]) -> Self {
        let mut child = fleet.stead().args(words).stdout(Stdio::piped()).spawn().unwrap();
        let (lines, printed) = (
            BufReader::new(child.stdout.take().unwrap()).lines(),
            Arc::new(Mutex::new(String::new())),
        );
        let sink = Arc::clone(&printed);
        // Ends with the command, whose output it reads.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut sink = sink.lock().unwrap();
                sink.push_str(&line);
                sink.push('\n');
            }
        });
        Self { child, printed }
    }

    /// Waits until something was printed.
    #[track_caller]
    fn shows(&self, wanted: &[&str]) {
        let printed = || self.printed.lock().unwrap().clone();
        for word in wanted {
            let begun = Instant::now();
            while !printed().contains(word) {
                assert!(begun.elapsed() < PATIENCE, "{word:?} is not in\n{}", printed());
                std::thread::sleep(LOOK);
            }
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[test]
fn the_example_fleet_comes_up_and_those_of_it_that_misbehave_are_healed_before_ones_eyes() {
    let mut fleet = Fleet::of("");
    fleet.take(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/fleet.toml"));
    // A fleet of somebody may be up on this machine: other places, another port.
    let (work, port) = (fleet.path("work"), free().port());
    fleet.env("TMPDIR", work.to_str().unwrap());
    fleet.env("SEARCH_PORT", &port.to_string());
    fleet.env("PYTHONPYCACHEPREFIX", fleet.path("cache").to_str().unwrap());
    let begun = Instant::now();
    fleet.up();
    let events = Following::start(&fleet, &["events", "--since", "10m"]);
    let output = Following::start(&fleet, &["logs", "-f", "crashy"]);

    let healed = |name: &str| fleet.agent(name)["restarts"].as_u64() >= Some(1);
    let mut left = ILL.to_vec();
    let mut took = Vec::new();
    until("each that misbehaves was restarted", HEALED, || {
        left.retain(|name| {
            let healed = healed(name);
            if healed {
                took.push((*name, begun.elapsed()));
            }
            !healed
        });
        left.is_empty().then_some(())
    });
    println!("restarted since the first command: {took:?}");
    if is_long() {
        assert!(
            took.iter().all(|(_, took)| *took <= GOAL),
            "the goal is {GOAL:?}: {took:?}"
        );
    }
    for name in ["search", "reporter", "indexer", "linecount", "reviewer-1", "reviewer-2"] {
        fleet.until_agent(name, |agent| agent["ready"] == true);
    }
    output.shows(&["life 1 begins", "out of luck", "life 2 begins"]);
    events.shows(&["crashy", "hang", "leaky", "recovery 1: restart"]);
    let all = fleet.must(&["ps"]);
    for name in ILL.into_iter().chain(["setup", "search", "reporter"]) {
        assert!(all.contains(name), "{name} is not in\n{all}");
    }
    for name in ILL {
        let why = fleet.must(&["why", name]);
        let times = ["restarted once after a failure", " times after failures"];
        assert!(
            why.starts_with(name) && times.iter().any(|said| why.contains(said)),
            "{why}"
        );
    }
    for (verb, name, told) in [
        ("history", "crashy", "exited with code 1"),
        ("history", "hang", "its watchdog was not fed in time"),
        ("logs", "leaky", "MemoryError"),
    ] {
        let shown = fleet.must(&[verb, name]);
        assert!(shown.contains(told), "{told:?} is not in\n{shown}");
    }
    fleet.must(&["down"]);
    drop((events, output));
    fleet.until_nothing_runs();
}

const LOOK: Duration = Duration::from_millis(20);
