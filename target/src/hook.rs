//! Named points where a fault test may kill the process. Compiled to nothing unless the cargo
//! feature `hooks` is on; a release build never has it.
//!
//! `FICUS_KILL_AT="apply.before_commit:3"` aborts the process, without unwinding, the third
//! time that it comes by. Several points are separated by commas.

/// Passes a named point.
#[cfg(not(feature = "hooks"))]
#[inline(always)]
pub fn point(_name: &'static str) {}

/// Passes a named point: aborts when `FICUS_KILL_AT` says so.
#[cfg(feature = "hooks")]
pub fn point(name: &'static str) {
    use std::{
        collections::HashMap,
        sync::{LazyLock, Mutex, PoisonError},
    };
    static LEFT: LazyLock<Mutex<HashMap<String, u64>>> = LazyLock::new(|| {
        let wanted = std::env::var("FICUS_KILL_AT").unwrap_or_default();
        Mutex::new(parse(&wanted))
    });
    let mut left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(count) = left.get_mut(name) else { return };
    *count = count.saturating_sub(1);
    if *count == 0 {
        std::process::abort();
    }
}

#[cfg(feature = "hooks")]
fn parse(wanted: &str) -> std::collections::HashMap<String, u64> {
    wanted
        .split(',')
        .filter(|point| !point.is_empty())
        .map(|point| {
            let (name, count) = point.split_once(':').unwrap_or((point, "1"));
            (name.trim().to_owned(), count.trim().parse().unwrap_or(1))
        })
        .collect()
}
