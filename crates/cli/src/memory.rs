//! How this process gets its memory from the system.
#![expect(unsafe_code, reason = "glibc's settings of its allocator have no safe form")]

/// Has all threads share one arena. Call it before the process has a second thread.
///
/// A daemon has seven threads that allocate little at a time. With an arena each, as glibc gives them, whatever one of them needed
/// once stays with it for good, which with a thousand agents is a quarter of all memory.
pub(crate) fn share_one_arena() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no other thread runs yet that could allocate meanwhile; a value that is refused changes nothing.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives back to the system what starting took and nothing uses any more: of what a thousand agents take, a tenth. Takes a moment in which
/// nobody else allocates, some milliseconds with very many agents.
pub(crate) fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes the allocator's own lock, and touches what is free alone.
    unsafe {
        libc::malloc_trim(0);
    }
}
