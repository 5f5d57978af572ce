//! The only place where names of the mapping become SQL.

use std::fmt;

use mapping::plan::EntityPlan;

use crate::fold::{Special, is_unchanged};

/// A quoted identifier. Values are always parameters; names can only get in through here.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Ident(String);

impl Ident {
    /// Quotes a name.
    #[must_use]
    pub(crate) fn new(name: &str) -> Self {
        let mut quoted = String::with_capacity(name.len() + 2);
        quoted.push('"');
        // Postgres can't store U+0000 in a name, so such a name exists nowhere.
        for character in name.chars().filter(|character| *character != '\0') {
            if character == '"' {
                quoted.push('"');
            }
            quoted.push(character);
        }
        quoted.push('"');
        Self(quoted)
    }

    /// The name, without its quotes.
    pub(crate) fn name(&self) -> &str {
        let quoted = self.0.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        quoted.unwrap_or(&self.0)
    }

    /// `schema.table`, both quoted.
    #[must_use]
    pub(crate) fn qualified(schema: &str, name: &str) -> Self {
        Self(format!("{}.{}", Self::new(schema), Self::new(name)))
    }
}

impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name as a text: the key of a jsonb object.
pub(crate) fn literal(name: &str) -> String {
    format!("'{}'", name.replace('\'', "''"))
}

/// What a staged row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Staged {
    /// Its id was minted by this batch, so there is no row yet.
    New,
    /// All columns are known.
    Full,
    /// Soft-deleted: an existing row keeps its references.
    SoftDelete,
    /// Some columns are not known: only an existing row can take it.
    Partial,
    /// Soft-deleted, and some columns are not known.
    PartialSoftDelete,
}

impl Staged {
    pub(crate) const fn code(self) -> i16 {
        match self {
            Self::New => 0,
            Self::Full => 1,
            Self::SoftDelete => 2,
            Self::Partial => 3,
            Self::PartialSoftDelete => 4,
        }
    }
}

/// Columns of a staging table after those of the entity.
pub(crate) const STAGE_COLUMNS: [&str; 4] =
    ["source_position", "stage_kind", "stage_mask", "stage_n"];

/// The statements of one entity. `s` is the staging table, `t` the target.
///
/// The guard (law 3, [`replaces`]) is in every one of them that may meet a row, so Postgres itself refuses an older change, whoever sends it. NULL (a row made by the API after
/// the cutover) compares to nothing, so such a row is never touched.
pub(crate) struct Statements {
    /// The staging table.
    pub(crate) stage: String,
    /// The target table.
    pub(crate) table: Ident,
    /// The indexes of the entity's columns, in staging order.
    pub(crate) order: Vec<usize>,
    pub(crate) create_stage: String,
    pub(crate) copy: String,
    /// Straight into the table.
    pub(crate) copy_new: String,
    insert: String,
    insert_checked: String,
    upsert: String,
    upsert_checked: String,
    soft_delete: String,
    soft_delete_checked: String,
    special: Special,
    pub(crate) missing: String,
    pub(crate) delete: String,
    pub(crate) compose: String,
    pub(crate) decompose: String,
    pub(crate) columns: Vec<Ident>,
}

