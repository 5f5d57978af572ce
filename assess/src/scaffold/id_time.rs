//! The creation time that goes into the ids, so that their order is the order of creation.

use super::{
    draft::{EntityDraft, Made},
    notes::Note,
    words::words,
};

/// Words of a column that says when its row was made.
const MADE: [&str; 8] =
    ["created", "create", "creation", "inserted", "added", "registered", "entered", "recorded"];

/// Words of a column that says when what the row stands for came to be.
const BEGAN: [&str; 11] = [
    "signed",
    "issued",
    "paid",
    "uploaded",
    "posted",
    "received",
    "opened",
    "ordered",
    "booked",
    "requested",
    "sent",
];

pub(super) fn choose(entity: &mut EntityDraft<'_>) {
    let is_time = |made: &Made| matches!(made, Made::Date { .. } | Made::Timestamptz { .. });
    let rank = |name: &str| {
        let words = words(name);
        let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
        match (has(&MADE), has(&BEGAN)) {
            (true, _) => Some(0),
            (false, true) => Some(1),
            (false, false) => None,
        }
    };
    let times = entity.columns.iter().filter(|draft| draft.part == 0 && is_time(&draft.made));
    let ranked = times.filter_map(|draft| {
        let column = draft.sources.first()?;
        Some((rank(&column.name)?, draft.part, column.name.clone()))
    });
    let Some((rank, part, column)) = ranked.min_by_key(|(rank, ..)| *rank) else { return };
    entity.id_time = Some(entity.column_name(part, &column));
    if rank > 0 {
        entity
            .id_time_notes
            .push(Note::question("the nearest to a creation time: is it set once?"));
    }
}
