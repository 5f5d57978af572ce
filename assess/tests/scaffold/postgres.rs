//! (b) On a real Postgres, after the engine's migrations: one row of every table is mapped,
//! applied and read back; then the domains are handed over and sealed.

use std::{collections::BTreeMap, sync::Arc};

use assess::{
    assessment::Assessment,
    scaffold::{Choices, Scaffold},
};
use mapping::{
    catalog::SqlType,
    plan::{Context, EntityPlan, Outcome, Plan, SourceChange, SourceColumn, SourceOp, TableRole},
    position::{Lsn, Position},
    row::{Batches, fields},
    value::{Decimal, LegacyValue},
};
use sandbox::postgres::{Database, SUPERUSER, fresh_database};
use secrecy::SecretString;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row as _, ValueRef as _};
use target::{Batch, ProductMigration, Role, Settings, Target, batch::ReadCounts};

use crate::world::{assessment, catalog, everything, plan, said};

/// A database with the draft's tables in it, made as `ficus migrate` makes them.
pub(crate) async fn migrated(
    draft: &Scaffold,
    plan: &Arc<Plan>,
) -> (Database, Target, PgConnection) {
    let database = fresh_database("scaffold").await.expect("a database");
    let url = SecretString::from(database.url(SUPERUSER));
    let migrations: Vec<ProductMigration> = draft
        .files
        .iter()
        .filter_map(|file| {
            let name = file.path.strip_prefix("migrations/")?.strip_suffix(".sql")?;
            let (version, name) = name.split_once('_').expect("a number");
            let version = version.parse().expect("a number");
            Some(ProductMigration { version, name: name.to_owned(), sql: file.text.clone() })
        })
        .collect();
    target::migrate(&url, &migrations).await.unwrap_or_else(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        panic!("{error}: {cause:?}")
    });
    let settings = Settings { url, role: Role::Engine, set_role: true, max_connections: 4 };
    let pool = target::connect(&settings).await.expect("a pool");
    let target = Target::open(pool, Arc::clone(plan)).await.expect("the tables are as planned");
    let admin = PgConnection::connect(&database.url(SUPERUSER)).await.expect("a connection");
    (database, target, admin)
}

const GUID: uuid::Uuid = uuid::Uuid::from_u128(0x2024_0229_0000_4000_8000_0000_0000_0001);
/// 2024-02-29, a midnight, in ticks.
const DAY: i32 = 19_782;
const MIDNIGHT: i64 = 19_782 * 864_000_000_000;

fn value(column: &SourceColumn, object_type: i64) -> LegacyValue<'static> {
    let decimal = |scale: u8| Decimal { unscaled: 10_i128.pow(u32::from(scale)), scale };
    match column.name.as_str() {
        // Live, and of a type that is known.
        "GCRecord" => return LegacyValue::Null,
        "ObjectType" => return LegacyValue::Int(object_type),
        // XAF's FileData: the content is five bytes, uncompressed.
        "size" => return LegacyValue::Int(5),
        _ => {}
    }
    match &column.sql_type {
        SqlType::Bit => LegacyValue::Bool(true),
        SqlType::TinyInt | SqlType::SmallInt | SqlType::Int | SqlType::BigInt => {
            LegacyValue::Int(1)
        }
        SqlType::Decimal { scale, .. } => LegacyValue::Decimal(decimal(*scale)),
        SqlType::Money | SqlType::SmallMoney => LegacyValue::Decimal(decimal(4)),
        SqlType::Real | SqlType::Float => LegacyValue::Float(1.5),
        SqlType::Date => LegacyValue::Date(DAY),
        SqlType::Time { .. } => LegacyValue::Time(36_000_000_000),
        SqlType::DateTime | SqlType::SmallDateTime | SqlType::DateTime2 { .. } => {
            LegacyValue::Timestamp(MIDNIGHT)
        }
        SqlType::DateTimeOffset { .. } => {
            LegacyValue::TimestampOffset { utc_ticks: MIDNIGHT, offset_minutes: 480 }
        }
        SqlType::UniqueIdentifier => LegacyValue::Guid(GUID),
        SqlType::Binary { .. } | SqlType::VarBinary { .. } | SqlType::Image => {
            LegacyValue::Bytes(b"bytes".to_vec().into())
        }
        _ => LegacyValue::Text("Түрээс".into()),
    }
}

