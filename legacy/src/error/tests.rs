use std::time::Duration;

use mapping::catalog::{LegacyTable, SqlType};

use super::{Disposition, Driver, Error};

fn table() -> LegacyTable {
    LegacyTable::new("dbo", "Contract")
}

fn driver() -> Driver {
    Driver::Io { kind: std::io::ErrorKind::UnexpectedEof, message: "end of file".to_owned() }
}

fn boxed() -> Box<Driver> {
    Box::new(driver())
}

fn every_error() -> Vec<Error> {
    let doing = || "reading dbo.Contract".to_owned();
    let address = || "legacy:1433".to_owned();
    vec![
        Error::Url { reason: "no host".to_owned() },
        Error::PlainText { address: address() },
        Error::Connect { address: address(), source: boxed() },
        Error::Encryption { address: address(), level: "required", source: boxed() },
        Error::Login { address: address(), user: "ficus".to_owned(), source: boxed() },
        Error::Database { database: "Spacehub23".to_owned(), source: boxed() },
        Error::Permission { doing: doing(), source: boxed() },
        Error::Missing { doing: doing(), source: boxed() },
        Error::Contended { doing: doing(), source: boxed() },
        Error::Snapshot { doing: doing(), source: boxed() },
        Error::Unavailable { doing: doing(), source: boxed() },
        Error::Server { number: 8134, doing: doing(), source: boxed() },
        Error::Timeout { doing: doing(), limit: Duration::from_secs(60) },
        Error::Lost { doing: doing(), source: None },
        Error::Protocol { doing: doing(), source: boxed() },
        Error::Incomplete { doing: doing(), came: 999 },
        Error::Answer { doing: doing(), detail: "no row" },
        Error::NoKey { table: table() },
        Error::KeyType { table: table(), column: "Photo".to_owned(), sql_type: SqlType::Image },
        Error::KeyShape { table: table() },
        Error::NotCaptured { patience: Duration::from_secs(30) },
    ]
}

#[test]
fn every_error_tells_what_to_do() {
    let told: Vec<String> = every_error()
        .iter()
        .map(|error| format!("{error}\n  {:?}; {}", error.disposition(), error.hint()))
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_lost_connection_is_tried_again_and_a_protocol_error_is_not() {
    assert_eq!(Error::from_driver("x", driver()).disposition(), Disposition::Retry);
    let garbled = Error::from_driver("x", Driver::Utf16);
    assert_eq!(garbled.disposition(), Disposition::Stop);
}
