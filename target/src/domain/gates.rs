//! What must hold before a domain is handed over, each with the sentence that says why.

use std::collections::BTreeMap;

use mapping::{
    plan::{DeletedParents, DuplicatePolicy, OrphanPolicy},
    position::Lsn,
};
use sqlx::{PgConnection, Row as _};

use super::State;
use crate::{
    Error, Target, defer, fence,
    partition::lsn,
    seal::{Example, ForeignKey},
    sequence,
    unique::UniqueIndex,
};

/// One condition of a cutover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// Its name, for waivers.
    pub name: String,
    /// Whether it holds, or was waived.
    pub green: bool,
    /// What was found.
    pub detail: String,
}

/// Limits of the gates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long ago the last marker may have come back through the stream.
    pub lag_ms_max: i64,
    /// How old a verdict may be.
    pub verdict_age_ms_max: i64,
}

impl Default for Terms {
    fn default() -> Self {
        Self { lag_ms_max: 60_000, verdict_age_ms_max: 3_600_000 }
    }
}

/// Which waiver covers what: `(gate, subject)` → who and why.
type Waivers = BTreeMap<(String, String), String>;

pub(super) async fn evaluate(
    target: &Target,
    connection: &mut PgConnection,
    domain: &str,
    terms: &Terms,
    constraints: (&[ForeignKey], &[UniqueIndex]),
) -> Result<Vec<Gate>, Error> {
    let waivers = waivers(connection, domain).await?;
    let (backfill, high) = backfill(target, connection, domain).await?;
    let stream = stream(connection, high, terms).await?;
    let stream = followed(target, connection, domain, stream).await?;
    let mut gates = vec![
        state(connection, domain).await?,
        backfill,
        stream,
        quarantine(target, connection, domain).await?,
        parked(target, connection, domain).await?,
        reconcile(target, connection, domain, (high, terms)).await?,
        seal(constraints, &waivers),
    ];
    if let Some((green, detail)) = sequence::cutover::gate(target, connection, domain).await? {
        gates.push(gate("sequences", green, detail));
    }
    if let Some(detail) = defer::missing(target, connection, domain).await? {
        gates.push(gate("indexes", false, detail));
    }
    for gate in gates.iter_mut().filter(|gate| !gate.green && gate.name != "state") {
        if let Some(who) = waivers.get(&(gate.name.clone(), String::new())) {
            gate.green = true;
            gate.detail = format!("waived by {who}; {}", gate.detail);
        }
    }
    Ok(gates)
}

fn gate(name: &str, green: bool, detail: impl Into<String>) -> Gate {
    Gate { name: name.to_owned(), green, detail: detail.into() }
}

async fn waivers(connection: &mut PgConnection, domain: &str) -> Result<Waivers, Error> {
    let rows =
        sqlx::query("select gate, subject, actor, reason from ficus.waiver where domain = $1")
            .bind(domain)
            .fetch_all(connection)
            .await
            .map_err(Error::postgres("reading the waivers"))?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let (actor, reason): (String, String) = (row.get("actor"), row.get("reason"));
            ((row.get("gate"), row.get("subject")), format!("{actor} ({reason})"))
        })
        .collect())
}

async fn state(connection: &mut PgConnection, domain: &str) -> Result<Gate, Error> {
    let state = super::state(connection, domain, "").await?;
    let detail = format!("the domain is {state}");
    Ok(gate("state", state == State::Verified, detail))
}

/// Every table of the domain was copied to its end by its newest run over whole tables. What a part
/// that was copied again may show counts, too.
async fn backfill(
    target: &Target,
    connection: &mut PgConnection,
    domain: &str,
) -> Result<(Gate, Option<Lsn>), Error> {
    let rows = sqlx::query(
        "select w.name, c.done, c.high
         from unnest($1::text[]) as w (name)
         left join lateral (
           with newest as (
             select max(c.run) as run from ficus.backfill_chunk c
             join ficus.backfill_run r on r.id = c.run and r.state <> 'abandoned' and r.part is null
             where c.source_table = w.name)
           select bool_and(c.state = 'done') filter (where c.run = newest.run) as done,
                  max(encode(c.high_watermark, 'hex')) as high
           from newest, ficus.backfill_chunk c
           where c.source_table = w.name and c.run >= newest.run) c on true",
    )
    .bind(target.tables_of(domain)?)
    .fetch_all(connection)
    .await
    .map_err(Error::postgres("asking how far the copy is"))?;
    let mut open = Vec::new();
    let mut high: Option<Lsn> = None;
    for row in &rows {
        if row.get::<Option<bool>, _>("done") != Some(true) {
            open.push(row.get::<String, _>("name"));
        }
        let text: Option<String> = row.get("high");
        high = high.max(text.and_then(|text| Lsn::parse(&text).ok()));
    }
    let gate = if open.is_empty() {
        gate("backfill", true, format!("{} tables are copied", rows.len()))
    } else {
        gate("backfill", false, format!("not copied to the end: {}", open.join(", ")))
    };
    Ok((gate, high))
}

