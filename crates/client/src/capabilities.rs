//! Capabilities and the circuits before their providers.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use stead_model::{AgentName, CapabilityView, CircuitVerb, CircuitView, Level, Span};

use crate::request::{Mutation, read_problem};
use crate::{Client, ClientError, Page};

/// What came of asking for a capability: `POST /capabilities/{capability}/invoke`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Invoked {
    /// Who answered.
    pub provider: String,
    /// How much that one is preferred.
    pub level: Level,
    /// The HTTP status that it gave: 2xx, or a 4xx where what was asked is at fault.
    pub status: u16,
    /// What it said; a text where that is no JSON.
    pub body: Value,
}

impl Client {
    /// Lists what can be asked of the fleet: `GET /capabilities`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn capabilities(&self) -> Result<Vec<CapabilityView>, ClientError> {
        let page: Page<CapabilityView> = self.read("/capabilities", &Vec::new()).await?;
        Ok(page.items)
    }

    /// Asks for a capability: `POST /capabilities/{capability}/invoke`, for at most `within`, else as long as the capability says.
    ///
    /// Sent once. A provider's own 4xx is an answer; see [`Invoked::status`].
    ///
    /// # Errors
    /// `unknown-capability`; `invalid-parameters`, and nobody was asked; `no-fallback-available` with the reason of each provider; see
    /// [`ClientError`].
    pub async fn invoke(
        &self,
        capability: &AgentName,
        parameters: &Value,
        within: Option<Span>,
    ) -> Result<Invoked, ClientError> {
        let mut request = self
            .http
            .post(self.endpoint(&format!("/capabilities/{capability}/invoke")))
            .header("idempotency-key", uuid::Uuid::now_v7().to_string())
            .json(parameters);
        if let Some(Span(within)) = within {
            request = request.header("x-request-timeout-ms", within.as_millis().to_string());
        }
        let patience = within.map_or(LONGEST_DEADLINE, |within| within.0).saturating_add(GRACE);
        let reply = self.exchange_any(request.timeout(patience)).await?;
        let Some(provider) = reply.header("stead-provider") else {
            return Err(match read_problem(reply.body()) {
                Some(problem) => ClientError::Problem(Box::new(problem)),
                None => ClientError::protocol(&self.url, format!("HTTP {} without a provider", reply.status)),
            });
        };
        let level = reply
            .header("stead-level")
            .and_then(|level| serde_json::from_str(level).ok());
        let text = || Value::String(String::from_utf8_lossy(reply.body()).into_owned());
        Ok(Invoked {
            provider: provider.to_owned(),
            level: level.unwrap_or_default(),
            status: reply.status.as_u16(),
            body: serde_json::from_slice(reply.body()).unwrap_or_else(|_no_json| text()),
        })
    }

    /// Lists the circuits: `GET /circuits`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn circuits(&self) -> Result<Vec<CircuitView>, ClientError> {
        let page: Page<CircuitView> = self.read("/circuits", &Vec::new()).await?;
        Ok(page.items)
    }

    /// Turns a circuit by hand: `POST /circuits/{circuit}/{verb}`. `reason` is for the audit.
    ///
    /// # Errors
    /// `unknown-circuit`; see [`ClientError`].
    pub async fn turn_circuit(
        &self,
        circuit: &str,
        verb: CircuitVerb,
        reason: Option<&str>,
    ) -> Result<CircuitView, ClientError> {
        let name = in_path(circuit);
        let mutation = Mutation::post(format!("/circuits/{name}/{}", verb.as_str())).json(&json!({ "reason": reason }));
        let reply = self.mutate(mutation).await?;
        self.decode(&reply)
    }
}

/// A name as one part of a path.
fn in_path(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:@".contains(&byte);
    let encoded = name.bytes().map(|byte| {
        if plain(byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    });
    encoded.collect()
}

/// No capability takes longer.
const LONGEST_DEADLINE: Duration = Duration::from_secs(3600);

/// The daemon tells by itself that time is over; it is given a moment to do so.
const GRACE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_slashes_is_one_part_of_a_path() {
        assert_eq!(in_path("llm/acme/large@eu"), "llm%2Facme%2Flarge@eu");
        assert_eq!(in_path("a b?#%ä"), "a%20b%3F%23%25%C3%A4");
    }
}
