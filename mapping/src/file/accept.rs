//! `[entity.accept]`: warnings of `ficus mapping check` that somebody takes upon himself.

use toml::{Spanned, de::DeValue};

use super::{
    Mistakes, Said, closest,
    options::{entries, place},
};
use crate::finding::Rule;

/// A warning that is accepted, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AcceptSaid {
    pub(crate) rule: Said<Rule>,
    /// The index, column or value; every finding of the rule when nothing is named.
    pub(crate) about: Option<String>,
    pub(crate) reason: String,
}

/// Reads `rule = "reason"` and `rule.what = "reason"`.
pub(super) fn read(
    said: Vec<(Said<String>, &Spanned<DeValue<'_>>)>,
    m: &mut Mistakes<'_>,
) -> Vec<AcceptSaid> {
    let mut accepted = Vec::new();
    for (name, value) in said {
        let Some(rule) = Rule::named(&name.value).filter(|rule| rule.is_acceptable()) else {
            unacceptable(&name, m);
            continue;
        };
        each(&name, rule, None, value, m, &mut accepted);
    }
    accepted
}

fn unacceptable(name: &Said<String>, m: &mut Mistakes<'_>) {
    let acceptable = || Rule::ALL.iter().filter(|rule| rule.is_acceptable()).map(|r| r.name());
    if Rule::named(&name.value).is_some() {
        let message = format!("`{name}` can't be accepted");
        m.add(
            name.at,
            message,
            "correct what it names; only warnings about an entity are accepted",
        );
        return;
    }
    let help = match closest(&name.value, acceptable()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", acceptable().collect::<Vec<_>>().join(", ")),
    };
    m.add(name.at, format!("there is no rule `{name}`"), help);
}

fn each(
    at: &Said<String>,
    rule: Rule,
    about: Option<String>,
    value: &Spanned<DeValue<'_>>,
    m: &mut Mistakes<'_>,
    accepted: &mut Vec<AcceptSaid>,
) {
    match value.get_ref() {
        DeValue::String(reason) if !reason.trim().is_empty() => accepted.push(AcceptSaid {
            rule: Said::new(rule, at.at),
            about,
            reason: reason.to_string(),
        }),
        DeValue::Table(table) => {
            for (inner, value) in entries(table, at.at.file) {
                let about = match &about {
                    Some(outer) => format!("{outer}.{inner}"),
                    None => inner.value.clone(),
                };
                each(&inner, rule, Some(about), value, m, accepted);
            }
        }
        _ => m.add(
            place(at.at.file, value),
            format!("`{rule}` is accepted without a reason"),
            "say why, in quotes",
        ),
    }
}
