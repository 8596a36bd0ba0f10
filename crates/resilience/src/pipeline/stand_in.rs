//! What stands in for a failed call in a pipeline from configuration: made in code, handed in by name.

use core::fmt;
use core::future::Future;
use core::hash::Hash;
use core::pin::Pin;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::lint::PolicyKind;
use crate::{Classify, Clock, Failure, Fallback, Inspect, Layer, StaleCache};

pub(super) type Boxed<'a, T, E> = Pin<Box<dyn Future<Output = Result<T, Failure<E>>> + Send + 'a>>;

/// One try, made each time it is called.
pub(super) type Next<'a, T, E> = Box<dyn Fn() -> Boxed<'a, T, E> + Send + Sync + 'a>;

/// What a pipeline from configuration may have among its policies to answer for others.
pub trait Answers<T, E>: Inspect {
    /// Makes a try, and answers in its place where it fails. `key` says whose answers may stand in.
    #[doc(hidden)]
    fn answer<'a>(&'a self, key: &'a str, next: Next<'a, T, E>) -> Boxed<'a, T, E>
    where
        T: 'a,
        E: 'a;
}

/// Nobody stands in: a pipeline that was built without [`StandIns`].
#[derive(Clone, Copy, Debug)]
pub enum Nobody {}

impl<T, E> Answers<T, E> for Nobody {
    fn answer<'a>(&'a self, _: &'a str, _: Next<'a, T, E>) -> Boxed<'a, T, E>
    where
        T: 'a,
        E: 'a,
    {
        match *self {}
    }
}

impl<T, E, K> Answers<T, E> for Fallback<T, E, K>
where
    T: Send + 'static,
    E: Send + Sync + 'static,
    K: Classify<T, E> + Send + Sync + 'static,
{
    fn answer<'a>(&'a self, _: &'a str, next: Next<'a, T, E>) -> Boxed<'a, T, E>
    where
        T: 'a,
        E: 'a,
    {
        Box::pin(self.run(next))
    }
}

/// What a cache of a pipeline keeps its answers by, from the key of a call.
///
/// With `()` there is one answer for all calls, with a `String` one for each key.
pub trait CacheKey: Hash + Eq + Clone + Send + Sync {
    /// The one for calls with this key.
    fn of(key: &str) -> Self;
}

impl CacheKey for () {
    fn of(_: &str) -> Self {}
}

impl CacheKey for String {
    fn of(key: &str) -> Self {
        key.to_owned()
    }
}

impl<Q, T, E, C, K> Answers<T, E> for StaleCache<Q, T, C, K>
where
    Q: CacheKey + 'static,
    T: Clone + Send + 'static,
    E: Send,
    C: Clock,
    K: Classify<T, E> + Send + Sync + 'static,
{
    fn answer<'a>(&'a self, key: &'a str, next: Next<'a, T, E>) -> Boxed<'a, T, E>
    where
        T: 'a,
        E: 'a,
    {
        Box::pin(async move { self.at(Q::of(key)).run(next).await })
    }
}

/// Fallbacks and caches by the names that configuration has for them.
pub struct StandIns<T, E> {
    known: BTreeMap<Cow<'static, str>, StandIn<T, E>>,
}

/// A fallback or a cache of [`StandIns`].
pub struct StandIn<T, E> {
    kind: PolicyKind,
    answers: Arc<dyn Answers<T, E>>,
}

impl<T, E> Default for StandIns<T, E> {
    fn default() -> Self {
        Self { known: BTreeMap::new() }
    }
}

impl<T, E> StandIns<T, E> {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Hands in a fallback, for `{ kind = "fallback", name = … }`. The later one of the same name counts.
    #[must_use]
    pub fn fallback<K>(self, name: impl Into<Cow<'static, str>>, fallback: Arc<Fallback<T, E, K>>) -> Self
    where
        T: Send + 'static,
        E: Send + Sync + 'static,
        K: Classify<T, E> + Send + Sync + 'static,
    {
        self.with(name.into(), PolicyKind::Fallback, fallback)
    }

    /// Hands in a cache on failure, for `{ kind = "cache", name = … }`. The later one of the same name counts.
    ///
    /// A `StaleCache<String, …>` keeps an answer for each key of [`NamedPipeline::call_for`](crate::NamedPipeline::call_for), a
    /// `StaleCache<(), …>` one for all.
    #[must_use]
    pub fn cache<Q, C, K>(self, name: impl Into<Cow<'static, str>>, cache: Arc<StaleCache<Q, T, C, K>>) -> Self
    where
        Q: CacheKey + 'static,
        T: Clone + Send + 'static,
        E: Send + 'static,
        C: Clock,
        K: Classify<T, E> + Send + Sync + 'static,
    {
        self.with(name.into(), PolicyKind::Cache, cache)
    }

    fn with(mut self, name: Cow<'static, str>, kind: PolicyKind, answers: Arc<dyn Answers<T, E>>) -> Self {
        self.known.insert(name, StandIn { kind, answers });
        self
    }

    pub(super) fn named(&self, kind: PolicyKind, name: &str) -> Option<StandIn<T, E>> {
        self.known.get(name).filter(|found| found.kind == kind).cloned()
    }

    /// The names of this kind, for people.
    pub(super) fn names(&self, kind: PolicyKind) -> Vec<String> {
        let known = self.known.iter().filter(|(_, known)| known.kind == kind);
        known.map(|(name, _)| name.clone().into_owned()).collect()
    }
}

impl<T, E> StandIn<T, E> {
    /// The fallback or the cache itself.
    pub(crate) fn behind(&self) -> &dyn Answers<T, E> {
        &*self.answers
    }
}

impl<T: 'static, E: 'static> Answers<T, E> for StandIn<T, E> {
    fn answer<'a>(&'a self, key: &'a str, next: Next<'a, T, E>) -> Boxed<'a, T, E>
    where
        T: 'a,
        E: 'a,
    {
        self.answers.answer(key, next)
    }
}

impl<T, E> Clone for StandIn<T, E> {
    fn clone(&self) -> Self {
        Self {
            kind: self.kind,
            answers: Arc::clone(&self.answers),
        }
    }
}

impl<T, E> fmt::Debug for StandIn<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StandIn").field(&self.kind).finish()
    }
}

impl<T, E> Clone for StandIns<T, E> {
    fn clone(&self) -> Self {
        Self {
            known: self.known.clone(),
        }
    }
}

impl<T, E> fmt::Debug for StandIns<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.known.keys()).finish()
    }
}
