//! Bulk copy of legacy tables in resumable chunks.
