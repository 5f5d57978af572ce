//! What to expect of an entity's keys that are not in the cache.

/// Inserts between two tries of a COPY, at most.
const WAIT_MAX: u32 = 256;

/// Whether an entity's keys are new, and then whether a COPY of them is worth it, which costs half of
/// what an insert does that looks for conflicts, and is for nothing when there is one. After each
/// refusal it takes twice as many inserts without a conflict before the next try.
///
/// Each entity has its own: a copy's own keys are new, while those of the parents that its rows name
/// have often been met by another reader, or by the process before this one.
#[derive(Default)]
pub(super) struct Hope {
    /// Inserts until the next try.
    wait: u32,
    /// What the next refusal will cost.
    penalty: u32,
    /// Most of those that were met last were known.
    are_known: bool,
}

impl Hope {
    /// Whether a COPY is worth a try.
    pub(super) fn is_high(&self) -> bool {
        self.wait == 0 && !self.are_known
    }

    /// Whether they are looked for before any is inserted.
    pub(super) fn are_known(&self) -> bool {
        self.are_known
    }

    /// So many of an insert's, or of a look-up's, keys were known.
    pub(super) fn met(&mut self, known: usize, of: usize) {
        self.are_known = known * 2 > of;
        if known == 0 {
            self.wait = self.wait.saturating_sub(1);
        }
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
                hope.met(0, 9);
            }
            assert!(hope.is_high(), "after {waits}");
        }
        (0..20).for_each(|_| hope.copied(false));
        (0..WAIT_MAX).for_each(|_| hope.met(0, 9));
        assert!(hope.is_high(), "it is never given up for good");
        (0..9).for_each(|_| hope.copied(true));
        hope.copied(false);
        hope.met(0, 9);
        assert!(hope.is_high(), "and forgiven");
    }
    #[test]
    fn what_is_mostly_known_is_looked_for_first() {
        let mut hope = Hope::default();
        assert!(!hope.are_known());
        hope.met(6, 10);
        assert!(hope.are_known() && !hope.is_high(), "a COPY would be refused");
        hope.met(5, 10);
        assert!(!hope.are_known() && hope.is_high());
    }
}
