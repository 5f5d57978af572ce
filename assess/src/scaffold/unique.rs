//! What the legacy side keeps unique, as Postgres can keep it (trap 4).
//!
//! SQL Server takes NULLs as equal, a `_CI` collation takes cases as equal, and XPO puts
//! `GCRecord` into an index so that only live rows clash. The mapping file says each of these in
//! an `[[entity.unique]]`, which the cutover seals; what it can't say is left for the seal's file.

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
    /// Whether deleted rows are aside.
    pub(super) live: bool,
    pub(super) nulls_equal: bool,
    pub(super) ignore_case: bool,
    /// Conditions that a mapping file can't say, as SQL.
    pub(super) filter: Vec<String>,
    /// What is not sure about it.
    pub(super) question: Option<String>,
    /// Whether it would refuse more than the legacy side does, until the question is answered.
    pub(super) is_open: bool,
}

impl Rule {
    fn new(from: String) -> Self {
        Self {
            from,
            columns: Vec::new(),
            live: false,
            nulls_equal: true,
            ignore_case: false,
            filter: Vec::new(),
            question: None,
            is_open: false,
        }
    }

    /// Whether the mapping file can say all of it.
    pub(super) fn is_said(&self) -> bool {
        self.filter.is_empty() && !self.is_open
    }
}

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
    // Two rules of the same columns would be one index by its name; the key's is the stricter.
    let mut seen: Vec<Vec<String>> = Vec::new();
    found.retain(|rule| match rule {
        Ok(rule) => {
            let is_new = !seen.contains(&rule.columns);
            seen.push(rule.columns.clone());
            is_new
        }
        Err(_) => true,
    });
    found
}

/// The rules that the mapping file says.
pub(super) fn said(room: &Room<'_>, entity: &EntityDraft<'_>) -> Vec<Rule> {
    rules(room, entity).into_iter().flatten().filter(Rule::is_said).collect()
}

/// The columns that a unique rule's index begins with.
pub(super) fn first_columns(room: &Room<'_>, entity: &EntityDraft<'_>) -> Vec<String> {
    said(room, entity).into_iter().filter_map(|rule| rule.columns.into_iter().next()).collect()
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
    let mut rule = Rule::new(from);
    let mut columns: Vec<&ColumnDraft<'_>> = Vec::new();
    for name in names {
        if is_mark(entity, part, name) {
            rule.live = true;
            continue;
        }
        let draft =
            target_of(entity, part, name, names).map_err(|why| format!("{}: {why}", rule.from))?;
        if !rule.columns.contains(&draft.name) {
            rule.columns.push(draft.name.clone());
            columns.push(draft);
        }
    }
    if columns.is_empty() {
        return Err(format!("{}: no column of it is mapped", rule.from));
    }
    let texts = columns.iter().filter(|draft| matches!(draft.made, Made::Text(_)));
    rule.ignore_case = texts.clone().next().is_some() && texts.clone().all(|t| folds(room, t));
    if let Some(filter) = filter {
        match terms(entity, part, filter) {
            Some(terms) => apply(&terms, &columns, &mut rule),
            None => {
                rule.question = Some(format!("its filter is `{filter}`: what is that here?"));
                rule.is_open = true;
            }
        }
    }
    ask(room, (entity, part), &columns, &mut rule);
    Ok(rule)
}

/// What a person has to look at.
fn ask(
    room: &Room<'_>,
    (entity, part): (&EntityDraft<'_>, usize),
    columns: &[&ColumnDraft<'_>],
    rule: &mut Rule,
) {
    let cleared =
        columns.iter().find(|draft| matches!(&draft.made, Made::Ref { orphans: "null", .. }));
    if let Some(draft) = cleared.filter(|_| rule.nulls_equal) {
        rule.nulls_equal = false;
        let why = format!(
            "the seal may set `{}` to NULL in several rows, so rows without it do not clash: is that enough?",
            draft.name
        );
        rule.question.get_or_insert(why);
    }
    let root = entity.parts.first().filter(|_| part == 0);
    if root.is_some_and(|root| room.families.leaf_count(root) > 1) {
        let why = "kept over all classes there, over this table's rows alone here: is that enough?";
        rule.question.get_or_insert(why.to_owned());
    }
}

fn is_mark(entity: &EntityDraft<'_>, part: usize, name: &str) -> bool {
    name.eq_ignore_ascii_case("GCRecord") && entity.soft_delete && part == 0
}

fn folds(room: &Room<'_>, draft: &ColumnDraft<'_>) -> bool {
    let collation = draft.sources.first().and_then(|source| source.collation.as_deref());
    collation.unwrap_or(&room.catalog.collation).to_uppercase().contains("_CI")
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

/// A term of a filter: a target column, and whether it has to be NULL. No column is the mark of
/// deleted rows.
type Term = (Option<String>, bool);

/// A filter as the catalogue prints it, where it only asks for NULLs.
fn terms(entity: &EntityDraft<'_>, part: usize, filter: &str) -> Option<Vec<Term>> {
    let bare = filter.replace(['(', ')'], "");
    let mut found = Vec::new();
    for term in bare.split(" AND ").flat_map(|term| term.split(" and ")) {
        let (name, rest) = term.trim().strip_prefix('[')?.split_once(']')?;
        let is_null = match rest.trim().to_ascii_lowercase().as_str() {
            "is null" => true,
            "is not null" => false,
            _ => return None,
        };
        if is_mark(entity, part, name) {
            found.push((None, is_null));
            continue;
        }
        let [only] = entity.made_from(part, name).try_into().ok()?;
        found.push((Some(only.name.clone()), is_null));
    }
    Some(found)
}

/// An index that leaves out the rows without a value is one whose NULLs are distinct; anything
/// else is a condition of its own.
fn apply(terms: &[Term], columns: &[&ColumnDraft<'_>], rule: &mut Rule) {
    let given = |name: &str| terms.contains(&(Some(name.to_owned()), false));
    rule.nulls_equal = !columns.iter().any(|draft| given(&draft.name))
        || !columns.iter().all(|draft| draft.is_never_null() || given(&draft.name));
    for (column, is_null) in terms {
        match (column, is_null) {
            (None, true) => rule.live = true,
            (None, false) => rule.filter.push("deleted_at is not null".to_owned()),
            (Some(name), false) if !rule.nulls_equal && rule.columns.contains(name) => {}
            (Some(name), true) => rule.filter.push(format!("{} is null", sql(name))),
            (Some(name), false) => rule.filter.push(format!("{} is not null", sql(name))),
        }
    }
}
