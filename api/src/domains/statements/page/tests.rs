use super::*;
use crate::money::MinorUnits;

fn line(n: u32, amount: i64, currency: &str) -> Line {
    Line {
        date: format!("2026-02-{:02}", n % 28 + 1),
        number: format!("НХ-{n}"),
        what: "УБ/2024-17".to_owned(),
        currency: currency.to_owned(),
        amount: MinorUnits::new(amount),
    }
}

fn statement(lines: u32) -> Statement {
    Statement {
        recipient: Recipient::Tenant,
        name: "Өлзийбаяр Үйлдвэрлэл ХХК ₮ №1 «Ганган»".to_owned(),
        register_no: "УБ12345678".to_owned(),
        month: "2026-02-01".parse().expect("a day"),
        invoices: (0..lines).map(|n| line(n, 150_000_001, "MNT")).collect(),
        payments: vec![Line { what: "qpay".to_owned(), ..line(1, 5, "USD") }],
    }
}

fn texts(pages: &[Vec<Item>]) -> Vec<&str> {
    let text = |item: &'_ Item| match item {
        Item::Text { .. } => true,
        Item::Rule { .. } => false,
    };
    let items = pages.iter().flatten().filter(|item| text(item));
    items
        .map(|item| match item {
            Item::Text { text, .. } => text.as_str(),
            Item::Rule { .. } => "",
        })
        .collect()
}

#[test]
fn totals_are_sums_of_integers_by_currency() {
    let fonts = Fonts::embedded().expect("the fonts");
    let mut mixed = statement(3);
    mixed.invoices.push(line(9, -250, "USD"));
    mixed.invoices.push(line(9, i64::MAX, "EUR"));
    mixed.invoices.push(line(9, i64::MAX, "EUR"));
    let pages = layout(&mixed, &fonts);
    let texts = texts(&pages);
    for told in [
        "1,500,000.01 MNT",
        "4,500,000.03 MNT",
        "-2.50 USD",
        "0.05 USD",
        "184,467,440,737,095,516.14 EUR",
        "2026 оны 02 дугаар сар",
        "Түрээслэгч",
        "QPay",
        "Хуудас 1 / 1",
    ] {
        assert!(texts.contains(&told), "{told}: {texts:?}");
    }
    let empty = Statement { invoices: vec![], payments: vec![], ..statement(0) };
    assert!(self::texts(&layout(&empty, &fonts)).contains(&"0.00 MNT"));
}

#[test]
fn long_statements_have_pages_and_nothing_stands_outside_of_them() {
    let fonts = Fonts::embedded().expect("the fonts");
    let mut long = statement(500);
    long.name = "Маш урт нэртэй ".repeat(40);
    let pages = layout(&long, &fonts);
    assert!(pages.len() > 10, "{}", pages.len());
    let last = format!("Хуудас {0} / {0}", pages.len());
    assert!(texts(&pages).contains(&last.as_str()));
    for item in pages.iter().flatten() {
        if let Item::Text { x, y, size, weight, text } = item {
            let end = x + fonts.face(*weight).width(text, *size);
            assert!(
                *x >= LEFT && end <= RIGHT + 0.1 && *y < HEIGHT - 30.0,
                "{item:?} ends at {end}"
            );
        }
    }
    assert_eq!(texts(&pages).iter().filter(|text| text.starts_with("НХ-")).count(), 501);
}

/// Cyrillic with the letters that only Mongolian has, the tugrik, and what names are quoted with.
#[test]
fn the_fonts_have_every_letter_of_mongolian() {
    let letters = "АБВГДЕЁЖЗИЙКЛМНОӨПРСТУҮФХЦЧШЩЪЫЬЭЮЯабвгдеёжзийклмноөпрстуүфхцчшщъыьэюя\
                   ₮«»№“”„–—…0123456789ABCXYZabcxyz.,:;()/&%+-'\"";
    for bytes in [REGULAR, BOLD] {
        let font = FontRef::new(bytes).expect("a font");
        for letter in letters.chars() {
            assert!(font.charmap().map(letter).is_some(), "no {letter}");
        }
    }
}

#[test]
fn the_pdf_can_be_searched_and_is_the_same_every_time() {
    let fonts = Fonts::embedded().expect("the fonts");
    let pdf = render(&statement(40), &fonts).expect("a PDF");
    assert!(pdf.starts_with(b"%PDF-") && pdf.len() < 100_000, "{} bytes", pdf.len());
    assert_eq!(pdf, render(&statement(40), &fonts).expect("a PDF"));
    assert_ne!(pdf, render(&statement(41), &fonts).expect("a PDF"));
    if let Some(path) = std::env::var_os("FICUS_TEST_PDF") {
        std::fs::write(path, &pdf).expect("written");
    }
}
