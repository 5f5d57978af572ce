//! One entity of the page: its account, notes, and example rows with both sides.

use show::{Page, counted, escape, thousands};

use super::{class, word};
use crate::report::{Difference, EntityReport, Report, ValuePair, Verdict};

/// Examples on the page; the JSON has more.
const EXAMPLES_MAX: usize = 25;

pub(super) fn entity(page: &mut Page, entity: &EntityReport) {
    let open = if entity.verdict == Verdict::Equal { "" } else { " open" };
    page.add(format_args!(
        "<details class=\"entity\"{open}>\n<summary><span class=\"name\">{}</span> \
         <span class=\"soft\">{}, {}</span> <span class=\"chip is-{}\">{}</span></summary>\n",
        escape(&entity.entity),
        escape(&entity.table),
        counted(entity.rows.read, "row"),
        class(entity.verdict),
        word(entity.verdict)
    ));
    account(page, entity);
    if !entity.notes.is_empty() {
        page.add(format_args!("<ul class=\"notes\">\n"));
        for note in &entity.notes {
            page.add(format_args!("<li>{}</li>\n", escape(note)));
        }
        page.add(format_args!("</ul>\n"));
    }
    for difference in entity.differences.iter().take(EXAMPLES_MAX) {
        example(page, difference);
    }
    let shown = u64::try_from(entity.differences.len().min(EXAMPLES_MAX)).unwrap_or(u64::MAX);
    if entity.different() > shown {
        let more = counted(entity.different() - shown, "row");
        page.add(format_args!("<p class=\"soft pad\">… and {more} more.</p>\n"));
    }
    page.add(format_args!("</details>\n"));
}

/// Rows that the independent check disagrees about.
pub(super) fn independent(page: &mut Page, report: &Report) {
    let Some(check) = report.independent.as_ref().filter(|check| check.disagreements > 0) else {
        return;
    };
    page.add(format_args!(
        "<section aria-labelledby=\"independent\">\n<h2 id=\"independent\">Independent check</h2>\n"
    ));
    for difference in check.examples.iter().take(EXAMPLES_MAX) {
        example(page, difference);
    }
    page.add(format_args!("</section>\n"));
}

/// Every row has a class; those without rows are left out.
fn account(page: &mut Page, entity: &EntityReport) {
    let counts = &entity.rows;
    let classes = [
        ("equal", counts.equal),
        ("changed", counts.changed),
        ("missing", counts.missing),
        ("extra in the target", entity.extra),
        ("wrongly composed", entity.composed_wrong),
        ("undecided", entity.undecided()),
        ("in quarantine", counts.quarantined),
        ("wait for a part", entity.incomplete),
        ("read again by key", entity.read_again),
        ("target rows", entity.target_rows),
    ];
    page.add(format_args!("<p class=\"account\">"));
    for (name, count) in classes.iter().filter(|(name, count)| *count > 0 || *name == "equal") {
        page.add(format_args!("<span><b>{}</b> {name}</span> ", thousands(*count)));
    }
    for ignored in &entity.ignored {
        page.add(format_args!(
            "<span><b>{}</b> ignored by the rule <code>{}</code></span> ",
            thousands(ignored.rows),
            escape(&ignored.name)
        ));
    }
    page.add(format_args!("</p>\n"));
}

fn example(page: &mut Page, difference: &Difference) {
    let key = difference.key.as_deref().or(difference.id.as_deref()).unwrap_or("unknown key");
    let part = difference.part.as_ref().map(|part| format!(" of {}", escape(part)));
    let tampered = if difference.tampered {
        " <span class=\"chip is-tampered\">changed by somebody</span>"
    } else {
        ""
    };
    page.add(format_args!(
        "<div class=\"example\">\n<p><span class=\"chip is-different\">{}</span> <code>{}</code>{}{tampered}</p>\n\
         <p class=\"soft\">{}</p>\n",
        difference.kind.word(),
        escape(key),
        part.unwrap_or_default(),
        escape(&difference.hint)
    ));
    if !difference.columns.is_empty() {
        page.add(format_args!(
            "<div class=\"scroll\"><table class=\"sides\">\n<thead><tr><th>column</th><th>legacy, mapped</th>\
             <th>target</th></tr></thead>\n<tbody>\n"
        ));
        for ValuePair { column, legacy, target } in &difference.columns {
            page.add(format_args!(
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>\n",
                escape(column),
                value(legacy.as_deref()),
                value(target.as_deref())
            ));
        }
        page.add(format_args!("</tbody>\n</table></div>\n"));
    }
    let place = |name: &str, value: &Option<String>| {
        value.as_ref().map(|value| format!("{name} <code>{}</code>", escape(value)))
    };
    let places = [
        place("id", &difference.id),
        place("target position", &difference.position),
        place("decided at LSN", &difference.low),
    ];
    let places: Vec<String> = places.into_iter().flatten().collect();
    if !places.is_empty() {
        page.add(format_args!("<p class=\"soft small\">{}</p>\n", places.join(", ")));
    }
    page.add(format_args!("</div>\n"));
}

fn value(value: Option<&str>) -> String {
    match value {
        None => "<span class=\"null\">NULL</span>".to_owned(),
        Some(value) => format!("<code>{}</code>", escape(value)),
    }
}
