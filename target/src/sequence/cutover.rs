//! The gate before a cutover, and the setting in its transaction.

use futures_util::TryStreamExt as _;
use mapping::{
    key::CanonicalKey,
    plan::EntityPlan,
    sequence::{Reading, SequencePlan, SequenceSource},
};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::{UNREAD_MAX, Unread};
use crate::{Error, Target, statement::Ident};

/// Rows that are named in a sentence.
const EXAMPLES: i64 = 5;

/// A sequence that was set by a cutover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetSequence {
    /// `schema.name`.
    pub name: String,
    /// The number that it gives next.
    pub next: i64,
}

/// What is known of a sequence before it is set.
#[derive(Debug)]
struct Findings {
    /// The highest number seen in the legacy database, and the row that has it.
    seen: Option<(i64, String)>,
    /// The highest number in the tables and the archive.
    kept: Option<i64>,
    unread: Vec<Unread>,
    /// Legacy tables of which no copy is newer than the definition.
    uncopied: Vec<String>,
    /// Postgres's own sequence.
    own: Option<OwnSequence>,
    /// Defined otherwise by a process of another mapping.
    is_foreign: bool,
}

#[derive(Debug, Clone, Copy)]
struct OwnSequence {
    increment: i64,
    max: i64,
}

/// Whether the sequences of a domain can be set ahead; `None` for a domain without any. Green and
/// the sentence.
pub(crate) async fn gate(
    target: &Target,
    connection: &mut PgConnection,
    domain: &str,
) -> Result<Option<(bool, String)>, Error> {
    let mut red = Vec::new();
    let mut green = Vec::new();
    for (index, sequence) in of_domain(target, domain) {
        let findings = look(target, connection, (index, sequence)).await?;
        match findings.verdict(target, sequence) {
            Ok(sentence) => green.push(sentence),
            Err(problems) => red.extend(problems),
        }
    }
    Ok(match (red.is_empty(), green.is_empty()) {
        (true, true) => None,
        (true, false) => Some((true, green.join("; "))),
        (false, _) => Some((false, red.join("; "))),
    })
}

/// Sets the sequences of a domain above everything that was given. `setval` is not undone by a
/// rollback; a sequence that is ahead for nothing does no harm.
pub(crate) async fn set(
    target: &Target,
    connection: &mut PgConnection,
    domain: &str,
) -> Result<Vec<SetSequence>, Error> {
    let mut set = Vec::new();
    for (index, sequence) in of_domain(target, domain) {
        let findings = look(target, connection, (index, sequence)).await?;
        // A gate that was waived: what can be set is set.
        let (Some(own), Some(next)) = (findings.own, findings.next(sequence)) else { continue };
        let name = Ident::qualified(&sequence.schema, &sequence.name);
        let sql = format!(
            "select setval('{}'::regclass, greatest($1, (select case when s.is_called \
               then s.last_value + $2 else s.last_value end from {name} as s)), false)",
            name.to_string().replace('\'', "''")
        );
        let next: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(next)
            .bind(own.increment.max(1))
            .fetch_one(&mut *connection)
            .await
            .map_err(Error::postgres(format!("setting the sequence {}", sequence.qualified())))?;
        set.push(SetSequence { name: sequence.qualified(), next });
    }
    Ok(set)
}

fn of_domain<'t>(
    target: &'t Target,
    domain: &str,
) -> impl Iterator<Item = (usize, &'t SequencePlan)> {
    let all = target.plan().sequences.iter().enumerate();
    all.filter(move |(_, sequence)| sequence.domain == domain)
}

impl Findings {
    fn highest(&self) -> Option<i64> {
        self.seen.as_ref().map(|(number, _)| *number).max(self.kept)
    }

    fn next(&self, sequence: &SequencePlan) -> Option<i64> {
        sequence.next_after(self.highest())
    }

