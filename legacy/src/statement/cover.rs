//! Ranges that meet at the same keys cover a table: each key is in exactly one of them. The
//! predicates are evaluated here as SQL Server would, for integer keys.

use proptest::prelude::*;

use super::range::{Side, comparison};

/// Evaluates the comparison of whole keys as generated, for a key and a bound.
fn holds(text: &str, key: &[i64], bound: &[i64]) -> bool {
    let term = |term: &str| {
        let parts: Vec<&str> = term.split(' ').collect();
        let column: usize = parts[0].trim_matches(['[', ']', 'k']).parse().unwrap();
        let value: usize = parts[2].trim_start_matches("@P").parse().unwrap();
        let (left, right) = (key[column], bound[value]);
        match parts[1] {
            ">" => left > right,
            ">=" => left >= right,
            "<" => left < right,
            "<=" => left <= right,
            "=" => left == right,
            other => panic!("{other}"),
        }
    };
    let (seek, alternatives) = match text.split_once(" AND (") {
        Some((seek, rest)) => (seek, rest.strip_suffix(')').unwrap()),
        None => (text, text),
    };
    let alternative =
        |text: &str| text.trim_start_matches('(').trim_end_matches(')').split(" AND ").all(term);
    term(seek) && alternatives.split(" OR ").any(alternative)
}

fn predicate(width: usize, side: Side) -> String {
    let names: Vec<String> = (0..width).map(|index| format!("[k{index}]")).collect();
    let values: Vec<String> = (0..width).map(|index| format!("@P{index}")).collect();
    comparison(&names, &values, side)
}

proptest! {
    #[test]
    fn every_key_is_in_exactly_one_range(
        width in 1_usize..5,
        keys in prop::collection::vec(prop::collection::vec(-2_i64..3, 4), 1..40),
        cuts in prop::collection::btree_set(prop::collection::vec(-2_i64..3, 4), 0..6),
    ) {
        let (after, up_to) = (predicate(width, Side::After), predicate(width, Side::UpTo));
        let mut cuts: Vec<Vec<i64>> = cuts.into_iter().map(|cut| cut[..width].to_vec()).collect();
        cuts.dedup();
        for key in keys {
            let key = &key[..width];
            let ranges = (0..=cuts.len()).filter(|&index| {
                let above = index == 0 || holds(&after, key, &cuts[index - 1]);
                let below = index == cuts.len() || holds(&up_to, key, &cuts[index]);
                above && below
            });
            prop_assert_eq!(ranges.count(), 1, "{:?} {:?}", key, cuts);
        }
    }
}
