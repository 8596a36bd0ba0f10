//! Named readers of the events.

use reqwest::Method;
use serde_json::json;
use stead_model::{ReaderName, ReaderView};

use crate::request::Mutation;
use crate::{Client, ClientError, Page};

impl Client {
    /// Lists the named readers of the events: `GET /readers`.
    ///
    /// # Errors
    /// Those of every request.
    pub async fn readers(&self) -> Result<Vec<ReaderView>, ClientError> {
        let page: Page<ReaderView> = self.read("/readers", &Vec::new()).await?;
        Ok(page.items)
    }

    /// Says how far a reader has taken the events, by the cursor of the last: `PUT /readers/{reader}`. Without one it is made known if it
    /// is not, and moved nowhere.
    ///
    /// # Errors
    /// `cursor-gone` for an event that is not known there, `limit-reached`, and those of every request.
    pub async fn acknowledge(&self, reader: &ReaderName, position: Option<&str>) -> Result<ReaderView, ClientError> {
        let body = json!({ "position": position });
        let mutation = Mutation::new(Method::PUT, format!("/readers/{reader}")).json(&body);
        let reply = self.mutate(mutation).await?;
        self.decode(&reply)
    }

    /// Forgets a reader; gives how it was: `DELETE /readers/{reader}`.
    ///
    /// # Errors
    /// `unknown-reader`, and those of every request.
    pub async fn remove_reader(&self, reader: &ReaderName) -> Result<ReaderView, ClientError> {
        let reply = self
            .mutate(Mutation::new(Method::DELETE, format!("/readers/{reader}")))
            .await?;
        self.decode(&reply)
    }
}
