//! Is the target what the ledger says: nothing lost, nothing invented, nothing wrong, and every
//! event counted exactly once?

use std::collections::BTreeMap;

use sqlx::{PgPool, Row as _};

use crate::{
    ledger::{Contract, Party, Table},
    world::World,
};

/// A row in one line. What the engine derives (ids, positions) is not in it.
type Lines = BTreeMap<String, String>;

fn wanted_contract(number: u32, row: &Contract) -> (String, String) {
    let Contract { tenant, slot, total, terms, revision } = row;
    let line = format!("tenant {tenant} slot {slot} total {total} revision {revision} {terms:?}");
    (format!("C-{number}"), line)
}

fn wanted_party(number: u32, row: &Party) -> (String, String) {
    let Party { name, note, credit, lock, deleted } = row;
    (number.to_string(), format!("{name:?} {note:?} credit {credit} lock {lock} {deleted}"))
}

/// What a foreign key's or a row's id stands for in the legacy database.
async fn keys(pool: &PgPool) -> BTreeMap<uuid::Uuid, String> {
    let rows = sqlx::query("select id, key from ficus.key_map").fetch_all(pool).await;
    let rows = rows.expect("keys");
    let text = |key: &[u8]| {
        let key = mapping::key::CanonicalKey::from_bytes(key);
        spacehub::model::key_text(&key.parts())
    };
    rows.iter().map(|row| (row.get(0), text(row.get(1)))).collect()
}

async fn contracts(pool: &PgPool, keys: &BTreeMap<uuid::Uuid, String>) -> Lines {
    let sql = "select number, tenant_id, slot, total, terms, revision from contracts";
    let rows = sqlx::query(sql).fetch_all(pool).await.expect("contracts");
    rows.iter()
        .map(|row| {
            let contract = Contract {
                tenant: keys[&row.get(1)].parse().expect("a number"),
                slot: u64::try_from(row.get::<i32, _>(2)).expect("a slot"),
                total: u64::try_from(row.get::<i64, _>(3)).expect("a total"),
                terms: row.get(4),
                revision: u32::try_from(row.get::<i32, _>(5)).expect("a revision"),
            };
            let number: String = row.get(0);
            let (_, line) = wanted_contract(0, &contract);
            (number, line)
        })
        .collect()
}

async fn tenants(pool: &PgPool, keys: &BTreeMap<uuid::Uuid, String>) -> Lines {
    let sql = "select id, name, note, credit, version, deleted_at is not null from tenants";
    let rows = sqlx::query(sql).fetch_all(pool).await.expect("tenants");
    rows.iter()
        .map(|row| {
            let party = Party {
                name: row.get(1),
                note: row.get(2),
                credit: u32::try_from(row.get::<i32, _>(3)).expect("a credit"),
                lock: u32::try_from(row.get::<i32, _>(4)).expect("a version"),
                deleted: row.get(5),
            };
            let (_, line) = wanted_party(0, &party);
            (keys[&row.get(0)].clone(), line)
        })
        .collect()
}

fn differences(table: &str, wanted: &Lines, found: &Lines, into: &mut Vec<String>) {
    for (key, line) in wanted {
        match found.get(key) {
            None => into.push(format!("{table} {key} is lost: {line}")),
            Some(other) if other != line => {
                into.push(format!("{table} {key} is wrong: {other}, not {line}"));
            }
            Some(_) => {}
        }
    }
    for key in found.keys().filter(|key| !wanted.contains_key(*key)) {
        into.push(format!("{table} {key} is invented"));
    }
}

/// What is lost, invented or wrong.
pub(crate) async fn differences_of(world: &World) -> Vec<String> {
    let keys = keys(&world.pool).await;
    let mut found = Vec::new();
    let wanted = world.ledger.contracts.iter().map(|(n, row)| wanted_contract(*n, row)).collect();
    differences("contract", &wanted, &contracts(&world.pool, &keys).await, &mut found);
    let wanted = world.ledger.parties.iter().map(|(n, row)| wanted_party(*n, row)).collect();
    differences("tenant", &wanted, &tenants(&world.pool, &keys).await, &mut found);
    found
}

/// Zero lost, zero invented, zero wrong.
pub(crate) async fn assert_rows(world: &World) {
    let mut found = differences_of(world).await;
    let count = found.len();
    found.truncate(50);
    assert!(count == 0, "{count} differences:\n{}", found.join("\n"));
}

/// Every event of `passes` complete passes is counted once, nothing waits, nobody is in a
/// transaction.
pub(crate) async fn assert_accounts(world: &World, passes: u64) {
    let count = async |sql: &'static str| -> i64 {
        sqlx::query_scalar(sql).fetch_one(&world.pool).await.expect("a count")
    };
    assert_eq!(count("select count(*) from ficus.parked").await, 0, "parked changes");
    assert_eq!(count("select count(*) from ficus.quarantine").await, 0, "quarantined changes");
    for table in Table::ALL {
        let row = sqlx::query(
            "select read, applied + stale + folded + ignored + quarantined, quarantined \
             from ficus.table_count where source_table = $1 and origin = 'stream'",
        )
        .bind(format!("dbo.{}", table.name()))
        .fetch_one(&world.pool)
        .await
        .expect("counts");
        let (read, accounted, quarantined): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
        let wanted = i64::try_from(passes * world.events(table)).expect("few");
        assert_eq!((read, accounted, quarantined), (wanted, wanted, 0), "{table:?}");
    }
    let open = "select count(*) from pg_stat_activity where datname = current_database() \
                and pid <> pg_backend_pid() and state like 'idle in transaction%'";
    assert_eq!(count(open).await, 0, "open transactions");
}
