//! What each verb takes.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};
use clap_complete::Shell;
use stead_model::FailureKind;
use stead_model::{AgentName, AgentRef, Class, Health, Incarnation, PauseMode, ReaderName, Selector, Span, Wanted};

use super::{One, Scope};

/// `stead down`.
#[derive(Args, Debug)]
pub(crate) struct Down {
    /// Let the agents live on; the next daemon adopts them
    #[arg(long)]
    pub(crate) leave_agents: bool,
    /// Why, for the history
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// How long to wait until it is down
    #[arg(long, default_value = "60s")]
    pub(crate) timeout: Span,
}

/// `stead ps`.
#[derive(Args, Debug)]
pub(crate) struct Ps {
    #[command(flatten)]
    pub(crate) scope: Scope,
    /// Only those with such labels: team=a,tier!=b,role in (x,y),!flag
    #[arg(short = 'l', long)]
    pub(crate) selector: Option<Selector>,
    /// Only those in this phase
    #[arg(long)]
    pub(crate) phase: Option<String>,
    /// Only those of this health
    #[arg(long, value_parser = health)]
    pub(crate) health: Option<Health>,
    /// Only those whose phase is in this class: operational, available, error, maintenance, …
    #[arg(long, value_parser = class)]
    pub(crate) class: Option<String>,
    /// Only those of which this is wanted: running, stopped, …
    #[arg(long, value_parser = wanted)]
    pub(crate) intent: Option<Wanted>,
    /// Only the replicas of this group
    #[arg(long)]
    pub(crate) group: Option<AgentName>,
    /// The groups themselves, instead of agents
    #[arg(long, conflicts_with_all = ["phase", "health", "class", "intent", "profile", "group"])]
    pub(crate) groups: bool,
    /// Only those with this lifecycle profile: agent, component, or one of the fleet file
    #[arg(long)]
    pub(crate) profile: Option<String>,
}

/// `stead register`.
#[derive(Args, Debug)]
pub(crate) struct Register {
    /// Its name, free in its namespace
    pub(crate) name: AgentName,
    /// What it is told to be, as JSON: its spec, or what `stead get NAME --spec` prints of another; - reads standard input [default: nothing runs it, it only reports]
    #[arg(short, long)]
    pub(crate) file: Option<PathBuf>,
    /// Make it known as a component
    #[arg(long)]
    pub(crate) component: bool,
    /// Start it at once
    #[arg(long)]
    pub(crate) start: bool,
    /// Why, for the history
    #[arg(long)]
    pub(crate) reason: Option<String>,
}

/// `stead task`.
#[derive(Subcommand, Debug)]
pub(crate) enum Task {
    /// Give it a task; twice the same is once
    Assign(OneTask),
    /// Say that a task is done; twice the same is once
    Complete(OneTask),
}

/// One task of one agent.
#[derive(Args, Debug)]
pub(crate) struct OneTask {
    /// Name or id of the agent
    pub(crate) agent: AgentRef,
    /// The task, by whatever name the asker has for it
    pub(crate) task: String,
}

/// The verbs that change agents.
#[derive(Args, Debug)]
pub(crate) struct Act {
    /// Names or ids of agents and groups
    #[arg(required_unless_present = "selector", conflicts_with = "selector")]
    pub(crate) agent: Vec<AgentRef>,
    /// All with such labels
    #[arg(short = 'l', long)]
    pub(crate) selector: Option<Selector>,
    /// Why, for the history
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// Wait until it is done
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to wait at most
    #[arg(long, default_value = "2m", requires = "wait")]
    pub(crate) timeout: Span,
}

/// `stead pause`.
#[derive(Args, Debug)]
pub(crate) struct Pause {
    #[command(flatten)]
    pub(crate) act: Act,
    /// What the pause does to them: soft (no new work), freeze (the whole tree of processes stands still), checkpoint or
    /// hibernate (for agents that offer them) [default: soft]
    #[arg(long, value_parser = pause_mode)]
    pub(crate) mode: Option<PauseMode>,
    /// After how long it ends by itself [default: when somebody resumes them]
    #[arg(long = "for", value_name = "SPAN")]
    pub(crate) lasts: Option<Span>,
    /// Why, for all who look at them; the same as --reason
    #[arg(long, conflicts_with = "reason")]
    pub(crate) note: Option<String>,
}

