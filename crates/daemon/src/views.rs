//! The published view of every agent: what readers see, never ahead of what is durable.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};

use stead_model::group::GroupView;
use stead_model::profile::{agent, agent_original, component};
use stead_model::{AgentId, AgentName, AgentRef, AgentView, Namespace, Profile};

/// All agents, by name and by id.
#[derive(Debug, Default)]
pub struct Views {
    tables: RwLock<Tables>,
    profiles: Lifecycles,
}

/// The profiles in force, those of configuration before the built-in ones.
#[derive(Debug)]
struct Lifecycles(RwLock<Arc<[Profile]>>);

impl Default for Lifecycles {
    fn default() -> Self {
        Self(RwLock::new(all_profiles(Vec::new())))
    }
}

fn all_profiles(own: Vec<Profile>) -> Arc<[Profile]> {
    own.into_iter()
        .chain([agent(), agent_original(), component()])
        .collect()
}

/// Namespace and name, kept once and shared by all tables.
type Key = Arc<(Namespace, AgentName)>;

#[derive(Debug, Default)]
struct Tables {
    by_name: BTreeMap<Key, Arc<AgentView>>,
    names: HashMap<AgentId, Key>,
    /// Who is in each phase, so that the few of many are found without looking at all.
    by_phase: BTreeMap<Cow<'static, str>, BTreeSet<Key>>,
    groups: BTreeMap<Key, Arc<GroupView>>,
}

impl Views {
    /// The profiles in force.
    #[must_use]
    pub fn profiles(&self) -> Arc<[Profile]> {
        Arc::clone(&self.profiles.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shows other profiles of one's own beside the built-in ones.
    pub fn show_profiles(&self, own: Vec<Profile>) {
        *self.profiles.0.write().unwrap_or_else(PoisonError::into_inner) = all_profiles(own);
    }

    /// Shows an agent as it is now.
    pub fn publish(&self, view: AgentView) {
        let mut guard = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        let tables = &mut *guard;
        let place = (view.namespace.clone(), view.name.clone());
        let known = tables.by_name.get_key_value(&place);
        let (key, before) = match known {
            Some((key, before)) => (Arc::clone(key), Some(Arc::clone(before))),
            None => (Arc::new(place), None),
        };
        if before.as_ref().is_none_or(|before| before.phase != view.phase) {
            if let Some(before) = &before {
                tables.leave_phase(&before.phase, &key);
            }
            tables
                .by_phase
                .entry(view.phase.clone())
                .or_default()
                .insert(Arc::clone(&key));
        }
        if before.is_none_or(|before| before.id != view.id) {
            tables.names.insert(view.id, Arc::clone(&key));
        }
        tables.by_name.insert(key, Arc::new(view));
    }

    /// Shows an agent no longer.
    pub fn withdraw(&self, id: AgentId) {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = tables.names.remove(&id)
            && tables.by_name.get(&key).is_some_and(|view| view.id == id)
            && let Some(view) = tables.by_name.remove(&key)
        {
            tables.leave_phase(&view.phase, &key);
        }
    }

    /// Shows a group as it is now.
    pub fn publish_group(&self, view: GroupView) {
        let key = Arc::new((view.namespace.clone(), view.name.clone()));
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        tables.groups.insert(key, Arc::new(view));
    }

    /// Shows a group no longer.
    pub fn withdraw_group(&self, id: AgentId) {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        tables.groups.retain(|_, view| view.id != id);
    }

    /// Finds a group; reading an unknown one creates nothing.
    #[must_use]
    pub fn group(&self, namespace: &Namespace, group: &AgentRef) -> Option<Arc<GroupView>> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        match group {
            AgentRef::Name(name) => tables.groups.get(&(namespace.clone(), name.clone())).cloned(),
            AgentRef::Id(id) => tables.groups.values().find(|view| view.id == *id).cloned(),
        }
    }

    /// Every group, by namespace and name.
    #[must_use]
    pub fn groups(&self) -> Vec<Arc<GroupView>> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        tables.groups.values().cloned().collect()
    }

    /// Collects up to `limit` groups that `fits` takes, as [`Views::page`] does agents.
    pub fn page_of_groups(
        &self,
        after: Option<&(Namespace, AgentName)>,
        limit: usize,
        fits: impl FnMut(&GroupView) -> bool,
    ) -> (Vec<Arc<GroupView>>, bool) {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        page(beyond(&tables.groups, after), limit, fits)
    }

    /// Finds an agent; reading an unknown one creates nothing.
    #[must_use]
    pub fn get(&self, namespace: &Namespace, agent: &AgentRef) -> Option<Arc<AgentView>> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        match agent {
            AgentRef::Name(name) => tables.by_name.get(&(namespace.clone(), name.clone())),
            AgentRef::Id(id) => tables.names.get(id).and_then(|key| tables.by_name.get(key)),
        }
        .map(Arc::clone)
    }

    /// Collects up to `limit` agents that `fits` takes, by namespace and name, beyond `after`.
    ///
    /// With a phase, only those in it are looked at. Holds the readers' lock for the whole walk, so that a page is of one moment; the
    /// second value says whether there are more.
    pub fn page(
        &self,
        phase: Option<&str>,
        after: Option<&(Namespace, AgentName)>,
        limit: usize,
        fits: impl FnMut(&AgentView) -> bool,
    ) -> (Vec<Arc<AgentView>>, bool) {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        match phase {
            None => page(beyond(&tables.by_name, after), limit, fits),
            Some(phase) => {
                let start = after.map_or(Bound::Unbounded, Bound::Excluded);
                let keys = tables.by_phase.get(phase).into_iter();
                let keys = keys.flat_map(|keys| keys.range::<(Namespace, AgentName), _>((start, Bound::Unbounded)));
                page(keys.filter_map(|key| tables.by_name.get(key)), limit, fits)
            }
        }
    }

    /// Calls `visit` with every agent, by namespace and name.
    pub fn each(&self, mut visit: impl FnMut(&AgentView)) {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        tables.by_name.values().for_each(|view| visit(view));
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.tables.read().unwrap_or_else(PoisonError::into_inner).by_name.len()
    }
}

impl Tables {
    fn leave_phase(&mut self, phase: &str, key: &Key) {
        if let Some(keys) = self.by_phase.get_mut(phase) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_phase.remove(phase);
            }
        }
    }
}

/// Everything of a table beyond a place.
fn beyond<'t, T>(
    views: &'t BTreeMap<Key, Arc<T>>,
    after: Option<&(Namespace, AgentName)>,
) -> impl Iterator<Item = &'t Arc<T>> {
    let start = after.map_or(Bound::Unbounded, Bound::Excluded);
    views
        .range::<(Namespace, AgentName), _>((start, Bound::Unbounded))
        .map(|(_, view)| view)
}

/// Up to `limit` of those that fit, and whether there are more.
fn page<'t, T: 't>(
    views: impl Iterator<Item = &'t Arc<T>>,
    limit: usize,
    mut fits: impl FnMut(&T) -> bool,
) -> (Vec<Arc<T>>, bool) {
    let mut fitting = views.filter(|view| fits(view));
    let page: Vec<_> = fitting.by_ref().take(limit).map(Arc::clone).collect();
    let more = fitting.next().is_some();
    (page, more)
}

#[cfg(test)]
mod tests;
