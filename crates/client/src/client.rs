//! The client: where it sends to, and as whom.

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use crate::{Settings, SettingsError, Timeouts};

/// A client of one daemon; cheap to clone. Cancelling a call leaves it open whether its request was carried out.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) url: String,
    pub(crate) timeouts: Timeouts,
}

impl Client {
    /// A client of the daemon that the environment names; see [`Settings::from_env`]. Nothing is sent yet.
    ///
    /// # Errors
    /// The environment names no usable address or token.
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::new(&Settings::from_env()?)
    }

    /// A client of a daemon. Nothing is sent yet. Proxies of the environment are not used.
    ///
    /// # Errors
    /// The settings name no usable address or token.
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let url = settings.url.trim_end_matches('/').to_owned();
        let parsed = reqwest::Url::parse(&url).ok();
        if !parsed.is_some_and(|url| url.scheme() == "http" && url.has_host() && url.query().is_none()) {
            return Err(SettingsError::Url(settings.url.clone()));
        }
        let mut headers = HeaderMap::new();
        if let Some(token) = &settings.token {
            let mut value = header(&format!("Bearer {token}"), "token")?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        if let Some(actor) = &settings.actor {
            headers.insert(ACTOR, header(actor, "actor's name")?);
        }
        let http = reqwest::Client::builder()
            .user_agent(concat!("stead/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .connect_timeout(settings.timeouts.connect)
            .no_proxy()
            .build()
            .map_err(|error| SettingsError::Http(error.to_string()))?;
        Ok(Self {
            http,
            url,
            timeouts: settings.timeouts,
        })
    }

    /// Where the daemon is looked for.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

const ACTOR: HeaderName = HeaderName::from_static("stead-actor");

fn header(text: &str, what: &'static str) -> Result<HeaderValue, SettingsError> {
    HeaderValue::from_str(text).map_err(|_unfit| SettingsError::Header(what))
}
