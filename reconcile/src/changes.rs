//! What has changed on the legacy side since a digest was made, by CDC's own word.
//!
//! A digest whose reading began at S shows every row as it was at S or later. So a row that has no
//! change after S in the change table is still what the digest says, *as far as CDC logs every
//! change*: that much is taken on trust, and the report says so. Rows that have one are read again
//! by key, whatever their sums say, so that a change which never reached the target is seen.

use legacy::Capture;
use mapping::{key::CanonicalKey, plan::TableId, position::Lsn};

use crate::{
    Error,
    legacy_scan::Scan,
    link::Link,
    sample,
    subject::{Subjects, table},
};

/// What a run has read of changes.
#[derive(Debug, Default)]
pub(crate) struct Since {
    /// The oldest run that a digest is of, and its S.
    pub(crate) from: Option<(i64, Lsn)>,
    /// Tables by their digests.
    pub(crate) tables: u64,
    /// Keys that have changed.
    pub(crate) keys: u64,
    /// Tables that were read whole all the same, and why.
    pub(crate) not_used: Vec<(TableId, String)>,
}

impl Since {
    pub(crate) fn add(&mut self, run: i64, low: Lsn, keys: u64) {
        self.tables += 1;
        self.keys += keys;
        self.from = Some(match self.from {
            Some(before) if before.1 <= low => before,
            _ => (run, low),
        });
    }
}

/// What CDC still has.
pub(crate) async fn capture(link: &mut Link) -> Result<Capture, Error> {
    let capture = link.reader().await?.capture().await;
    capture.map_err(Error::legacy("asking what CDC still has"))
}

/// Makes suspects of the rows that have changed; how many. The inner error is why the changes are
/// not known, so that the table has to be read whole.
pub(crate) async fn read(
    scan: &Scan,
    link: &mut Link,
    (id, window): (TableId, Option<(Lsn, Lsn)>),
    capture: &Capture,
) -> Result<Result<u64, String>, Error> {
    let Some(plan) = table(&scan.plan, id) else { return Ok(Ok(0)) };
    let Some((from, to)) = window else { return Ok(Err("CDC is off".to_owned())) };
    if to < from {
        return Ok(Err(format!(
            "the legacy server is at {to}, before its digest: was it restored?"
        )));
    }
    let of_table = capture.instances.iter().filter(|one| one.table == plan.table);
    let mut whole = of_table.filter(|one| one.min_lsn.is_some_and(|min| min <= from));
    let Some(instance) = whole.next() else {
        return Ok(Err(format!("CDC does not have all of its changes since {from} any more")));
    };
    let limit = scan.settings.changes_max;
    let doing = format!("reading the changes of {}", plan.table);
    let keys = link.reader().await?.changed_keys(plan, &instance.name, (from, to), limit).await;
    let Some(keys) = keys.map_err(Error::legacy(doing))? else {
        return Ok(Err(format!("more than {limit} of its rows have changed since {from}")));
    };
    let found = u64::try_from(keys.len()).unwrap_or(u64::MAX);
    let mut canonical = Vec::with_capacity(keys.len());
    for key in keys {
        match sample::canonical(plan, key) {
            Some(key) => canonical.push(key),
            None => return Ok(Err("a changed row has no usable key".to_owned())),
        }
    }
    distrust(scan, id, &canonical).await?;
    Ok(Ok(found))
}

/// A row with an id is a suspect by its bucket; one without is read again by its key.
async fn distrust(scan: &Scan, id: TableId, keys: &[CanonicalKey]) -> Result<(), Error> {
    let subjects: &Subjects = &scan.subjects;
    let mut is_known = vec![false; keys.len()];
    for index in subjects.all_of_table(id) {
        let entity = subjects.get(*index).entity;
        let entries: Vec<_> = keys.iter().map(|key| (entity, key.clone())).collect();
        let ids = scan.ids.look_up(&entries).await?;
        let mut tally = scan.tally(*index);
        for (id, is_known) in ids.iter().zip(&mut is_known) {
            if let Some(id) = id {
                tally.digest.distrust(id.as_bytes());
                *is_known = true;
            }
        }
    }
    let without = keys.iter().zip(is_known).filter(|(_, is_known)| !is_known);
    for (key, _) in without {
        for index in subjects.all_of_table(id) {
            let limit = scan.settings.candidates_max;
            scan.tally(*index).counted.remember(key.clone(), limit);
        }
    }
    Ok(())
}
