//! What the verbs about capabilities take.

use clap::{Args, Subcommand};
use stead_model::{AgentName, Span};

/// `stead invoke`.
#[derive(Args, Debug)]
pub(crate) struct Invoke {
    /// Name of the capability
    pub(crate) capability: AgentName,
    /// What it is asked with: JSON, or @FILE; @- reads standard input [default: {}]
    #[arg(short, long, value_name = "JSON|@FILE")]
    pub(crate) data: Option<String>,
    /// For how long the answer is of use [default: the capability's deadline]
    #[arg(long, value_name = "SPAN", value_parser = some_time)]
    pub(crate) within: Option<Span>,
}

/// A span that is more than none.
fn some_time(text: &str) -> Result<Span, String> {
    match text.parse::<Span>() {
        Ok(span) if span.0.is_zero() => Err("no answer comes in no time; write a span such as 10s".to_owned()),
        read => read.map_err(|error| error.to_string()),
    }
}

/// `stead circuits`.
#[derive(Args, Debug)]
pub(crate) struct Circuits {
    #[command(subcommand)]
    pub(crate) turn: Option<Turn>,
}

/// What can be done to a circuit.
#[derive(Subcommand, Debug)]
pub(crate) enum Turn {
    /// Let no call through, until it is reset
    ForceOpen(OneCircuit),
    /// Let every call through and count none, until it is reset
    ForceClose(OneCircuit),
    /// Close it with nothing counted, whatever it was
    Reset(OneCircuit),
}

/// One circuit.
#[derive(Args, Debug)]
pub(crate) struct OneCircuit {
    /// Name of the circuit
    pub(crate) circuit: String,
    /// Why, for the audit
    #[arg(long)]
    pub(crate) reason: Option<String>,
}
