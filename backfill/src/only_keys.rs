//! Rows that an operator names by key, copied again while the stream runs.
//!
//! They are read and stamped as a chunk's rows are. The list is the operator's: nothing of it is
//! kept, so a run that was stopped is simply begun again, which changes nothing that is there.

use std::collections::{BTreeMap, BTreeSet};

use legacy::Session;
use mapping::{
    key::CanonicalKey,
    plan::{Plan, TableId, TablePlan},
    position::Position,
};
use target::{
    chunk::{ChunkClaim, ChunkPlan},
    hook,
};

use crate::{
    Error, Selection,
    batch::{End, Mapper, OpenBatch, Streak},
    copy,
    error::Disposition,
    patience::Patience,
    shared::{Known, Shared},
};

/// Keys of one read at first; twice as many after a small read, half as many after a large one, so
/// that memory is bounded whatever the rows hold.
const KEYS: usize = 64;
const KEYS_MAX: usize = 1000;
const BYTES: usize = 4 << 20;

/// Keys by table, each with the line that names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyList(BTreeMap<TableId, BTreeMap<CanonicalKey, usize>>);

impl KeyList {
    /// Reads a list: a key a line, as `ficus mapping explain --key` takes it; empty lines are passed
    /// over. The tables of an entity have the same key.
    ///
    /// # Errors
    /// [`Error::KeyLine`] for the first line that is no key.
    pub fn parse(plan: &Plan, selection: &Selection, text: &str) -> Result<Self, Error> {
        let mut tables = BTreeMap::new();
        for id in selection.tables() {
            let Some(table) = plan.tables.get(usize::from(id.0)) else { continue };
            let mut keys = BTreeMap::new();
            for (line, text) in (1..).zip(text.trim_start_matches('\u{FEFF}').lines()) {
                let text = text.strip_suffix('\r').unwrap_or(text);
                if text.is_empty() {
                    continue;
                }
                let key = table.parse_key(text).map_err(|error| Error::KeyLine {
                    line,
                    reason: error.to_string(),
                    hint: error.hint(),
                })?;
                keys.entry(key).or_insert(line);
            }
            tables.insert(*id, keys);
        }
        Ok(Self(tables))
    }

    /// Different keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.values().map(BTreeMap::len).max().unwrap_or(0)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Copies them, table by table.
pub(crate) async fn copy(shared: &Shared, session: Session, list: &KeyList) -> Result<(), Error> {
    let mut session = Some(session);
    let mut outcome = Ok(());
    for (id, keys) in &list.0 {
        let plan = [ChunkPlan { table: *id, number: 0, after: None, up_to: None }];
        shared.target.plan_chunks(shared.run, &plan).await?;
        let table = shared.table(*id)?;
        let rows = u64::try_from(keys.len()).unwrap_or(u64::MAX);
        shared.planned(table, rows, Known { chunks_total: 1, ..Known::default() });
    }
    for (id, keys) in &list.0 {
        let table = shared.table(*id)?;
        let copied = Copying { shared, table, keys_at_once: KEYS }.all(&mut session, keys).await;
        match copied {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) if error.disposition() == Disposition::GiveUpTable => {
                shared.give_up(table, &error);
            }
            Err(error) => {
                outcome = Err(error);
                break;
            }
        }
    }
    // Whatever is left of it is begun anew the next time.
    if !shared.target.finish_run(shared.run).await? {
        shared.target.abandon_run(shared.run).await?;
    }
    outcome
}

struct Copying<'a> {
    shared: &'a Shared,
    table: &'a TablePlan,
    keys_at_once: usize,
}

impl Copying<'_> {
    /// Whether it came to its end.
    async fn all(
        mut self,
        session: &mut Option<Session>,
        keys: &BTreeMap<CanonicalKey, usize>,
    ) -> Result<bool, Error> {
        let Self { shared, table, .. } = self;
        let write = Error::writing(table);
        let claim = shared.target.claim_chunk(
            shared.run,
            Some(table.id),
            &shared.owner,
            shared.settings.lease,
        );
        let Some(mut claim) = claim.await.map_err(write)? else { return Ok(false) };
        let mut patience = Patience::new(&shared.settings);
        let mut left: Vec<&CanonicalKey> = keys.keys().collect();
        let mut missing = BTreeSet::new();
        loop {
            if !shared.wait_until_ready(session).await? {
                return Ok(false);
            }
            let some = left.get(..self.keys_at_once.min(left.len())).unwrap_or_default();
            let some: Vec<CanonicalKey> = some.iter().map(|key| (*key).clone()).collect();
            let last = some.len() == left.len();
            let error = match self.some(session, &mut claim, &some, last).await {
                Ok(found) => {
                    missing.extend(some.iter().filter(|key| !found.contains(key)).cloned());
                    left.drain(..some.len());
                    patience.restore();
                    if last {
                        break;
                    }
                    continue;
                }
                Err(error) => error,
            };
            let pause = match error.disposition() {
                Disposition::Retry => patience.fail(),
                Disposition::Leave | Disposition::GiveUpTable | Disposition::Stop => None,
            };
            let Some(pause) = pause else { return Err(error) };
            shared.retrying(table, patience.failed(), pause, &error);
            self.keys_at_once = (self.keys_at_once / 2).max(1);
            tokio::time::sleep(pause).await;
        }
        let lines = missing.iter().filter_map(|key| keys.get(key).copied()).collect();
        shared.keys_missing(table, lines);
        shared.chunk_done(table);
        Ok(true)
    }

    /// Reads, maps and applies some; the keys of the rows that are there.
    async fn some(
        &mut self,
        session: &mut Option<Session>,
        claim: &mut ChunkClaim,
        keys: &[CanonicalKey],
        last: bool,
    ) -> Result<BTreeSet<CanonicalKey>, Error> {
        let Self { shared, table, .. } = *self;
        let (read, write) = (Error::reading(table), Error::writing(table));
        let mut reader = match session.take().filter(Session::is_usable) {
            Some(reader) => reader,
            None => copy::connect(shared).await.map_err(read)?,
        };
        // Before anything is read: every change up to here is visible to the read.
        let capture = reader.capture_state().await.map_err(read)?;
        shared.note_capture(&capture);
        let types = reader.object_types().await.map_err(read)?;
        shared.target.begin_chunk(claim, capture.max_lsn).await.map_err(write)?;
        let rows = reader.read_keys(table, keys).await.map_err(read)?;
        let high_watermark = reader.capture_state().await.map_err(read)?.max_lsn;
        *session = Some(reader);
        hook::point("backfill.read");
        let found = rows.iter().filter_map(|row| table.canonical_key(row)).collect();
        let position = capture.max_lsn.map_or(Position::ZERO, Position::read_after);
        let mapper = Mapper::new(table, &types, (position, copy::now_us()));
        let mut open = OpenBatch::default();
        open.add(&mapper, rows, &mut Streak::default());
        let (count, bytes) = (open.rows(), open.bytes());
        let end = if last { End::Chunk { high_watermark } } else { End::Step };
        let batch = open.close(&mapper.form, claim, end);
        let applied = shared.target.apply(batch).await.map_err(write)?;
        claim.rows += count;
        shared.committed(table, count, &applied);
        shared.pace.wait(count).await;
        self.keys_at_once = match bytes {
            _ if bytes > BYTES => (self.keys_at_once / 2).max(1),
            _ if bytes < BYTES / 4 => (self.keys_at_once * 2).min(KEYS_MAX),
            _ => self.keys_at_once,
        };
        Ok(found)
    }
}
