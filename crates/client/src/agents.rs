//! Agents and components: reading them, changing them, telling of them.

use reqwest::Method;
use reqwest::StatusCode;
use reqwest::header::IF_NONE_MATCH;
use serde_json::{Value, json};
use stead_model::spec::SpecForm;
use stead_model::{
    AgentRef, AgentView, Answer, AuditRow, Explanation, FailureKind, Foresight, LifecycleView, Namespace,
    RecoveryAttempt, Revision, Span, Transition,
};

use crate::request::Mutation;
use crate::{
    AgentFilter, AuditFilter, Batch, BatchAnswer, Beat, Change, Client, ClientError, NewAgent, Page, Pausing,
    RecoveryFilter, Registry, SpecView, Target, TransitionFilter, Verb,
};

/// As many as one page can hold.
pub(crate) const LARGEST_PAGE: u32 = 1000;

impl Client {
    /// Lists agents, one page: `GET /agents`. Components are left out.
    ///
    /// # Errors
    /// See [`ClientError`]; `invalid-request` for a filter that cannot be read.
    pub async fn agents(&self, filter: &AgentFilter) -> Result<Page<AgentView>, ClientError> {
        self.list(Registry::Agents, filter).await
    }

    /// Lists agents or components, one page.
    ///
    /// # Errors
    /// As [`Client::agents`].
    pub async fn list(&self, registry: Registry, filter: &AgentFilter) -> Result<Page<AgentView>, ClientError> {
        self.read(registry.path(), &filter.query()).await
    }

    /// Lists all that fit, page by page. Not one moment in time: what changes meanwhile may be seen before or after.
    ///
    /// # Errors
    /// As [`Client::agents`].
    pub async fn list_all(&self, registry: Registry, filter: &AgentFilter) -> Result<Vec<AgentView>, ClientError> {
        let mut filter = AgentFilter {
            limit: Some(LARGEST_PAGE),
            ..filter.clone()
        };
        let mut all = Vec::new();
        loop {
            let page = self.list(registry, &filter).await?;
            all.extend(page.items);
            if page.next_cursor.is_none() || page.next_cursor == filter.cursor {
                return Ok(all);
            }
            filter.cursor = page.next_cursor;
        }
    }

    /// Makes an agent known: `POST /agents`.
    ///
    /// # Errors
    /// `duplicate-name`, `invalid-spec`, and those of every request.
    pub async fn register(
        &self,
        registry: Registry,
        namespace: &Namespace,
        agent: &NewAgent,
    ) -> Result<Answer, ClientError> {
        let mutation = Mutation::post(registry.path())
            .query("namespace", namespace)
            .json(agent);
        self.answer(mutation).await
    }

    /// Reads one agent: `GET {agent}`.
    ///
    /// # Errors
    /// `unknown-agent`, `agent-gone`, and those of every request.
    pub async fn agent(&self, target: &Target) -> Result<AgentView, ClientError> {
        self.about(target, "").await
    }

    /// Reads one agent if it is no longer at a revision.
    ///
    /// # Errors
    /// As [`Client::agent`].
    pub async fn agent_if_changed(&self, target: &Target, known: Revision) -> Result<Option<AgentView>, ClientError> {
        let request = self
            .http
            .get(self.endpoint(&target.path("")))
            .query(&target.query())
            .header(IF_NONE_MATCH, format!("\"{known}\""))
            .timeout(self.timeouts.request);
        let reply = self.exchange(request).await?;
        if reply.status == StatusCode::NOT_MODIFIED || reply.revision() == Some(known) {
            return Ok(None);
        }
        self.decode(&reply).map(Some)
    }

    /// Reads what an agent is told to be, secrets hidden: `GET {agent}/spec`.
    ///
    /// # Errors
    /// As [`Client::agent`].
    pub async fn spec(&self, target: &Target) -> Result<SpecView, ClientError> {
        self.about(target, "/spec").await
    }

    /// Reads where an agent may go: `GET {agent}/lifecycle`.
    ///
    /// # Errors
    /// As [`Client::agent`].
    pub async fn lifecycle_of(&self, target: &Target) -> Result<LifecycleView, ClientError> {
        self.about(target, "/lifecycle").await
    }

    /// Asks why an agent is as it is: `GET {agent}/why`.
    ///
    /// # Errors
    /// As [`Client::agent`].
    pub async fn why(&self, target: &Target) -> Result<Explanation, ClientError> {
        self.about(target, "/why").await
    }

