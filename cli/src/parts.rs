//! The parts that commands are made of, built from the settings.

use std::sync::Arc;

use anyhow::Context;
use mapping::{catalog::Catalog, file::MappingFile, plan::Plan};
use secrecy::{ExposeSecret, SecretString};
use target::{ObjectStore, Role, Target};
use tokio_util::sync::CancellationToken;

use crate::{
    exit::{Exit, UsageError, usage},
    settings::Settings,
};

/// Instead of a folder: Spacehub's files as they are in this binary (the demo's).
pub(crate) const EMBEDDED: &str = "embedded:spacehub";

/// The mapping files, read from their folder.
pub(crate) fn mapping_files(settings: &Settings) -> anyhow::Result<Vec<MappingFile>> {
    let folder = settings.needed("product.mappings")?;
    if folder == EMBEDDED {
        return Ok(spacehub::mappings());
    }
    let paths = files("product.mappings", &folder, "toml")?;
    if paths.is_empty() {
        return Err(usage(format!(
            "product.mappings: there is no mapping file (*.toml) in {folder}"
        )));
    }
    let read = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path).map_err(|error| {
            usage(format!("can't read the mapping file {}: {error}", path.display()))
        })?;
        Ok(MappingFile { name: path.display().to_string(), text })
    };
    paths.into_iter().map(read).collect()
}

/// The product's migrations, read from their folder: `NNNN_what.sql`.
pub(crate) fn migrations(settings: &Settings) -> anyhow::Result<Vec<target::ProductMigration>> {
    let folder = settings.needed("product.migrations")?;
    if folder == EMBEDDED {
        let own = |m: &spacehub::Migration| target::ProductMigration {
            version: m.version,
            name: m.name.to_owned(),
            sql: m.sql.to_owned(),
        };
        return Ok(spacehub::migrations().iter().map(own).collect());
    }
    let read = |path: std::path::PathBuf| {
        let stem = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let (version, name) = stem.split_once('_').unwrap_or((stem, ""));
        let version = version.parse().map_err(|_| {
            usage(format!("{}: a migration's name begins with its number", path.display()))
        })?;
        let sql = std::fs::read_to_string(&path)
            .map_err(|error| usage(format!("can't read {}: {error}", path.display())))?;
        Ok(target::ProductMigration { version, name: name.to_owned(), sql })
    };
    let paths = files("product.migrations", &folder, "sql")?;
    if paths.is_empty() {
        return Err(usage(format!(
            "product.migrations: there is no migration (NNNN_what.sql) in {folder}"
        )));
    }
    paths.into_iter().map(read).collect()
}

fn files(key: &str, folder: &str, extension: &str) -> anyhow::Result<Vec<std::path::PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|error| {
        usage(format!(
            "can't read the folder {folder}: {error}; set `{key}` to the folder of your product \
             (a relative one begins where ficus is started)"
        ))
    })?;
    let mut paths: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .collect();
    paths.sort();
    Ok(paths)
}

/// The legacy server under its read-only login.
pub(crate) fn legacy(settings: &Settings) -> anyhow::Result<legacy::Settings> {
    let url = settings.needed("legacy.url")?;
    login(&url, settings.secret("legacy.password"))
}

/// The legacy server under the marker's login; the read-only one where no other is set.
pub(crate) fn marker(settings: &Settings) -> anyhow::Result<legacy::Settings> {
    match settings.text("legacy.marker_url") {
        Some(url) => {
            let password = settings.secret("legacy.marker_password");
            login(&url, password.or_else(|| settings.secret("legacy.password")))
        }
        None => legacy(settings),
    }
}

fn login(url: &str, password: Option<SecretString>) -> anyhow::Result<legacy::Settings> {
    let mut login: legacy::Settings = url.parse()?;
    if let Some(password) = password {
        login.password = password;
    }
    login.check()?;
    Ok(login)
}

/// The catalogue: from its file where one is set, else over TDS.
pub(crate) async fn catalog(settings: &Settings) -> anyhow::Result<Catalog> {
    match saved_catalog(settings)? {
        Some(catalog) => Ok(catalog),
        None => live_catalog(settings).await,
    }
}

/// The catalogue in its file, where one is set.
pub(crate) fn saved_catalog(settings: &Settings) -> anyhow::Result<Option<Catalog>> {
    let Some(path) = settings.text("legacy.catalog") else { return Ok(None) };
    let text = std::fs::read_to_string(&path)
        .map_err(|error| usage(format!("legacy.catalog: can't read {path}: {error}")))?;
    let catalog = serde_json::from_str(&text).map_err(|error| {
        usage(format!("legacy.catalog: {path} is not a saved catalogue: {error}"))
    })?;
    Ok(Some(catalog))
}

/// The catalogue as the legacy server tells it now.
pub(crate) async fn live_catalog(settings: &Settings) -> anyhow::Result<Catalog> {
    let mut session = legacy::Session::connect(&legacy(settings)?).await?;
    Ok(session.catalog().await?)
}

