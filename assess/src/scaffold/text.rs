//! Text: what is cleaned up, and what nobody but its owner may see.

use mapping::catalog::{Column, SqlType};

use super::{
    Room,
    column::{Cell, has_word, plain},
    draft::{ColumnDraft, Made, TextRule},
    words::words,
};

/// Words of what opens a door.
const SECRET: [&str; 7] =
    ["password", "pwd", "secret", "token", "salt", "credential", "credentials"];

/// Words of what belongs to a person.
const PERSONAL: [&str; 14] = [
    "email",
    "mail",
    "phone",
    "mobile",
    "fax",
    "iban",
    "passport",
    "ssn",
    "birth",
    "bank",
    "account",
    "card",
    "salary",
    "signature",
];

/// Pairs of words that do.
const PERSONAL_PAIRS: [(&str, &str); 8] = [
    ("e", "mail"),
    ("register", "no"),
    ("reg", "no"),
    ("register", "number"),
    ("personal", "no"),
    ("tax", "id"),
    ("national", "id"),
    ("user", "key"),
];

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
    let words = words(&column.name);
    let pair = |(first, second): &(&str, &str)| {
        words.windows(2).any(|pair| matches!(pair, [a, b] if a == first && b == second))
    };
    if is_password {
        draft.remark(
            "As XAF hashed it; NULL is its user without a password, whom nobody may let in.",
        );
        draft.sensitive = true;
    } else if has_word(column, &SECRET) {
        draft.ask("masked, because its name says a secret: does it have to move at all?");
        draft.sensitive = true;
    } else if has_word(column, &PERSONAL) || PERSONAL_PAIRS.iter().any(pair) {
        draft.ask("masked in reports and the quarantine, by its name: is it personal?");
        draft.sensitive = true;
    }
}