/// The type names of a draft, by the entity that they are of.
fn types(draft: &Scaffold) -> Vec<(String, String)> {
    let mut found = vec![("".to_owned(), "Spacehub.Module.BusinessObjects.Space".to_owned())];
    let mut entity = String::new();
    let text = |line: &str, key: &str| {
        line.strip_prefix(key).map(|rest| rest.trim_matches(['[', ']', '"']).to_owned())
    };
    let files = draft.files.iter().filter(|file| file.path.starts_with("mappings/"));
    for line in files.flat_map(|file| file.text.lines()) {
        if let Some(name) = text(line, "name = ") {
            entity = name;
        } else if let Some(name) = text(line, "type = ") {
            found.push((entity.clone(), name));
        }
    }
    found
}

/// Maps one row of each table, and one of a root for each entity that shares it.
fn rows(plan: &Plan, types: &[(String, String)]) -> Batch {
    let object_types: BTreeMap<i64, String> =
        (0..).zip(types.iter().map(|(_, name)| name.clone())).collect();
    let context = Context { object_types: &object_types, seen_at_us: 1_000_000 };
    let mut batch = Batch::default();
    let mut sequence = 0;
    for table in &plan.tables {
        let TableRole::Entities(feeds) = &table.role else { continue };
        for (entity, part) in feeds {
            let name = &plan.entities[usize::from(entity.0)].name;
            let number = types.iter().position(|(of, _)| of == name).unwrap_or(0);
            let is_shared = feeds.len() > 1 || *part > 0;
            let of_row =
                |column: &SourceColumn| match value(column, i64::try_from(number).expect("few")) {
                    // Root and leaf share a key; two leaves of a root do not.
                    LegacyValue::Int(_) if is_shared && column.key => {
                        LegacyValue::Int(i64::from(entity.0))
                    }
                    value => value,
                };
            let values: Vec<LegacyValue<'_>> = table.columns.iter().map(of_row).collect();
            let position = Position::streamed(Lsn::from_bytes([1; 10]), u64::from(sequence));
            let change = SourceChange { op: SourceOp::Upsert, values: &values, position, sequence };
            sequence += 1;
            let outcome = table.map(&change, &context, &mut batch.rows);
            assert_eq!(outcome, Outcome::Mapped(*entity), "{} of {name}", table.table);
            batch.tables.push(table.id);
            let counts: &mut ReadCounts = batch.read.entry(table.id).or_default();
            counts.read += 1;
        }
    }
    batch
}

/// The fields of an entity's row by column; `None` for an id, which only Postgres knows.
fn expected(entity: &EntityPlan, mapped: &Batches) -> BTreeMap<usize, Option<Option<Vec<u8>>>> {
    let mut found = BTreeMap::new();
    for batch in mapped.iter().filter(|batch| batch.entity == entity.id) {
        let row = &batch.rows[0];
        let slots: Vec<usize> =
            batch.slots[row.slots.clone()].iter().map(|slot| slot.offset).collect();
        let bytes = &batch.fields[row.fields.clone()];
        let mut at = row.fields.start;
        let part = &entity.parts[usize::from(batch.part)];
        for (column, field) in part.columns.iter().zip(fields(bytes)) {
            at += 4;
            let is_id = field.is_some() && slots.contains(&at);
            at += field.map_or(0, <[u8]>::len);
            found.insert(*column, (!is_id).then(|| field.map(<[u8]>::to_vec)));
        }
    }
    found
}

