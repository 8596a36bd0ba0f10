//! Groups of replicas: reading them, changing them, rolling out and back.

use reqwest::Method;
use serde_json::{Value, json};
use stead_model::group::{GroupAnswer, GroupView, RolloutStatus};
use stead_model::{Namespace, Span};

use crate::agents::{LARGEST_PAGE, with_reason};
use crate::filter::GroupFilter;
use crate::request::Mutation;
use crate::{Change, Client, ClientError, GroupSpecView, NewGroup, Page, Pausing, Target, Verb};

impl Client {
    /// Lists groups, one page: `GET /groups`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn groups(&self, filter: &GroupFilter) -> Result<Page<GroupView>, ClientError> {
        self.read("/groups", &filter.query()).await
    }

    /// Lists all groups that fit, page by page.
    ///
    /// # Errors
    /// As [`Client::groups`].
    pub async fn all_groups(&self, filter: &GroupFilter) -> Result<Vec<GroupView>, ClientError> {
        let mut filter = GroupFilter {
            limit: Some(LARGEST_PAGE),
            ..filter.clone()
        };
        let mut all = Vec::new();
        loop {
            let page = self.groups(&filter).await?;
            all.extend(page.items);
            if page.next_cursor.is_none() || page.next_cursor == filter.cursor {
                return Ok(all);
            }
            filter.cursor = page.next_cursor;
        }
    }

    /// Makes a group known with its replicas: `POST /groups`.
    ///
    /// # Errors
    /// `duplicate-name`, `invalid-spec`, and those of every request.
    pub async fn create_group(&self, namespace: &Namespace, group: &NewGroup) -> Result<GroupAnswer, ClientError> {
        let mutation = Mutation::post("/groups").query("namespace", namespace).json(group);
        self.group_answer(mutation).await
    }

    /// Reads one group: `GET /groups/{group}`.
    ///
    /// # Errors
    /// `unknown-group`, and those of every request.
    pub async fn group(&self, target: &Target) -> Result<GroupView, ClientError> {
        self.read(&path(target, ""), &target.query()).await
    }

    /// Reads what a group is told to be, secrets hidden: `GET /groups/{group}/spec`.
    ///
    /// # Errors
    /// As [`Client::group`].
    pub async fn group_spec(&self, target: &Target) -> Result<GroupSpecView, ClientError> {
        self.read(&path(target, "/spec"), &target.query()).await
    }

    /// Tells a group what [`Client::group_spec`] showed, changed or not: `PUT /groups/{group}`. Secrets that are `***` stay what they are,
    /// and nothing is changed if another template came meanwhile.
    ///
    /// # Errors
    /// `invalid-spec`, `stale-revision`, and those of [`Client::group`].
    pub async fn give_back_group_spec(
        &self,
        target: &Target,
        shown: &Value,
        change: &Change,
    ) -> Result<GroupAnswer, ClientError> {
        let body = with_reason(shown.clone(), change);
        self.group_answer(on(target, Method::PUT, "").json(&body).under(change))
            .await
    }

    /// Changes parts of what a group is told to be, by a JSON merge patch: `PATCH /groups/{group}`.
    ///
    /// # Errors
    /// `invalid-spec`, `stale-revision`, and those of [`Client::group`].
    pub async fn patch_group(
        &self,
        target: &Target,
        patch: &Value,
        change: &Change,
    ) -> Result<GroupAnswer, ClientError> {
        let body = with_reason(patch.clone(), change);
        self.group_answer(on(target, Method::PATCH, "").json(&body).under(change))
            .await
    }

    /// Has a group and its replicas stopped and gone: `DELETE /groups/{group}`.
    ///
    /// # Errors
    /// As [`Client::group_lifecycle`].
    pub async fn delete_group(&self, target: &Target, change: &Change) -> Result<GroupAnswer, ClientError> {
        let mut mutation = on(target, Method::DELETE, "").under(change);
        if let Some(reason) = &change.reason {
            mutation = mutation.query("reason", reason);
        }
        self.group_answer(mutation).await
    }

    /// Asks something of all replicas of a group: `POST /groups/{group}/lifecycle/{verb}`.
    ///
    /// # Errors
    /// `not-possible` with what is, `stale-revision`, and those of [`Client::group`].
    pub async fn group_lifecycle(
        &self,
        target: &Target,
        verb: Verb,
        change: &Change,
    ) -> Result<GroupAnswer, ClientError> {
        self.group_verb(target, verb.as_str(), json!({}), change).await
    }

    /// Has so many replicas: `POST /groups/{group}/lifecycle/scale`.
    ///
    /// # Errors
    /// `limit-reached`, and those of [`Client::group_lifecycle`].
    pub async fn scale_group(
        &self,
        target: &Target,
        replicas: u32,
        change: &Change,
    ) -> Result<GroupAnswer, ClientError> {
        self.group_verb(target, "scale", json!({ "replicas": replicas }), change)
            .await
    }

    /// Stops every replica once its tasks are done: `POST /groups/{group}/lifecycle/drain`.
    ///
    /// # Errors
    /// As [`Client::group_lifecycle`].
    pub async fn drain_group(
        &self,
        target: &Target,
        within: Span,
        change: &Change,
    ) -> Result<GroupAnswer, ClientError> {
        self.group_verb(target, "drain", json!({ "timeout": within }), change)
            .await
    }

    /// Pauses every replica in a mode, for a time where one is given: `POST /groups/{group}/lifecycle/pause`.
    ///
    /// # Errors
    /// `not-offered` for a mode that the replicas have not, and those of [`Client::group_lifecycle`].
    pub async fn pause_group(
        &self,
        target: &Target,
        pausing: Pausing,
        change: &Change,
    ) -> Result<GroupAnswer, ClientError> {
        self.group_verb(target, "pause", json!(pausing), change).await
    }

    /// Reads how updates of a group stand: `GET /groups/{group}/rollout`.
    ///
    /// # Errors
    /// As [`Client::group`].
    pub async fn rollout(&self, target: &Target) -> Result<RolloutStatus, ClientError> {
        self.read(&path(target, "/rollout"), &target.query()).await
    }

    /// Goes back to an earlier revision: `POST /groups/{group}/rollout/undo`.
    ///
    /// # Errors
    /// `no-revision`, `stale-revision`, and those of [`Client::group`].
    pub async fn undo_rollout(
        &self,
        target: &Target,
        to: Option<u32>,
        change: &Change,
    ) -> Result<GroupAnswer, ClientError> {
        let body = with_reason(json!({ "to": to }), change);
        self.group_answer(on(target, Method::POST, "/rollout/undo").json(&body).under(change))
            .await
    }

    async fn group_verb(
        &self,
        target: &Target,
        verb: &str,
        body: Value,
        change: &Change,
    ) -> Result<GroupAnswer, ClientError> {
        let mutation = on(target, Method::POST, &format!("/lifecycle/{verb}"));
        self.group_answer(mutation.json(&with_reason(body, change)).under(change))
            .await
    }

    async fn group_answer(&self, mutation: Mutation<'_>) -> Result<GroupAnswer, ClientError> {
        let (outcome, group, correlation_id) = self.changed(mutation).await?;
        Ok(GroupAnswer {
            outcome,
            group,
            correlation_id,
        })
    }
}

fn path(target: &Target, rest: &str) -> String {
    format!("/groups/{}{rest}", target.agent)
}

fn on(target: &Target, method: Method, rest: &str) -> Mutation<'static> {
    Mutation::new(method, path(target, rest)).queries(target.query())
}
