//! Is the target what Spacehub's rules say, value by value? The model knows nothing of the
//! mapping files or of the engine, so a mistake would have to be made twice to go unseen.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mapping::key::CanonicalKey;
use spacehub::model::{ExpectedRow, Model, key_text};
use sqlx::{AssertSqlSafe, PgPool, Row};
use uuid::Uuid;

/// Panics with every difference between the target and the model (the first hundred).
pub(crate) async fn assert_target_is(pool: &PgPool, model: &Model) {
    let keys = keys(pool).await;
    let mut differences = Vec::new();
    for (table, expected) in &model.tables {
        let unmappable: BTreeSet<&str> = model.unmappable.iter().map(|u| u.key.as_str()).collect();
        let found = rows(pool, table, expected, model, &keys).await;
        for key in expected.keys().chain(found.keys()).collect::<BTreeSet<_>>() {
            if unmappable.contains(key.as_str()) {
                continue;
            }
            match (expected.get(key), found.get(key)) {
                (Some(_), None) => differences.push(format!("{table} {key}: missing")),
                (None, _) => differences.push(format!("{table} {key}: extra")),
                (Some(expected), Some(found)) => {
                    compare(table, key, expected, found, &mut differences);
                }
            }
        }
    }
    let count = differences.len();
    differences.truncate(100);
    assert!(count == 0, "{count} differences:\n{}", differences.join("\n"));
}

fn compare(
    table: &str,
    key: &str,
    expected: &ExpectedRow,
    found: &ExpectedRow,
    differences: &mut Vec<String>,
) {
    if expected.soft_deleted != found.soft_deleted {
        differences.push(format!("{table} {key}: soft-deleted is {}", found.soft_deleted));
    }
    for (column, value) in &expected.columns {
        let actual = &found.columns[column];
        if actual != value {
            differences.push(format!("{table} {key} {column}: {actual:?}, not {value:?}"));
        }
    }
}

/// Every minted id and the legacy key that it stands for.
async fn keys(pool: &PgPool) -> HashMap<Uuid, String> {
    let rows =
        sqlx::query("select id, key from ficus.key_map").fetch_all(pool).await.expect("keys");
    rows.iter()
        .map(|row| {
            let key: Vec<u8> = row.get("key");
            (row.get("id"), key_text(&CanonicalKey::from_bytes(&key).parts()))
        })
        .collect()
}

async fn rows(
    pool: &PgPool,
    table: &'static str,
    expected: &BTreeMap<String, ExpectedRow>,
    model: &Model,
    keys: &HashMap<Uuid, String>,
) -> BTreeMap<String, ExpectedRow> {
    let columns: BTreeSet<&'static str> =
        expected.values().flat_map(|row| row.columns.keys().copied()).collect();
    let has_deleted_at: bool = sqlx::query_scalar(
        "select exists (select from information_schema.columns \
         where table_schema = 'public' and table_name = $1 and column_name = 'deleted_at')",
    )
    .bind(table)
    .fetch_one(pool)
    .await
    .expect("columns");
    let deleted = if has_deleted_at { "deleted_at is not null" } else { "false" };
    let list: String = columns.iter().map(|column| format!(", \"{column}\"::text")).collect();
    let sql = format!("select id, {deleted} as soft_deleted{list} from \"{table}\"");
    let mut connection = pool.acquire().await.expect("a connection");
    sqlx::query("set time zone 'UTC'").execute(&mut *connection).await.expect("a time zone");
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut *connection).await.expect(table);
    rows.iter()
        .map(|row| {
            let value = |column: &'static str| {
                let text: Option<String> = row.get(column);
                let is_reference = model.references.contains_key(&(table, column));
                let text = text.map(|text| match Uuid::try_parse(&text) {
                    Ok(id) if is_reference => keys[&id].clone(),
                    _ => text,
                });
                (column, text)
            };
            let found = ExpectedRow {
                columns: columns.iter().map(|column| value(column)).collect(),
                soft_deleted: row.get("soft_deleted"),
            };
            (keys[&row.get::<Uuid, _>("id")].clone(), found)
        })
        .collect()
}

/// Law 4, as the engine counts it, and no row in quarantine but those that the model names.
pub(crate) async fn assert_accounts_are_in_order(pool: &PgPool, model: &Model) {
    let wrong: i64 = sqlx::query_scalar(
        "select count(*) from ficus.table_count \
         where read <> applied + stale + folded + ignored + quarantined",
    )
    .fetch_one(pool)
    .await
    .expect("counts");
    assert_eq!(wrong, 0, "counts that do not add up");
    let parked: i64 = sqlx::query_scalar("select count(*) from ficus.parked")
        .fetch_one(pool)
        .await
        .expect("parked");
    assert_eq!(parked, 0, "partial images without a base");
    let open =
        sqlx::query("select source_table, key, rule from ficus.quarantine where state = 'open'")
            .fetch_all(pool)
            .await
            .expect("quarantine");
    let found: BTreeSet<(String, String, String)> = open
        .iter()
        .map(|row| {
            let key: Option<Vec<u8>> = row.get("key");
            let key = key.map(|key| key_text(&CanonicalKey::from_bytes(&key).parts()));
            let table: Option<String> = row.get("source_table");
            (table.unwrap_or_default(), key.unwrap_or_default(), row.get("rule"))
        })
        .collect();
    let expected: BTreeSet<(String, String, String)> = model
        .unmappable
        .iter()
        .map(|u| (format!("dbo.{}", u.table), u.key.clone(), u.rule.to_owned()))
        .collect();
    assert_eq!(found, expected, "quarantine (left) is not what can't be mapped (right)");
}
