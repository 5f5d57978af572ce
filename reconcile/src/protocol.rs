//! The order of a pass, which is what makes it a proof. Pure: the shell does what [`Cycle::step`]
//! says and answers; the simulation does the same against a model.
//!
//! 1. S, the captured LSN.
//! 2. The legacy rows: they show every change up to S, perhaps later ones.
//! 3. Marker M: nothing that was read is later than it.
//! 4. The stream passes M.
//! 5. The target rows.
//!
//! Chunks of the backfill are counted before 3 and after 5: if the numbers are the same and none
//! is unfinished, every chunk had been read before M was written.

use mapping::position::Lsn;

use crate::decide::Proof;

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ask the legacy server for its captured LSN, then [`Cycle::low`].
    AskLow,
    /// Read the legacy rows, then count the chunks, then [`Cycle::legacy_read`].
    ReadLegacy,
    /// Write a marker, then [`Cycle::marker`].
    PutMarker,
    /// Wait until the stream has passed the LSN, then [`Cycle::stream`].
    AwaitStream(Lsn),
    /// Read the target rows, then count the chunks, then [`Cycle::target_read`].
    ReadTarget,
    /// Decide every row with the proof.
    Decide(Proof),
}

/// How busy the backfill of the tables is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Chunks {
    /// Chunks that are planned or being read.
    pub(crate) unfinished: u64,
    /// Chunks that are done.
    pub(crate) finished: u64,
}

/// One pass over some rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cycle {
    step: Step,
    has_fence: bool,
    low: Lsn,
    passed: bool,
    chunks: Chunks,
}

impl Cycle {
    /// With markers, or (when `has_fence` is false) with nothing but reading twice.
    pub(crate) fn new(has_fence: bool) -> Self {
        let (low, chunks) = (Lsn::ZERO, Chunks::default());
        Self { step: Step::AskLow, has_fence, low, passed: false, chunks }
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
    pub(crate) fn legacy_read(&mut self, chunks: Chunks) {
        debug_assert_eq!(self.step, Step::ReadLegacy);
        self.chunks = chunks;
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
    pub(crate) fn target_read(&mut self, chunks: Chunks) {
        debug_assert_eq!(self.step, Step::ReadTarget);
        let settled = chunks.unfinished == 0 && chunks == self.chunks;
        self.step = Step::Decide(if self.has_fence {
            Proof::Fence { low: self.low, passed: self.passed, settled }
        } else {
            Proof::Twice
        });
    }
}

#[cfg(test)]
mod simulation;