/// `stead get`.
#[derive(Args, Debug)]
pub(crate) struct Get {
    #[command(flatten)]
    pub(crate) one: One,
    /// What it is told to be, as JSON that `stead update NAME --file` takes; secrets are ***
    #[arg(long)]
    pub(crate) spec: bool,
}

/// `stead drain`.
#[derive(Args, Debug)]
pub(crate) struct Drain {
    /// Names or ids of agents and groups
    #[arg(required_unless_present = "selector", conflicts_with = "selector")]
    pub(crate) agent: Vec<AgentRef>,
    /// All with such labels
    #[arg(short = 'l', long)]
    pub(crate) selector: Option<Selector>,
    /// Why, for the history
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// How long tasks in flight may take; what is left then is stopped with its agent
    #[arg(long, default_value = "2m")]
    pub(crate) timeout: Span,
    /// Return at once instead of waiting until all are down
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Wait until all are down, as it does anyway
    #[arg(long, hide = true, conflicts_with = "no_wait")]
    wait: bool,
}

/// `stead scale`.
#[derive(Args, Debug)]
pub(crate) struct Scale {
    /// Name or id of the group
    pub(crate) group: AgentRef,
    /// How many replicas
    pub(crate) replicas: u32,
    /// Why, for the history
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// Wait until as many are available
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to wait at most
    #[arg(long, default_value = "2m", requires = "wait")]
    pub(crate) timeout: Span,
}

/// `stead update`.
#[derive(Args, Debug)]
pub(crate) struct Update {
    /// Name or id of the agent or group
    pub(crate) agent: AgentRef,
    /// What changes in its spec, as a JSON merge patch, such as '{"command":["web","--v2"]}'
    #[arg(long, value_name = "JSON", value_parser = patch)]
    pub(crate) patch: Option<serde_json::Value>,
    /// Its whole spec, as `stead get NAME --spec` prints it; - reads standard input. Where it says nothing new, nothing is done
    #[arg(short, long, conflicts_with = "patch")]
    pub(crate) file: Option<PathBuf>,
    /// Why, for the history
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// Wait until it is done
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to wait at most
    #[arg(long, default_value = "10m", requires = "wait")]
    pub(crate) timeout: Span,
}

/// `stead rollout`.
#[derive(Subcommand, Debug)]
pub(crate) enum Rollout {
    /// Show the update under way, or how the last one ended
    Status(RolloutStatus),
    /// Show the revisions that are kept
    History(OneGroup),
    /// Go back to an earlier revision
    Undo(Undo),
    /// Try an update again that was rolled back
    Retry(Retry),
}

/// One group.
#[derive(Args, Debug)]
pub(crate) struct OneGroup {
    /// Name or id of the group
    pub(crate) group: AgentRef,
}

/// `stead rollout status`.
#[derive(Args, Debug)]
pub(crate) struct RolloutStatus {
    /// Name or id of the group
    pub(crate) group: AgentRef,
    /// Go on until it has ended
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// How long to watch at most
    #[arg(long, default_value = "10m", requires = "watch")]
    pub(crate) timeout: Span,
}

/// `stead rollout undo`.
#[derive(Args, Debug)]
pub(crate) struct Undo {
    /// Name or id of the group
    pub(crate) group: AgentRef,
    /// Number of the revision [default: the last one that did not fail]
    #[arg(long, value_name = "REVISION")]
    pub(crate) to: Option<u32>,
    /// Why, for the history
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// Wait until it is done
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to wait at most
    #[arg(long, default_value = "10m", requires = "wait")]
    pub(crate) timeout: Span,
}

/// `stead rollout retry`.
#[derive(Args, Debug)]
pub(crate) struct Retry {
    /// Name or id of the group
    pub(crate) group: AgentRef,
    /// Why, for the history
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// Wait until it is done
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to wait at most
    #[arg(long, default_value = "10m", requires = "wait")]
    pub(crate) timeout: Span,
}

/// A JSON merge patch: an object.
fn patch(text: &str) -> Result<serde_json::Value, String> {
    match serde_json::from_str(text) {
        Ok(patch @ serde_json::Value::Object(_)) => Ok(patch),
        Ok(_) => Err("a patch is a JSON object".to_owned()),
        Err(error) => Err(format!("no JSON: {error}")),
    }
}

