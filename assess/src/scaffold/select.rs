//! From the words of a command line to tables of the catalogue.

use mapping::{
    catalog::{Catalog, LegacyTable, Table},
    file::closest,
};

use super::family::Families;
use crate::kind::classify;

/// Names that a refusal suggests at most.
const SUGGESTED_MAX: usize = 3;

/// The engine's own table, which no file maps.
const MARKER: &str = "ficus_marker";

/// Finds the tables that are meant by `dbo.Contract` or `Contract`, in any case; all of the
/// catalogue's for an empty list. A table that shares its entity with others (XPO's table for
/// each class) brings those with it.
///
/// # Errors
/// One sentence for each word that names no table, or several.
pub fn select(catalog: &Catalog, words: &[String]) -> Result<Vec<LegacyTable>, Vec<String>> {
    let families = Families::of(catalog, classify(catalog));
    let mut wanted: Vec<&Table> = Vec::new();
    let mut refused = Vec::new();
    if words.is_empty() {
        wanted = catalog.tables.iter().filter(|table| table.table.name != MARKER).collect();
    }
    for word in words {
        match find(catalog, word) {
            Ok(table) => {
                wanted.push(table);
                wanted.extend(families.ancestors(table));
                wanted.extend(families.descendants(table));
            }
            Err(sentence) => refused.push(sentence),
        }
    }
    if !refused.is_empty() {
        return Err(refused);
    }
    let chosen = catalog.tables.iter().filter(|table| wanted.contains(table));
    Ok(chosen.map(|table| table.table.clone()).collect())
}

fn find<'c>(catalog: &'c Catalog, word: &str) -> Result<&'c Table, String> {
    let folded = word.trim().to_lowercase();
    let full = |table: &&Table| table.table.to_string().to_lowercase() == folded;
    if let Some(table) = catalog.tables.iter().find(full) {
        return Ok(table);
    }
    let short = |table: &&Table| table.table.name.to_lowercase() == folded;
    let found: Vec<&Table> = catalog.tables.iter().filter(short).collect();
    match found.as_slice() {
        [only] => Ok(only),
        [] => Err(unknown(catalog, word, &folded)),
        several => {
            let names: Vec<String> =
                several.iter().map(|table| format!("`{}`", table.table)).collect();
            Err(format!("`{word}` is the name of several tables: say {}", names.join(" or ")))
        }
    }
}

fn unknown(catalog: &Catalog, word: &str, folded: &str) -> String {
    let names: Vec<String> = catalog.tables.iter().map(|table| table.table.to_string()).collect();
    let short: Vec<&str> = catalog.tables.iter().map(|table| table.table.name.as_str()).collect();
    let whole = closest(word, names.iter().map(String::as_str));
    let bare = closest(word, short.iter().copied());
    let mut near: Vec<&str> = Vec::new();
    for (name, short) in names.iter().zip(&short) {
        let contains = !folded.is_empty() && name.to_lowercase().contains(folded);
        let similar = whole == Some(name.as_str()) || bare == Some(*short);
        match similar {
            true => near.insert(0, name),
            false if contains => near.push(name),
            false => {}
        }
    }
    near.truncate(SUGGESTED_MAX);
    let quoted: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
    let help = match quoted.as_slice() {
        [] => "`ficus catalog save` writes down what there is".to_owned(),
        names => format!("did you mean {}?", names.join(" or ")),
    };
    format!("there is no legacy table `{word}`; {help}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(words: &[&str]) -> Result<Vec<String>, Vec<String>> {
        let catalog = spacehub::catalog().expect("the fixture");
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        select(&catalog, &words).map(|tables| tables.iter().map(|t| t.name.clone()).collect())
    }

    #[test]
    fn a_table_is_found_in_any_case_with_and_without_its_schema() {
        for word in ["dbo.Contract", "Contract", "CONTRACT", "DBO.contract"] {
            assert_eq!(chosen(&[word]).expect(word), ["Contract"]);
        }
    }

    #[test]
    fn a_leaf_brings_its_root_and_a_root_its_leaves() {
        assert_eq!(chosen(&["owner"]).expect("a leaf"), ["Owner", "Party"]);
        assert_eq!(chosen(&["party"]).expect("a root"), ["Owner", "Party", "Tenant"]);
    }

    #[test]
    fn an_unknown_word_is_told_with_its_neighbours() {
        let refused = chosen(&["Contrct", "Zzzzzz", "payment", "invoicel"]).expect_err("unknown");
        insta::assert_snapshot!(refused.join("\n"), @r"
        there is no legacy table `Contrct`; did you mean `dbo.Contract`?
        there is no legacy table `Zzzzzz`; `ficus catalog save` writes down what there is
        there is no legacy table `invoicel`; did you mean `dbo.Invoice` or `dbo.InvoiceLine`?
        ");
    }

    #[test]
    fn no_word_is_every_table() {
        let all = chosen(&[]).expect("all");
        assert_eq!(all.len(), spacehub::catalog().expect("the fixture").tables.len() - 1);
        assert!(!all.iter().any(|name| name == MARKER), "but the engine's own");
    }
}
