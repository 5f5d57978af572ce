//! The hazards of a table's schema: told without reading a row.

use mapping::catalog::{Catalog, Column, SqlType};

use crate::{
    advice,
    assessment::Hazard,
    check::hazard,
    code::{self, Code},
    names::{is_password, is_personal},
    subject::Subject,
};

/// All of a table's. `cdc_enabled`: whether the database captures at all.
pub(crate) fn hazards(subject: &Subject<'_>, cdc_enabled: bool) -> Vec<Hazard> {
    let mut hazards = Vec::new();
    hazards.extend(key(subject));
    for column in &subject.table.columns {
        hazards.extend(column_hazard(column));
    }
    hazards.extend(code_pages(subject.catalog, subject));
    hazards.extend(lobs(subject));
    hazards.extend(personal(subject));
    if cdc_enabled {
        hazards.extend(capture(subject));
    }
    hazards
}

fn key(subject: &Subject<'_>) -> Option<Hazard> {
    let table = &subject.table.table;
    if subject.table.primary_key.is_empty() {
        let advice = advice::ignore(table, "it has no primary key");
        let message = "no primary key: it can't be copied, followed or compared. Give it one, or \
                       leave it out";
        return Some(hazard(code::KEY_NONE, &[], message, advice));
    }
    if subject.key.is_some() {
        return None;
    }
    let is_walkable = |name: &&String| {
        let one = std::slice::from_ref(*name);
        mapping::probe::KeyColumns::of(subject.table, "", one).is_some()
    };
    let columns: Vec<&str> = subject
        .table
        .primary_key
        .iter()
        .filter(|name| !is_walkable(name))
        .map(String::as_str)
        .collect();
    let advice = "key = [\"…\"]  # another unique key of the table";
    let message = "a key column of a type that can't be walked in order";
    Some(hazard(code::KEY_TYPE, &columns, message, advice))
}

fn column_hazard(column: &Column) -> Option<Hazard> {
    let name = column.name.as_str();
    let left_out = |code: Code, message: String, reason: &str| {
        hazard(code, &[name], message, advice::leave_out(name, reason))
    };
    if let SqlType::Other(sql_type) = &column.sql_type {
        let message = format!("type {sql_type}, which nobody here reads");
        return Some(left_out(code::COLUMN_UNSUPPORTED, message, "its type is not supported"));
    }
    if column.sql_type == SqlType::RowVersion {
        let message = "a rowversion, which means nothing outside of this database".to_owned();
        return Some(left_out(code::COLUMN_ROWVERSION, message, "a rowversion"));
    }
    if column.computed {
        let message = "computed: a change event always says NULL for it".to_owned();
        return Some(left_out(code::COLUMN_COMPUTED, message, "computed; Postgres computes it"));
    }
    if is_password(name) && column.collation.is_some() {
        let line = advice::line(name, "text", &[("sensitive", "true")]);
        let message = "a password or its hash: it is never shown, logged or reported";
        return Some(hazard(code::PASSWORD, &[name], message, line));
    }
    None
}

/// Columns of this table that a condition holds for.
fn named<'a>(subject: &Subject<'a>, holds: impl Fn(&Column) -> bool) -> Vec<&'a str> {
    let columns = subject.table.columns.iter();
    columns.filter(|column| holds(column)).map(|column| column.name.as_str()).collect()
}

fn code_pages(catalog: &Catalog, subject: &Subject<'_>) -> Option<Hazard> {
    let is_paged = |column: &Column| {
        matches!(column.sql_type, SqlType::Char { .. } | SqlType::VarChar { .. } | SqlType::Text)
    };
    let columns = named(subject, is_paged);
    if columns.is_empty() {
        return None;
    }
    let is_foreign = |column: &&Column| {
        is_paged(column)
            && column
                .collation
                .as_deref()
                .is_some_and(|name| !name.eq_ignore_ascii_case(&catalog.collation))
    };
    let foreign = subject.table.columns.iter().find(is_foreign);
    let mut message =
        "only the letters of a code page fit; others were stored as `?` years ago".to_owned();
    if let Some(collation) = foreign.and_then(|column| column.collation.as_deref()) {
        message.push_str(&format!(
            ". {collation} is not the database's {}: a capture may corrupt them",
            catalog.collation
        ));
    }
    let advice = "look at a few rows for mojibake; a capture in the database's collation is safe";
    Some(hazard(code::TEXT_CODE_PAGE, &columns, message, advice))
}

fn lobs(subject: &Subject<'_>) -> Option<Hazard> {
    let is_lob = |column: &&Column| column.sql_type.is_lob();
    let line = |column: &Column| {
        let made_as = match column.sql_type {
            SqlType::VarBinary { .. } | SqlType::Image => "bytea",
            _ => "text",
        };
        let mut options = vec![("lob", "\"inline\"")];
        if is_password(&column.name) {
            options.push(("sensitive", "true"));
        }
        advice::line(&column.name, made_as, &options)
    };
    let message = "large values: an update's event leaves out those that it did not change";
    lines(subject, code::COLUMN_LOB, message, is_lob, line)
}

fn personal(subject: &Subject<'_>) -> Option<Hazard> {
    let is_personal = |column: &&Column| {
        column.collation.is_some() && is_personal(&column.name) && !is_password(&column.name)
    };
    let line = |column: &Column| advice::line(&column.name, "text", &[("sensitive", "true")]);
    let message = "personal data, by the names: `sensitive` masks them in quarantine and reports";
    lines(subject, code::PERSONAL, message, is_personal, line)
}

/// One hazard of several columns, with a line for each.
fn lines(
    subject: &Subject<'_>,
    code: Code,
    message: &str,
    concerns: impl Fn(&&Column) -> bool,
    line: impl Fn(&Column) -> String,
) -> Option<Hazard> {
    let columns: Vec<&Column> = subject.table.columns.iter().filter(concerns).collect();
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let lines: Vec<String> = columns.into_iter().map(line).collect();
    (!names.is_empty()).then(|| hazard(code, &names, message, lines.join("\n")))
}

fn capture(subject: &Subject<'_>) -> Vec<Hazard> {
    let table = subject.table;
    let Some(instance) = &table.capture_instance else {
        let advice = format!(
            "EXEC sys.sp_cdc_enable_table @source_schema=N'{}', @source_name=N'{}', @role_name=NULL",
            table.table.schema.replace('\'', "''"),
            table.table.name.replace('\'', "''")
        );
        let message = "CDC does not capture it: its changes are not followed";
        return vec![hazard(code::CDC_NONE, &[], message, advice)];
    };
    // Nobody may ask for the columns on every server.
    if table.captured_columns.is_empty() {
        return Vec::new();
    }
    let is_captured = |column: &Column| {
        table.captured_columns.iter().any(|captured| captured.eq_ignore_ascii_case(&column.name))
    };
    let missing = named(subject, |column| !is_captured(column) && !column.computed);
    if missing.is_empty() {
        return Vec::new();
    }
    let message = format!(
        "not carried by {instance}, which was made before the column: what is written into it is \
         lost to the stream"
    );
    let advice = format!(
        "EXEC sys.sp_cdc_enable_table @source_schema=N'{}', @source_name=N'{}', \
         @capture_instance=N'{}_2', @role_name=NULL  -- then drop the old instance, and copy the table again",
        table.table.schema.replace('\'', "''"),
        table.table.name.replace('\'', "''"),
        instance.replace('\'', "''")
    );
    vec![hazard(code::CDC_COLUMN, &missing, message, advice)]
}