/// The stream has passed everything that the copy may already show, and is not behind.
async fn stream(
    connection: &mut PgConnection,
    high: Option<Lsn>,
    terms: &Terms,
) -> Result<Gate, Error> {
    let Some(passed) = fence::last_passed(connection).await? else {
        return Ok(gate("stream", false, "no marker has come back through the stream yet"));
    };
    if high.is_some_and(|high| passed.lsn < high) {
        let detail = "the stream has not passed the end of the copy yet";
        return Ok(gate("stream", false, detail));
    }
    let detail =
        format!("everything up to {} is applied, as of {} ms ago", passed.lsn, passed.age_ms);
    Ok(gate("stream", passed.age_ms <= terms.lag_ms_max, detail))
}

/// The gate of the stream is red while a table of the domain waits.
async fn followed(
    target: &Target,
    connection: &mut PgConnection,
    domain: &str,
    stream: Gate,
) -> Result<Gate, Error> {
    let waiting: Vec<String> = sqlx::query_scalar(
        "select source_table || ' is ' || state from ficus.stream_table
         where source_table = any($1) and state <> 'following' order by 1",
    )
    .bind(target.tables_of(domain)?)
    .fetch_all(connection)
    .await
    .map_err(Error::postgres("asking which tables are followed"))?;
    Ok(if waiting.is_empty() { stream } else { gate("stream", false, waiting.join(", ")) })
}

async fn quarantine(
    target: &Target,
    connection: &mut PgConnection,
    domain: &str,
) -> Result<Gate, Error> {
    let mut numbers = Vec::new();
    for entity in target.entities_of(domain) {
        numbers.push(target.registered(entity.id)?.number);
    }
    // A row whose entity is not known may belong to any domain that its table feeds.
    let open: i64 = sqlx::query_scalar(
        "select count(*) from ficus.quarantine
         where state = 'open' and (entity = any($1) or (entity is null and source_table = any($2)))",
    )
    .bind(numbers)
    .bind(target.tables_of(domain)?)
    .fetch_one(connection)
    .await
    .map_err(Error::postgres("counting the quarantine"))?;
    Ok(gate("quarantine", open == 0, format!("{open} open entries")))
}

async fn parked(
    target: &Target,
    connection: &mut PgConnection,
    domain: &str,
) -> Result<Gate, Error> {
    let mut numbers = Vec::new();
    for entity in target.entities_of(domain) {
        numbers.push(target.registered(entity.id)?.number);
    }
    let count: i64 = sqlx::query_scalar("select count(*) from ficus.parked where entity = any($1)")
        .bind(numbers)
        .fetch_one(connection)
        .await
        .map_err(Error::postgres("counting parked changes"))?;
    Ok(gate("parked", count == 0, format!("{count} changes wait for their row")))
}

