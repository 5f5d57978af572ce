mod server;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::value::Decimal;

fn key(kinds: &[KeyKind], values: &[LegacyValue<'_>]) -> CanonicalKey {
    let parts: Vec<KeyPart> =
        kinds.iter().enumerate().map(|(source, kind)| KeyPart { source, kind: *kind }).collect();
    canonical(&parts, values).expect("a key")
}

fn text(text: &str) -> LegacyValue<'_> {
    LegacyValue::Text(text.into())
}

fn same(collation: &str, left: &str, right: &str) -> bool {
    let kind = [KeyKind::Text(Fold::of(collation))];
    key(&kind, &[text(left)]) == key(&kind, &[text(right)])
}

#[test]
fn text_is_compared_as_its_collation_does() {
    for (collation, left, right, equal) in [
        ("SQL_Latin1_General_CP1_CI_AS", "abc", "ABC  ", true),
        ("Cyrillic_General_CI_AS", "өргөө", "ӨРГӨӨ", true),
        ("Cyrillic_General_CI_AS", "үйлдвэр", "ҮЙЛДВЭР", true),
        ("Cyrillic_General_CS_AS", "abc", "ABC", false),
        ("Cyrillic_General_CS_AS", "abc", "abc ", true),
        ("Latin1_General_BIN2", "abc", "ABC", false),
        ("Latin1_General_100_BIN2_UTF8", "abc", "abc ", true),
        ("Latin1_General_CI_AS", " abc", "abc", false),
        ("Latin1_General_CI_AS", "abc\t", "abc", false),
        ("Latin1_General_CI_AS", "", "   ", true),
        ("Latin1_General_CI_AS", "ß", "SS", false),
        ("Latin1_General_CI_AS", "ı", "i", false),
        ("Latin1_General_CI_AS", "ſ", "s", false),
        ("Latin1_General_CI_AS", "\u{212a}", "k", false),
        ("Latin1_General_CI_AS", "é", "e", false),
        ("Latin1_General_CI_AS", "é", "É", true),
        ("Turkish_CI_AS", "i", "I", false),
        ("Turkish_CI_AS", "ı", "I", true),
        ("Turkish_CI_AS", "i", "İ", true),
    ] {
        assert_eq!(same(collation, left, right), equal, "{collation}: {left:?} {right:?}");
    }
}

#[test]
fn numbers_and_guids_have_one_form() {
    let decimal = |unscaled, scale| LegacyValue::Decimal(Decimal { unscaled, scale });
    let one = key(&[KeyKind::Decimal], &[decimal(1500, 3)]);
    assert_eq!(one, key(&[KeyKind::Decimal], &[decimal(15, 1)]));
    assert_eq!(one.to_string(), "1.5");
    assert_eq!(
        key(&[KeyKind::Int], &[decimal(1700, 2)]),
        key(&[KeyKind::Int], &[LegacyValue::Int(17)])
    );
    let shown = key(
        &[KeyKind::Guid, KeyKind::Int],
        &[LegacyValue::Guid(Uuid::max()), LegacyValue::Int(-3)],
    );
    assert_eq!(shown.to_string(), "ffffffff-ffff-ffff-ffff-ffffffffffff/-3");
    assert_eq!(
        key(&[KeyKind::Float], &[LegacyValue::Float(0.0)]),
        key(&[KeyKind::Float], &[LegacyValue::Float(-0.0)])
    );
}

#[test]
fn there_is_no_key_without_all_its_parts() {
    let parts = [KeyPart { source: 0, kind: KeyKind::Int }];
    for (value, rule) in [
        (LegacyValue::Null, "key.null"),
        (LegacyValue::Unchanged, "key.missing"),
        (text("1"), "key.type"),
    ] {
        assert_eq!(canonical(&parts, &[value]).expect_err("no key").rule, rule);
    }
    assert_eq!(canonical(&parts, &[]).expect_err("no key").rule, "key.missing");
    let long = "x".repeat(70_000);
    let parts = [KeyPart { source: 0, kind: KeyKind::Text(Fold::Case) }];
    assert_eq!(canonical(&parts, &[text(&long)]).expect_err("no key").rule, "key.long");
    let fits = "x".repeat(300);
    assert_eq!(canonical(&parts, &[text(&fits)]).expect("a key").to_string(), "X".repeat(300));
}

