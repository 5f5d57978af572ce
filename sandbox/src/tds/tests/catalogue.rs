//! The catalogue, CDC and session statements.

use std::time::Duration;

use uuid::Uuid;

use super::*;

#[tokio::test]
async fn the_catalogue_is_answered() {
    let database = database();
    let server = start(&database, Tls::Off).await;
    let mut connection = connect(&server).await;
    for sql in [
        "SET NOCOUNT ON; SET XACT_ABORT ON",
        "SET LOCK_TIMEOUT 10000",
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
    ] {
        assert!(rows(&mut connection, sql).await.is_empty());
    }
    let named = rows(&mut connection, "SELECT DB_NAME() AS [name], CAST(DATABASEPROPERTYEX(DB_NAME(), 'Collation') AS nvarchar(128)) AS [collation]").await;
    assert_eq!(named[0].get::<&str, _>("name"), Some("Legacy"));
    assert_eq!(named[0].get::<&str, _>("collation"), Some("Cyrillic_General_CI_AS"));
    let on = "SELECT d.is_cdc_enabled FROM sys.databases AS d WHERE d.name = DB_NAME()";
    assert_eq!(rows(&mut connection, on).await[0].get::<bool, _>(0), Some(true));
    let columns = rows(&mut connection, "SELECT s.name AS schema_name, t.name AS table_name, c.name AS column_name, ty.name AS type_name, c.max_length, c.precision, c.scale, c.is_nullable, c.is_identity, c.is_computed, c.collation_name FROM sys.tables AS t JOIN sys.schemas AS s ON s.schema_id = t.schema_id JOIN sys.columns AS c ON c.object_id = t.object_id JOIN sys.types AS ty ON ty.user_type_id = c.user_type_id WHERE t.is_ms_shipped = 0 ORDER BY s.name, t.name, c.column_id").await;
    let shown = |row: &Row| {
        let text = |name: &str| row.get::<&str, _>(name).unwrap_or("NULL").to_owned();
        format!(
            "{}.{} {} {} {} {} {} {}",
            text("schema_name"),
            text("table_name"),
            text("column_name"),
            text("type_name"),
            row.get::<i16, _>("max_length").expect("not NULL"),
            row.get::<u8, _>("precision").expect("not NULL"),
            row.get::<u8, _>("scale").expect("not NULL"),
            text("collation_name"),
        )
    };
    let shown: Vec<String> = columns.iter().map(shown).collect();
    assert_eq!(shown[0], "dbo.Contract CompanyNo nvarchar 8 0 0 Cyrillic_General_CI_AS");
    assert_eq!(shown[3], "dbo.Contract SignedOn datetime 8 23 3 NULL");
    assert_eq!(shown[5], "dbo.Contract Terms nvarchar -1 0 0 Cyrillic_General_CI_AS");
    assert_eq!(shown[6], "dbo.ficus_marker token uniqueidentifier 16 0 0 NULL");
    assert_eq!(shown.len(), 16);
    let keys = rows(&mut connection, "SELECT s.name AS schema_name, t.name AS table_name, c.name AS column_name FROM sys.indexes AS i JOIN sys.index_columns AS ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id JOIN sys.tables AS t ON t.object_id = i.object_id JOIN sys.schemas AS s ON s.schema_id = t.schema_id JOIN sys.columns AS c ON c.object_id = ic.object_id AND c.column_id = ic.column_id WHERE i.is_primary_key = 1 ORDER BY s.name, t.name, ic.key_ordinal").await;
    let shown: Vec<_> = keys.iter().filter_map(|row| row.get::<&str, _>(2)).collect();
    assert_eq!(
        shown,
        ["CompanyNo", "ContractNo", "token", "Oid", "SPACE_ID", "RATE_CODE", "VALID_FROM", "OID"]
    );
    let instances = rows(&mut connection, "SELECT s.name AS schema_name, t.name AS table_name, ct.capture_instance FROM cdc.change_tables AS ct JOIN sys.tables AS t ON t.object_id = ct.source_object_id JOIN sys.schemas AS s ON s.schema_id = t.schema_id ORDER BY ct.start_lsn").await;
    assert_eq!(instances.len(), 5);
    assert_eq!(instances[0].get::<&str, _>(2), Some("dbo_Contract"));
    server.stop().await;
}

#[tokio::test]
async fn rows_are_counted() {
    let database = database();
    database.load("Contract", [contract("A", "1"), contract("A", "2")]).expect("loaded");
    let server = start(&database, Tls::Off).await;
    let mut connection = connect(&server).await;
    let counted =
        rows(&mut connection, "SELECT COUNT_BIG(*) AS [rows] FROM [dbo].[Contract]").await;
    assert_eq!(counted[0].get::<i64, _>("rows"), Some(2));
    let sql = "SELECT SUM(p.row_count) AS [rows] FROM sys.dm_db_partition_stats AS p WHERE p.object_id = OBJECT_ID(@P1) AND p.index_id IN (0, 1)";
    for (table, count) in [("[dbo].[Contract]", Some(2_i64)), ("[dbo].[Missing]", None)] {
        let result = connection.query(sql, &[&table]).await.expect("sent");
        let row = result.into_row().await.expect("rows").expect("one");
        assert_eq!(row.get::<i64, _>("rows"), count, "{table}");
    }
}

