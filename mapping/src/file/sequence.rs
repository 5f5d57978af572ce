//! `[[sequence]]`: a numbering that Postgres goes on with.

use toml::de::DeTable;

use super::{
    Literal, Mistakes, Place, Said,
    options::{Level, Options},
};

/// What a `[[sequence]]` says.
#[derive(Debug)]
pub(crate) struct SequenceSaid {
    pub(crate) name: Said<String>,
    /// `entity.column`.
    pub(crate) from: Vec<Said<String>>,
    pub(crate) patterns: Vec<Said<String>>,
    pub(crate) except: Vec<Said<String>>,
    pub(crate) above: i64,
    pub(crate) step: i64,
}

pub(super) fn read(
    (at, table): (Place, &DeTable<'_>),
    m: &mut Mistakes<'_>,
) -> Option<SequenceSaid> {
    let mut options = Options::new(Level::Sequence, table, at, "a [[sequence]]");
    let name = options.text("name", m);
    if let Some(name) = &name {
        options.is(format!("sequence `{name}`"));
    }
    let from = options.texts("from", m);
    let patterns = options.texts("pattern", m).unwrap_or_default();
    let except = options.texts("except", m).unwrap_or_default();
    let above = number(&mut options, "above", 0, m);
    let step = number(&mut options, "step", 1, m);
    options.finish(m);
    let Some(name) = name else {
        m.add(at, "a sequence has no name", "write name = \"invoice_no_seq\", as Postgres has it");
        return None;
    };
    let from = from.unwrap_or_default();
    if from.is_empty() {
        let message = format!("sequence `{name}` does not say which column has its numbers");
        m.add(name.at, message, "write from = \"invoices.invoice_no\", for instance");
    }
    Some(SequenceSaid { name, from, patterns, except, above, step })
}

/// A number that may be missing, from its least value.
fn number(
    options: &mut Options<'_, '_>,
    key: &'static str,
    least: i64,
    m: &mut Mistakes<'_>,
) -> i64 {
    match options.literal(key, m) {
        None => least,
        Some(Said { value: Literal::Int(number), .. }) if number >= least => number,
        Some(other) => {
            m.add(
                other.at,
                format!("`{key}` is no whole number from {least}"),
                format!("write {key} = 1000, for instance"),
            );
            least
        }
    }
}