#[test]
fn stored_bytes_that_are_no_key_have_no_parts() {
    for bytes in [&[0_u8][..], &[2, 0], &[5, 0, 9, b'a'], &[5, 0, 1, 0xff], &[99]] {
        assert!(CanonicalKey::from_bytes(bytes).parts().is_empty(), "{bytes:?}");
    }
}

fn part() -> impl Strategy<Value = (KeyKind, LegacyValue<'static>)> {
    let texts = prop_oneof![any::<String>(), "[aAbB ]{0,4}", "[өӨүҮ/ ]{0,3}"];
    prop_oneof![
        (texts, prop_oneof![Just(Fold::Case), Just(Fold::Exact), Just(Fold::TurkicCase)])
            .prop_map(|(s, fold)| (KeyKind::Text(fold), LegacyValue::Text(s.into()))),
        any::<i64>().prop_map(|n| (KeyKind::Int, LegacyValue::Int(n))),
        (any::<i128>(), 0_u8..=38).prop_map(|(unscaled, scale)| {
            (KeyKind::Decimal, LegacyValue::Decimal(Decimal { unscaled, scale }))
        }),
        any::<u128>().prop_map(|n| (KeyKind::Guid, LegacyValue::Guid(Uuid::from_u128(n)))),
        any::<i32>().prop_map(|n| (KeyKind::Date, LegacyValue::Date(n))),
        any::<i64>().prop_map(|n| (KeyKind::Timestamp, LegacyValue::Timestamp(n))),
        any::<Vec<u8>>().prop_map(|b| (KeyKind::Bytes, LegacyValue::Bytes(b.into()))),
        any::<bool>().prop_map(|b| (KeyKind::Bool, LegacyValue::Bool(b))),
    ]
}

proptest! {
    #[test]
    fn canonicalisation_is_idempotent(parts in prop::collection::vec(part(), 1..4)) {
        let (kinds, values): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let once = key(&kinds, &values);
        let again = once.parts();
        prop_assert_eq!(again.len(), kinds.len());
        prop_assert_eq!(key(&kinds, &again), once.clone());
        prop_assert_eq!(CanonicalKey::from_bytes(once.as_bytes()), once);
    }

    #[test]
    fn different_keys_never_collide(left in prop::collection::vec(part(), 1..3), right in prop::collection::vec(part(), 1..3)) {
        let (kinds, values): (Vec<_>, Vec<_>) = left.into_iter().unzip();
        let (other_kinds, other_values): (Vec<_>, Vec<_>) = right.into_iter().unzip();
        let (left, right) = (key(&kinds, &values), key(&other_kinds, &other_values));
        prop_assert_eq!(left == right, left.parts() == right.parts());
    }

    #[test]
    fn byte_order_is_number_order(left: i64, right: i64) {
        let of = |n| key(&[KeyKind::Int], &[LegacyValue::Int(n)]);
        prop_assert_eq!(left.cmp(&right), of(left).cmp(&of(right)));
    }
}

#[test]
fn a_fold_joins_only_letters_that_are_each_others_case() {
    let fold = |letter: char| {
        let mut folded = Vec::new();
        Fold::Case.append(letter.encode_utf8(&mut [0; 4]), |bytes| folded.extend_from_slice(bytes));
        String::from_utf8(folded).expect("text")
    };
    let mut pairs = std::collections::BTreeMap::<String, Vec<char>>::new();
    for letter in '\0'..=char::MAX {
        let folded = fold(letter);
        assert_eq!(fold(folded.chars().next().expect("a letter")), folded, "idempotent");
        if folded != letter.to_string() {
            assert_eq!(folded.to_lowercase(), letter.to_string(), "each other's case");
            pairs.entry(folded).or_default().push(letter);
        }
    }
    assert!(pairs.values().all(|letters| letters.len() == 1), "never more than a pair");
    assert!(pairs.len() > 500, "Latin, Greek, Cyrillic and Armenian");
}
