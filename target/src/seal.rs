//! Foreign keys are sealed at cutover (law 7): until then parents may come late.
//!
//! They are made and validated inside the cutover's own transaction. Before it, a late parent
//! would be refused; after it, somebody could write an orphan in between. The one-way-in batches
//! of the domain wait on the domain's row meanwhile, and nobody else writes its tables yet, so the
//! locks of `ALTER TABLE` hold up nobody.

use mapping::{
    key::CanonicalKey,
    plan::{DeletedParents, EntityPlan, OrphanPolicy, Reference},
};
use serde_json::json;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use uuid::Uuid;

use crate::{Error, Target, statement::Ident};

/// Orphans that are named in lists.
const EXAMPLES: i64 = 5;

/// A row by its id, and by its legacy key where it is known.
pub type Example = (Uuid, Option<CanonicalKey>);

/// A foreign key that a cutover seals, and what stands in its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// The referring table, with its schema.
    pub table: (String, String),
    /// The referring column.
    pub column: String,
    /// The table that it refers to, with its schema.
    pub parent: (String, String),
    /// The constraint's name.
    pub name: String,
    /// What is done about orphans.
    pub policy: OrphanPolicy,
    /// Rows that refer to a row that is not there.
    pub orphans: u64,
    /// Some of them: their id, and their legacy key where it is known.
    pub examples: Vec<Example>,
    /// What is done about live rows that refer to a soft-deleted one.
    pub deleted_policy: DeletedParents,
    /// Such rows; not counted where the policy allows them.
    pub deleted: u64,
    /// Some of them.
    pub deleted_examples: Vec<Example>,
    /// `deleted_at` of the referring table and of the other one, where they have it.
    marks: (Option<String>, Option<String>),
    /// Whether the constraint is there already.
    pub sealed: bool,
}

impl ForeignKey {
    /// `table.column`, as waivers name it.
    #[must_use]
    pub fn subject(&self) -> String {
        format!("{}.{}", self.table.1, self.column)
    }

    /// `table.column:deleted`, as waivers of soft-deleted parents name it.
    #[must_use]
    pub fn deleted_subject(&self) -> String {
        format!("{}:deleted", self.subject())
    }

    fn new(child: &EntityPlan, reference: &Reference, parent: &EntityPlan) -> Self {
        Self {
            table: (child.target_schema.clone(), child.target_table.clone()),
            column: reference.column.clone(),
            parent: (parent.target_schema.clone(), parent.target_table.clone()),
            name: mapping::name::foreign_key(&child.target_table, &reference.column),
            policy: reference.orphans,
            orphans: 0,
            examples: Vec::new(),
            deleted_policy: reference.deleted,
            deleted: 0,
            deleted_examples: Vec::new(),
            marks: (mark(child), mark(parent)),
            sealed: false,
        }
    }

    fn child(&self) -> Ident {
        Ident::qualified(&self.table.0, &self.table.1)
    }

    /// Rows of the child `c` whose parent is missing.
    fn orphaned(&self) -> String {
        let column = Ident::new(&self.column);
        let parent = Ident::qualified(&self.parent.0, &self.parent.1);
        format!(
            "c.{column} is not null and not exists (select from {parent} as p where p.id = c.{column})"
        )
    }
}

impl ForeignKey {
    /// Live rows of the child `c` whose parent is soft-deleted; `None` when no parent can be.
    fn of_deleted(&self) -> Option<String> {
        let column = Ident::new(&self.column);
        let parent = Ident::qualified(&self.parent.0, &self.parent.1);
        let parent_mark = Ident::new(self.marks.1.as_deref()?);
        let own_mark = self.marks.0.as_deref().map(Ident::new);
        let live = own_mark.map(|mark| format!(" and c.{mark} is null")).unwrap_or_default();
        Some(format!(
            "c.{column} is not null{live} and exists (select from {parent} as p \
             where p.id = c.{column} and p.{parent_mark} is not null)"
        ))
    }
}

