//! From a statement to its PDF: first where every text stands (pure), then the drawing.
//!
//! The same statement is the same file, byte for byte, so that one that is rendered again is the
//! same object. The fonts are embedded: a statement looks the same wherever it is made.

use std::collections::BTreeMap;

use krilla::{
    Document,
    geom::{PathBuilder, Point, Rect},
    page::PageSettings,
    text::{Font, TextDirection},
};
use skrifa::{FontRef, MetadataProvider as _, instance::LocationRef, prelude::Size};

use super::{Line, Recipient, Statement};
use crate::Error;

const REGULAR: &[u8] = include_bytes!("../../../fonts/DejaVuSans.ttf");
const BOLD: &[u8] = include_bytes!("../../../fonts/DejaVuSans-Bold.ttf");

/// A4, in points.
const WIDTH: f32 = 595.0;
const HEIGHT: f32 = 842.0;
const LEFT: f32 = 50.0;
const RIGHT: f32 = WIDTH - 50.0;
const TOP: f32 = 70.0;
const BOTTOM: f32 = HEIGHT - 70.0;
/// Where the columns of a table begin; amounts end at the right margin.
const COLUMNS: [f32; 3] = [LEFT, 130.0, 290.0];
const WHAT_END: f32 = 410.0;
const SIZE: f32 = 9.0;
const ROW: f32 = 15.0;

/// Both weights.
#[derive(Clone)]
pub(super) struct Fonts {
    regular: Face,
    bold: Face,
}

#[derive(Clone)]
struct Face {
    font: Font,
    bytes: &'static [u8],
}

impl Fonts {
    /// Those of this program.
    pub(super) fn embedded() -> Result<Self, Error> {
        Ok(Self { regular: Face::of(REGULAR)?, bold: Face::of(BOLD)? })
    }

    fn face(&self, weight: Weight) -> &Face {
        match weight {
            Weight::Regular => &self.regular,
            Weight::Bold => &self.bold,
        }
    }
}

impl Face {
    fn of(bytes: &'static [u8]) -> Result<Self, Error> {
        let font = Font::new(bytes.into(), 0);
        let font =
            font.ok_or_else(|| Error::Internal("the embedded font is no font".to_owned()))?;
        Ok(Self { font, bytes })
    }

    /// How wide a text is in points.
    fn width(&self, text: &str, size: f32) -> f32 {
        let Ok(font) = FontRef::new(self.bytes) else { return 0.0 };
        let metrics = font.glyph_metrics(Size::new(size), LocationRef::default());
        let map = font.charmap();
        text.chars()
            .map(|c| metrics.advance_width(map.map(c).unwrap_or_default()).unwrap_or_default())
            .sum()
    }

    /// As much of a text as fits, with an ellipsis where it does not.
    fn fitted(&self, text: &str, size: f32, width: f32) -> String {
        if self.width(text, size) <= width {
            return text.to_owned();
        }
        let mut short = text.to_owned();
        while short.pop().is_some() {
            let told = format!("{}…", short.trim_end());
            if self.width(&told, size) <= width {
                return told;
            }
        }
        String::new()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    Regular,
    Bold,
}

#[derive(Debug, Clone, PartialEq)]
enum Item {
    Text { x: f32, y: f32, size: f32, weight: Weight, text: String },
    Rule { y: f32 },
}

/// The PDF.
pub(super) fn render(statement: &Statement, fonts: &Fonts) -> Result<Vec<u8>, String> {
    let mut document = Document::new();
    for items in layout(statement, fonts) {
        let settings = PageSettings::from_wh(WIDTH, HEIGHT).ok_or("a page has no size")?;
        let mut page = document.start_page_with(settings);
        let mut surface = page.surface();
        for item in items {
            match item {
                Item::Text { x, y, size, weight, text } => {
                    let font = fonts.face(weight).font.clone();
                    let place = Point::from_xy(x, y);
                    surface.draw_text(place, font, size, &text, false, TextDirection::LeftToRight);
                }
                Item::Rule { y } => {
                    let mut path = PathBuilder::new();
                    path.push_rect(
                        Rect::from_xywh(LEFT, y, RIGHT - LEFT, 0.5).ok_or("a rule has no size")?,
                    );
                    if let Some(path) = path.finish() {
                        surface.draw_path(&path);
                    }
                }
            }
        }
        surface.finish();
        page.finish();
    }
    // Its own text names fonts and limits, never what is on the page.
    document.finish().map_err(|_| "the document can't be written".to_owned())
}

/// Where everything stands, page by page.
fn layout(statement: &Statement, fonts: &Fonts) -> Vec<Vec<Item>> {
    let mut paper = Paper { fonts, pages: vec![Vec::new()], y: TOP };
    let whose = match statement.recipient {
        Recipient::Tenant => "Түрээслэгч",
        Recipient::Owner => "Өмчлөгч",
    };
    let month = statement.month.format("%Y оны %m дугаар сар");
    paper.text(LEFT, 18.0, Weight::Bold, "Сарын тайлан");
    paper.down(24.0);
    paper.text(LEFT, 11.0, Weight::Regular, &month.to_string());
    paper.down(26.0);
    for (label, value) in [(whose, &statement.name), ("Регистр", &statement.register_no)] {
        paper.text(LEFT, SIZE, Weight::Regular, label);
        let value = fonts.bold.fitted(value, SIZE, RIGHT - 130.0);
        paper.text(130.0, SIZE, Weight::Bold, &value);
        paper.down(ROW);
    }
    let (method, contract) = ("Төлбөрийн хэлбэр", "Гэрээ");
    paper.table("Нэхэмжлэх", ["Огноо", "Дугаар", contract], &statement.invoices);
    paper.table("Төлбөр", ["Огноо", "Нэхэмжлэх", method], &statement.payments);
    paper.numbered()
}

struct Paper<'a> {
    fonts: &'a Fonts,
    pages: Vec<Vec<Item>>,
    y: f32,
}

