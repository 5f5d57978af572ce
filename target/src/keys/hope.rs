//! Whether new keys are worth a COPY.

/// Inserts between two tries of a COPY, at most.
const WAIT_MAX: u32 = 256;

/// Whether an entity's new keys are worth a COPY, which costs half of what an insert does that looks
/// for conflicts, and is for nothing when there is one. After each refusal it takes twice as many
/// inserts in a row without a conflict before the next try.
///
/// Each entity has its own: a copy's own keys are new, while those of the parents that its rows name
/// have often been met by another reader.
#[derive(Default)]
pub(super) struct Hope {
    /// Inserts until the next try.
    wait: u32,
    /// What the next refusal will cost.
    penalty: u32,
}

impl Hope {
    pub(super) fn is_high(&self) -> bool {
        self.wait == 0
    }

    /// An insert met no known key.
    pub(super) fn all_were_new(&mut self) {
        self.wait = self.wait.saturating_sub(1);
    }

    /// How a COPY ended.
    pub(super) fn copied(&mut self, done: bool) {
        if done {
            self.penalty /= 2;
        } else {
            self.penalty = (self.penalty * 2).clamp(1, WAIT_MAX);
            self.wait = self.penalty;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refused_copy_makes_the_next_try_rarer() {
        let mut hope = Hope::default();
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
