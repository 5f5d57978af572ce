//! Where the files say what a finding is about.

use super::{EntitySaid, FileSaid, Kind, MappingFile, Mistakes, Place, read};
use crate::{
    catalog::LegacyTable,
    finding::{Finding, Rule, Subject},
};

/// A place in a file as people read it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// [`MappingFile::name`].
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

/// A warning that a file accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The entity that it is accepted for.
    pub entity: String,
    /// The rule.
    pub rule: Rule,
    /// The index, column or value; every finding of the rule when `None`.
    pub about: Option<String>,
    /// Why; printed in every report.
    pub reason: String,
    /// Where it says so.
    pub spot: Spot,
}

impl Accepted {
    /// Whether it accepts this finding.
    #[must_use]
    pub fn covers(&self, finding: &Finding) -> bool {
        finding.rule == self.rule
            && finding.rule.is_acceptable()
            && finding.subject.entity() == Some(&*self.entity)
            && self.about.as_ref().is_none_or(|about| about.eq_ignore_ascii_case(&finding.about))
    }
}

/// What the files say, by place. Made from files that compile.
#[derive(Debug)]
pub struct Places<'f> {
    files: &'f [MappingFile],
    said: Vec<FileSaid>,
}

impl<'f> Places<'f> {
    /// Reads the files once more, for their places alone.
    #[must_use]
    pub fn of(files: &'f [MappingFile]) -> Self {
        let mut untold = Mistakes::new(files);
        let read = |(index, file): (usize, &MappingFile)| read(index, &file.text, &mut untold);
        Self { files, said: files.iter().enumerate().map(read).collect() }
    }

    /// Where a finding's subject is written, or what comes nearest to it.
    #[must_use]
    pub fn find(&self, subject: &Subject) -> Spot {
        let place = match subject {
            Subject::Entity(entity) => self.entity(entity).map(|said| said.name.at),
            Subject::Column { entity, column } => {
                self.entity(entity).map(|said| target_column(said, column))
            }
            Subject::Source { entity, table, column } => {
                self.entity(entity).map(|said| source(said, table, column))
            }
            Subject::Table(table) => self.table(table),
            Subject::Files => None,
        };
        self.spot(place.unwrap_or_else(|| self.nowhere()))
    }

    /// The warnings that the files accept.
    #[must_use]
    pub fn accepted(&self) -> Vec<Accepted> {
        let entities = self.said.iter().flat_map(|file| &file.entities);
        let each = |entity: &EntitySaid| -> Vec<Accepted> {
            let accepted = entity.accept.iter().map(|said| Accepted {
                entity: entity.name.value.clone(),
                rule: said.rule.value,
                about: said.about.clone(),
                reason: said.reason.clone(),
                spot: self.spot(said.rule.at),
            });
            accepted.collect()
        };
        entities.flat_map(each).collect()
    }

    fn entity(&self, name: &str) -> Option<&EntitySaid> {
        let mut entities = self.said.iter().flat_map(|file| &file.entities);
        entities.find(|entity| entity.name.value == name)
    }

    /// The part or the `[[ignore]]` that names a table.
    fn table(&self, table: &LegacyTable) -> Option<Place> {
        let files = self.said.iter();
        let mut named = files.flat_map(|file| {
            let parts = file.entities.iter().flat_map(|entity| &entity.parts);
            let ignored = file.ignores.iter().map(|(name, _)| name);
            parts.chain(ignored).chain(&file.object_types)
        });
        named.find(|said| is_table(&said.value, table)).map(|said| said.at)
    }

    /// Where what no file names would be written: beside the first `[[ignore]]`.
    fn nowhere(&self) -> Place {
        let first = self.said.iter().find_map(|file| file.ignores.first());
        first.map_or(Place { file: 0, byte: 0 }, |(name, _)| name.at)
    }

    fn spot(&self, place: Place) -> Spot {
        let Some(file) = self.files.get(place.file) else {
            return Spot { file: String::new(), line: 1, column: 1 };
        };
        let (line, column) = place.line_and_column(&file.text);
        Spot { file: file.name.clone(), line, column }
    }
}

fn is_table(said: &str, table: &LegacyTable) -> bool {
    let (schema, name) = said.split_once('.').unwrap_or(("dbo", said));
    schema.eq_ignore_ascii_case(&table.schema) && name.eq_ignore_ascii_case(&table.name)
}

fn target_column(said: &EntitySaid, column: &str) -> Place {
    let found = said.columns.iter().find(|known| known.name.value == column);
    // The engine's own columns come from keys of the entity.
    let engine = match column {
        "version" => said.version.as_ref().map(|version| version.at),
        _ => None,
    };
    found.map(|known| known.name.at).or(engine).unwrap_or(said.name.at)
}

/// The first line that names a legacy column: a column that is made from it, the key, the
/// version, or that it is left out.
fn source(said: &EntitySaid, table: &LegacyTable, column: &str) -> Place {
    let mapped = said.columns.iter().flat_map(|known| match known.kind {
        Kind::Const(_) => &[],
        _ => known.from.as_slice(),
    });
    let left_out = said.leave_out.iter().map(|(name, _)| name);
    let single = said.version.iter().chain(&said.id_time);
    let key = said.key.iter().flatten();
    let mut named = mapped.chain(key).chain(single).chain(left_out);
    let is = |said: &str| match said.rsplit_once('.') {
        Some((owner, name)) => {
            name.eq_ignore_ascii_case(column)
                && (owner.eq_ignore_ascii_case(&table.name)
                    || owner.eq_ignore_ascii_case(&table.to_string()))
        }
        None => said.eq_ignore_ascii_case(column),
    };
    named.find(|name| is(&name.value)).map_or(said.name.at, |name| name.at)
}
