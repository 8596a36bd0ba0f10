//! Profiles of one's own, as configuration has them: a table, or changes to a table that is known.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Class, InvalidProfile, Profile, Role, StateRow};
use crate::Span;
use crate::id::serde_as_text;

/// A profile as `[profiles.NAME]` has it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProfileSpec {
    /// The profile that it begins with: `agent`, `agent-original` or `component`. Absent: `states` are all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Number of this table; raise it with each change. Default 1.
    pub version: Version,
    /// The state in which a life begins; default that of the base.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial: Option<String>,
    /// States beside those of the base; every one names its role.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub states: BTreeMap<String, StateSpec>,
    /// Edges beside those of the base, as `"online -> reviewing"`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<Edge>,
    /// Edges of the base that are not there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub forbidden: Vec<Edge>,
    /// How long states may last, by their names; only for those that have a deadline.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub deadlines: BTreeMap<String, Span>,
}

/// A version of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Version(pub u16);

impl Default for Version {
    fn default() -> Self {
        Self(1)
    }
}

/// A state of a profile of one's own.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StateSpec {
    /// What it is for; the engine goes by this alone.
    pub role: Role,
    /// Named sets that it belongs to, for predicates and filters. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<Class>,
    /// States that may follow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<String>,
    /// How long it may last, and what follows then. A transitional state needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<DeadlineSpec>,
}

/// How long a state may last.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeadlineSpec {
    /// Longest stay.
    pub after: Span,
    /// The state that follows.
    pub to: String,
}

/// One edge of a table, written `from -> to`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edge {
    /// Before.
    pub from: String,
    /// After.
    pub to: String,
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.from, self.to)
    }
}

impl FromStr for Edge {
    type Err = InvalidEdge;

    fn from_str(text: &str) -> Result<Self, InvalidEdge> {
        let ends = text.split_once("->").map(|(from, to)| (from.trim(), to.trim()));
        match ends {
            Some((from, to)) if is_state(from) && is_state(to) => Ok(Self {
                from: from.to_string(),
                to: to.to_string(),
            }),
            Some(_) | None => Err(InvalidEdge(text.to_string())),
        }
    }
}

serde_as_text!(Edge, "Edge", "^.+->.+$");

fn is_state(name: &str) -> bool {
    !name.is_empty() && !name.contains(char::is_whitespace)
}

/// What was no edge. Nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` is no edge; write it as \"online -> maintenance\"")]
pub struct InvalidEdge(pub String);

/// One state while a table is put together.
struct Row {
    name: Cow<'static, str>,
    role: Role,
    classes: Vec<Class>,
    next: Vec<String>,
    deadline: Option<(Span, String)>,
}

impl ProfileSpec {
    /// Makes the profile; `known` gives those that it may begin with.
    ///
    /// # Errors
    /// Says what is wrong with the table; see [`InvalidProfile`].
    pub fn build(&self, name: &str, known: impl Fn(&str) -> Option<Profile>) -> Result<Profile, InvalidProfile> {
        let base = match &self.base {
            Some(base) => Some(known(base).ok_or_else(|| InvalidProfile::UnknownBase(base.clone()))?),
            None => None,
        };
        let mut rows: Vec<Row> = base.iter().flat_map(rows_of).collect();
        for (state, spec) in &self.states {
            if rows.iter().any(|row| row.name == state.as_str()) {
                return Err(InvalidProfile::Twice(state.clone()));
            }
            if !is_state(state) {
                return Err(InvalidProfile::Unnameable(state.clone()));
            }
            rows.push(Row {
                name: state.clone().into(),
                role: spec.role,
                classes: spec.classes.clone(),
                next: spec.next.clone(),
                deadline: spec
                    .deadline
                    .as_ref()
                    .map(|deadline| (deadline.after, deadline.to.clone())),
            });
        }
        for edge in &self.extra {
            row(&mut rows, &edge.from)?.next.push(edge.to.clone());
        }
        for edge in &self.forbidden {
            let next = &mut row(&mut rows, &edge.from)?.next;
            let before = next.len();
            next.retain(|to| *to != edge.to);
            if next.len() == before {
                return Err(InvalidProfile::NoEdge(edge.to_string()));
            }
        }
        for (state, after) in &self.deadlines {
            match &mut row(&mut rows, state)?.deadline {
                Some((span, _)) => *span = *after,
                None => return Err(InvalidProfile::EndlessState(state.clone())),
            }
        }
        let initial = match (&self.initial, &base) {
            (Some(initial), _) => initial.clone(),
            (None, Some(base)) => base.name_of(base.initial()).into(),
            (None, None) => return Err(InvalidProfile::NoInitial),
        };
        let words: Vec<String> = rows.iter().map(|row| row.next.join(" ")).collect();
        let rows: Vec<StateRow<'_>> = rows
            .iter()
            .zip(&words)
            .map(|(row, next)| StateRow {
                name: row.name.clone(),
                role: row.role,
                classes: &row.classes,
                next,
                deadline: row.deadline.as_ref().map(|(after, to)| (after.0, to.as_str())),
            })
            .collect();
        let profile = Profile::new(name.to_string().into(), self.version.0, &initial, &rows)?;
        profile.check_ways()?;
        Ok(profile)
    }
}

