//! What readers see of a degradation, and why it is so, in words.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use stead_model::{CALM, ComponentStanding, DegradationView, FeatureView, NeededView};
use stead_policy::degrade::{Cause, Name, OffBecause, When};

use super::{Degradation, listed};
use crate::words;

impl Degradation {
    /// As the API shows it.
    pub(crate) fn view(&self) -> DegradationView {
        let (row, state) = (&self.row, self.degrader.state());
        let plan = self.degrader.plan();
        let features = plan.features.iter().filter_map(|(name, feature)| {
            let names = |names: &[Name]| names.iter().filter_map(|name| name.parse().ok()).collect();
            Some(FeatureView {
                name: name.parse().ok()?,
                importance: words::of_criticality(feature.importance),
                weight: feature.weight(),
                requires: names(&feature.requires),
                off_because: state.why_off(name).map(said),
                serving: self.degrader.serving(name).and_then(|name| name.parse().ok()),
            })
        });
        let components = plan.components.iter().filter_map(|(name, criticality)| {
            let standing = if state.down.contains(name) {
                ComponentStanding::Down
            } else if self.serve.contains(name) {
                ComponentStanding::Up
            } else {
                ComponentStanding::Unknown
            };
            Some(NeededView {
                name: name.parse().ok()?,
                criticality: words::of_criticality(*criticality),
                standing,
            })
        });
        DegradationView {
            namespace: row.namespace.clone(),
            level: row.level,
            cause: row.cause.clone(),
            rule: row.rule.clone(),
            modes: row.modes.clone(),
            since: Some(row.since),
            features_off: state.features_off,
            impact: state.impact,
            features: features.collect(),
            components: components.collect(),
            held: row.held.clone(),
            revision: row.revision,
        }
    }

    /// Why it is as it is.
    pub(super) fn cause(&self) -> String {
        let state = self.degrader.state();
        match &state.cause {
            Cause::Calm if state.down.is_empty() => CALM.into(),
            Cause::Calm => format!("{}, and no rule asks for a level", listed(state.down.iter())),
            Cause::Override { by, why } if why.is_empty() => format!("held by {by}"),
            Cause::Override { by, why } => format!("held by {by}: {why}"),
            Cause::Rule(name) => {
                let rules = self.degrader.plan().rules.iter();
                let holds = rules.filter(|rule| rule.name == *name && rule.level == state.level);
                let words: Vec<String> = holds.map(|rule| self.reason(&rule.when)).collect();
                words
                    .into_iter()
                    .find(|word| !word.is_empty())
                    .unwrap_or_else(|| name.to_string())
            }
        }
    }

    /// What makes a rule apply.
    fn reason(&self, when: &When) -> String {
        let (state, plan) = (self.degrader.state(), self.degrader.plan());
        match when {
            When::AllDown(components) => listed(components.iter()),
            When::Down { criticality, .. } => {
                let of = |name: &&Name| plan.components.get(*name) == Some(criticality);
                listed(state.down.iter().filter(of))
            }
            When::AnyDown => listed(state.down.iter()),
            When::CpuOver(share) => format!("the processors of the machine are busier than {share}"),
            When::MemoryOver(share) => format!("the memory of the machine is fuller than {share}"),
        }
    }
}

fn said(why: &OffBecause) -> String {
    match why {
        OffBecause::Needs(component) => format!("it needs {component}, which is down"),
        OffBecause::Rule(rule) => format!("rule {rule} turns it off"),
        OffBecause::Shed(level) => format!("level {} gives up what is of its importance", level.as_str()),
    }
}
