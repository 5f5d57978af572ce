//! A target with a small mapping, and short words to write batches with.

use std::{collections::BTreeMap, sync::Arc};

use mapping::{
    catalog::{Catalog, Column, LegacyTable, SqlType, Table},
    file::MappingFile,
    plan::{Context, Outcome, Plan, SourceChange, SourceOp},
    position::{Lsn, Position},
    value::{Decimal, LegacyValue},
};
use sandbox::postgres::{SUPERUSER, copied_database, shared};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{
    AssertSqlSafe, PgPool, Row as _,
    postgres::{PgPoolOptions, PgRow},
};
use target::{Batch, ProductMigration, QuarantineEntry, Role, Settings, Target, batch::ReadCounts};

pub(crate) const MAPPING: &str = r#"
domain = "contracts"

[[entity]]
name = "contracts"
from = "dbo.Contract"
soft_delete = "deleted_at"
version = "OptimisticLockField"

[entity.columns]
number    = { from = "No", as = "text", trim = "end" }
tenant_id = { from = "Tenant", as = "ref", to = "tenants", orphans = "refuse" }
total     = { from = "Total", as = "money", currency = "MNT", digits = 2 }
terms     = { from = "Terms", as = "text", lob = "inline" }
photo     = { from = "Photo", as = "bytea", lob = "inline" }

[[entity]]
name = "tenants"
parts = ["dbo.Party", "dbo.Tenant"]
type = "App.Tenant"
soft_delete = "deleted_at"
version = "OptimisticLockField"

[entity.columns]
name   = { from = "Party.Name", as = "text" }
note   = { from = "Party.Note", as = "text", lob = "inline" }
credit = { from = "Tenant.Credit", as = "int4" }

[[entity]]
name = "owners"
parts = ["dbo.Party", "dbo.Owner"]
type = "App.Owner"
soft_delete = "deleted_at"
version = "OptimisticLockField"

[entity.columns]
name = { from = "Party.Name", as = "text" }
note = { from = "Party.Note", as = "text", lob = "inline" }
bank = { from = "Owner.Bank", as = "text" }

[[entity.unique]]
columns = ["bank"]
case = "ignore"

[[entity.unique]]
columns = ["name", "note"]
among = "all"
nulls = "distinct"
duplicates = "allow"

[[entity]]
name = "links"
from = "dbo.Link"

[entity.columns]
owner_id  = { from = "Owners", as = "ref", to = "owners", orphans = "refuse" }
tenant_id = { from = "Tenants", as = "ref", to = "tenants", orphans = "refuse" }
"#;

const IGNORED: &str = r#"
object_types = "dbo.XPObjectType"
"#;

const SQL: &str = "
create table contracts (
  id uuid primary key, number text, tenant_id uuid, total bigint constraint total_check check (total < 1000000),
  terms text, photo bytea, deleted_at timestamptz, version integer not null, source_position bytea);
create table tenants (
  id uuid primary key, name text, note text, credit integer, deleted_at timestamptz,
  version integer not null, source_position bytea);
create table owners (
  id uuid primary key, name text, note text, bank text, deleted_at timestamptz,
  version integer not null, source_position bytea);
create table links (id uuid primary key, owner_id uuid, tenant_id uuid, source_position bytea);
create table offers (id uuid primary key, number text, source_position bytea);
";

pub(crate) struct Lab {
    pub(crate) target: Arc<Target>,
    pub(crate) owner: PgPool,
    pub(crate) admin: PgPool,
    pub(crate) url: SecretString,
}

fn column(name: &str, sql_type: SqlType) -> Column {
    let collation = "Cyrillic_General_CI_AS".to_owned();
    let text = matches!(sql_type, SqlType::NVarChar { .. });
    Column {
        name: name.to_owned(),
        sql_type,
        nullable: true,
        collation: text.then_some(collation),
        computed: false,
        identity: false,
    }
}

