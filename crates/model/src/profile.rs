//! Lifecycle profiles: states, edges, classes and deadlines as data.
//!
//! The engine matches on the [`Role`] and classes of a state, never on its name, so that profiles of one's own work like the
//! built-in ones. A profile is checked when it is made; one that exists has every state reachable and every transitional state
//! with a deadline.

mod agent;
mod component;
pub mod policy;
mod runtime;
pub mod spec;

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use agent::{agent, agent_original};
pub use component::component;
pub use runtime::runtime;

/// A state of a profile, by its place in the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PhaseId(u8);

impl PhaseId {
    /// Its place in the table, below 32.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a state is for. Every state of every profile has exactly one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Known, nothing else.
    Initial,
    /// It is made sure that it can run.
    Preparing,
    /// It can run.
    Prepared,
    /// It comes up.
    Starting,
    /// It comes up again, where that is a state of its own.
    Restarting,
    /// Serves; nothing more is known of its work.
    Ready,
    /// Serves, with work in flight.
    Busy,
    /// Serves, its work is done.
    Idle,
    /// Serves worse than it should.
    Impaired,
    /// Goes down.
    Stopping,
    /// Gets a new spec.
    Updating,
    /// Changes its size.
    Scaling,
    /// Something is wrong; may come back by itself or go down.
    Error,
    /// Could not start or keep going.
    Failed,
    /// Did not start in time.
    TimedOut,
    /// People work on it.
    Maintenance,
    /// Up, takes no work.
    Suspended,
    /// Down, may start again.
    Offline,
    /// Down for good.
    Retired,
    /// No longer there.
    Gone,
}

impl Role {
    /// Every role.
    pub const ALL: &[Self] = &[
        Self::Initial,
        Self::Preparing,
        Self::Prepared,
        Self::Starting,
        Self::Restarting,
        Self::Ready,
        Self::Busy,
        Self::Idle,
        Self::Impaired,
        Self::Stopping,
        Self::Updating,
        Self::Scaling,
        Self::Error,
        Self::Failed,
        Self::TimedOut,
        Self::Maintenance,
        Self::Suspended,
        Self::Offline,
        Self::Retired,
        Self::Gone,
    ];

    /// The word that it is written as.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Preparing => "preparing",
            Self::Prepared => "prepared",
            Self::Starting => "starting",
            Self::Restarting => "restarting",
            Self::Ready => "ready",
            Self::Busy => "busy",
            Self::Idle => "idle",
            Self::Impaired => "impaired",
            Self::Stopping => "stopping",
            Self::Updating => "updating",
            Self::Scaling => "scaling",
            Self::Error => "error",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Maintenance => "maintenance",
            Self::Suspended => "suspended",
            Self::Offline => "offline",
            Self::Retired => "retired",
            Self::Gone => "gone",
        }
    }

    /// Whether it serves in this state.
    #[must_use]
    pub const fn serves(self) -> bool {
        matches!(self, Self::Ready | Self::Busy | Self::Idle | Self::Impaired)
    }

    /// Whether it is up in this state, at work or taken out of it.
    #[must_use]
    pub const fn is_up(self) -> bool {
        self.serves() || matches!(self, Self::Maintenance | Self::Suspended)
    }

    /// Whether this state must not be without a live instance: a process, or fresh beats.
    #[must_use]
    pub const fn needs_instance(self) -> bool {
        self.serves() || matches!(self, Self::Updating)
    }

    /// Whether this state must not have a live instance.
    #[must_use]
    pub const fn forbids_instance(self) -> bool {
        matches!(self, Self::Offline | Self::Retired | Self::Gone)
    }
}

/// Named sets of states, for predicates and filters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Works.
    Operational,
    /// Can take a task.
    Available,
    /// Something is wrong.
    Error,
    /// Taken out of work on purpose.
    Maintenance,
    /// On the way; has a deadline.
    Transitional,
    /// Never comes back.
    Final,
    /// Not yet started (for display).
    Initial,
    /// Up or coming up (for display).
    Active,
    /// Up or not, but not as it should be (components).
    Impaired,
}

impl Class {
    /// Every class.
    pub const ALL: &[Self] = &[
        Self::Operational,
        Self::Available,
        Self::Error,
        Self::Maintenance,
        Self::Transitional,
        Self::Final,
        Self::Initial,
        Self::Active,
        Self::Impaired,
    ];

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// A state of a profile.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State {
    name: Cow<'static, str>,
    role: Role,
    classes: u16,
    deadline: Option<Deadline>,
}

