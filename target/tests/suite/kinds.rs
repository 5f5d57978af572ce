//! Every mapped row decodes in Postgres to the value expected.
//!
//! Generated legacy rows go through the mapping and `apply`; what they should be is said to the
//! same Postgres in SQL literals (`kinds/cell.rs`), so neither our encoder nor our decoder is
//! asked. Every kind of conversion is there (`tests/kinds/mapping.toml`), at its limits too.

mod cell;
mod number;
mod text;
mod time;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
};

use mapping::{
    catalog::Catalog,
    file::MappingFile,
    plan::{Context, ObjectTypes, Outcome, Plan, SourceChange, SourceOp},
    value::LegacyValue,
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestError, TestRunner},
};
use sandbox::postgres::{SUPERUSER, fresh_database};
use secrecy::SecretString;
use sqlx::{AssertSqlSafe, PgPool, Row as _};
use target::{Batch, ProductMigration, Target};

use crate::lab::at;
use cell::{Cell, parents, row};

pub(crate) const MAPPING: &str = include_str!("../../../tests/kinds/mapping.toml");
const CATALOG: &str = include_str!("../../../tests/kinds/catalog.json");
const TABLES: &str = include_str!("../../../tests/kinds/tables.sql");

/// `deleted_at` of a row that is seen deleted.
const SEEN_AT_US: i64 = 1_700_000_000_000_000;

struct Bench {
    pool: PgPool,
    target: Target,
    plan: Arc<Plan>,
    types: ObjectTypes,
    /// The next row's key.
    next: AtomicI32,
}

fn plan() -> Plan {
    let catalog: Catalog = serde_json::from_str(CATALOG).expect("a catalogue");
    let file = MappingFile { name: "kinds.toml".into(), text: MAPPING.into() };
    Plan::compile(&[file], &catalog).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

impl Bench {
    async fn open() -> Self {
        let database = fresh_database("kinds").await.expect("a database");
        let url = database.url(SUPERUSER);
        let product =
            ProductMigration { version: 1001, name: "kinds".to_owned(), sql: TABLES.to_owned() };
        target::migrate(&SecretString::from(url.clone()), &[product]).await.expect("migrations");
        let pool = PgPool::connect(&url).await.expect("a pool");
        let plan = Arc::new(plan());
        let target = Target::open(pool.clone(), Arc::clone(&plan)).await.expect("a target");
        let types = BTreeMap::from([(1, "Demo.Space".to_owned()), (2, "Demo.Parking".to_owned())]);
        let bench = Self { pool, target, plan, types, next: AtomicI32::new(0) };
        bench.run("create unlogged table expected (like samples)").await;
        bench.apply("Parent", parents()).await;
        bench
    }

    async fn run(&self, sql: &str) {
        let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&self.pool).await;
        done.unwrap_or_else(|error| panic!("{error}: {sql}"));
    }

    /// Maps rows, given by name, and applies them as one batch.
    async fn apply(&self, table: &str, rows: Vec<Vec<(&'static str, LegacyValue<'static>)>>) {
        let table = self.plan.table("dbo", table).expect("a table");
        let context = Context { object_types: &self.types, seen_at_us: SEEN_AT_US };
        let mut batch = Batch::default();
        for (sequence, given) in (0_u32..).zip(rows) {
            let value = |name: &str| {
                let found = given.iter().find(|(known, _)| *known == name);
                found.map_or(LegacyValue::Null, |(_, value)| value.clone())
            };
            let values: Vec<_> = table.columns.iter().map(|column| value(&column.name)).collect();
            let change =
                SourceChange { op: SourceOp::Upsert, values: &values, position: at(5), sequence };
            let outcome = table.map(&change, &context, &mut batch.rows);
            assert!(matches!(outcome, Outcome::Mapped(_)), "{outcome:?}");
        }
        self.target.apply(batch).await.expect("apply");
    }

    /// Columns of the rows from `first` on that are not what they should be.
    async fn differences(&self, first: i32) -> Vec<String> {
        let samples = self.plan.entity("samples").expect("an entity");
        let names = samples.columns.iter().map(|column| column.name.as_str()).skip(1);
        let pairs: Vec<String> = names
            .map(|name| {
                format!(
                    "case when s.{name}::text is distinct from e.{name}::text then format(\
                     '{name} is %s and not %s', coalesce(s.{name}::text, 'NULL'), coalesce(e.{name}::text, 'NULL')) end"
                )
            })
            .collect();
        // The id's time is the row's creation, where a UUID can tell it.
        let created = "case when s.tz_ulaanbaatar >= '1970-01-01Z' \
            and ('x' || left(replace(s.id::text, '-', ''), 12))::bit(48)::int8 \
              <> floor(extract(epoch from s.tz_ulaanbaatar) * 1000) then 'the id has another time' end";
        let sql = format!(
            "select array_to_string(array[{}, {created}], '; ') from expected e \
             left join samples s on s.k = e.k where e.k >= {first} order by e.k",
            pairs.join(", ")
        );
        let rows =
            sqlx::query(AssertSqlSafe(sql)).fetch_all(&self.pool).await.expect("a comparison");
        rows.iter().map(|row| row.get(0)).collect()
    }

    async fn check(&self, rows: &[Vec<Cell>]) -> Vec<String> {
        let count = i32::try_from(rows.len()).expect("few");
        let first = self.next.fetch_add(count, Ordering::Relaxed);
        let mut legacy = Vec::new();
        let mut expected = Vec::new();
        for (k, cells) in (first..).zip(rows) {
            let mut values = vec![("K", LegacyValue::Int(i64::from(k)))];
            values.extend(cells.iter().flat_map(|cell| cell.values.clone()));
            legacy.push(values);
            let (names, sql): (Vec<_>, Vec<_>) =
                cells.iter().map(|cell| (cell.target, cell.sql.as_str())).unzip();
            expected.push(format!(
                "insert into expected (id, k, {}) values (gen_random_uuid(), {k}, {});",
                names.join(", "),
                sql.join(", ")
            ));
        }
        self.run(&expected.concat()).await;
        self.apply("Sample", legacy).await;
        let found = self.differences(first).await;
        assert_eq!(found.len(), rows.len(), "every row is there");
        found
    }
}

#[test]
fn every_mapped_row_decodes_in_postgres_to_the_value_expected() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let bench = runtime.block_on(Bench::open());
    let wanted = bench.plan.entity("samples").expect("an entity").columns.len();
    // Rows go in by twenty: a case is a batch.
    let cases = Config::default().cases.div_ceil(20);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let rows = prop::collection::vec(row(), 20);
    let outcome = runner.run(&rows, |rows| {
        // The id and K are not among the cells.
        prop_assert_eq!(rows[0].len() + 2, wanted, "every column has a cell");
        let differences = runtime.block_on(bench.check(&rows));
        for (row, difference) in rows.iter().zip(differences) {
            let named = |cell: &&Cell| difference.contains(&format!("{} is ", cell.target));
            let cells: Vec<&Cell> = row.iter().filter(named).collect();
            prop_assert!(difference.is_empty(), "{}\nof {:#?}", difference, cells);
        }
        Ok(())
    });
    match outcome {
        Ok(()) => {}
        // The rest of the smallest batch says nothing.
        Err(TestError::Fail(reason, _)) => panic!("{reason}"),
        Err(error @ TestError::Abort(_)) => panic!("{error}"),
    }
}
