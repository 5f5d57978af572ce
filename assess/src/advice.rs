//! What to write in the mapping file: lines that are right but for the names and the choices
//! that only people can make.

use std::{collections::BTreeMap, fmt::Write};

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

/// Lets the lines of one column say everything that is advised for it: each keeps its own
/// options and takes those of the others that it does not contradict. So whichever is copied,
/// it is the whole line.
pub(crate) fn complete(advice: &mut [&mut String]) {
    let mut known: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for line in advice.iter().flat_map(|text| text.lines()).filter_map(Line::read) {
        let options = known.entry(line.head.to_owned()).or_default();
        for (name, whole) in line.options {
            if options.iter().all(|(other, _)| other != name) {
                options.push((name.to_owned(), whole.to_owned()));
            }
        }
    }
    let completed = |text: &str| {
        let Some(line) = Line::read(text) else { return text.to_owned() };
        let others = known.get(line.head).into_iter().flatten();
        let others = others.filter(|(name, _)| line.options.iter().all(|(own, _)| own != name));
        let own = line.options.iter().map(|(_, whole)| *whole);
        let all: Vec<&str> = own.chain(others.map(|(_, whole)| whole.as_str())).collect();
        let options: String = all.iter().map(|whole| format!(", {whole}")).collect();
        format!("{}{options} }}", line.head)
    };
    for text in advice {
        let lines: Vec<String> = text.lines().map(completed).collect();
        **text = lines.join("\n");
    }
}

/// A column's line, taken apart.
struct Line<'t> {
    /// Up to and with `as = "…"`.
    head: &'t str,
    /// Name and `name = value`.
    options: Vec<(&'t str, &'t str)>,
}

impl<'t> Line<'t> {
    /// `None` for any other text.
    fn read(text: &'t str) -> Option<Self> {
        let body = text.strip_suffix(" }")?;
        let begin = text.find(" = { from = ")?;
        let ends = commas(body);
        // `from` ends at the first comma, `as` at the second.
        let head_end = ends.iter().copied().filter(|at| *at > begin).nth(1).unwrap_or(body.len());
        let head = body.get(..head_end)?;
        let mut options = Vec::new();
        let bounds = ends.iter().copied().filter(|at| *at >= head_end).chain([body.len()]);
        let bounds: Vec<usize> = bounds.collect();
        for pair in bounds.windows(2) {
            let [from, to] = pair else { continue };
            let whole = body.get(from + 2..*to)?;
            options.push((whole.split_once(" = ")?.0, whole));
        }
        Some(Self { head, options })
    }
}

/// Where the commas are that part a line's options: those in no text, array or inner table.
fn commas(line: &str) -> Vec<usize> {
    let (mut depth, mut is_text, mut is_escaped) = (0_i32, false, false);
    let mut found = Vec::new();
    for (at, letter) in line.char_indices() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = is_text,
            '"' => is_text = !is_text,
            _ if is_text => {}
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            ',' if depth == 1 => found.push(at),
            _ => {}
        }
    }
    found
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

    #[test]
    fn a_line_says_everything_that_is_advised_for_its_column() {
        let mut advice = [
            line("Note", "text", &[("nul", "\"strip\"")]),
            format!(
                "{}\n{}",
                line("Name", "text", &[("lob", "\"inline\"")]),
                line("Note", "text", &[("lob", "\"inline\"")])
            ),
            line("Note", "text", &[("nul", "\"reject\""), ("trim", "\"both\"")]),
            line("At", "date", &[("sentinels", r#"{ "a, }" = "null", b = "c" }"#)]),
            line("At", "date", &[("time", "\"drop\"")]),
            reference(&["A, \"x".to_owned(), "B".to_owned()], "C", "null"),
            "correct the rows".to_owned(),
        ];
        complete(&mut advice.iter_mut().collect::<Vec<_>>());
        assert_eq!(
            advice,
            [
                r#"note = { from = "Note", as = "text", nul = "strip", lob = "inline", trim = "both" }"#,
                "name = { from = \"Name\", as = \"text\", lob = \"inline\" }\n\
                 note = { from = \"Note\", as = \"text\", lob = \"inline\", nul = \"strip\", trim = \"both\" }",
                r#"note = { from = "Note", as = "text", nul = "reject", trim = "both", lob = "inline" }"#,
                r#"at = { from = "At", as = "date", sentinels = { "a, }" = "null", b = "c" }, time = "drop" }"#,
                r#"at = { from = "At", as = "date", time = "drop", sentinels = { "a, }" = "null", b = "c" } }"#,
                r#"c_id = { from = ["A, \"x", "B"], as = "ref", to = "cs", orphans = "null" }"#,
                "correct the rows",
            ]
        );
    }
}
