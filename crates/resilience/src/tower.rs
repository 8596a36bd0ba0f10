//! Policies as tower layers (feature `tower`).
//!
//! [`BreakerLayer`] guards a service without boxes. [`PipelineLayer`] puts a whole [`NamedPipeline`] around a service that can
//! be cloned, so that it can be tried again; its calls are boxed.
//!
//! Both pass `poll_ready` on to the service and reserve nothing there: a service that was polled ready and is never called
//! holds no permit. A clone shares the breaker and must be polled ready by itself, as tower asks.

use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::sync::Arc;

use pin_project_lite::pin_project;
use stead_policy::Refusal;
use tower_layer::Layer;
use tower_service::Service;

use crate::sync::{Mutex, lock};
use crate::{Answers, AnyError, Breaker, Classify, Clock, Coarse, Failure, NamedPipeline, Nobody, OwnedPermit};

/// Puts a breaker around services. All services it makes share the breaker.
pub struct BreakerLayer<C: Clock = Coarse, K = AnyError> {
    breaker: Arc<Breaker<C>>,
    classifier: Arc<K>,
}

impl<C: Clock> BreakerLayer<C> {
    /// A layer by which every error is a failure.
    #[must_use]
    pub fn new(breaker: Arc<Breaker<C>>) -> Self {
        Self::judged_by(breaker, AnyError)
    }
}

impl<C: Clock, K> BreakerLayer<C, K> {
    /// A layer with a classifier of its own.
    #[must_use]
    pub fn judged_by(breaker: Arc<Breaker<C>>, classifier: K) -> Self {
        Self {
            breaker,
            classifier: Arc::new(classifier),
        }
    }
}

impl<C: Clock, K> Clone for BreakerLayer<C, K> {
    fn clone(&self) -> Self {
        Self {
            breaker: Arc::clone(&self.breaker),
            classifier: Arc::clone(&self.classifier),
        }
    }
}

impl<C: Clock, K> fmt::Debug for BreakerLayer<C, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerLayer")
            .field("breaker", &self.breaker)
            .finish_non_exhaustive()
    }
}

impl<S, C: Clock, K> Layer<S> for BreakerLayer<C, K> {
    type Service = Guarded<S, C, K>;

    fn layer(&self, service: S) -> Self::Service {
        Guarded {
            service,
            layer: self.clone(),
        }
    }
}

/// A service behind a breaker.
#[derive(Debug)]
pub struct Guarded<S, C: Clock = Coarse, K = AnyError> {
    service: S,
    layer: BreakerLayer<C, K>,
}

impl<S: Clone, C: Clock, K> Clone for Guarded<S, C, K> {
    fn clone(&self) -> Self {
        Self {
            service: self.service.clone(),
            layer: self.layer.clone(),
        }
    }
}

impl<S, C, K, Request> Service<Request> for Guarded<S, C, K>
where
    S: Service<Request>,
    C: Clock,
    K: Classify<S::Response, S::Error>,
{
    type Response = S::Response;
    type Error = Failure<S::Error>;
    type Future = GuardedCall<S::Future, C, K>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.service.poll_ready(context).map_err(Failure::Inner)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let state = match self.layer.breaker.try_acquire_owned() {
            Ok(permit) => CallState::Admitted {
                call: self.service.call(request),
                permit: Some(permit),
            },
            Err(refusal) => CallState::Refused { refusal },
        };
        GuardedCall {
            state,
            classifier: Arc::clone(&self.layer.classifier),
        }
    }
}

pin_project! {
    /// A call through a breaker. Dropped before its end, it is an abandoned call.
    pub struct GuardedCall<F, C: Clock, K> {
        #[pin]
        state: CallState<F, C>,
        classifier: Arc<K>,
    }
}

pin_project! {
    #[project = CallProjection]
    enum CallState<F, C: Clock> {
        Admitted {
            #[pin]
            call: F,
            permit: Option<OwnedPermit<C>>,
        },
        Refused {
            refusal: Refusal,
        },
    }
}

impl<F, C: Clock, K> fmt::Debug for GuardedCall<F, C, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedCall").finish_non_exhaustive()
    }
}

impl<F, C, K, T, E> Future for GuardedCall<F, C, K>
where
    F: Future<Output = Result<T, E>>,
    C: Clock,
    K: Classify<T, E>,
{
    type Output = Result<T, Failure<E>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.state.project() {
            CallProjection::Refused { refusal } => Poll::Ready(Err((*refusal).into())),
            CallProjection::Admitted { call, permit } => {
                let result = ready!(call.poll(context));
                if let Some(permit) = permit.take() {
                    permit.report(this.classifier.classify(&result));
                }
                Poll::Ready(result.map_err(Failure::Inner))
            }
        }
    }
}