    /// Reads the history of one agent, newest first: `GET {agent}/transitions`.
    ///
    /// # Errors
    /// As [`Client::agent`].
    pub async fn history(&self, target: &Target, filter: &TransitionFilter) -> Result<Page<Transition>, ClientError> {
        let mut query = filter.query();
        query.extend(target.query());
        self.read(&target.path("/transitions"), &query).await
    }

    /// Reads the history of all agents of a namespace, newest first: `GET /transitions`.
    ///
    /// # Errors
    /// `unknown-group` for one that neither is nor has left history, and those of every request.
    pub async fn transitions(
        &self,
        namespace: Option<&Namespace>,
        filter: &TransitionFilter,
    ) -> Result<Page<Transition>, ClientError> {
        let mut query = filter.query();
        query.extend(namespace.map(|namespace| ("namespace", namespace.to_string())));
        self.read("/transitions", &query).await
    }

    /// Reads what was done to bring agents back, newest first: `GET /recoveries`.
    ///
    /// # Errors
    /// Those of every request.
    pub async fn recoveries(&self, filter: &RecoveryFilter) -> Result<Page<RecoveryAttempt>, ClientError> {
        self.read("/recoveries", &filter.query()).await
    }

    /// Asks what would be done about a failure of an agent, had it come now: `GET /recoveries/what-if`. Nothing is done.
    ///
    /// # Errors
    /// As [`Client::agent`].
    pub async fn foresee(
        &self,
        namespace: &Namespace,
        agent: &AgentRef,
        failure: FailureKind,
    ) -> Result<Foresight, ClientError> {
        let query = vec![
            ("namespace", namespace.to_string()),
            ("agent", agent.to_string()),
            ("failure", failure.to_string()),
        ];
        self.read("/recoveries/what-if", &query).await
    }

    /// Reads who changed what, newest first: `GET /audit`.
    ///
    /// # Errors
    /// Those of every request.
    pub async fn audit(&self, filter: &AuditFilter) -> Result<Page<AuditRow>, ClientError> {
        self.read("/audit", &filter.query()).await
    }

    /// Asks something of an agent's life: `POST {agent}/lifecycle/{verb}`. Durable when answered; what takes time is under way.
    ///
    /// # Errors
    /// `not-possible` with what is, `stale-revision`, and those of [`Client::agent`].
    pub async fn lifecycle(&self, target: &Target, verb: Verb, change: &Change) -> Result<Answer, ClientError> {
        self.verb(target, verb.as_str(), json!({}), change).await
    }

    /// Puts what an agent is told to be in force at once, or has it started anew as it is: `POST {agent}/lifecycle/update`.
    ///
    /// # Errors
    /// `invalid-spec`, and those of [`Client::lifecycle`].
    pub async fn update(
        &self,
        target: &Target,
        spec: Option<&SpecForm>,
        change: &Change,
    ) -> Result<Answer, ClientError> {
        let body = spec.map_or_else(|| json!({}), |spec| json!({ "spec": spec }));
        self.verb(target, "update", body, change).await
    }

    /// Has what nothing here runs be so many of itself: `POST {agent}/lifecycle/scale`.
    ///
    /// # Errors
    /// `not-scalable`, `part-of-group`, and those of [`Client::lifecycle`].
    pub async fn scale(&self, target: &Target, replicas: u32, change: &Change) -> Result<Answer, ClientError> {
        self.verb(target, "scale", json!({ "replicas": replicas }), change)
            .await
    }

    /// Stops an agent once its tasks are done, within a time: `POST {agent}/lifecycle/drain`.
    ///
    /// # Errors
    /// As [`Client::lifecycle`].
    pub async fn drain(&self, target: &Target, within: Span, change: &Change) -> Result<Answer, ClientError> {
        self.verb(target, "drain", json!({ "timeout": within }), change).await
    }

    /// Pauses an agent in a mode, for a time where one is given: `POST {agent}/lifecycle/pause`. The change's reason is its note.
    ///
    /// # Errors
    /// `not-offered` for a mode that the agent has not, and those of [`Client::lifecycle`].
    pub async fn pause(&self, target: &Target, pausing: Pausing, change: &Change) -> Result<Answer, ClientError> {
        self.verb(target, "pause", json!(pausing), change).await
    }

    /// Asks the same of all whom a selector takes: `POST /agents:batch`.
    ///
    /// # Errors
    /// `nothing-selected`, and those of every request; what each of them refused is in the answer.
    pub async fn batch(
        &self,
        registry: Registry,
        namespace: &Namespace,
        batch: &Batch,
    ) -> Result<BatchAnswer, ClientError> {
        let mutation = Mutation::post(format!("{}:batch", registry.path()))
            .query("namespace", namespace)
            .json(batch);
        let reply = self.mutate(mutation).await?;
        self.decode(&reply)
    }

