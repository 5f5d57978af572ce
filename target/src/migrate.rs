//! Schema changes: the engine's own and the product's, in one table, as the owner.

use std::borrow::Cow;

use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, SqlSafeStr,
    migrate::{Migration, MigrationType, Migrator},
};

use crate::Error;

/// A product's migration. Its version is 1001 or higher, so that it comes after the engine's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductMigration {
    /// The number in the file's name.
    pub version: i64,
    /// The rest of the file's name.
    pub name: String,
    /// The statements.
    pub sql: String,
}

/// The first version that a product may use.
pub const FIRST_PRODUCT_VERSION: i64 = 1001;

/// These make the roles, as the login that migrates; all others run as the owner that they made.
const ROLES_VERSIONS: [i64; 2] = [1, 40];

const MIGRATION_TABLE: &str = "ficus.migration";

macro_rules! engine_migrations {
    ($($version:literal $name:literal),+ $(,)?) => {
        &[$(($version, $name, include_str!(concat!("../../migrations/engine/", $name, ".sql")))),+]
    };
}

/// `(version, file name, statements)`, in order.
pub(crate) const ENGINE: &[(i64, &str, &str)] = engine_migrations![
    1 "0001_roles",
    2 "0002_domains",
    3 "0003_keys_and_positions",
    4 "0004_quarantine",
    5 "0005_checkpoints",
    6 "0006_reconcile",
    7 "0007_archive",
    8 "0008_sequences",
    10 "0010_stream",
    15 "0015_topic_identity",
    16 "0016_stream_pace",
    17 "0017_reselect",
    18 "0018_topic_partitions",
    20 "0020_backfill_control",
    30 "0030_reconcile_tiers",
    31 "0031_schedule",
    32 "0032_reconcile_digest",
    40 "0040_work_role",
    41 "0041_work",
];

/// Brings the database to this version of the engine and the product. Safe to run again and by
/// several processes at once.
///
/// `url` is a login that is a superuser, or that owns the database and may create roles (or is a
/// member of the five roles already).
///
/// # Errors
/// [`Error::Migrate`] with the failing version; everything before it stays applied.
pub async fn migrate(url: &SecretString, product: &[ProductMigration]) -> Result<(), Error> {
    // The driver's own message may quote the URL.
    let options =
        url.expose_secret().parse::<sqlx::postgres::PgConnectOptions>().map_err(|_| {
            Error::Settings {
                setting: "target.url",
                why: "it must look like postgres://user:password@host:5432/database".to_owned(),
            }
        })?;
    let connecting = Error::postgres("connecting to the target to migrate it");
    let mut connection = PgConnection::connect_with(&options).await.map_err(connecting)?;
    let result = run(&mut connection, product).await;
    // The session's advisory lock goes with the connection, whatever happened.
    drop(connection.close().await);
    result
}

async fn run(connection: &mut PgConnection, product: &[ProductMigration]) -> Result<(), Error> {
    let (roles, rest): (Vec<_>, Vec<_>) = migrations(product)?
        .into_iter()
        .partition(|migration| ROLES_VERSIONS.contains(&migration.version));
    let version = server_version(connection).await?;
    if version < 150_000 {
        return Err(Error::Settings {
            setting: "target.url",
            why: format!("Postgres {} is too old, 15 is the least", version / 10_000),
        });
    }
    migrator(roles).run_direct(None, connection, false).await.map_err(failed)?;
    sqlx::raw_sql("set role ficus_owner")
        .execute(&mut *connection)
        .await
        .map_err(Error::postgres("taking the role ficus_owner"))?;
    migrator(rest).run_direct(None, connection, false).await.map_err(failed)
}

fn failed(error: sqlx::migrate::MigrateError) -> Error {
    Error::Migrate { source: error.into() }
}

async fn server_version(connection: &mut PgConnection) -> Result<i32, Error> {
    sqlx::query_scalar("select current_setting('server_version_num')::int4")
        .fetch_one(connection)
        .await
        .map_err(Error::postgres("asking for the server's version"))
}

/// Each set knows nothing of the other's versions, so missing ones are ignored; a changed text
/// of an applied migration is an error all the same.
fn migrator(migrations: Vec<Migration>) -> Migrator {
    let mut migrator = Migrator::with_migrations(migrations);
    migrator.set_ignore_missing(true);
    migrator.dangerous_set_table_name(MIGRATION_TABLE);
    migrator.create_schema("ficus");
    migrator
}

fn migrations(product: &[ProductMigration]) -> Result<Vec<Migration>, Error> {
    let mut all: Vec<Migration> = Vec::with_capacity(ENGINE.len() + product.len());
    for (version, name, sql) in ENGINE {
        all.push(migration(*version, Cow::Borrowed(name), sql.into_sql_str()));
    }
    for one in product {
        if one.version < FIRST_PRODUCT_VERSION {
            return Err(Error::Settings {
                setting: "migrations",
                why: format!(
                    "version {} ({}) is the engine's: a product begins at {FIRST_PRODUCT_VERSION}",
                    one.version, one.name
                ),
            });
        }
        let sql = AssertSqlSafe(one.sql.clone()).into_sql_str();
        all.push(migration(one.version, Cow::Owned(one.name.clone()), sql));
    }
    Ok(all)
}

fn migration(version: i64, name: Cow<'static, str>, sql: sqlx::SqlStr) -> Migration {
    Migration::new(version, name, MigrationType::Simple, sql, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_embedded() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations/engine");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .expect("the folder")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .filter_map(|name| name.strip_suffix(".sql").map(str::to_owned))
            .collect();
        files.sort();
        let embedded: Vec<&str> = ENGINE.iter().map(|(_, name, _)| *name).collect();
        assert_eq!(files, embedded);
    }
}
