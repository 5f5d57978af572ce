//! What this process has taken out of the buckets and not handed out yet.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{Answer, Key};

/// Permits that are older are forgotten: their bucket has filled up meanwhile.
const LEASE_LIFE: Duration = Duration::from_secs(5);

/// Callers that are remembered at most, about 64 bytes each.
const CALLERS_MAX: usize = 50_000;

#[derive(Default)]
pub(super) struct Leases(Mutex<HashMap<Key, Lease>>);

struct Lease {
    until: Instant,
    /// 0 in a refusal.
    left: u32,
    refused: bool,
}

impl Leases {
    /// A permit, or a refusal that still holds; `None` when the bucket must be asked.
    pub(super) fn take(&self, key: Key) -> Option<Answer> {
        let now = Instant::now();
        let mut leases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lease = leases.get_mut(&key).filter(|lease| lease.until > now)?;
        if lease.refused {
            return Some(Answer::Wait(lease.until - now));
        }
        lease.left = lease.left.checked_sub(1)?;
        Some(Answer::Go)
    }

    /// Keeps what the bucket said.
    pub(super) fn put(&self, key: Key, answer: Answer, left: u32) {
        let now = Instant::now();
        let lease = match answer {
            Answer::Go => Lease { until: now + LEASE_LIFE, left, refused: false },
            // Not longer than a lease, so that a limit that is raised is felt soon.
            Answer::Wait(time) => {
                Lease { until: now + time.min(LEASE_LIFE), left: 0, refused: true }
            }
        };
        let mut leases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if leases.len() >= CALLERS_MAX {
            leases.retain(|_, lease| lease.until > now);
        }
        if leases.len() >= CALLERS_MAX {
            // A flood of callers who are all new: whoever was there asks the bucket again.
            leases.clear();
        }
        leases.insert(key, lease);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_are_handed_out_once_and_refusals_hold() {
        let leases = Leases::default();
        let (a, b) = ([1; 16], [2; 16]);
        assert_eq!(leases.take(a), None);
        leases.put(a, Answer::Go, 2);
        assert_eq!(leases.take(a), Some(Answer::Go));
        assert_eq!(leases.take(a), Some(Answer::Go));
        assert_eq!(leases.take(a), None);
        leases.put(b, Answer::Wait(Duration::from_secs(60)), 0);
        assert!(matches!(leases.take(b), Some(Answer::Wait(time)) if time <= LEASE_LIFE));
        leases.put(b, Answer::Wait(Duration::ZERO), 0);
        assert_eq!(leases.take(b), None);
    }

    #[test]
    fn a_flood_of_callers_does_not_fill_the_memory() {
        let leases = Leases::default();
        for n in 0..u32::try_from(CALLERS_MAX).expect("small") + 10 {
            let mut key = [0; 16];
            key[..4].copy_from_slice(&n.to_be_bytes());
            leases.put(key, Answer::Go, 1);
        }
        assert!(leases.0.lock().expect("a lock").len() <= CALLERS_MAX);
    }
}
