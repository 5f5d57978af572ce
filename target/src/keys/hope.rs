//! Whether new keys are worth a COPY.

use std::sync::atomic::{AtomicU32, Ordering};

/// Inserts between two tries of a COPY, at most.
const WAIT_MAX: u32 = 256;

/// Whether a batch's keys are worth a COPY, which costs half of what an insert does that looks for
/// conflicts, and is for nothing when there is one. After each refusal it takes twice as many
/// inserts in a row without a conflict before the next try.
#[derive(Default)]
pub(super) struct Hope {
    /// Inserts until the next try.
    wait: AtomicU32,
    /// What the next refusal will cost.
    penalty: AtomicU32,
}

impl Hope {
    pub(super) fn is_high(&self) -> bool {
        self.wait.load(Ordering::Relaxed) == 0
    }

    /// An insert met no known key.
    pub(super) fn all_were_new(&self) {
        let wait = self.wait.load(Ordering::Relaxed);
        self.wait.store(wait.saturating_sub(1), Ordering::Relaxed);
    }

    /// How a COPY ended.
    pub(super) fn copied(&self, done: bool) {
        let penalty = self.penalty.load(Ordering::Relaxed);
        if done {
            self.penalty.store(penalty / 2, Ordering::Relaxed);
        } else {
            let penalty = (penalty * 2).clamp(1, WAIT_MAX);
            self.penalty.store(penalty, Ordering::Relaxed);
            self.wait.store(penalty, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refused_copy_makes_the_next_try_rarer() {
        let hope = Hope::default();
        assert!(hope.is_high(), "the first one is tried");
        for waits in [1, 2, 4, 8] {
            hope.copied(false);
            for _ in 0..waits {
                assert!(!hope.is_high());
                hope.all_were_new();
            }
            assert!(hope.is_high(), "after {waits}");
        }
        (0..20).for_each(|_| hope.copied(false));
        (0..WAIT_MAX).for_each(|_| hope.all_were_new());
        assert!(hope.is_high(), "it is never given up for good");
        (0..9).for_each(|_| hope.copied(true));
        hope.copied(false);
        hope.all_were_new();
        assert!(hope.is_high(), "and forgiven");
    }
}
