//! What can be asked on the command line.

mod capabilities;
mod degradation;
mod verbs;

use clap::{Args, Parser, Subcommand, ValueEnum};
use stead_model::{AgentRef, InvalidId, Namespace};

pub(crate) use crate::cmd::{Keeper, Run, Serve, Up};
pub(crate) use capabilities::{Circuits, Invoke, Turn};
pub(crate) use degradation::{Degradation, OfDegradation};
pub(crate) use verbs::{
    Act, Apply, Audit, Completions, Config, Consent, Doctor, Down, Drain, Events, Get, Goal, HealthOf, History, Logs,
    Orphans, Pause, Ps, Readers, Recoveries, Register, Report, Retry, Rollout, RolloutStatus, Scale, StreamName, Task,
    Top, Undo, Update, Validate, Wait,
};

/// Keeps agents steady: runs them, watches them, heals them, and says why they are as they are.
#[derive(Parser, Debug)]
#[command(name = "stead", version, max_term_width = 100, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What holds for every command.
#[derive(Args, Debug)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// How to show the answer
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value = "table",
        hide_possible_values = true,
        value_name = "table|wide|json|yaml"
    )]
    pub(crate) output: Format,
    // The two are read from the environment where they are needed: a variable that is set would have usage lines show them as if they were
    // asked for.
    /// Where the daemon is [env: STEAD_URL] [default: http://127.0.0.1:7878]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The daemon's token [env: STEAD_TOKEN] [default: the file `token` of its state directory]
    #[arg(long, global = true)]
    pub(crate) token: Option<String>,
    /// Namespace of the agents
    #[arg(
        short,
        long,
        global = true,
        env = "STEAD_NAMESPACE",
        hide_env_values = true,
        default_value = "default",
        value_parser = namespace
    )]
    pub(crate) namespace: Namespace,
    /// When to use colours; NO_COLOR is honoured
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "auto",
        hide_possible_values = true,
        value_name = "auto|always|never"
    )]
    pub(crate) color: Color,
}

/// A namespace; an empty variable is one that is not set.
fn namespace(text: &str) -> Result<Namespace, InvalidId> {
    if text.is_empty() {
        return Ok(Namespace::default());
    }
    text.parse()
}

/// How answers are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For people with wide windows.
    Wide,
    /// For programs.
    Json,
    /// For both.
    Yaml,
}

/// When colours are used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Color {
    /// On terminals.
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

/// Which namespaces.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct Scope {
    /// Agents of every namespace
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,
}

/// One agent.
#[derive(Args, Debug)]
pub(crate) struct One {
    /// Name or id of the agent
    pub(crate) agent: AgentRef,
}

/// The verbs.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run a fleet on this machine, as its fleet file says
    Up(Up),
    /// Run one command and keep it running
    Run(Run),
    /// Run a daemon without a fleet file; agents come by the API
    Serve(Serve),
    /// Keep the processes of agents
    #[command(hide = true)]
    Keeper(Keeper),
    /// Stop the daemon and its agents
    Down(Down),
    /// List agents and components
    Ps(Ps),
    /// Show one agent or group and the evidence for its state
    Get(Get),
    /// Show everything about one agent: state, spec, lifecycle, history
    Describe(One),
    /// Explain why an agent is as it is, and what happens next
    Why(One),
    /// Show the transitions of an agent, newest first
    History(History),
    /// Show how well all do: how many at which level, their metrics, and those that do not do well
    Health(HealthOf),
    /// Show what was done to bring agents back, and whether it helped, newest first
    Recoveries(Recoveries),
    /// Show who changed what, when and why, newest first
    Audit(Audit),
    /// List what can be asked of the fleet, and who provides it
    Capabilities,
    /// Ask for a capability, whoever provides it
    Invoke(Invoke),
    /// List the circuits before providers, and turn one by hand
    Circuits(Circuits),
    /// Show which features are off and why, and hold a level by hand
    Degradation(Degradation),
    /// Make one agent known to the daemon
    Register(Register),
    /// Have agents work
    Start(Act),
    /// Have agents down; they may be started again
    Stop(Act),
    /// Have agents down once their tasks are done, taking no new ones
    Drain(Drain),
    /// Have agents up without taking work, or standing still
    #[command(visible_alias = "suspend")]
    Pause(Pause),
    /// Have paused agents work again
    Resume(Act),
    /// Stop and start agents, once; the replicas of a group one by one
    Restart(Act),
    /// Replace an agent's process, with a new spec where one is given; of a group, one replica after the other
    Update(Update),
    /// Have so many replicas of a group
    Scale(Scale),
    /// Show how updates of a group stand, and go back
    #[command(subcommand)]
    Rollout(Rollout),
    /// Leave agents alone while people work on them
    Maintenance(Act),
    /// Make sure that agents can run, without starting them
    Deploy(Act),
    /// Forget the failures of agents: counters, quarantine and holds
    Reset(Act),
    /// Have agents down for good, their records kept
    Terminate(Act),
    /// Have agents stopped and gone
    Delete(Act),
    /// Show what an agent prints
    Logs(Logs),
    /// Show what happens, as it happens
    Events(Events),
    /// Show who reads events under a name, and how far they came
    #[command(subcommand)]
    Readers(Readers),
    /// Show agents and counts, refreshed
    Top(Top),
    /// Wait until agents are as wanted
    Wait(Wait),
    /// Put a fleet file in force
    Apply(Apply),
    /// Show, compare and take back what was put in force
    #[command(subcommand)]
    Config(Config),
    /// Say whether a fleet file could be put in force
    Validate(Validate),
    /// Give an agent a task, and say that it is done
    #[command(subcommand)]
    Task(Task),
    /// Say how an agent does, on its behalf
    Report(Report),
    /// Check the daemon and this machine, and say what to do
    Doctor(Doctor),
    /// List processes of agents that nobody keeps any more, and end them on consent
    Orphans(Orphans),
    /// Print completions for a shell
    Completions(Completions),
}

/// The exit codes, for `--help`.
const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    failed
  2    the command line cannot be understood
  3    no daemon answers
  4    there is no such agent, or it is gone
  5    refused: the state of things does not permit it
  6    what was waited for did not come in time
  7    the daemon cannot do it now; try again
  130  ended by Ctrl-C while following";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }
}