async fn read_back(entity: &EntityPlan, mapped: &Batches, admin: &mut PgConnection) {
    let columns: Vec<String> =
        entity.columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
    let sql = format!("select {} from \"{}\"", columns.join(", "), entity.target_table);
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(admin).await.expect("rows");
    let [row] = rows.as_slice() else { panic!("{} rows of {}", rows.len(), entity.name) };
    for (column, field) in expected(entity, mapped) {
        let name = &entity.columns[column].name;
        let stored = row.try_get_raw(column).expect("a column");
        let stored = (!stored.is_null()).then(|| stored.as_bytes().expect("bytes").to_vec());
        match field {
            Some(field) => assert_eq!(stored, field, "{}.{name}", entity.name),
            None => assert_eq!(stored.map(|id| id.len()), Some(16), "{}.{name}", entity.name),
        }
    }
}

async fn applied(
    assessment: Option<&Assessment>,
    choices: &Choices,
) -> (Scaffold, Database, Target, PgConnection) {
    let draft = everything(assessment, choices);
    let plan = Arc::new(plan(&draft, &catalog()));
    let (database, target, mut admin) = migrated(&draft, &plan).await;
    let batch = rows(&plan, &types(&draft));
    let mapped = batch.rows.clone();
    target.apply(batch).await.expect("applied");
    for entity in &plan.entities {
        read_back(entity, &mapped, &mut admin).await;
    }
    (draft, database, target, admin)
}

#[tokio::test]
async fn a_row_of_every_table_is_applied_with_an_assessment() {
    applied(Some(&assessment()), &said()).await;
}

#[tokio::test]
async fn a_row_of_every_table_is_applied_with_nothing_known() {
    applied(None, &Choices::default()).await;
}

/// What stands in the migrations as a comment is right too: the engine works behind it.
#[tokio::test]
async fn the_policies_that_are_proposed_let_the_engine_write() {
    let draft = everything(None, &said());
    let plan = Arc::new(plan(&draft, &catalog()));
    let (_database, target, mut admin) = migrated(&draft, &plan).await;
    for file in draft.files.iter().filter(|file| file.path.starts_with("migrations/")) {
        let block: Vec<&str> = file
            .text
            .lines()
            .skip_while(|line| *line != "-- do $$")
            .map(|line| line.strip_prefix("-- ").expect("a comment"))
            .collect();
        let sql =
            format!("set role ficus_owner; {}; reset role", block.join("\n").trim_end_matches(';'));
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await.expect("policies");
    }
    let open = "select count(*) from pg_class where relnamespace = 'public'::regnamespace
                and relkind = 'r' and not relforcerowsecurity";
    let open: i64 = sqlx::query_scalar(open).fetch_one(&mut admin).await.expect("a count");
    assert_eq!(open, 0);
    let batch = rows(&plan, &types(&draft));
    let mapped = batch.rows.clone();
    target.apply(batch).await.expect("applied");
    for entity in &plan.entities {
        read_back(entity, &mapped, &mut admin).await;
    }
}

