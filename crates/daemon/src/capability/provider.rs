//! One provider: whether it is asked, and asking it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request};
use stead_model::AgentName;
use stead_resilience::{AnyClock, Breaker, Budget, Deadline, Failure, Judged, Layer, Retry, Timeout, TimeoutConfig};

use super::circuit::{Circuit, place};
use super::endpoint::{self, Endpoint};
use super::outcome::{Answered, Judge, Trouble, sort};
use super::spec::ProviderSpec;
use crate::clock;
use crate::exchange::exchange;

/// A provider that can be asked.
#[derive(Debug)]
pub(super) struct Provider {
    pub(super) spec: ProviderSpec,
    pub(super) endpoint: Endpoint,
    pub(super) circuit: Arc<Circuit>,
    retry: Retry<AnyClock, Judge>,
    judged: Judged<Arc<Breaker<AnyClock>>, Judge>,
    timeout: Timeout<AnyClock>,
    clock: AnyClock,
    /// As `capability/provider`.
    place: String,
}

/// A call under way.
type Tried<'a> = BoxFuture<'a, Result<Answered, Failure<Trouble>>>;

/// One call, whoever answers it.
#[derive(Debug)]
pub(super) struct Call {
    /// The parameters as they came.
    pub(super) body: Bytes,
    pub(super) correlation_id: String,
    /// The same for every try and every provider.
    pub(super) idempotency_key: String,
}

/// Why a provider gave no answer.
#[derive(Debug)]
pub(super) struct Unanswered {
    pub(super) reason: String,
    /// When it may be asked again, as far as that is known.
    pub(super) retry_after: Option<Duration>,
}

impl Provider {
    /// Puts one together.
    ///
    /// # Errors
    /// Says which setting does not work.
    pub(super) fn new(
        capability: &AgentName,
        spec: ProviderSpec,
        circuit: Arc<Circuit>,
        budget: &Arc<Budget>,
        clock: &AnyClock,
    ) -> Result<Self, String> {
        let limit = spec.timeout.map(|timeout| timeout.0);
        let retry = Retry::with(spec.retry.config(), clock.clone(), Judge).map_err(|why| why.to_string())?;
        let timeout = Timeout::with_clock(TimeoutConfig { limit }, clock.clone()).map_err(|why| why.to_string())?;
        Ok(Self {
            endpoint: Endpoint::parse(&spec.url)?,
            place: place(capability, &spec.name),
            spec,
            retry: retry.with_budget(Arc::clone(budget)),
            judged: Judged::new(Arc::clone(&circuit.breaker), Judge),
            timeout,
            circuit,
            clock: clock.clone(),
        })
    }

    /// Asks it, for at most `share` unless it has a timeout of its own. What the caller did wrong is an answer.
    pub(super) async fn ask(&self, call: &Call, share: Duration) -> Result<Answered, Unanswered> {
        let asked = self.tries(call);
        let result = match self.spec.timeout {
            Some(_) => asked.await,
            None => Deadline::after(&self.clock, share).scope(asked).await,
        };
        let failure = match result {
            Ok(answer) | Err(Failure::Inner(Trouble::Caller(answer))) => {
                self.circuit.tell();
                return Ok(answer);
            }
            Err(failure) => failure,
        };
        let unanswered = self.words(&failure);
        if let Failure::Inner(Trouble::Failed { .. }) | Failure::Exhausted { .. } = &failure
            && let Some(wait) = unanswered.retry_after
        {
            // It said so itself: nothing is learned by asking it before.
            self.circuit.breaker.rest(wait);
        }
        if is_about_it(&failure) {
            self.circuit.note(self.place.clone(), unanswered.reason.clone());
        }
        self.circuit.tell();
        Err(unanswered)
    }

    // Each policy in a box, where lifetimes have names: else it cannot be seen that a call may be sent to another thread.

    /// Tries until it answers, or another try is not worth it.
    fn tries<'a>(&'a self, call: &'a Call) -> Tried<'a> {
        Box::pin(self.retry.run(move || self.through_circuit(call)))
    }

    fn through_circuit<'a>(&'a self, call: &'a Call) -> Tried<'a> {
        Box::pin(self.judged.run(move || self.in_time(call)))
    }

    fn in_time<'a>(&'a self, call: &'a Call) -> Tried<'a> {
        let once = move || -> Tried<'a> {
            let tried = self.ask_once(call);
            Box::pin(async move { tried.await.map_err(Failure::Inner) })
        };
        Box::pin(self.timeout.run(once))
    }

    async fn ask_once(&self, call: &Call) -> Result<Answered, Trouble> {
        let request = self.request(call).await.map_err(Trouble::Own)?;
        let Endpoint { host, port, .. } = &self.endpoint;
        let answer = exchange((host, *port), request, MOST).await.map_err(Trouble::Broken)?;
        sort(answer, clock::wall())
    }

    async fn request(&self, call: &Call) -> Result<Request<Full<Bytes>>, String> {
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, */*;q=0.5"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.extend(endpoint::headers(&self.spec.headers).await?);
        headers.entry(HOST).or_insert_with(|| self.endpoint.authority.clone());
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        let left = Deadline::current().map(|deadline| deadline.to_header());
        for (name, value) in [
            (DEADLINE, left),
            (CORRELATION_ID, Some(call.correlation_id.clone())),
            (IDEMPOTENCY_KEY, Some(call.idempotency_key.clone())),
        ] {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                headers.insert(name, value);
            }
        }
        let mut request = Request::new(Full::new(call.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self
            .endpoint
            .path
            .parse()
            .map_err(|error| format!("its path cannot be asked: {error}"))?;
        *request.headers_mut() = headers;
        Ok(request)
    }

    fn words(&self, failure: &Failure<Trouble>) -> Unanswered {
        let (reason, retry_after) = match failure {
            Failure::Inner(trouble) => (trouble.to_string(), trouble.retry_after()),
            Failure::Exhausted {
                attempts: 1,
                last,
                retry_after,
            } => (last.to_string(), *retry_after),
            Failure::Exhausted {
                attempts,
                last,
                retry_after,
            } => (format!("{last}, {attempts} tries"), *retry_after),
            Failure::CircuitOpen { retry_after } => {
                let why = self.circuit.refusal();
                let why = why.unwrap_or_else(|| self.circuit.because("has no room for another trial"));
                (why, *retry_after)
            }
            Failure::Timeout { limit } => (format!("no answer within {}", stead_model::Span(*limit)), None),
            Failure::DeadlineExceeded => ("not asked: the deadline has passed".to_owned(), None),
            other => (other.to_string(), None),
        };
        Unanswered { reason, retry_after }
    }
}

/// Whether a failure says something about the provider, rather than about us.
const fn is_about_it(failure: &Failure<Trouble>) -> bool {
    match failure {
        Failure::Inner(Trouble::Own(_)) => false,
        Failure::Inner(_) | Failure::Timeout { .. } | Failure::Exhausted { .. } => true,
        _not_asked => false,
    }
}

/// How calls introduce themselves.
const AGENT: &str = concat!("stead/", env!("CARGO_PKG_VERSION"));

/// How much of an answer is read, in bytes.
const MOST: usize = 8 * 1024 * 1024;

const DEADLINE: HeaderName = HeaderName::from_static(Deadline::HEADER);
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
