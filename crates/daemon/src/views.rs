//! The published view of every agent: what readers see, never ahead of what is durable.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};

use stead_model::group::GroupView;
use stead_model::{AgentId, AgentName, AgentRef, AgentView, Namespace};

/// All agents, by name and by id.
#[derive(Debug, Default)]
pub struct Views {
    tables: RwLock<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    by_name: BTreeMap<(Namespace, AgentName), Arc<AgentView>>,
    names: HashMap<AgentId, (Namespace, AgentName)>,
    groups: BTreeMap<(Namespace, AgentName), Arc<GroupView>>,
}

impl Views {
    /// Shows an agent as it is now.
    pub fn publish(&self, view: AgentView) {
        let key = (view.namespace.clone(), view.name.clone());
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        tables.names.insert(view.id, key.clone());
        tables.by_name.insert(key, Arc::new(view));
    }

    /// Shows an agent no longer.
    pub fn withdraw(&self, id: AgentId) {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = tables.names.remove(&id)
            && tables.by_name.get(&key).is_some_and(|view| view.id == id)
        {
            tables.by_name.remove(&key);
        }
    }

    /// Shows a group as it is now.
    pub fn publish_group(&self, view: GroupView) {
        let key = (view.namespace.clone(), view.name.clone());
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
        page(&tables.groups, after, limit, fits)
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
    /// Holds the readers' lock for the whole walk; the second value says whether there are more.
    pub fn page(
        &self,
        after: Option<&(Namespace, AgentName)>,
        limit: usize,
        fits: impl FnMut(&AgentView) -> bool,
    ) -> (Vec<Arc<AgentView>>, bool) {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        page(&tables.by_name, after, limit, fits)
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

/// Up to `limit` of those that fit, beyond `after`, and whether there are more.
fn page<T>(
    views: &BTreeMap<(Namespace, AgentName), Arc<T>>,
    after: Option<&(Namespace, AgentName)>,
    limit: usize,
    mut fits: impl FnMut(&T) -> bool,
) -> (Vec<Arc<T>>, bool) {
    let start = after.map_or(Bound::Unbounded, Bound::Excluded);
    let mut fitting = views
        .range((start, Bound::Unbounded))
        .filter(|(_, view)| fits(view))
        .map(|(_, view)| view);
    let page: Vec<_> = fitting.by_ref().take(limit).map(Arc::clone).collect();
    let more = fitting.next().is_some();
    (page, more)
}
