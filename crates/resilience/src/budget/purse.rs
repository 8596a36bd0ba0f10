//! Once per call: whoever shares a budget and is outermost pays in, those inside see that it was done.

use core::cell::Cell;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::Budget;

pin_project! {
    /// Work that may pay for itself, into the budget where there is one.
    pub(crate) struct Purse<'a, F> {
        budget: Option<&'a Budget>,
        paid: usize,
        #[pin]
        work: F,
    }
}

impl<'a, F> Purse<'a, F> {
    /// `work`, which calls [`Budget::deposit_once`] as it begins.
    pub(crate) const fn new(budget: Option<&'a Budget>, work: F) -> Self {
        Self {
            budget,
            paid: NOWHERE,
            work,
        }
    }
}

impl<F: Future> Future for Purse<'_, F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if this.budget.is_none() {
            return this.work.poll(context);
        }
        let mut outer = Entered {
            outer: PAID.get(),
            paid: this.paid,
        };
        outer.enter();
        this.work.poll(context)
    }
}

/// Puts back what was, also when the work panics.
struct Entered<'a> {
    outer: usize,
    paid: &'a mut usize,
}

impl Entered<'_> {
    fn enter(&mut self) {
        if *self.paid != NOWHERE {
            PAID.set(*self.paid);
        }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        *self.paid = PAID.replace(self.outer);
    }
}

impl Budget {
    /// As [`Budget::deposit`], unless the call that is polled now has paid in here before. Within a [`Purse`].
    #[inline]
    pub(crate) fn deposit_once(&self) {
        let here = core::ptr::from_ref(self).addr();
        if PAID.replace(here) != here {
            self.deposit();
        }
    }
}

/// No budget lies there.
const NOWHERE: usize = 0;

thread_local! {
    /// Where the budget lies that the call that is polled now has paid into last. Only its place: nothing is read there.
    static PAID: Cell<usize> = const { Cell::new(NOWHERE) };
}
