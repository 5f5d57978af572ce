use legacy::{Error, Isolation, KeyRange, LegacyRow, Session, TableScan};
use mapping::{
    catalog::LegacyTable,
    plan::{SourceColumn, TablePlan},
    value::LegacyValue,
};
use sandbox::tds::Tls;

use crate::setup::{Fixture, sorted, text};

async fn collect(session: &mut Session, table: &TablePlan, range: &KeyRange) -> Vec<LegacyRow> {
    let mut rows = Vec::new();
    let mut each = |row| {
        rows.push(row);
        true
    };
    let count = session.read_range(table, range, &mut each).await.unwrap();
    assert_eq!(count, u64::try_from(rows.len()).unwrap());
    rows
}

/// In this fixture the plan reads all columns in table order, so whole rows compare.
#[tokio::test]
async fn each_row_is_read_exactly_once_whatever_the_key() {
    let fixture = Fixture::any().await;
    let mut session = fixture.session().await;
    for name in ["Payment", "Contract", "Rate"] {
        let (table, stored) = (fixture.table(name), fixture.ordered(name).await);
        assert_eq!(collect(&mut session, table, &KeyRange::default()).await, stored, "{name}");
        for rows in [13, 100, 1_000_000] {
            let cuts = session.split(table, rows).await.unwrap();
            assert_eq!(cuts.len(), stored.len() / usize::try_from(rows).unwrap());
            let mut read = Vec::new();
            let mut after = None;
            for up_to in cuts.into_iter().map(Some).chain([None]) {
                let range = KeyRange { after, up_to: up_to.clone() };
                let part = collect(&mut session, table, &range).await;
                assert!(part.len() <= usize::try_from(rows).unwrap(), "{name} {rows}");
                read.extend(part);
                after = up_to;
            }
            assert_eq!(read, stored, "{name} in parts of {rows}");
        }
    }
}

#[tokio::test]
async fn reading_goes_on_after_any_row() {
    let fixture = Fixture::any().await;
    let mut session = fixture.session().await;
    for name in ["Payment", "Contract", "Rate"] {
        let (table, stored) = (fixture.table(name), fixture.ordered(name).await);
        for at in (0..stored.len()).step_by(37) {
            let key = table.key.iter().map(|&index| stored[at][index].clone()).collect();
            let range = KeyRange { after: Some(key), up_to: None };
            assert_eq!(collect(&mut session, table, &range).await, stored[at + 1..], "{name} {at}");
        }
    }
}

/// Reads a table in pages of a few rows, each behind the last key of the one before. (Another server
/// may take a second for the new connection that a page needs which was left early.)
async fn pages(fixture: &Fixture, name: &str) -> Vec<LegacyRow> {
    let mut session = fixture.session().await;
    let (table, stored) = (fixture.table(name), fixture.stored(name));
    let mut read = Vec::new();
    let mut after = None;
    let rows_max = if crate::other::is_there() { 301 } else { 7 };
    loop {
        let mut page: Vec<LegacyRow> = Vec::new();
        let range = KeyRange { after: after.take(), up_to: None };
        let mut each = |row| {
            page.push(row);
            page.len() < rows_max
        };
        session.read_range(table, &range, &mut each).await.unwrap();
        if !session.is_usable() {
            session = fixture.session().await;
        }
        let Some(last) = page.last() else { return read };
        after = Some(table.key.iter().map(|&index| last[index].clone()).collect());
        read.extend(page);
        assert!(read.len() <= stored.len(), "a page came twice");
    }
}

/// A `datetime` steps by 1/300 s. A parameter of type datetime2 says .187 where .186666… is
/// stored, and is greater since compatibility level 130: rows would be skipped, or come twice.
#[tokio::test]
async fn trap_08_pages_by_a_datetime_skip_or_loop() {
    let fixture = Fixture::any().await;
    let stored = fixture.stored("Rate");
    let table = fixture.table("Rate");
    let datetime = |row: &&LegacyRow| {
        let key = table.key.iter().filter_map(|&index| row.get(index));
        let mut times = key.filter_map(|value| match value {
            LegacyValue::Timestamp(ticks) => Some(ticks / 10_000 % 10),
            _ => None,
        });
        times.next().is_some_and(|digit| digit == 7)
    };
    assert!(stored.iter().filter(datetime).count() > 50, "some end in .xx7, which is not exact");
    assert_eq!(pages(&fixture, "Rate").await, fixture.ordered("Rate").await);
}

