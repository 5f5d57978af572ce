//! Refusals and injected faults.

use std::time::{Duration, Instant};

use futures_util::TryStreamExt;

use super::*;

const ALL: &str = "SELECT [CompanyNo], [ContractNo], [Terms] FROM [dbo].[Contract] ORDER BY [CompanyNo], [ContractNo]";

fn full() -> Database {
    let database = database();
    let rows = (0..5_000).map(|n| {
        let mut row = contract("AB", &format!("{n:05}"));
        row[5] = text(&"x".repeat(200));
        row
    });
    database.load("Contract", rows).expect("loaded");
    database
}

#[tokio::test]
async fn logins_are_checked() {
    let database = database();
    let server = start(&database, Tls::Required).await;
    let wrong = connect_as(&server, "nope", EncryptionLevel::Required).await;
    assert_eq!(wrong.err().and_then(|error| error.code()), Some(18456));
    assert!(connect_as(&server, "p@ss é", EncryptionLevel::NotSupported).await.is_err());
    for encryption in [EncryptionLevel::Required, EncryptionLevel::On, EncryptionLevel::Off] {
        assert!(connect_as(&server, "p@ss é", encryption).await.is_ok(), "{encryption:?}");
    }
    server.stop().await;
    let server = start(&database, Tls::Off).await;
    let wrong = connect_as(&server, "nope", EncryptionLevel::NotSupported).await;
    assert_eq!(wrong.err().and_then(|error| error.code()), Some(18456));
    assert!(connect_as(&server, "p@ss é", EncryptionLevel::Required).await.is_err());
    let mut config = config("p@ss é", EncryptionLevel::NotSupported);
    config.database("Other");
    let other = connect_with(&server, config).await;
    assert_eq!(other.err().and_then(|error| error.code()), Some(4060));
}

#[tokio::test]
async fn unknown_statements_are_refused_with_their_text() {
    let server = start(&full(), Tls::Off).await;
    let mut connection = connect(&server).await;
    for sql in [
        "SELECT 1",
        "SELECT * FROM [dbo].[Contract] ORDER BY [CompanyNo], [ContractNo]",
        "SELECT TOP (5) [Tenant] FROM [dbo].[Contract] ORDER BY [CompanyNo], [ContractNo]",
        "SELECT DISTINCT [Tenant] FROM [dbo].[Contract] ORDER BY [CompanyNo], [ContractNo]",
        "SELECT [Tenant] FROM [dbo].[Contract] WITH (NOLOCK) ORDER BY [CompanyNo], [ContractNo]",
        "SELECT [Tenant] FROM [dbo].[Contract]",
        "SELECT [Tenant] FROM [dbo].[Contract] ORDER BY [CompanyNo]",
        "SELECT [Tenant] FROM [dbo].[Contract] ORDER BY [CompanyNo], [ContractNo] DESC",
        "SELECT [Tenant] FROM [dbo].[Contract] WHERE [Tenant] % 2 = 0 ORDER BY [CompanyNo], [ContractNo]",
        "SELECT CAST([Tenant] AS decimal(19,4)) AS [x] FROM [dbo].[Contract] ORDER BY [CompanyNo], [ContractNo]",
        "SELECT CAST([MonthlyTotal] AS decimal(18,4)) AS [x] FROM [dbo].[Contract] ORDER BY [CompanyNo], [ContractNo]",
        "SELECT COUNT_BIG(*) AS [rows] FROM [dbo].[Contract] WHERE [Tenant] IS NULL",
        "DELETE FROM [dbo].[Contract]",
        "SET IDENTITY_INSERT [dbo].[Contract] ON",
        "SELEKT",
    ] {
        let (number, message) = refusal(&mut connection, sql).await;
        assert_eq!(number, 102, "{sql}: {message}");
        let words = sql.split(' ').next().expect("a word");
        assert!(message.contains(words), "{sql}: {message}");
    }
    let order = "ORDER BY [CompanyNo], [ContractNo]";
    let unknown = format!("SELECT [Nope] FROM [dbo].[Contract] {order}");
    assert_eq!(refusal(&mut connection, &unknown).await.0, 207);
    let unknown = format!("SELECT [Nope] FROM [dbo].[Missing] {order}");
    assert_eq!(refusal(&mut connection, &unknown).await.0, 208);
    assert_eq!(rows(&mut connection, ALL).await.len(), 5_000, "the connection is still good");
}

