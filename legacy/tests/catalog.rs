use std::time::Duration;

use mapping::{
    catalog::{LegacyTable, Table},
    position::Lsn,
};

use crate::setup::{Fixture, text};

#[tokio::test]
async fn the_catalogue_is_what_the_ddl_says() {
    let fixture = Fixture::plain().await;
    let mut session = fixture.session().await;
    let read = session.catalog().await.unwrap();
    assert_eq!(read, fixture.database.catalog());
    assert_eq!(read.tables.len(), 6);
    let payment = read.table(&LegacyTable::new("DBO", "payment")).unwrap();
    assert_eq!(payment.capture_instance.as_deref(), Some("dbo_Payment"));
    assert_eq!(payment.captured_columns, ["Oid", "Amount", "Note"]);
    let indexes: Vec<_> = payment.unique_indexes.iter().map(|i| i.columns.join(",")).collect();
    assert_eq!(indexes, ["Amount", "Oid,Amount"]);
    let filters: Vec<_> = payment.unique_indexes.iter().map(|i| i.filter.as_deref()).collect();
    assert_eq!(filters, [Some("([Amount] IS NOT NULL)"), None]);
    let import = read.table(&LegacyTable::new("dbo", "Import")).unwrap();
    let [contract, line] = import.foreign_keys.as_slice() else { panic!("{import:?}") };
    assert_eq!(contract.columns, ["Company", "Number"]);
    assert_eq!(contract.references, LegacyTable::new("dbo", "Contract"));
    assert_eq!(contract.referenced_columns, ["CompanyNo", "ContractNo"]);
    assert_eq!(line.name, "FK_Import_Line");
}

#[tokio::test]
async fn sizes_are_told_where_the_login_may_ask() {
    let fixture = Fixture::plain().await;
    let mut session = fixture.session().await;
    let sizes = session.sizes().await.unwrap().unwrap();
    assert_eq!(sizes.len(), 6);
    let import_table = LegacyTable::new("dbo", "Import");
    let import = sizes[&import_table];
    assert_eq!(import.rows, 2100);
    assert!(import.bytes >= 2100 * 13 && import.bytes % 8192 == 0, "{import:?}");
    // No permission; no such view, by SQL Server's number and by another server's own.
    for number in [297, 208, 33_557_097] {
        fixture.server.faults().fail_next_query(number);
        assert_eq!(session.sizes().await.unwrap(), None);
        fixture.server.faults().fail_next_query(number);
        assert_eq!(session.row_count(&import_table).await.unwrap(), 2100);
        assert!(session.is_usable());
    }
}

#[tokio::test]
async fn without_cdc_there_is_a_catalogue_and_no_watermark() {
    let fixture = Fixture::plain().await;
    fixture.database.set_cdc_enabled(false);
    let mut session = fixture.session().await;
    let catalog = session.catalog().await.unwrap();
    assert!(catalog.tables.iter().all(|table| table.capture_instance.is_none()));
    assert!(catalog.tables.iter().all(|table| table.captured_columns.is_empty()));
    let capture = session.capture_state().await.unwrap();
    assert!(!capture.enabled);
    assert_eq!(capture.max_lsn, None);
}

#[tokio::test]
async fn the_watermark_goes_up_with_the_commits() {
    let fixture = Fixture::plain().await;
    let mut session = fixture.session().await;
    let insert = |number: &str| {
        let row = vec![text("X"), text(number), mapping::value::LegacyValue::Null];
        fixture.database.transaction(|t| t.insert("dbo.Contract", row)).unwrap()
    };
    let first = insert("1");
    assert_eq!(session.capture_state().await.unwrap().max_lsn, Some(first));
    let second = insert("2");
    assert!(second > first);
    assert_eq!(session.capture_state().await.unwrap().max_lsn, Some(second));
    assert!(session.min_lsn("dbo_Contract").await.unwrap().is_some_and(|lsn| lsn <= first));
    assert_eq!(session.min_lsn("dbo_Nothing").await.unwrap().filter(|l| *l != Lsn::ZERO), None);
}

#[tokio::test]
async fn counts_and_type_names_are_read() {
    let fixture = Fixture::plain().await;
    let mut session = fixture.session().await;
    let payments = fixture.stored("Payment").len();
    assert_eq!(
        session.row_count(&LegacyTable::new("dbo", "Payment")).await.unwrap(),
        u64::try_from(payments).unwrap()
    );
    let types = session.object_types().await.unwrap();
    assert_eq!(types.get(&2).map(String::as_str), Some("Type2"));
    assert_eq!(types.len(), 3);
}

