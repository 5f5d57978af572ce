//! From mapping files and a catalogue to a plan.
//!
//! Two passes: the first finds every entity's tables and key, so that references can be
//! checked whatever the order of the files; the second makes the columns. A mistake in one
//! place never hides one in another.

use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use crate::{
    catalog::{Catalog, Column},
    file::{FileSaid, MappingFile, Mistake, Mistakes, read},
    plan::{Compiled, EntityPlan, Plan, SourceColumn, TableId, TablePlan},
};

mod column;
mod cover;
mod entity;
mod filter;
mod lob;
mod lookup;
mod null;
mod outline;
mod reference;
mod sequence;
mod table;
#[cfg(test)]
mod tests;
mod types;
mod unique;
mod xpo;

use outline::Outline;
use table::TableBook;

impl Plan {
    /// Compiles mapping files against the legacy catalogue.
    ///
    /// # Errors
    /// All mistakes of all files, in the order of files and places.
    pub fn compile(files: &[MappingFile], catalog: &Catalog) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Mistakes::new(files);
        let m = &mut mistakes;
        let said: Vec<FileSaid> =
            files.iter().enumerate().map(|(index, file)| read(index, &file.text, m)).collect();
        let mut book = TableBook::new(catalog);
        book.lookups = lookup::collect(&said, m);
        let outlines = outline::outlines(&said, &mut book, m);
        table::service_tables(&said, &mut book, m);
        let entities: Vec<EntityPlan> = outlines
            .iter()
            .map(|outline| entity::build(outline, &outlines, &mut book, m))
            .collect();
        table::check_candidates(&outlines, &book, m);
        let sequences = sequence::sequences(&said, &entities, &mut book, m);
        if !mistakes.is_empty() {
            return Err(mistakes.into_sorted());
        }
        Ok(Self {
            database: catalog.database.clone(),
            entities,
            tables: finish(book, &outlines),
            sequences,
            version: version(files),
        })
    }
}

fn finish(book: TableBook<'_>, outlines: &[Outline<'_>]) -> Vec<TablePlan> {
    let collation = book.catalog.collation.as_str();
    let tables = book.drafts.into_iter().enumerate();
    tables
        .map(|(index, draft)| {
            let id = TableId(u16::try_from(index).unwrap_or(u16::MAX));
            let primary_key = &draft.table.primary_key;
            let columns =
                draft.columns.iter().filter_map(|column| draft.table.columns.get(*column));
            let columns: Vec<SourceColumn> = columns
                .map(|column| SourceColumn {
                    name: column.name.clone(),
                    sql_type: column.sql_type.clone(),
                    key: primary_key.iter().any(|key| key.eq_ignore_ascii_case(&column.name)),
                    lob: column.sql_type.is_lob(),
                })
                .collect();
            let known = draft.columns.iter().filter_map(|column| draft.table.columns.get(*column));
            let known = known.map(|column| Column {
                collation: column.collation.clone().or_else(|| Some(collation.to_owned())),
                ..column.clone()
            });
            let known = known.collect();
            let key = draft.key_parts(outlines);
            TablePlan {
                id,
                table: draft.table.table.clone(),
                columns,
                key: key.iter().map(|part| part.source).collect(),
                role: draft.role(),
                compiled: Compiled {
                    columns: known,
                    key,
                    object_type: draft.object_type,
                    ignored: draft.ignored_rule(),
                    candidates: draft.candidates,
                    left_out: draft.left_out,
                    filters: draft.filters,
                    sensitive: draft.sensitive,
                },
            }
        })
        .collect()
}

/// A hash of all texts, whatever the order in which the files were listed.
fn version(files: &[MappingFile]) -> String {
    let mut sorted: Vec<&MappingFile> = files.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    let mut hash = Xxh3::new();
    for file in sorted {
        for text in [&file.name, &file.text] {
            hash.update(&u64::try_from(text.len()).unwrap_or_default().to_be_bytes());
            hash.update(text.as_bytes());
        }
    }
    format!("{:032x}", hash.digest128())
}

/// The rule by which rows of another type are left out.
fn other_type() -> Arc<str> {
    "other-type".into()
}
