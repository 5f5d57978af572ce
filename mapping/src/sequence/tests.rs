use proptest::prelude::*;

use super::*;
use crate::{
    fixture::{MAPPING, catalog, file},
    plan::Plan,
};

/// The fixture's mapping, with the invoices' numbers.
fn mapping() -> String {
    let without = MAPPING.replace("InvoiceNo = \"not in the test\"\n", "");
    let paid = "paid_total = {";
    assert!(without.len() < MAPPING.len() && without.contains(paid));
    without
        .replace(paid, &format!("invoice_no = {{ from = \"InvoiceNo\", as = \"text\" }}\n{paid}"))
}

fn plan(sequence: &str) -> Result<Plan, Vec<(String, String)>> {
    let text = format!("{}\n[[sequence]]\n{sequence}", mapping());
    let told = |m: crate::file::Mistake| (m.message, m.help);
    Plan::compile(&[file(&text)], &catalog()).map_err(|all| all.into_iter().map(told).collect())
}

fn sequence(text: &str) -> SequencePlan {
    plan(text).unwrap_or_else(|mistakes| panic!("{mistakes:#?}")).sequences.remove(0)
}

#[test]
fn a_number_is_read_as_the_file_says() {
    let sequence = sequence(
        r#"name = "invoice_no_seq"
from = "invoices.invoice_no"
pattern = ['INV-\d{4}/(\d+)', '№\s*(\d+)']
except = "DRAFT.*|cancelled""#,
    );
    let check = |text: &str, expect: Reading| assert_eq!(sequence.read(text), expect, "{text}");
    check("INV-2024/00017", Reading::Number(17));
    check("  INV-2024/00018  ", Reading::Number(18));
    check("№ 900", Reading::Number(900));
    check("DRAFT 3", Reading::Without);
    check("", Reading::Without);
    check("INV-2024/", Reading::Unread);
    check("xINV-2024/1", Reading::Unread);
    check("INV-2024/1a", Reading::Unread);
    check("INV-2024/99999999999999999999", Reading::Unread);
    check("DRAF", Reading::Unread);
    assert_eq!((sequence.schema.as_str(), sequence.name.as_str()), ("public", "invoice_no_seq"));
    assert_eq!(sequence.domain, "test");
    assert_eq!(
        sequence.definition(),
        "from invoices.invoice_no\npattern ^(?:INV-\\d{4}/(\\d+))$\npattern ^(?:№\\s*(\\d+))$\n\
         except ^(?:DRAFT.*|cancelled)$"
    );
}

#[test]
fn the_new_side_begins_above_everything() {
    let with =
        |rest: &str| sequence(&format!("name = \"s\"\nfrom = [\"invoices.invoice_no\"]\n{rest}"));
    let plain = with("");
    assert_eq!(plain.read("0042"), Reading::Number(42));
    assert_eq!(plain.next_after(None), Some(1));
    assert_eq!(plain.next_after(Some(41)), Some(42));
    assert_eq!(plain.next_after(Some(-5)), Some(1));
    assert_eq!(plain.next_after(Some(i64::MAX)), None);
    let above = with("above = 500");
    assert_eq!(above.next_after(Some(41)), Some(501));
    assert_eq!(above.next_after(Some(900)), Some(901));
    let step = with("step = 1000");
    assert_eq!(step.next_after(Some(41)), Some(1000));
    assert_eq!(step.next_after(Some(999)), Some(1000));
    assert_eq!(step.next_after(Some(1000)), Some(2000));
    assert_eq!(step.next_after(Some(i64::MAX - 1)), None);
}

#[test]
fn mistakes_of_a_sequence_are_told() {
    let check = |text: &str, expect: &str| {
        let mistakes = plan(text).expect_err(text);
        let told: Vec<&str> = mistakes.iter().map(|(message, _)| message.as_str()).collect();
        assert_eq!(told, [expect], "{text}");
    };
    check("from = \"invoices.invoice_no\"", "a sequence has no name");
    check("name = \"s\"", "sequence `s` does not say which column has its numbers");
    check("name = \"S-1\"\nfrom = \"invoices.invoice_no\"", "`S-1` is no name of a sequence");
    check("name = \"s\"\nfrom = \"invoice.invoice_no\"", "there is no entity `invoice`");
    check("name = \"s\"\nfrom = \"invoices.no\"", "`invoices` has no column `no`");
    check(
        "name = \"s\"\nfrom = \"invoices.period_month\"",
        "`invoices.period_month` holds no document numbers",
    );
    check(
        "name = \"s\"\nfrom = \"invoices.invoice_no\"\npattern = 'INV-\\d+'",
        "the pattern `INV-\\d+` has 0 groups",
    );
    check(
        "name = \"s\"\nfrom = \"invoices.invoice_no\"\nabove = -1",
        "`above` is no whole number from 0",
    );
    check(
        "name = \"s\"\nfrom = \"contract_items.line_no\"\npattern = '(\\d+)'",
        "`contract_items.line_no` is a number, and needs no pattern",
    );
    check(
        "name = \"s\"\nfrom = \"invoices.invoice_no\"\nprefix = \"INV-\"",
        "sequence `s` has no key `prefix`",
    );
    let broken = plan("name = \"s\"\nfrom = \"invoices.invoice_no\"\npattern = '(\\d+'");
    let broken = &broken.expect_err("broken")[0].0;
    assert!(broken.starts_with("`(\\d+` is no regular expression: "), "{broken}");
    // A bracket that only fits the one that is put around it.
    assert!(
        plan("name = \"s\"\nfrom = \"invoices.invoice_no\"\npattern = '(\\d+))|(?:x'").is_err()
    );
}

