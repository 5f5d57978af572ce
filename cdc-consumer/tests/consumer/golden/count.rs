//! How much of each set was looked at, and by which rule.

use std::collections::{BTreeMap, BTreeSet};

use super::rule::Rule;

/// What was met in a set.
#[derive(Debug, Default)]
pub(super) struct Met {
    pub(super) lines: usize,
    pub(super) kinds: BTreeMap<String, usize>,
    pub(super) rules: BTreeMap<Rule, usize>,
    /// Values that came out the same from the inline schema alone.
    pub(super) by_schema: usize,
    pub(super) combinations: BTreeSet<String>,
}

impl Met {
    pub(super) fn note(&mut self, rule: Rule) {
        *self.rules.entry(rule).or_default() += 1;
    }
}

/// What must be met in a set.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) name: &'static str,
    pub(super) lines: usize,
    pub(super) by_schema: usize,
    pub(super) rules: &'static [(Rule, usize)],
}

pub(super) fn check(set: &Set, met: &Met) {
    assert_eq!(met.lines, set.lines, "{}: {:?}", set.name, met.kinds);
    let rules: Vec<(Rule, usize)> = met.rules.iter().map(|(rule, count)| (*rule, *count)).collect();
    assert_eq!(rules, set.rules, "{}", set.name);
    assert_eq!(met.by_schema, set.by_schema, "{}", set.name);
}

pub(super) const SETS: &[Set] = &[
    Set {
        name: "all_types.noschemas",
        lines: 64,
        by_schema: 0,
        rules: &[
            (Rule::AsStored, 2847),
            (Rule::LargeValueUnknown, 160),
            (Rule::BeyondNanoseconds, 10),
            (Rule::OffsetSecondLate, 16),
            (Rule::OffsetJulian, 12),
            (Rule::TenDaysLate, 12),
            (Rule::TimeCut, 55),
            (Rule::DoubleInexact, 24),
        ],
    },
    Set {
        name: "all_types.schemas",
        lines: 64,
        by_schema: 1776,
        rules: &[
            (Rule::AsStored, 2847),
            (Rule::LargeValueUnknown, 160),
            (Rule::BeyondNanoseconds, 10),
            (Rule::OffsetSecondLate, 16),
            (Rule::OffsetJulian, 12),
            (Rule::TenDaysLate, 12),
            (Rule::TimeCut, 55),
            (Rule::DoubleInexact, 24),
        ],
    },
    Set { name: "contract.noschemas", lines: 5, by_schema: 0, rules: &[(Rule::AsStored, 95)] },
    Set { name: "contract.schemas", lines: 5, by_schema: 52, rules: &[(Rule::AsStored, 95)] },
    Set {
        name: "dbz_it.schemas",
        lines: 10,
        by_schema: 52,
        rules: &[(Rule::AsStored, 69), (Rule::TimeCut, 1)],
    },
    Set {
        name: "excerpt.schemas",
        lines: 11,
        by_schema: 145,
        rules: &[(Rule::AsStored, 220), (Rule::TimeCut, 5), (Rule::DoubleInexact, 2)],
    },
    Set {
        name: "failing.noschemas",
        lines: 15,
        by_schema: 0,
        rules: &[(Rule::AsStored, 69), (Rule::BeyondNanoseconds, 1), (Rule::TimeCut, 2)],
    },
    Set {
        name: "failing.schemas",
        lines: 15,
        by_schema: 60,
        rules: &[(Rule::AsStored, 69), (Rule::BeyondNanoseconds, 1), (Rule::TimeCut, 2)],
    },
    Set { name: "incremental.noschemas", lines: 14, by_schema: 0, rules: &[(Rule::AsStored, 49)] },
    Set { name: "incremental.schemas", lines: 14, by_schema: 35, rules: &[(Rule::AsStored, 49)] },
    Set {
        name: "lob.noschemas",
        lines: 28,
        by_schema: 0,
        rules: &[(Rule::AsStored, 312), (Rule::LargeValueUnknown, 156)],
    },
    Set {
        name: "lob.schemas",
        lines: 28,
        by_schema: 166,
        rules: &[(Rule::AsStored, 312), (Rule::LargeValueUnknown, 156)],
    },
    Set {
        name: "scenario.noschemas",
        lines: 410,
        by_schema: 0,
        rules: &[
            (Rule::AsStored, 1913),
            (Rule::NullAsDefault, 288),
            (Rule::Hashed, 11),
            (Rule::TextCut, 1),
            (Rule::LeftOut, 11),
        ],
    },
    Set {
        name: "scenario.schemas",
        lines: 410,
        by_schema: 1012,
        rules: &[
            (Rule::AsStored, 1913),
            (Rule::NullAsDefault, 288),
            (Rule::Hashed, 11),
            (Rule::TextCut, 1),
            (Rule::LeftOut, 11),
        ],
    },
    Set {
        name: "surrogate.noschemas",
        lines: 2,
        by_schema: 0,
        rules: &[(Rule::AsStored, 4), (Rule::LoneSurrogate, 2)],
    },
    Set {
        name: "surrogate.schemas",
        lines: 2,
        by_schema: 4,
        rules: &[(Rule::AsStored, 4), (Rule::LoneSurrogate, 2)],
    },
    Set {
        name: "tz.UTC",
        lines: 220,
        by_schema: 0,
        rules: &[(Rule::AsStored, 1865), (Rule::OffsetSecondLate, 60), (Rule::TimeCut, 55)],
    },
];
