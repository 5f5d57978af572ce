//! Collations: what counts as the same text, how it sorts, and which code page `varchar` has.
//!
//! Observed rules that are kept: `CI` ignores case, trailing blanks never count, accents count.
//! Not kept: SQL Server sorts linguistically (hyphens, widths, contractions). Here folded text
//! sorts by UTF-16 code unit. Both are total orders that agree on which texts are equal, and
//! that is all that paging over a key relies on.

use super::Error;

/// The code page of `char` and `varchar`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CodePage {
    /// Windows-1251.
    Cyrillic,
    /// Windows-1252.
    Latin,
}

/// One collation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Collation {
    pub(crate) name: String,
    pub(crate) code_page: CodePage,
    /// Case is ignored.
    pub(crate) fold: bool,
    /// As COLMETADATA carries it.
    pub(crate) wire: [u8; 5],
}

const FAMILIES: [(&str, u8, u8, CodePage); 3] = [
    ("Cyrillic_General_", 0x19, 0, CodePage::Cyrillic),
    ("Latin1_General_", 0x09, 0, CodePage::Latin),
    ("SQL_Latin1_General_CP1_", 0x09, 52, CodePage::Latin),
];

/// Kana and width are ignored by all of these but the binary ones.
const SUFFIXES: [(&str, bool, u8); 3] =
    [("CI_AS", true, 0xD0), ("CS_AS", false, 0xC0), ("BIN2", false, 0x00)];

impl Collation {
    /// By its name.
    pub(crate) fn parse(name: &str) -> Result<Self, Error> {
        let unknown = || Error::UnknownCollation(name.to_owned());
        let (suffix, language, sort_id, code_page) = FAMILIES
            .iter()
            .find_map(|(prefix, language, sort_id, code_page)| {
                Some((name.strip_prefix(prefix)?, *language, *sort_id, *code_page))
            })
            .ok_or_else(unknown)?;
        let (_, fold, flags) = SUFFIXES.iter().find(|(s, ..)| *s == suffix).ok_or_else(unknown)?;
        let binary = if suffix == "BIN2" { 0x02 } else { 0x00 };
        let wire = [language, 0x04, *flags, binary, sort_id];
        Ok(Self { name: name.to_owned(), code_page, fold: *fold, wire })
    }

    /// The unit that stands for all that are equal to this one.
    pub(crate) fn fold(&self, unit: u16) -> u16 {
        if !self.fold {
            return unit;
        }
        if let Ok(byte) = u8::try_from(unit)
            && byte.is_ascii()
        {
            return u16::from(byte.to_ascii_uppercase());
        }
        let Some(letter) = char::from_u32(u32::from(unit)) else { return unit };
        let mut upper = letter.to_uppercase();
        match (upper.next(), upper.next()) {
            (Some(one), None) => u16::try_from(u32::from(one)).unwrap_or(unit),
            _ => unit,
        }
    }
}

/// 0x80 to 0xBF of Windows-1251; 0xC0 to 0xFF are U+0410 to U+044F.
const CYRILLIC: [u16; 64] = [
    0x402, 0x403, 0x201A, 0x453, 0x201E, 0x2026, 0x2020, 0x2021, 0x20AC, 0x2030, 0x409, 0x2039,
    0x40A, 0x40C, 0x40B, 0x40F, 0x452, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
    0x98, 0x2122, 0x459, 0x203A, 0x45A, 0x45C, 0x45B, 0x45F, 0xA0, 0x40E, 0x45E, 0x408, 0xA4,
    0x490, 0xA6, 0xA7, 0x401, 0xA9, 0x404, 0xAB, 0xAC, 0xAD, 0xAE, 0x407, 0xB0, 0xB1, 0x406, 0x456,
    0x491, 0xB5, 0xB6, 0xB7, 0x451, 0x2116, 0x454, 0xBB, 0x458, 0x405, 0x455, 0x457,
];

/// 0x80 to 0x9F of Windows-1252; the rest is Latin-1.
const LATIN: [u16; 32] = [
    0x20AC, 0x81, 0x201A, 0x192, 0x201E, 0x2026, 0x2020, 0x2021, 0x2C6, 0x2030, 0x160, 0x2039,
    0x152, 0x8D, 0x17D, 0x8F, 0x90, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x2DC,
    0x2122, 0x161, 0x203A, 0x153, 0x9D, 0x17E, 0x178,
];

impl CodePage {
    /// The UTF-16 unit of a byte.
    pub(crate) fn decode(self, byte: u8) -> u16 {
        let high = |table: &[u16]| table.get(usize::from(byte & 0x7F)).copied();
        match (self, byte) {
            (_, ..0x80) => u16::from(byte),
            (Self::Cyrillic, 0xC0..) => u16::from(byte) - 0xC0 + 0x410,
            (Self::Cyrillic, _) => high(&CYRILLIC).unwrap_or(u16::from(byte)),
            (Self::Latin, _) => high(&LATIN).unwrap_or(u16::from(byte)),
        }
    }

    /// The byte of a UTF-16 unit; `?` where the page has none, as SQL Server stores it.
    pub(crate) fn encode(self, unit: u16) -> u8 {
        if let Ok(byte) = u8::try_from(unit)
            && byte.is_ascii()
        {
            return byte;
        }
        (0x80..=0xFF).find(|byte| self.decode(*byte) == unit).unwrap_or(b'?')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_is_folded_in_cyrillic_too() {
        let collation = Collation::parse("Cyrillic_General_CI_AS").expect("simulated");
        for (small, large) in [('a', 'A'), ('ө', 'Ө'), ('ү', 'Ү'), ('ё', 'Ё'), ('я', 'Я')] {
            let unit = |c: char| u16::try_from(u32::from(c)).expect("in the first plane");
            assert_eq!(collation.fold(unit(small)), unit(large));
            assert_eq!(collation.fold(unit(large)), unit(large));
        }
        assert_ne!(collation.fold(0x415), collation.fold(0x401), "accents count");
        assert!(Collation::parse("Mongolian_100_CI_AS").is_err());
    }

    #[test]
    fn code_pages_go_both_ways() {
        for page in [CodePage::Cyrillic, CodePage::Latin] {
            for byte in 0..=u8::MAX {
                assert_eq!(page.encode(page.decode(byte)), byte, "{page:?} {byte:#x}");
            }
        }
        assert_eq!(CodePage::Cyrillic.encode(0x4E9), b'?', "ө is not in Windows-1251");
    }
}
