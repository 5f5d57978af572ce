//! Comments: what a person reads beside the lines, and what a person is asked.
//!
//! A question has one form in every file, `# ? …` or `-- ? …`, so that an editor finds what is
//! left to decide, and so that the list at the end of a run is read back from the files
//! themselves.

use super::{File, Question};

/// A comment above a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Note {
    /// Good to know.
    Remark(String),
    /// Not sure: somebody has to decide.
    Question(String),
}

impl Note {
    pub(super) fn remark(text: impl Into<String>) -> Self {
        Self::Remark(text.into())
    }

    pub(super) fn question(text: impl Into<String>) -> Self {
        Self::Question(text.into())
    }
}

/// Columns that a line may be wide, where it can be broken.
pub(super) const WIDTH: usize = 100;

/// What begins a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    Toml,
    Sql,
}

impl Syntax {
    fn mark(self) -> &'static str {
        match self {
            Self::Toml => "#",
            Self::Sql => "--",
        }
    }
}

/// Appends notes as comment lines.
pub(super) fn write(notes: &[Note], syntax: Syntax, out: &mut String) {
    for note in notes {
        match note {
            Note::Remark(text) => wrap(text, syntax.mark(), "", "", out),
            Note::Question(text) => wrap(text, syntax.mark(), "? ", "  ", out),
        }
    }
}

/// One comment, wrapped between words; `first` and `rest` stand before its lines' text.
fn wrap(text: &str, mark: &str, first: &str, rest: &str, out: &mut String) {
    let mut line = format!("{mark} {first}");
    let mut is_bare = true;
    for word in one_line(text).split(' ') {
        let width = line.chars().count() + word.chars().count() + 1;
        if !is_bare && width > WIDTH {
            out.push_str(line.trim_end());
            out.push('\n');
            line = format!("{mark} {rest}");
            is_bare = true;
        }
        if !is_bare {
            line.push(' ');
        }
        line.push_str(word);
        is_bare = false;
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

/// A text that stays inside its comment, whatever the legacy names in it hold.
pub(super) fn one_line(text: &str) -> String {
    let harmless =
        |c: char| if c.is_control() || c == '\u{2028}' || c == '\u{2029}' { ' ' } else { c };
    text.chars().map(harmless).collect()
}

/// The questions of a file, in its order.
pub(super) fn questions(file: &File) -> Vec<Question> {
    let mut found: Vec<Question> = Vec::new();
    let mut is_open = false;
    for (number, line) in file.text.lines().enumerate() {
        let line = line.trim_start();
        let comment = line.strip_prefix("# ").or_else(|| line.strip_prefix("-- "));
        match (comment.and_then(|text| text.strip_prefix("? ")), comment) {
            (Some(text), _) => {
                found.push(Question {
                    file: file.path.clone(),
                    line: number + 1,
                    text: text.to_owned(),
                });
                is_open = true;
            }
            (None, Some(text)) if is_open && text.starts_with("  ") => {
                if let Some(last) = found.last_mut() {
                    last.text.push(' ');
                    last.text.push_str(text.trim_start());
                }
            }
            _ => is_open = false,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_found_where_it_was_written() {
        let long = "why ".repeat(60);
        let mut text = "domain = \"x\"\n".to_owned();
        let notes =
            [Note::remark("as it is"), Note::question(long.trim()), Note::question("who\nknows")];
        write(&notes, Syntax::Toml, &mut text);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        let found = questions(&File { path: "a.toml".into(), text });
        assert_eq!(found.iter().map(|q| q.line).collect::<Vec<_>>(), [3, 6]);
        assert_eq!(found[0].text, long.trim());
        assert_eq!(found[1].text, "who knows");
    }

    #[test]
    fn no_name_leaves_its_comment() {
        let mut text = String::new();
        write(&[Note::remark("table\n; drop table x;\r\u{2028}end")], Syntax::Sql, &mut text);
        assert_eq!(text, "-- table ; drop table x;  end\n");
    }
}
