//! Text: what is cleaned up, and what nobody but its owner may see.

use mapping::catalog::{Column, SqlType};

use super::{
    Room,
    column::{Cell, plain},
    draft::{ColumnDraft, Made, TextRule},
};
use crate::names;

pub(super) fn text<'c>(room: &Room<'c>, cell: Cell<'c>) -> ColumnDraft<'c> {
    let column = cell.column;
    let is_padded = matches!(column.sql_type, SqlType::Char { .. } | SqlType::NChar { .. });
    let is_password = column.name.eq_ignore_ascii_case("StoredPassword");
    let mut rule = TextRule {
        trim_end: is_padded || cell.is_unique(),
        empty_is_null: (is_padded && !cell.is_unique()) || is_password,
        ..TextRule::default()
    };
    let hazard = |code: &str| room.facts.hazard(cell.table, column, code).is_some();
    (rule.strip_nul, rule.replace_surrogates) = (hazard("text.nul"), hazard("text.surrogate"));
    let mut draft = plain(cell, Made::Text(rule));
    if is_padded {
        draft.remark("Padded to its length: a blank is XPO's way to write no character.");
    } else if cell.is_unique() {
        draft.remark("SQL Server compares it without trailing blanks.");
    }
    if column.sql_type.is_lob() && !is_password {
        draft.remark("A LOB in the row: an update event does not carry it unless it changed.");
    }
    if rule.strip_nul {
        draft.ask("it holds U+0000, which Postgres refuses: stripped, or do those rows wait (drop `nul`)?");
    }
    if rule.replace_surrogates {
        draft.ask("it holds halves of characters: replaced by U+FFFD, or do those rows wait (drop `surrogate`)?");
    }
    mask(column, is_password, &mut draft);
    draft
}

fn mask(column: &Column, is_password: bool, draft: &mut ColumnDraft<'_>) {
    if is_password {
        draft.remark(
            "As XAF hashed it; NULL is its user without a password, whom nobody may let in.",
        );
        draft.sensitive = true;
    } else if names::is_password(&column.name) {
        draft.ask("masked, because its name says a secret: does it have to move at all?");
        draft.sensitive = true;
    } else if names::is_personal(&column.name) {
        draft.ask("masked in reports and the quarantine, by its name: is it personal?");
        draft.sensitive = true;
    }
}
