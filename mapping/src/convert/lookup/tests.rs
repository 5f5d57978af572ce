use proptest::prelude::*;

use super::*;
use crate::{
    fixture::{Bench, text},
    row::fields,
    value::LegacyValue::{BrokenText, Int, Null},
};

fn row<'a>(
    currency: LegacyValue<'a>,
    country: LegacyValue<'a>,
) -> [(&'static str, LegacyValue<'a>); 4] {
    [("Id", Int(7)), ("FullName", text("a")), ("CurrencyCode", currency), ("CountryNo", country)]
}

#[test]
fn a_key_is_found_as_the_column_compares_it() {
    let mut bench = Bench::new();
    for (code, name) in
        [("MNT", "tugrik"), ("mnt", "tugrik"), ("USD  ", "dollar"), ("Usd", "dollar")]
    {
        assert_eq!(bench.mapped("Branch", &row(text(code), Null)).get("currency"), name, "{code}");
    }
    assert_eq!(bench.mapped("Branch", &row(Null, Null)).get("currency"), "tugrik", "the default");
    assert_eq!(bench.mapped("Branch", &row(Null, Int(643))).get("country"), "RU");
}

#[test]
fn what_is_not_there_is_rejected_or_what_the_file_says() {
    let mut bench = Bench::new();
    let (rule, detail) = bench.rejected("Branch", &row(text("EUR"), Null));
    assert_eq!(rule, "lookup.unknown");
    let told = "`CurrencyCode` = `EUR` is not in the look-up `currencies`; add it there, or say `unknown = \"…\"`";
    assert_eq!(detail, told);
    assert_eq!(bench.rejected("Branch", &row(BrokenText("MNT".into()), Null)).0, "lookup.unknown");
    let long = "x".repeat(300);
    assert_eq!(bench.rejected("Branch", &row(text(&long), Null)).0, "lookup.unknown");
    assert_eq!(bench.mapped("Branch", &row(Null, Int(1))).get("country"), "other");
}

proptest! {
    #[test]
    fn what_is_there_is_found_and_nothing_else(keys in prop::collection::btree_set(-50_i64..50, 0..20), asked in -60_i64..60) {
        let kind = KeyKind::Int;
        let bytes = |key: i64| encoded(kind, &Int(key), |bytes| Box::<[u8]>::from(bytes)).expect("a number");
        let mut texts: Vec<(Box<[u8]>, Box<str>)> =
            keys.iter().rev().map(|key| (bytes(*key), key.to_string().into())).collect();
        texts.sort_unstable();
        let rule = Lookup { kind, texts, unknown: None, name: "l".into() };
        let mut out = Vec::new();
        let found = lookup(&Int(asked), &rule, &mut out).map_err(|fault| fault.rule);
        if keys.contains(&asked) {
            let shown = asked.to_string();
            prop_assert!(found.is_ok());
            prop_assert_eq!(fields(&out).next().flatten(), Some(shown.as_bytes()));
        } else {
            prop_assert_eq!(found, Err("lookup.unknown"));
            prop_assert!(out.is_empty());
        }
    }
}
