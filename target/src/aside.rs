//! What could not be mapped, or was refused, on its way into the quarantine; after the rows, so
//! that what is newer shows.

use mapping::plan::{EntityPlan, TableId};

use crate::{
    Error,
    apply::CUT_OVER_RULE,
    batch::QuarantineEntry,
    keys::Resolved,
    lane::Session,
    poison::{self, Record},
    retry,
    tally::{Account, Outcome},
    work::Work,
};

/// Which part of the entity a table is.
pub(crate) fn part_of(plan: &EntityPlan, table: Option<TableId>) -> u8 {
    let found = plan.parts.iter().position(|part| Some(part.table) == table);
    found.and_then(|part| u8::try_from(part).ok()).unwrap_or(0)
}

/// Puts what could not be mapped or written into quarantine, after the rows.
pub(crate) async fn put_aside(
    session: &mut Session<'_>,
    work: &Work,
    resolved: &Resolved,
    refused: Vec<Record>,
    origin: &str,
) -> Result<(), Error> {
    for record in &refused {
        poison::store(session, record).await?;
    }
    for (entry, keyed) in work.batch.quarantine.iter().zip(&work.keyed_by_entry) {
        let account = entry_account(session, work, entry)?;
        let candidates = match entry.entity {
            Some(_) => Vec::new(),
            None => session.target.entities_fed(entry.table),
        };
        let mut owners = entry.entity.into_iter().chain(candidates.iter().map(|(e, _)| *e));
        let is_owned = entry.entity.is_some() || !candidates.is_empty();
        if is_owned && owners.all(|entity| session.gate(entity).cut_over) {
            if let Some((account, _)) = account {
                session.tally.ignore(account, CUT_OVER_RULE, 1);
            }
            continue;
        }
        let row_id = keyed.map(|keyed| resolved.other(keyed));
        let part = match entry.entity {
            Some(entity) => part_of(session.target.entity(entity)?, entry.table),
            None => 0,
        };
        let table = account.as_ref().map(|(_, table)| table.clone());
        let record = Record::rejected(entry, row_id, (table, part), candidates, origin);
        if let Some(retrying) = session.retrying {
            retry::keep(session, retrying, &record).await?;
        } else {
            poison::store(session, &record).await?;
        }
        if let Some((account, _)) = account {
            session.tally.add(account, Outcome::Quarantined, 1);
        }
    }
    Ok(())
}

fn entry_account(
    session: &mut Session<'_>,
    work: &Work,
    entry: &QuarantineEntry,
) -> Result<Option<(Account, String)>, Error> {
    let Some(table) = entry.table else { return Ok(None) };
    let name = session.target.table_name(table)?;
    Ok(Some((work.account(&mut session.tally, table, &name), name)))
}