/// The last key goes to the server as a parameter; the server alone knows what comes after it.
#[tokio::test]
async fn trap_09_pages_of_guids_skip_or_loop() {
    let fixture = Fixture::any().await;
    let stored = fixture.stored("Payment");
    let table = fixture.table("Payment");
    let shown = |row: &LegacyRow| row[table.key[0]].to_string();
    let backwards = stored.windows(2).filter(|pair| shown(&pair[0]) > shown(&pair[1])).count();
    assert!(backwards > stored.len() / 3, "the orders of the two sides differ");
    assert_eq!(pages(&fixture, "Payment").await, fixture.ordered("Payment").await);
}

/// So many rows at a time, and only those that a condition of the operator's holds for.
#[tokio::test]
async fn a_part_of_a_range_is_read_in_steps() {
    let fixture = Fixture::any().await;
    let mut session = fixture.session().await;
    let table = fixture.table("Rate");
    let condition = legacy::Condition::new("[Space] = 2 OR [Space] >= 3 AND [Rate] IS NULL -- few");
    let expected: Vec<LegacyRow> = fixture
        .ordered("Rate")
        .await
        .into_iter()
        .filter(|row| row[table.key[0]] == LegacyValue::Int(2))
        .collect();
    let cuts = session.split_where(table, condition.as_ref(), 100).await.unwrap();
    assert_eq!(cuts.len(), expected.len() / 100);
    let mut read = Vec::new();
    let mut after = None;
    loop {
        let part = legacy::RangePart {
            range: KeyRange { after: after.take(), up_to: None },
            condition: condition.clone(),
            rows_max: Some(37),
        };
        let (sink, mut rows) = tokio::sync::mpsc::channel(9);
        let count = session.stream_part(table, &part, &sink).await.unwrap();
        drop(sink);
        while let Some(batch) = rows.recv().await {
            read.extend(batch);
        }
        if count < 37 {
            break;
        }
        let last: &LegacyRow = read.last().unwrap();
        after = Some(table.key.iter().map(|&index| last[index].clone()).collect());
        assert!(read.len() <= expected.len(), "a step came twice");
    }
    assert_eq!(read, expected);
}

#[tokio::test]
async fn batches_are_bounded_and_wait_for_the_sink() {
    let fixture = Fixture::any().await;
    let stored = fixture.ordered("Payment").await;
    let (sink, mut rows) = tokio::sync::mpsc::channel(1);
    let table = fixture.table("Payment");
    let mut session = fixture.session().await;
    let range = KeyRange::default();
    let reading = session.stream_range(table, &range, &sink);
    let collecting = async {
        let mut all = Vec::new();
        while all.len() < stored.len() {
            let batch: Vec<LegacyRow> = rows.recv().await.unwrap();
            assert!(batch.len() <= 1000);
            all.extend(batch);
        }
        all
    };
    let (count, all) = tokio::join!(reading, collecting);
    assert_eq!(count.unwrap(), u64::try_from(stored.len()).unwrap());
    assert_eq!(all, stored);
}

#[tokio::test]
async fn whoever_has_enough_may_stop_and_the_session_stays() {
    let fixture = Fixture::plain().await;
    // Slow enough to be still at it when it is asked to stop.
    fixture.server.faults().delay_per_row(std::time::Duration::from_millis(1));
    let mut session = fixture.session().await;
    let table = fixture.table("Payment");
    let mut seen = 0;
    let mut each = |_| {
        seen += 1;
        seen < 3
    };
    session.read_range(table, &KeyRange::default(), &mut each).await.unwrap();
    assert_eq!(seen, 3);
    assert!(session.is_usable());
    let (sink, rows) = tokio::sync::mpsc::channel(1);
    drop(rows);
    assert_eq!(session.stream_range(table, &KeyRange::default(), &sink).await.unwrap(), 0);
    assert!(session.is_usable());
    assert_eq!(session.object_types().await.unwrap().len(), 3);
}

