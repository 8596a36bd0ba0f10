//! How much this thread allocates.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// What `work` allocates on this thread, in bytes and in times. What it frees is not subtracted.
pub(crate) fn allocated<R>(work: impl FnOnce() -> R) -> (Allocated, R) {
    let before = (BYTES.get(), TIMES.get());
    let result = work();
    let allocated = Allocated {
        bytes: BYTES.get() - before.0,
        times: TIMES.get() - before.1,
    };
    (allocated, result)
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Allocated {
    pub(crate) bytes: usize,
    pub(crate) times: usize,
}

pub(crate) const NOTHING: Allocated = Allocated { bytes: 0, times: 0 };

thread_local! {
    static BYTES: Cell<usize> = const { Cell::new(0) };
    static TIMES: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: everything is handed to the system's allocator as it came; the counters neither allocate nor need dropping.
#[expect(unsafe_code, reason = "an allocator that counts")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.set(BYTES.get() + layout.size());
        TIMES.set(TIMES.get() + 1);
        // SAFETY: the caller's promises are the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above; the pointer came from there.
        unsafe { System.dealloc(pointer, layout) }
    }
}
