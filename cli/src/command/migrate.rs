//! `ficus migrate`.

use target::Role;

use crate::{exit::Exit, out, parts, settings::Settings};

/// Migrates and says so.
pub(crate) async fn run(settings: &Settings) -> anyhow::Result<Exit> {
    let product = migrate(settings).await?;
    out::line(format!(
        "the target is migrated: the engine's schema and {product} migrations of the product"
    ));
    Ok(Exit::Success)
}

/// Brings schema `ficus` and the product's tables to this version; the number of the product's
/// migrations.
pub(crate) async fn migrate(settings: &Settings) -> anyhow::Result<usize> {
    let url = parts::postgres(settings, Role::Owner)?.url;
    let migrations = parts::migrations(settings)?;
    target::migrate(&url, &migrations).await?;
    Ok(migrations.len())
}