#[tokio::test]
async fn the_marker_goes_round() {
    let database = database();
    database.set_capture_lag(Duration::from_millis(30));
    let server = start(&database, Tls::Off).await;
    let mut connection = connect(&server).await;
    let token = Uuid::from_u128(0xF1C5);
    let max = "SELECT sys.fn_cdc_get_max_lsn() AS [lsn]";
    let lsn = |row: &Row| row.get::<&[u8], _>("lsn").map(<[u8]>::to_vec);
    let before = lsn(&rows(&mut connection, max).await[0]).expect("CDC is on");
    let min = "SELECT sys.fn_cdc_get_min_lsn(@P1) AS [lsn]";
    for (instance, expected) in [("dbo_ficus_marker", before.clone()), ("dbo_No", vec![0; 10])] {
        let result = connection.query(min, &[&instance]).await.expect("sent");
        let row = result.into_row().await.expect("rows").expect("one");
        assert_eq!(lsn(&row), Some(expected));
    }
    let put = "INSERT INTO [dbo].[ficus_marker] ([token], [at]) VALUES (@P1, GETUTCDATE())";
    let result = connection.execute(put, &[&token]).await.expect("written");
    assert_eq!(result.total(), 1);
    let again = connection.execute(put, &[&token]).await.expect_err("a duplicate");
    assert_eq!(again.code(), Some(2627));
    let find = "SELECT TOP (1) [__$start_lsn] AS [lsn] FROM [cdc].[dbo_ficus_marker_CT] WHERE [token] = @P1";
    let found = connection.query(find, &[&token]).await.expect("sent").into_row().await;
    assert!(found.expect("rows").is_none(), "it is not captured yet");
    let captured = database.log().captured();
    captured.clone().wait_for(|lsn| lsn.as_bytes()[..] > before[..]).await.expect("captured");
    let found = connection.query(find, &[&token]).await.expect("sent").into_row().await;
    let marked = lsn(&found.expect("rows").expect("captured")).expect("an LSN");
    assert_eq!(marked, database.log().committed_lsn().as_bytes());
    assert_eq!(lsn(&rows(&mut connection, max).await[0]), Some(marked));
    database.set_cdc_enabled(false);
    assert_eq!(lsn(&rows(&mut connection, max).await[0]), None);
}

#[tokio::test]
async fn a_transaction_holds_its_marker_until_the_commit() {
    let database = database();
    let server = start(&database, Tls::Off).await;
    let mut connection = connect(&server).await;
    let put = "INSERT INTO [dbo].[ficus_marker] ([token], [at]) VALUES (@P1, GETUTCDATE())";
    for (commit, count) in [(false, 0), (true, 1)] {
        connection.begin_transaction().await.expect("begun");
        connection.execute(put, &[&Uuid::from_u128(1)]).await.expect("written");
        assert_eq!(database.row_count("ficus_marker").expect("there"), 0);
        if commit {
            connection.commit_transaction().await.expect("committed");
        } else {
            connection.rollback_transaction().await.expect("rolled back");
        }
        assert_eq!(database.row_count("ficus_marker").expect("there"), count);
    }
    assert!(connection.commit_transaction().await.is_err(), "nothing is open");
}

#[tokio::test]
async fn a_snapshot_transaction_sees_one_moment() {
    let database = database();
    database.load("Contract", [contract("A", "1")]).expect("loaded");
    let server = start(&database, Tls::Off).await;
    let mut connection = connect(&server).await;
    rows(&mut connection, "SET TRANSACTION ISOLATION LEVEL SNAPSHOT").await;
    let count = "SELECT COUNT_BIG(*) AS [rows] FROM [dbo].[Contract]";
    let max = "SELECT sys.fn_cdc_get_max_lsn() AS [lsn]";
    connection.begin_transaction().await.expect("begun");
    let lsn = |rows: Vec<Row>| rows[0].get::<&[u8], _>("lsn").map(<[u8]>::to_vec);
    let before = lsn(rows(&mut connection, max).await);
    database.transaction(|tx| tx.insert("Contract", contract("A", "2"))).expect("committed");
    assert_eq!(rows(&mut connection, count).await[0].get::<i64, _>(0), Some(1));
    assert_eq!(lsn(rows(&mut connection, max).await), before);
    connection.commit_transaction().await.expect("committed");
    assert_eq!(rows(&mut connection, count).await[0].get::<i64, _>(0), Some(2));
    assert!(lsn(rows(&mut connection, max).await) > before);
}
