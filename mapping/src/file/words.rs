//! What every word of the language means, in a sentence for editors.
//!
//! Which words there are, and what may stand behind them, the reader itself says (see
//! [`super::schema`]); a test holds this list against it.

/// A key, where it may stand, and what it says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Word {
    /// `file`, `ignore`, `sequence`, `entity`, `unique`, `condition`, `column` (any of them), or what a column is made as.
    pub(crate) of: &'static str,
    pub(crate) key: &'static str,
    pub(crate) text: &'static str,
}

const fn word(of: &'static str, key: &'static str, text: &'static str) -> Word {
    Word { of, key, text }
}

/// What a column can be made as.
pub(crate) const MADE_AS: [(&str, &str); 25] = [
    ("bool", "boolean, from a bit or an integer that is 0 or 1."),
    ("int2", "smallint, from integers, and from decimals and floats that are whole."),
    ("int4", "integer, from integers, and from decimals and floats that are whole."),
    ("int8", "bigint, from integers, and from decimals and floats that are whole."),
    ("float8", "double precision, from float, real and int."),
    (
        "numeric",
        "numeric, exact or rejected, from decimal, money, float (by its shortest form), integers and text.",
    ),
    (
        "money",
        "bigint of minor units, exact or rejected, from decimal, money, float (by its shortest form), integers and text.",
    ),
    ("text", "text, from text, xml, integers and uniqueidentifier."),
    ("concat", "text, from several columns with a separator between them."),
    ("split", "text: one part of a text that a separator divides."),
    ("bytea", "bytea, from binary, varbinary and image."),
    ("uuid", "uuid, from uniqueidentifier, or from text that is a GUID."),
    ("date", "date, from date, or from a datetime at midnight."),
    ("time", "time, from time."),
    ("timestamp", "timestamp without a zone: wall time as it is, from a datetime."),
    ("timestamptz", "timestamptz, from a datetime with `zone`, or from a datetimeoffset without."),
    ("enum", "text, one of some names, from integers, bit or text."),
    ("lookup", "text, from a look-up of the files, by an integer or a text."),
    ("flags", "text[], a name for each bit of an integer ([Flags])."),
    ("color", "text #aarrggbb, from a .NET Color's ARGB int."),
    ("seconds", "integer seconds, from a TimeSpan that XPO keeps as a float of seconds."),
    ("type", "text: the name behind ObjectType's number, or what `values` calls it."),
    (
        "xpo-file",
        "bytea: XAF's FileData.Content as it was before compression, from the content and its length.",
    ),
    ("const", "the same value in every row."),
    ("ref", "uuid: the id of another entity's row, from the columns that hold its legacy key."),
];