fn rows_of(base: &Profile) -> Vec<Row> {
    let label = |phase| String::from(base.name_of(phase));
    base.phases()
        .map(|phase| Row {
            name: base.label(phase),
            role: base.role(phase),
            classes: Class::ALL
                .iter()
                .copied()
                .filter(|class| base.is(phase, *class))
                .collect(),
            next: base.next(phase).map(label).collect(),
            deadline: base
                .deadline(phase)
                .map(|deadline| (Span(deadline.after), label(deadline.to))),
        })
        .collect()
}

fn row<'r>(rows: &'r mut [Row], state: &str) -> Result<&'r mut Row, InvalidProfile> {
    rows.iter_mut()
        .find(|row| row.name == state)
        .ok_or_else(|| InvalidProfile::UnknownState(state.to_string()))
}

impl Profile {
    /// Checks that an agent can always go on: whatever it does may break and may be ended, and so be written down.
    ///
    /// # Errors
    /// [`InvalidProfile::NoWay`] names a state from which that cannot be.
    pub fn check_ways(&self) -> Result<(), InvalidProfile> {
        for phase in self.phases() {
            let wanted: &'static [Role] = match self.role(phase) {
                Role::Ready | Role::Busy | Role::Idle | Role::Impaired | Role::Updating | Role::Scaling => {
                    &[Role::Error, Role::Failed]
                }
                Role::Maintenance | Role::Suspended => &[Role::Offline, Role::Stopping],
                Role::Stopping => &[Role::Offline, Role::Error],
                Role::Preparing | Role::Starting | Role::Restarting => &[Role::Failed, Role::Error],
                Role::Error => &[Role::Failed, Role::Offline],
                Role::Initial
                | Role::Prepared
                | Role::Failed
                | Role::TimedOut
                | Role::Offline
                | Role::Retired
                | Role::Gone => continue,
            };
            if !wanted.iter().any(|role| self.hop(phase, *role).is_some()) {
                return Err(InvalidProfile::NoWay {
                    state: self.name_of(phase).into(),
                    wanted: wanted.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(" or "),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{agent, component};

    fn known(name: &str) -> Option<Profile> {
        [agent(), component()]
            .into_iter()
            .find(|profile| profile.name() == name)
    }

    fn build(json: &str) -> Result<Profile, InvalidProfile> {
        serde_json::from_str::<ProfileSpec>(json).unwrap().build("own", known)
    }

    #[test]
    fn a_profile_adds_states_and_edges_to_a_known_one_and_takes_edges_away() {
        let own = build(
            r#"{"base":"agent","states":{"reviewing":{"role":"busy","classes":["operational"],"next":["online","error","stopping"]}},
                "extra":["online -> reviewing"],"forbidden":["busy -> maintenance"],"deadlines":{"starting":"5m"}}"#,
        )
        .unwrap();
        let phase = |name| own.phase(name).unwrap();
        assert_eq!((own.name(), own.version(), own.edge_count()), ("own", 1, 69 + 3));
        assert!(own.has_edge(phase("online"), phase("reviewing")));
        assert!(!own.has_edge(phase("busy"), phase("maintenance")));
        assert_eq!(
            own.deadline(phase("starting")).unwrap().after,
            core::time::Duration::from_secs(300)
        );
        assert!(own.is(phase("reviewing"), Class::Operational));
    }

    #[test]
    fn a_profile_without_a_base_is_its_states_alone() {
        let own = build(
            r#"{"initial":"new","states":{
                "new":{"role":"initial","next":["up"]},
                "up":{"role":"starting","next":["on","bad"],"deadline":{"after":"1m","to":"bad"}},
                "on":{"role":"ready","next":["bad"]},
                "bad":{"role":"failed","next":["up"]}}}"#,
        )
        .unwrap();
        assert_eq!(own.phases().count(), 4);
    }

    #[test]
    fn what_is_wrong_with_a_profile_is_named() {
        let wrong = [
            (r#"{"base":"nothing"}"#, "there is no profile `nothing` to begin with"),
            (
                r#"{"states":{"a":{"role":"initial"}}}"#,
                "`initial` must name the state",
            ),
            (
                r#"{"base":"agent","states":{"online":{"role":"ready"}}}"#,
                "`online` is there twice",
            ),
            (
                r#"{"base":"agent","states":{"a b":{"role":"ready"}}}"#,
                "`a b` is no name",
            ),
            (
                r#"{"base":"agent","extra":["online -> away"]}"#,
                "there is no state `away`",
            ),
            (
                r#"{"base":"agent","forbidden":["online -> deleted"]}"#,
                "online -> deleted` is not there",
            ),
            (
                r#"{"base":"agent","forbidden":["online -> error"]}"#,
                "`online` needs an edge to a state of role error or failed",
            ),
            (
                r#"{"base":"agent","deadlines":{"online":"5s"}}"#,
                "`online` may last for ever",
            ),
            (
                r#"{"base":"agent","forbidden":["registered -> deploying","failed -> deploying"]}"#,
                "no way leads to",
            ),
        ];
        for (json, words) in wrong {
            let told = build(json).unwrap_err().to_string();
            assert!(told.contains(words), "{json}: {told}");
        }
    }

    #[test]
    fn an_edge_is_two_states_with_an_arrow_between() {
        assert_eq!("online->idle".parse::<Edge>().unwrap().to_string(), "online -> idle");
        for wrong in ["", "online", "-> idle", "a b -> c", "a ->"] {
            assert!(wrong.parse::<Edge>().is_err(), "{wrong}");
        }
    }
}
