//! Capabilities as a fleet file has them.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stead_model::spec::EnvValue;
use stead_model::{AgentName, Level, Span};
use stead_resilience::{
    Backoff, BreakerConfig, BreakerSettings, BudgetConfig, Factor, First, Growth, Jitter, RetryConfig, Spread,
};

use super::endpoint::{Endpoint, header};
use super::{schema, settings};

/// Something that can be asked of the fleet, and who provides it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Capability")]
pub(crate) struct CapabilitySpec {
    /// What it is, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// JSON Schema of what it is asked with; what does not fit is refused before any provider is asked. Default: anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<BTreeMap<String, serde_json::Value>>")]
    pub(crate) parameters: Option<serde_json::Value>,
    /// How long an answer may take, all providers together. Who asks may ask for less. Default 30 s.
    #[serde(default = "half_a_minute")]
    pub(crate) deadline: Span,
    /// How many calls there may be beside the first ones: one budget for the retries of all providers.
    #[serde(default)]
    pub(crate) budget: BudgetSpec,
    /// Who provides it, at least one. The highest level that can be asked is asked; of one level the first in the file.
    pub(crate) providers: Vec<ProviderSpec>,
}

/// Who provides a capability: an HTTP endpoint that takes the parameters by `POST` and answers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Provider")]
pub(crate) struct ProviderSpec {
    /// Its name, one of its own in the capability.
    pub(crate) name: AgentName,
    /// Where it is asked: `http://HOST[:PORT]/PATH`.
    pub(crate) url: String,
    /// How much it is preferred: `primary` (100), `fallback` (50), `emergency` (10) or a number. Default `primary`.
    #[serde(default)]
    pub(crate) level: Level,
    /// The agent, component or group of this file that serves it: it is asked only while that one serves. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) agent: Option<AgentName>,
    /// Sent with each call. `{ secret = "…" }` is shown to nobody; `{ file = "…" }` is read at each call.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) headers: BTreeMap<String, EnvValue>,
    /// How long one try may take. Default: an even share of what is left of the deadline, so that each provider has its turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) timeout: Option<Span>,
    /// The circuit that its calls go through, such as `llm/PROVIDER/MODEL/CREDENTIAL`; providers that name the same one share
    /// it, across capabilities. Default `CAPABILITY/PROVIDER`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) circuit: Option<String>,
    /// When that circuit opens, for how long, and how it closes again. Who shares one says the same, or nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "settings::breaker")]
    pub(crate) breaker: Option<BreakerConfig>,
    /// What is tried again before the next provider is asked.
    #[serde(default)]
    pub(crate) retry: RetrySpec,
}

/// How often a provider is tried before the next one is asked. Waits double; jitter is 10 %.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ProviderRetry")]
pub(crate) struct RetrySpec {
    /// Tries, the first one included: 1 to 10. All tries of one call carry one `Idempotency-Key`. Default 2.
    pub(crate) max_attempts: u32,
    /// The wait before the second try. Default 200 ms.
    pub(crate) base: Span,
    /// The longest wait before jitter. Default 2 s.
    pub(crate) max: Span,
    /// The longest `Retry-After` that is waited for; where a provider asks for more, the next one is asked. Default 0 s.
    pub(crate) max_retry_after: Span,
}

/// How many calls there may be beside those that were asked for.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "RetryBudget")]
pub(crate) struct BudgetSpec {
    /// Retries per call in the long run, from 0 to 10. Default 0.1.
    pub(crate) ratio: f64,
    /// Retries that may be saved up, at least 1. Default 10.
    pub(crate) burst: u32,
    /// Retries per second that are there whatever else happens. Default 1.
    pub(crate) per_second: u32,
}

impl Default for RetrySpec {
    fn default() -> Self {
        Self {
            max_attempts: 2,
            base: Span::millis(200),
            max: Span::secs(2),
            max_retry_after: Span::secs(0),
        }
    }
}

impl Default for BudgetSpec {
    fn default() -> Self {
        let BudgetConfig {
            ratio,
            burst,
            per_second,
        } = BudgetConfig::default();
        Self {
            ratio,
            burst,
            per_second,
        }
    }
}

const fn half_a_minute() -> Span {
    Span::secs(30)
}

/// What is wrong with a capability: at which key, and what to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    /// Of which provider, by its place from 0; none: of the capability itself.
    pub(crate) provider: Option<usize>,
    /// With dots, such as `breaker.open_for`.
    pub(crate) key: &'static str,
    pub(crate) message: String,
    pub(crate) help: &'static str,
}

impl CapabilitySpec {
    /// The same without secrets.
    pub(crate) fn redacted(&self) -> Self {
        let mut shown = self.clone();
        for provider in &mut shown.providers {
            provider.headers.values_mut().for_each(EnvValue::redact);
        }
        shown
    }

