//! Tests of the crate as its users see it, with an allocator that counts.

mod allocations;
mod breaker;
#[cfg(test)]
mod leaks;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod resilient_call;
#[cfg(test)]
mod seats;
