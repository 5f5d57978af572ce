//! Look-ups: `[lookup.currencies]` with lines of `"496" = "MNT"`.

use toml::de::DeValue;

use super::{
    Mistakes, Said,
    options::{Options, entries, place, type_of},
};

/// A look-up of a file.
#[derive(Debug, Clone)]
pub(crate) struct LookupSaid {
    pub(crate) name: Said<String>,
    pub(crate) entries: Vec<(Said<String>, Box<str>)>,
}

/// What a column made `as = "lookup"` says.
#[derive(Debug, Clone)]
pub(crate) struct LookedUp {
    /// The look-up's name.
    pub(crate) table: Said<String>,
    pub(crate) unknown: Option<Box<str>>,
}

/// All look-ups of a file.
pub(super) fn tables(options: &mut Options<'_, '_>, m: &mut Mistakes<'_>) -> Vec<LookupSaid> {
    let mut found = Vec::new();
    for (name, value) in options.entries("lookup", m) {
        let DeValue::Table(table) = value.get_ref() else {
            let at = place(name.at.file, value);
            let message = format!("the look-up `{name}` is {}", type_of(value.get_ref()));
            m.add(at, message, format!("write [lookup.{name}] and lines of \"496\" = \"MNT\""));
            continue;
        };
        let mut said = Vec::new();
        for (key, value) in entries(table, name.at.file) {
            match value.get_ref() {
                DeValue::String(text) => said.push((key, (&**text).into())),
                _ => {
                    let at = place(key.at.file, value);
                    m.add(at, format!("what `{key}` becomes is no text"), "write it in quotes");
                }
            }
        }
        if table.is_empty() {
            let help = "write lines of \"496\" = \"MNT\" below it";
            m.add(name.at, format!("the look-up `{name}` is empty"), help);
        }
        found.push(LookupSaid { name, entries: said });
    }
    found
}

/// The options of a column made `as = "lookup"`.
pub(super) fn column(options: &mut Options<'_, '_>, m: &mut Mistakes<'_>) -> Option<LookedUp> {
    let table = options.text("in", m);
    let unknown = options.text("unknown", m).map(|said| said.value.into());
    if !options.has("in") {
        m.add(
            options.at,
            "the column does not say which look-up it is `in`",
            "write in = \"currencies\", and a table [lookup.currencies]",
        );
    }
    table.map(|table| LookedUp { table, unknown })
}
