//! What was done to a value, in words.
//!
//! Each option of a column is switched off in turn, and the real converter is asked again: when
//! it then says something else, the option did something, and its words are a step. So the words
//! can't tell of a step that was not taken, and follow every change of the converters.

use super::{Made, Place};
use crate::{
    convert::{Blank, Concat, Make, RefRule, Wrote},
    encode::{EPOCH_MICROSECONDS, TICKS_PER_MICROSECOND},
    plan::{Context, Field, OnNull},
    row::RowKind,
    value::{LegacyValue, TICKS_PER_SECOND},
};

mod switches;

use switches::{Switch, switches};

impl Place<'_> {
    pub(super) fn steps(&self, field: &Field, made: &Made, masked: bool) -> Vec<String> {
        let mut steps = match &field.make {
            Make::Ref(rule) => self.reference(rule, made),
            Make::DeletedAt => vec![self.deleted_at().to_owned()],
            Make::Const { .. } => vec!["a constant".to_owned()],
            Make::XpoFile { .. } => self.file(field, made),
            Make::Concat(rule) => self.concat(rule, made),
            Make::Object(_) => match made {
                Made::Field(Some(_)) => {
                    vec!["the content goes to the object store; this is its address".to_owned()]
                }
                _ => Vec::new(),
            },
            make => match field.source.and_then(|source| self.values.get(source)) {
                None | Some(LegacyValue::Null | LegacyValue::Unchanged) => Vec::new(),
                Some(value) => self.conversion(make, value, masked),
            },
        };
        steps.extend(self.null(field, made).map(str::to_owned));
        steps
    }

    /// The options that did something, then the conversion itself.
    fn conversion(&self, make: &Make, value: &LegacyValue<'_>, masked: bool) -> Vec<String> {
        let whole = run(make, value, self.context);
        let did = |switch: &Switch| run(&switch.without, value, self.context) != whole;
        let switched: Vec<Switch> = switches(make).into_iter().filter(did).collect();
        let replaced = switched.iter().any(|switch| switch.instead);
        let mut steps: Vec<String> =
            switched.into_iter().map(|switch| switch.words.to_owned()).collect();
        if let (false, Ok(Some(field))) = (replaced, &whole) {
            steps.extend(self.itself(make, value, field, masked));
        }
        if steps.is_empty() && whole.is_ok() {
            steps.push("as it is".to_owned());
        }
        steps
    }

    /// The conversion itself, where there is more to say than the two types do.
    fn itself(
        &self,
        make: &Make,
        value: &LegacyValue<'_>,
        field: &[u8],
        masked: bool,
    ) -> Option<String> {
        let float = matches!(value, LegacyValue::Float(_));
        let shortest = if float { "the shortest decimal form; " } else { "" };
        Some(match make {
            Make::Int2 | Make::Int4 | Make::Int8 => match value {
                LegacyValue::Int(_) => return None,
                _ => "the whole number, exact".to_owned(),
            },
            Make::Numeric(rule) => {
                format!("{shortest}{} digits after the point", rule.scale)
            }
            Make::Money(rule) => {
                format!("{shortest}minor units ({} digits after the point)", rule.scale)
            }
            Make::Text(_) => match value {
                LegacyValue::Text(_) | LegacyValue::BrokenText(_) => return None,
                _ => "written as text".to_owned(),
            },
            Make::Uuid => match value {
                LegacyValue::Guid(_) => return None,
                _ => "the GUID that the text holds".to_owned(),
            },
            Make::Date { .. } => match value {
                LegacyValue::Timestamp(_) => "the day".to_owned(),
                _ => return None,
            },
            Make::Timestamptz { zone, .. } => {
                let zone = zone.as_ref().map(|zone| zone.name());
                instant(zone, value, field)?
            }
            Make::Enum(_) | Make::Flags(_) => "by `values`".to_owned(),
            Make::Lookup(rule) => format!("by the look-up `{}`", rule.name),
            Make::Split(rule) => format!("part {}", rule.part.saturating_add(1)),
            Make::Color => "ARGB as #aarrggbb".to_owned(),
            Make::Seconds => "whole seconds".to_owned(),
            Make::Type(values) => {
                let name = match (value, masked) {
                    (LegacyValue::Int(number), false) => self.context.object_types.get(number),
                    _ => None,
                };
                let name =
                    name.map_or("the type's name".to_owned(), |name| format!("the type {name}"));
                if values.0.is_empty() { name } else { name + ", by `values`" }
            }
            Make::Bool
            | Make::Float8 { .. }
            | Make::Bytea
            | Make::Time { .. }
            | Make::Timestamp { .. }
            | Make::XpoFile { .. }
            | Make::Const { .. }
            | Make::Concat(_)
            | Make::Object(_)
            | Make::Ref(_)
            | Make::DeletedAt => return None,
        })
    }

    fn reference(&self, rule: &RefRule, made: &Made) -> Vec<String> {
        let parent = self.plan.entities.get(usize::from(rule.entity.0));
        let parent = parent.map_or("", |parent| parent.name.as_str());
        let values = || rule.parts.iter().filter_map(|part| self.values.get(part.source));
        let words = match made {
            Made::Id { .. } => format!("the id that this key of `{parent}` has"),
            Made::Field(None) if values().any(LegacyValue::is_null) => {
                "no reference: the key has a NULL".to_owned()
            }
            Made::Field(None) if values().any(|v| matches!(v, LegacyValue::Guid(_))) => {
                "no reference: an empty GUID".to_owned()
            }
            Made::Field(_) => "no reference: the key is blank".to_owned(),
            Made::Unchanged | Made::Rejected { .. } => return Vec::new(),
        };
        vec![words]
    }

    fn deleted_at(&self) -> &'static str {
        match self.kind {
            RowKind::SoftDelete => "when the soft delete was seen (here: now)",
            RowKind::Upsert | RowKind::Delete => "the row is live",
        }
    }

    fn concat(&self, rule: &Concat, made: &Made) -> Vec<String> {
        let blank = |source: &&usize| match self.values.get(**source) {
            Some(LegacyValue::Text(text)) => text.trim_matches(' ').is_empty(),
            value => value.is_none_or(LegacyValue::is_null),
        };
        let blanks = rule.sources.iter().filter(blank).count();
        let words = match (made, rule.blank) {
            (Made::Field(None), Blank::Null) => "a part is blank, so the whole is NULL".to_owned(),
            (Made::Field(None), Blank::Skip) => "all parts are blank".to_owned(),
            (Made::Field(Some(_)), _) if blanks > 0 => {
                format!("put together, without {blanks} blank parts")
            }
            (Made::Field(Some(_)), _) => "put together".to_owned(),
            _ => return Vec::new(),
        };
        vec![words]
    }

    fn file(&self, field: &Field, made: &Made) -> Vec<String> {
        let content = field.source.and_then(|source| self.values.get(source));
        let (Some(LegacyValue::Bytes(content)), Made::Field(Some(made))) = (content, made) else {
            return Vec::new();
        };
        vec![if **content == **made {
            "as it is: it has the length that the length column says".to_owned()
        } else {
            format!("inflated from {} to {} bytes", content.len(), made.len())
        }]
    }

    /// What NULL became.
    fn null(&self, field: &Field, made: &Made) -> Option<&'static str> {
        let value = field.source.and_then(|source| self.values.get(source))?;
        let converted = match &field.make {
            Make::Concat(_) => return None,
            Make::Ref(_)
            | Make::XpoFile { .. }
            | Make::Object(_)
            | Make::Const { .. }
            | Make::DeletedAt => {
                if value.is_null() {
                    Ok(None)
                } else {
                    return None;
                }
            }
            make => match value {
                LegacyValue::Null => Ok(None),
                LegacyValue::Unchanged => return Some("the target keeps what it has"),
                value => run(make, value, self.context),
            },
        };
        if converted != Ok(None) {
            return None;
        }
        match (&field.null, made) {
            (OnNull::Field(_), Made::Field(Some(_))) => Some("the default takes the place of NULL"),
            (OnNull::RejectLive, Made::Field(None)) => {
                Some("a soft-deleted row may have lost its references")
            }
            _ => None,
        }
    }
}