/// The column that says that a row is soft-deleted.
fn mark(entity: &EntityPlan) -> Option<String> {
    let column = entity.columns.get(entity.deleted_at?)?;
    Some(column.name.clone())
}

/// The keys of which both ends are in this domain or in one that is cut over, and at least one in
/// this domain.
fn wanted(target: &Target, domain: &str, cut_over: &[String]) -> Vec<ForeignKey> {
    let plan = target.plan();
    let mut wanted = Vec::new();
    for child in &plan.entities {
        for reference in &child.references {
            let Some(parent) = plan.entities.get(usize::from(reference.entity.0)) else { continue };
            let ends = [&child.domain, &parent.domain];
            let ours = |end: &&String| *end == domain;
            if ends.iter().any(ours) && ends.iter().all(|end| ours(end) || cut_over.contains(end)) {
                wanted.push(ForeignKey::new(child, reference, parent));
            }
        }
    }
    wanted
}

/// What a cutover of the domain would seal, with orphans counted and named.
pub(crate) async fn foreign_keys(
    target: &Target,
    connection: &mut PgConnection,
    domain: &str,
) -> Result<Vec<ForeignKey>, Error> {
    let cut_over: Vec<String> =
        sqlx::query_scalar("select name from ficus.domain where state in ('cut_over', 'retired')")
            .fetch_all(&mut *connection)
            .await
            .map_err(Error::postgres("asking which domains are cut over"))?;
    let mut keys = wanted(target, domain, &cut_over);
    for key in &mut keys {
        key.sealed = is_sealed(connection, key).await?;
        if key.sealed {
            continue;
        }
        (key.orphans, key.examples) = find(connection, key, &key.orphaned(), "orphans").await?;
        let of_deleted = key.of_deleted().filter(|_| key.deleted_policy != DeletedParents::Allow);
        if let Some(condition) = of_deleted {
            (key.deleted, key.deleted_examples) =
                find(connection, key, &condition, "deleted parents").await?;
        }
    }
    Ok(keys)
}

async fn is_sealed(connection: &mut PgConnection, key: &ForeignKey) -> Result<bool, Error> {
    sqlx::query_scalar(
        "select exists (
           select from pg_constraint k join pg_class t on t.oid = k.conrelid
           join pg_namespace n on n.oid = t.relnamespace
           where n.nspname = $1 and t.relname = $2 and k.conname = $3 and k.contype = 'f'
             and k.convalidated)",
    )
    .bind(&key.table.0)
    .bind(&key.table.1)
    .bind(&key.name)
    .fetch_one(connection)
    .await
    .map_err(Error::postgres(format!("looking for the constraint {}", key.name)))
}

/// Counts the child's rows that meet a condition, and names some.
async fn find(
    connection: &mut PgConnection,
    key: &ForeignKey,
    condition: &str,
    what: &str,
) -> Result<(u64, Vec<Example>), Error> {
    let doing = format!("counting the {what} of {}", key.subject());
    let child = key.child();
    let count: i64 = sqlx::query_scalar(AssertSqlSafe(format!(
        "select count(*) from {child} as c where {condition}"
    )))
    .fetch_one(&mut *connection)
    .await
    .map_err(Error::postgres(doing.clone()))?;
    let count = u64::try_from(count).unwrap_or(0);
    if count == 0 {
        return Ok((0, Vec::new()));
    }
    let rows = sqlx::query(AssertSqlSafe(format!(
        "select c.id, (select k.key from ficus.key_map k where k.id = c.id) as key
         from {child} as c where {condition} order by c.id limit {EXAMPLES}"
    )))
    .fetch_all(connection)
    .await
    .map_err(Error::postgres(doing))?;
    let example = |row: sqlx::postgres::PgRow| {
        let bytes: Option<Vec<u8>> = row.get("key");
        (row.get("id"), bytes.map(|bytes| CanonicalKey::from_bytes(&bytes)))
    };
    Ok((count, rows.into_iter().map(example).collect()))
}

