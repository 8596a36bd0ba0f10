//! The manifests are played: their probes, their timings and their environment, against a running agent.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::process::{PATIENCE, Process};

/// What the guide gives people: replicas that come and go, and replicas that keep their directory.
const MANIFESTS: [Manifest; 2] = [
    Manifest(include_str!("../../../../deploy/kubernetes/agent.yaml")),
    Manifest(include_str!("../../../../deploy/kubernetes/agent-durable.yaml")),
];

#[derive(Clone, Copy)]
struct Manifest(&'static str);

impl Manifest {
    /// What stands behind the first `key` after `section`, up to the end of its line or of its braces.
    fn read(self, section: &str, key: &str) -> &'static str {
        let rest = self.0.split_once(section).unwrap_or_else(|| panic!("no {section}")).1;
        let value = rest.split_once(key);
        let value = value.unwrap_or_else(|| panic!("no {key} in {section}")).1;
        value.split(['\n', ',', '}']).next().unwrap().trim().trim_matches('"')
    }

    fn seconds(self, section: &str, key: &str) -> f64 {
        self.read(section, key).parse().unwrap()
    }

    fn graceful_timeout(self) -> &'static str {
        self.read("STEAD_GRACEFUL_SHUTDOWN_TIMEOUT", "value:")
    }
}

/// A probe as the manifest has it. Its periods pass faster here, its patience is the manifest's.
struct Probe {
    path: &'static str,
    period: Duration,
    timeout: Duration,
    threshold: u32,
    failed: u32,
}

impl Probe {
    fn of(manifest: Manifest, section: &str) -> Self {
        let section = format!("{section}:");
        let part = manifest.0.split_once(&section).unwrap().1;
        let part = part.split_once("Probe:").map_or(part, |(own, _)| own);
        // Kubernetes waits for a second where the manifest does not say.
        let timeout = if part.contains("timeoutSeconds:") {
            manifest.seconds(&section, "timeoutSeconds:")
        } else {
            1.0
        };
        Self {
            path: manifest.read(&section, "path:"),
            period: Duration::from_secs_f64(manifest.seconds(&section, "periodSeconds:") / FASTER),
            timeout: Duration::from_secs_f64(timeout),
            threshold: manifest.read(&section, "failureThreshold:").parse().unwrap(),
            failed: 0,
        }
    }

    /// Asks once, and says what was answered and whether the kubelet counts it as failed for good.
    fn ask(&mut self, agent: &Process) -> (u16, bool) {
        let begun = Instant::now();
        let status = agent.ask("GET", self.path, "").0;
        let good = (200..400).contains(&status) && begun.elapsed() <= self.timeout;
        self.failed = if good { 0 } else { self.failed + 1 };
        (status, self.failed >= self.threshold)
    }

    /// Asks every period until `holds` of what was answered; it may not fail for good before.
    fn until(&mut self, agent: &Process, holds: impl Fn(u16) -> bool) {
        loop {
            let (status, failed) = self.ask(agent);
            if holds(status) {
                return;
            }
            assert!(
                !failed,
                "{} failed {} times, at last with {status}",
                self.path, self.failed
            );
            std::thread::sleep(self.period);
        }
    }
}

/// How much faster time passes than in a cluster.
const FASTER: f64 = 20.0;

#[test]
fn the_manifests_leave_time_for_the_drain_that_they_order() {
    for manifest in MANIFESTS {
        let grace = manifest.seconds("spec:", "terminationGracePeriodSeconds:");
        let drain: f64 = manifest.graceful_timeout().parse().unwrap();
        assert!(grace > manifest.seconds("preStop:", "seconds:") + drain + 2.0);
        assert_eq!(
            manifest.read("STEAD_LIFECYCLE_PORT", "value:"),
            manifest.read("name: lifecycle", "containerPort:")
        );
        // Whoever scales it has the last word on how many there are.
        let scaled = manifest.0.contains("kind: HorizontalPodAutoscaler");
        assert_ne!(scaled, manifest.0.contains("\n  replicas:"));
    }
}

#[test]
fn an_agent_probed_as_the_manifest_says_is_live_throughout_and_ready_until_it_is_told_to_go() {
    for manifest in MANIFESTS {
        let dir = tempfile::tempdir().unwrap();
        play(manifest, |env| Process::spawn_with("agent_hangs", dir.path(), env));
    }
}

#[test]
#[ignore = "wants the image of `agent_hangs`, unpacked, and root: docs/guides/docker.md"]
fn the_image_probed_as_the_manifest_says_is_live_throughout_and_ready_until_it_is_told_to_go() {
    let root = std::env::var_os("STEAD_IMAGE_ROOT").expect("STEAD_IMAGE_ROOT says where the image is unpacked");
    for manifest in MANIFESTS {
        play(manifest, |env| Process::spawn_in_image(root.as_ref(), env));
    }
}

/// Plays the kubelet against a process: startup, readiness, `preStop`, SIGTERM, the grace period.
fn play(manifest: Manifest, spawn: impl Fn(&[(&str, &str)]) -> Process) {
    let probe = |section| Probe::of(manifest, section);
    let (mut startup, mut live, mut ready) = (probe("startupProbe"), probe("livenessProbe"), probe("readinessProbe"));
    assert_eq!(startup.path, live.path);
    let env = [("STEAD_GRACEFUL_SHUTDOWN_TIMEOUT", manifest.graceful_timeout())];
    let mut agent = spawn(&env);
    startup.until(&agent, |status| status == 200);
    // Not ready yet counts against nobody: its threshold is one.
    agent.until("it is ready", |agent| agent.ask("GET", ready.path, "").0 == 200);
    agent.begin("hang", "1500", "work");
    // preStop: as long as it sleeps the agent still takes work, as proxies may still send some, and is ready and live.
    let sleep = manifest.seconds("preStop:", "seconds:");
    let sleeps = Instant::now() + Duration::from_secs_f64(sleep / FASTER);
    let mut late = 0;
    while late == 0 || Instant::now() < sleeps {
        agent.begin("hang", "1", &format!("late-{late}"));
        assert_eq!((ready.ask(&agent).0, live.ask(&agent).0), (200, 200));
        late += 1;
        std::thread::sleep(ready.period);
    }
    agent.signal(Signal::TERM);
    let told = Instant::now();
    while !ready.ask(&agent).1 {
        assert!(told.elapsed() < PATIENCE, "it is never taken out of the Service");
        std::thread::sleep(ready.period);
    }
    // The kubelet goes on asking whether it lives until it is gone, and must never come to end it.
    live.until(&agent, |status| status == 0);
    assert_eq!(agent.ended().code(), Some(0));
    let grace = manifest.seconds("spec:", "terminationGracePeriodSeconds:") - sleep;
    assert!(told.elapsed().as_secs_f64() < grace, "{:?}", told.elapsed());
}
