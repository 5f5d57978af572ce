//! `ObjectType`: the classes of a hierarchy's rows (trap 2).

use std::collections::BTreeMap;

use mapping::value::LegacyValue;

use super::{Check, Told};
use crate::{
    advice, code,
    kind::Hierarchy,
    names::snake,
    row::{Row, Tally},
    subject::Subject,
};

/// `XPObjectType`: number → class name.
pub(crate) type TypeNames = BTreeMap<i64, String>;

/// Classes that a table is told to have; no hierarchy has more.
const CLASSES_MAX: usize = 200;

/// Of one table.
pub(super) struct Types<'a> {
    subject: &'a Subject<'a>,
    names: &'a TypeNames,
    place: usize,
    counts: BTreeMap<i64, u64>,
    unknown: Tally,
    null: Tally,
}

impl<'a> Types<'a> {
    /// `None` without the column, and without a dictionary, where nothing could be said.
    pub(super) fn of(subject: &'a Subject<'a>, names: Option<&'a TypeNames>) -> Option<Self> {
        let (place, names) = subject.object_type.zip(names.filter(|names| !names.is_empty()))?;
        let (unknown, null) = (Tally::default(), Tally::default());
        Some(Self { subject, names, place, counts: BTreeMap::new(), unknown, null })
    }
}

impl Check for Types<'_> {
    fn look(&mut self, row: &Row<'_>) {
        match row.value(self.place) {
            LegacyValue::Int(number) if self.names.contains_key(number) => {
                if self.counts.len() < CLASSES_MAX || self.counts.contains_key(number) {
                    *self.counts.entry(*number).or_default() += 1;
                }
            }
            LegacyValue::Null => self.null.add(row),
            _ => self.unknown.add(row),
        }
    }

    fn tell(self: Box<Self>, told: &mut Told<'_>) {
        let columns = ["ObjectType"];
        let advice = "correct the rows in the legacy application: nobody can say what they are";
        told.rows(
            code::TYPE_UNKNOWN,
            &columns,
            self.unknown,
            "a type that XPObjectType does not have",
            advice,
        );
        let message = "no type: the row belongs to no class";
        told.rows(code::TYPE_NULL, &columns, self.null, message, advice);
        if self.counts.len() < 2 {
            return;
        }
        let named = |number: &i64| self.names.get(number).map_or("", String::as_str);
        let shown: Vec<String> = self
            .counts
            .iter()
            .map(|(number, count)| format!("{} ({count})", class(named(number))))
            .collect();
        let message = format!("{} classes: {}", shown.len(), shown.join(", "));
        let names: Vec<&str> = self.counts.keys().map(named).collect();
        let advice = match &self.subject.kind.hierarchy {
            Hierarchy::TptRoot { leaves } => parts(&names, &self.subject.table.table, leaves),
            Hierarchy::None | Hierarchy::TptLeaf { .. } | Hierarchy::TphRoot => {
                let entry = |name: &&str| (advice::quote(name), advice::quote(&snake(class(name))));
                let values = advice::inline(names.iter().map(entry));
                advice::line("ObjectType", "type", &[("values", &values), ("not_null", "true")])
            }
        };
        let all = Tally { count: self.counts.values().sum(), examples: Vec::new() };
        told.rows(code::TYPE_VALUES, &columns, all, message, advice);
    }
}

/// The class alone, without its namespace.
pub(crate) fn class(type_name: &str) -> &str {
    type_name.rsplit('.').next().unwrap_or(type_name)
}

/// Which parts and types make which entity of a TPT hierarchy.
fn parts(
    names: &[&str],
    root: &mapping::catalog::LegacyTable,
    leaves: &[mapping::catalog::LegacyTable],
) -> String {
    let line = |leaf: &mapping::catalog::LegacyTable| {
        let name = names.iter().find(|name| class(name).eq_ignore_ascii_case(&leaf.name))?;
        Some(format!(
            "parts = [{}, {}]\ntype = {}",
            advice::quote(&root.to_string()),
            advice::quote(&leaf.to_string()),
            advice::quote(name)
        ))
    };
    leaves.iter().filter_map(line).collect::<Vec<_>>().join("\n\n")
}
