//! Numbers of the harness that were chosen. The report prints a hash of this file and of the policies' own.

/// Own detector: weights of the mean distance and of the peak, and how long the peak is held, seconds.
pub(crate) const OWN_DEV: f64 = 2.0;
pub(crate) const OWN_PEAK: f64 = 0.7;
pub(crate) const OWN_HOLD: f64 = 10.0;

/// Rivals: samples that their windows hold.
pub(crate) const WINDOW: usize = 1000;
pub(crate) const SHORT_WINDOW: usize = 1;
pub(crate) const BERTIER_GAMMA: f64 = 0.1;
pub(crate) const BERTIER_BETA: f64 = 1.0;
/// The least deviation that phi and Akka believe, as a share of the interval.
pub(crate) const PHI_LEAST: f64 = 0.01;
pub(crate) const AKKA_LEAST: f64 = 1.0;

/// Interval of beats over the recorded round trips, seconds: their tail reaches ten of it.
pub(crate) const TRIP_INTERVAL: f64 = 1.0;
/// Pairs of devices that take part, of more than two thousand.
pub(crate) const TRIP_PAIRS: usize = 200;
/// Common stalls laid over the round trips: every so many intervals, so many intervals long, all agents at once.
pub(crate) const STALL_EVERY: f64 = 60.0;
pub(crate) const STALL_LONG: f64 = 1.5;

/// The share of an interval that a beat is over when the guard counts its agent as overdue.
pub(crate) const OVERDUE: f64 = 0.25;

/// Mistakes per agent-hour at which detection times are compared.
pub(crate) const MISTAKES: f64 = 1.0;

/// Parts that the PCA rival explains samples of JumpStarter by.
pub(crate) const PCA_PARTS: usize = 5;
/// The share of a sample in the means of the EWMA rival.
pub(crate) const EWMA_SHARE: f32 = 0.005;
/// Samples of a day there.
pub(crate) const DAY: usize = 288;

/// Recovery: incidents per life, lives, after how many incidents what helps changes, and the first seed (those below were tuned on).
pub(crate) const INCIDENTS: u64 = 2000;
pub(crate) const LIVES: u64 = 40;
pub(crate) const DRIFT_AT: u64 = 1000;
pub(crate) const SEED: u64 = 1000;