/// Puts a pipeline from configuration around services that can be cloned, for requests that can be cloned.
///
/// One with fallbacks or caches ([`NamedPipeline::build_with`]) is for services of their type of response and error. Caches by
/// `String` keys need [`PipelineLayer::keyed`]; without it all requests are one.
pub struct PipelineLayer<C: Clock = Coarse, S = Nobody, K = AnyError, Q = OneKey> {
    pipeline: Arc<NamedPipeline<C, S, K>>,
    key: Arc<Q>,
}

/// The key of a request: what a cache in a pipeline keeps its answer by.
pub trait RequestKey<Request> {
    /// The key of `request`.
    fn key(&self, request: &Request) -> String;
}

/// All requests have one key.
#[derive(Clone, Copy, Debug)]
pub struct OneKey;

impl<Request> RequestKey<Request> for OneKey {
    fn key(&self, _: &Request) -> String {
        String::new()
    }
}

impl<Request, F: Fn(&Request) -> String> RequestKey<Request> for F {
    fn key(&self, request: &Request) -> String {
        self(request)
    }
}

impl<C: Clock, S, K> PipelineLayer<C, S, K> {
    /// A layer of this pipeline.
    #[must_use]
    pub fn new(pipeline: Arc<NamedPipeline<C, S, K>>) -> Self {
        Self {
            pipeline,
            key: Arc::new(OneKey),
        }
    }

    /// The same layer, with caches that keep an answer for each `key` of a request.
    #[must_use]
    pub fn keyed<Q>(self, key: Q) -> PipelineLayer<C, S, K, Q> {
        PipelineLayer {
            pipeline: self.pipeline,
            key: Arc::new(key),
        }
    }
}

impl<C: Clock, S, K, Q> Clone for PipelineLayer<C, S, K, Q> {
    fn clone(&self) -> Self {
        Self {
            pipeline: Arc::clone(&self.pipeline),
            key: Arc::clone(&self.key),
        }
    }
}

impl<C: Clock, S, K, Q> fmt::Debug for PipelineLayer<C, S, K, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipelineLayer")
            .field("config", &self.pipeline.config())
            .finish_non_exhaustive()
    }
}

impl<I, C: Clock, S, K, Q> Layer<I> for PipelineLayer<C, S, K, Q> {
    type Service = Piped<I, C, S, K, Q>;

    fn layer(&self, service: I) -> Self::Service {
        Piped {
            service,
            layer: self.clone(),
        }
    }
}

/// A service behind a pipeline.
#[derive(Debug)]
pub struct Piped<I, C: Clock = Coarse, S = Nobody, K = AnyError, Q = OneKey> {
    service: I,
    layer: PipelineLayer<C, S, K, Q>,
}

impl<I: Clone, C: Clock, S, K, Q> Clone for Piped<I, C, S, K, Q> {
    fn clone(&self) -> Self {
        Self {
            service: self.service.clone(),
            layer: self.layer.clone(),
        }
    }
}

impl<I, C, S, K, Q, Request> Service<Request> for Piped<I, C, S, K, Q>
where
    I: Service<Request> + Clone + Send + 'static,
    I::Future: Send,
    I::Response: Send,
    I::Error: Send,
    C: Clock,
    S: Answers<I::Response, I::Error> + 'static,
    K: Classify<I::Response, I::Error> + Send + Sync + 'static,
    Q: RequestKey<Request>,
    Request: Clone + Send + 'static,
{
    type Response = I::Response;
    type Error = Failure<I::Error>;
    type Future = Pin<Box<dyn Future<Output = Result<I::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.service.poll_ready(context).map_err(Failure::Inner)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The one that was polled ready makes the first try; its clone waits here for the next call, and makes the others.
        let spare = self.service.clone();
        let ready = core::mem::replace(&mut self.service, spare.clone());
        let (key, pipeline) = (self.layer.key.key(&request), Arc::clone(&self.layer.pipeline));
        let tries = Mutex::new((Some(ready), spare, request));
        Box::pin(async move {
            let attempt = || {
                let mut tries = lock(&tries);
                let (ready, request) = (tries.0.take(), tries.2.clone());
                let was_ready = ready.is_some();
                let mut service = ready.unwrap_or_else(|| tries.1.clone());
                async move {
                    if !was_ready {
                        poll_fn(|context| service.poll_ready(context)).await?;
                    }
                    service.call(request).await
                }
            };
            pipeline.call_for(&key, attempt).await
        })
    }
}

#[cfg(test)]
mod tests;