/// Which rows of what is kept, newest first.
#[derive(Args, Debug)]
pub(crate) struct Window {
    /// Not older than a time (RFC 3339) or a span (10m)
    #[arg(long)]
    pub(crate) since: Option<String>,
    /// Older than a time (RFC 3339) or a span (10m)
    #[arg(long)]
    pub(crate) until: Option<String>,
    /// At most this many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
}

/// `stead history`.
#[derive(Args, Debug)]
pub(crate) struct History {
    /// Name or id of the agent
    #[arg(required_unless_present = "group")]
    pub(crate) agent: Option<AgentRef>,
    /// Of all replicas of this group, also of those that it has no more
    #[arg(long, conflicts_with = "agent")]
    pub(crate) group: Option<AgentName>,
    /// Only into this phase
    #[arg(long)]
    pub(crate) state: Option<String>,
    /// Only for this reason, such as failure.crash
    #[arg(long = "reason")]
    pub(crate) code: Option<String>,
    #[command(flatten)]
    pub(crate) window: Window,
}

/// `stead recoveries`.
#[derive(Args, Debug)]
pub(crate) struct Recoveries {
    /// Name or id of an agent [default: all]
    pub(crate) agent: Option<AgentRef>,
    /// Say what would be done about a failure of this agent, of the kind that --failure names; nothing is done
    #[arg(long, value_name = "AGENT", requires = "failure", conflicts_with = "agent")]
    pub(crate) what_if: Option<AgentRef>,
    #[command(flatten)]
    pub(crate) scope: Scope,
    /// Only of this strategy, such as restart
    #[arg(long)]
    pub(crate) strategy: Option<String>,
    /// Only against this kind of failure, such as process_exit
    #[arg(long, value_name = "KIND")]
    pub(crate) failure: Option<FailureKind>,
    /// Only those that stand or ended so, such as failed
    #[arg(long)]
    pub(crate) state: Option<String>,
    #[command(flatten)]
    pub(crate) window: Window,
}

/// `stead audit`.
#[derive(Args, Debug)]
pub(crate) struct Audit {
    /// Name or id of an agent or group [default: all]
    pub(crate) agent: Option<AgentRef>,
    #[command(flatten)]
    pub(crate) scope: Scope,
    /// Only by this actor
    #[arg(long)]
    pub(crate) actor: Option<String>,
    /// Only by this verb, such as stop or apply
    #[arg(long)]
    pub(crate) verb: Option<String>,
    /// Only what this one request led to
    #[arg(long, value_name = "ID")]
    pub(crate) correlation: Option<String>,
    #[command(flatten)]
    pub(crate) window: Window,
}

/// `stead logs`.
#[derive(Args, Debug)]
pub(crate) struct Logs {
    /// Name or id of the agent
    pub(crate) agent: AgentRef,
    /// Go on with what is printed from now on
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// At most this many of the latest lines
    #[arg(long, default_value_t = 100)]
    pub(crate) tail: u64,
    /// Not older than a time (RFC 3339) or a span (10m)
    #[arg(long)]
    pub(crate) since: Option<String>,
    /// Only one stream
    #[arg(long, value_enum)]
    pub(crate) stream: Option<StreamName>,
    /// Put the time before each line
    #[arg(short, long)]
    pub(crate) timestamps: bool,
}

/// A standard stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum StreamName {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// `stead events`.
#[derive(Args, Debug)]
pub(crate) struct Events {
    #[command(flatten)]
    pub(crate) scope: Scope,
    /// Only of this agent
    pub(crate) agent: Option<AgentRef>,
    /// Only of this group and its replicas, also of those that it has no more
    #[arg(long)]
    pub(crate) group: Option<AgentName>,
    /// Go on until Ctrl-C; so it does anyway unless --limit is given
    #[arg(short, long, conflicts_with = "limit")]
    pub(crate) follow: bool,
    /// End after this many
    #[arg(long)]
    pub(crate) limit: Option<u64>,
    /// Begin behind this cursor, as `-o json` showed it; else with what happens from now on
    #[arg(long, value_name = "CURSOR")]
    pub(crate) after: Option<String>,
    /// Begin with what is kept from a time (RFC 3339) or a span before now (10m), then go on
    #[arg(long, value_name = "TIME", conflicts_with = "after")]
    pub(crate) since: Option<String>,
    /// Begin where the reader of this name stopped, and keep how far it came; what it has not seen is held for it
    #[arg(long, value_name = "NAME", conflicts_with_all = ["after", "since"])]
    pub(crate) reader: Option<ReaderName>,
    /// Only of these types, such as phase_changed,health_changed
    #[arg(long = "type", value_delimiter = ',', value_name = "TYPE")]
    pub(crate) types: Vec<String>,
    /// Only of agents with such labels
    #[arg(short = 'l', long)]
    pub(crate) selector: Option<Selector>,
}

