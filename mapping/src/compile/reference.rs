//! References to other entities.

use super::{Outline, TableBook, column::Source};
use crate::{
    convert::RefRule,
    file::{ColumnSaid, Mistakes, RefSaid, Said, closest},
    key::{KeyKind, KeyPart},
    plan::{DeletedParents, EntityId, OrphanPolicy, Reference, SoftDelete},
};

/// What a cutover does about missing and soft-deleted parents.
pub(super) fn policies(
    said: &ColumnSaid,
    to: &RefSaid,
    entity: EntityId,
    outlines: &[Outline<'_>],
    m: &mut Mistakes<'_>,
) -> Option<Reference> {
    let parent = outlines.get(usize::from(entity.0))?;
    let (name, soft_delete) = (&to.to, parent.said.soft_delete.unwrap_or(SoftDelete::None));
    match (&to.deleted, soft_delete) {
        (None, _) | (_, SoftDelete::DeletedAt) => {}
        (Some(deleted), SoftDelete::None) => {
            let message = format!("rows of `{name}` are never soft-deleted");
            let help = format!("drop `deleted`, or write soft_delete = \"deleted_at\" in `{name}`");
            m.add(deleted.at, message, help);
        }
        (Some(deleted), _) => {
            let message = format!("no soft-deleted row of `{name}` stays to be pointed at");
            m.add(
                deleted.at,
                message,
                "drop `deleted`: such a parent is missing, so `orphans` decides",
            );
        }
    }
    let deleted = to.deleted.as_ref().map_or(DeletedParents::Allow, |deleted| deleted.value);
    let clears = [
        ("orphans", to.orphans == OrphanPolicy::Null),
        ("deleted", deleted == DeletedParents::Null),
    ];
    for (key, _) in clears.into_iter().filter(|(_, clears)| said.not_null && *clears) {
        let message = format!("`{}` is not_null, and {key} = \"null\" clears it", said.name);
        m.add(said.name.at, message, "drop one of the two");
    }
    Some(Reference { column: said.name.value.clone(), entity, orphans: to.orphans, deleted })
}

/// The referring columns, compared as the other entity's key is.
pub(super) fn rule(
    said: &ColumnSaid,
    to: &Said<String>,
    sources: &[Source<'_>],
    outlines: &[Outline<'_>],
    book: &TableBook<'_>,
    m: &mut Mistakes<'_>,
) -> Option<RefRule> {
    let Some(target) = outlines.iter().find(|outline| outline.said.name.value == to.value) else {
        let names = outlines.iter().map(|outline| outline.said.name.value.as_str());
        let help = closest(&to.value, names).map_or_else(
            || "name an entity of these files".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        m.add(to.at, format!("there is no entity `{to}`"), help);
        return None;
    };
    if target.key.is_empty() {
        // Its own mistake has been told.
        return None;
    }
    if target.key.len() != sources.len() {
        let message = format!(
            "the key of `{to}` has {} columns, and `{}` names {}",
            target.key.len(),
            said.name,
            sources.len()
        );
        m.add(to.at, message, "name the referring columns in the order of that key");
        return None;
    }
    let mut parts = Vec::new();
    for (source, kind) in sources.iter().zip(&target.key) {
        let collation = source.column.collation.as_deref().unwrap_or(&book.catalog.collation);
        let from = KeyKind::of(&source.column.sql_type, collation);
        if from.is_none_or(|from| !kind.accepts(from)) {
            let message = format!(
                "`{}` is {}, and the key of `{to}` has another type there",
                source.said, source.column.sql_type
            );
            m.add(source.said.at, message, "name the referring columns in the order of that key");
        }
        parts.push(KeyPart { source: source.place, kind: *kind });
    }
    Some(RefRule { entity: target.id, parts, empty_is_null: false })
}
