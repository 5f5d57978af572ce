//! Tables are cut into chunks: every so many rows, at keys that are really there.
//!
//! Cutting reads the key's index once. The chunks are stored before the first is read, so all
//! processes and all later runs work on the same ones. The first begins before every key and
//! the last ends after every key, so rows that come meanwhile are in exactly one.

use std::{collections::BTreeMap, sync::Arc};

use legacy::{LegacyRow, Session};
use mapping::plan::{TableId, TablePlan, TableRole};
use target::{chunk::ChunkPlan, hook};

use crate::{
    Error, Settings, copy,
    error::Disposition,
    key,
    patience::Patience,
    shared::{Known, Shared},
};

/// Chunks for each reader: so that none is idle while the last ones work.
const CHUNKS_PER_READER: u64 = 4;
/// Fewer rows are a chunk of their own only where they are asked for.
const CHUNK_ROWS_MIN: u64 = 10_000;

/// Sees to it that every table has its chunks. A table that can't be cut is given up.
pub(crate) async fn plan_tables(
    shared: &Arc<Shared>,
    session: Session,
    order: &[TableId],
) -> Result<(), Error> {
    let mut session = Some(session);
    let progress = shared.target.progress(shared.run).await?;
    let known: BTreeMap<TableId, Known> = progress
        .iter()
        .map(|table| {
            let known = Known {
                chunks_done: table.chunks_done,
                chunks_total: table.chunks,
                rows: table.rows,
            };
            (table.table, known)
        })
        .collect();
    for id in order {
        let table = shared.table(*id)?;
        // Cutting reads an index from end to end, so it waits where reading waits.
        if !shared.wait_until_ready(&mut session).await? {
            return Ok(());
        }
        let planned = with_patience(shared, &mut session, table, known.get(id).copied()).await;
        if let Err(error) = planned {
            match error.disposition() {
                Disposition::GiveUpTable => {
                    shared.give_up(table, &error);
                }
                Disposition::Retry | Disposition::Leave | Disposition::Stop => return Err(error),
            }
        }
    }
    Ok(())
}