    /// Tells an agent to be something else: `PUT {agent}`. In force at its next start.
    ///
    /// # Errors
    /// `invalid-spec`, `stale-revision`, and those of [`Client::agent`].
    pub async fn replace_spec(&self, target: &Target, spec: &SpecForm, change: &Change) -> Result<Answer, ClientError> {
        let body = with_reason(json!({ "spec": spec }), change);
        self.answer(on(target, Method::PUT, "").json(&body).under(change)).await
    }

    /// Tells an agent what [`Client::spec`] showed, changed or not: `PUT {agent}`. Secrets that are `***` stay what they are, and nothing is
    /// changed if another spec came meanwhile.
    ///
    /// # Errors
    /// As [`Client::replace_spec`].
    pub async fn give_back_spec(&self, target: &Target, shown: &Value, change: &Change) -> Result<Answer, ClientError> {
        let body = with_reason(shown.clone(), change);
        self.answer(on(target, Method::PUT, "").json(&body).under(change)).await
    }

    /// Changes parts of what an agent is told to be, by a JSON merge patch: `PATCH {agent}`.
    ///
    /// # Errors
    /// As [`Client::replace_spec`].
    pub async fn patch_spec(&self, target: &Target, patch: &Value, change: &Change) -> Result<Answer, ClientError> {
        self.answer(on(target, Method::PATCH, "").json(patch).under(change))
            .await
    }

    /// Has an agent stopped and gone: `DELETE {agent}`.
    ///
    /// # Errors
    /// As [`Client::lifecycle`].
    pub async fn delete(&self, target: &Target, change: &Change) -> Result<Answer, ClientError> {
        let mut mutation = on(target, Method::DELETE, "").under(change);
        if let Some(reason) = &change.reason {
            mutation = mutation.query("reason", reason);
        }
        self.answer(mutation).await
    }

    /// Reports an error that was seen of an agent: `POST {agent}/errors`.
    ///
    /// # Errors
    /// As [`Client::agent`].
    pub async fn report_error(&self, target: &Target, detail: &str) -> Result<Answer, ClientError> {
        let mutation = on(target, Method::POST, "/errors");
        self.answer(mutation.json(&json!({ "detail": detail }))).await
    }

    /// Hands in what an agent says of itself: `POST {agent}/heartbeats`. Sent without a key: a beat may come twice.
    ///
    /// # Errors
    /// As [`Client::agent`].
    pub async fn beat(&self, target: &Target, beat: &Beat) -> Result<(), ClientError> {
        let mutation = on(target, Method::POST, "/heartbeats").json(beat).unkeyed();
        self.mutate(mutation).await.map(drop)
    }

    /// Gives an agent a task: `POST {agent}/tasks/assign`. Twice the same is once.
    ///
    /// # Errors
    /// `limit-reached`, `not-possible`, and those of [`Client::agent`].
    pub async fn assign(&self, target: &Target, task: &str) -> Result<Answer, ClientError> {
        let mutation = on(target, Method::POST, "/tasks/assign");
        self.answer(mutation.json(&json!({ "task": task }))).await
    }

    /// Says that a task of an agent is done: `POST {agent}/tasks/complete`. Twice the same is once.
    ///
    /// # Errors
    /// As [`Client::assign`].
    pub async fn complete(&self, target: &Target, task: &str) -> Result<Answer, ClientError> {
        let mutation = on(target, Method::POST, "/tasks/complete");
        self.answer(mutation.json(&json!({ "task": task }))).await
    }

    async fn verb(&self, target: &Target, verb: &str, body: Value, change: &Change) -> Result<Answer, ClientError> {
        let mutation = on(target, Method::POST, &format!("/lifecycle/{verb}"));
        self.answer(mutation.json(&with_reason(body, change)).under(change))
            .await
    }

    async fn about<T: serde::de::DeserializeOwned>(&self, target: &Target, rest: &str) -> Result<T, ClientError> {
        self.read(&target.path(rest), &target.query()).await
    }
}

fn on(target: &Target, method: Method, rest: &str) -> Mutation<'static> {
    Mutation::new(method, target.path(rest)).queries(target.query())
}

pub(crate) fn with_reason(mut body: Value, change: &Change) -> Value {
    if let (Some(fields), Some(reason)) = (body.as_object_mut(), &change.reason) {
        fields.insert("reason".to_owned(), Value::from(reason.as_str()));
    }
    body
}