/// The mapping, compiled against the catalogue.
pub(crate) async fn plan(settings: &Settings) -> anyhow::Result<Arc<Plan>> {
    let files = mapping_files(settings)?;
    let catalog = catalog(settings).await?;
    Plan::compile(&files, &catalog).map(Arc::new).map_err(|mistakes| {
        let lines: Vec<String> =
            mistakes.iter().map(|mistake| format!("{mistake}\n    {}", mistake.help)).collect();
        let message =
            format!("the mapping files have {} mistakes:\n{}", mistakes.len(), lines.join("\n"));
        UsageError { message }.into()
    })
}

/// How to connect to Postgres in a role: its own login where one is set, else the common one
/// with `SET ROLE`.
pub(crate) fn postgres(settings: &Settings, role: Role) -> anyhow::Result<target::Settings> {
    let key = match role {
        Role::Owner => "target.owner_url",
        Role::Engine => "target.engine_url",
        Role::Api => "target.api_url",
        Role::Reader => "target.reader_url",
        Role::Work => "target.work_url",
    };
    let (url, set_role) = match settings.secret(key) {
        Some(url) => (url, false),
        None => (SecretString::from(settings.needed("target.url")?), true),
    };
    // The driver takes any scheme for its own, and would look for the server at port 5432.
    let is_postgres = ["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| url.expose_secret().starts_with(scheme));
    if !is_postgres {
        let key = if set_role { "target.url" } else { key };
        return Err(usage(format!(
            "`{key}` is no address of Postgres; write it as postgres://user@host:5432/database"
        )));
    }
    Ok(target::Settings { url, role, set_role, max_connections: 16 })
}

/// The engine's Postgres side.
pub(crate) async fn target(settings: &Settings, plan: &Arc<Plan>) -> anyhow::Result<Arc<Target>> {
    let pool = target::connect(&postgres(settings, Role::Engine)?).await?;
    Ok(Arc::new(Target::open(pool, Arc::clone(plan)).await?))
}

/// The engine's Postgres side, for whoever writes rows: with the place for objects.
pub(crate) async fn writing_target(
    settings: &Settings,
    plan: &Arc<Plan>,
) -> anyhow::Result<Arc<Target>> {
    let objects = objects(settings, plan)?;
    let pool = target::connect(&postgres(settings, Role::Engine)?).await?;
    let target = Target::open(pool, Arc::clone(plan)).await?;
    Ok(Arc::new(match objects {
        Some(objects) => target.with_objects(objects),
        None => target,
    }))
}

/// The object store, where one is set; a mapping that has objects needs one.
pub(crate) fn objects(settings: &Settings, plan: &Plan) -> anyhow::Result<Option<ObjectStore>> {
    let columns = plan.object_columns();
    let Some(url) = settings.text("objects.url") else {
        if columns.is_empty() {
            return Ok(None);
        }
        return Err(usage(format!(
            "`objects.url` is not set, and the mapping sends {} to an object store; put it into \
             ficus.toml or into the environment as {}: file:///srv/objects, for instance",
            columns.join(", "),
            crate::settings::environment_name("objects.url")
        )));
    };
    Ok(Some(store_at(&url)?))
}

/// The object store, where one is set, for what the new side puts there itself.
pub(crate) fn object_store(settings: &Settings) -> anyhow::Result<Option<ObjectStore>> {
    settings.text("objects.url").as_deref().map(store_at).transpose()
}

fn store_at(url: &str) -> anyhow::Result<ObjectStore> {
    // What a store of another kind needs beside its URL: keys, region, endpoint.
    let options = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let options = options.filter(|(name, _)| name.starts_with("AWS_"));
    Ok(ObjectStore::open(url, options)?)
}

/// Brings `XPObjectType`'s numbers into Postgres, so that the stream's first event can be
/// mapped: their own rows may have been written years before capture began.
pub(crate) async fn learn_object_types(settings: &Settings, target: &Target) -> anyhow::Result<()> {
    if settings.text("legacy.url").is_none() {
        tracing::warn!("legacy.url is not set: type names are those that a backfill has stored");
        return Ok(());
    }
    let mut session = legacy::Session::connect(&legacy(settings)?).await?;
    let object_types = session.object_types().await?.into_iter().collect();
    target.apply(target::Batch { object_types, ..target::Batch::default() }).await?;
    Ok(())
}

/// From an entity's name and its legacy key as text (parts with `/` between) to the canonical
/// key's bytes.
pub(crate) fn legacy_keys(plan: &Arc<Plan>) -> api::reference::LegacyKeys {
    let plan = Arc::clone(plan);
    Arc::new(move |entity, text| {
        let root = plan.entity(entity)?.parts.first()?;
        let table = plan.tables.iter().find(|table| table.id == root.table)?;
        let key = table.key_from_text(text)?;
        Some(key.as_bytes().to_vec())
    })
}

/// A token that the first Ctrl-C (or SIGTERM) cancels; the second ends the process at once.
pub(crate) fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let stop = CancellationToken::new();
    let mut interrupt = signal(SignalKind::interrupt()).context("can't listen for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("can't listen for SIGTERM")?;
    let token = stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        token.cancel();
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        end_at_once();
    });
    Ok(stop)
}

/// What a sandbox leaves behind then, its janitor clears away.
#[expect(clippy::exit, reason = "whoever asks twice does not want to wait for destructors")]
fn end_at_once() {
    std::process::exit(i32::from(Exit::Interrupted.code()));
}