impl Paper<'_> {
    fn item(&mut self, item: Item) {
        if let Some(page) = self.pages.last_mut() {
            page.push(item);
        }
    }

    fn text(&mut self, x: f32, size: f32, weight: Weight, text: &str) {
        let item = Item::Text { x, y: self.y, size, weight, text: text.to_owned() };
        self.item(item);
    }

    /// Ends at the right margin.
    fn right(&mut self, weight: Weight, text: &str) {
        let x = RIGHT - self.fonts.face(weight).width(text, SIZE);
        self.text(x, SIZE, weight, text);
    }

    fn down(&mut self, by: f32) {
        self.y += by;
        if self.y > BOTTOM {
            self.pages.push(Vec::new());
            self.y = TOP;
        }
    }

    fn table(&mut self, title: &str, head: [&str; 3], lines: &[Line]) {
        self.down(18.0);
        self.text(LEFT, 12.0, Weight::Bold, title);
        self.down(18.0);
        for (x, name) in COLUMNS.into_iter().zip(head) {
            self.text(x, SIZE, Weight::Bold, name);
        }
        self.right(Weight::Bold, "Дүн");
        self.item(Item::Rule { y: self.y + 4.0 });
        self.down(ROW + 2.0);
        let mut totals: BTreeMap<&str, i128> = BTreeMap::new();
        for line in lines {
            let ends = [COLUMNS[1], COLUMNS[2], WHAT_END];
            let what = spoken(&line.what);
            for ((x, end), text) in
                COLUMNS.into_iter().zip(ends).zip([line.date.as_str(), &line.number, what])
            {
                let text = self.fonts.regular.fitted(text, SIZE, end - x - 6.0);
                self.text(x, SIZE, Weight::Regular, &text);
            }
            self.right(Weight::Regular, &money(i128::from(line.amount.get()), &line.currency));
            self.down(ROW);
            *totals.entry(&line.currency).or_default() += i128::from(line.amount.get());
        }
        if totals.is_empty() {
            totals.insert("MNT", 0);
        }
        self.item(Item::Rule { y: self.y - 10.0 });
        for (currency, total) in totals {
            self.text(LEFT, SIZE, Weight::Bold, "Нийт");
            self.right(Weight::Bold, &money(total, currency));
            self.down(ROW);
        }
    }

    /// With the number of each page, once it is known how many there are.
    fn numbered(mut self) -> Vec<Vec<Item>> {
        let count = self.pages.len();
        for (number, page) in (1..).zip(&mut self.pages) {
            let text = format!("Хуудас {number} / {count}");
            let (y, size, weight) = (HEIGHT - 40.0, 8.0, Weight::Regular);
            page.push(Item::Text { x: LEFT, y, size, weight, text });
        }
        self.pages
    }
}

/// How a payment was made; what is no method is said as it is.
fn spoken(what: &str) -> &str {
    match what {
        "cash" => "Бэлэн мөнгө",
        "bank_transfer" => "Банкны шилжүүлэг",
        "card" => "Карт",
        "qpay" => "QPay",
        "social_pay" => "SocialPay",
        other => other,
    }
}

/// Hundredths as Spacehub keeps every currency: `1,234,567.89 MNT`. Integers all the way.
fn money(minor_units: i128, currency: &str) -> String {
    let sign = if minor_units < 0 { "-" } else { "" };
    let whole = (minor_units.unsigned_abs() / 100).to_string();
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}.{:02} {currency}", minor_units.unsigned_abs() % 100)
}

#[cfg(test)]
mod tests;
