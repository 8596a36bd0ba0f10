//! The lifecycle server: what an orchestrator, a probe or a person asks one agent.

use std::io;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{Method, Uri};
use stead_resilience::Usage;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::config::Token;
use crate::pulse::Pulse;
use crate::runtime::Runtime;
use crate::sampler::usage;

mod access;
mod body;
mod docs;
mod metrics;
mod openapi;
mod operations;
mod problem;
mod routes;
mod serve;

pub use access::Reach;
pub(crate) use serve::{listen, serve};

use problem::{Code, Problem};

/// The lifecycle routes of one runtime, to be mounted in an axum application, or served by themselves.
///
/// # Examples
///
/// ```
/// use stead_agent::{Call, EntryPoint, Reach, Runtime, Server};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let noop = EntryPoint::new("noop", async |_: Call| Ok::<_, String>(()));
/// let runtime = Runtime::builder().entry_point(noop).build()?;
/// let app: axum::Router = axum::Router::new()
///     .route("/", axum::routing::get(async || "mine"))
///     .nest("/agent", Server::new(runtime, Reach::Loopback).router())
///     .fallback(async || "nothing of mine");
/// # drop(app);
/// # Ok::<(), stead_agent::InvalidRuntime>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Server(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    runtime: Runtime,
    reach: Reach,
    token: Option<Token>,
    graceful_timeout: Duration,
    max_body: usize,
    pulse: Option<Pulse>,
    document: OnceLock<Bytes>,
    usage: Mutex<Option<(Instant, Usage)>>,
}

impl Server {
    /// Serves a runtime to those who `reach` it. Off loopback, control routes answer 403 until there is a token.
    #[must_use]
    pub fn new(runtime: Runtime, reach: Reach) -> Self {
        let graceful_timeout = runtime.config().graceful_timeout;
        Self(Arc::new(Inner {
            runtime,
            reach,
            token: None,
            graceful_timeout,
            max_body: 2 * 1024 * 1024,
            pulse: None,
            document: OnceLock::new(),
            usage: Mutex::default(),
        }))
    }

    /// Has control routes ask for a token, on loopback too.
    #[must_use]
    pub fn token(self, token: Option<Token>) -> Self {
        self.with(|inner| inner.token = token)
    }

    /// Sets how large a body may be, in bytes; 2 MiB unless set.
    #[must_use]
    pub fn max_body(self, max_body: usize) -> Self {
        self.with(|inner| inner.max_body = max_body)
    }

    /// Has it look at whether the agent's own loop turns.
    pub(crate) fn pulse(self, pulse: Pulse) -> Self {
        self.with(|inner| inner.pulse = Some(pulse))
    }

    /// Has it look at whether the tokio runtime turns that the functions run on: `live` is 503 once it has not for `wedged_after`. Of
    /// use where the routes are served by another one.
    #[must_use]
    pub fn wedged_after(self, wedged_after: Duration) -> Self {
        let pulse = Pulse::begin(self.runtime().handle(), wedged_after);
        self.pulse(pulse)
    }

    /// The routes, to be merged into an application or nested in it. What is said where there is nothing is the application's.
    pub fn router(&self) -> Router {
        docs::mount(operations::mount(self))
            .method_not_allowed_fallback(not_so)
            .with_state(self.clone())
    }

    /// The routes to be served by themselves, complete with what is said where there is nothing.
    pub fn alone(&self) -> Router {
        self.router().fallback(nothing_here)
    }

    /// Serves the routes by themselves until `closing` is done; then takes no more, and gives what is under way a second. At most
    /// 1,024 connections at once; headers have 30 s to arrive, bodies 10 s. Cancelled, all connections end.
    ///
    /// # Errors
    /// The listener broke.
    pub async fn serve(&self, listener: TcpListener, closing: impl Future<Output = ()>) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let close = CancellationToken::new();
        let serving = serve(listener, self.alone(), close.clone());
        tokio::pin!(serving);
        tokio::select! {
            served = serving.as_mut() => return served,
            () = closing => close.cancel(),
        }
        serving.await
    }

    fn with(self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Arc::unwrap_or_clone(self.0);
        change(&mut inner);
        Self(Arc::new(inner))
    }

    fn runtime(&self) -> &Runtime {
        &self.0.runtime
    }

    fn token_of(&self) -> Option<&Token> {
        self.0.token.as_ref()
    }

    fn reach(&self) -> Reach {
        self.0.reach
    }

    fn graceful_timeout(&self) -> Duration {
        self.0.graceful_timeout
    }

    fn body_limit(&self) -> usize {
        self.0.max_body
    }

    /// What the process holds, as of a second ago at most: counting it reads whole tables of the kernel's.
    fn usage(&self) -> Usage {
        let mut kept = self.0.usage.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::now();
        match *kept {
            Some((at, usage)) if now.saturating_duration_since(at) < Duration::from_secs(1) => usage,
            Some(_) | None => kept.insert((now, usage())).1,
        }
    }

    /// Why only a new process can help, where that is so.
    fn dead(&self) -> Option<String> {
        let stopped = || self.0.pulse.as_ref().and_then(Pulse::stopped_for);
        let failed = self.runtime().failure();
        failed.or_else(|| stopped().map(|span| format!("the agent's loop has not turned for {} s", span.as_secs())))
    }
}

impl Clone for Inner {
    fn clone(&self) -> Self {
        Self {
            runtime: self.runtime.clone(),
            reach: self.reach,
            token: self.token.clone(),
            graceful_timeout: self.graceful_timeout,
            max_body: self.max_body,
            pulse: self.pulse.clone(),
            document: OnceLock::new(),
            usage: Mutex::default(),
        }
    }
}

async fn nothing_here(uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    Problem::new(Code::NotFound, format!("there is nothing at `{path}`; see /docs"))
}

async fn not_so(method: Method, uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    Problem::new(
        Code::MethodNotAllowed,
        format!("`{path}` does not take {method}; `Allow` says what it takes"),
    )
}

const EXECUTIONS: &str = "/api/v1/executions";