/// `stead readers`.
#[derive(Subcommand, Debug)]
pub(crate) enum Readers {
    /// List them, and how far each has come
    List,
    /// Forget one: nothing is held for it any more
    Remove {
        /// Its name
        reader: ReaderName,
    },
}

/// `stead top`.
#[derive(Args, Debug)]
pub(crate) struct Top {
    #[command(flatten)]
    pub(crate) scope: Scope,
    /// Only those with such labels
    #[arg(short = 'l', long)]
    pub(crate) selector: Option<Selector>,
    /// How often it is refreshed
    #[arg(short, long, default_value = "2s")]
    pub(crate) interval: Span,
    /// Show it once and end
    #[arg(long)]
    pub(crate) once: bool,
}

/// `stead health`.
#[derive(Args, Debug)]
pub(crate) struct HealthOf {
    #[command(flatten)]
    pub(crate) scope: Scope,
    /// Only those with such labels
    #[arg(short = 'l', long)]
    pub(crate) selector: Option<Selector>,
    /// How many of those that do not do well are shown
    #[arg(long, default_value_t = 20, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1000))]
    pub(crate) limit: usize,
}

/// `stead wait`.
#[derive(Args, Debug)]
pub(crate) struct Wait {
    /// Names or ids of agents
    #[arg(required_unless_present = "selector", conflicts_with = "selector")]
    pub(crate) agent: Vec<AgentRef>,
    /// All with such labels
    #[arg(short = 'l', long)]
    pub(crate) selector: Option<Selector>,
    /// phase=NAME, health=NAME, intent=NAME, ready or deleted; of a group available, rollout or deleted
    #[arg(long = "for", value_name = "CONDITION")]
    pub(crate) goal: Goal,
    /// How long to wait at most
    #[arg(long, default_value = "2m")]
    pub(crate) timeout: Span,
}

/// What `stead wait` waits for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Goal {
    /// It is in this phase.
    Phase(String),
    /// It is of this health.
    Health(Health),
    /// This is wanted of it.
    Intent(Wanted),
    /// It takes work.
    Ready,
    /// As many replicas as are wanted were ready for long enough.
    Available,
    /// Its update is done.
    Rollout,
    /// It is gone.
    Deleted,
}

impl FromStr for Goal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            None if text == "ready" => Ok(Self::Ready),
            None if text == "available" => Ok(Self::Available),
            None if text == "rollout" => Ok(Self::Rollout),
            None if text == "deleted" => Ok(Self::Deleted),
            Some(("phase", wanted)) if !wanted.is_empty() => Ok(Self::Phase(wanted.to_owned())),
            Some(("health", wanted)) => health(wanted).map(Self::Health),
            Some(("intent", text)) => wanted(text).map(Self::Intent),
            Some(_) | None => {
                Err("write phase=NAME, health=NAME, intent=NAME, ready, available, rollout or deleted".to_owned())
            }
        }
    }
}

/// `stead apply`.
#[derive(Args, Debug)]
pub(crate) struct Apply {
    /// The fleet file; - reads standard input
    pub(crate) file: PathBuf,
    /// Say what would change, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) consent: Consent,
    /// Wait until all that was added or changed is up
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) wait: bool,
    /// How long to wait at most
    #[arg(long, default_value = "2m", requires = "wait")]
    pub(crate) timeout: Span,
}

/// What somebody agrees to when a configuration is put in force.
#[derive(Args, Debug)]
pub(crate) struct Consent {
    /// Do not ask, even if agents are removed or restarted; without a terminal nothing is asked anyway
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Restart the agents whose new spec comes in force only then
    #[arg(long)]
    pub(crate) restart: bool,
    /// Why, for the history
    #[arg(long)]
    pub(crate) reason: Option<String>,
}

