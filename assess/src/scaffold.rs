//! First drafts: mapping files, migrations and what is sealed at a cutover, from the catalogue.
//!
//! A draft is complete: every legacy column is mapped, used or left out with a reason, and it
//! compiles. What the schema alone can't tell (and an [`Assessment`] of the data did not), is
//! asked in the file, at the line, as `# ? …` or `-- ? …`; [`Scaffold::questions`] lists them.
//!
//! Reading order: [`select`] (which tables), `family` (hierarchies), `outline` (which entities),
//! `entity` (their columns) with the rules by type in `column`, `number`, `time`, `text` and
//! `refer`; then `toml`, `sql` and `seal`, which only write down. Everything is in the
//! catalogue's order, so the same input gives the same bytes.

use mapping::{
    catalog::{Catalog, LegacyTable},
    file::closest,
};

use crate::assessment::Assessment;

mod column;
mod domain;
mod draft;
mod entity;
mod facts;
mod family;
mod foreign;
mod id_time;
mod ignored;
mod names;
mod notes;
mod number;
mod outline;
mod refer;
mod reference;
mod room;
mod seal;
mod select;
mod sql;
mod text;
mod time;
mod toml;
mod unique;
mod words;

pub use select::select;

use facts::Facts;
use room::Room;

/// What a person decides for all tables at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Choices {
    /// The time zone of the legacy side's wall clock, such as `Asia/Ulaanbaatar`.
    pub zone: Option<String>,
    /// The currency of amounts.
    pub currency: Option<Currency>,
    /// One domain for all tables.
    pub domain: Option<String>,
    /// Entities that other mapping files have already: references to them need no table here.
    pub known: Vec<Known>,
    /// Whether one of those files names the dictionary of types.
    pub knows_types: bool,
    /// Versions and names of the product's migrations so far.
    pub migrations: Vec<(i64, String)>,
}

/// A currency, and the digits of its minor unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Currency {
    /// ISO 4217's code.
    pub code: String,
    /// Digits after the point.
    pub digits: u8,
}

/// An entity of other mapping files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its name.
    pub entity: String,
    /// Its domain.
    pub domain: String,
    /// Its Postgres table, with the schema where that is not `public`.
    pub target: String,
    /// The legacy tables that it is made of, root first.
    pub tables: Vec<LegacyTable>,
}

impl Choices {
    /// What is wrong with the choices, a sentence each.
    #[must_use]
    pub fn mistakes(&self) -> Vec<String> {
        let mut found = Vec::new();
        if let Some(zone) = self.zone.as_deref().filter(|z| z.parse::<chrono_tz::Tz>().is_err()) {
            let near = closest(zone, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
            let help = near.map_or_else(
                || "write Asia/Ulaanbaatar or UTC, for instance".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            found.push(format!("`{zone}` is no time zone; {help}"));
        }
        if let Some(Currency { code, digits }) = &self.currency {
            if code.len() != 3 || !code.bytes().all(|b| b.is_ascii_uppercase()) {
                found.push(format!("`{code}` is no currency code; write MNT, for instance"));
            }
            if *digits > 9 {
                found.push(format!("a minor unit of {digits} digits; there are none above 9"));
            }
        }
        if let Some(domain) = self.domain.as_deref().filter(|domain| !is_domain(domain)) {
            found.push(format!(
                "`{domain}` is no name of a domain; use lower case letters, digits and `-`"
            ));
        }
        found
    }
}

/// A domain's name is a file's name too.
fn is_domain(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(plain)
        && name.len() <= 63
}

/// A file of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Relative to wherever it is written, with `/` between.
    pub path: String,
    /// Its whole text.
    pub text: String,
}

/// Something that a person has to decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// [`File::path`].
    pub file: String,
    /// The line of the question, from 1; what it is about stands below it.
    pub line: usize,
    /// The question.
    pub text: String,
}

/// A whole draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scaffold {
    /// Mapping files first, then migrations, then what is sealed.
    pub files: Vec<File>,
}

impl Scaffold {
    /// What is left to decide, in the order of files and lines.
    #[must_use]
    pub fn questions(&self) -> Vec<Question> {
        self.files.iter().flat_map(notes::questions).collect()
    }
}

/// Drafts the files of some tables (as [`select`] names them).
#[must_use]
pub fn scaffold(
    catalog: &Catalog,
    tables: &[LegacyTable],
    assessment: Option<&Assessment>,
    choices: &Choices,
) -> Scaffold {
    let room = Room::new(catalog, Facts::new(assessment), choices);
    let outlines = outline::outlines(&room, tables);
    let entities: Vec<draft::EntityDraft<'_>> =
        outlines.entities.iter().map(|outline| entity::fill(&room, &outlines, outline)).collect();
    let mut domains: Vec<&str> = Vec::new();
    for entity in &entities {
        if !domains.contains(&entity.domain.as_str()) {
            domains.push(&entity.domain);
        }
    }
    let mut files: Vec<File> =
        domains.iter().map(|domain| toml::mapping(&room, domain, &entities)).collect();
    files.extend(toml::ignored(&room, &outlines, &domains, &entities));
    let mut sql = sql::Writer::new(&room, &entities);
    let seals: Vec<Option<File>> =
        domains.iter().map(|domain| seal::file(&room, domain, &entities, sql.names())).collect();
    let sealed = domains.iter().zip(&seals);
    files.extend(sealed.map(|(domain, seal)| sql.migration(domain, seal.is_some())));
    files.extend(seals.into_iter().flatten());
    Scaffold { files }
}
