//! What broke other people's tools, where it belongs to the stream. A test's name is their case.

use std::{collections::BTreeMap, sync::Arc};

use cdc_consumer::{Settings, batch::Batcher};
use mapping::row::RowKind;
use sqlx::{PgPool, Row as _};
use target::Target;

use crate::{
    fixture::{At, Contract, Record, TOPIC, batcher, event, owned, plan, push_all, settings},
    stream::world::database,
};

fn at(lsn: u32, order: u64) -> At {
    At { lsn, order: Some(order) }
}

/// A partition whose messages are applied as they come.
struct Partition {
    batcher: Batcher,
    admin: PgPool,
    target: Arc<Target>,
    next: i64,
}

impl Partition {
    async fn new(name: &str) -> Self {
        let plan = plan();
        let (admin, target) = database(name, &plan).await;
        let epoch = target.claim_partition("g", TOPIC, 0, "me").await.unwrap().epoch;
        let mut batcher = Batcher::new(&settings(), plan, BTreeMap::new());
        let mut owned = owned(TOPIC, 0);
        owned.epoch = epoch;
        batcher.assign(vec![owned]);
        Self { batcher, admin, target, next: 0 }
    }

    /// One batch.
    async fn apply(&mut self, records: &[Record]) {
        for record in records {
            self.batcher.push(&record.incoming(TOPIC, 0, self.next), 0).unwrap();
            self.next += 1;
        }
        let batch = self.batcher.take().unwrap();
        assert!(batch.stops.is_empty(), "{:?}", batch.stops);
        self.target.apply(batch).await.unwrap();
    }

    /// Number, status and terms of each contract.
    async fn rows(&self) -> Vec<(String, i32, Option<String>)> {
        let sql = "select contract_no, status, terms from contracts order by 1";
        let rows = sqlx::query(sql).fetch_all(&self.admin).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
    }

    async fn counts(&self) -> (i64, i64, i64) {
        let sql = "select read, applied, stale + folded from ficus.table_count";
        let row = sqlx::query(sql).fetch_one(&self.admin).await.unwrap();
        (row.get(0), row.get(1), row.get(2))
    }
}

