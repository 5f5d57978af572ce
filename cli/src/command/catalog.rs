//! `ficus catalog`.

use std::path::Path;

use mapping::catalog::Catalog;

use crate::{args::CatalogCommand, exit::Exit, out, parts, settings::Settings};

/// Saves the catalogue.
pub(crate) async fn run(command: &CatalogCommand, settings: &Settings) -> anyhow::Result<Exit> {
    let CatalogCommand::Save { file } = command;
    let mut session = legacy::Session::connect(&parts::legacy(settings)?).await?;
    let catalog = session.catalog().await?;
    write(file, &catalog)?;
    out::line(format!(
        "{}: {} tables of {} ({})",
        file.display(),
        catalog.tables.len(),
        catalog.database,
        catalog.collation
    ));
    Ok(Exit::Success)
}

/// Writes a catalogue as `legacy.catalog` reads it.
pub(crate) fn write(file: &Path, catalog: &Catalog) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(catalog)?;
    text.push('\n');
    out::file(file, &text)
}
