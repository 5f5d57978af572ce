//! One page with everything in it: a manager sees the numbers, an engineer opens the tables.
//!
//! Everything that comes from the database is escaped. Without scripts the page says the same;
//! with them, lines can be copied by a click and notes be hidden.

mod table;

use show::{Page, escape, thousands};

use super::{
    summary::{Group, Hazards, caveats, cdc, groups, kinds, total},
    write::{bytes, severity},
};
use crate::assessment::{Assessment, Severity};

const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/page.js");

/// The page.
#[must_use]
pub fn html(assessment: &Assessment) -> String {
    let mut page = Page::default();
    let all = total(assessment);
    let groups = groups(assessment);
    let database = escape(&assessment.catalog.database);
    page.add(format_args!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{database}: legacy assessment</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"
    ));
    header(&mut page, assessment, &all);
    page.add(format_args!("<main>\n"));
    verdict(&mut page, &all, &groups);
    caution(&mut page, assessment);
    domains(&mut page, &groups);
    found(&mut page, assessment);
    page.add(format_args!(
        "<section aria-labelledby=\"tables\">\n<div class=\"bar-head\"><h2 id=\"tables\">Tables</h2>\
         <p class=\"controls\" hidden><button type=\"button\" id=\"open\">Open all</button> \
         <label><input type=\"checkbox\" id=\"notes\" checked> show notes</label></p></div>\n"
    ));
    for group in &groups {
        let name = escape(group.name());
        page.add(format_args!("<h3>{name}</h3>\n"));
        for assessed in &group.tables {
            table::table(&mut page, assessment, assessed);
        }
    }
    page.add(format_args!("</section>\n</main>\n"));
    footer(&mut page, assessment);
    page.add(format_args!("<script>\n{SCRIPT}</script>\n</body>\n</html>\n"));
    page.into_string()
}

fn header(page: &mut Page, assessment: &Assessment, all: &Group<'_>) {
    let catalog = &assessment.catalog;
    page.add(format_args!(
        "<header>\n<p class=\"kicker\">Legacy assessment</p>\n<h1>{}</h1>\n\
         <p class=\"sub\">Read at <time>{}</time>. Collation {}. {}.</p>\n<dl class=\"tiles\">\n",
        escape(&catalog.database),
        escape(&assessment.taken_at),
        escape(&catalog.collation),
        escape(&cdc(assessment))
    ));
    let mut tile = |class: &str, name: &str, value: &str| {
        page.add(format_args!(
            "<div class=\"tile {class}\"><dt>{name}</dt><dd>{value}</dd></div>\n"
        ));
    };
    tile("", "tables", &assessment.tables.len().to_string());
    tile("", "rows", &thousands(all.rows));
    tile("", "size", &all.bytes.map_or_else(|| "unknown".to_owned(), bytes));
    tile("blocking", "blocking", &all.hazards.blocking.to_string());
    tile("decide", "to decide", &all.hazards.decide.to_string());
    tile("note", "to note", &all.hazards.note.to_string());
    page.add(format_args!("</dl>\n</header>\n"));
}

/// What has to be known to read the numbers.
fn caution(page: &mut Page, assessment: &Assessment) {
    let caveats = caveats(assessment);
    if !caveats.is_empty() {
        page.add(format_args!("<ul class=\"caveats\">\n"));
        for caveat in caveats {
            page.add(format_args!("<li>{}</li>\n", escape(&caveat)));
        }
        page.add(format_args!("</ul>\n"));
    }
}

fn verdict(page: &mut Page, all: &Group<'_>, groups: &[Group<'_>]) {
    let domains: Vec<&Group<'_>> = groups.iter().filter(|group| group.domain.is_some()).collect();
    let blocked = domains.iter().filter(|group| group.hazards.blocking > 0).count();
    let sentence = match all.hazards.blocking {
        0 => {
            "Nothing blocks a migration: what is left are choices for the mapping files.".to_owned()
        }
        1 => format!(
            "One hazard blocks {blocked} of {} domains until the mapping says what to do, or the \
             rows are corrected.",
            domains.len()
        ),
        hazards => format!(
            "{hazards} hazards block {blocked} of {} domains until the mapping says what to do, or \
             the rows are corrected.",
            domains.len()
        ),
    };
    page.add(format_args!("<p class=\"verdict\">{sentence}</p>\n"));
}

