//! For a terminal: the tables first, then every hazard in full.

use std::fmt::Write;

use show::{counted, thousands};

use super::{
    summary::{Group, Hazards, caveats, cdc, groups, rows, total},
    write::{bytes, severity},
};
use crate::assessment::{Assessment, Hazard, TableAssessment};

/// No terminal is narrower for this purpose.
const WIDTH_MIN: usize = 60;
/// A name gets no less room than this, however narrow the terminal.
const NAME_MIN: usize = 16;

/// The report, no wider than `width` columns but for lines that are there to be copied.
#[must_use]
pub fn text(assessment: &Assessment, width: usize) -> String {
    let width = width.max(WIDTH_MIN);
    let mut out = Out { text: String::new(), width };
    let all = total(assessment);
    let catalog = &assessment.catalog;
    out.wrapped(
        "",
        &format!(
            "{} ({}), read at {}. {}.",
            catalog.database,
            catalog.collation,
            assessment.taken_at,
            cdc(assessment)
        ),
    );
    let size = all.bytes.map(|size| format!(", {}", bytes(size))).unwrap_or_default();
    let tables = u64::try_from(assessment.tables.len()).unwrap_or(u64::MAX);
    out.wrapped(
        "",
        &format!(
            "{}, {}{size}. Hazards: {} blocking, {} to decide, {} to note.",
            counted(tables, "table"),
            counted(all.rows, "row"),
            all.hazards.blocking,
            all.hazards.decide,
            all.hazards.note
        ),
    );
    for caveat in caveats(assessment) {
        out.wrapped("", &caveat);
    }
    let groups = groups(assessment);
    out.grid(&groups);
    for table in groups.iter().flat_map(|group| &group.tables) {
        out.table(table);
    }
    out.text
}

struct Out {
    text: String,
    width: usize,
}

impl Out {
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    /// Words on as many lines as they need, each behind `indent`.
    fn wrapped(&mut self, indent: &str, words: &str) {
        let mut line = String::new();
        for word in words.split(' ') {
            let length = indent.len() + line.chars().count() + 1 + word.chars().count();
            if !line.is_empty() && length > self.width {
                let full = format!("{indent}{line}");
                self.line(&full);
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        let rest = format!("{indent}{line}");
        self.line(&rest);
    }

    /// All tables, by domain.
    fn grid(&mut self, groups: &[Group<'_>]) {
        let header = ["table", "kind", "domain", "rows", "size", "blocking", "decide", "note"]
            .map(str::to_owned);
        let mut lines = vec![header];
        for group in groups {
            lines.extend(group.tables.iter().map(|table| cells(table, group)));
        }
        let mut widths = [0; 8];
        for line in &lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let others: usize = widths.iter().skip(1).map(|width| width + 2).sum();
        let room = self.width.saturating_sub(others + 2).max(NAME_MIN);
        if let Some(name) = widths.first_mut() {
            *name = (*name).min(room);
        }
        self.line("");
        for line in lines {
            self.grid_line(&line, &widths);
        }
    }

    /// One table; a name that is too long has a line to itself.
    fn grid_line(&mut self, cells: &[String; 8], widths: &[usize; 8]) {
        let [name, rest @ ..] = cells;
        let [name_width, rest_widths @ ..] = widths;
        let is_long = name.chars().count() > *name_width;
        if is_long {
            self.line(&format!("  {name}"));
        }
        let mut line = format!("  {}", pad(if is_long { "" } else { name }, *name_width, false));
        for (index, (cell, width)) in rest.iter().zip(rest_widths).enumerate() {
            let is_number = index >= 2;
            // Writing to a String can't fail.
            let _written = write!(line, "  {}", pad(cell, *width, is_number)).is_ok();
        }
        self.line(&line);
    }

    fn table(&mut self, table: &TableAssessment) {
        if table.hazards.is_empty() {
            return;
        }
        self.line("");
        let domain = table.domain.as_deref().unwrap_or("not migrated");
        let rows = match table.read_whole {
            true => counted(table.rows, "row"),
            false => format!("{}, not all read", counted(rows(table), "row")),
        };
        self.wrapped("", &format!("{}: {}, {domain}, {rows}", table.table, table.kind));
        for hazard in &table.hazards {
            self.hazard(hazard);
        }
    }

    fn hazard(&mut self, hazard: &Hazard) {
        let mut head = format!("{:<8}  {}", severity(hazard.severity), hazard.code);
        if !hazard.columns.is_empty() {
            head.push_str(&format!("  {}", hazard.columns.join(", ")));
        }
        if let Some(count) = hazard.count {
            head.push_str(&format!("  {}", counted(count, "row")));
        }
        self.wrapped("  ", &head);
        self.wrapped("      ", &hazard.message);
        if !hazard.examples.is_empty() {
            self.wrapped("      ", &format!("such as {}", hazard.examples.join(", ")));
        }
        for line in hazard.advice.lines() {
            self.line(&format!("      > {line}"));
        }
    }
}

fn cells(table: &TableAssessment, group: &Group<'_>) -> [String; 8] {
    let hazards = Hazards::of(&table.hazards);
    let number = |number: usize| if number == 0 { String::new() } else { number.to_string() };
    [
        table.table.to_string(),
        table.kind.to_string(),
        group.domain.clone().unwrap_or_default(),
        thousands(rows(table)),
        table.bytes.map(bytes).unwrap_or_default(),
        number(hazards.blocking),
        number(hazards.decide),
        number(hazards.note),
    ]
}

fn pad(cell: &str, width: usize, is_number: bool) -> String {
    if is_number { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
}