impl Statements {
    pub(crate) fn new(entity: &EntityPlan, number: i16, special: Special) -> Self {
        let stage = format!("stage_{number}");
        let table = Ident::qualified(&entity.target_schema, &entity.target_table);
        let order = match entity.parts.as_slice() {
            [only] => only.columns.clone(),
            _ => (0..entity.columns.len()).collect(),
        };
        let planned: Vec<_> = order.iter().filter_map(|index| entity.columns.get(*index)).collect();
        let columns: Vec<Ident> = planned.iter().map(|column| Ident::new(&column.name)).collect();
        let types: Vec<&str> =
            planned.iter().map(|column| crate::target::type_name(column.pg_type)).collect();
        let names = join(&columns, |name| name.to_string());
        let parts =
            Parts { stage: &stage, table: &table, columns: &columns, names: &names, number };
        let insert = parts.insert(Staged::New, "");
        let tail = format!("on conflict (id) do update set {}", parts.assign_all("excluded"));
        let upsert = parts.insert(Staged::Full, &tail);
        let soft = soft_assignments(&columns, special, 0, "excluded");
        let tail = format!("on conflict (id) do update set {soft}");
        let soft_delete = parts.insert(Staged::SoftDelete, &tail);
        let guard = replaces("t.source_position", "excluded.source_position");
        let guard = format!(" where {guard}");
        Self {
            create_stage: create_stage(&stage, &columns, &types),
            copy: format!(
                "copy pg_temp.{stage} ({names}, {}) from stdin (format binary)",
                STAGE_COLUMNS.join(", ")
            ),
            copy_new: format!("copy {table} ({names}, source_position) from stdin (format binary)"),
            insert: insert(false),
            insert_checked: insert(true),
            upsert: format!("{}{guard}", upsert(false)),
            upsert_checked: format!("{}{guard}", upsert(true)),
            soft_delete: format!("{}{guard}", soft_delete(false)),
            soft_delete_checked: format!("{}{guard}", soft_delete(true)),
            missing: format!(
                "select s.stage_n from pg_temp.{stage} as s where s.stage_kind >= $1 \
                 and (select true from {table} as t where t.id = s.id) is null and {}",
                not_buried(number)
            ),
            delete: parts.delete(),
            compose: format!("{} where t.source_position is not null", upsert(false)),
            decompose: parts.decompose(),
            stage,
            order,
            columns,
            special,
            table: table.clone(),
        }
    }

    /// Writes the staged new rows; `checked` when the entity has tombstones. A row that is there
    /// after all is a unique violation.
    pub(crate) fn insert(&self, checked: bool) -> &str {
        if checked { &self.insert_checked } else { &self.insert }
    }

    /// Writes the staged full rows; `checked` when the entity has tombstones.
    pub(crate) fn upsert(&self, checked: bool) -> &str {
        if checked { &self.upsert_checked } else { &self.upsert }
    }

    /// Writes the staged soft-deleted rows.
    pub(crate) fn soft_delete(&self, checked: bool) -> &str {
        if checked { &self.soft_delete_checked } else { &self.soft_delete }
    }

    /// Of `$1` (ids) with `$2` (positions), those whose row or tombstone is as new or newer.
    pub(crate) fn settled(&self, number: i16) -> String {
        format!(
            "select w.id from unnest($1::uuid[], $2::bytea[]) as w (id, position) where {}",
            self.newer(number)
        )
    }

    /// Whether the row or the tombstone of `w.id` is as new as `w.position`, or newer.
    pub(crate) fn newer(&self, number: i16) -> String {
        format!(
            "(select t.source_position is null or not {} from {} as t where t.id = w.id) is true \
             or (select not {} from ficus.tombstone as d \
                 where d.entity = {number} and d.id = w.id) is true",
            replaces("t.source_position", "w.position"),
            self.table,
            replaces("d.position", "w.position"),
        )
    }

    /// Writes what is known of the staged partial rows with this mask (`$1`).
    pub(crate) fn partial(&self, kind: Staged, unchanged: u64) -> String {
        let assignments = if kind == Staged::PartialSoftDelete {
            soft_assignments(&self.columns, self.special, unchanged, "s")
        } else {
            let known = self.columns.iter().enumerate().skip(1);
            known
                .filter(|(index, _)| !is_unchanged(unchanged, *index))
                .map(|(_, name)| format!("{name} = s.{name}"))
                .chain(["source_position = s.source_position".to_owned()])
                .collect::<Vec<_>>()
                .join(", ")
        };
        format!(
            "update {} as t set {assignments} from pg_temp.{} as s where s.stage_kind = {} \
             and s.stage_mask = $1 and t.id = s.id and t.source_position < s.source_position",
            self.table,
            self.stage,
            kind.code()
        )
    }
}

/// [`mapping::position::Position::replaces`] in SQL: whether a write at `new` may take the place of one at `old`.
pub(crate) fn replaces(old: &str, new: &str) -> String {
    format!(
        "({old} < {new} or ({old} = {new} and (substr({new}, 11) = '\\xffffffffffffffff'::bytea \
         or {new} = '\\x000000000000000000000000000000000000'::bytea)))"
    )
}