/// Every seal, in the order of the files.
async fn seal(draft: &Scaffold, admin: &mut PgConnection) -> Result<(), sqlx::Error> {
    for file in draft.files.iter().filter(|file| file.path.starts_with("seal/")) {
        let sealed = sqlx::raw_sql(AssertSqlSafe(file.text.clone())).execute(&mut *admin).await;
        if let Err(error) = sealed {
            sqlx::raw_sql("rollback").execute(&mut *admin).await.expect("a rollback");
            return Err(error);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_seal_waits_for_the_cutover_and_makes_what_the_engine_would() {
    let (draft, _database, target, mut admin) = applied(Some(&assessment()), &said()).await;
    let refused = seal(&draft, &mut admin).await.expect_err("nothing is handed over").to_string();
    assert!(refused.contains("is not handed over yet"), "{refused}");
    let hand_over = "alter table ficus.domain disable trigger all;
                     update ficus.domain set state = 'cut_over';
                     alter table ficus.domain enable trigger all";
    sqlx::raw_sql(hand_over).execute(&mut admin).await.expect("handed over");
    seal(&draft, &mut admin).await.expect("sealed");
    seal(&draft, &mut admin).await.expect("nothing to do");
    let mut wanted = Vec::new();
    for domain in target.plan().domains() {
        let keys = target.foreign_keys(domain).await.expect("foreign keys");
        let made = keys.into_iter().filter(|key| key.policy != mapping::plan::OrphanPolicy::Allow);
        wanted.extend(made.map(|key| key.name));
    }
    wanted.sort();
    wanted.dedup();
    let made = "select conname::text from pg_constraint
                where contype = 'f' and connamespace = 'public'::regnamespace order by conname::text collate \"C\"";
    let made: Vec<String> = sqlx::query_scalar(made).fetch_all(&mut admin).await.expect("names");
    assert_eq!(made, wanted);
}

/// The statements of the seals that the cutover makes itself, by the names of their indexes.
fn made_by_the_cutover(draft: &Scaffold) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let begin = "-- create unique index if not exists ";
    for file in draft.files.iter().filter(|file| file.path.starts_with("seal/")) {
        for statement in file.text.split(begin).skip(1) {
            let statement = statement.split(';').next().expect("its end");
            let statement = statement.replace("\n-- ", "\n");
            let name = statement.split_whitespace().next().expect("its name").to_owned();
            found.insert(name, format!("create unique index {statement}"));
        }
    }
    found
}

#[tokio::test]
async fn the_unique_rules_are_those_that_the_cutover_makes() {
    let (draft, _database, target, _admin) = applied(Some(&assessment()), &said()).await;
    let mut wanted = BTreeMap::new();
    for domain in target.plan().domains() {
        let indexes = target.unique_indexes(domain).await.expect("unique indexes");
        wanted.extend(indexes.into_iter().map(|index| (index.name, index.rule.columns.len())));
    }
    let drafted = made_by_the_cutover(&draft);
    assert_eq!(drafted.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    assert_eq!(wanted.len(), 10, "{wanted:?}");
}

/// Trap 4: SQL Server takes two NULLs as equal, and lets a deleted row keep its number.
#[tokio::test]
async fn what_sql_server_keeps_unique_stays_unique() {
    let (draft, _database, _target, mut admin) = applied(None, &said()).await;
    sqlx::raw_sql(
        "alter table ficus.domain disable trigger all; update ficus.domain set state = 'cut_over'",
    )
    .execute(&mut admin)
    .await
    .expect("handed over");
    seal(&draft, &mut admin).await.expect("sealed");
    for (name, sql) in made_by_the_cutover(&draft) {
        let made = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await;
        made.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    for (sql, is_taken) in [
        ("insert into invoices (id) values (gen_random_uuid())", false),
        ("insert into invoices (id) values (gen_random_uuid())", true),
        ("insert into invoices (id, deleted_at) values (gen_random_uuid(), now())", false),
        ("insert into invoices (id, deleted_at) values (gen_random_uuid(), now())", false),
        ("insert into invoices (id, invoice_no) values (gen_random_uuid(), 'A-1')", false),
        ("insert into invoices (id, invoice_no) values (gen_random_uuid(), 'a-1')", true),
        (
            "insert into contracts (id, company_no, contract_no) values (gen_random_uuid(), 'түрээс', 'ТҮРЭЭС')",
            true,
        ),
    ] {
        let done = sqlx::raw_sql(sql).execute(&mut admin).await;
        let refused = done.err().map(|error| error.to_string());
        assert_eq!(refused.is_some_and(|error| error.contains("duplicate key")), is_taken, "{sql}");
    }
}

/// The list of words that are quoted is Postgres's own.
#[tokio::test]
async fn every_reserved_word_can_be_a_column() {
    let database = fresh_database("words").await.expect("a database");
    let mut admin = PgConnection::connect(&database.url(SUPERUSER)).await.expect("a connection");
    let words = "select word from pg_get_keywords() order by word collate \"C\"";
    let words: Vec<String> = sqlx::query_scalar(words).fetch_all(&mut admin).await.expect("words");
    assert!(words.len() > 400);
    let catalog = crate::world::of_words(&words);
    let all = crate::world::chosen(&catalog, &[]);
    let draft = assess::scaffold::scaffold(&catalog, &all, None, &said());
    let plan = Arc::new(plan(&draft, &catalog));
    migrated(&draft, &plan).await;
}
