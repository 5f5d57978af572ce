//! Counts of one transaction: every row that was read gets exactly one outcome (law 4).

use std::collections::BTreeMap;

use mapping::plan::TableId;
use sqlx::PgConnection;

use crate::{Applied, Counts, Error, batch::ReadCounts};

/// What became of one change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Applied,
    Stale,
    Folded,
    Ignored,
    /// In quarantine, or parked.
    Quarantined,
}

/// Whose counts an outcome goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account(usize);

#[derive(Debug)]
struct Line {
    table: String,
    origin: String,
    /// `None` for changes that were parked by an earlier batch: they were counted as
    /// quarantined then, and move to their outcome now.
    main: Option<TableId>,
    read: i64,
    outcomes: [i64; 5],
    ignored: BTreeMap<String, i64>,
}

/// The counts of one transaction, by table and origin.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    lines: Vec<Line>,
    /// Rows put into the quarantine and open, by table.
    put_aside: BTreeMap<String, u64>,
}

impl Tally {
    /// The account of a table that the batch reads.
    pub(crate) fn main(&mut self, table: TableId, name: &str, origin: &str) -> Account {
        self.account(Some(table), name, origin)
    }

    /// The account of a change that comes back from `ficus.parked`.
    pub(crate) fn released(&mut self, name: &str, origin: &str) -> Account {
        self.account(None, name, origin)
    }

    fn account(&mut self, main: Option<TableId>, table: &str, origin: &str) -> Account {
        let found = self
            .lines
            .iter()
            .position(|line| line.main == main && line.table == table && line.origin == origin);
        Account(found.unwrap_or_else(|| {
            let (table, origin) = (table.to_owned(), origin.to_owned());
            let ignored = BTreeMap::new();
            self.lines.push(Line { table, origin, main, read: 0, outcomes: [0; 5], ignored });
            self.lines.len() - 1
        }))
    }

    /// Notes a row that is open in the quarantine now.
    pub(crate) fn put_aside(&mut self, table: &str) {
        *self.put_aside.entry(table.to_owned()).or_default() += 1;
    }

    /// The table and origin of an account.
    pub(crate) fn names(&self, account: Account) -> (&str, &str) {
        let line = self.lines.get(account.0);
        line.map(|line| (line.table.as_str(), line.origin.as_str())).unwrap_or_default()
    }

    pub(crate) fn add(&mut self, account: Account, outcome: Outcome, count: usize) {
        let Some(line) = self.lines.get_mut(account.0) else { return };
        let count = signed(count);
        let [applied, stale, folded, ignored, quarantined] = &mut line.outcomes;
        if line.main.is_none() {
            *quarantined -= count;
        } else {
            line.read += count;
        }
        *match outcome {
            Outcome::Applied => applied,
            Outcome::Stale => stale,
            Outcome::Folded => folded,
            Outcome::Ignored => ignored,
            Outcome::Quarantined => quarantined,
        } += count;
    }

    /// Rows left out by a rule.
    pub(crate) fn ignore(&mut self, account: Account, rule: &str, count: usize) {
        self.add(account, Outcome::Ignored, count);
        if let Some(line) = self.lines.get_mut(account.0) {
            *line.ignored.entry(rule.to_owned()).or_default() += signed(count);
        }
    }

    /// Takes in what the caller counted as left out by rules.
    pub(crate) fn ignored(&mut self, account: Account, read: &ReadCounts) {
        for (rule, count) in &read.ignored {
            self.ignore(account, rule, usize::try_from(*count).unwrap_or(usize::MAX));
        }
    }

    /// What became of the one row that is tried again; the rule, where one leaves it out. `None`
    /// when there was none.
    pub(crate) fn only_outcome(&self) -> Option<(Outcome, Option<&str>)> {
        self.lines.first().map(|line| {
            let [applied, stale, folded, ignored, _] = line.outcomes;
            // What waited for it, and goes on with it, is on the same line: it has not left it.
            if applied > 0 {
                (Outcome::Applied, None)
            } else if stale > 0 {
                (Outcome::Stale, None)
            } else if folded > 0 {
                (Outcome::Folded, None)
            } else if ignored > 0 {
                (Outcome::Ignored, line.ignored.keys().next().map(String::as_str))
            } else {
                (Outcome::Quarantined, None)
            }
        })
    }

    /// Takes in what the caller counted before mapping, and checks that nothing is missing: each
    /// outcome so far stands for one row that was read.
    pub(crate) fn close(&mut self, account: Account, read: &ReadCounts) -> Result<(), Error> {
        self.ignored(account, read);
        self.add(account, Outcome::Folded, usize::try_from(read.folded).unwrap_or(usize::MAX));
        let Some(line) = self.lines.get(account.0) else { return Ok(()) };
        let accounted = u64::try_from(line.read).unwrap_or(0);
        if accounted == read.read {
            return Ok(());
        }
        Err(Error::Miscounted { table: line.table.clone(), read: read.read, accounted })
    }

