//! Atomics and locks: those of the standard library, or in a loom test those whose every interleaving is tried.

#[cfg(all(test, loom))]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU32, AtomicU64, Ordering, fence},
};
#[cfg(not(all(test, loom)))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU32, AtomicU64, Ordering, fence},
};

#[cfg(all(test, loom))]
pub(crate) use once::Once;
#[cfg(not(all(test, loom)))]
pub(crate) use std::sync::OnceLock as Once;

/// Locks, also after a panic under the lock: what policies guard is whole between any two of their steps.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The `OnceLock` of the standard library, whose way of publishing what it holds a loom test does not see by itself.
#[cfg(all(test, loom))]
mod once {
    use super::{AtomicU32, Mutex, Ordering, lock};

    #[derive(Default)]
    pub(crate) struct Once<T> {
        held: std::sync::OnceLock<T>,
        there: AtomicU32,
        making: Mutex<()>,
    }

    impl<T> Once<T> {
        pub(crate) fn get(&self) -> Option<&T> {
            if self.there.load(Ordering::Acquire) == 0 {
                return None;
            }
            self.held.get()
        }

        pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
            let _making = lock(&self.making);
            let held = self.held.get_or_init(make);
            self.there.store(1, Ordering::Release);
            held
        }
    }
}