/// How long a state may last, and where it ends then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deadline {
    /// Default span; a spec may set another.
    pub after: Duration,
    /// The state that follows when it has passed.
    pub to: PhaseId,
}

/// A named, versioned set of states, edges, classes and deadlines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Profile {
    name: Cow<'static, str>,
    version: u16,
    initial: PhaseId,
    states: Vec<State>,
    /// Per state, the set of states that may follow.
    edges: Vec<u32>,
}

/// One line of the description that a profile is made from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateRow<'a> {
    /// The state's name.
    pub name: Cow<'static, str>,
    /// What it is for.
    pub role: Role,
    /// The sets it is in.
    pub classes: &'a [Class],
    /// States that may follow, by name, separated by spaces.
    pub next: &'a str,
    /// How long it may last, and the name of the state that follows then.
    pub deadline: Option<(Duration, &'a str)>,
}

impl Profile {
    /// Makes a profile from its table, the initial state first of `rows` unless `initial` names another.
    ///
    /// # Errors
    /// Says what is wrong with the table; see [`InvalidProfile`].
    pub fn new(
        name: Cow<'static, str>,
        version: u16,
        initial: &str,
        rows: &[StateRow<'_>],
    ) -> Result<Self, InvalidProfile> {
        if rows.len() > MAX_STATES {
            return Err(InvalidProfile::TooManyStates(rows.len()));
        }
        let find = |wanted: &str| -> Result<PhaseId, InvalidProfile> {
            let place = rows
                .iter()
                .position(|row| row.name == wanted)
                .ok_or_else(|| InvalidProfile::UnknownState(wanted.into()))?;
            Ok(PhaseId(u8::try_from(place).unwrap_or(u8::MAX)))
        };
        let mut states = Vec::with_capacity(rows.len());
        let mut edges = Vec::with_capacity(rows.len());
        for (place, row) in rows.iter().enumerate() {
            if rows.iter().take(place).any(|earlier| earlier.name == row.name) {
                return Err(InvalidProfile::Twice(row.name.clone().into_owned()));
            }
            let mut set = 0_u32;
            for next in row.next.split_whitespace() {
                set |= 1 << find(next)?.0;
            }
            edges.push(set);
            let deadline = match row.deadline {
                Some((after, to)) => {
                    let to = find(to)?;
                    if set & (1 << to.0) == 0 {
                        return Err(InvalidProfile::DeadlineOffEdge(row.name.clone().into_owned()));
                    }
                    Some(Deadline { after, to })
                }
                None => None,
            };
            let classes = row.classes.iter().fold(0, |set, class| set | class.bit());
            if classes & Class::Transitional.bit() != 0 && deadline.is_none() {
                return Err(InvalidProfile::NoDeadline(row.name.clone().into_owned()));
            }
            states.push(State {
                name: row.name.clone(),
                role: row.role,
                classes,
                deadline,
            });
        }
        let profile = Self {
            name,
            version,
            initial: find(initial)?,
            states,
            edges,
        };
        match profile.unreachable() {
            Some(state) => Err(InvalidProfile::Unreachable(profile.name_of(state).into())),
            None => Ok(profile),
        }
    }

    /// The profile's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The table's version; grows with each change of it.
    #[must_use]
    pub const fn version(&self) -> u16 {
        self.version
    }

    /// Where every life begins.
    #[must_use]
    pub const fn initial(&self) -> PhaseId {
        self.initial
    }

    /// All states, in the table's order.
    pub fn phases(&self) -> impl Iterator<Item = PhaseId> + '_ {
        (0..self.states.len()).map(|place| PhaseId(u8::try_from(place).unwrap_or(u8::MAX)))
    }

    /// Finds a state by its name.
    #[must_use]
    pub fn phase(&self, name: &str) -> Option<PhaseId> {
        self.phases().find(|phase| self.name_of(*phase) == name)
    }

    /// The state's name.
    #[must_use]
    pub fn name_of(&self, phase: PhaseId) -> &str {
        self.state(phase).map_or("", |state| &state.name)
    }