async fn with_patience(
    shared: &Shared,
    session: &mut Option<Session>,
    table: &TablePlan,
    known: Option<Known>,
) -> Result<(), Error> {
    let mut patience = Patience::new(&shared.settings);
    loop {
        let mut reader = match session.take().filter(Session::is_usable) {
            Some(reader) => Ok(reader),
            None => copy::connect(shared).await.map_err(Error::reading(table)),
        };
        let planned = match &mut reader {
            Ok(reader) => plan_table(shared, reader, table, known).await,
            Err(_) => Ok(()),
        };
        let error = match (reader, planned) {
            (Ok(reader), planned) => {
                *session = Some(reader);
                match planned {
                    Ok(()) => return Ok(()),
                    Err(error) => error,
                }
            }
            (Err(error), _) => error,
        };
        let pause = match error.disposition() {
            Disposition::Retry => patience.fail(),
            Disposition::Leave | Disposition::GiveUpTable | Disposition::Stop => None,
        };
        let Some(pause) = pause else { return Err(error) };
        shared.retrying(table, patience.failed(), pause, &error);
        tokio::select! {
            () = shared.stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn plan_table(
    shared: &Shared,
    session: &mut Session,
    table: &TablePlan,
    known: Option<Known>,
) -> Result<(), Error> {
    let write = Error::writing(table);
    let rows = session.row_count(&table.table).await.map_err(Error::reading(table))?;
    // Nobody knows how many rows a condition holds for.
    let rows_estimate = if shared.condition.is_some() { 0 } else { rows };
    if let Some(known) = known
        && !shared.settings.restart
    {
        shared.planned(table, rows_estimate, known);
        return Ok(());
    }
    let chunk_rows = chunk_rows(&shared.settings, rows);
    let cuts = match table.role {
        TableRole::Entities(_) if rows > chunk_rows => {
            let split = session.split_where(table, shared.condition.as_ref(), chunk_rows);
            split.await.map_err(Error::reading(table))?
        }
        // A small table is one chunk. So is the dictionary of type names, which is read whole.
        TableRole::Entities(_) | TableRole::ObjectTypes | TableRole::Ignored { .. } => Vec::new(),
    };
    let chunks = chunks(table.id, &cuts);
    if known.is_some() {
        // The key may have another type by now, or the table ten times the rows.
        shared.target.replan_chunks(shared.run, table.id, &chunks).await.map_err(write)?;
    } else {
        // Opens a run that was finished before this table was selected; it has no chunk to reset.
        shared.target.reset_chunks(shared.run, Some(table.id)).await.map_err(write)?;
        shared.target.plan_chunks(shared.run, &chunks).await.map_err(write)?;
    }
    hook::point("backfill.planned");
    let chunks_total = u64::try_from(chunks.len()).unwrap_or(u64::MAX);
    shared.planned(table, rows_estimate, Known { chunks_total, ..Known::default() });
    Ok(())
}

/// Rows of a chunk of a table of so many: fewer than asked for where the readers would not all have
/// something to do.
fn chunk_rows(settings: &Settings, rows: u64) -> u64 {
    let share = rows / (u64::from(settings.readers.max(1)) * CHUNKS_PER_READER);
    settings.chunk_rows.min(share.max(CHUNK_ROWS_MIN))
}

/// Chunks that meet at the cuts. A cut that can't be sent back to the server is left out.
fn chunks(table: TableId, cuts: &[LegacyRow]) -> Vec<ChunkPlan> {
    let mut bounds: Vec<Option<Vec<u8>>> = vec![None];
    for cut in cuts {
        let bound = key::encode(cut);
        if bound.is_some() && bounds.last() != Some(&bound) {
            bounds.push(bound);
        }
    }
    bounds.push(None);
    let pairs = bounds.iter().zip(bounds.iter().skip(1));
    (0..)
        .zip(pairs)
        .map(|(number, (after, up_to))| ChunkPlan {
            table,
            number,
            after: after.clone(),
            up_to: up_to.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use mapping::value::LegacyValue;
    use proptest::prelude::*;

    use super::*;

    fn is_inside(chunk: &ChunkPlan, value: i64) -> bool {
        let number = |bytes: &Vec<u8>| match key::decode(bytes).unwrap()[0] {
            LegacyValue::Int(number) => number,
            ref other => panic!("{other:?}"),
        };
        chunk.after.as_ref().is_none_or(|after| value > number(after))
            && chunk.up_to.as_ref().is_none_or(|up_to| value <= number(up_to))
    }

    proptest! {
        #[test]
        fn every_key_is_in_exactly_one_chunk(
            mut cuts in prop::collection::vec(-50_i64..50, 0..9),
            values in prop::collection::vec(-60_i64..60, 1..50),
        ) {
            cuts.sort_unstable();
            let cuts: Vec<LegacyRow> =
                cuts.into_iter().map(|cut| vec![LegacyValue::Int(cut)]).collect();
            let chunks = chunks(TableId(0), &cuts);
            for value in values {
                prop_assert_eq!(chunks.iter().filter(|chunk| is_inside(chunk, value)).count(), 1);
            }
        }
    }

    #[test]
    fn every_reader_has_something_to_do() {
        let of = |readers, chunk_rows, rows| {
            let settings = Settings { readers, chunk_rows, ..Settings::default() };
            super::chunk_rows(&settings, rows)
        };
        assert_eq!(of(4, 100_000, 300_000), 18_750, "sixteen chunks");
        assert_eq!(of(4, 100_000, 50_000), 10_000, "five, because they would be too small");
        assert_eq!(of(4, 100_000, 10_000_000), 100_000, "as asked for");
        assert_eq!(of(4, 500, 50_000), 500, "as asked for, however small");
    }

    #[test]
    fn a_cut_that_is_not_unicode_is_left_out() {
        let broken = vec![LegacyValue::BrokenText("\u{FFFD}".into())];
        let chunks = chunks(TableId(3), &[vec![LegacyValue::Int(1)], broken]);
        assert_eq!(chunks.len(), 2);
        assert_eq!(chunks[1].after, chunks[0].up_to);
        assert_eq!(chunks[1].up_to, None);
    }
}
