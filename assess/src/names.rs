//! What a name tells: its words, and what a column of that name is likely to hold.
//!
//! A name is a hint and never a proof. Whatever is said because of a name says so, and is
//! nothing that a migration could fail by.

use crate::english::plural_word;

/// The words of a name, in lower case: `ContractCompanyNo` → contract, company, no;
/// `RATE_CODE` → rate, code.
pub(crate) fn words(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    for (index, letter) in letters.iter().enumerate() {
        if !letter.is_alphanumeric() {
            words.extend(Some(std::mem::take(&mut word)));
            continue;
        }
        let before = index.checked_sub(1).and_then(|index| letters.get(index));
        let after = letters.get(index + 1);
        // `aB` begins a word, and so does the last capital of `XAFUser`.
        let begins = letter.is_uppercase()
            && (before.is_some_and(|before| before.is_lowercase() || before.is_numeric())
                || (before.is_some_and(|before| before.is_uppercase())
                    && after.is_some_and(|after| after.is_lowercase())));
        if begins {
            words.extend(Some(std::mem::take(&mut word)));
        }
        word.extend(letter.to_lowercase());
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// `snake_case`, as target columns are named.
pub(crate) fn snake(name: &str) -> String {
    words(name).join("_")
}

/// The plural in `kebab-case`, as domains are named.
pub(crate) fn plural(name: &str) -> String {
    let mut words = words(name);
    if let Some(last) = words.last_mut() {
        *last = plural_of(last);
    }
    words.join("-")
}

fn plural_of(word: &str) -> String {
    let is_latin = word.chars().all(|letter| letter.is_ascii_alphabetic());
    if is_latin { plural_word(word) } else { word.to_owned() }
}

/// Whether a name has one of these words, or begins one of its words with one of these stems.
fn has(name: &str, these: &[&str], stems: &[&str]) -> bool {
    words(name).iter().any(|word| {
        these.contains(&word.as_str()) || stems.iter().any(|stem| word.starts_with(stem))
    })
}

/// Money, in English, Mongolian or Russian.
const MONEY: [&str; 27] = [
    "amount", "total", "subtotal", "paid", "sum", "price", "cost", "fee", "balance", "debit",
    "credit", "debt", "charge", "payment", "deposit", "salary", "vat", "tax", "discount", "limit",
    "rent", "penalty", "wage", "revenue", "net", "gross", "interest",
];
const MONEY_STEMS: [&str; 11] =
    ["дүн", "үнэ", "төлбөр", "төлөх", "балан", "хөлс", "нийт", "сумм", "цен", "стоим", "плат"];
/// A quantity, a share or a place, whatever else the name says.
const NOT_MONEY: [&str; 18] = [
    "area",
    "percent",
    "ratio",
    "rate",
    "qty",
    "quantity",
    "count",
    "hours",
    "days",
    "months",
    "weight",
    "length",
    "width",
    "height",
    "latitude",
    "longitude",
    "factor",
    "size",
];

/// Whether a float or a decimal of that name is likely to be money. (`rate` alone is none: a
/// rate in a float is a percentage more often than an amount.)
pub(crate) fn is_money(name: &str) -> bool {
    has(name, &MONEY, &MONEY_STEMS) && !has(name, &NOT_MONEY, &["талбай", "хувь"])
}

/// Whether a float of that name is likely to be a `TimeSpan` in seconds.
pub(crate) fn is_seconds(name: &str) -> bool {
    has(name, &["at", "duration", "seconds", "span", "timeout", "elapsed"], &[])
}

/// Counted, measured or numbered, so no enum.
const COUNTED: [&str; 26] = [
    "no", "num", "number", "count", "counter", "index", "order", "sort", "size", "length", "qty",
    "quantity", "year", "month", "day", "days", "hour", "hours", "minutes", "level", "version",
    "x", "y", "color", "colour", "id",
];

/// Whether an integer of that name counts or numbers things.
pub(crate) fn is_counted(name: &str) -> bool {
    has(name, &COUNTED, &["тоо", "дугаар"])
}

/// Whether a column of that name holds a password or its hash.
pub(crate) fn is_password(name: &str) -> bool {
    has(name, &["password", "passwd", "pwd", "secret", "token"], &["нууц", "парол"])
}

const PERSONAL: [&str; 19] = [
    "email", "mail", "phone", "mobile", "fax", "passport", "ssn", "iban", "register", "birthday",
    "birth", "salary", "account", "card", "civil", "address", "facebook", "license", "bank",
];
const PERSONAL_STEMS: [&str; 6] = ["регист", "утас", "хаяг", "данс", "иргэн", "телефон"];

/// Whether a column of that name says who somebody is, or how to reach or to rob them.
pub(crate) fn is_personal(name: &str) -> bool {
    is_password(name) || has(name, &PERSONAL, &PERSONAL_STEMS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fall_into_words() {
        for (name, snaked) in [
            ("ContractCompanyNo", "contract_company_no"),
            ("RATE_CODE", "rate_code"),
            ("OID", "oid"),
            ("XAFUserName", "xaf_user_name"),
            ("LocationX", "location_x"),
            ("Line2Text", "line2_text"),
            ("size", "size"),
            ("ТөлбөрДүн", "төлбөр_дүн"),
            ("a b-c", "a_b_c"),
        ] {
            assert_eq!(snake(name), snaked);
        }
    }

    #[test]
    fn domains_are_plurals() {
        for (name, domain) in [
            ("Contract", "contracts"),
            ("Property", "properties"),
            ("Survey", "surveys"),
            ("FileData", "file-data"),
            ("Address", "addresses"),
            ("UserRoles", "user-roles"),
            ("Гэрээ", "гэрээ"),
        ] {
            assert_eq!(plural(name), domain);
        }
    }

    #[test]
    fn a_name_is_a_hint() {
        for money in ["PaidTotal", "UnitPrice", "ТөлбөрийнДүн", "CREDIT_LIMIT"] {
            assert!(is_money(money), "{money}");
        }
        for other in ["TotalArea", "CommissionRate", "VatRate", "Latitude", "Paidia"] {
            assert!(!is_money(other), "{other}");
        }
        assert!(is_seconds("OpensAt") && !is_seconds("Latitude"));
        assert!(is_counted("FloorNo") && !is_counted("Status"));
        assert!(is_personal("RegisterNo") && is_personal("StoredPassword"));
        assert!(!is_personal("InvoiceNo") && is_password("StoredPassword"));
    }
}
