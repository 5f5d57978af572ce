//! `ficus catalog`.

use crate::{args::CatalogCommand, exit::Exit, out, parts, settings::Settings};

/// Saves the catalogue.
pub(crate) async fn run(command: &CatalogCommand, settings: &Settings) -> anyhow::Result<Exit> {
    let CatalogCommand::Save { file } = command;
    let mut session = legacy::Session::connect(&parts::legacy(settings)?).await?;
    let catalog = session.catalog().await?;
    let mut text = serde_json::to_string_pretty(&catalog)?;
    text.push('\n');
    std::fs::write(file, text)
        .map_err(|error| anyhow::anyhow!("can't write {}: {error}", file.display()))?;
    out::line(format!(
        "{}: {} tables of {} ({})",
        file.display(),
        catalog.tables.len(),
        catalog.database,
        catalog.collation
    ));
    Ok(Exit::Success)
}