fn table(name: &str, columns: Vec<Column>, key: &str) -> Table {
    let columns = columns
        .into_iter()
        .map(|column| Column { nullable: column.name != key, ..column })
        .collect();
    Table::new(LegacyTable::new("dbo", name), columns, vec![key.to_owned()])
}

pub(crate) fn catalog() -> Catalog {
    let text = |length| SqlType::NVarChar { length };
    Catalog {
        database: "Lab".to_owned(),
        collation: "Cyrillic_General_CI_AS".to_owned(),
        tables: vec![
            table(
                "Contract",
                vec![
                    column("No", text(Some(20))),
                    column("Tenant", SqlType::Int),
                    column("Total", SqlType::Money),
                    column("Terms", text(None)),
                    column("Photo", SqlType::VarBinary { length: None }),
                    column("OptimisticLockField", SqlType::Int),
                    column("GCRecord", SqlType::Int),
                ],
                "No",
            ),
            table(
                "Link",
                vec![
                    column("OID", SqlType::UniqueIdentifier),
                    column("Owners", SqlType::Int),
                    column("Tenants", SqlType::Int),
                ],
                "OID",
            ),
            table(
                "Owner",
                vec![column("OID", SqlType::Int), column("Bank", text(Some(34)))],
                "OID",
            ),
            table(
                "Party",
                vec![
                    column("OID", SqlType::Int),
                    column("Name", text(Some(100))),
                    column("Note", text(None)),
                    column("OptimisticLockField", SqlType::Int),
                    column("GCRecord", SqlType::Int),
                    column("ObjectType", SqlType::Int),
                ],
                "OID",
            ),
            table(
                "Tenant",
                vec![column("OID", SqlType::Int), column("Credit", SqlType::Int)],
                "OID",
            ),
            table(
                "XPObjectType",
                vec![column("OID", SqlType::Int), column("TypeName", text(Some(254)))],
                "OID",
            ),
        ],
    }
}

pub(crate) fn plan() -> Plan {
    plan_of(MAPPING)
}

/// The plan of a changed mapping.
pub(crate) fn plan_of(mapping: &str) -> Plan {
    let file = |name: &str, text: &str| MappingFile { name: name.into(), text: text.into() };
    let files = [file("lab.toml", mapping), file("ignored.toml", IGNORED)];
    Plan::compile(&files, &catalog()).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

/// A database as `ficus migrate` leaves it.
async fn template() -> &'static str {
    static READY: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
    READY
        .get_or_init(|| async {
            let server = shared().await.expect("Postgres");
            server.create_database("lab_template").await.expect("a database");
            let url = SecretString::from(server.url(SUPERUSER, "lab_template"));
            let product =
                ProductMigration { version: 1001, name: "lab".to_owned(), sql: SQL.to_owned() };
            target::migrate(&url, &[product]).await.expect("migrations");
        })
        .await;
    "lab_template"
}

impl Lab {
    pub(crate) async fn new() -> Self {
        Self::of(plan()).await
    }

    pub(crate) async fn of(plan: Plan) -> Self {
        Self::of_and(plan, "").await
    }

    /// With more in the database than the template has.
    pub(crate) async fn of_and(plan: Plan, sql: &'static str) -> Self {
        let database = copied_database(template().await, "lab").await.expect("a database");
        let url = SecretString::from(database.url(SUPERUSER));
        let pool = |role| {
            let settings = Settings { url: url.clone(), role, set_role: true, max_connections: 4 };
            async move { target::connect(&settings).await.expect("a pool") }
        };
        let admin = PgPool::connect(&database.url(SUPERUSER)).await.expect("a pool");
        sqlx::raw_sql(sql).execute(&admin).await.expect(sql);
        let engine = pool(Role::Engine).await;
        let target = Arc::new(Target::open(engine, Arc::new(plan)).await.expect("a target"));
        let owner = pool(Role::Owner).await;
        Self { target, owner, admin, url }
    }