/// A scalar subquery is always answered row by row over the primary key; a join may not be.
pub(crate) fn not_buried(number: i16) -> String {
    format!(
        "coalesce((select {} from ficus.tombstone as d \
         where d.entity = {number} and d.id = s.id), true)",
        replaces("d.position", "s.source_position")
    )
}

fn create_stage(stage: &str, columns: &[Ident], types: &[&str]) -> String {
    let columns: Vec<String> =
        columns.iter().zip(types).map(|(name, type_name)| format!("{name} {type_name}")).collect();
    format!(
        "create temporary table if not exists {stage} ({}, source_position bytea, \
         stage_kind int2, stage_mask int8, stage_n int4) on commit delete rows",
        columns.join(", ")
    )
}

/// A soft delete leaves the references alone (the legacy row has lost its own by now), and brings
/// its mark and the other columns that it knows.
fn soft_assignments(columns: &[Ident], special: Special, unchanged: u64, from: &str) -> String {
    let mut all = vec![format!("source_position = {from}.source_position")];
    for (index, name) in columns.iter().enumerate().skip(1) {
        if Some(index) == special.deleted_at {
            all.push(format!("{name} = coalesce(t.{name}, {from}.{name})"));
        } else if Some(index) == special.version
            || (is_unchanged(special.brought, index) && !is_unchanged(unchanged, index))
        {
            all.push(format!("{name} = {from}.{name}"));
        }
    }
    all.join(", ")
}

struct Parts<'a> {
    stage: &'a str,
    table: &'a Ident,
    columns: &'a [Ident],
    names: &'a str,
    number: i16,
}

impl Parts<'_> {
    fn assign_all(&self, from: &str) -> String {
        let columns = self.columns.iter().skip(1).map(|name| format!("{name} = {from}.{name}"));
        let all: Vec<String> =
            columns.chain([format!("source_position = {from}.source_position")]).collect();
        all.join(", ")
    }

    fn insert(&self, kind: Staged, tail: &str) -> impl Fn(bool) -> String + use<> {
        let Parts { stage, table, names, .. } = self;
        let selected = join(self.columns, |name| format!("s.{name}"));
        let code = kind.code();
        let head = format!(
            "insert into {table} as t ({names}, source_position) \
             select {selected}, s.source_position from pg_temp.{stage} as s where s.stage_kind = {code}"
        );
        let check = format!(" and {}", not_buried(self.number));
        let tail = tail.to_owned();
        move |checked| format!("{head}{} {tail}", if checked { check.as_str() } else { "" })
    }

    /// Comes back with the ids of the deletes that count: the row was older or not there, and no
    /// tombstone is as new. And with whether there was a row.
    fn delete(&self) -> String {
        let Parts { table, number, .. } = self;
        let newer = replaces("t.source_position", "d.position");
        let deeper = replaces("b.position", "excluded.position");
        format!(
            "with d as (select * from unnest($1::uuid[], $2::bytea[]) as d (id, position)), \
             gone as (delete from {table} as t using d where t.id = d.id and {newer} returning t.id), \
             buried as (insert into ficus.tombstone as b (entity, id, position) \
               select {number}, d.id, d.position from d \
               where (select t.source_position is null or not {newer} \
                      from {table} as t where t.id = d.id) is not true \
               order by d.id \
               on conflict (entity, id) do update set position = excluded.position \
               where {deeper} returning b.id) \
             select id, id in (select id from gone) from buried"
        )
    }

    /// The row of an entity with parts goes when one of its parts does. The parts have decided
    /// already, so no guard but that the row is the engine's.
    fn decompose(&self) -> String {
        let Parts { table, number, .. } = self;
        format!(
            "with d as (select * from unnest($1::uuid[], $2::bytea[]) as d (id, position)), \
             gone as (delete from {table} as t using d where t.id = d.id and t.source_position is not null) \
             insert into ficus.tombstone as b (entity, id, position) \
             select {number}, d.id, d.position from d order by d.id \
             on conflict (entity, id) do update set position = excluded.position \
             where b.position < excluded.position"
        )
    }
}

fn join(columns: &[Ident], each: impl Fn(&Ident) -> String) -> String {
    columns.iter().map(each).collect::<Vec<_>>().join(", ")
}
