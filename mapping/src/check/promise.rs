//! What the mapping may write into a target column.

use super::{fields, sources};
use crate::{
    catalog::Catalog,
    convert::{Content, Make, Sentinel, Sentinels},
    key::KeyKind,
    plan::{DeletedParents, EntityPlan, Field, OnNull, OrphanPolicy, PgType, Plan, Reference},
};

/// What a target column has to bear.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Promise {
    /// Why NULL may be written, one clause; `None` when it never is.
    pub null: Option<String>,
    /// The only texts that are ever written, where they are a closed set.
    pub texts: Option<Vec<String>>,
}

impl Plan {
    /// What the mapping may write into a column of an entity, by its index; `None` for the id and
    /// for a column that is not there.
    #[must_use]
    pub fn promise(
        &self,
        entity: &EntityPlan,
        column: usize,
        catalog: &Catalog,
    ) -> Option<Promise> {
        let (table, _, field) = fields(self, entity).find(|(_, index, _)| *index == column)?;
        let known = catalog.table(&table.table);
        let nullable = sources(table, field).into_iter().find(|name| {
            known.and_then(|known| known.column(name)).is_none_or(|column| column.nullable)
        });
        let target = entity.columns.get(column);
        let mut references = entity.references.iter();
        let reference = target.and_then(|target| references.find(|r| r.column == target.name));
        Some(Promise { null: null(field, nullable, reference), texts: texts(field) })
    }
}

fn null(field: &Field, nullable: Option<&str>, reference: Option<&Reference>) -> Option<String> {
    let sealed = || {
        let option = match reference? {
            Reference { orphans: OrphanPolicy::Null, .. } => "orphans",
            Reference { deleted: DeletedParents::Null, .. } => "deleted",
            _ => return None,
        };
        Some(format!("{option} = \"null\" clears it at the cutover"))
    };
    match &field.null {
        OnNull::Field(_) | OnNull::Reject => sealed(),
        OnNull::RejectLive => Some("a soft-deleted row has lost its references".to_owned()),
        OnNull::Null => {
            let nullable = nullable.map(|name| format!("`{name}` is nullable"));
            nullable.or_else(|| converted_to_null(&field.make).map(str::to_owned)).or_else(sealed)
        }
    }
}

/// Why a value that is not NULL may become NULL.
fn converted_to_null(make: &Make) -> Option<&'static str> {
    let sentinels = |sentinels: &Sentinels| {
        let days = sentinels.days.iter().map(|(_, meaning)| meaning);
        let mut all = days.chain(sentinels.ticks.iter().map(|(_, meaning)| meaning));
        all.any(|meaning| *meaning == Sentinel::Null).then_some("a sentinel means NULL")
    };
    match make {
        Make::Text(rule) => rule.empty_is_null.then_some("empty = \"null\""),
        Make::Split(rule) if rule.absent_is_null => Some("absent = \"null\""),
        Make::Split(rule) => rule.clean.empty_is_null.then_some("empty = \"null\""),
        Make::Concat(_) => Some("blank parts give NULL"),
        Make::Object(Content::Text(rule)) => rule.empty_is_null.then_some("empty = \"null\""),
        Make::Object(Content::Bytes | Content::XpoFile { .. }) => None,
        Make::Date { sentinels: s, .. }
        | Make::Timestamp { sentinels: s, .. }
        | Make::Timestamptz { sentinels: s, .. } => sentinels(s),
        Make::Ref(rule) if rule.empty_is_null => Some("empty = \"null\""),
        Make::Ref(rule) => rule
            .parts
            .iter()
            .any(|part| part.kind == KeyKind::Guid)
            .then_some("an empty GUID is no reference"),
        Make::DeletedAt => Some("a live row is not deleted"),
        Make::Bool
        | Make::Int2
        | Make::Int4
        | Make::Int8
        | Make::Float8 { .. }
        | Make::Numeric(_)
        | Make::Money(_)
        | Make::Bytea
        | Make::Uuid
        | Make::Time { .. }
        | Make::Enum(_)
        | Make::Lookup(_)
        | Make::Flags(_)
        | Make::Color
        | Make::Seconds
        | Make::Type(_)
        | Make::XpoFile { .. }
        | Make::Const { .. } => None,
    }
}

fn texts(field: &Field) -> Option<Vec<String>> {
    let mut texts: Vec<String> = match &field.make {
        Make::Enum(values) => {
            let numbers = values.numbers.iter().map(|(_, name)| name);
            let all = numbers.chain(values.texts.iter().map(|(_, name)| name));
            all.chain(&values.unknown).map(|name| name.to_string()).collect()
        }
        Make::Type(values) if !values.0.is_empty() => {
            values.0.iter().map(|(_, name)| name.to_string()).collect()
        }
        Make::Lookup(rule) => {
            let all = rule.texts.iter().map(|(_, text)| text).chain(&rule.unknown);
            all.map(|text| text.to_string()).collect()
        }
        Make::Const { field, pg_type: PgType::Text } => vec![text_of(field)?],
        Make::Type(_)
        | Make::Const { .. }
        | Make::Bool
        | Make::Int2
        | Make::Int4
        | Make::Int8
        | Make::Float8 { .. }
        | Make::Numeric(_)
        | Make::Money(_)
        | Make::Text(_)
        | Make::Concat(_)
        | Make::Split(_)
        | Make::Flags(_)
        | Make::Object(_)
        | Make::Bytea
        | Make::Uuid
        | Make::Date { .. }
        | Make::Time { .. }
        | Make::Timestamp { .. }
        | Make::Timestamptz { .. }
        | Make::Color
        | Make::Seconds
        | Make::XpoFile { .. }
        | Make::Ref(_)
        | Make::DeletedAt => return None,
    };
    if let OnNull::Field(default) = &field.null {
        texts.push(text_of(default)?);
    }
    texts.sort();
    texts.dedup();
    Some(texts)
}

/// The text of a whole field.
fn text_of(field: &[u8]) -> Option<String> {
    let text = field.get(4..)?;
    String::from_utf8(text.to_vec()).ok()
}