    /// What the caller gets back.
    pub(crate) fn applied(&self) -> Applied {
        let mut applied = Applied::default();
        for line in &self.lines {
            let Some(table) = line.main else { continue };
            let counts: &mut Counts = applied.tables.entry(table).or_default();
            let [a, s, f, i, q] = line.outcomes.map(|count| u64::try_from(count).unwrap_or(0));
            counts.read += u64::try_from(line.read).unwrap_or(0);
            counts.applied += a;
            counts.stale += s;
            counts.folded += f;
            counts.ignored += i;
            counts.quarantined += q;
            if let Some(rows) = self.put_aside.get(&line.table) {
                applied.put_aside.insert(table, *rows);
            }
        }
        applied
    }

    /// Writes the counts. Sorted, so that two batches never wait for each other in a circle; late
    /// in the transaction, because batches of one table meet at this row.
    pub(crate) async fn store(&self, connection: &mut PgConnection) -> Result<(), Error> {
        let mut sums: BTreeMap<(&str, &str), (i64, [i64; 5])> = BTreeMap::new();
        let mut rules: BTreeMap<(&str, &str, &str), i64> = BTreeMap::new();
        for line in &self.lines {
            let sum = sums.entry((&line.table, &line.origin)).or_default();
            sum.0 += line.read;
            for (to, from) in sum.1.iter_mut().zip(line.outcomes) {
                *to += from;
            }
            for (rule, count) in &line.ignored {
                *rules.entry((&line.table, &line.origin, rule)).or_default() += count;
            }
        }
        sums.retain(|_, (read, outcomes)| *read != 0 || outcomes.iter().any(|count| *count != 0));
        rules.retain(|_, count| *count != 0);
        if !sums.is_empty() {
            store_sums(connection, &sums).await?;
        }
        if !rules.is_empty() {
            store_rules(connection, &rules).await?;
        }
        Ok(())
    }
}

async fn store_sums(
    connection: &mut PgConnection,
    sums: &BTreeMap<(&str, &str), (i64, [i64; 5])>,
) -> Result<(), Error> {
    let tables: Vec<&str> = sums.keys().map(|(table, _)| *table).collect();
    let origins: Vec<&str> = sums.keys().map(|(_, origin)| *origin).collect();
    let read: Vec<i64> = sums.values().map(|(read, _)| *read).collect();
    let column = |index: usize| -> Vec<i64> {
        sums.values().map(|(_, outcomes)| outcomes.get(index).copied().unwrap_or(0)).collect()
    };
    sqlx::query(
        "insert into ficus.table_count as c
           (source_table, origin, read, applied, stale, folded, ignored, quarantined)
         select * from unnest($1::text[], $2::text[], $3::int8[], $4::int8[], $5::int8[],
                              $6::int8[], $7::int8[], $8::int8[])
         on conflict (source_table, origin) do update set
           read = c.read + excluded.read, applied = c.applied + excluded.applied,
           stale = c.stale + excluded.stale, folded = c.folded + excluded.folded,
           ignored = c.ignored + excluded.ignored,
           quarantined = c.quarantined + excluded.quarantined, updated_at = clock_timestamp()",
    )
    .bind(tables)
    .bind(origins)
    .bind(read)
    .bind(column(0))
    .bind(column(1))
    .bind(column(2))
    .bind(column(3))
    .bind(column(4))
    .execute(connection)
    .await
    .map_err(Error::postgres("storing the counts"))?;
    Ok(())
}

async fn store_rules(
    connection: &mut PgConnection,
    rules: &BTreeMap<(&str, &str, &str), i64>,
) -> Result<(), Error> {
    let tables: Vec<&str> = rules.keys().map(|(table, _, _)| *table).collect();
    let origins: Vec<&str> = rules.keys().map(|(_, origin, _)| *origin).collect();
    let names: Vec<&str> = rules.keys().map(|(_, _, rule)| *rule).collect();
    let counts: Vec<i64> = rules.values().copied().collect();
    sqlx::query(
        "insert into ficus.ignored_count as c (source_table, origin, rule, rows)
         select * from unnest($1::text[], $2::text[], $3::text[], $4::int8[])
         on conflict (source_table, origin, rule) do update set rows = c.rows + excluded.rows",
    )
    .bind(tables)
    .bind(origins)
    .bind(names)
    .bind(counts)
    .execute(connection)
    .await
    .map_err(Error::postgres("storing the counts of ignored rows"))?;
    Ok(())
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