/// The newest verdict of each entity is `equal`, young, of today's mapping, and younger than the
/// copy.
async fn reconcile(
    target: &Target,
    connection: &mut PgConnection,
    domain: &str,
    (high, terms): (Option<Lsn>, &Terms),
) -> Result<Gate, Error> {
    let names: Vec<&str> = target.entities_of(domain).map(|entity| entity.name.as_str()).collect();
    let rows = sqlx::query(
        "select w.name, v.verdict, v.lsn, v.mapping_version, v.age_ms
         from unnest($1::text[]) as w (name)
         left join lateral (
           select v.verdict, v.lsn, r.mapping_version,
                  (extract(epoch from clock_timestamp() - v.at) * 1000)::int8 as age_ms
           from ficus.reconcile_verdict v join ficus.reconcile_run r on r.id = v.run
           where v.entity = w.name and r.finished_at is not null
           order by v.run desc limit 1) v on true",
    )
    .bind(&names)
    .fetch_all(connection)
    .await
    .map_err(Error::postgres("reading the verdicts"))?;
    let mut red = Vec::new();
    for row in rows {
        let name: &str = row.get("name");
        let verdict: Option<&str> = row.get("verdict");
        let version: Option<&str> = row.get("mapping_version");
        let age: Option<i64> = row.get("age_ms");
        let at = lsn(row.get("lsn"));
        let why = match verdict {
            None => Some("never compared".to_owned()),
            Some("equal") if version != Some(target.plan().version.as_str()) => {
                Some("compared with another mapping".to_owned())
            }
            Some("equal") if at.zip(high).is_some_and(|(at, high)| at < high) => {
                Some("compared before the copy ended".to_owned())
            }
            Some("equal") if age.is_none_or(|age| age > terms.verdict_age_ms_max) => {
                Some("the verdict is too old".to_owned())
            }
            Some("equal") => None,
            Some(other) => Some(other.to_owned()),
        };
        if let Some(why) = why {
            red.push(format!("{name}: {why}"));
        }
    }
    if red.is_empty() {
        return Ok(gate("reconcile", true, format!("{} entities are equal", names.len())));
    }
    Ok(gate("reconcile", false, red.join("; ")))
}

/// Whether a constraint stands in the way, will be made, or stays open.
enum Seal {
    Red(String),
    Made,
    Open(String),
}

fn seal(
    (foreign_keys, unique_indexes): (&[ForeignKey], &[UniqueIndex]),
    waivers: &Waivers,
) -> Gate {
    let waived = |subject: &str| waivers.contains_key(&("seal".to_owned(), subject.to_owned()));
    let keys = foreign_keys.iter().map(|key| {
        let subject = key.subject();
        let found = format!("{subject} has {} orphans{}", key.orphans, named(&key.examples));
        match key.policy {
            OrphanPolicy::Allow => Seal::Open(found),
            OrphanPolicy::Refuse if key.orphans > 0 && waived(&subject) => Seal::Open(found),
            OrphanPolicy::Refuse if key.orphans > 0 => Seal::Red(found),
            OrphanPolicy::Refuse | OrphanPolicy::Null => Seal::Made,
        }
    });
    // Beside the constraint itself, which live rows of a deleted parent do not break.
    let of_deleted = foreign_keys.iter().filter_map(|key| {
        let refused = key.deleted_policy == DeletedParents::Refuse && key.deleted > 0;
        let (rows, examples) = (key.deleted, named(&key.deleted_examples));
        (refused && !waived(&key.deleted_subject())).then(|| {
            Seal::Red(format!(
                "{} has {rows} live rows of deleted parents{examples}",
                key.subject()
            ))
        })
    });
    let indexes = unique_indexes.iter().map(|index| {
        let subject = index.subject();
        let duplicates = index.duplicates;
        let found = format!("{subject} has {duplicates} duplicates{}", named(&index.examples));
        match index.rule.duplicates {
            DuplicatePolicy::Allow => Seal::Open(found),
            DuplicatePolicy::Refuse if duplicates == 0 => Seal::Made,
            DuplicatePolicy::Refuse if waived(&subject) => Seal::Open(found),
            DuplicatePolicy::Refuse => Seal::Red(found),
        }
    });
    let (mut red, mut open, mut made) = (Vec::new(), Vec::new(), 0_usize);
    for seal in keys.chain(of_deleted).chain(indexes) {
        match seal {
            Seal::Red(found) => red.push(found),
            Seal::Open(found) => open.push(found),
            Seal::Made => made += 1,
        }
    }
    if !red.is_empty() {
        return gate("seal", false, red.join("; "));
    }
    let mut detail = match made {
        1 => "1 constraint can be made".to_owned(),
        _ => format!("{made} constraints can be made"),
    };
    if !open.is_empty() {
        detail.push_str(&format!("; left open: {}", open.join(", ")));
    }
    gate("seal", true, detail)
}

/// Some rows by their legacy keys, for whoever corrects them: ` (A, B)`, or nothing.
fn named(examples: &[Example]) -> String {
    let names: Vec<String> = examples
        .iter()
        .map(|(id, key)| key.as_ref().map_or_else(|| id.to_string(), ToString::to_string))
        .collect();
    if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) }
}
