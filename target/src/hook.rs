//! Named points where a fault test may kill the process. Compiled to nothing unless the cargo
//! feature `hooks` is on *and* debug assertions are: only the end-to-end tests turn it on, and no
//! release build has it whatever is turned on.
//!
//! `FICUS_KILL_AT="apply.before_commit:3"` aborts the process, without unwinding, the third
//! time that it comes by. Several points are separated by commas.

/// Passes a named point.
#[cfg(not(all(feature = "hooks", debug_assertions)))]
#[inline(always)]
pub fn point(_name: &'static str) {}

/// Passes a named point: aborts when `FICUS_KILL_AT` says so.
#[cfg(all(feature = "hooks", debug_assertions))]
pub fn point(name: &'static str) {
    use std::{
        collections::HashMap,
        sync::{LazyLock, Mutex, PoisonError},
    };
    static LEFT: LazyLock<Option<Mutex<HashMap<String, u64>>>> = LazyLock::new(|| {
        let wanted = std::env::var("FICUS_KILL_AT").ok()?;
        Some(Mutex::new(parse(&wanted)))
    });
    let Some(left) = LEFT.as_ref() else { return };
    let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(count) = left.get_mut(name) else { return };
    *count = count.saturating_sub(1);
    if *count == 0 {
        std::process::abort();
    }
}

/// Passes a named point each time that a question is sent and its answer has not come yet.
pub(crate) async fn while_waiting<F: Future>(name: &'static str, asking: F) -> F::Output {
    let mut asking = std::pin::pin!(asking);
    std::future::poll_fn(|context| {
        let polled = asking.as_mut().poll(context);
        if polled.is_pending() {
            point(name);
        }
        polled
    })
    .await
}

#[cfg(all(feature = "hooks", debug_assertions))]
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