    /// The state's name, to keep.
    #[must_use]
    pub fn label(&self, phase: PhaseId) -> Cow<'static, str> {
        self.state(phase).map_or(Cow::Borrowed(""), |state| state.name.clone())
    }

    /// What the state is for.
    #[must_use]
    pub fn role(&self, phase: PhaseId) -> Role {
        self.state(phase).map_or(Role::Gone, |state| state.role)
    }

    /// Whether the state is in a class.
    #[must_use]
    pub fn is(&self, phase: PhaseId, class: Class) -> bool {
        self.state(phase).is_some_and(|state| state.classes & class.bit() != 0)
    }

    /// How long the state may last.
    #[must_use]
    pub fn deadline(&self, phase: PhaseId) -> Option<Deadline> {
        self.state(phase).and_then(|state| state.deadline)
    }

    /// Whether `to` may follow `from`.
    #[must_use]
    pub fn has_edge(&self, from: PhaseId, to: PhaseId) -> bool {
        self.edges
            .get(from.index())
            .is_some_and(|set| set & (1_u32 << to.0) != 0)
    }

    /// The states that may follow, in the table's order.
    pub fn next(&self, from: PhaseId) -> impl Iterator<Item = PhaseId> + '_ {
        self.phases().filter(move |to| self.has_edge(from, *to))
    }

    /// The first state of a role that may follow.
    #[must_use]
    pub fn hop(&self, from: PhaseId, role: Role) -> Option<PhaseId> {
        self.next(from).find(|to| self.role(*to) == role)
    }

    /// Whether it has a state of this role.
    #[must_use]
    pub fn has_role(&self, role: Role) -> bool {
        self.states.iter().any(|state| state.role == role)
    }

    /// How many edges it has.
    #[must_use]
    pub fn edge_count(&self) -> u32 {
        self.edges.iter().map(|set| set.count_ones()).sum()
    }

    fn state(&self, phase: PhaseId) -> Option<&State> {
        self.states.get(phase.index())
    }

    /// A state that no way leads to from the initial one, if there is one. One of scaling may be there unused: the original table of
    /// agents has no way into it.
    fn unreachable(&self) -> Option<PhaseId> {
        let mut reached = 1_u32 << self.initial.0;
        loop {
            let next = self
                .phases()
                .filter(|phase| reached & (1 << phase.0) != 0)
                .fold(reached, |set, phase| set | self.edges[phase.index()]);
            if next == reached {
                return self
                    .phases()
                    .find(|phase| reached & (1 << phase.0) == 0 && self.role(*phase) != Role::Scaling);
            }
            reached = next;
        }
    }
}

/// A set of edges fits one word.
const MAX_STATES: usize = 32;

/// What is wrong with a profile's table. Nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidProfile {
    /// More states than fit.
    #[error("a profile has at most 32 states, not {0}")]
    TooManyStates(usize),
    /// An edge, deadline or start that names no state.
    #[error("there is no state `{0}`")]
    UnknownState(String),
    /// Two states of one name.
    #[error("the state `{0}` is there twice")]
    Twice(String),
    /// A deadline that would leave the table.
    #[error("the deadline of `{0}` leads where no edge does")]
    DeadlineOffEdge(String),
    /// A state that could last for ever.
    #[error("`{0}` is transitional and needs a deadline")]
    NoDeadline(String),
    /// A state that nothing leads to.
    #[error("no way leads to `{0}`")]
    Unreachable(String),
    /// It begins with a profile that is not known.
    #[error("there is no profile `{0}` to begin with; use agent, agent-original or component")]
    UnknownBase(String),
    /// Nothing says where a life begins.
    #[error("`initial` must name the state in which a life begins, since there is no `base`")]
    NoInitial,
    /// A name that cannot stand in a table.
    #[error("`{0}` is no name for a state: it must not be empty or have spaces in it")]
    Unnameable(String),
    /// An edge was forbidden that is not there.
    #[error("the edge `{0}` is not there, so it cannot be forbidden")]
    NoEdge(String),
    /// A deadline was set for a state that has none.
    #[error("`{0}` may last for ever, so it has no deadline to change")]
    EndlessState(String),
    /// What happens to an agent there could not be written down.
    #[error("`{state}` needs an edge to a state of role {wanted}: an agent may break or be ended there")]
    NoWay {
        /// The state.
        state: String,
        /// The roles, one of which must follow.
        wanted: String,
    },
}

/// A table of ours that its tests have made before.
fn built_in(made: Result<Profile, InvalidProfile>) -> Profile {
    #[expect(clippy::expect_used, reason = "the table is a constant and a test makes it")]
    made.expect("built-in profile")
}

#[cfg(test)]
mod tests;