type Ran = Result<Option<Vec<u8>>, &'static str>;

/// Asks a converter.
fn run(make: &Make, value: &LegacyValue<'_>, context: &Context<'_>) -> Ran {
    let mut out = Vec::new();
    match make.convert(value, context, &mut out) {
        Ok(Wrote::Field) => Ok(Some(out)),
        Ok(Wrote::Nothing) => Ok(None),
        Err(fault) => Err(fault.rule),
    }
}

/// The zone and the offset that was taken, as the written instant shows it.
fn instant(zone: Option<&str>, value: &LegacyValue<'_>, field: &[u8]) -> Option<String> {
    let written = i64::from_be_bytes(field.get(4..)?.try_into().ok()?);
    let wall = match value {
        LegacyValue::Timestamp(ticks) => *ticks,
        LegacyValue::TimestampOffset { utc_ticks, offset_minutes } => {
            utc_ticks.checked_add(i64::from(*offset_minutes) * 60 * TICKS_PER_SECOND)?
        }
        _ => return None,
    };
    let utc = written.checked_add(EPOCH_MICROSECONDS)?.checked_mul(TICKS_PER_MICROSECOND)?;
    let seconds = wall.checked_sub(utc)?.div_euclid(TICKS_PER_SECOND);
    let (sign, distance) = if seconds < 0 { ('-', -seconds) } else { ('+', seconds) };
    let (hours, minutes, rest) = (distance / 3600, distance / 60 % 60, distance % 60);
    let rest = if rest == 0 { String::new() } else { format!(":{rest:02}") };
    let offset = format!("{sign}{hours:02}:{minutes:02}{rest}");
    Some(match zone {
        Some(zone) => format!("wall time of {zone}, at {offset}"),
        None => format!("its own offset is {offset}"),
    })
}