/// `stead config`.
#[derive(Subcommand, Debug)]
pub(crate) enum Config {
    /// Show what is in force, or an earlier revision
    Show {
        /// Number of the revision [default: the one in force]
        revision: Option<u64>,
    },
    /// List what was applied, newest first
    History,
    /// Show what differs between a revision and the one in force, or another
    Diff {
        /// Number of the revision
        revision: u64,
        /// Number of the other one [default: the one in force]
        other: Option<u64>,
    },
    /// Put an earlier revision in force again, as a new one
    Rollback {
        /// Number of the revision
        revision: u64,
        /// Say what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        consent: Consent,
    },
    /// Have the fleet file in force read again
    Reload {
        /// Why, for the history
        #[arg(long)]
        reason: Option<String>,
    },
}

/// `stead validate`.
#[derive(Args, Debug)]
pub(crate) struct Validate {
    /// The fleet file; - reads standard input
    pub(crate) file: PathBuf,
}

/// `stead report`.
#[derive(Args, Debug)]
pub(crate) struct Report {
    /// Name or id of the agent; inside an agent it is that agent
    #[arg(env = "STEAD_AGENT", hide_env_values = true)]
    pub(crate) agent: AgentRef,
    /// How it says that it does
    #[arg(long, value_parser = health)]
    pub(crate) health: Option<Health>,
    /// What it says beside
    #[arg(long)]
    pub(crate) detail: Option<String>,
    /// The run that it is; reports of older ones are ignored
    #[arg(long, env = "STEAD_INCARNATION", hide_env_values = true, value_parser = incarnation)]
    pub(crate) incarnation: Option<Incarnation>,
    /// Report an error that was seen of it, instead of a beat
    #[arg(long, conflicts_with_all = ["health", "detail"], value_name = "DETAIL")]
    pub(crate) error: Option<String>,
}

/// One of the words of an axis.
fn word<T: Copy>(what: &str, all: &[T], name: impl Fn(T) -> &'static str, wanted: &str) -> Result<T, String> {
    let found = all.iter().find(|value| name(**value) == wanted).copied();
    found.ok_or_else(|| {
        let words: Vec<_> = all.iter().map(|value| name(*value)).collect();
        format!("{what} is one of {}", words.join(", "))
    })
}

fn health(text: &str) -> Result<Health, String> {
    word("health", Health::ALL, Health::as_str, text)
}

fn pause_mode(text: &str) -> Result<PauseMode, String> {
    word("mode", PauseMode::ALL, PauseMode::as_str, text)
}

fn wanted(text: &str) -> Result<Wanted, String> {
    word("intent", Wanted::ALL, Wanted::as_str, text)
}

fn class(text: &str) -> Result<String, String> {
    let name = |class: Class| match class {
        Class::Operational => "operational",
        Class::Available => "available",
        Class::Error => "error",
        Class::Maintenance => "maintenance",
        Class::Transitional => "transitional",
        Class::Final => "final",
        Class::Initial => "initial",
        Class::Active => "active",
        Class::Impaired => "impaired",
    };
    word("class", Class::ALL, name, text).map(|class| name(class).to_owned())
}

fn incarnation(text: &str) -> Result<Incarnation, std::num::ParseIntError> {
    text.parse().map(Incarnation)
}

/// `stead doctor`.
#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// How many agents this machine shall hold [default: as many as the daemon has, at least 100]
    #[arg(long)]
    pub(crate) agents: Option<u64>,
}

/// `stead orphans`.
#[derive(Args, Debug)]
pub(crate) struct Orphans {
    /// End them: asked first, made to after 5 s
    #[arg(long)]
    pub(crate) end: bool,
    /// Only those of this state directory; those of one that is there and has no keeper are ended only so
    #[arg(long, value_name = "DIR")]
    pub(crate) of: Option<PathBuf>,
    /// Do not ask for consent
    #[arg(long, requires = "end")]
    pub(crate) yes: bool,
}

/// `stead completions`.
#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// For which shell
    pub(crate) shell: Shell,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_read_and_others_are_refused_with_what_there_is() {
        assert_eq!("phase=online".parse(), Ok(Goal::Phase("online".into())));
        assert_eq!("health=healthy".parse(), Ok(Goal::Health(Health::Healthy)));
        assert_eq!("ready".parse(), Ok(Goal::Ready));
        assert_eq!("deleted".parse(), Ok(Goal::Deleted));
        assert!("health=fine".parse::<Goal>().unwrap_err().contains("degraded"));
        for text in ["", "phase=", "up", "mood=good"] {
            assert!(text.parse::<Goal>().is_err(), "{text}");
        }
    }
}
