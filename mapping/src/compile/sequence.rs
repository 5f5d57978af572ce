//! Sequences: which columns feed them, and how.

use std::sync::Arc;

use regex_lite::Regex;

use super::{
    TableBook,
    outline::{NAME_HELP, is_name},
};
use crate::{
    convert::Make,
    file::{FileSaid, Mistakes, Said, SequenceSaid, closest},
    plan::{Candidate, EntityPlan, Field},
    sequence::{DocumentRule, NumberPattern, NumberSource, SequencePlan, SequenceSource},
};

/// The whole value, where the file gives no pattern.
const WHOLE: &str = r"(\d+)";

pub(super) fn sequences(
    said: &[FileSaid],
    entities: &[EntityPlan],
    book: &mut TableBook<'_>,
    m: &mut Mistakes<'_>,
) -> Vec<SequencePlan> {
    let mut sequences: Vec<SequencePlan> = Vec::new();
    for said in said.iter().flat_map(|file| &file.sequences) {
        let index = sequences.len();
        let sequence = sequence(said, index, entities, book, m);
        let known = sequences.iter().any(|known| known.qualified() == sequence.qualified());
        if known {
            let message = format!("there are two sequences `{}`", said.name);
            m.add(said.name.at, message, "name all its columns in one `from`");
        }
        sequences.push(sequence);
    }
    sequences
}

fn sequence(
    said: &SequenceSaid,
    index: usize,
    entities: &[EntityPlan],
    book: &mut TableBook<'_>,
    m: &mut Mistakes<'_>,
) -> SequencePlan {
    let name = &said.name;
    if name.value.split('.').count() > 2 || !name.value.split('.').all(is_name) {
        m.add(name.at, format!("`{name}` is no name of a sequence"), NAME_HELP);
    }
    let (schema, bare) = name.value.split_once('.').unwrap_or(("public", &name.value));
    let rule = Arc::new(rule(said, m));
    let mut plan = SequencePlan {
        schema: schema.to_owned(),
        name: bare.to_owned(),
        domain: String::new(),
        sources: Vec::new(),
        above: said.above,
        step: said.step,
        rule,
    };
    for from in &said.from {
        let Some((entity, column)) = find(from, entities, m) else { continue };
        if plan.domain.is_empty() {
            plan.domain.clone_from(&entity.domain);
        } else if plan.domain != entity.domain {
            let message = format!(
                "`{name}` counts in `{}` and in `{}`, which are handed over one after the other",
                plan.domain, entity.domain
            );
            m.add(from.at, message, "put both entities into one domain, or make two sequences");
        }
        feed((from, said), (entity, column), (index, &plan.rule), book, m);
        let source = SequenceSource { entity: entity.id, column, name: from.value.clone() };
        plan.sources.push(source);
    }
    plan
}

/// Adds the sequence to the part that makes the column.
fn feed(
    (from, said): (&Said<String>, &SequenceSaid),
    (entity, column): (&EntityPlan, usize),
    (sequence, rule): (usize, &Arc<DocumentRule>),
    book: &mut TableBook<'_>,
    m: &mut Mistakes<'_>,
) {
    let candidates = book.drafts.iter_mut().flat_map(|draft| &mut draft.candidates);
    let of_column = candidates.filter(|candidate| candidate.entity == entity.id);
    let found = of_column.filter_map(|candidate| {
        let part = entity.parts.get(usize::from(candidate.part))?;
        let place = part.columns.iter().position(|planned| *planned == column)?.checked_sub(1)?;
        Some((candidate, place))
    });
    let Some((candidate, place)) = found.last() else { return };
    let source = candidate.fields.get(place).and_then(number_source);
    let Some((source, is_text)) = source else {
        let message = format!("`{from}` holds no document numbers");
        m.add(from.at, message, "name a column made as \"text\" or as an integer");
        return;
    };
    if let Some(pattern) = said.patterns.iter().chain(&said.except).find(|_| !is_text) {
        let message = format!("`{from}` is a number, and needs no pattern");
        m.add(pattern.at, message, "drop `pattern` and `except`");
    }
    let rule = Arc::clone(rule);
    add(candidate, NumberSource { sequence, source, rule });
}

fn add(candidate: &mut Candidate, number: NumberSource) {
    candidate.numbers.push(number);
}

/// Where the field's value is, and whether it is a text.
fn number_source(field: &Field) -> Option<(usize, bool)> {
    match &field.make {
        Make::Text(_) => Some((field.source?, true)),
        Make::Int2 | Make::Int4 | Make::Int8 => Some((field.source?, false)),
        _ => None,
    }
}

fn find<'e>(
    from: &Said<String>,
    entities: &'e [EntityPlan],
    m: &mut Mistakes<'_>,
) -> Option<(&'e EntityPlan, usize)> {
    let (entity, column) = from.value.split_once('.').unwrap_or((&from.value, ""));
    let Some(plan) = entities.iter().find(|plan| plan.name == entity) else {
        let names = entities.iter().map(|plan| plan.name.as_str());
        let help = match closest(entity, names) {
            Some(near) => format!("did you mean `{near}.{column}`?"),
            None => "write from = \"invoices.invoice_no\", for instance".into(),
        };
        m.add(from.at, format!("there is no entity `{entity}`"), help);
        return None;
    };
    if let Some(index) = plan.columns.iter().position(|known| known.name == column) {
        return Some((plan, index));
    }
    let names = plan.columns.iter().map(|known| known.name.as_str());
    let help = match closest(column, names) {
        Some(near) => format!("did you mean `{entity}.{near}`?"),
        None => format!("name a column of `{entity}` as the target has it"),
    };
    m.add(from.at, format!("`{entity}` has no column `{column}`"), help);
    None
}

fn rule(said: &SequenceSaid, m: &mut Mistakes<'_>) -> DocumentRule {
    let mut rule = DocumentRule { patterns: Vec::new(), except: Vec::new() };
    for pattern in &said.patterns {
        let Some(regex) = compiled(pattern, m) else { continue };
        if regex.captures_len() == 2 {
            rule.patterns.push(NumberPattern::new(&pattern.value, regex));
        } else {
            let groups = regex.captures_len() - 1;
            m.add(
                pattern.at,
                format!("the pattern `{pattern}` has {groups} groups"),
                r"write one group around the digits, such as 'INV-\d{4}/(\d+)', and (?:…) elsewhere",
            );
        }
    }
    rule.except.extend(said.except.iter().filter_map(|except| compiled(except, m)));
    if said.patterns.is_empty() {
        let regex = Regex::new(&format!("^(?:{WHOLE})$")).ok();
        rule.patterns.extend(regex.map(|regex| NumberPattern::new(WHOLE, regex)));
    }
    rule
}

fn compiled(pattern: &Said<String>, m: &mut Mistakes<'_>) -> Option<Regex> {
    // Alone first, so that an odd bracket can't reach out of its place.
    let tried = Regex::new(&pattern.value).and_then(|_| Regex::new(&format!("^(?:{pattern})$")));
    tried
        .map_err(|error| {
            let message = format!("`{pattern}` is no regular expression: {error}");
            m.add(pattern.at, message, r"write 'INV-\d{4}/(\d+)', for instance");
        })
        .ok()
}