    /// The same database.
    pub(crate) fn share(&self) -> Self {
        Self {
            target: Arc::clone(&self.target),
            owner: self.owner.clone(),
            admin: self.admin.clone(),
            url: self.url.clone(),
        }
    }

    /// A second process.
    pub(crate) async fn another(&self) -> Target {
        let settings = Settings {
            url: self.url.clone(),
            role: Role::Engine,
            set_role: true,
            max_connections: 4,
        };
        let pool = target::connect(&settings).await.expect("a pool");
        Target::open(pool, Arc::clone(self.target.plan())).await.expect("a target")
    }

    /// A second process, whose sessions begin with this instead of what the engine says.
    pub(crate) async fn another_with(&self, session: &'static str) -> Target {
        let options =
            PgPoolOptions::new().max_connections(4).after_connect(move |connection, _| {
                Box::pin(
                    async move { sqlx::raw_sql(session).execute(connection).await.map(|_| ()) },
                )
            });
        let pool = options.connect(self.url.expose_secret()).await.expect("a pool");
        Target::open(pool, Arc::clone(self.target.plan())).await.expect("a target")
    }

    pub(crate) fn batch(&self) -> Builder {
        Builder::new(Arc::clone(self.target.plan()))
    }

    pub(crate) async fn rows(&self, sql: &str) -> Vec<PgRow> {
        sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(&self.admin).await.expect(sql)
    }

    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        self.rows(sql).await.iter().map(|row| row.get(0)).collect()
    }

    pub(crate) async fn text(&self, sql: &str) -> String {
        self.texts(sql).await.join("\n")
    }

    /// `number|total|terms|deleted|version` of each contract, by number.
    pub(crate) async fn contracts(&self) -> Vec<String> {
        self.texts(
            "select concat_ws('|', number, coalesce(total::text, '-'), coalesce(terms, '-'),
               case when deleted_at is null then 'live' else 'deleted' end, version)
             from contracts order by number",
        )
        .await
    }

    /// Checks that nothing that was read is unaccounted for.
    pub(crate) async fn counts(&self, table: &str, origin: &str) -> BTreeMap<String, u64> {
        let all = self.target.counts().await.expect("counts");
        for line in &all {
            let c = &line.counts;
            assert_eq!(
                c.read,
                c.applied + c.stale + c.folded + c.ignored + c.quarantined,
                "{line:?}"
            );
        }
        let found = all.into_iter().find(|c| c.table == table && c.origin == origin);
        let Some(found) = found else { return BTreeMap::new() };
        let c = found.counts;
        [
            ("read", c.read),
            ("applied", c.applied),
            ("stale", c.stale),
            ("folded", c.folded),
            ("ignored", c.ignored),
            ("quarantined", c.quarantined),
        ]
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| (name.to_owned(), count))
        .collect()
    }
}

/// Counts in short: `read 2, applied 1, stale 1`.
pub(crate) fn short(counts: &BTreeMap<String, u64>) -> String {
    let order = ["read", "applied", "stale", "folded", "ignored", "quarantined"];
    let parts: Vec<String> = order
        .iter()
        .filter_map(|name| counts.get(*name).map(|count| format!("{name} {count}")))
        .collect();
    parts.join(", ")
}

pub(crate) fn lsn(number: u64) -> Lsn {
    let mut bytes = [0; 10];
    bytes[2..].copy_from_slice(&number.to_be_bytes());
    Lsn::from_bytes(bytes)
}

/// A streamed change.
pub(crate) fn at(number: u64) -> Position {
    Position::streamed(lsn(number), 1)
}

/// A row read from the table.
pub(crate) fn read(number: u64) -> Position {
    Position::read_after(lsn(number))
}

pub(crate) fn text(value: &str) -> LegacyValue<'static> {
    LegacyValue::Text(value.to_owned().into())
}

pub(crate) fn money(value: i64) -> LegacyValue<'static> {
    LegacyValue::Decimal(Decimal { unscaled: i128::from(value) * 10_000, scale: 4 })
}

