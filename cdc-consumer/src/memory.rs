//! The allocator, told to give large blocks back.

/// Makes blocks of 4 MiB and more go back to the system when they are freed. Batches and fetched
/// answers come and go in such blocks, on several threads; glibc would soon keep as many as there
/// ever were at once, in each thread's arena: at full rate a fifth of the memory. Once for a
/// process, at its start. Does nothing where the allocator is another one.
pub fn give_large_blocks_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // Without it the threshold grows with the blocks that are freed.
        #[expect(unsafe_code, reason = "the only way to tell glibc's allocator")]
        // SAFETY: it changes a number of the allocator's, under its own lock.
        let accepted = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, 4 << 20) };
        debug_assert_eq!(accepted, 1, "glibc knows the parameter");
    }
}