#[test]
fn trap_21_the_number_of_a_deleted_or_refused_row_is_forgotten() {
    use crate::{
        fixture::text,
        plan::SourceOp,
        value::LegacyValue::{Float, Int, Null, Unchanged},
    };
    let mut bench = crate::fixture::Bench::new();
    bench.plan = plan("name = \"s\"\nfrom = \"invoices.invoice_no\"\npattern = 'INV-(\\d+)'")
        .expect("a plan");
    let highest = |bench: &crate::fixture::Bench| {
        let mut all = bench.batches.numbers.highest();
        all.next().map(|(_, highest)| (highest.number, highest.key.to_string()))
    };
    let row = |oid, number: &'static str| [("OID", Int(oid)), ("InvoiceNo", text(number))];
    bench.mapped("Invoice", &row(1, "INV-3"));
    assert_eq!(highest(&bench), Some((3, "1".into())));
    // A purge, with the last image.
    bench.map_op(SourceOp::Delete, "Invoice", &row(2, "INV-9"), &Unchanged);
    assert_eq!(highest(&bench), Some((9, "2".into())));
    // A row that goes to quarantine for another column.
    let mut bad = row(3, "INV-12").to_vec();
    bad.push(("PaidTotal", Float(0.1 + 0.2)));
    bench.rejected("Invoice", &bad);
    assert_eq!(highest(&bench), Some((12, "3".into())));
    // Nothing, and what nobody can read.
    bench.mapped("Invoice", &[("OID", Int(4)), ("InvoiceNo", Null)]);
    bench.map_op(SourceOp::Delete, "Invoice", &[("OID", Int(5))], &Unchanged);
    assert!(bench.batches.numbers.unread.is_empty());
    bench.mapped("Invoice", &row(6, "2009-17"));
    let unread = &bench.batches.numbers.unread;
    assert_eq!(unread.len(), 1);
    assert_eq!((unread[0].sequence, unread[0].key.to_string()), (0, "6".into()));
    assert_eq!(highest(&bench), Some((12, "3".into())));
}

#[test]
fn trap_21_a_soft_deleted_row_that_is_not_mapped_has_given_its_number() {
    use crate::{fixture::text, row::RowKind, value::LegacyValue::Int};
    let deletes = mapping().replace("\"deleted_at\"", "\"delete\"");
    let sequence = "name = \"s\"\nfrom = \"invoices.invoice_no\"\npattern = 'INV-(\\d+)'";
    let text_of = format!("{deletes}\n[[sequence]]\n{sequence}");
    let mut bench = crate::fixture::Bench::new();
    bench.plan = Plan::compile(&[file(&text_of)], &catalog()).expect("a plan");
    let gone = [("OID", Int(1)), ("InvoiceNo", text("INV-8")), ("GCRecord", Int(5))];
    assert_eq!(bench.mapped("Invoice", &gone).row.kind, RowKind::Delete);
    let highest: Vec<i64> = bench.batches.numbers.highest().map(|(_, one)| one.number).collect();
    assert_eq!(highest, [8]);
}

proptest! {
    #[test]
    fn the_next_number_is_above_and_on_the_step(highest: Option<i64>, above in 0..i64::MAX, step in 1..i64::MAX) {
        let mut sequence = sequence("name = \"s\"\nfrom = \"invoices.invoice_no\"");
        (sequence.above, sequence.step) = (above, step);
        if let Some(next) = sequence.next_after(highest) {
            prop_assert!(next > above && highest.is_none_or(|highest| next > highest));
            prop_assert_eq!(next % step, 0);
        }
    }

    #[test]
    fn any_text_is_one_of_the_three(text: String) {
        let sequence = sequence("name = \"s\"\nfrom = \"invoices.invoice_no\"");
        let digits = text.trim_matches(' ');
        let number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
        match sequence.read(&text) {
            Reading::Number(read) => prop_assert_eq!(Some(read), number),
            Reading::Without => prop_assert!(digits.is_empty()),
            Reading::Unread => prop_assert!(number.is_none()),
        }
    }
}
