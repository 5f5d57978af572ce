//! What is unique, checked against the entity's columns.

use crate::{
    file::{EntitySaid, Mistakes, Said, UniqueSaid, closest},
    plan::{EntityPlan, OrphanPolicy, PgType, SoftDelete, TargetColumn, UniqueRule},
};

pub(super) fn rules(said: &EntitySaid, plan: &EntityPlan, m: &mut Mistakes<'_>) -> Vec<UniqueRule> {
    let mut rules: Vec<UniqueRule> = Vec::new();
    for unique in &said.unique {
        let rule = rule(said, unique, plan, m);
        if rules.iter().any(|earlier| earlier.columns == rule.columns) {
            m.add(unique.at, "the same columns are unique twice", "keep one of the two rules");
        }
        rules.push(rule);
    }
    rules
}

fn rule(
    entity: &EntitySaid,
    said: &UniqueSaid,
    plan: &EntityPlan,
    m: &mut Mistakes<'_>,
) -> UniqueRule {
    let mut columns: Vec<String> = Vec::new();
    // A text, or something that may be one.
    let mut texts = false;
    let unmade = |name: &str| {
        !entity.unclear.is_empty() || entity.columns.iter().any(|column| column.name.value == name)
    };
    for name in &said.columns {
        match plan.columns.iter().skip(1).find(|column| column.name == name.value) {
            Some(column) => {
                texts |= column.pg_type == PgType::Text;
                check_reference(said, name, column, plan, m);
            }
            // A column with a mistake of its own is not there, and that has been told.
            None if unmade(&name.value) => texts = true,
            None => {
                texts = true;
                let names = plan.columns.iter().skip(1).map(|column| column.name.as_str());
                let help = closest(&name.value, names).map_or_else(
                    || "name target columns of this entity".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                m.add(name.at, format!("`{}` has no column `{name}`", plan.name), help);
            }
        }
        if columns.contains(&name.value) {
            m.add(name.at, format!("`{name}` is named twice"), "name it once");
        }
        columns.push(name.value.clone());
    }
    let marked = plan.soft_delete == SoftDelete::DeletedAt;
    if said.live == Some(true) && !marked {
        m.add(
            said.at,
            format!("`{}` keeps no deleted rows to tell from live ones", plan.name),
            "write soft_delete = \"deleted_at\", or drop `among`",
        );
    }
    if said.ignore_case && !texts {
        m.add(said.at, "`case` is said of columns that are no text", "drop `case`");
    }
    UniqueRule {
        columns,
        live: said.live.unwrap_or(marked),
        nulls_equal: said.nulls_equal,
        ignore_case: said.ignore_case,
        duplicates: said.duplicates,
    }
}

/// The seal sets orphans to NULL after duplicates were counted: equal NULLs would only then clash.
fn check_reference(
    said: &UniqueSaid,
    name: &Said<String>,
    column: &TargetColumn,
    plan: &EntityPlan,
    m: &mut Mistakes<'_>,
) {
    let mut references = plan.references.iter();
    let cleared = references.any(|reference| {
        reference.column == column.name && reference.orphans == OrphanPolicy::Null
    });
    if cleared && said.nulls_equal {
        m.add(
            name.at,
            format!("the seal may set `{name}` to NULL in several rows, and NULLs are equal"),
            "write nulls = \"distinct\", or another `orphans` for the reference",
        );
    }
}
