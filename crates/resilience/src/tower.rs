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
use crate::{AnyError, Breaker, Classify, Clock, Coarse, Failure, NamedPipeline, OwnedPermit};

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
#[derive(Debug)]
pub struct PipelineLayer<C: Clock = Coarse>(Arc<NamedPipeline<C>>);

impl<C: Clock> PipelineLayer<C> {
    /// A layer of this pipeline.
    #[must_use]
    pub const fn new(pipeline: Arc<NamedPipeline<C>>) -> Self {
        Self(pipeline)
    }
}

impl<C: Clock> Clone for PipelineLayer<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S, C: Clock> Layer<S> for PipelineLayer<C> {
    type Service = Piped<S, C>;

    fn layer(&self, service: S) -> Self::Service {
        Piped {
            service,
            pipeline: Arc::clone(&self.0),
        }
    }
}

/// A service behind a pipeline.
#[derive(Debug)]
pub struct Piped<S, C: Clock = Coarse> {
    service: S,
    pipeline: Arc<NamedPipeline<C>>,
}

impl<S: Clone, C: Clock> Clone for Piped<S, C> {
    fn clone(&self) -> Self {
        Self {
            service: self.service.clone(),
            pipeline: Arc::clone(&self.pipeline),
        }
    }
}

impl<S, C, Request> Service<Request> for Piped<S, C>
where
    S: Service<Request> + Clone + Send + 'static,
    S::Future: Send,
    S::Response: Send,
    S::Error: Send,
    C: Clock,
    Request: Clone + Send + 'static,
{
    type Response = S::Response;
    type Error = Failure<S::Error>;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.service.poll_ready(context).map_err(Failure::Inner)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The one that was polled ready makes the first try; its clone waits here for the next call, and makes the others.
        let spare = self.service.clone();
        let ready = core::mem::replace(&mut self.service, spare.clone());
        let (tries, pipeline) = (Mutex::new((Some(ready), spare, request)), Arc::clone(&self.pipeline));
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
            pipeline.call(attempt).await
        })
    }
}

#[cfg(test)]
mod tests {
    use core::task::Waker;
    use std::convert::Infallible;

    use stead_policy::{BreakerConfig, CircuitState};

    use super::*;
    use crate::{PipelineConfig, Verdict, Virtual};

    /// A service that panics when it is called without having been polled ready, as tower allows it to.
    struct Strict {
        ready: bool,
        calls: Arc<Mutex<u32>>,
        fails: u32,
    }

    impl Strict {
        fn failing(fails: u32) -> Self {
            Self {
                ready: false,
                calls: Arc::default(),
                fails,
            }
        }
    }

    impl Clone for Strict {
        fn clone(&self) -> Self {
            Self {
                ready: false,
                calls: Arc::clone(&self.calls),
                fails: self.fails,
            }
        }
    }

    impl Service<u32> for Strict {
        type Response = u32;
        type Error = &'static str;
        type Future = core::future::Ready<Result<u32, &'static str>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
            self.ready = true;
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: u32) -> Self::Future {
            assert!(core::mem::take(&mut self.ready), "called without being ready");
            let mut calls = lock(&self.calls);
            *calls += 1;
            core::future::ready(if *calls <= self.fails { Err("down") } else { Ok(request) })
        }
    }

    async fn ask<S: Service<u32>>(service: &mut S, request: u32) -> Result<S::Response, S::Error> {
        poll_fn(|context| service.poll_ready(context)).await?;
        service.call(request).await
    }

    fn breaker(failure_threshold: u32) -> Arc<Breaker<Virtual>> {
        let config = BreakerConfig {
            failure_threshold,
            ..BreakerConfig::default()
        };
        Arc::new(Breaker::with_clock(config, Virtual::new()).expect("valid"))
    }

    #[tokio::test]
    async fn clones_of_a_guarded_service_share_its_breaker_and_are_polled_ready_by_themselves() {
        let breaker = breaker(2);
        let mut one = BreakerLayer::new(Arc::clone(&breaker)).layer(Strict::failing(2));
        let mut other = one.clone();
        assert_eq!(ask(&mut one, 1).await, Err(Failure::Inner("down")));
        assert_eq!(ask(&mut other, 1).await, Err(Failure::Inner("down")));
        assert_eq!(breaker.state(), CircuitState::Open);
        assert!(matches!(ask(&mut one, 1).await, Err(Failure::CircuitOpen { .. })));
    }

    #[tokio::test]
    async fn being_polled_ready_reserves_nothing_and_a_dropped_call_is_abandoned() {
        let breaker = breaker(2);
        let mut service = BreakerLayer::new(Arc::clone(&breaker)).layer(tower_fn());
        poll_fn(|context| service.poll_ready(context)).await.unwrap();
        drop(service.clone());
        assert_eq!(breaker.counts().abandoned, 0);
        let mut call = Box::pin(service.call(1));
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(call);
        assert_eq!(breaker.counts().abandoned, 1);
    }

    #[derive(Clone)]
    struct Hangs;

    fn tower_fn() -> Hangs {
        Hangs
    }

    impl Service<u32> for Hangs {
        type Response = u32;
        type Error = Infallible;
        type Future = core::future::Pending<Result<u32, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: u32) -> Self::Future {
            core::future::pending()
        }
    }

    #[tokio::test]
    async fn a_classifier_judges_responses() {
        let breaker = breaker(1);
        let classifier = |result: &Result<u32, &str>| match result {
            Ok(500..) => Verdict::FAILURE,
            Ok(_) | Err(_) => Verdict::Success,
        };
        let mut service = BreakerLayer::judged_by(Arc::clone(&breaker), classifier).layer(Strict::failing(0));
        assert_eq!(ask(&mut service, 503).await, Ok(503));
        assert_eq!(breaker.state(), CircuitState::Open);
    }

    #[tokio::test]
    async fn a_pipeline_tries_again_with_services_that_are_ready() {
        let text = r#"{"operation": "idempotent", "policies": [
            {"kind": "timeout", "limit": "1m"}, {"kind": "retry", "base": "1s"}
        ]}"#;
        let config: PipelineConfig = serde_json::from_str(text).unwrap();
        let clock = Virtual::new();
        let pipeline = Arc::new(NamedPipeline::build(config, &clock).unwrap());
        let mut service = PipelineLayer::new(pipeline).layer(Strict::failing(2));
        let (answer, ()) = tokio::join!(ask(&mut service, 7), clock.run_for(core::time::Duration::from_secs(60)));
        assert_eq!(answer, Ok(7));
        assert_eq!(ask(&mut service, 8).await, Ok(8));
    }
}
