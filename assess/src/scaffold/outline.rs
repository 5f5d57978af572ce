//! First pass: which entities there will be, and which of them a legacy table's rows become.

use std::collections::BTreeMap;

use mapping::{
    catalog::{LegacyTable, Table},
    key::can_be_key,
};

use super::{
    Room,
    draft::EntityDraft,
    family::Place,
    ignored::{self, Ignored},
    names::Names,
    notes::Note,
    words::{plural, singular, snake, words},
};
use crate::kind::BaseClass;

/// What the first pass finds.
#[derive(Debug, Default)]
pub(super) struct Outlines<'c> {
    /// Entities without columns yet.
    pub(super) entities: Vec<EntityDraft<'c>>,
    pub(super) ignored: Vec<Ignored>,
    /// The dictionary of types, when one of the files has to name it.
    pub(super) dictionary: Option<LegacyTable>,
    /// Tables that no mapping file can name.
    pub(super) unnamed: Vec<String>,
    by_table: BTreeMap<LegacyTable, Vec<String>>,
}

impl Outlines<'_> {
    /// The entities that a table's rows become: several for the root of a hierarchy.
    pub(super) fn entities_of(&self, table: &Table) -> &[String] {
        self.by_table.get(&table.table).map_or(&[], Vec::as_slice)
    }

    fn note(&mut self, table: &LegacyTable, entity: &str) {
        self.by_table.entry(table.clone()).or_default().push(entity.to_owned());
    }
}

pub(super) fn outlines<'c>(room: &Room<'c>, tables: &[LegacyTable]) -> Outlines<'c> {
    let mut found = Outlines::default();
    let mut names = Names::default();
    for known in &room.choices.known {
        names.take(std::slice::from_ref(&known.entity));
        for table in &known.tables {
            if let Some(table) = room.catalog.table(table) {
                found.note(&table.table, &known.entity);
            }
        }
    }
    let selected = room.catalog.tables.iter().filter(|table| tables.contains(&table.table));
    for table in selected {
        if room.families.dictionary() == Some(table) {
            found.dictionary = Some(table.table.clone());
        } else if let Some(why) = ignored::unnamable(room, table) {
            found.unnamed.push(why);
        } else if let Some(ignored) = ignored::find(room, table) {
            found.ignored.push(ignored);
        } else if let Some(parts) = parts(room, table) {
            let entity = outline(room, table, parts, &mut names);
            for part in &entity.parts {
                found.note(&part.table, &entity.name);
            }
            found.entities.push(entity);
        }
    }
    found
}

/// The columns that identify a row: the primary key, or a unique index without NULLs.
pub(super) fn key(table: &Table) -> Vec<String> {
    if !table.primary_key.is_empty() {
        return table.primary_key.clone();
    }
    let given = |name: &String| {
        table.column(name).is_some_and(|c| !c.nullable && !c.computed && can_be_key(&c.sql_type))
    };
    let usable = table
        .unique_indexes
        .iter()
        .find(|index| index.filter.is_none() && index.columns.iter().all(given));
    usable.map(|index| index.columns.clone()).unwrap_or_default()
}

/// The tables that one entity is made of; `None` for a root whose rows belong to its leaves.
fn parts<'c>(room: &Room<'c>, table: &'c Table) -> Option<Vec<&'c Table>> {
    match room.families.place(table) {
        Place::Alone | Place::Deeper { .. } => Some(vec![table]),
        Place::Leaf { root } => Some(vec![root, table]),
        Place::Root => (!own_types(room, table).is_empty()).then(|| vec![table]),
    }
}

/// Types of a root's rows that no table below it is for.
fn own_types<'c>(room: &Room<'c>, root: &'c Table) -> Vec<String> {
    let below = room.families.descendants(root);
    let of_leaf = |name: &String| below.iter().any(|leaf| is_class_of(name, leaf));
    room.facts.types(root).into_iter().filter(|name| !of_leaf(name)).collect()
}

/// XPO names a class's table as the class, unless it is told otherwise.
fn is_class_of(type_name: &str, table: &Table) -> bool {
    let class = type_name.rsplit(['.', '+']).next().unwrap_or_default();
    class.eq_ignore_ascii_case(&table.table.name)
}

