//! Once per call: whoever shares a budget and is outermost pays in, those inside see that it was done.

use core::cell::Cell;

use super::Budget;

/// Polls what a call that has paid into `budget` does. By reference, as wrapping futures would move them once more.
#[inline]
pub(crate) fn paid<R>(budget: Option<&Budget>, poll: impl FnOnce() -> R) -> R {
    let Some(budget) = budget else { return poll() };
    let _outer = Outer(PAID.replace(budget.place()));
    poll()
}

/// Puts back what was, also when the work panics.
struct Outer(usize);

impl Drop for Outer {
    #[inline]
    fn drop(&mut self) {
        PAID.set(self.0);
    }
}

impl Budget {
    /// As [`Budget::deposit`], unless the call that is polled now has paid in here before; see [`paid`].
    #[inline]
    pub(crate) fn deposit_once(&self) {
        if PAID.get() != self.place() {
            self.deposit();
        }
    }

    fn place(&self) -> usize {
        core::ptr::from_ref(self).addr()
    }
}

thread_local! {
    /// Where the budget lies that the call that is polled now has paid into last, 0 for nowhere. Only its place: nothing is
    /// read there.
    static PAID: Cell<usize> = const { Cell::new(0) };
}