#[tokio::test]
async fn a_marker_comes_back_with_its_commit_lsn() {
    let fixture = Fixture::plain().await;
    fixture.database.set_capture_lag(Duration::from_millis(120));
    let mut session = fixture.session().await;
    let token = uuid::Uuid::from_u128(7);
    let lsn = session.put_marker(token, Duration::from_secs(20)).await.unwrap();
    assert_eq!(session.capture_state().await.unwrap().max_lsn, Some(lsn));
    fixture.database.set_capture_lag(Duration::MAX);
    let never = session.put_marker(uuid::Uuid::from_u128(8), Duration::from_millis(100)).await;
    assert!(matches!(never, Err(legacy::Error::NotCaptured { .. })), "{never:?}");
}

#[tokio::test]
async fn what_cdc_still_has_is_told_for_each_table() {
    let fixture = Fixture::plain().await;
    let mut session = fixture.session().await;
    let insert = |number: &str| {
        let row = vec![text("X"), text(number), mapping::value::LegacyValue::Null];
        fixture.database.transaction(|t| t.insert("dbo.Contract", row)).unwrap()
    };
    let (first, second) = (insert("1"), insert("2"));
    let of = |capture: &legacy::Capture, name: &str| {
        let found = capture.instances.iter().find(|instance| instance.table.name == name);
        let found = found.unwrap();
        (found.min_lsn, found.last_lsn)
    };
    let capture = session.capture().await.unwrap();
    assert_eq!(capture.state.max_lsn, Some(second));
    assert_eq!(of(&capture, "Contract").1, Some(second));
    assert_eq!(of(&capture, "Payment").1, None);
    assert!(of(&capture, "Contract").0 < Some(first));
    // The clean-up of one table.
    fixture.database.log().trim_table("Contract", first).unwrap();
    let capture = session.capture().await.unwrap();
    assert_eq!(of(&capture, "Contract"), (Some(first), Some(second)));
    assert!(of(&capture, "Payment").0 < Some(first));
    fixture.database.set_captured("Contract", false).unwrap();
    fixture.database.set_cdc_enabled(false);
    let capture = session.capture().await.unwrap();
    assert!(!capture.state.enabled && capture.instances.is_empty());
}

/// In lower case, and without what is left open of indexes.
fn in_lower_case(table: &Table) -> Table {
    let json = serde_json::to_string(table).unwrap().to_lowercase();
    let mut table: Table = serde_json::from_str(&json).unwrap();
    for index in &mut table.unique_indexes {
        (index.name, index.filter) = (String::new(), None);
    }
    table
}

/// On another server: the tables are told as they were made, and CDC's answers have the right shape.
#[tokio::test]
async fn another_server_is_understood() {
    let fixture = Fixture::any().await;
    let mut session = fixture.session().await;
    let read = session.catalog().await.unwrap();
    for name in ["Contract", "Import", "Payment", "Rate", "XPObjectType"] {
        let table = LegacyTable::new("dbo", name);
        let (mut read, mut made) = (
            read.table(&table).unwrap().clone(),
            fixture.database.catalog().table(&table).unwrap().clone(),
        );
        for table in [&mut read, &mut made] {
            (table.capture_instance, table.captured_columns) = (None, Vec::new());
            table.columns.iter_mut().for_each(|column| column.collation = None);
        }
        if crate::other::is_there() {
            let refused = &crate::other::server(&fixture.database).await.refused;
            let is_made =
                |name: &str| !refused.iter().any(|sql| sql.contains(&format!("[{name}]")));
            made.foreign_keys.retain(|key| is_made(&key.name));
            made.unique_indexes.retain(|index| is_made(&index.name));
        }
        if crate::other::is_there() && read != made {
            crate::other::skipped(
                &table.to_string(),
                "names in another spelling, or those and filters of indexes",
            );
            (read, made) = (in_lower_case(&read), in_lower_case(&made));
        }
        assert_eq!(read, made);
        let rows = fixture.database.row_count(&table.to_string()).unwrap();
        assert_eq!(session.row_count(&table).await.unwrap(), rows);
    }
    assert_eq!(session.object_types().await.unwrap().len(), 3);
    let capture = session.capture_state().await.unwrap();
    if !capture.enabled {
        crate::other::skipped("another_server_is_understood", "no CDC: nothing of it is asked");
        assert_eq!(capture.max_lsn, None);
        return;
    }
    for instance in session.capture().await.unwrap().instances {
        assert!(instance.last_lsn.is_none() || instance.last_lsn >= instance.min_lsn);
    }
}