/// Makes the constraints, as the owner. The gates were green, so a key that still has orphans was
/// waived, or its policy says what to do with them.
pub(crate) async fn seal(
    connection: &mut PgConnection,
    domain: &str,
    keys: &[ForeignKey],
    actor: &str,
) -> Result<(), Error> {
    for key in keys.iter().filter(|key| !key.sealed) {
        // The parent is there, so what is waived here stands in no constraint's way.
        if key.deleted_policy == DeletedParents::Null
            && key.deleted > 0
            && let Some(condition) = key.of_deleted()
        {
            let because = (condition.as_str(), "soft-deleted parents");
            set_null(connection, domain, key, because, actor).await?;
        }
        match key.policy {
            OrphanPolicy::Allow => continue,
            OrphanPolicy::Refuse if key.orphans > 0 => continue,
            OrphanPolicy::Null if key.orphans > 0 => {
                let because = (key.orphaned(), "orphans");
                set_null(connection, domain, key, (&because.0, because.1), actor).await?;
            }
            OrphanPolicy::Refuse | OrphanPolicy::Null => {}
        }
        let parent = Ident::qualified(&key.parent.0, &key.parent.1);
        let sql = format!(
            "alter table {} add constraint {} foreign key ({}) references {parent} (id)",
            key.child(),
            Ident::new(&key.name),
            Ident::new(&key.column)
        );
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut *connection)
            .await
            .map_err(Error::postgres(format!("making the constraint {}", key.name)))?;
    }
    Ok(())
}

/// Clears the column in the rows that meet a condition. What it held is written down, so that it
/// can be put back.
async fn set_null(
    connection: &mut PgConnection,
    domain: &str,
    key: &ForeignKey,
    (condition, what): (&str, &str),
    actor: &str,
) -> Result<(), Error> {
    let column = Ident::new(&key.column);
    let sql = format!(
        "with wrong as (select c.id, c.{column} as was from {child} as c where {condition}),
         cleared as (
           update {child} as t set {column} = null from wrong o where t.id = o.id
           returning o.id, o.was)
         insert into ficus.audit (actor, action, subject, detail)
         select $1, 'seal.set_null', $2, $3 || jsonb_build_object('rows', jsonb_object_agg(id, was))
         from cleared having count(*) > 0",
        child = key.child(),
    );
    sqlx::query(AssertSqlSafe(sql))
        .bind(actor)
        .bind(domain)
        .bind(json!({ "column": key.subject(), "because": what }))
        .execute(connection)
        .await
        .map_err(Error::postgres(format!("clearing the {what} of {}", key.subject())))?;
    Ok(())
}

/// Takes the constraints away again: rows may come in any order once more.
pub(crate) async fn unseal(
    target: &Target,
    connection: &mut PgConnection,
    domain: &str,
) -> Result<(), Error> {
    let everywhere: Vec<String> = target.plan().domains().into_iter().map(str::to_owned).collect();
    for key in wanted(target, domain, &everywhere) {
        let sql = format!(
            "alter table {} drop constraint if exists {}",
            key.child(),
            Ident::new(&key.name)
        );
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut *connection)
            .await
            .map_err(Error::postgres(format!("dropping the constraint {}", key.name)))?;
    }
    Ok(())
}

/// Rows that the API made have no position, so the one way in never touches them. From now on
/// they are the oldest rows of all.
pub(crate) async fn reclaim(
    target: &Target,
    connection: &mut PgConnection,
    domain: &str,
) -> Result<(), Error> {
    for entity in target.entities_of(domain) {
        let table = Ident::qualified(&entity.target_schema, &entity.target_table);
        sqlx::query(AssertSqlSafe(format!(
            "update {table} set source_position = $1 where source_position is null"
        )))
        .bind(mapping::position::Position::ZERO.as_bytes().as_slice())
        .execute(&mut *connection)
        .await
        .map_err(Error::postgres(format!("taking the rows of {} back", entity.name)))?;
    }
    Ok(())
}
