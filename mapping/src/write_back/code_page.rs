//! Which letters a `varchar` can hold: its collation's code page.

use encoding_rs::Encoding;

/// How a collation stores non-Unicode text.
#[derive(Debug, Clone, Copy)]
pub(super) enum Storage {
    /// `_UTF8`.
    Utf8,
    /// One byte for each letter.
    Page(&'static Encoding),
    /// A page that is not known here: what is ASCII is the same in all of them.
    Ascii,
}

/// Words that a collation's name begins with (after `SQL_`), by its code page. What is not
/// here is treated as unknown, which refuses letters and never spoils one.
const PAGES: [(&[&str], &Encoding); 9] = [
    (
        &[
            "ALBANIAN",
            "CROATIAN",
            "CZECH",
            "HUNGARIAN",
            "POLISH",
            "ROMANIAN",
            "SLOVAK",
            "SLOVENIAN",
        ],
        encoding_rs::WINDOWS_1250,
    ),
    (
        &["BASHKIR", "CYRILLIC", "KAZAKH", "MACEDONIAN", "TATAR", "UKRAINIAN", "YAKUT"],
        encoding_rs::WINDOWS_1251,
    ),
    (
        &[
            "DANISH",
            "FINNISH",
            "FRENCH",
            "ICELANDIC",
            "LATIN1",
            "MODERN",
            "NORWEGIAN",
            "TRADITIONAL",
        ],
        encoding_rs::WINDOWS_1252,
    ),
    (&["GREEK"], encoding_rs::WINDOWS_1253),
    (&["TURKISH"], encoding_rs::WINDOWS_1254),
    (&["HEBREW"], encoding_rs::WINDOWS_1255),
    (&["ARABIC"], encoding_rs::WINDOWS_1256),
    (&["ESTONIAN", "LATVIAN", "LITHUANIAN"], encoding_rs::WINDOWS_1257),
    (&["VIETNAMESE"], encoding_rs::WINDOWS_1258),
];

impl Storage {
    /// By the collation's name.
    pub(super) fn of(collation: &str) -> Self {
        let name = collation.to_ascii_uppercase();
        let mut words = name.split('_');
        if words.clone().any(|word| word == "UTF8") {
            return Self::Utf8;
        }
        // An old name says its page itself: `SQL_Latin1_General_CP1_CI_AS` is 1252.
        let page = words.clone().find_map(|word| word.strip_prefix("CP")?.parse::<u16>().ok());
        if let Some(page) = page {
            return Self::numbered(page);
        }
        let first = words.find(|word| *word != "SQL").unwrap_or_default();
        let found = PAGES.iter().find(|(names, _)| names.contains(&first));
        found.map_or(Self::Ascii, |(_, encoding)| Self::Page(encoding))
    }

    fn numbered(page: u16) -> Self {
        let page = if page == 1 { 1252 } else { page };
        let label = format!("windows-{page}");
        let known = (1250..=1258).contains(&page);
        let encoding = known.then(|| Encoding::for_label(label.as_bytes())).flatten();
        encoding.map_or(Self::Ascii, Self::Page)
    }

    /// The bytes that a text takes; `None` when it has a letter that the page lacks.
    pub(super) fn length(self, text: &str) -> Option<usize> {
        match self {
            Self::Utf8 => Some(text.len()),
            Self::Ascii => text.is_ascii().then_some(text.len()),
            Self::Page(encoding) => {
                let (bytes, _, is_replaced) = encoding.encode(text);
                (!is_replaced).then_some(bytes.len())
            }
        }
    }
}