/// Hazards by severity, as chips; nothing for none.
fn chips(hazards: Hazards) -> String {
    let chip = |severity: Severity, count: usize| {
        let word = self::severity(severity);
        match count {
            0 => String::new(),
            count => format!("<span class=\"chip {word}\">{count} {word}</span>"),
        }
    };
    [
        chip(Severity::Blocking, hazards.blocking),
        chip(Severity::Decide, hazards.decide),
        chip(Severity::Note, hazards.note),
    ]
    .concat()
}

fn domains(page: &mut Page, groups: &[Group<'_>]) {
    page.add(format_args!(
        "<section aria-labelledby=\"domains\">\n<h2 id=\"domains\">Domains</h2>\n\
         <p>Proposed by what refers to what, in the order in which they are best ported. The bar \
         is the share of all rows.</p>\n<table class=\"domains\">\n<thead><tr><th>domain</th>\
         <th class=\"number\">tables</th><th class=\"number\">rows</th><th>share</th>\
         <th class=\"number\">size</th><th>hazards</th></tr></thead>\n<tbody>\n"
    ));
    let all: u64 = groups.iter().map(|group| group.rows).sum();
    for group in groups {
        let share = group.rows.saturating_mul(1000) / all.max(1);
        let size = group.bytes.map(bytes).unwrap_or_default();
        page.add(format_args!(
            "<tr><th scope=\"row\">{}</th><td class=\"number\">{}</td><td class=\"number\">{}</td>\
             <td><div class=\"bar\" role=\"img\" aria-label=\"{}.{} percent of the rows\">\
             <span style=\"width:{}.{}%\"></span></div></td><td class=\"number\">{size}</td>\
             <td>{}</td></tr>\n",
            escape(group.name()),
            group.tables.len(),
            thousands(group.rows),
            share / 10,
            share % 10,
            share / 10,
            share % 10,
            chips(group.hazards)
        ));
    }
    page.add(format_args!("</tbody>\n</table>\n</section>\n"));
}

fn found(page: &mut Page, assessment: &Assessment) {
    let kinds = kinds(assessment);
    if kinds.is_empty() {
        return;
    }
    page.add(format_args!(
        "<section aria-labelledby=\"found\">\n<h2 id=\"found\">What was found</h2>\n\
         <table>\n<thead><tr><th>severity</th><th>hazard</th><th>meaning</th><th class=\"number\">places</th>\
         <th class=\"number\">rows</th></tr></thead>\n<tbody>\n"
    ));
    for kind in kinds {
        let word = severity(kind.code.severity);
        let rows = if kind.rows == 0 { String::new() } else { thousands(kind.rows) };
        page.add(format_args!(
            "<tr><td><span class=\"chip {word}\">{word}</span></td>\
             <th scope=\"row\"><code>{}</code></th><td>{}</td><td class=\"number\">{}</td>\
             <td class=\"number\">{rows}</td></tr>\n",
            kind.code.name,
            escape(kind.code.meaning),
            kind.hazards
        ));
    }
    page.add(format_args!("</tbody>\n</table>\n</section>\n"));
}

fn footer(page: &mut Page, assessment: &Assessment) {
    let zone = assessment.reading.zone.as_deref().map(|zone| format!(" Zone {}.", escape(zone)));
    page.add(format_args!(
        "<footer>\n<p>Made by <code>ficus assess</code>.{} This page holds names, keys and counts, \
         and no values of rows but those of enums. Keys that their name calls personal are shown \
         as ***.</p>\n</footer>\n",
        zone.unwrap_or_default()
    ));
}
