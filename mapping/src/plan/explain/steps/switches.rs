//! The options of a converter, each switched off.

use crate::{
    convert::{EnumValues, Flags, Lookup, Make, NumberRule, Sentinels, Split, TextRule, Trim},
    decimal::Round,
    zone::{Gap, Overlap},
};

/// An option of a converter.
pub(super) struct Switch {
    /// The converter without it.
    pub(super) without: Make,
    pub(super) words: &'static str,
    /// Whether it takes the place of the conversion, instead of coming before it.
    pub(super) instead: bool,
}

impl Switch {
    fn before(without: Make, words: &'static str) -> Self {
        Self { without, words, instead: false }
    }

    fn instead(without: Make, words: &'static str) -> Self {
        Self { without, words, instead: true }
    }
}

/// The options that a column has, in the order in which they act.
pub(super) fn switches(make: &Make) -> Vec<Switch> {
    match make {
        Make::Numeric(rule) => number(rule, Make::Numeric),
        Make::Money(rule) => number(rule, Make::Money),
        Make::Float8 { single: true } => {
            vec![Switch::before(Make::Float8 { single: false }, "the number that a real holds")]
        }
        Make::Text(rule) => text(*rule, Make::Text),
        Make::Split(rule) => split(rule),
        Make::Date { drop_time, sentinels } => {
            let date = |drop_time, sentinels: &Sentinels| Make::Date {
                drop_time,
                sentinels: sentinels.clone(),
            };
            vec![
                Switch::instead(date(*drop_time, &Sentinels::default()), SENTINEL),
                Switch::before(date(false, sentinels), "the time of day is dropped"),
            ]
        }
        Make::Time { .. } => vec![Switch::before(Make::Time { truncate: false }, CUT)],
        Make::Timestamp { truncate, sentinels } => vec![
            Switch::instead(
                Make::Timestamp { truncate: *truncate, sentinels: Sentinels::default() },
                SENTINEL,
            ),
            Switch::before(Make::Timestamp { truncate: false, sentinels: sentinels.clone() }, CUT),
        ],
        Make::Timestamptz { .. } => timestamptz(make),
        Make::Enum(values) => {
            let known = EnumValues { unknown: None, ..values.clone() };
            vec![Switch::instead(Make::Enum(known), "not among `values`: by `unknown`")]
        }
        Make::Lookup(rule) => {
            let known = Lookup { unknown: None, ..(**rule).clone() };
            let without = Make::Lookup(Box::new(known));
            vec![Switch::instead(without, "not in the look-up: by `unknown`")]
        }
        Make::Flags(rule) => {
            let with = |rule| Make::Flags(Box::new(rule));
            vec![
                Switch::before(
                    with(Flags { ignored: 0, ..(**rule).clone() }),
                    "bits dropped by `ignore`",
                ),
                Switch::before(
                    with(Flags { unknown: None, ..(**rule).clone() }),
                    "bits that nobody named: by `unknown`",
                ),
            ]
        }
        Make::Type(_)
        | Make::Concat(_)
        | Make::Object(_)
        | Make::Float8 { single: false }
        | Make::Bool
        | Make::Int2
        | Make::Int4
        | Make::Int8
        | Make::Bytea
        | Make::Uuid
        | Make::Color
        | Make::Seconds
        | Make::XpoFile { .. }
        | Make::Const { .. }
        | Make::Ref(_)
        | Make::DeletedAt => Vec::new(),
    }
}

const SENTINEL: &str = "a sentinel";
const CUT: &str = "the seventh digit is cut";

fn number(rule: &NumberRule, make: fn(NumberRule) -> Make) -> Vec<Switch> {
    let round = match rule.round {
        Round::Never => "",
        Round::HalfEven => "rounded half to even",
        Round::HalfUp => "rounded half up",
    };
    vec![
        Switch::before(make(NumberRule { single: false, ..*rule }), "the number that a real holds"),
        Switch::before(make(NumberRule { round: Round::Never, ..*rule }), round),
    ]
}

fn split(rule: &Split) -> Vec<Switch> {
    let cleaned = |clean| Make::Split(Box::new(Split { clean, ..rule.clone() }));
    let strict = Make::Split(Box::new(Split { absent_is_null: false, ..rule.clone() }));
    let mut switches = text(rule.clean, cleaned);
    switches.push(Switch::instead(strict, "a part that is not there means NULL"));
    switches
}

/// How a text is cleaned, whatever is made of it.
fn text(rule: TextRule, make: impl Fn(TextRule) -> Make) -> Vec<Switch> {
    let trimmed = match rule.trim {
        Trim::None => "",
        Trim::End => "blanks cut at the end",
        Trim::Both => "blanks cut at both ends",
    };
    vec![
        Switch::before(
            make(TextRule { replace_surrogates: false, ..rule }),
            "half a surrogate pair replaced by U+FFFD",
        ),
        Switch::before(make(TextRule { strip_nul: false, ..rule }), "U+0000 removed"),
        Switch::before(make(TextRule { trim: Trim::None, ..rule }), trimmed),
        Switch::before(make(TextRule { empty_is_null: false, ..rule }), "an empty text means NULL"),
    ]
}

fn timestamptz(make: &Make) -> Vec<Switch> {
    let Make::Timestamptz { zone, gap, overlap, truncate, sentinels } = make else {
        return Vec::new();
    };
    let with = |gap, overlap, truncate, sentinels: &Sentinels| Make::Timestamptz {
        zone: zone.clone(),
        gap,
        overlap,
        truncate,
        sentinels: sentinels.clone(),
    };
    let twice = match overlap {
        Overlap::Standard => "an hour that was twice: the one in standard time",
        Overlap::Daylight => "an hour that was twice: the one in summer time",
        Overlap::Reject => "",
    };
    vec![
        Switch::instead(with(*gap, *overlap, *truncate, &Sentinels::default()), SENTINEL),
        Switch::before(
            with(Gap::Reject, *overlap, *truncate, sentinels),
            "an hour that summer time skipped: the time after the jump",
        ),
        Switch::before(with(*gap, Overlap::Reject, *truncate, sentinels), twice),
        Switch::before(with(*gap, *overlap, false, sentinels), CUT),
    ]
}
