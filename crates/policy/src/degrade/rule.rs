//! What follows from what.

use alloc::vec::Vec;

use super::{Level, Mode, Name};
use crate::Criticality;

/// When a rule applies.
#[derive(Clone, PartialEq, Debug)]
pub enum When {
    /// All these components are down.
    AllDown(Vec<Name>),
    /// So many components of exactly this criticality are down, or more.
    Down {
        /// The criticality.
        criticality: Criticality,
        /// How many. At least one.
        count: u32,
    },
    /// Any component is down.
    AnyDown,
    /// The processors are busier than this share.
    CpuOver(f64),
    /// Memory is fuller than this share.
    MemoryOver(f64),
}

impl When {
    /// Whether it is about load.
    pub(super) const fn is_load(&self) -> bool {
        match self {
            Self::CpuOver(_) | Self::MemoryOver(_) => true,
            Self::AllDown(_) | Self::Down { .. } | Self::AnyDown => false,
        }
    }
}

/// What follows while something is so.
///
/// Of all rules that apply the one of highest priority decides on level and features, of several the most severe, of those the
/// first. Modes come from all that apply.
#[derive(Clone, PartialEq, Debug)]
pub struct Rule {
    /// What it is called in causes and history.
    pub name: Name,
    /// When it applies.
    pub when: When,
    /// The level that it asks for.
    pub level: Level,
    /// How work is to be done.
    pub mode: Option<Mode>,
    /// Features that it turns off beside those that the level gives up.
    pub disable: Vec<Name>,
    /// Higher decides over lower. The default rules have 0.
    pub priority: i32,
}

impl Rule {
    /// A rule of priority 0 without mode and features of its own.
    pub fn new(name: impl Into<Name>, when: When, level: Level) -> Self {
        Self {
            name: name.into(),
            when,
            level,
            mode: None,
            disable: Vec::new(),
            priority: 0,
        }
    }

    /// The rules that hold where nobody wrote any.
    ///
    /// | name | when | level | mode |
    /// |---|---|---|---|
    /// | `optional_down` | an optional component is down | minor | |
    /// | `important_down` | an important one | moderate | |
    /// | `critical_down` | a critical one | severe | |
    /// | `criticals_down` | two critical ones | minimal | |
    /// | `essential_down` | an essential one | emergency | |
    /// | `cpu_high` | cpu > 0.90 | minor | simplified |
    /// | `memory_high` | memory > 0.85 | minor | batch |
    /// | `dependency_down` | any component | minor | offline |
    #[must_use]
    pub fn defaults() -> Vec<Self> {
        let down = |criticality, count| When::Down { criticality, count };
        let with = |mode, rule: Self| Self {
            mode: Some(mode),
            ..rule
        };
        alloc::vec![
            Self::new("optional_down", down(Criticality::Optional, 1), Level::Minor),
            Self::new("important_down", down(Criticality::Important, 1), Level::Moderate),
            Self::new("critical_down", down(Criticality::Critical, 1), Level::Severe),
            Self::new("criticals_down", down(Criticality::Critical, 2), Level::Minimal),
            Self::new("essential_down", down(Criticality::Essential, 1), Level::Emergency),
            with(
                Mode::Simplified,
                Self::new("cpu_high", When::CpuOver(0.90), Level::Minor)
            ),
            with(
                Mode::Batch,
                Self::new("memory_high", When::MemoryOver(0.85), Level::Minor)
            ),
            with(Mode::Offline, Self::new("dependency_down", When::AnyDown, Level::Minor)),
        ]
    }
}
