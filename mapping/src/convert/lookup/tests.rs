use crate::{
    fixture::{Bench, text},
    value::LegacyValue::{BrokenText, Int, Null},
};

fn row<'a>(
    currency: crate::value::LegacyValue<'a>,
    country: crate::value::LegacyValue<'a>,
) -> [(&'static str, crate::value::LegacyValue<'a>); 4] {
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
