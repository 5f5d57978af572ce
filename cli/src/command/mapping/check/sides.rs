//! What the mapping is compared with, as far as it is there.

use anyhow::Context;
use mapping::{catalog::Catalog, plan::Plan};
use target::{Role, schema::TargetSchema};

use super::report::Report;
use crate::{exit::usage, parts, settings::Settings};

/// One side of a comparison.
pub(super) enum Side<T> {
    /// It is there.
    There(T),
    /// It was not asked for, and why.
    Skipped(String),
    /// It is configured, and can't be read.
    Failed(anyhow::Error),
}

impl<T> Side<T> {
    pub(super) fn there(&self) -> Option<&T> {
        match self {
            Self::There(there) => Some(there),
            Self::Skipped(_) | Self::Failed(_) => None,
        }
    }
}

/// The two catalogues, of which one at least is there.
pub(super) struct Sides {
    saved: Option<Catalog>,
    pub(super) live: Side<Catalog>,
    /// The one that the files are compiled against.
    compiled: Catalog,
}

impl Sides {
    pub(super) async fn catalogs(settings: &Settings, offline: bool) -> anyhow::Result<Self> {
        let saved = parts::saved_catalog(settings)?;
        let live = if offline {
            Side::Skipped("--offline".to_owned())
        } else if settings.text("legacy.url").is_none() {
            Side::Skipped("legacy.url is not set".to_owned())
        } else {
            match parts::live_catalog(settings).await.context("reading the legacy catalogue") {
                Ok(catalog) => Side::There(catalog),
                Err(error) => Side::Failed(error),
            }
        };
        let compiled = match (&saved, live) {
            (Some(saved), live) => {
                return Ok(Self { compiled: saved.clone(), saved: Some(saved.clone()), live });
            }
            (None, Side::There(catalog)) => catalog,
            (None, Side::Failed(error)) => return Err(error),
            (None, Side::Skipped(why)) => {
                return Err(usage(format!(
                    "there is no legacy catalogue to check against ({why}): set `legacy.catalog` to \
                     a file of `ficus catalog save`, or `legacy.url`"
                )));
            }
        };
        Ok(Self { compiled: compiled.clone(), saved: None, live: Side::There(compiled) })
    }

    pub(super) fn catalog(&self) -> &Catalog {
        &self.compiled
    }

    pub(super) fn saved(&self) -> Option<&Catalog> {
        self.saved.as_ref()
    }

    /// Which catalogue that is.
    pub(super) fn which(&self) -> &'static str {
        match self.saved {
            Some(_) => "the saved catalogue",
            None => "the legacy server's catalogue",
        }
    }

    /// Tells why the live catalogue was not compared with the saved one.
    pub(super) fn tell_live(&mut self, report: &mut Report) {
        let nothing = Side::Skipped("the legacy server's catalogue is the only one".to_owned());
        let live = std::mem::replace(&mut self.live, nothing);
        report.untold("saved catalogue", live);
    }
}

/// The target's tables, where a target is set.
pub(super) async fn schema(settings: &Settings, offline: bool, plan: &Plan) -> Side<TargetSchema> {
    if offline {
        return Side::Skipped("--offline".to_owned());
    }
    let Some(login) = login(settings) else {
        return Side::Skipped("target.url is not set".to_owned());
    };
    let read = async {
        let pool = target::connect(&login?).await?;
        let schema = TargetSchema::read(&pool, plan).await?;
        pool.close().await;
        anyhow::Ok(schema)
    };
    match read.await.context("reading the target's schema") {
        Ok(schema) => Side::There(schema),
        Err(error) => Side::Failed(error),
    }
}

/// Any login that is set: the catalogue is open to all. Without `SET ROLE`, because the roles may
/// not be made yet.
fn login(settings: &Settings) -> Option<anyhow::Result<target::Settings>> {
    let own = [
        (Role::Reader, "target.reader_url"),
        (Role::Engine, "target.engine_url"),
        (Role::Owner, "target.owner_url"),
    ];
    let set = own.iter().find(|(_, key)| settings.text(key).is_some());
    let role = match set {
        Some((role, _)) => *role,
        None => settings.text("target.url").map(|_| Role::Reader)?,
    };
    let login = parts::postgres(settings, role);
    Some(login.map(|login| target::Settings { set_role: false, max_connections: 1, ..login }))
}
