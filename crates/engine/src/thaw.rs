//! From what is stored of a slot to what the engine owns. Needs no engine, so that many slots are thawed at once.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use stead_model::journal::{AgentRow, AnswerRow, Receipt, SlotState};
use stead_model::{AgentId, AgentSpec, BootClock, Moment, Now};

use crate::agents::{Agents, Seat};
use crate::batch::Released;
use crate::degrade::Degradation;
use crate::depend;
use crate::group::{self, Group};
use crate::profiles::Profiles;
use crate::record::Record;
use crate::shown::{Shown, Specs};
use crate::slot::Cell;
use crate::view;

/// Thaws slots, one after the other.
#[derive(Debug)]
pub struct Thawing {
    pub(crate) boot: BootClock,
    pub(crate) profiles: Profiles,
    pub(crate) specs: Specs,
}

/// A slot that nobody owns yet; hand it to [`Engine::own`](crate::Engine::own).
#[derive(Debug)]
#[must_use = "a slot that nobody owns is not cared for"]
pub struct Thawed {
    pub(crate) receipt: Receipt,
    pub(crate) cell: Box<Cell>,
    pub(crate) content: Released,
    pub(crate) alarms: Vec<(Moment, AgentId)>,
    pub(crate) answers: Vec<AnswerRow>,
}

/// A slot on its way, agent by agent.
#[derive(Debug)]
pub struct Opened {
    now: Now,
    thawed: Thawed,
    seats: Vec<(AgentId, Seat)>,
}

impl Thawing {
    /// Thaws a slot as it was loaded.
    ///
    /// # Errors
    /// Says which agent has a profile, phase or spec that is not known.
    pub fn slot(&mut self, now: Now, mut state: SlotState) -> Result<Thawed, Unthawable> {
        let agents = core::mem::take(&mut state.agents);
        let (mut opened, mut specs) = self.open(now, state);
        for row in agents {
            let spec = specs.remove(&row.id);
            self.agent(&mut opened, row, spec)?;
        }
        Ok(Self::close(opened))
    }

    /// Begins a slot: with everything but its agents and their specs.
    #[must_use]
    pub fn begin(&self, now: Now, state: SlotState) -> Opened {
        self.open(now, state).0
    }

    fn open(&self, now: Now, state: SlotState) -> (Opened, BTreeMap<AgentId, Arc<AgentSpec>>) {
        let receipt = state.receipt();
        let mut cell = Box::new(Cell::new(&receipt));
        for row in state.groups {
            let group = Group::thaw(row, &self.boot, now.moment);
            cell.groups.insert(group.row.id, Box::new(group));
        }
        let degradations = state.degradations.into_iter().map(Degradation::thaw);
        cell.degradations = degradations.map(|one| (one.id(), Box::new(one))).collect();
        let specs = group::sort_specs(&mut cell.groups, state.specs);
        let thawed = Thawed {
            receipt,
            cell,
            content: Released::default(),
            alarms: Vec::new(),
            answers: state.answers,
        };
        let seats = Vec::new();
        (Opened { now, thawed, seats }, specs)
    }

    /// Thaws the next agent of a slot, in the order of ids.
    ///
    /// # Errors
    /// Says what is not known of it. The slot cannot be ended then.
    pub fn agent(
        &mut self,
        opened: &mut Opened,
        row: AgentRow,
        spec: Option<Arc<AgentSpec>>,
    ) -> Result<(), Unthawable> {
        let (id, now) = (row.id, opened.now);
        let Thawed {
            cell, content, alarms, ..
        } = &mut opened.thawed;
        let unthawable = |row: &AgentRow| Unthawable {
            name: alloc::format!("{}/{}", row.namespace, row.name),
            phase: row.phase.clone(),
            profile: row.profile.clone(),
        };
        let Some(spec) = spec else {
            return Err(unthawable(&row));
        };
        let mut record =
            Record::thaw(row, spec, &self.profiles, &self.boot, now.moment).map_err(|row| unthawable(&row))?;
        record.image = Shown::of_resting(&record, &mut self.specs, now);
        let shown = record.image.clone();
        content
            .views
            .push(shown.unwrap_or_else(|| view::agent(&record, now).into()));
        content.messages.extend(depend::subscriptions(&record));
        if let Some(member) = &record.row.member
            && let Some(group) = cell.groups.get_mut(&member.group)
        {
            group.members.insert(member.ordinal, id);
            content.messages.extend(group.naming(member.ordinal, Some(id)));
        }
        alarms.extend(record.next_timer().map(|due| (due, id)));
        opened.seats.push((id, Seat::new(record)));
        Ok(())
    }

    /// Ends a slot: all its agents were handed over.
    pub fn close(opened: Opened) -> Thawed {
        let Opened { now, mut thawed, seats } = opened;
        let cell = &mut thawed.cell;
        cell.agents = Agents::new(seats);
        for group in cell.groups.values_mut() {
            // Replicas are never packed.
            let seen: Vec<_> = cell
                .agents
                .whole()
                .filter_map(|record| group.see(record))
                .filter(|seen| group.members.get(&seen.ordinal) == Some(&seen.id))
                .collect();
            let view = group.view(&seen, now);
            group.shown = Some(Box::new(view.clone()));
            thawed.content.groups.push(view);
            group.alarm = [group.deadline, group.expiry(now)].into_iter().flatten().min();
            thawed.alarms.extend(group.alarm.map(|due| (due, group.row.id)));
        }
        let degradations = cell.degradations.values();
        thawed.content.degradations.extend(degradations.map(|one| one.view()));
        thawed
    }
}

impl Thawed {
    /// Proof that what was thawed is durable: it came from the store.
    pub const fn receipt(&self) -> Receipt {
        self.receipt
    }
}

/// A stored agent that this version does not understand. Nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "agent {name} is stored in phase `{phase}` of profile `{profile}`, which this version does not know, or without its spec"
)]
pub struct Unthawable {
    /// Namespace and name of the agent.
    pub name: String,
    /// Its stored phase.
    pub phase: String,
    /// Its stored profile.
    pub profile: String,
}