/// All keys.
pub(crate) const WORDS: &[Word] = &[
    word("file", "domain", "The domain that the file's entities are handed over with."),
    word(
        "file",
        "object_types",
        "XPO's dictionary of type names, usually dbo.XPObjectType. One file says it for all.",
    ),
    word("file", "entity", "What becomes a target table; written [[entity]]."),
    word("file", "ignore", "A legacy table that does not move; written [[ignore]]."),
    word(
        "file",
        "lookup",
        "Look-ups by name, each a table of legacy value = text; any file's columns can use them.",
    ),
    word(
        "file",
        "sequence",
        "Numbers that the new side goes on giving above the legacy ones; written [[sequence]].",
    ),
    word("sequence", "name", "The sequence in Postgres, made by a migration: name or schema.name."),
    word("sequence", "from", "The columns with the numbers, as entity.column; all of one domain."),
    word(
        "sequence",
        "pattern",
        "Regular expressions for the whole text, each with one group for the number; without, the value is the number.",
    ),
    word("sequence", "except", "Regular expressions of values that carry no number."),
    word("sequence", "above", "The first new number is above this at least."),
    word("sequence", "step", "The first new number is a multiple of this."),
    word("ignore", "table", "The legacy table, such as dbo.ModuleInfo."),
    word("ignore", "reason", "Why it does not move; printed in every report."),
    word(
        "entity",
        "name",
        "Its name in commands and references; the target table too, where `table` does not say another.",
    ),
    word("entity", "table", "The target table where it is not the name: table or schema.table."),
    word("entity", "from", "The legacy table that it is made from."),
    word(
        "entity",
        "parts",
        "The legacy tables of a class hierarchy (TPT), root first; instead of `from`.",
    ),
    word(
        "entity",
        "type",
        "The full names of the classes whose rows it takes, by ObjectType's name.",
    ),
    word("entity", "key", "The columns that identify a row, for a table without a primary key."),
    word(
        "entity",
        "id_time",
        "The legacy column of the row's creation time, which becomes the id's time part.",
    ),
    word("entity", "soft_delete", "What a GCRecord does to the target row."),
    word(
        "entity",
        "version",
        "The legacy column that becomes `version`, usually OptimisticLockField.",
    ),
    word(
        "entity",
        "where",
        "The rows that it takes, by columns of the (root) table; a row that stops matching is removed.",
    ),
    word("entity", "columns", "Its columns by target name."),
    word(
        "entity",
        "leave_out",
        "Legacy columns that do not move, each with the reason that every report prints.",
    ),
    word(
        "entity",
        "unique",
        "Columns that no two rows may share; sealed at the cutover; written [[entity.unique]].",
    ),
    word(
        "entity",
        "accept",
        "Warnings of the check that stay: rule = \"why\", or rule.what = \"why\".",
    ),
    word("unique", "columns", "The target columns."),
    word(
        "unique",
        "among",
        "The rows that count: live ones (where a soft delete sets deleted_at), or all.",
    ),
    word("unique", "nulls", "Whether two NULLs are equal, as in SQL Server, or distinct."),
    word("unique", "case", "Whether texts are compared without regard to case."),
    word(
        "unique",
        "duplicates",
        "What the cutover does about duplicates: refuse, or allow, and seal nothing.",
    ),
    word("condition", "is", "The values that are taken."),
    word("condition", "not", "The values that are not taken; NULL is, unless null = false."),
    word("condition", "null", "Whether NULL is taken; alone: only NULL, or everything but NULL."),
    word(
        "column",
        "from",
        "The legacy column, or a list of them; Part.Column where several parts have it.",
    ),
    word("column", "as", "What it is made as."),
    word("column", "default", "What NULL becomes."),
    word("column", "not_null", "Whether a NULL quarantines the row."),
    word("column", "sensitive", "Whether its values are masked in reports and quarantine."),
    word(
        "column",
        "compare",
        "\"skip: why\" leaves it out of reconcile's comparison; the reason is printed in every report.",
    ),
    word(
        "column",
        "lob",
        "Where a large object goes: inline, object-store (the column has its address), or \"skip: why\".",
    ),
    word(
        "column",
        "unchanged",
        "What is done about a large value that an update does not carry: the target's is kept, or the row is read again from the legacy database.",
    ),
    word("numeric", "scale", "Digits after the point."),
    word("numeric", "precision", "All digits that the target column holds."),
    word(
        "numeric",
        "round",
        "How a value with more digits is rounded; rejected where nothing is said.",
    ),
    word(
        "money",
        "currency",
        "ISO 4217 code of the column's currency: it holds minor units of that, and only of that.",
    ),
    word("money", "digits", "Digits of the minor unit: 2 for cents, 0 for yen."),
    word(
        "money",
        "round",
        "How a value with more digits is rounded; rejected where nothing is said.",
    ),
    word("text", "trim", "Which blanks are cut: at the end, or at both ends."),
    word("text", "empty", "Whether an empty text, after trimming, is NULL."),
    word("text", "nul", "What is done about U+0000, which Postgres refuses."),
    word(
        "text",
        "surrogate",
        "What is done about half a surrogate pair: rejected, or replaced by U+FFFD.",
    ),
    word("concat", "separator", "What stands between two parts."),
    word(
        "concat",
        "blank",
        "What a part that is NULL or blank does: it is skipped with its separator, or the whole is NULL.",
    ),
    word("concat", "trim", "Which blanks of each part are cut."),
    word("concat", "nul", "What is done about U+0000 in a part."),
    word("concat", "surrogate", "What is done about half a surrogate pair in a part."),
    word("split", "separator", "What divides the text."),
    word("split", "part", "Which part, counted from 1."),
    word("split", "absent", "What becomes of a text that has no such part: rejected, or NULL."),
    word("split", "trim", "Which blanks of the part are cut."),
    word("split", "empty", "Whether an empty part, after trimming, is NULL."),
    word("split", "nul", "What is done about U+0000 in the part."),
    word("split", "surrogate", "What is done about half a surrogate pair in the text."),
    word("date", "time", "What becomes of a time that is not midnight: rejected, or dropped."),
    word("date", "sentinels", "Days that mean something else: \"1753-01-01\" = \"null\"."),
    word("time", "precision", "Whether a seventh digit is cut; rejected where nothing is said."),
    word(
        "timestamp",
        "precision",
        "Whether a seventh digit is cut; rejected where nothing is said.",
    ),
    word(
        "timestamp",
        "sentinels",
        "Days or times that mean something else: \"9999-12-31\" = \"infinity\".",
    ),
    word(
        "timestamptz",
        "zone",
        "The zone whose wall time the column holds, such as Asia/Ulaanbaatar.",
    ),
    word(
        "timestamptz",
        "gap",
        "What becomes of an hour that summer time skipped: rejected, or the time after it.",
    ),
    word("timestamptz", "overlap", "Which of the two instants an hour that was twice is."),
    word(
        "timestamptz",
        "precision",
        "Whether a seventh digit is cut; rejected where nothing is said.",
    ),
    word(
        "timestamptz",
        "sentinels",
        "Days or times, as wall time, that mean something else: \"1753-01-01\" = \"null\".",
    ),
    word("enum", "values", "Legacy value = name."),
    word("enum", "null", "What NULL becomes; the same as `default`."),
    word("enum", "unknown", "What any other value becomes; rejected where nothing is said."),
    word("lookup", "in", "The look-up's name."),
    word("lookup", "unknown", "What any other value becomes; rejected where nothing is said."),
    word("flags", "values", "Bit = name: 1, 2, 4, and so on. No bit at all is an empty array."),
    word("flags", "ignore", "Bit = why it is dropped."),
    word(
        "flags",
        "unknown",
        "\"reject\" (usual), or the one name that all other bits become together.",
    ),
    word("type", "values", "Type name = text; without it the type's name is taken."),
    word("const", "value", "The value."),
    word("ref", "to", "The entity that it points to."),
    word("ref", "orphans", "What a cutover does about rows whose parent never came."),
    word(
        "ref",
        "deleted",
        "What a cutover does about live rows whose parent is soft-deleted; for parents with soft_delete = \"deleted_at\".",
    ),
    word("ref", "empty", "Whether a blank text is no reference."),
];

/// What a key means.
pub(crate) fn text(of: &str, key: &str) -> Option<&'static str> {
    let find = |of: &str| WORDS.iter().find(|word| word.of == of && word.key == key);
    find(of).or_else(|| find("column").filter(|_| is_made(of))).map(|word| word.text)
}

fn is_made(of: &str) -> bool {
    MADE_AS.iter().any(|(made, _)| *made == of)
}