    /// All that is wrong with it by itself.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut add = |provider, key, message: String, help| {
            faults.push(Fault {
                provider,
                key,
                message,
                help,
            });
        };
        if !within(self.deadline, SHORTEST, LONGEST) {
            let message = format!("`deadline` must be from 1ms to 1h, not {}", self.deadline);
            add(None, "deadline", message, "30s is what is usual");
        }
        if let Some(Err(why)) = self.parameters.as_ref().map(schema::Parameters::new) {
            add(
                None,
                "parameters",
                why,
                "it is a JSON Schema, such as { type = \"object\", required = [\"text\"] }",
            );
        }
        if let Err(why) = stead_resilience::Budget::new(self.budget.config()) {
            add(
                None,
                "budget",
                format!("`budget`: {}", why.must),
                "leave it out for the default",
            );
        }
        if self.providers.is_empty() || self.providers.len() > MOST_PROVIDERS {
            let message = format!(
                "a capability has 1 to {MOST_PROVIDERS} providers, not {}",
                self.providers.len()
            );
            add(
                None,
                "providers",
                message,
                "write a table [[capabilities.NAME.providers]] for each",
            );
        }
        let mut names = BTreeSet::new();
        for (place, provider) in self.providers.iter().enumerate() {
            if !names.insert(&provider.name) {
                let message = format!("there is another provider `{}` in this capability", provider.name);
                add(Some(place), "name", message, "rename one");
            }
            for (key, message, help) in provider.faults() {
                add(Some(place), key, message, help);
            }
        }
        faults
    }
}

impl ProviderSpec {
    /// The name of its circuit.
    pub(crate) fn circuit_in(&self, capability: &AgentName) -> String {
        self.circuit
            .clone()
            .unwrap_or_else(|| format!("{capability}/{}", self.name))
    }

    fn faults(&self) -> Vec<(&'static str, String, &'static str)> {
        let mut faults = Vec::new();
        if let Err(why) = Endpoint::parse(&self.url) {
            faults.push(("url", why, "write it as http://HOST:PORT/PATH"));
        }
        for (name, value) in &self.headers {
            let shown = match value {
                EnvValue::Plain(value) | EnvValue::Secret { secret: value } => value.as_str(),
                EnvValue::File { .. } => "",
            };
            if let Err(why) = header(name, shown) {
                faults.push(("headers", why, "a header is a name and one line of visible text"));
            }
        }
        if self.timeout.is_some_and(|timeout| !within(timeout, SHORTEST, LONGEST)) {
            let message = "`timeout` must be from 1ms to 1h".to_owned();
            faults.push(("timeout", message, "leave it out for a share of the deadline"));
        }
        if let Some(name) = &self.circuit
            && !is_circuit(name)
        {
            let message = format!("`{name}` is no name of a circuit");
            let help = "1 to 200 letters, digits and any of - _ . : @ /, such as llm/PROVIDER/MODEL/KEY";
            faults.push(("circuit", message, help));
        }
        if let Some(breaker) = self.breaker.clone()
            && let Err(why) = BreakerSettings::try_from(breaker)
        {
            faults.push((
                settings::key_of(&why),
                why.to_string(),
                "docs/patterns/circuit-breaker.md has a table of all settings",
            ));
        }
        if let Some(message) = self.retry.fault() {
            faults.push(("retry", message, "leave it out for the default"));
        }
        faults
    }
}

impl RetrySpec {
    pub(super) fn config(&self) -> RetryConfig {
        RetryConfig {
            max_attempts: self.max_attempts,
            backoff: Backoff {
                first: First::Waits,
                initial: self.base.0,
                growth: Growth::Exponential(Factor::DOUBLE),
                max: self.max.0,
                jitter: Jitter::Proportional(Spread::percent(10)),
            },
            max_retry_after: self.max_retry_after.0,
            ..RetryConfig::default()
        }
    }

    fn fault(&self) -> Option<String> {
        if !(1..=MOST_ATTEMPTS).contains(&self.max_attempts) {
            return Some(format!(
                "`retry.max_attempts` must be from 1 to {MOST_ATTEMPTS}, not {}",
                self.max_attempts
            ));
        }
        [("base", self.base), ("max", self.max)]
            .into_iter()
            .find(|(_, span)| !within(*span, SHORTEST, LONGEST))
            .map(|(key, span)| format!("`retry.{key}` must be from 1ms to 1h, not {span}"))
    }
}

impl BudgetSpec {
    pub(super) const fn config(&self) -> BudgetConfig {
        BudgetConfig {
            ratio: self.ratio,
            burst: self.burst,
            per_second: self.per_second,
        }
    }
}

fn is_circuit(name: &str) -> bool {
    let permitted = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:@/".contains(&byte);
    (1..=200).contains(&name.len()) && name.bytes().all(permitted)
}

fn within(span: Span, low: Span, high: Span) -> bool {
    (low..=high).contains(&span)
}

const SHORTEST: Span = Span::millis(1);
const LONGEST: Span = Span::secs(3600);
const MOST_PROVIDERS: usize = 32;
const MOST_ATTEMPTS: u32 = 10;