/// F54. While a table changes over to another capture instance, both have the same change, at the
/// same LSN; the new one's has a column more.
#[tokio::test]
async fn f54_two_capture_instances_send_a_change_of_equal_lsn_once_each() {
    let mut partition = Partition::new("instances").await;
    let old = Contract::new("A", 1, Some("x"));
    let new = Contract { status: 2, ..old.clone() };
    let with_column = |row: &Contract, at| {
        let image = row.row(true).replacen('{', r#"{"New":7,"#, 1);
        let value = event("Contract", "u", Some(&image), Some(&image), at);
        Record { key: Some(row.key()), value: Some(value) }
    };
    let update = Record::update(&new, true, at(11, 1));
    partition.apply(&[Record::insert(&old, at(10, 1)), update]).await;
    // In a batch of its own, and twice within one.
    partition.apply(&[with_column(&new, at(11, 1))]).await;
    let newest = Contract { status: 3, ..old };
    let both = [Record::update(&newest, true, at(12, 1)), with_column(&newest, at(12, 1))];
    partition.apply(&both).await;
    assert_eq!(partition.rows().await, [("A".to_owned(), 3, Some("x".to_owned()))]);
    assert_eq!(partition.counts().await, (5, 2, 3));
}

/// Of a deleted row CDC tells no large values; a connector may be told to send the key alone.
#[tokio::test]
async fn the_delete_of_a_row_with_columns_that_are_not_null_tells_nulls() {
    let mut partition = Partition::new("not_null").await;
    sqlx::raw_sql("alter table contracts alter terms set not null, alter status set not null")
        .execute(&partition.admin)
        .await
        .unwrap();
    let [a, b] = ["A", "B"].map(|number| Contract::new(number, 1, Some("x")));
    partition.apply(&[Record::insert(&a, at(10, 1)), Record::insert(&b, at(10, 2))]).await;
    let nulls = a.row(false).replace(r#""Status":1"#, r#""Status":null"#);
    let nulls = event("Contract", "d", Some(&nulls), None, at(11, 1));
    let bare = event("Contract", "d", None, None, at(11, 2));
    let record = |row: &Contract, value| Record { key: Some(row.key()), value: Some(value) };
    partition.apply(&[record(&a, nulls), record(&b, bare)]).await;
    assert!(partition.rows().await.is_empty());
    assert_eq!(partition.counts().await, (4, 4, 0));
}

/// Trailing blanks, the empty text beside NULL, signs beyond 16 bits, and what looks like syntax.
#[tokio::test]
async fn texts_come_out_as_they_were() {
    let mut partition = Partition::new("texts").await;
    let texts = [
        None,
        Some(""),
        Some(" "),
        Some("blank at the end  "),
        Some("👩‍👩‍👧 \u{10ffff} нөхцөл"),
        Some("\t\r\n\\N \\. \"'; drop table contracts; --"),
        Some("\u{feff}e\u{301}"),
    ];
    let rows: Vec<Contract> = (0..)
        .zip(texts)
        .map(|(number, text)| Contract::new(&format!("N{number}"), 1, text))
        .collect();
    let records: Vec<Record> =
        (0..).zip(&rows).map(|(order, row)| Record::insert(row, at(10, order))).collect();
    partition.apply(&records).await;
    let found: Vec<Option<String>> =
        partition.rows().await.into_iter().map(|(_, _, terms)| terms).collect();
    assert_eq!(found, texts.map(|text| text.map(str::to_owned)));
    // U+0000 is for the mapping to refuse: it costs its row, and no batch.
    let nul = Contract::new("Z", 1, Some("a\0b"));
    let good = Contract::new("Y", 1, Some("y"));
    partition.apply(&[Record::insert(&nul, at(11, 1)), Record::insert(&good, at(11, 2))]).await;
    assert_eq!(partition.rows().await.len(), texts.len() + 1);
    let rules: Vec<String> = sqlx::query_scalar("select rule from ficus.quarantine")
        .fetch_all(&partition.admin)
        .await
        .unwrap();
    assert_eq!(rules.len(), 1, "{rules:?}");
}

/// Memory is bounded by the batch and not by the legacy transaction, which may be cut anywhere.
#[test]
fn a_transaction_of_100_000_rows_is_many_batches() {
    let settings = Settings { batch_rows_max: 10_000, ..settings() };
    let mut batcher = Batcher::new(&settings, plan(), BTreeMap::new());
    batcher.assign(vec![owned(TOPIC, 0)]);
    let (mut rows, mut bytes_max, mut batches) = (0, 0, 0);
    for number in 0..100_000_u32 {
        let row = Contract::new(&format!("N{number}"), 1, None);
        let record = Record::insert(&row, at(10, u64::from(number)));
        batcher.push(&record.incoming(TOPIC, 0, i64::from(number)), 0).unwrap();
        bytes_max = bytes_max.max(batcher.bytes());
        if batcher.rows() >= settings.batch_rows_max {
            let batch = batcher.take().unwrap();
            rows += batch.rows.row_count();
            batches += 1;
        }
    }
    assert_eq!((rows, batches), (100_000, 10));
    assert!(bytes_max < settings.batch_bytes_max, "{bytes_max}");
}

/// The engine follows rows; what is gone with its table is for reconcile to tell.
#[test]
fn a_truncate_deletes_nothing_and_is_kept() {
    let mut batcher = batcher();
    let row = Contract::new("A", 1, None);
    let truncate = Record::of(&event("Contract", "t", None, None, at(11, 1)));
    push_all(&mut batcher, TOPIC, &[Record::insert(&row, at(10, 1)), truncate]);
    let batch = batcher.take().unwrap();
    let rows: Vec<_> = batch.rows.iter().flat_map(|part| &part.rows).collect();
    assert_eq!((rows.len(), rows[0].kind), (1, RowKind::Upsert));
    assert_eq!(batch.quarantine.len(), 1);
    assert_eq!(batch.quarantine[0].rule, "op.truncate");
}
