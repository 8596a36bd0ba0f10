//! Who starts after whom, and what is wrong with that.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use super::diagnostic::{Finding, Findings};
use super::source::Bounds;
use super::suggest::nearest;

/// One agent with the names that it waits for.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) name: String,
    pub(super) depends_on: Vec<(String, Bounds)>,
}

/// Puts agents in an order in which each comes after those that it waits for, else in the order given.
///
/// Agents of a cycle are in no order; the cycle is told.
pub(super) fn order(agents: &[Waiting], findings: &mut Findings) -> Vec<usize> {
    let places: HashMap<&str, usize> = agents
        .iter()
        .enumerate()
        .map(|(at, agent)| (agent.name.as_str(), at))
        .collect();
    let mut awaited: Vec<Vec<(usize, &Bounds)>> = Vec::with_capacity(agents.len());
    for (place, agent) in agents.iter().enumerate() {
        let mut found = Vec::with_capacity(agent.depends_on.len());
        for (name, at) in &agent.depends_on {
            match places.get(name.as_str()) {
                Some(on) if *on == place => findings.add(
                    Finding::new(at.clone(), format!("`{name}` waits for itself"))
                        .help("it would never start; remove this"),
                ),
                Some(on) => found.push((*on, at)),
                None => findings.add(unknown(name, at, agents)),
            }
        }
        awaited.push(found);
    }
    let order = sorted(&awaited);
    if order.len() < agents.len() {
        cycles(agents, &awaited, &order, findings);
    }
    order
}

fn unknown(name: &str, at: &Bounds, agents: &[Waiting]) -> Finding {
    let known = agents.iter().take(FEW).map(|agent| agent.name.as_str());
    let finding = Finding::new(
        at.clone(),
        format!("there is no agent or component `{name}` to wait for"),
    );
    match nearest(name, known) {
        Some(near) => finding.help(format!("did you mean `{near}`?")),
        None => finding.help("add it to the file, or remove this"),
    }
}

/// So many names are looked at for one that was meant; more would make many mistakes in a large file slow to tell.
const FEW: usize = 2000;

fn sorted(awaited: &[Vec<(usize, &Bounds)>]) -> Vec<usize> {
    let mut followers: Vec<Vec<usize>> = vec![Vec::new(); awaited.len()];
    let mut left: Vec<usize> = Vec::with_capacity(awaited.len());
    for (place, on) in awaited.iter().enumerate() {
        left.push(on.len());
        for (other, _) in on {
            if let Some(follower) = followers.get_mut(*other) {
                follower.push(place);
            }
        }
    }
    let free = left.iter().enumerate().filter(|(_, count)| **count == 0);
    let mut ready: BinaryHeap<Reverse<usize>> = free.map(|(place, _)| Reverse(place)).collect();
    let mut order = Vec::with_capacity(awaited.len());
    while let Some(Reverse(place)) = ready.pop() {
        order.push(place);
        for follower in followers.get(place).into_iter().flatten() {
            if let Some(count) = left.get_mut(*follower) {
                *count -= 1;
                if *count == 0 {
                    ready.push(Reverse(*follower));
                }
            }
        }
    }
    order
}

/// Tells each cycle once: from any agent without a place in the order, following who it waits for leads into one.
fn cycles(agents: &[Waiting], awaited: &[Vec<(usize, &Bounds)>], order: &[usize], findings: &mut Findings) {
    let ordered: HashSet<usize> = order.iter().copied().collect();
    let mut seen = HashSet::new();
    for start in (0..agents.len()).filter(|place| !ordered.contains(place)) {
        let mut way: Vec<(usize, &Bounds)> = Vec::new();
        let mut on_the_way: HashMap<usize, usize> = HashMap::new();
        let mut here = start;
        while seen.insert(here) {
            on_the_way.insert(here, way.len());
            let next = awaited
                .get(here)
                .into_iter()
                .flatten()
                .find(|(other, _)| !ordered.contains(other));
            let Some((next, at)) = next else {
                break;
            };
            way.push((here, at));
            here = *next;
        }
        if let Some(from) = on_the_way.get(&here) {
            let cycle = way.get(*from..).unwrap_or_default();
            findings.extend_with_cycle(agents, cycle);
        }
    }
}

impl Findings {
    fn extend_with_cycle(&mut self, agents: &[Waiting], cycle: &[(usize, &Bounds)]) {
        let Some((first, at)) = cycle.first() else {
            return;
        };
        let name = |place: usize| agents.get(place).map_or("", |agent| agent.name.as_str());
        let mut names: Vec<&str> = cycle.iter().map(|(place, _)| name(*place)).take(LONGEST).collect();
        if cycle.len() > LONGEST {
            names.push("…");
        }
        names.push(name(*first));
        self.add(
            Finding::new(
                (*at).clone(),
                format!("these wait for one another: {}", names.join(" -> ")),
            )
            .help("none of them could ever start; remove one of these dependencies"),
        );
    }
}

/// So many names of a cycle are shown.
const LONGEST: usize = 20;
