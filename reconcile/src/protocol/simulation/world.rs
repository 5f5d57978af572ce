//! The model: what SQL Server, its capture job, Debezium, the backfill and apply do, in small.

use std::collections::{BTreeMap, BTreeSet};

use mapping::position::{Lsn, Position};
use target::compare::Activity;

/// What is wrong with a cold row before the run begins.
#[derive(Debug, Clone, Copy)]
pub(super) enum Defect {
    Missing,
    Extra,
    Changed,
    /// A change that the stream never brought.
    Lost,
    /// A change that CDC logged and the stream lost.
    Dropped,
    Unreported,
}

struct Change {
    key: Option<u32>,
    content: Option<u64>,
    is_lost: bool,
}

struct Chunk {
    low: Lsn,
    read: Vec<(u32, Option<u64>)>,
    keys: Vec<u32>,
}

/// A row that is read again, and not as a part of a chunk.
#[derive(Clone, Copy)]
struct Reread {
    key: u32,
    low: Lsn,
    /// What was read, once it was.
    content: Option<Option<u64>>,
}

/// The target as one snapshot shows it.
#[derive(Debug, Clone, Default)]
pub(super) struct Snapshot {
    pub(super) rows: BTreeMap<u32, (u64, Position)>,
    pub(super) tombstones: BTreeMap<u32, Position>,
    pub(super) quarantine: BTreeMap<u32, Position>,
}

impl Snapshot {
    /// The row, or that it is gone, with the position of what made it so.
    pub(super) fn shows(&self, key: u32) -> Option<(Option<u64>, Position)> {
        let row = self.rows.get(&key).map(|(content, position)| (Some(*content), *position));
        row.or_else(|| Some((None, *self.tombstones.get(&key)?)))
    }
}

/// The whole system.
pub(super) struct World {
    random: u64,
    hot: u32,
    /// How many changes made the first state; later ones may be delivered again.
    first: usize,
    cold: Vec<u32>,
    speed: u32,
    is_stalled: bool,
    legacy: BTreeMap<u32, u64>,
    log: Vec<Change>,
    captured: usize,
    applied: usize,
    target: Snapshot,
    chunk: Option<Chunk>,
    chunks_finished: u64,
    reread: Option<Reread>,
}

/// Contents that the mapping rejects.
pub(super) fn is_bad(content: u64) -> bool {
    content.is_multiple_of(7)
}

fn lsn(index: usize) -> Lsn {
    let mut bytes = [0; 10];
    bytes[2..].copy_from_slice(&(index as u64 + 1).to_be_bytes());
    Lsn::from_bytes(bytes)
}

impl World {
    pub(super) fn new(seed: u64, hot: u32, cold: u32, speed: u32) -> Self {
        let mut world = Self {
            random: seed | 1,
            hot,
            first: 0,
            cold: (hot..hot + cold).collect(),
            speed,
            is_stalled: false,
            legacy: BTreeMap::new(),
            log: Vec::new(),
            captured: 0,
            applied: 0,
            target: Snapshot::default(),
            chunk: None,
            chunks_finished: 0,
            reread: None,
        };
        for key in 0..hot + cold {
            let content = world.below(1_000_000) * 7 + 1;
            world.commit(key, Some(content));
        }
        world.captured = world.log.len();
        world.first = world.log.len();
        while world.applied < world.captured {
            world.apply_next();
        }
        world
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % limit
    }

    fn commit(&mut self, key: u32, content: Option<u64>) {
        match content {
            Some(content) => drop(self.legacy.insert(key, content)),
            None => drop(self.legacy.remove(&key)),
        }
        self.log.push(Change { key: Some(key), content, is_lost: false });
    }

    /// Makes a cold row wrong; `None` when no cold row is left.
    pub(super) fn plant(&mut self, defect: Defect) -> Option<u32> {
        let key = self.cold.pop()?;
        match defect {
            Defect::Missing => drop(self.target.rows.remove(&key)),
            Defect::Extra => drop(self.legacy.remove(&key)),
            Defect::Changed => self.target.rows.get_mut(&key)?.0 += 1,
            Defect::Lost => *self.legacy.get_mut(&key)? += 7,
            Defect::Dropped => {
                let content = self.legacy.get(&key).copied()? + 7;
                self.commit(key, Some(content));
                self.log.last_mut()?.is_lost = true;
            }
            Defect::Unreported => *self.legacy.get_mut(&key)? = 7,
        }
        Some(key)
    }

    pub(super) fn stall(&mut self) {
        self.is_stalled = true;
    }

    /// The writers stop and the backfill ends; the stream catches up in its own time.
    pub(super) fn calm_down(&mut self) {
        self.hot = 0;
        while self.reread.is_some() {
            self.reread();
        }
        while self.chunk.is_some() {
            self.backfill();
        }
    }

    pub(super) fn all_keys(&self) -> Vec<u32> {
        let highest = [self.legacy.keys().last(), self.target.rows.keys().last()];
        (0..=highest.into_iter().flatten().max().copied().unwrap_or(0)).collect()
    }

    pub(super) fn max_lsn(&self) -> Option<Lsn> {
        self.captured.checked_sub(1).map(lsn)
    }

    /// The capture job sees everything that was committed.
    pub(super) fn capture_all(&mut self) {
        self.captured = self.log.len();
    }

