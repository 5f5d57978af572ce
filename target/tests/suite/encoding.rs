//! One encoding (law 5): what mapping writes is what Postgres gives back, byte for byte.

use std::{collections::HashMap, sync::Arc};

use mapping::{
    catalog::{Catalog, Column, LegacyTable, SqlType, Table},
    file::MappingFile,
    plan::{Context, EntityId, ObjectTypes, Outcome, Plan, SourceChange, SourceOp},
    position::Position,
    row::{Batches, fields},
    value::{Decimal, LegacyValue},
};
use sandbox::postgres::{SUPERUSER, fresh_database};
use secrecy::SecretString;
use sqlx::{PgPool, Row as _};
use target::{Batch, ProductMigration, Target, compare::ScannedRow};
use uuid::Uuid;

use crate::lab::at;

const MAPPING: &str = r#"
domain = "d"
[[entity]]
name = "samples"
from = "dbo.Sample"
[entity.columns]
a_bool  = { from = "B", as = "bool" }
an_int2 = { from = "I2", as = "int2" }
an_int4 = { from = "I4", as = "int4" }
an_int8 = { from = "I8", as = "int8" }
a_float = { from = "F", as = "float8" }
a_numeric = { from = "D", as = "numeric", scale = 10 }
money   = { from = "M", as = "money", currency = "MNT", digits = 2 }
a_text  = { from = "T", as = "text" }
a_list  = { from = "Fl", as = "flags", values = { 1 = "a", 2 = "b \"c\"", 4 = "NULL", 8 = "{,}", 1073741824 = "далд" } }
a_bytea = { from = "X", as = "bytea" }
a_uuid  = { from = "G", as = "uuid" }
a_date  = { from = "Da", as = "date" }
a_time  = { from = "Ti", as = "time", precision = "truncate" }
a_ts    = { from = "DT", as = "timestamp", sentinels = { "9999-12-31" = "infinity" } }
a_tstz  = { from = "DTZ", as = "timestamptz", zone = "Asia/Ulaanbaatar" }
"#;

const SQL: &str = "create table samples (
  id uuid primary key, a_bool boolean, an_int2 smallint, an_int4 integer, an_int8 bigint,
  a_float double precision, a_numeric numeric(38, 10), money bigint, a_text text, a_list text[], a_bytea bytea,
  a_uuid uuid, a_date date, a_time time, a_ts timestamp, a_tstz timestamptz, source_position bytea)";

fn plan() -> Plan {
    let column = |name: &str, sql_type: SqlType| Column {
        name: name.to_owned(),
        nullable: name != "K",
        collation: matches!(sql_type, SqlType::NVarChar { .. })
            .then(|| "Cyrillic_General_CI_AS".to_owned()),
        sql_type,
        computed: false,
        identity: false,
    };
    let columns = vec![
        column("K", SqlType::Int),
        column("B", SqlType::Bit),
        column("I2", SqlType::SmallInt),
        column("I4", SqlType::Int),
        column("I8", SqlType::BigInt),
        column("F", SqlType::Float),
        column("D", SqlType::Decimal { precision: 38, scale: 10 }),
        column("M", SqlType::Money),
        column("T", SqlType::NVarChar { length: Some(400) }),
        column("Fl", SqlType::Int),
        column("X", SqlType::VarBinary { length: Some(400) }),
        column("G", SqlType::UniqueIdentifier),
        column("Da", SqlType::Date),
        column("Ti", SqlType::Time { scale: 7 }),
        column("DT", SqlType::DateTime2 { scale: 3 }),
        column("DTZ", SqlType::DateTime),
    ];
    let table = Table::new(LegacyTable::new("dbo", "Sample"), columns, vec!["K".to_owned()]);
    let catalog = Catalog {
        database: "Lab".to_owned(),
        collation: "Cyrillic_General_CI_AS".to_owned(),
        tables: vec![table],
    };
    let file = MappingFile { name: "lab.toml".into(), text: MAPPING.into() };
    Plan::compile(&[file], &catalog).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

/// One value of each column, and what `::text` makes of it.
type Sample = (Vec<LegacyValue<'static>>, Vec<&'static str>);

fn number(unscaled: i128, scale: u8) -> LegacyValue<'static> {
    LegacyValue::Decimal(Decimal { unscaled, scale })
}

