//! Counts over agents: by state, and by how well they do.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use axum::http::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use stead_engine::Shown as Image;
use stead_model::{
    AgentId, AgentView, Class, Health, HealthSummary, Namespace, ProblemCode, Selector, Summary, Troubled, Vitals,
};

use super::agents::InNamespace;
use super::extract::{Limit, Read};
use super::find::{blocking, views};
use super::operation::{About, Table};
use super::problem::Failure;
use super::reply::Shown;
use super::{Api, BASE};

pub(super) fn mount(table: &mut Table) {
    let states = About::new(
        "summarize",
        "history",
        "Counts agents by what state they are in; components are left out",
    );
    table.add(Method::GET, format!("{BASE}/analytics/summary"), states, summarize);
    let health = About::new(
        "summarizeHealth",
        "history",
        "Counts agents and components by how well they do, with their metrics and those that do not do well, the worst first",
    )
    .may(&[ProblemCode::Busy]);
    table.add(Method::GET, format!("{BASE}/analytics/health"), health, health_of_all);
}

async fn summarize(api: Api, read: Read<(), InNamespace>) -> Result<Shown<Summary>, Failure> {
    let mut summary = Summary::default();
    views(&api).each(|shown| {
        let agent = shown.glance();
        if agent.profile == "component"
            || read
                .query
                .namespace
                .as_ref()
                .is_some_and(|wanted| wanted.as_str() != agent.namespace)
        {
            return;
        }
        summary.total_agents += 1;
        match summary.state_distribution.get_mut(agent.phase) {
            Some(count) => *count += 1,
            None => drop(summary.state_distribution.insert(agent.phase.to_owned(), 1)),
        }
        for (class, count) in [
            (Class::Operational, &mut summary.operational_agents),
            (Class::Available, &mut summary.available_agents),
            (Class::Error, &mut summary.error_agents),
            (Class::Maintenance, &mut summary.maintenance_agents),
        ] {
            *count += u64::from(api.is(&agent, class));
        }
    });
    Ok(Shown(summary))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct HealthQuery {
    /// Those of this namespace. Default: of all.
    namespace: Option<Namespace>,
    /// Those whose labels fit, as in Kubernetes: `team=a,tier!=b,role in (x,y),!flag`.
    #[serde(default)]
    selector: Selector,
    /// How many that do not do well are told at most.
    #[serde(default)]
    limit: Limit,
}

async fn health_of_all(api: Api, read: Read<(), HealthQuery>) -> Result<Shown<HealthSummary>, Failure> {
    let vitals = api.state.handle.vitals().await?.into_iter().collect();
    // Of very many agents this takes longer than others should wait.
    let summary = blocking(move || count(&api, &read.query, &vitals)).await?;
    Ok(Shown(summary))
}

fn count(api: &Api, asked: &HealthQuery, vitals: &HashMap<AgentId, Vitals>) -> HealthSummary {
    let mut summary = HealthSummary::new();
    // No more of them at any time than are shown.
    let mut worst: BTreeMap<_, Image> = BTreeMap::new();
    views(api).each(|shown| {
        let agent = shown.glance();
        let namespace = asked.namespace.as_ref();
        let wanted = namespace.is_none_or(|namespace| namespace.as_str() == agent.namespace)
            && asked.selector.takes(|key| agent.label(key));
        if !wanted {
            return;
        }
        summary.total += 1;
        *summary.levels.entry(agent.health).or_default() += 1;
        for (metric, value) in vitals.get(&agent.id).iter().flat_map(|vitals| vitals.iter()) {
            summary.metrics.entry(metric).or_default().add(value);
        }
        let is_ill = agent.health > Health::Healthy;
        if !is_ill && !agent.has_conditions {
            return;
        }
        let view = shown.view();
        for held in &view.conditions {
            *summary.conditions.entry(held.condition).or_default() += 1;
        }
        if is_ill || view.conditions.iter().any(|held| held.condition.is_alarming()) {
            summary.troubled_total += 1;
            worst.insert((Reverse(severity(view.health)), view.since, view.id), shown.clone());
            if worst.len() > asked.limit.0 {
                worst.pop_last();
            }
        }
    });
    summary.troubled = worst.into_values().map(|shown| troubled(shown.view())).collect();
    summary
}

fn troubled(view: AgentView) -> Troubled {
    let weighs = view.conditions.iter().find(|held| held.condition.is_alarming());
    let last = view.evidence.iter().max_by_key(|seen| seen.observed_at);
    let detail = weighs.map(|held| held.detail.clone());
    Troubled {
        conditions: view.conditions.iter().map(|held| held.condition).collect(),
        detail: detail
            .or_else(|| last.map(|seen| seen.detail.clone()))
            .unwrap_or_default(),
        namespace: view.namespace,
        name: view.name,
        health: view.health,
        phase: view.phase.into_owned(),
        since: view.since,
    }
}

/// The worst first; those on their way back, and those that only warn, last.
const fn severity(health: Health) -> u8 {
    match health {
        Health::Failed => 4,
        Health::Critical => 3,
        Health::Degraded => 2,
        Health::Recovering => 1,
        Health::Unknown | Health::Healthy => 0,
    }
}
