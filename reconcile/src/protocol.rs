//! The order of a pass, which is what makes it a proof. Pure: the shell does what [`Cycle::step`]
//! says and answers; the simulation does the same against a model.
//!
//! 1. S, the captured LSN.
//! 2. The legacy rows: they show every change up to S, perhaps later ones.
//! 3. Marker M: nothing that was read is later than it.
//! 4. The stream passes M.
//! 5. The target rows.
//!
//! Who else reads legacy rows is counted before 3 and after 5: if the numbers are the same and
//! nobody is at it, everything that was read had been read before M was written.

use mapping::position::Lsn;
use target::compare::Activity;

use crate::decide::Proof;

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ask the legacy server for its captured LSN, then [`Cycle::low`].
    AskLow,
    /// Read the legacy rows, then count who else reads, then [`Cycle::legacy_read`].
    ReadLegacy,
    /// Write a marker, then [`Cycle::marker`].
    PutMarker,
    /// Wait until the stream has passed the LSN, then [`Cycle::stream`].
    AwaitStream(Lsn),
    /// Read the target rows, then count who else reads, then [`Cycle::target_read`].
    ReadTarget,
    /// Decide every row with the proof.
    Decide(Proof),
}

/// One pass over some rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cycle {
    step: Step,
    has_fence: bool,
    low: Lsn,
    passed: bool,
    beside: Activity,
}

impl Cycle {
    /// With markers, or (when `has_fence` is false) with nothing but reading twice.
    pub(crate) fn new(has_fence: bool) -> Self {
        let (low, beside) = (Lsn::ZERO, Activity::default());
        Self { step: Step::AskLow, has_fence, low, passed: false, beside }
    }

    /// What is to be done.
    pub(crate) fn step(&self) -> Step {
        self.step
    }

    /// Answers [`Step::AskLow`]. Nothing captured yet means that nothing is known to be current.
    pub(crate) fn low(&mut self, low: Option<Lsn>) {
        debug_assert_eq!(self.step, Step::AskLow);
        self.low = low.unwrap_or(Lsn::ZERO);
        self.step = Step::ReadLegacy;
    }

    /// Answers [`Step::ReadLegacy`].
    pub(crate) fn legacy_read(&mut self, beside: Activity) {
        debug_assert_eq!(self.step, Step::ReadLegacy);
        self.beside = beside;
        self.step = if self.has_fence { Step::PutMarker } else { Step::ReadTarget };
    }

    /// Answers [`Step::PutMarker`]; `None` when the capture job did not capture it in time.
    pub(crate) fn marker(&mut self, marker: Option<Lsn>) {
        debug_assert_eq!(self.step, Step::PutMarker);
        self.step = marker.map_or(Step::ReadTarget, Step::AwaitStream);
    }

    /// Answers [`Step::AwaitStream`].
    pub(crate) fn stream(&mut self, passed: bool) {
        debug_assert!(matches!(self.step, Step::AwaitStream(_)));
        self.passed = passed;
        self.step = Step::ReadTarget;
    }

    /// Answers [`Step::ReadTarget`].
    pub(crate) fn target_read(&mut self, beside: Activity) {
        debug_assert_eq!(self.step, Step::ReadTarget);
        let chunks = |of: Activity| (of.unfinished, of.signature);
        let settled = beside.unfinished == 0 && chunks(beside) == chunks(self.beside);
        let rows = |of: Activity| (of.rereading, of.rereads);
        let alone = beside.rereading == 0 && rows(beside) == rows(self.beside);
        self.step = Step::Decide(if self.has_fence {
            Proof::Fence { low: self.low, passed: self.passed, settled, alone }
        } else {
            Proof::Twice
        });
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests {
    use super::*;

    /// Whether chunks, and single rows, can't have been read between two counts.
    fn between(before: Activity, after: Activity) -> (bool, bool) {
        let mut cycle = Cycle::new(true);
        cycle.low(None);
        cycle.legacy_read(before);
        cycle.marker(None);
        cycle.target_read(after);
        let Step::Decide(Proof::Fence { settled, alone, .. }) = cycle.step() else {
            unreachable!("the pass is at its end");
        };
        (settled, alone)
    }

    #[test]
    fn who_read_meanwhile_is_told_by_numbers_and_by_who_is_at_it() {
        let quiet = Activity { signature: 7, rereads: 3, ..Activity::default() };
        assert_eq!(between(quiet, quiet), (true, true));
        let chunk = Activity { unfinished: 1, ..quiet };
        let row = Activity { rereading: 1, ..quiet };
        for (busy, expect) in [(chunk, (false, true)), (row, (true, false))] {
            assert_eq!(between(busy, busy), expect);
            assert_eq!(between(busy, quiet), expect);
            assert_eq!(between(quiet, busy), expect);
        }
        // Begun and done between the two.
        assert_eq!(between(quiet, Activity { signature: 8, ..quiet }), (false, true));
        assert_eq!(between(quiet, Activity { rereads: 4, ..quiet }), (true, false));
    }
}