#[tokio::test]
async fn rows_are_found_by_canonical_key() {
    let fixture = Fixture::any().await;
    let mut session = fixture.session().await;
    for name in ["Payment", "Contract", "Rate"] {
        let (table, stored) = (fixture.table(name), fixture.stored(name));
        let mut keys: Vec<_> = stored.iter().map(|row| table.canonical_key(row).unwrap()).collect();
        let read = session.read_keys(table, &keys).await.unwrap();
        assert_eq!(read.len(), stored.len(), "{name}");
        assert!(stored.iter().all(|row| read.contains(row)), "{name}");
        keys.truncate(1);
        assert_eq!(session.read_keys(table, &keys).await.unwrap(), stored[..1]);
        assert!(session.read_keys(table, &[]).await.unwrap().is_empty());
    }
}

/// A scan of all columns, in table order.
fn scan_of(fixture: &Fixture, name: &str) -> TableScan {
    let catalog = fixture.database.catalog();
    let table = catalog.table(&LegacyTable::new("dbo", name)).unwrap();
    let column = |column: &mapping::catalog::Column| SourceColumn {
        name: column.name.clone(),
        sql_type: column.sql_type.clone(),
        key: table.primary_key.contains(&column.name),
        lob: column.sql_type.is_lob(),
    };
    let columns: Vec<SourceColumn> = table.columns.iter().map(column).collect();
    let place = |key: &String| columns.iter().position(|column| column.name == *key).unwrap();
    let key = table.primary_key.iter().map(place).collect();
    TableScan { table: table.table.clone(), columns, key }
}

#[tokio::test]
async fn a_table_is_read_without_a_mapping_and_without_a_key() {
    let fixture = Fixture::any().await;
    let mut session = fixture.session().await;
    for name in ["Payment", "Contract", "Import"] {
        let scan = scan_of(&fixture, name);
        let (sink, mut rows) = tokio::sync::mpsc::channel(100);
        let count = session.stream_scan(&scan, &KeyRange::default(), &sink).await.unwrap();
        drop(sink);
        let mut all = Vec::new();
        while let Some(batch) = rows.recv().await {
            all.extend(batch);
        }
        assert_eq!(count, u64::try_from(all.len()).unwrap());
        assert_eq!(sorted(&all), sorted(&fixture.stored(name)), "{name}");
    }
    let contract = scan_of(&fixture, "Contract");
    let by_plan = session.split(fixture.table("Contract"), 100).await.unwrap();
    assert_eq!(session.split_scan(&contract, 100).await.unwrap(), by_plan);
    let import = scan_of(&fixture, "Import");
    let refused = session.split_scan(&import, 100).await.unwrap_err();
    assert!(matches!(refused, Error::NoKey { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_lone_surrogate_costs_its_value_and_not_the_stream() {
    let fixture = Fixture::plain().await;
    let broken = LegacyValue::BrokenText("a\u{FFFD}b".into());
    let row = vec![LegacyValue::Guid(uuid::Uuid::from_u128(1)), LegacyValue::Null, broken.clone()];
    fixture.database.transaction(|t| t.insert("dbo.Payment", row)).unwrap();
    let mut session = fixture.session().await;
    let rows = collect(&mut session, fixture.table("Payment"), &KeyRange::default()).await;
    assert_eq!(rows, fixture.stored("Payment"));
    assert_eq!(rows.iter().filter(|row| row[2] == broken).count(), 1);
}

#[tokio::test]
async fn a_snapshot_and_tls_read_the_same() {
    let fixture = Fixture::start(Tls::Required).await;
    let mut session = fixture.session().await;
    session.isolate(Isolation::Snapshot).await.unwrap();
    let rows = collect(&mut session, fixture.table("Contract"), &KeyRange::default()).await;
    assert_eq!(rows, fixture.stored("Contract"));
    session.isolate(Isolation::ReadCommitted).await.unwrap();
}

#[tokio::test]
async fn long_values_cross_packets() {
    let fixture = Fixture::plain().await;
    let long: String = "Үнэ ".repeat(60_000);
    let row = vec![LegacyValue::Guid(uuid::Uuid::from_u128(2)), LegacyValue::Null, text(long)];
    fixture.database.transaction(|t| t.insert("dbo.Payment", row)).unwrap();
    let mut session = fixture.session().await;
    let rows = collect(&mut session, fixture.table("Payment"), &KeyRange::default()).await;
    assert!(rows == fixture.stored("Payment"));
}
