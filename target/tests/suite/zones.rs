//! Wall times become the instants that Postgres's own `at time zone` gives: in the hours that
//! were never and in those that were twice too.

use mapping::{
    catalog::{Catalog, Column, LegacyTable, SqlType, Table},
    file::MappingFile,
    plan::{Context, ObjectTypes, Outcome, Plan, SourceChange, SourceOp},
    row::{Batches, fields},
    value::LegacyValue,
};
use proptest::prelude::*;
use sandbox::postgres::{SUPERUSER, shared};
use sqlx::PgPool;

use crate::lab::at;

const ZONES: [&str; 3] = ["Asia/Ulaanbaatar", "Europe/Berlin", "UTC"];
const SECOND: i64 = 10_000_000;
/// Microseconds from 1970 to 2000, where Postgres counts from.
const EPOCH: i64 = 946_684_800_000_000;

fn plan(zone: &str) -> Plan {
    let column = |name: &str, sql_type| Column {
        name: name.to_owned(),
        sql_type,
        nullable: name != "K",
        collation: None,
        computed: false,
        identity: false,
    };
    let columns = vec![column("K", SqlType::Int), column("At", SqlType::DateTime2 { scale: 0 })];
    let table = Table::new(LegacyTable::new("dbo", "Wall"), columns, vec!["K".to_owned()]);
    let catalog =
        Catalog { database: "Zones".into(), collation: String::new(), tables: vec![table] };
    // What Postgres does: the skipped hour is taken as if the clock had not been put forward,
    // the hour that was twice as the second one.
    let text = format!(
        "domain = \"d\"\n[[entity]]\nname = \"walls\"\nfrom = \"dbo.Wall\"\n[entity.columns]\n\
         at = {{ from = \"At\", as = \"timestamptz\", zone = \"{zone}\", gap = \"later\", overlap = \"standard\" }}\n"
    );
    let file = MappingFile { name: "zones.toml".into(), text };
    Plan::compile(&[file], &catalog).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

/// What mapping makes of wall times given in seconds since 1970: microseconds since 1970 UTC.
fn mapped(plan: &Plan, walls: &[i64]) -> Vec<i64> {
    let table = &plan.tables[0];
    let context = Context { object_types: &ObjectTypes::new(), seen_at_us: 0 };
    let mut batches = Batches::default();
    for wall in walls {
        let values = [LegacyValue::Int(1), LegacyValue::Timestamp(wall * SECOND)];
        let change =
            SourceChange { op: SourceOp::Upsert, values: &values, position: at(1), sequence: 0 };
        let outcome = table.map(&change, &context, &mut batches);
        assert!(matches!(outcome, Outcome::Mapped(_)), "{outcome:?}");
    }
    let part = batches.into_inner().remove(0);
    let instant = |bytes: &[u8]| {
        let field = fields(bytes).nth(1).flatten().expect("a value");
        i64::from_be_bytes(field.try_into().expect("8 bytes")) + EPOCH
    };
    part.rows.iter().map(|row| instant(&part.fields[row.fields.clone()])).collect()
}

/// What Postgres makes of them.
async fn asked(pool: &PgPool, zone: &str, walls: &[i64]) -> Vec<i64> {
    let answer: Vec<i64> = sqlx::query_scalar(
        "select (extract(epoch from
           ((date '1970-01-01' + (w / 86400 - (w % 86400 < 0)::int)::int4)
             + make_interval(secs => ((w % 86400) + 86400) % 86400)) at time zone $2) * 1000000)::int8
         from unnest($1::int8[]) with ordinality as w (w, n) order by n",
    )
    .bind(walls)
    .bind(zone)
    .fetch_all(pool)
    .await
    .expect("an answer");
    answer
}

async fn compare(pool: &PgPool, zone: &str, walls: &[i64]) {
    let (mapped, asked) = (mapped(&plan(zone), walls), asked(pool, zone, walls).await);
    assert_eq!(mapped.len(), asked.len());
    for ((wall, ours), theirs) in walls.iter().zip(mapped).zip(asked) {
        assert_eq!(ours, theirs, "{zone}, wall second {wall}");
    }
}

async fn pool() -> PgPool {
    let server = shared().await.expect("Postgres");
    PgPool::connect(&server.url(SUPERUSER, "postgres")).await.expect("a pool")
}

/// Every day of the years in which clocks were put forward and back, at the hours when it was done.
#[tokio::test]
async fn every_change_of_a_clock_is_where_postgres_has_it() {
    let pool = pool().await;
    for zone in ZONES {
        let days = (1975 - 1970) * 365..(2040 - 1970) * 366_i64;
        let hours = [0, 1, 2, 3, 23].map(|hour| hour * 3600 + 1800);
        let walls: Vec<i64> =
            days.flat_map(|day| hours.map(|second| day * 86_400 + second)).collect();
        compare(&pool, zone, &walls).await;
    }
}

/// From the year 1 to 9999, whatever the wall said.
#[test]
fn random_wall_times_become_the_instants_that_postgres_gives() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let pool = runtime.block_on(pool());
    let second =
        prop_oneof![-62_135_596_800_i64..253_402_300_800, -3_000_000_000_i64..6_000_000_000];
    let walls = prop::collection::vec(second, 1..400);
    let cases = ProptestConfig::default().cases.div_ceil(4);
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(walls in walls, zone in prop::sample::select(ZONES.to_vec()))| {
        runtime.block_on(compare(&pool, zone, &walls));
    });
}