    /// The keys of captured changes after an LSN, as a change table has them.
    pub(super) fn changed_since(&self, from: Lsn) -> BTreeSet<u32> {
        let captured = self.log.iter().take(self.captured).enumerate();
        captured
            .filter(|(index, _)| lsn(*index) > from)
            .filter_map(|(_, change)| change.key)
            .collect()
    }

    pub(super) fn read_legacy(&self, key: u32) -> Option<u64> {
        self.legacy.get(&key).copied()
    }

    pub(super) fn beside(&self) -> Activity {
        let unfinished = u64::from(self.chunk.is_some());
        Activity { unfinished, signature: self.chunks_finished, ..Activity::default() }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        self.target.clone()
    }

    pub(super) fn put_marker(&mut self) -> Lsn {
        self.log.push(Change { key: None, content: None, is_lost: false });
        let marker = self.log.len() - 1;
        self.noise();
        // `put_marker` comes back when the capture job has seen it.
        self.captured = self.captured.max(marker + 1);
        lsn(marker)
    }

    pub(super) fn await_stream(&mut self, marker: Lsn) -> bool {
        if self.is_stalled {
            self.noise();
            return false;
        }
        while self.applied.checked_sub(1).map(lsn) < Some(marker) {
            self.noise();
            self.apply_next();
        }
        true
    }

    pub(super) fn noise(&mut self) {
        for _ in 0..self.below(u64::from(self.speed) + 1) {
            self.act();
        }
    }

    pub(super) fn some_noise(&mut self) {
        if self.below(4) == 0 {
            self.act();
        }
    }

    fn act(&mut self) {
        match self.below(10) {
            0..=2 if self.hot > 0 => self.write(),
            3 => self.captured = (self.captured + 2).min(self.log.len()),
            4 | 5 if !self.is_stalled => self.apply_next(),
            6 => self.backfill(),
            7 | 8 => self.reread(),
            _ => self.redeliver(),
        }
    }

    fn write(&mut self) {
        let key = u32::try_from(self.below(u64::from(self.hot))).unwrap();
        let content = match self.below(6) {
            0 => None,
            1 => Some(self.below(1000) * 7),
            // Few values, so that rows go back to what they were.
            _ => Some(self.below(3) * 7 + 2),
        };
        self.commit(key, content);
    }

    fn apply_next(&mut self) {
        if self.applied < self.captured {
            self.deliver(self.applied);
            self.applied += 1;
        }
    }

    fn redeliver(&mut self) {
        // Not the first state: that would mend the rows that a defect has removed.
        let count = self.applied.saturating_sub(self.first);
        if count > 0 {
            let index = self.first + usize::try_from(self.below(count as u64)).unwrap();
            self.deliver(index);
        }
    }

    fn deliver(&mut self, index: usize) {
        let Change { key: Some(key), content, is_lost: false } = self.log[index] else { return };
        self.apply(key, content, Position::streamed(lsn(index), 1));
    }

    /// `target::apply`: the newest position wins; a rejected row goes to quarantine.
    fn apply(&mut self, key: u32, content: Option<u64>, position: Position) {
        let target = &mut self.target;
        let known = [
            target.rows.get(&key).map(|(_, position)| *position),
            target.tombstones.get(&key).copied(),
            target.quarantine.get(&key).copied(),
        ];
        if known.into_iter().flatten().any(|known| !position.replaces(&known)) {
            return;
        }
        match content {
            Some(content) if is_bad(content) => drop(target.quarantine.insert(key, position)),
            Some(content) => {
                target.quarantine.remove(&key);
                target.rows.insert(key, (content, position));
            }
            None => {
                target.quarantine.remove(&key);
                target.rows.remove(&key);
                target.tombstones.insert(key, position);
            }
        }
    }

    /// One action of a repair, a retry or a reselect: ask what is captured, read a row, write it.
    fn reread(&mut self) {
        let low = self.max_lsn().unwrap_or_default();
        match self.reread.take() {
            None if self.hot > 0 => {
                let key = u32::try_from(self.below(u64::from(self.hot))).unwrap();
                self.reread = Some(Reread { key, low, content: None });
            }
            None => {}
            Some(Reread { content: None, key, low }) => {
                let content = Some(self.legacy.get(&key).copied());
                self.reread = Some(Reread { key, low, content });
            }
            Some(Reread { content: Some(content), key, low }) => {
                self.apply(key, content, Position::read_after(low));
            }
        }
    }

    /// One action of the backfill: plan a chunk, read a row of it, or write it.
    fn backfill(&mut self) {
        let (low, hot) = (self.max_lsn().unwrap_or_default(), self.hot);
        let Some(chunk) = &mut self.chunk else {
            if hot > 0 {
                self.chunk = Some(Chunk { low, read: Vec::new(), keys: (0..hot).collect() });
            }
            return;
        };
        if let Some(key) = chunk.keys.pop() {
            let content = self.legacy.get(&key).copied();
            chunk.read.push((key, content));
            return;
        }
        let Some(chunk) = self.chunk.take() else { return };
        for (key, content) in chunk.read {
            if content.is_some() {
                self.apply(key, content, Position::read_after(chunk.low));
            }
        }
        self.chunks_finished += 1;
    }
}
