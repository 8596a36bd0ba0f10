//! What `stead degradation` takes.

use clap::{Args, Subcommand};
use stead_model::{DegradationLevel, Span};

/// `stead degradation`.
#[derive(Args, Debug)]
pub(crate) struct Degradation {
    #[command(subcommand)]
    pub(crate) what: Option<OfDegradation>,
}

/// What can be asked of it.
#[derive(Subcommand, Debug)]
pub(crate) enum OfDegradation {
    /// Show the level, why it is so, and which features are off
    Show,
    /// Show how that changed, newest first
    History(Levels),
    /// Hold a level, whatever is down or up, until it is released
    #[command(visible_alias = "set")]
    Hold(HoldLevel),
    /// Hold no level any more
    Release(ReleaseLevel),
}

/// `stead degradation history`.
#[derive(Args, Debug)]
pub(crate) struct Levels {
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

/// `stead degradation hold`.
#[derive(Args, Debug)]
pub(crate) struct HoldLevel {
    /// full, minor, moderate, severe, minimal or emergency
    pub(crate) level: DegradationLevel,
    /// For how long [default: until it is released]
    #[arg(long = "for", value_name = "SPAN")]
    pub(crate) lasts: Option<Span>,
    /// Why, for all who look at it
    #[arg(long)]
    pub(crate) reason: Option<String>,
}

/// `stead degradation release`.
#[derive(Args, Debug)]
pub(crate) struct ReleaseLevel {
    /// Why, for the audit
    #[arg(long)]
    pub(crate) reason: Option<String>,
}
