//! What to write in the mapping file: lines that are right but for the names and the choices
//! that only people can make.

use std::fmt::Write;

use crate::names::snake;

/// A column's line: `note = { from = "Note", as = "text", nul = "strip" }`. Options come as
/// they are written.
pub(crate) fn line(column: &str, made_as: &str, options: &[(&str, &str)]) -> String {
    from(&snake(column), &quote(column), made_as, options)
}

/// The line of a reference to an entity.
pub(crate) fn reference(columns: &[String], parent: &str, orphans: &str) -> String {
    let quoted: Vec<String> = columns.iter().map(|column| quote(column)).collect();
    let (name, from_columns) = match (columns, quoted.as_slice()) {
        ([column], [quoted]) => {
            let name = snake(column);
            (name.trim_end_matches("_id").to_owned(), quoted.clone())
        }
        _ => (snake(parent), format!("[{}]", quoted.join(", "))),
    };
    let entity = quote(&crate::names::plural(parent).replace('-', "_"));
    let options = [("to", entity.as_str()), ("orphans", &quote(orphans))];
    from(&format!("{name}_id"), &from_columns, "ref", &options)
}

/// The line of XAF's file content.
pub(crate) fn file(content: &str, size: &str) -> String {
    let columns = format!("[{}, {}]", quote(content), quote(size));
    from(&snake(content), &columns, "xpo-file", &[("lob", "\"inline\"")])
}

fn from(name: &str, columns: &str, made_as: &str, options: &[(&str, &str)]) -> String {
    let mut line = format!("{} = {{ from = {columns}, as = {}", key(name), quote(made_as));
    for (option, value) in options {
        // Writing to a String can't fail.
        let _written = write!(line, ", {option} = {value}").is_ok();
    }
    line.push_str(" }");
    line
}

/// A line of `[entity.leave_out]`.
pub(crate) fn leave_out(column: &str, reason: &str) -> String {
    format!("[entity.leave_out]\n{} = {}", key(column), quote(reason))
}

/// A table that is left out.
pub(crate) fn ignore(table: &mapping::catalog::LegacyTable, reason: &str) -> String {
    format!("[[ignore]]\ntable = {}\nreason = {}", quote(&table.to_string()), quote(reason))
}

/// An inline table of TOML from keys and values as they are written.
pub(crate) fn inline(entries: impl IntoIterator<Item = (String, String)>) -> String {
    let entries: Vec<String> =
        entries.into_iter().map(|(key, value)| format!("{key} = {value}")).collect();
    format!("{{ {} }}", entries.join(", "))
}

/// A TOML string.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(letter);
            }
            letter if letter.is_control() => {
                let _written = write!(quoted, "\\u{:04X}", u32::from(letter)).is_ok();
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// A TOML key, quoted where it has to be.
pub(crate) fn key(name: &str) -> String {
    let is_bare = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    if !name.is_empty() && name.chars().all(is_bare) { name.to_owned() } else { quote(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_written_as_a_mapping_file_has_them() {
        assert_eq!(
            line("SignedOn", "timestamptz", &[("zone", "\"UTC\"")]),
            r#"signed_on = { from = "SignedOn", as = "timestamptz", zone = "UTC" }"#
        );
        let names = ["ContractCompanyNo", "ContractContractNo"].map(str::to_owned);
        assert_eq!(
            reference(&names, "Contract", "null"),
            r#"contract_id = { from = ["ContractCompanyNo", "ContractContractNo"], as = "ref", to = "contracts", orphans = "null" }"#
        );
        assert_eq!(
            reference(&["SPACE_ID".to_owned()], "Space", "refuse"),
            r#"space_id = { from = "SPACE_ID", as = "ref", to = "spaces", orphans = "refuse" }"#
        );
        assert_eq!(line("Дүн", "text", &[]), r#""дүн" = { from = "Дүн", as = "text" }"#);
        assert_eq!(quote("a\"b\\\n"), r#""a\"b\\\u000A""#);
    }
}