#[tokio::test]
async fn a_deadlock_ends_the_transaction() {
    let server = start(&full(), Tls::Off).await;
    let mut connection = connect(&server).await;
    connection.begin_transaction().await.expect("begun");
    server.faults().fail_next_query(1205);
    rows(&mut connection, "SET LOCK_TIMEOUT 10000").await;
    let error = connection.query(ALL, &[]).await.map(|_| ()).expect_err("injected");
    assert_eq!(error.code(), Some(1205));
    assert!(connection.commit_transaction().await.is_err(), "it is rolled back");
    assert_eq!(rows(&mut connection, ALL).await.len(), 5_000);
}

#[tokio::test]
async fn a_connection_can_be_cut_in_the_middle() {
    let server = start(&full(), Tls::Off).await;
    let mut connection = connect(&server).await;
    server.faults().close_after_rows(700);
    let mut stream = connection.simple_query(ALL).await.expect("sent").into_row_stream();
    let mut count = 0;
    let error = loop {
        match stream.try_next().await {
            Ok(Some(_)) => count += 1,
            Ok(None) => panic!("it was not cut"),
            Err(error) => break error,
        }
    };
    assert!(error.code().is_none(), "{error}");
    assert!((1..=700).contains(&count), "{count}");
    let mut connection = connect(&server).await;
    assert_eq!(rows(&mut connection, ALL).await.len(), 5_000, "it strikes once");
}

#[tokio::test]
async fn an_attention_stops_a_result() {
    let server = start(&full(), Tls::Optional).await;
    for encryption in [EncryptionLevel::NotSupported, EncryptionLevel::Required] {
        let mut connection = connect_as(&server, "p@ss é", encryption).await.expect("accepted");
        server.faults().delay_per_row(Duration::from_millis(1));
        {
            let mut stream = connection.simple_query(ALL).await.expect("sent").into_row_stream();
            for _ in 0..3 {
                stream.try_next().await.expect("a row").expect("a row");
            }
        }
        let begun = Instant::now();
        connection.cancel_query().await.expect("cancelled");
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        server.faults().delay_per_row(Duration::ZERO);
        assert_eq!(rows(&mut connection, ALL).await.len(), 5_000);
    }
}

#[tokio::test]
async fn an_attention_without_a_query_is_answered() {
    let server = start(&full(), Tls::Off).await;
    let mut connection = connect(&server).await;
    assert_eq!(rows(&mut connection, ALL).await.len(), 5_000);
    connection.cancel_query().await.expect("answered");
    assert_eq!(rows(&mut connection, ALL).await.len(), 5_000);
}

#[tokio::test]
async fn a_slow_reader_holds_up_nobody_and_sees_one_moment() {
    let database = full();
    let server = start(&database, Tls::Off).await;
    let mut connection = connect(&server).await;
    let mut stream = connection.simple_query(ALL).await.expect("sent").into_row_stream();
    stream.try_next().await.expect("a row").expect("a row");
    let mut other = connect(&server).await;
    for n in 0..200_i64 {
        let (gone, new) = (format!("{n:05}"), format!("{:05}", 6_000 + n));
        database
            .transaction(|tx| {
                assert!(tx.delete("Contract", &[text("AB"), text(&gone)])?);
                tx.insert("Contract", contract("AB", &new))
            })
            .expect("committed");
    }
    assert_eq!(rows(&mut other, ALL).await.len(), 5_000);
    let mut count = 1;
    let mut last = String::new();
    while let Some(row) = stream.try_next().await.expect("a row") {
        row.get::<&str, _>(1).expect("not NULL").clone_into(&mut last);
        count += 1;
    }
    assert_eq!((count, last.as_str()), (5_000, "04999"), "as when the statement began");
}
