//! One table of the page: its hazards, and what the data says of its columns.

use show::{Page, counted, escape, thousands};

use super::chips;
use crate::{
    assessment::{Assessment, ColumnFacts, Hazard, TableAssessment},
    report::{
        summary::{Hazards, rows},
        write::{bytes, severity},
    },
};

/// Values of an enum that are shown in the list of columns.
const VALUES_SHOWN: usize = 12;

pub(super) fn table(page: &mut Page, assessment: &Assessment, table: &TableAssessment) {
    let hazards = Hazards::of(&table.hazards);
    let size = table.bytes.map(|size| format!(", {}", bytes(size))).unwrap_or_default();
    let read = if table.read_whole { "" } else { ", not all read" };
    page.add(format_args!(
        "<details class=\"table\">\n<summary><span class=\"name\">{}</span> \
         <span class=\"kind\">{}, {}{size}{read}</span> <span class=\"chips\">{}</span></summary>\n",
        escape(&table.table.to_string()),
        escape(&table.kind.to_string()),
        counted(rows(table), "row"),
        chips(hazards)
    ));
    if table.hazards.is_empty() {
        let nothing = if table.read_whole { "Nothing was found." } else { "It was not read." };
        page.add(format_args!("<p class=\"none\">{nothing}</p>\n"));
    } else {
        page.add(format_args!("<ul class=\"hazards\">\n"));
        table.hazards.iter().for_each(|found| hazard(page, found));
        page.add(format_args!("</ul>\n"));
    }
    columns(page, assessment, table);
    page.add(format_args!("</details>\n"));
}

fn hazard(page: &mut Page, hazard: &Hazard) {
    let word = severity(hazard.severity);
    let columns: Vec<String> =
        hazard.columns.iter().map(|column| format!("<b>{}</b>", escape(column))).collect();
    let count = hazard.count.map(|count| counted(count, "row")).unwrap_or_default();
    page.add(format_args!(
        "<li class=\"hazard is-{word}\">\n<p class=\"head\"><span class=\"chip {word}\">{word}</span> \
         <code>{}</code> {} <span class=\"count\">{count}</span></p>\n<p>{}</p>\n",
        escape(&hazard.code),
        columns.join(", "),
        escape(&hazard.message)
    ));
    if !hazard.examples.is_empty() {
        let examples: Vec<String> = hazard
            .examples
            .iter()
            .map(|example| format!("<code>{}</code>", escape(example)))
            .collect();
        page.add(format_args!("<p class=\"examples\">such as {}</p>\n", examples.join(", ")));
    }
    page.add(format_args!(
        "<pre class=\"copy\"><code>{}</code></pre>\n</li>\n",
        escape(&hazard.advice)
    ));
}

fn columns(page: &mut Page, assessment: &Assessment, table: &TableAssessment) {
    if table.columns.is_empty() {
        return;
    }
    page.add(format_args!(
        "<details class=\"columns\">\n<summary>{}</summary>\n<div class=\"scroll\"><table>\n<thead>\
         <tr><th>column</th><th>type</th><th class=\"number\">NULL</th>\
         <th class=\"number\">longest</th><th class=\"number\">digits</th><th>values</th></tr>\
         </thead>\n<tbody>\n",
        counted(u64::try_from(table.columns.len()).unwrap_or(u64::MAX), "column")
    ));
    let described = assessment.catalog.table(&table.table);
    for facts in &table.columns {
        let sql_type = described.and_then(|table| table.column(&facts.name));
        let sql_type = sql_type.map(|column| column.sql_type.to_string()).unwrap_or_default();
        let number = |number: Option<u64>| number.map(thousands).unwrap_or_default();
        page.add(format_args!(
            "<tr><th scope=\"row\">{}</th><td><code>{}</code></td><td class=\"number\">{}</td>\
             <td class=\"number\">{}</td><td class=\"number\">{}</td><td>{}</td></tr>\n",
            escape(&facts.name),
            escape(&sql_type),
            thousands(facts.nulls),
            number(facts.length_max),
            number(facts.fraction_digits_max.map(u64::from)),
            values(facts)
        ));
    }
    page.add(format_args!("</tbody>\n</table></div>\n</details>\n"));
}

fn values(facts: &ColumnFacts) -> String {
    if facts.only_midnights {
        return "midnights only".to_owned();
    }
    let shown = facts.values.iter().take(VALUES_SHOWN);
    let mut shown: Vec<String> =
        shown.map(|(value, count)| format!("{value}&nbsp;({})", thousands(*count))).collect();
    if facts.values.len() > VALUES_SHOWN {
        shown.push("…".to_owned());
    }
    shown.join(", ")
}