fn text(text: &'static str) -> LegacyValue<'static> {
    LegacyValue::Text(text.into())
}

fn bytes(bytes: &'static [u8]) -> LegacyValue<'static> {
    LegacyValue::Bytes(bytes.into())
}

/// Ticks of a day.
const DAY: i64 = 24 * 60 * 60 * 10_000_000;

fn smallest() -> Sample {
    use LegacyValue as V;
    (
        vec![
            V::Bool(true),
            V::Int(-32768),
            V::Int(i64::from(i32::MIN)),
            V::Int(i64::MIN),
            V::Float(-0.1),
            number(-1, 10),
            number(-10_100, 4),
            text("Бат 😀\t\\N\n"),
            V::Int(1),
            bytes(&[0, 255, 7]),
            V::Guid(Uuid::from_u128(1)),
            V::Date(0),
            V::Time(0),
            V::Timestamp(0),
            V::Timestamp(0),
        ],
        vec![
            "true",
            "-32768",
            "-2147483648",
            "-9223372036854775808",
            "-0.1",
            "-0.0000000001",
            "-101",
            "Бат 😀\t\\N\n",
            "{a}",
            "\\x00ff07",
            "00000000-0000-0000-0000-000000000001",
            "1970-01-01",
            "00:00:00",
            "1970-01-01 00:00:00",
            "1969-12-31 17:00:00+00",
        ],
    )
}

fn largest() -> Sample {
    use LegacyValue as V;
    (
        vec![
            V::Bool(false),
            V::Int(32767),
            V::Int(i64::from(i32::MAX)),
            V::Int(i64::MAX),
            V::Float(f64::MAX),
            number(12_345_678_901_234_567_890_123_456_780_000_000_001, 10),
            number(9_223_372_036_854_775_800, 4),
            text(""),
            V::Int(1073741839),
            bytes(&[]),
            V::Guid(Uuid::from_u128(u128::MAX)),
            V::Date(2_932_896),
            V::Time(DAY - 10),
            V::Timestamp(2_932_896 * DAY),
            V::Timestamp(18_993 * DAY),
        ],
        vec![
            "false",
            "32767",
            "2147483647",
            "9223372036854775807",
            "1.7976931348623157e+308",
            "1234567890123456789012345678.0000000001",
            "92233720368547758",
            "",
            "{a,\"b \\\"c\\\"\",\"NULL\",\"{,}\",далд}",
            "\\x",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "9999-12-31",
            "23:59:59.999999",
            "infinity",
            "2021-12-31 16:00:00+00",
        ],
    )
}

fn zero() -> Sample {
    use LegacyValue as V;
    (
        vec![
            V::Bool(false),
            V::Int(0),
            V::Int(0),
            V::Int(0),
            V::Float(0.0),
            number(0, 10),
            number(0, 4),
            text("0"),
            V::Int(0),
            bytes(&[0]),
            V::Guid(Uuid::nil()),
            V::Date(-719_162),
            V::Time(1_234_567_890),
            V::Timestamp(-719_162 * DAY),
            V::Timestamp(-25_567 * DAY),
        ],
        vec![
            "false",
            "0",
            "0",
            "0",
            "0",
            "0.0000000000",
            "0",
            "0",
            "{}",
            "\\x00",
            "00000000-0000-0000-0000-000000000000",
            "0001-01-01",
            "00:02:03.456789",
            "0001-01-01 00:00:00",
            "1899-12-31 16:52:28+00",
        ],
    )
}

fn usual() -> Sample {
    use LegacyValue as V;
    (
        vec![
            V::Bool(true),
            V::Int(1),
            V::Int(1),
            V::Int(1),
            V::Float(1e-300),
            number(99_990_000_000_000, 10),
            number(10_000, 4),
            text(" x "),
            V::Int(6),
            bytes(&[1]),
            V::Guid(Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef)),
            V::Date(1),
            V::Time(1_000_000_000),
            V::Timestamp(10_000_000),
            V::Timestamp(DAY),
        ],
        vec![
            "true",
            "1",
            "1",
            "1",
            "1e-300",
            "9999.0000000000",
            "100",
            " x ",
            "{\"b \\\"c\\\"\",\"NULL\"}",
            "\\x01",
            "01234567-89ab-cdef-0123-456789abcdef",
            "1970-01-02",
            "00:01:40",
            "1970-01-01 00:00:01",
            "1970-01-01 17:00:00+00",
        ],
    )
}

async fn open() -> (PgPool, Target) {
    let database = fresh_database("encoding").await.expect("a database");
    let url = database.url(SUPERUSER);
    let product = ProductMigration { version: 1001, name: "lab".to_owned(), sql: SQL.to_owned() };
    target::migrate(&SecretString::from(url.clone()), &[product]).await.expect("migrations");
    let pool = PgPool::connect(&url).await.expect("a pool");
    let target = Target::open(pool.clone(), Arc::new(plan())).await.expect("a target");
    (pool, target)
}

#[tokio::test]
async fn every_type_comes_back_as_it_went_in() {
    let (pool, target) = open().await;
    let plan = Arc::clone(target.plan());
    let table = &plan.tables[0];
    let mut batches = Batches::default();
    let samples = vec![smallest(), largest(), zero(), usual()];
    for (sequence, (values, _)) in (0_u32..).zip(&samples) {
        let mut row = vec![LegacyValue::Int(i64::from(sequence))];
        row.extend(values.iter().cloned());
        let change = SourceChange { op: SourceOp::Upsert, values: &row, position: at(5), sequence };
        let context = Context { object_types: &ObjectTypes::new(), seen_at_us: 0 };
        let outcome = table.map(&change, &context, &mut batches);
        assert!(matches!(outcome, Outcome::Mapped(_)), "{outcome:?}");
    }
    let mut nulls = vec![LegacyValue::Null; table.columns.len()];
    nulls[0] = LegacyValue::Int(99);
    let change =
        SourceChange { op: SourceOp::Upsert, values: &nulls, position: at(5), sequence: 9 };
    let context = Context { object_types: &ObjectTypes::new(), seen_at_us: 0 };
    assert!(matches!(table.map(&change, &context, &mut batches), Outcome::Mapped(_)));

    let mut expected = batches.clone();
    target.apply(Batch { rows: batches, ..Batch::default() }).await.expect("apply");
    target.fill_known(&mut expected).await.expect("ids");
    let part = expected.into_inner().remove(0);
    let entity = part.entity;
    let (found, parts) = scan(&target, entity, 3).await;
    let samples_count = samples.len();
    assert_eq!((found.len(), parts), (samples_count + 1, 1), "a small table is not cut");
    for row in &part.rows {
        let mapped = &part.fields[row.fields.clone()];
        let id: [u8; 16] = fields(mapped).next().flatten().expect("an id").try_into().expect("16");
        let (stored, position) = &found[&id];
        assert_eq!(stored, mapped, "row {}", row.sequence);
        assert_eq!(*position, Some(at(5)));
    }
    let names: Vec<String> = plan.entities[0].columns[1..]
        .iter()
        .map(|column| format!("{}::text", column.name))
        .collect();
    let sql = format!(
        "select {} from samples where an_int2 is not null order by an_int2, id",
        names.join(", ")
    );
    let stored = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&pool).await.expect("rows");
    let mut wanted: Vec<Vec<&str>> = samples.into_iter().map(|(_, texts)| texts).collect();
    wanted.sort_by_key(|texts| texts[1].parse::<i64>().expect("a number"));
    for (row, texts) in stored.iter().zip(wanted) {
        let found: Vec<String> = (0..texts.len()).map(|index| row.get(index)).collect();
        assert_eq!(found, texts);
    }

    // A large one is, and every row is in one part.
    sqlx::query(
        "insert into samples (id, a_text)
         select gen_random_uuid(), repeat('x', 100) from generate_series(1, 40000)",
    )
    .execute(&pool)
    .await
    .expect("rows");
    let (found, parts) = scan(&target, entity, 3).await;
    assert_eq!((found.len(), parts), (samples_count + 1 + 40_000, 3));
}

type Rows = HashMap<[u8; 16], (Vec<u8>, Option<Position>)>;

/// All rows, and in how many parts they were read.
async fn scan(target: &Target, entity: EntityId, parts_max: usize) -> (Rows, usize) {
    let mut found = Rows::new();
    let parts = target.cut_share(entity, None, parts_max).await.expect("parts");
    let count = parts.len();
    for part in parts {
        let mut each = |row: ScannedRow<'_>| {
            let twice = found.insert(row.id, (row.fields.to_vec(), row.position));
            assert_eq!(twice, None, "a row is in one part");
        };
        target.scan_part(part, &mut each).await.expect("a scan");
    }
    (found, count)
}