    /// One sentence of what will be done, or one for each thing that is in the way.
    fn verdict(&self, target: &Target, sequence: &SequencePlan) -> Result<String, Vec<String>> {
        let name = sequence.qualified();
        let mut problems = Vec::new();
        match (self.own, self.next(sequence)) {
            (None, _) => problems.push(format!("there is no sequence {name} in Postgres")),
            (Some(own), _) if own.increment < 1 => problems.push(format!("{name} counts down")),
            (Some(own), next) if next.is_none_or(|next| next > own.max) => {
                let highest = self.highest().unwrap_or_default();
                problems.push(format!("{name} has no number left above {highest}"));
            }
            (Some(_), _) => {}
        }
        if self.is_foreign {
            problems.push(format!("{name} is read otherwise by a process of another mapping"));
        }
        if !self.uncopied.is_empty() {
            problems.push(format!(
                "{} not copied since the mapping says how {name} is read",
                self.uncopied.join(", ")
            ));
        }
        for unread in &self.unread {
            problems.push(unread_sentence(target, sequence, unread));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let next = self.next(sequence).unwrap_or_default();
        let seen = match &self.seen {
            Some((number, row)) => format!("the highest number seen is {number}, of {row}"),
            None => "no number was seen".to_owned(),
        };
        let kept = match self.kept {
            Some(number) => format!("the tables and the archive go up to {number}"),
            None => "the tables and the archive hold none".to_owned(),
        };
        Ok(format!("{name} will begin at {next} at least: {seen}; {kept}"))
    }
}

fn unread_sentence(target: &Target, sequence: &SequencePlan, unread: &Unread) -> String {
    let names = sequence.sources.iter().filter(|source| source.entity == unread.entity);
    let names: Vec<&str> = names.map(|source| source.name.as_str()).collect();
    let entity = target.entity(unread.entity).map(|plan| plan.name.as_str()).unwrap_or_default();
    let at_least =
        if unread.rows >= u64::try_from(UNREAD_MAX).unwrap_or(u64::MAX) { "at least " } else { "" };
    format!(
        "{at_least}{} values of {} have no number by the pattern, such as those of {entity} {}",
        unread.rows,
        names.join(", "),
        unread.keys.join(", ")
    )
}

async fn look(
    target: &Target,
    connection: &mut PgConnection,
    (index, sequence): (usize, &SequencePlan),
) -> Result<Findings, Error> {
    let id = target.sequence_id(index)?;
    let name = sequence.qualified();
    let row = sqlx::query(
        "select s.highest, s.highest_key, e.name as entity, exists (
           select from ficus.sequence o where o.name = s.name and o.defined_at > s.defined_at)
           as is_foreign
         from ficus.sequence s left join ficus.entity e on e.id = s.highest_entity
         where s.id = $1",
    )
    .bind(id)
    .fetch_one(&mut *connection)
    .await
    .map_err(Error::postgres(format!("asking for the highest number of {name}")))?;
    let key: Option<Vec<u8>> = row.get("highest_key");
    let key = key.map(|key| CanonicalKey::from_bytes(&key).to_string()).unwrap_or_default();
    let entity: Option<String> = row.get("entity");
    let entity = entity.unwrap_or_default();
    let seen =
        row.get::<Option<i64>, _>("highest").map(|number| (number, format!("{entity} {key}")));
    let mut kept = None;
    for source in &sequence.sources {
        let plan = target.entity(source.entity)?;
        kept = kept.max(highest_kept(target, connection, sequence, (source, plan)).await?);
    }
    Ok(Findings {
        seen,
        kept,
        unread: unread(target, connection, (id, sequence)).await?,
        uncopied: uncopied(target, connection, (id, sequence)).await?,
        own: own(connection, sequence).await?,
        is_foreign: row.get("is_foreign"),
    })
}

