//! Dates and times.

use super::{
    Room,
    column::{Cell, has_word, plain},
    draft::{ColumnDraft, Made},
};

/// Words of a day of the calendar, as opposed to an instant.
const DAY: [&str; 14] = [
    "date", "day", "month", "birth", "birthday", "from", "to", "until", "till", "due", "valid",
    "start", "end", "expires",
];

/// The year from which a date means "for ever".
const FOR_EVER: &str = "9999";

pub(super) fn date<'c>(room: &Room<'c>, cell: Cell<'c>) -> ColumnDraft<'c> {
    let mut draft = plain(cell, Made::Date { midnight: false });
    sentinels(room, cell, &mut draft);
    draft
}

pub(super) fn time(cell: Cell<'_>, scale: u8) -> ColumnDraft<'_> {
    let truncate = scale > 6;
    let mut draft = plain(cell, Made::Time { truncate });
    if truncate {
        seventh_digit(&mut draft);
    }
    draft
}

/// Wall time without a zone: a day, or an instant on somebody's clock (trap 11).
pub(super) fn instant<'c>(room: &Room<'c>, cell: Cell<'c>, is_fine: bool) -> ColumnDraft<'c> {
    let is_read = room.facts.is_read(cell.table);
    let facts = room.facts.column(cell.table, cell.column).filter(|_| is_read);
    if facts.is_some_and(|facts| facts.only_midnights) {
        let mut draft = plain(cell, Made::Date { midnight: true });
        sentinels(room, cell, &mut draft);
        return draft;
    }
    let is_utc = has_word(cell.column, &["utc", "gmt"]);
    let zone = if is_utc { None } else { room.choices.zone.clone() };
    let is_asked = zone.is_none() && !is_utc;
    let zone = Some(zone.unwrap_or_else(|| "UTC".to_owned()));
    let mut draft = plain(cell, Made::Timestamptz { zone, truncate: is_fine });
    if is_asked {
        draft.ask("whose wall clock is it? XPO writes local time; --zone says it for all");
    }
    if facts.is_none() && has_word(cell.column, &DAY) {
        draft.ask(
            "a day, by its name? If every value is a midnight: as = \"date\", time = \"midnight\"",
        );
    }
    if is_fine {
        seventh_digit(&mut draft);
    }
    sentinels(room, cell, &mut draft);
    draft
}

pub(super) fn offset(cell: Cell<'_>, scale: u8) -> ColumnDraft<'_> {
    let truncate = scale > 6;
    let mut draft = plain(cell, Made::Timestamptz { zone: None, truncate });
    draft.remark("The instant is kept, its offset is not.");
    if truncate {
        seventh_digit(&mut draft);
    }
    draft
}

fn seventh_digit(draft: &mut ColumnDraft<'_>) {
    draft.remark("Postgres holds six digits of a second: the seventh is cut.");
}

/// Dates that mean something else, as the assessment found them.
fn sentinels<'c>(room: &Room<'c>, cell: Cell<'c>, draft: &mut ColumnDraft<'c>) {
    for (date, meaning) in room.facts.sentinels(cell.table, cell.column) {
        if date.starts_with(FOR_EVER) {
            draft.ask(format!("what is {date}: \"null\", not known, or \"infinity\", for ever?"));
        }
        draft.sentinels.push((date, meaning));
    }
}