pub(crate) type Values = Vec<(&'static str, LegacyValue<'static>)>;

/// A contract whose LOBs are known.
pub(crate) fn contract(number: &str, total: i64, terms: &str) -> Values {
    vec![
        ("No", text(number)),
        ("Tenant", LegacyValue::Int(7)),
        ("Total", money(total)),
        ("Terms", text(terms)),
        ("OptimisticLockField", LegacyValue::Int(1)),
    ]
}

/// An update event without its LOBs.
pub(crate) fn partial(number: &str, total: i64) -> Values {
    with(
        contract(number, total, ""),
        &[("Terms", LegacyValue::Unchanged), ("Photo", LegacyValue::Unchanged)],
    )
}

pub(crate) fn with(mut values: Values, changes: &[(&'static str, LegacyValue<'static>)]) -> Values {
    for (name, value) in changes {
        values.retain(|(found, _)| found != name);
        values.push((name, value.clone()));
    }
    values
}

pub(crate) fn deleted(values: Values) -> Values {
    with(
        values,
        &[
            ("GCRecord", LegacyValue::Int(99)),
            ("Tenant", LegacyValue::Null),
            ("OptimisticLockField", LegacyValue::Int(2)),
        ],
    )
}

/// Writes a batch as the consumer and the backfill do: everything through the mapping.
pub(crate) struct Builder {
    plan: Arc<Plan>,
    pub(crate) batch: Batch,
    sequence: u32,
}

impl Builder {
    fn new(plan: Arc<Plan>) -> Self {
        Self { plan, batch: Batch::default(), sequence: 0 }
    }

    pub(crate) fn upsert(self, table: &str, values: Values, position: Position) -> Self {
        self.change(table, SourceOp::Upsert, values, position)
    }

    pub(crate) fn delete(self, table: &str, values: Values, position: Position) -> Self {
        self.change(table, SourceOp::Delete, values, position)
    }

    fn change(mut self, table: &str, op: SourceOp, values: Values, position: Position) -> Self {
        let plan = Arc::clone(&self.plan);
        let table = plan.table("dbo", table).expect("a table of the plan");
        let values: Vec<LegacyValue<'_>> = table
            .columns
            .iter()
            .map(|column| {
                let found = values.iter().find(|(name, _)| *name == column.name);
                found.map_or(LegacyValue::Null, |(_, value)| value.clone())
            })
            .collect();
        let object_types =
            BTreeMap::from([(1, "App.Tenant".to_owned()), (2, "App.Owner".to_owned())]);
        let context = Context { object_types: &object_types, seen_at_us: 1_000_000 };
        let change = SourceChange { op, values: &values, position, sequence: self.sequence };
        self.sequence += 1;
        self.batch.tables.push(table.id);
        let counts: &mut ReadCounts = self.batch.read.entry(table.id).or_default();
        counts.read += 1;
        match table.map(&change, &context, &mut self.batch.rows) {
            Outcome::Mapped(_) => {}
            Outcome::Ignored(rule) => *counts.ignored.entry(rule.to_string()).or_default() += 1,
            Outcome::Rejected(rejection) => self.batch.quarantine.push(QuarantineEntry {
                table: Some(table.id),
                entity: rejection.entity,
                key: rejection.key,
                position,
                rule: rejection.rule.to_owned(),
                column: rejection.column,
                detail: rejection.detail,
                payload: b"the message".to_vec(),
                payload_key: None,
                payload_headers: None,
                whole: !values.contains(&LegacyValue::Unchanged),
                source: None,
            }),
        }
        self
    }

    pub(crate) fn checkpoint(mut self, checkpoint: target::Checkpoint) -> Self {
        self.batch.checkpoint = checkpoint;
        self
    }

    pub(crate) async fn apply(self, target: &Target) -> target::Applied {
        target.apply(self.batch).await.expect("apply")
    }
}
