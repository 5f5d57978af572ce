//! The same questions to another TDS server: `FICUS_TEST_LEGACY_URL`, such as
//! `mssql://sa@host/ficus_test?trust=true`, with the password in `FICUS_TEST_LEGACY_PASSWORD`.
//!
//! The tables of the fixture are dropped and made there, so its database must be one for tests. What
//! only the sandbox can do (faults, changes behind the engine's back) is tried there and not on it.

use std::{io::Write as _, time::Duration};

use legacy::{Session, Settings};
use mapping::value::LegacyValue;
use sandbox::legacy::Database;
use secrecy::SecretString;
use tokio::sync::OnceCell;

const TABLES: [&str; 5] = ["Import", "Rate", "Contract", "Payment", "XPObjectType"];

/// Rows of one statement; SQL Server takes a thousand.
const ROWS: usize = 500;

/// The other server, filled once for all tests; `None` when there is none.
pub(crate) async fn server(ddl: &str, model: &Database) -> Option<Settings> {
    static FILLED: OnceCell<Option<Settings>> = OnceCell::const_new();
    FILLED.get_or_init(|| fill(ddl, model)).await.clone()
}

/// Seen also where a test passes: what libtest catches is not told.
pub(crate) fn skipped(test: &str, why: &str) {
    let line = format!("SKIPPED on FICUS_TEST_LEGACY_URL: {test}: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

async fn fill(ddl: &str, model: &Database) -> Option<Settings> {
    let url = std::env::var("FICUS_TEST_LEGACY_URL").ok().filter(|url| !url.is_empty())?;
    let mut settings: Settings = url.parse().expect("FICUS_TEST_LEGACY_URL is an address");
    if let Ok(password) = std::env::var("FICUS_TEST_LEGACY_PASSWORD") {
        settings.password = SecretString::from(password);
    }
    assert!(
        settings.database.to_lowercase().starts_with("ficus_test"),
        "tables are dropped there: the database's name must begin with ficus_test"
    );
    let mut session = Session::connect(&settings).await.expect("the other server");
    for statement in script(ddl, model) {
        let sent = session.ask(&statement, Duration::from_secs(120)).await;
        sent.unwrap_or_else(|error| {
            panic!("{error}: {error:?}\n{}", statement.chars().take(200).collect::<String>())
        });
    }
    Some(settings)
}

/// What makes the fixture's tables and rows on a server that has none.
pub(crate) fn script(ddl: &str, model: &Database) -> Vec<String> {
    let drop = |name| format!("IF OBJECT_ID(N'dbo.{name}') IS NOT NULL DROP TABLE [dbo].[{name}]");
    let mut script: Vec<String> = TABLES.iter().map(drop).collect();
    // Keys are ordered by the collation that the fixture's model has, whatever the server's is.
    let collated =
        |text: &str| text.replace(") NOT NULL", ") COLLATE Cyrillic_General_CI_AS NOT NULL");
    let collated =
        |line: &str| if line.contains("nvarchar") { collated(line) } else { line.to_owned() };
    let batches = ddl.split("\nGO\n").flat_map(|batch| batch.split_inclusive(";\n"));
    let batches = batches.map(str::trim).filter(|batch| !batch.is_empty());
    script.extend(batches.map(|batch| batch.lines().map(collated).collect::<Vec<_>>().join("\n")));
    for name in TABLES {
        let catalog = model.catalog();
        let table = catalog.tables.iter().find(|table| table.table.name == name).unwrap();
        let identity = table.columns.iter().any(|column| column.identity);
        let names: Vec<String> = table.columns.iter().map(|c| format!("[{}]", c.name)).collect();
        for rows in model.rows(name).unwrap().chunks(ROWS) {
            let rows: Vec<String> = rows
                .iter()
                .map(|row| format!("({})", row.iter().map(literal).collect::<Vec<_>>().join(", ")))
                .collect();
            let insert = format!(
                "INSERT INTO [dbo].[{name}] ({}) VALUES {}",
                names.join(", "),
                rows.join(", ")
            );
            script.push(if identity {
                format!("SET IDENTITY_INSERT [dbo].[{name}] ON; {insert}; SET IDENTITY_INSERT [dbo].[{name}] OFF")
            } else {
                insert
            });
        }
    }
    script
}

fn literal(value: &LegacyValue<'static>) -> String {
    match value {
        LegacyValue::Null => "NULL".to_owned(),
        LegacyValue::Int(value) => value.to_string(),
        LegacyValue::Text(text) => format!("N'{}'", text.replace('\'', "''")),
        LegacyValue::Guid(guid) => format!("'{guid}'"),
        LegacyValue::Decimal(decimal) => {
            let scale = usize::from(decimal.scale);
            let digits = format!("{:0>width$}", decimal.unscaled.unsigned_abs(), width = scale + 1);
            let (whole, fraction) = digits.split_at(digits.len() - scale);
            let sign = if decimal.unscaled < 0 { "-" } else { "" };
            format!("{sign}{whole}.{fraction}")
        }
        LegacyValue::Timestamp(ticks) => {
            let time = chrono::DateTime::from_timestamp_millis(ticks / 10_000).unwrap();
            format!("CONVERT(datetime, '{}', 126)", time.format("%Y-%m-%dT%H:%M:%S%.3f"))
        }
        other => panic!("the fixture has no such value: {other:?}"),
    }
}