/// The highest number in a column, soft-deleted and archived rows included. Values of other
/// forms are counted where they were read, and are passed over here.
async fn highest_kept(
    target: &Target,
    connection: &mut PgConnection,
    sequence: &SequencePlan,
    (source, plan): (&SequenceSource, &EntityPlan),
) -> Result<Option<i64>, Error> {
    let Some(column) = plan.columns.get(source.column) else { return Ok(None) };
    let table = Ident::qualified(&plan.target_schema, &plan.target_table);
    let quoted = Ident::new(&column.name);
    let sql = format!(
        "select {quoted}::text from {table} where {quoted} is not null union all \
         select row ->> $1 from ficus.archive where entity = $2 and row ->> $1 is not null"
    );
    let doing = || Error::postgres(format!("looking for the highest number of {}", source.name));
    let mut highest = None;
    let mut rows = sqlx::query_scalar::<_, String>(AssertSqlSafe(sql))
        .bind(&column.name)
        .bind(target.registered(source.entity)?.number)
        .fetch(connection);
    while let Some(text) = rows.try_next().await.map_err(doing())? {
        if let Reading::Number(number) = sequence.read(&text) {
            highest = highest.max(Some(number));
        }
    }
    Ok(highest)
}

async fn unread(
    target: &Target,
    connection: &mut PgConnection,
    (id, sequence): (i32, &SequencePlan),
) -> Result<Vec<Unread>, Error> {
    let mut all = Vec::new();
    for source in &sequence.sources {
        let rows = sqlx::query(
            "select count(*) over () as rows, key from ficus.sequence_unread
             where sequence = $1 and entity = $2 order by key limit $3",
        )
        .bind(id)
        .bind(target.registered(source.entity)?.number)
        .bind(EXAMPLES)
        .fetch_all(&mut *connection)
        .await
        .map_err(Error::postgres("counting unreadable document numbers"))?;
        let count = rows.first().map_or(0, |row| row.get::<i64, _>("rows"));
        if count > 0 && all.iter().all(|known: &Unread| known.entity != source.entity) {
            let key = |row: &sqlx::postgres::PgRow| {
                CanonicalKey::from_bytes(&row.get::<Vec<u8>, _>("key")).to_string()
            };
            all.push(Unread {
                entity: source.entity,
                rows: u64::try_from(count).unwrap_or_default(),
                keys: rows.iter().map(key).collect(),
            });
        }
    }
    Ok(all)
}

/// Rows that are not there any more gave numbers as well: only a copy that is newer than the
/// definition has seen them all.
async fn uncopied(
    target: &Target,
    connection: &mut PgConnection,
    (id, sequence): (i32, &SequencePlan),
) -> Result<Vec<String>, Error> {
    let mut tables = Vec::new();
    for source in &sequence.sources {
        let plan = target.entity(source.entity)?;
        for part in plan.parts.iter().filter(|part| part.columns.contains(&source.column)) {
            tables.push(target.table_name(part.table)?);
        }
    }
    tables.sort();
    tables.dedup();
    sqlx::query_scalar(
        "select w.name from unnest($2::text[]) as w (name)
         where not exists (
           select from ficus.backfill_run r join ficus.sequence s on s.id = $1
           where r.started_at >= s.defined_at and r.state <> 'abandoned' and r.part is null and exists (
             select from ficus.backfill_chunk c where c.run = r.id and c.source_table = w.name))
         order by w.name",
    )
    .bind(id)
    .bind(tables)
    .fetch_all(connection)
    .await
    .map_err(Error::postgres("asking for the copies of numbered tables"))
}

async fn own(
    connection: &mut PgConnection,
    sequence: &SequencePlan,
) -> Result<Option<OwnSequence>, Error> {
    let row = sqlx::query(
        "select q.seqincrement, q.seqmax from pg_sequence q join pg_class c on c.oid = q.seqrelid
         join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relname = $2",
    )
    .bind(&sequence.schema)
    .bind(&sequence.name)
    .fetch_optional(connection)
    .await
    .map_err(Error::postgres(format!("looking for the sequence {}", sequence.qualified())))?;
    Ok(row.map(|row| OwnSequence { increment: row.get("seqincrement"), max: row.get("seqmax") }))
}
