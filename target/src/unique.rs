//! What must be unique is sealed at cutover like foreign keys (law 7): until then one value may
//! pass from a row to another within one legacy transaction.
//!
//! The index compares as the mapping says, which is as SQL Server did: NULLs equal (`nulls not
//! distinct`), deleted rows aside (a partial index), case perhaps ignored (trap 4).

use mapping::{
    key::CanonicalKey,
    plan::{DuplicatePolicy, EntityPlan, PgType, UniqueRule},
};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use uuid::Uuid;

use crate::{Error, Target, statement::Ident};

/// Duplicates that are named in lists.
const EXAMPLES: i64 = 6;

/// The small and capital letters of every script. A database of the locale C, which is the fastest
/// and never changes with the operating system, folds the English ones only.
const FOLDING: &str = "\"und-x-icu\"";

/// A unique index that a cutover seals, and what stands in its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UniqueIndex {
    /// The table, with its schema.
    pub table: (String, String),
    /// The index's name.
    pub name: String,
    /// What the mapping says.
    pub rule: UniqueRule,
    /// Rows that share with another row what must be unique.
    pub duplicates: u64,
    /// Some of them, side by side: their id, and their legacy key where it is known.
    pub examples: Vec<(Uuid, Option<CanonicalKey>)>,
    /// Whether the index is there already.
    pub sealed: bool,
    /// What is compared, as SQL.
    expressions: String,
}

impl UniqueIndex {
    /// `table(column,column)`, as waivers name it.
    #[must_use]
    pub fn subject(&self) -> String {
        format!("{}({})", self.table.1, self.rule.columns.join(","))
    }

    fn new(entity: &EntityPlan, rule: &UniqueRule) -> Self {
        let expression = |name: &String| {
            let column = Ident::new(name);
            let mut columns = entity.columns.iter();
            let text = columns.any(|c| c.name == *name && c.pg_type == PgType::Text);
            if rule.ignore_case && text {
                format!("lower({column} collate {FOLDING})")
            } else {
                column.to_string()
            }
        };
        let expressions: Vec<String> = rule.columns.iter().map(expression).collect();
        let stem = format!("{}_{}", entity.target_table, rule.columns.join("_"));
        Self {
            table: (entity.target_schema.clone(), entity.target_table.clone()),
            name: mapping::name::suffixed(&stem, "_key"),
            rule: rule.clone(),
            duplicates: 0,
            examples: Vec::new(),
            sealed: false,
            expressions: expressions.join(", "),
        }
    }

    fn on(&self) -> Ident {
        Ident::qualified(&self.table.0, &self.table.1)
    }

    /// Rows that share what must be unique; a window compares NULLs as equal.
    fn twins(&self) -> String {
        let mut counted: Vec<String> = Vec::new();
        if self.rule.live {
            counted.push("deleted_at is null".to_owned());
        }
        if !self.rule.nulls_equal {
            let present = |name: &String| format!("{} is not null", Ident::new(name));
            counted.extend(self.rule.columns.iter().map(present));
        }
        let filter = if counted.is_empty() {
            String::new()
        } else {
            format!("where {}", counted.join(" and "))
        };
        format!(
            "select id, row_number() over (order by {by}, id) as place, \
             count(*) over (partition by {by}) as alike from {on} {filter}",
            by = self.expressions,
            on = self.on(),
        )
    }

    fn create(&self) -> String {
        let nulls = if self.rule.nulls_equal { "nulls not distinct" } else { "" };
        let live = if self.rule.live { "where deleted_at is null" } else { "" };
        let (name, on) = (Ident::new(&self.name), self.on());
        format!("create unique index {name} on {on} ({}) {nulls} {live}", self.expressions)
    }
}

/// What a cutover of the domain would seal, with duplicates counted and named.
pub(crate) async fn indexes(
    target: &Target,
    connection: &mut PgConnection,
    domain: &str,
) -> Result<Vec<UniqueIndex>, Error> {
    let mut indexes = wanted(target, domain);
    for index in &mut indexes {
        index.sealed = is_sealed(connection, index).await?;
        if !index.sealed {
            find_duplicates(connection, index).await?;
        }
    }
    Ok(indexes)
}

fn wanted(target: &Target, domain: &str) -> Vec<UniqueIndex> {
    let entities = target.entities_of(domain);
    let indexes = entities
        .flat_map(|entity| entity.unique.iter().map(move |rule| UniqueIndex::new(entity, rule)));
    indexes.collect()
}

async fn is_sealed(connection: &mut PgConnection, index: &UniqueIndex) -> Result<bool, Error> {
    sqlx::query_scalar(
        "select exists (
           select from pg_index i join pg_class c on c.oid = i.indexrelid
           join pg_class t on t.oid = i.indrelid join pg_namespace n on n.oid = t.relnamespace
           where n.nspname = $1 and t.relname = $2 and c.relname = $3
             and i.indisunique and i.indisvalid)",
    )
    .bind(&index.table.0)
    .bind(&index.table.1)
    .bind(&index.name)
    .fetch_one(connection)
    .await
    .map_err(Error::postgres(format!("looking for the index {}", index.name)))
}

async fn find_duplicates(
    connection: &mut PgConnection,
    index: &mut UniqueIndex,
) -> Result<(), Error> {
    let doing = format!("counting the duplicates of {}", index.subject());
    let twins = index.twins();
    let count: i64 = sqlx::query_scalar(AssertSqlSafe(format!(
        "select count(*) from ({twins}) as t where alike > 1"
    )))
    .fetch_one(&mut *connection)
    .await
    .map_err(Error::postgres(doing.clone()))?;
    index.duplicates = u64::try_from(count).unwrap_or(0);
    if index.duplicates == 0 {
        return Ok(());
    }
    let rows = sqlx::query(AssertSqlSafe(format!(
        "select t.id, (select k.key from ficus.key_map k where k.id = t.id) as key
         from ({twins}) as t where alike > 1 order by place limit {EXAMPLES}"
    )))
    .fetch_all(connection)
    .await
    .map_err(Error::postgres(doing))?;
    index.examples = rows
        .into_iter()
        .map(|row| {
            let bytes: Option<Vec<u8>> = row.get("key");
            (row.get("id"), bytes.map(|bytes| CanonicalKey::from_bytes(&bytes)))
        })
        .collect();
    Ok(())
}

/// Makes the indexes, as the owner. The gates were green, so one with duplicates was waived, or
/// its policy allows them.
pub(crate) async fn seal(
    connection: &mut PgConnection,
    indexes: &[UniqueIndex],
) -> Result<(), Error> {
    for index in indexes {
        let open = index.duplicates > 0 || index.rule.duplicates == DuplicatePolicy::Allow;
        if index.sealed || open {
            continue;
        }
        sqlx::raw_sql(AssertSqlSafe(index.create()))
            .execute(&mut *connection)
            .await
            .map_err(Error::postgres(format!("making the index {}", index.name)))?;
    }
    Ok(())
}

/// Takes the indexes away again: values may pass from row to row once more.
pub(crate) async fn unseal(
    target: &Target,
    connection: &mut PgConnection,
    domain: &str,
) -> Result<(), Error> {
    for index in wanted(target, domain) {
        let name = Ident::qualified(&index.table.0, &index.name);
        sqlx::raw_sql(AssertSqlSafe(format!("drop index if exists {name}")))
            .execute(&mut *connection)
            .await
            .map_err(Error::postgres(format!("dropping the index {}", index.name)))?;
    }
    Ok(())
}
