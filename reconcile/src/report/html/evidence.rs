//! What the verdict does not cover, and what it rests on.

use std::fmt::Write as _;

use show::{Page, counted, escape, thousands};

use super::{Around, Report, ReportHash};
use crate::report::Evidence;

/// Columns, rows and tables that are not compared, and why.
pub(super) fn not_compared(page: &mut Page, report: &Report) {
    let count: usize = report.entities.iter().map(|entity| entity.not_compared.len()).sum();
    let count = count + report.left_out.len();
    if count == 0 {
        return;
    }
    page.add(format_args!(
        "<section aria-labelledby=\"left\">\n<h2 id=\"left\">Not compared</h2>\n<details>\n\
         <summary>{count} columns, kinds of rows and tables, each with its reason</summary>\n<table>\n\
         <thead><tr><th>entity</th><th>what</th><th>why</th></tr></thead>\n<tbody>\n"
    ));
    let of_entities = report.entities.iter().flat_map(|entity| {
        entity.not_compared.iter().map(|left_out| (entity.entity.as_str(), left_out))
    });
    let check = report.independent.iter().flat_map(|check| &check.not_covered);
    let unruled = check.map(|one| ("(independent check)", one));
    let tables = report.left_out.iter().map(|one| ("", one));
    for (entity, left_out) in of_entities.chain(tables).chain(unruled) {
        page.add(format_args!(
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>\n",
            escape(entity),
            escape(&left_out.column),
            escape(&left_out.reason)
        ));
    }
    page.add(format_args!("</tbody>\n</table>\n</details>\n</section>\n"));
}

/// Positions, times, versions, hashes.
pub(super) fn evidence(page: &mut Page, report: &Report, around: &Around) {
    let none = || "none".to_owned();
    let rests_on = match &report.evidence {
        Evidence::Marker => "a marker that the stream passed after the legacy rows were read",
        Evidence::MarkerNotPassed => "a marker that the stream did not pass in time",
        Evidence::ConfirmedTwice { .. } => "reading twice",
    };
    let mut facts = vec![
        ("rests on", rests_on.to_owned()),
        ("tier", report.tier.to_string()),
        ("LSN before the first row was read", report.low.clone().unwrap_or_else(none)),
        ("LSN of the marker", report.marker.clone().unwrap_or_else(none)),
        ("began", report.started_at.clone()),
        ("ended", report.finished_at.clone()),
        ("passes over the rows", report.passes.to_string()),
        ("reading the legacy side", format!("{} ms", thousands(report.legacy_scan_ms))),
        ("reading the target side", format!("{} ms", thousands(report.target_scan_ms))),
        ("mapping version", report.mapping_version.clone()),
        ("run", report.run.clone()),
    ];
    if let Some(resumed) = &report.resumed {
        facts.push(("went on with", resumed.sentence()));
    }
    for table in report.tier.read_whole() {
        facts.push(("read whole", format!("{}: {}", table.column, table.reason)));
    }
    if let Some(check) = &report.independent {
        let found = match check.disagreements {
            0 => "no disagreement".to_owned(),
            more => format!("{more} disagreements"),
        };
        let text =
            format!("{} compared by rules of their own: {found}", counted(check.rows, "row"));
        facts.push(("independent check", text));
    }
    if let Some((hash, previous)) = &around.hashes {
        facts.push(("hash of this report", hex(hash)));
        facts.push(("hash of the report before", previous.as_ref().map_or_else(none, hex)));
    }
    page.add(format_args!(
        "<section aria-labelledby=\"evidence\">\n<h2 id=\"evidence\">Evidence</h2>\n<dl class=\"facts\">\n"
    ));
    for (name, value) in facts {
        page.add(format_args!("<dt>{name}</dt><dd>{}</dd>\n", escape(&value)));
    }
    page.add(format_args!(
        "</dl>\n<p class=\"soft\">Each report's hash covers the one before it. \
         <code>ficus report verify</code> checks the whole chain, from Postgres or from exported \
         files.</p>\n</section>\n"
    ));
}

fn hex(hash: &ReportHash) -> String {
    let mut text = String::with_capacity(64);
    for byte in hash {
        // Writing to a String can't fail.
        let _written = write!(text, "{byte:02x}").is_ok();
    }
    text
}
