//! How this process gets its memory from the system, and gives it back.
#![expect(
    unsafe_code,
    reason = "glibc's settings of its allocator, and advice about mappings, have no safe form"
)]

#[cfg(target_os = "linux")]
mod mapped;

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

/// Gives back to the system what starting took and nothing uses any more: of what a thousand agents take, a tenth, and the pages of the
/// program that only its start has run through, a third of all. Takes a moment in which nobody else allocates, some milliseconds with
/// very many agents; what of the program is needed again is mapped again, from the system's cache.
pub(crate) fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes the allocator's own lock, and touches what is free alone.
    unsafe {
        libc::malloc_trim(0);
    }
    #[cfg(target_os = "linux")]
    for mapping in mapped::unchanged() {
        // SAFETY: nothing of it was ever written, so that whoever reads it next finds the file's bytes again. That it is refused is no
        // harm.
        unsafe {
            libc::madvise(mapping.start as *mut libc::c_void, mapping.len(), libc::MADV_DONTNEED);
        }
    }
}
