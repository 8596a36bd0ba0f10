//! The published view of every agent: what readers see, never ahead of what is durable.
//!
//! Kept is what the engine published ([`Shown`]), which for most agents are the very bytes that the engine keeps; views are made when
//! somebody reads. Whoever walks over many does so on a snapshot: it is of one moment, and nobody waits for it.

mod shelf;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use stead_engine::{Glance, Shown};
use stead_model::group::GroupView;
use stead_model::profile::{agent, agent_original, component};
use stead_model::{AgentId, AgentName, AgentRef, AgentView, DegradationView, Namespace, Profile};

use shelf::Shelf;

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

/// Namespace and name.
type Key = (Namespace, AgentName);

#[derive(Debug, Default)]
struct Tables {
    agents: Shelf,
    ids: BTreeMap<AgentId, Shown>,
    /// Who is in each phase, so that the few of many are found without looking at all.
    phases: BTreeMap<Box<str>, Shelf>,
    groups: BTreeMap<Key, Arc<GroupView>>,
    degradations: BTreeMap<Namespace, Arc<DegradationView>>,
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
    pub fn publish(&self, agent: impl Into<Shown>) {
        self.write().publish(agent.into());
    }

    /// Shows many agents at once; much faster than one after the other while nothing is shown yet.
    pub fn publish_all(&self, agents: Vec<Shown>) {
        let mut tables = self.write();
        if tables.agents.len() == 0 {
            tables.fill(agents);
        } else {
            agents.into_iter().for_each(|agent| tables.publish(agent));
        }
    }

    /// Shows an agent no longer.
    pub fn withdraw(&self, id: AgentId) {
        let mut tables = self.write();
        if let Some(agent) = tables.ids.remove(&id) {
            tables.leave_phase(&agent);
            // Another agent may have its name by now.
            if tables.agents.get(agent.place()).is_some_and(|known| known.id() == id) {
                tables.agents.take(agent.place());
            }
        }
    }

    /// Shows a group as it is now.
    pub fn publish_group(&self, view: GroupView) {
        let key = (view.namespace.clone(), view.name.clone());
        self.write().groups.insert(key, Arc::new(view));
    }

    /// Shows a group no longer.
    pub fn withdraw_group(&self, id: AgentId) {
        self.write().groups.retain(|_, view| view.id != id);
    }

    /// Shows what a namespace has given up.
    pub fn publish_degradation(&self, view: DegradationView) {
        self.write().degradations.insert(view.namespace.clone(), Arc::new(view));
    }

    /// What a namespace has given up; nothing where it never had anything to give up.
    #[must_use]
    pub fn degradation(&self, namespace: &Namespace) -> Option<Arc<DegradationView>> {
        self.read().degradations.get(namespace).cloned()
    }

    /// Every namespace that may give something up, by name.
    #[must_use]
    pub fn degradations(&self) -> Vec<Arc<DegradationView>> {
        self.read().degradations.values().cloned().collect()
    }

    /// Finds a group; reading an unknown one creates nothing.
    #[must_use]
    pub fn group(&self, namespace: &Namespace, group: &AgentRef) -> Option<Arc<GroupView>> {
        let tables = self.read();
        match group {
            AgentRef::Name(name) => tables.groups.get(&(namespace.clone(), name.clone())).cloned(),
            AgentRef::Id(id) => tables.groups.values().find(|view| view.id == *id).cloned(),
        }
    }

    /// Every group, by namespace and name.
    #[must_use]
    pub fn groups(&self) -> Vec<Arc<GroupView>> {
        self.read().groups.values().cloned().collect()
    }

    /// Collects up to `limit` groups that `fits` takes, as [`Views::page`] does agents.
    pub fn page_of_groups(
        &self,
        after: Option<&(Namespace, AgentName)>,
        limit: usize,
        mut fits: impl FnMut(&GroupView) -> bool,
    ) -> (Vec<Arc<GroupView>>, bool) {
        let tables = self.read();
        let start = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let mut fitting = tables.groups.range::<Key, _>((start, std::ops::Bound::Unbounded));
        let mut fitting = fitting.by_ref().map(|(_, view)| view).filter(|view| fits(view));
        let page: Vec<_> = fitting.by_ref().take(limit).map(Arc::clone).collect();
        let more = fitting.next().is_some();
        (page, more)
    }

    /// Finds an agent as it was published last; reading an unknown one creates nothing.
    #[must_use]
    pub fn find(&self, namespace: &Namespace, agent: &AgentRef) -> Option<Shown> {
        let tables = self.read();
        match agent {
            AgentRef::Name(name) => tables.agents.get((namespace.as_str(), name.as_str())).cloned(),
            AgentRef::Id(id) => tables.ids.get(id).cloned(),
        }
    }

