//! The report in a terminal.

use std::fmt::{self, Write as _};

use super::{Difference, EntityReport, Evidence, Report, ValuePair, Verdict};

/// Examples shown for each entity; the JSON has more.
const EXAMPLES_MAX: usize = 10;

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Equal => "equal",
            Self::InFlight => "in flight",
            Self::Different => "DIFFERENT",
        })
    }
}

impl Report {
    /// A concise table, then what is not equal.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        self.write_text(&mut text).unwrap_or_default();
        text
    }

    /// Head, table and verdict, without the details.
    #[must_use]
    pub fn to_brief(&self) -> String {
        let mut text = String::new();
        let written = self.write_head(&mut text).and_then(|()| self.write_table(&mut text));
        written.and_then(|()| writeln!(text, "\nverdict: {}", self.verdict)).unwrap_or_default();
        text
    }

    fn write_text(&self, out: &mut String) -> fmt::Result {
        self.write_head(out)?;
        self.write_table(out)?;
        for entity in &self.entities {
            write_details(out, entity)?;
        }
        if let Some(check) = &self.independent {
            writeln!(
                out,
                "\nindependent check: {} rows, {} values, {} disagreements, {} columns without a rule",
                check.rows,
                check.values,
                check.disagreements,
                check.not_covered.len()
            )?;
            for difference in check.examples.iter().take(EXAMPLES_MAX) {
                write_difference(out, difference)?;
            }
        }
        if !self.left_out.is_empty() {
            writeln!(out)?;
        }
        for table in &self.left_out {
            writeln!(out, "left out: {} ({})", table.column, table.reason)?;
        }
        writeln!(out, "\nverdict: {}", self.verdict)
    }

    fn write_head(&self, out: &mut String) -> fmt::Result {
        let unknown = || "none".to_owned();
        writeln!(
            out,
            "reconcile {} of {} at LSN {} (marker {}), {} to {}, {} pass{}",
            self.run,
            self.database,
            self.low.clone().unwrap_or_else(unknown),
            self.marker.clone().unwrap_or_else(unknown),
            self.started_at,
            self.finished_at,
            self.passes,
            if self.passes == 1 { "" } else { "es" },
        )?;
        writeln!(out, "mapping {}", self.mapping_version)?;
        if let Some(sentence) = self.tier.sentence() {
            writeln!(out, "{sentence}")?;
        }
        for table in self.tier.read_whole() {
            writeln!(out, "read whole: {} ({})", table.column, table.reason)?;
        }
        if let Some(resumed) = &self.resumed {
            writeln!(out, "{}", resumed.sentence())?;
        }
        match &self.evidence {
            Evidence::Marker => Ok(()),
            Evidence::MarkerNotPassed => writeln!(
                out,
                "the stream did not pass the marker in time: rows that disagree are undecided"
            ),
            Evidence::ConfirmedTwice { reason } => writeln!(
                out,
                "WEAKER EVIDENCE, each difference was only read twice without change: {reason}"
            ),
        }
    }

    fn write_table(&self, out: &mut String) -> fmt::Result {
        let width = self.entities.iter().map(|entity| entity.entity.chars().count()).max();
        let width = width.unwrap_or(0).max("entity".len());
        writeln!(
            out,
            "\n{:<width$}  {:<9} {:>11} {:>11} {:>8} {:>8} {:>6} {:>9} {:>11} {:>8}",
            "entity",
            "verdict",
            "read",
            "equal",
            "changed",
            "missing",
            "extra",
            "in flight",
            "quarantined",
            "ignored"
        )?;
        for entity in &self.entities {
            let rows = &entity.rows;
            writeln!(
                out,
                "{:<width$}  {:<9} {:>11} {:>11} {:>8} {:>8} {:>6} {:>9} {:>11} {:>8}",
                entity.entity,
                entity.verdict,
                rows.read,
                rows.equal,
                rows.changed,
                rows.missing,
                entity.extra,
                rows.in_flight,
                rows.quarantined,
                rows.ignored
            )?;
        }
        Ok(())
    }
}

fn write_details(out: &mut String, entity: &EntityReport) -> fmt::Result {
    let has_details = entity.verdict != Verdict::Equal
        || !entity.notes.is_empty()
        || !entity.not_compared.is_empty()
        || !entity.ignored.is_empty();
    if !has_details {
        return Ok(());
    }
    writeln!(out, "\n{}", entity.entity)?;
    for count in &entity.ignored {
        writeln!(out, "  {} rows ignored by rule `{}`", count.rows, count.name)?;
    }
    for left_out in &entity.not_compared {
        writeln!(out, "  not compared: {} ({})", left_out.column, left_out.reason)?;
    }
    for note in &entity.notes {
        writeln!(out, "  note: {note}")?;
    }
    for (column, rows) in &entity.columns {
        writeln!(out, "  {column} differs in {rows} rows")?;
    }
    if entity.tampered > 0 {
        writeln!(
            out,
            "  TAMPERED: {} rows were changed in the target by somebody",
            entity.tampered
        )?;
    }
    for difference in entity.differences.iter().take(EXAMPLES_MAX) {
        write_difference(out, difference)?;
    }
    let all = entity.different();
    let shown = u64::try_from(entity.differences.len().min(EXAMPLES_MAX)).unwrap_or(u64::MAX);
    match all.saturating_sub(shown) {
        0 => Ok(()),
        more => writeln!(out, "  … and {more} more"),
    }
}

fn write_difference(out: &mut String, difference: &Difference) -> fmt::Result {
    let unknown = "unknown key";
    let key = difference.key.as_deref().or(difference.id.as_deref()).unwrap_or(unknown);
    let kind = difference.kind.word();
    let part = difference.part.as_ref().map(|part| format!(" ({part})")).unwrap_or_default();
    writeln!(out, "  {kind} {key}{part}: {}", difference.hint)?;
    for ValuePair { column, legacy, target } in &difference.columns {
        let show = |value: &Option<String>| match value {
            None => "NULL".to_owned(),
            Some(value) => format!("`{value}`"),
        };
        writeln!(out, "    {column}: legacy {}, target {}", show(legacy), show(target))?;
    }
    Ok(())
}