fn outline<'c>(
    room: &Room<'c>,
    table: &'c Table,
    parts: Vec<&'c Table>,
    names: &mut Names,
) -> EntityDraft<'c> {
    let mut notes = Vec::new();
    let base = entity_name(room, table);
    let mut wanted = vec![base.clone()];
    if !table.table.schema.eq_ignore_ascii_case("dbo") {
        wanted.push(format!("{}_{base}", snake(&table.table.schema)));
    }
    let name = names.take(&wanted);
    if !table.table.name.is_ascii() || snake(&table.table.name).is_empty() {
        notes.push(Note::question(format!("what is `{}` in English?", table.table.name)));
    } else if name != base {
        notes.push(Note::question(format!(
            "`{base}` is another entity already: how are they told apart?"
        )));
    }
    let (types, type_notes) = types(room, table, &parts);
    let wanted = key(table);
    let key = if wanted.len() > 1 || table.primary_key.is_empty() { wanted } else { Vec::new() };
    if table.primary_key.is_empty() {
        notes.push(Note::question("without a primary key: is this unique index its key?"));
    }
    EntityDraft {
        domain: super::domain::of(room, table),
        name,
        parts,
        types,
        key,
        id_time: None,
        soft_delete: false,
        version: None,
        columns: Vec::new(),
        left_out: Vec::new(),
        notes,
        type_notes,
        id_time_notes: Vec::new(),
    }
}

/// Prefixes of XAF's own classes, which say nothing on the new side.
const XAF: [&str; 2] = ["PermissionPolicy", "SecuritySystem"];

/// A table's name in `snake_case` and in the singular, as far as it is one.
pub(super) fn base_name(table: &Table) -> String {
    let name = table.table.name.as_str();
    let own = XAF.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
    match own {
        "FileData" => "file".to_owned(),
        "" => snake(name),
        own => snake(own),
    }
}

fn entity_name(room: &Room<'_>, table: &Table) -> String {
    if let Some(link) = link_name(room, table) {
        return link;
    }
    let base = base_name(table);
    if base.is_empty() {
        let index = room.catalog.tables.iter().position(|other| other == table);
        return format!("table_{}", index.unwrap_or_default() + 1);
    }
    // An English plural of a Mongolian noun helps nobody.
    if table.table.name.is_ascii() { plural(&base) } else { base }
}

/// A link table is named by what it links: `property_owners`.
fn link_name(room: &Room<'_>, table: &Table) -> Option<String> {
    if room.families.kind(table)?.base != BaseClass::LinkTable {
        return None;
    }
    let ends = table.foreign_keys.iter().filter(|key| key.columns.len() == 1);
    let mut bases: Vec<String> = ends
        .filter_map(|key| room.catalog.table(&key.references))
        .map(|end| singular(&base_name(end)))
        .collect();
    let [_, _] = bases.as_slice() else { return None };
    let whole = words(&table.table.name);
    let place = |base: &String| {
        let first = base.split('_').next().unwrap_or_default();
        whole.iter().position(|word| word == first).unwrap_or(usize::MAX)
    };
    bases.sort_by_key(place);
    let [first, second] = bases.as_slice() else { return None };
    Some(format!("{first}_{}", plural(second)))
}

/// The type names of an entity that shares its root, and what is not known of them.
fn types<'c>(room: &Room<'c>, table: &'c Table, parts: &[&'c Table]) -> (Vec<String>, Vec<Note>) {
    if room.families.place(table) == Place::Root {
        return (own_types(room, table), Vec::new());
    }
    let [root, leaf] = parts else { return (Vec::new(), Vec::new()) };
    let below = room.families.descendants(leaf);
    let ours = |name: &String| {
        is_class_of(name, leaf) || below.iter().any(|deeper| is_class_of(name, deeper))
    };
    let known: Vec<String> = room.facts.types(root).into_iter().filter(ours).collect();
    if !known.is_empty() {
        return (known, Vec::new());
    }
    let classes: Vec<String> =
        std::iter::once(leaf).chain(below).map(|table| table.table.name.clone()).collect();
    let question = format!(
        "the full type name, as XPObjectType.TypeName spells it; rows of {} with another type are \
         left out, and so are those of its own class",
        root.table
    );
    (classes, vec![Note::question(question)])
}