    /// The view of an agent; reading an unknown one creates nothing.
    #[must_use]
    pub fn get(&self, namespace: &Namespace, agent: &AgentRef) -> Option<Arc<AgentView>> {
        let found = self.find(namespace, agent);
        found.map(|found| Arc::new(found.view()))
    }

    /// Collects up to `limit` agents that `fits` takes, by namespace and name, beyond `after`; whether there are more, the second value
    /// says.
    ///
    /// With a phase, only those in it are looked at. All of it is of one moment, whatever is published meanwhile, and nothing is held up
    /// by it. Where few fit, all are looked at, which takes about a tenth of a second for a million.
    pub fn page(
        &self,
        phase: Option<&str>,
        after: Option<&(Namespace, AgentName)>,
        limit: usize,
        mut fits: impl FnMut(&Glance<'_>) -> bool,
    ) -> (Vec<AgentView>, bool) {
        let agents = self.snapshot(phase);
        let after = after.map(|(namespace, name)| (namespace.as_str(), name.as_str()));
        let mut fitting = agents.beyond(after).filter(|shown| fits(&shown.glance()));
        let page: Vec<_> = fitting.by_ref().take(limit).map(Shown::view).collect();
        let more = fitting.next().is_some();
        (page, more)
    }

    /// Calls `visit` with every agent, by namespace and name, as all of them were at one moment.
    pub fn each(&self, visit: impl FnMut(&Shown)) {
        self.snapshot(None).beyond(None).for_each(visit);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.read().agents.len()
    }

    fn snapshot(&self, phase: Option<&str>) -> Shelf {
        let tables = self.read();
        match phase {
            None => tables.agents.clone(),
            Some(phase) => tables.phases.get(phase).cloned().unwrap_or_default(),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn publish(&mut self, agent: Shown) {
        let before = self.ids.insert(agent.id(), agent.clone());
        if let Some(before) = before.filter(|before| before.phase() != agent.phase()) {
            self.leave_phase(&before);
        }
        match self.phases.get_mut(agent.phase()) {
            Some(shelf) => drop(shelf.put(agent.clone())),
            None => drop(
                self.phases
                    .insert(agent.phase().into(), Shelf::of_sorted(vec![agent.clone()])),
            ),
        }
        let displaced = self.agents.put(agent.clone());
        if let Some(old) = displaced.filter(|old| old.id() != agent.id()) {
            // Its name was given to another before it was withdrawn.
            if old.phase() != agent.phase() {
                self.leave_phase(&old);
            }
            self.ids.remove(&old.id());
        }
    }

    /// Sorts all of them in, in place of nothing.
    fn fill(&mut self, agents: Vec<Shown>) {
        let mut sorted: Vec<(Prefix, Shown)> = agents.into_iter().map(|agent| (prefix(&agent), agent)).collect();
        sorted.sort_unstable_by(|(one, a), (other, b)| one.cmp(other).then_with(|| a.place().cmp(&b.place())));
        let sorted: Vec<Shown> = sorted.into_iter().map(|(_, agent)| agent).collect();
        let mut phases: BTreeMap<Box<str>, Vec<Shown>> = BTreeMap::new();
        for agent in &sorted {
            match phases.get_mut(agent.phase()) {
                Some(agents) => agents.push(agent.clone()),
                None => drop(phases.insert(agent.phase().into(), vec![agent.clone()])),
            }
        }
        self.phases = phases
            .into_iter()
            .map(|(phase, agents)| (phase, Shelf::of_sorted(agents)))
            .collect();
        let mut ids: Vec<_> = sorted.iter().map(|agent| (agent.id(), agent.clone())).collect();
        ids.sort_unstable_by_key(|(id, _)| *id);
        self.ids = ids.into_iter().collect();
        self.agents = Shelf::of_sorted(sorted);
    }

    fn leave_phase(&mut self, agent: &Shown) {
        if let Some(shelf) = self.phases.get_mut(agent.phase()) {
            if shelf.get(agent.place()).is_some_and(|known| known.id() == agent.id()) {
                shelf.take(agent.place());
            }
            if shelf.len() == 0 {
                self.phases.remove(agent.phase());
            }
        }
    }
}

/// The first bytes of a place, which nearly always tell two apart.
type Prefix = [u8; 32];

fn prefix(agent: &Shown) -> Prefix {
    let (namespace, name) = agent.place();
    let mut prefix = [0; 32];
    // A byte that is in no name, and before all that are.
    let bytes = namespace.bytes().chain([0]).chain(name.bytes());
    prefix.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    prefix
}

#[cfg(test)]
pub(crate) mod tests;
