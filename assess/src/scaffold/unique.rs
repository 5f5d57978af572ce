//! What the legacy side keeps unique, as Postgres can keep it (trap 4).
//!
//! SQL Server takes NULLs as equal, a `_CI` collation takes cases as equal, and XPO puts
//! `GCRecord` into an index so that only live rows clash. Postgres is told each of these.

use mapping::catalog::Table;

use super::{
    Room,
    draft::{ColumnDraft, EntityDraft, Made},
    family::Place,
    names::sql,
    outline::key,
};

/// A unique rule of an entity's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    /// Where the legacy side has it.
    pub(super) from: String,
    pub(super) columns: Vec<String>,
    /// The same as SQL, folded where the legacy side does not look at case.
    pub(super) expressions: Vec<String>,
    pub(super) may_be_null: bool,
    /// `deleted_at is null`, and what the legacy index filters by.
    pub(super) conditions: Vec<String>,
    /// What is not sure about it.
    pub(super) question: Option<String>,
    /// Whether it would refuse more than the legacy side does, until the question is answered.
    pub(super) is_open: bool,
}

/// The collation that knows the small and capital letters of every script.
pub(super) const FOLDING: &str = "\"und-x-icu\"";

/// A rule, or why there can be none.
pub(super) type Found = Result<Rule, String>;

pub(super) fn rules(room: &Room<'_>, entity: &EntityDraft<'_>) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for (part, table) in entity.parts.iter().enumerate() {
        if part == 0 || !matches!(room.families.place(table), Place::Leaf { .. }) {
            found.extend(natural_key(room, entity, part, table));
        }
        for index in &table.unique_indexes {
            if index.columns == table.primary_key {
                continue;
            }
            let from = format!("{} of {}", index.name, table.table);
            let filter = index.filter.as_deref();
            found.push(rule(room, (entity, part), from, &index.columns, filter));
        }
    }
    let mut seen: Vec<Vec<String>> = Vec::new();
    found.retain(|rule| match rule {
        Ok(rule) => {
            let is_new = !seen.contains(&rule.expressions) || !rule.conditions.is_empty();
            seen.push(rule.expressions.clone());
            is_new
        }
        Err(_) => true,
    });
    found
}

/// The columns that a unique rule's index begins with.
pub(super) fn first_columns(room: &Room<'_>, entity: &EntityDraft<'_>) -> Vec<String> {
    let usable = rules(room, entity).into_iter().flatten().filter(|rule| !rule.is_open);
    usable.filter_map(|rule| rule.columns.into_iter().next()).collect()
}

/// A key with a meaning: the engine keeps it unique in its key map, nobody does after the cutover.
fn natural_key(
    room: &Room<'_>,
    entity: &EntityDraft<'_>,
    part: usize,
    table: &Table,
) -> Option<Found> {
    let names = key(table);
    let is_mapped = names.iter().all(|name| {
        entity.columns.iter().any(|draft| {
            draft.part == part && draft.sources.iter().any(|s| s.name.eq_ignore_ascii_case(name))
        })
    });
    let from = format!("The key of {}", table.table);
    is_mapped.then(|| rule(room, (entity, part), from, &names, None))
}

fn rule(
    room: &Room<'_>,
    (entity, part): (&EntityDraft<'_>, usize),
    from: String,
    names: &[String],
    filter: Option<&str>,
) -> Found {
    let mut rule = Rule {
        from,
        columns: Vec::new(),
        expressions: Vec::new(),
        may_be_null: false,
        conditions: Vec::new(),
        question: None,
        is_open: false,
    };
    for name in names {
        if name.eq_ignore_ascii_case("GCRecord") && entity.soft_delete && part == 0 {
            rule.conditions.push("deleted_at is null".to_owned());
            continue;
        }
        let draft =
            target_of(entity, part, name, names).map_err(|why| format!("{}: {why}", rule.from))?;
        if rule.columns.contains(&draft.name) {
            continue;
        }
        rule.columns.push(draft.name.clone());
        rule.expressions.push(expression(room, draft));
        rule.may_be_null |= !draft.is_never_null();
    }
    if let Some(filter) = filter {
        match conditions(entity, part, filter) {
            Some(conditions) => rule.conditions.extend(conditions),
            None => {
                rule.question = Some(format!("its filter is `{filter}`: what is that here?"));
                rule.is_open = true;
            }
        }
    }
    rule.conditions.dedup();
    let root = entity.parts.first().filter(|_| part == 0);
    let is_shared = root.is_some_and(|root| room.families.leaf_count(root) > 1);
    if is_shared && rule.question.is_none() {
        rule.question = Some(
            "kept over all classes there, over this table's rows alone here: is that enough?"
                .into(),
        );
    }
    if rule.columns.is_empty() {
        Err(format!("{}: no column of it is mapped", rule.from))
    } else {
        Ok(rule)
    }
}

/// The column that stands for a legacy column: itself, or the reference that it is a part of.
fn target_of<'d, 'c>(
    entity: &'d EntityDraft<'c>,
    part: usize,
    name: &str,
    names: &[String],
) -> Result<&'d ColumnDraft<'c>, String> {
    if let [only] = entity.made_from(part, name).as_slice() {
        return Ok(only);
    }
    let whole = entity.columns.iter().filter(|draft| {
        let sources = &draft.sources;
        let in_rule = |source: &str| names.iter().any(|name| name.eq_ignore_ascii_case(source));
        draft.part == part
            && matches!(draft.made, Made::Ref { .. })
            && sources.iter().any(|source| source.name.eq_ignore_ascii_case(name))
            && sources.iter().all(|source| in_rule(&source.name))
    });
    match whole.collect::<Vec<_>>().as_slice() {
        [only] => Ok(only),
        [] => Err(format!("`{name}` is no column of its own here")),
        _ => Err(format!("`{name}` became several columns")),
    }
}

fn expression(room: &Room<'_>, draft: &ColumnDraft<'_>) -> String {
    let collation = draft.sources.first().and_then(|source| source.collation.as_deref());
    let collation = collation.unwrap_or(&room.catalog.collation).to_uppercase();
    let name = sql(&draft.name);
    match draft.made {
        // The database's own locale may fold no letters but English ones.
        Made::Text(_) if collation.contains("_CI") => format!("lower({name} collate {FOLDING})"),
        _ => name,
    }
}

/// A filter as the catalogue prints it, where it only asks for NULLs.
fn conditions(entity: &EntityDraft<'_>, part: usize, filter: &str) -> Option<Vec<String>> {
    let bare = filter.replace(['(', ')'], "");
    let mut found = Vec::new();
    for term in bare.split(" AND ").flat_map(|term| term.split(" and ")) {
        let (name, rest) = term.trim().strip_prefix('[')?.split_once(']')?;
        let negated = match rest.trim().to_ascii_lowercase().as_str() {
            "is null" => "is null",
            "is not null" => "is not null",
            _ => return None,
        };
        let column = if name.eq_ignore_ascii_case("GCRecord") && entity.soft_delete && part == 0 {
            "deleted_at".to_owned()
        } else {
            let [only] = entity.made_from(part, name).try_into().ok()?;
            sql(&only.name)
        };
        found.push(format!("{column} {negated}"));
    }
    Some(found)
}
