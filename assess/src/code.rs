//! Every kind of hazard there is: its code, how much it matters, and what it means.
//!
//! Codes are a format: reports are compared and filtered by them. `docs/hazards.md` lists the
//! same (a test compares).

use crate::assessment::Severity;

/// A kind of hazard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// Such as `text.nul`.
    pub name: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What it is, for people who meet the code for the first time.
    pub meaning: &'static str,
}

macro_rules! codes {
    ($($constant:ident = $severity:ident $name:literal, $meaning:literal;)+) => {
        $(
            #[doc = $meaning]
            pub const $constant: Code =
                Code { name: $name, severity: Severity::$severity, meaning: $meaning };
        )+
        /// All of them, in the order of the document.
        pub const ALL: &[Code] = &[$($constant),+];
    };
}

codes! {
    KEY_NONE = Blocking "key.none", "a table without a primary key: it can't be copied, followed or compared";
    KEY_TYPE = Blocking "key.type", "a key column of a type that can't be walked in order";
    KEY_DUPLICATE = Blocking "key.duplicate", "two rows whose keys are one key in canonical form";
    KEY_SURROGATE = Blocking "key.surrogate", "a lone surrogate inside a key, which then has no canonical form";
    UNIQUE_CLASH = Blocking "unique.clash", "live rows that a unique index of Postgres would refuse once the texts are trimmed and '' is NULL";
    UNIQUE_RULES = Decide "unique.rules", "a unique index that Postgres would read otherwise: NULLs, case, soft-deleted rows";
    COLUMN_UNSUPPORTED = Decide "column.unsupported", "a type that nobody here reads";
    COLUMN_COMPUTED = Decide "column.computed", "a computed column: a change event always says NULL for it";
    COLUMN_ROWVERSION = Note "column.rowversion", "a rowversion: it means nothing elsewhere";
    COLUMN_LOB = Note "column.lob", "large values that a change event leaves out unless they changed";
    COLUMN_DEAD = Note "column.dead", "a column that is NULL, or has one value, in every row";
    CDC_NONE = Decide "cdc.none", "a table that CDC does not capture";
    CDC_COLUMN = Blocking "cdc.column", "a column that the capture instance does not carry: it was added later";
    PASSWORD = Decide "personal.password", "a password, or its hash";
    PERSONAL = Note "personal.column", "a column that looks like personal data by its name";
    TEXT_NUL = Blocking "text.nul", "U+0000 inside a text, which Postgres refuses";
    TEXT_SURROGATE = Blocking "text.surrogate", "half a surrogate pair (or U+FFFD, which can't be told from it), which Postgres refuses";
    TEXT_CODE_PAGE = Note "text.code-page", "varchar: only the letters of a code page fit, and a capture in another collation may corrupt them";
    TEXT_EMPTY = Note "text.empty", "both '' and NULL say that there is no text";
    TEXT_BLANKS = Note "text.blanks", "texts with blanks before or behind";
    TEXT_INVISIBLE = Note "text.invisible", "no-break spaces or invisible letters in a text that is compared";
    TEXT_LOOK_ALIKE = Note "text.look-alike", "words of Latin and Cyrillic letters mixed, in a text that is compared";
    REFERENCE_ORPHAN = Blocking "reference.orphan", "rows that refer to nothing";
    REFERENCE_DELETED = Decide "reference.deleted", "live rows that refer to a soft-deleted one";
    REFERENCE_PARTIAL = Decide "reference.partial", "references of several columns of which some are NULL";
    REFERENCE_SPELLING = Note "reference.spelling", "references that spell the key otherwise than the row that they mean";
    REFERENCE_LOOSE = Note "reference.loose", "columns that refer to a table without a constraint, told by their names and values";
    REFERENCE_UNCHECKED = Note "reference.unchecked", "a reference that was not checked";
    GUID_EMPTY = Decide "guid.empty", "the empty GUID, which means none";
    MONEY_FRACTION = Blocking "money.fraction", "amounts that are no whole number of minor units";
    MONEY_RATE = Decide "money.rate", "a money column whose values mostly have more than two digits: a rate";
    MONEY_FLOAT = Decide "money.float", "a float that looks like money by its name";
    FLOAT_SECONDS = Decide "float.seconds", "a float that looks like a TimeSpan in seconds by its name";
    DATE_MIDNIGHT = Note "date.midnight", "a date and time that is a midnight in every row: a day";
    DATE_TIME = Decide "date.time", "a day in nearly every row, with a time of day in some";
    TIME_SENTINEL = Decide "time.sentinel", "dates that mean something else than themselves";
    TIME_ZONE = Decide "time.zone", "wall times, and nothing says of which zone";
    TIME_PRECISION = Blocking "time.precision", "a seventh digit of the second, which Postgres does not hold";
    ZONE_GAP = Blocking "zone.gap", "wall times in an hour that summer time skipped";
    ZONE_OVERLAP = Decide "zone.overlap", "wall times in an hour that was twice";
    DEBEZIUM_GAP = Decide "debezium.gap", "midnights that a connector running in this zone would move by an hour";
    DEBEZIUM_RANGE = Blocking "debezium.range", "datetime2(7) outside of int64 nanoseconds: the connector says NULL, or stops";
    DEBEZIUM_OFFSET = Blocking "debezium.offset", "datetimeoffset before 1970 with a fraction: the connector is a second late";
    ENUM_VALUES = Decide "enum.values", "an integer of few values: an enum, it seems";
    NULL_BIT = Decide "null.bit", "a bit that is NULL, which XPO reads as false";
    NULL_INT = Note "null.int", "an integer that is NULL, which XPO reads as 0";
    TYPE_VALUES = Decide "type.values", "the classes of a hierarchy's rows";
    TYPE_UNKNOWN = Blocking "type.unknown", "rows of a type that XPObjectType does not have";
    TYPE_NULL = Blocking "type.null", "rows without a type in the root of a hierarchy";
    TPT_NO_ROOT = Blocking "tpt.leaf-without-root", "rows of a leaf table without their row in the root";
    TPT_NO_LEAF = Blocking "tpt.root-without-leaf", "rows of a root table without their row in the leaf table of their class";
    FILE_LENGTH = Blocking "file.length", "file contents without a reading of the length that their size says";
    READ_FAILED = Blocking "read.failed", "a table that could not be read: what is in it is not known";
    READ_SAMPLE = Note "read.sample", "a table of which a sample was read";
    READ_STOPPED = Note "read.stopped", "a table that was not read because the run was stopped";
}

/// The code of a name.
#[must_use]
pub fn find(name: &str) -> Option<Code> {
    ALL.iter().find(|code| code.name == name).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_lists_every_code() {
        let document = include_str!("../../docs/hazards.md");
        let severity = |code: &Code| match code.severity {
            Severity::Blocking => "blocking",
            Severity::Decide => "decide",
            Severity::Note => "note",
        };
        for code in ALL {
            let row = format!("| `{}` | {} | {} |", code.name, severity(code), code.meaning);
            assert!(document.contains(&row), "docs/hazards.md lacks {row}");
            assert_eq!(find(code.name), Some(*code), "two codes of one name");
        }
    }
}
