//! English names: words of a legacy name, plurals and singulars.
//!
//! Small on purpose. It has to be right for the nouns that business tables are named by, and
//! harmless for the rest: a reviewer renames an entity in one place.

use heck::ToSnakeCase;

/// `SPACE_ID`, `SpaceId` and `Space Id` as `space_id`; other scripts in Latin letters. Empty for
/// a name without a letter or digit.
pub(super) fn snake(name: &str) -> String {
    let shouted = !name.chars().any(char::is_lowercase);
    let name = if shouted && !name.is_ascii() { name.to_lowercase() } else { name.to_owned() };
    // Soft and hard signs become apostrophes, which are no ends of words.
    let latin = deunicode::deunicode(&name).replace(['\'', '`'], "");
    latin.to_snake_case()
}

/// The words of a legacy name, in lower case.
pub(super) fn words(name: &str) -> Vec<String> {
    snake(name).split('_').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Nouns whose plural no rule makes.
const IRREGULAR: [(&str, &str); 18] = [
    ("person", "people"),
    ("child", "children"),
    ("man", "men"),
    ("woman", "women"),
    ("foot", "feet"),
    ("tooth", "teeth"),
    ("mouse", "mice"),
    ("goose", "geese"),
    ("criterion", "criteria"),
    ("medium", "media"),
    ("life", "lives"),
    ("knife", "knives"),
    ("leaf", "leaves"),
    ("shelf", "shelves"),
    ("half", "halves"),
    ("wife", "wives"),
    ("quiz", "quizzes"),
    ("matrix", "matrices"),
];

/// Nouns that are not counted, or are the same in both.
const UNCOUNTED: [&str; 20] = [
    "data",
    "metadata",
    "info",
    "information",
    "equipment",
    "staff",
    "personnel",
    "news",
    "series",
    "species",
    "money",
    "cash",
    "software",
    "hardware",
    "feedback",
    "advice",
    "furniture",
    "stock",
    "inventory",
    "history",
];

/// Singulars in `s` that look like plurals.
const SINGULAR_S: [&str; 10] =
    ["alias", "atlas", "bias", "canvas", "gas", "lens", "bus", "plus", "iris", "yes"];

/// Nouns in `o` that take `es`.
const IN_OES: [&str; 5] = ["hero", "potato", "tomato", "echo", "veto"];

/// The plural of the last word of a `snake_case` name.
pub(super) fn plural(name: &str) -> String {
    on_last_word(name, plural_word)
}

/// The singular of the last word of a `snake_case` name.
pub(super) fn singular(name: &str) -> String {
    on_last_word(name, singular_word)
}

fn on_last_word(name: &str, change: fn(&str) -> String) -> String {
    match name.rsplit_once('_') {
        Some((before, last)) => format!("{before}_{}", change(last)),
        None => change(name),
    }
}

fn plural_word(word: &str) -> String {
    if let Some((_, plural)) = IRREGULAR.iter().find(|(singular, _)| *singular == word) {
        return (*plural).to_owned();
    }
    if UNCOUNTED.contains(&word) || word.ends_with(|c: char| c.is_ascii_digit()) || is_plural(word)
    {
        return word.to_owned();
    }
    // `analysis`, `basis`: but not `iris`.
    if let Some(stem) = word.strip_suffix("sis") {
        return format!("{stem}ses");
    }
    if let Some(stem) = word.strip_suffix('y').filter(|stem| !ends_in_vowel(stem)) {
        return format!("{stem}ies");
    }
    let hisses = ["s", "x", "z", "ch", "sh"].iter().any(|end| word.ends_with(end));
    if hisses || IN_OES.contains(&word) { format!("{word}es") } else { format!("{word}s") }
}

/// Whether a word already is a plural, as far as its letters tell.
fn is_plural(word: &str) -> bool {
    if IRREGULAR.iter().any(|(_, plural)| *plural == word) {
        return true;
    }
    word.ends_with('s')
        && !["ss", "us", "is"].iter().any(|end| word.ends_with(end))
        && !SINGULAR_S.contains(&word)
}

fn singular_word(word: &str) -> String {
    if let Some((singular, _)) = IRREGULAR.iter().find(|(_, plural)| *plural == word) {
        return (*singular).to_owned();
    }
    if UNCOUNTED.contains(&word) || !is_plural(word) {
        return word.to_owned();
    }
    if let Some(stem) = word.strip_suffix("ies").filter(|stem| stem.len() > 1) {
        return format!("{stem}y");
    }
    if let Some(stem) = word.strip_suffix("es") {
        let known = IN_OES.contains(&stem) || SINGULAR_S.contains(&stem);
        let hisses = ["ss", "us", "x", "z", "ch", "sh"].iter().any(|end| stem.ends_with(end));
        // `analyses`, `bases`; `houses`, `cases` keep their e.
        if stem.ends_with("lys") || stem == "bas" {
            return format!("{stem}is");
        }
        if known || (hisses && !stem.ends_with("ous")) {
            return stem.to_owned();
        }
    }
    word.strip_suffix('s').unwrap_or(word).to_owned()
}

fn ends_in_vowel(stem: &str) -> bool {
    stem.is_empty() || stem.ends_with(['a', 'e', 'i', 'o', 'u'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_snake_case() {
        for (name, expected) in [
            ("SPACE_ID", "space_id"),
            ("VATNo", "vat_no"),
            ("XPObjectType", "xp_object_type"),
            ("LocationX", "location_x"),
            ("He said \"x\"", "he_said_x"),
            ("a.b c[d]", "a_b_c_d"),
            ("Гэрээ", "geree"),
            ("ГэрээДугаар", "geree_dugaar"),
            ("ГЭРЭЭ", "geree"),
            ("Объект", "obekt"),
            ("----", ""),
        ] {
            assert_eq!(snake(name), expected, "{name}");
        }
    }

    #[test]
    fn nouns_of_business_tables_have_plurals_and_singulars() {
        for (singular_form, plural_form) in [
            ("contract", "contracts"),
            ("contract_item", "contract_items"),
            ("party", "parties"),
            ("property", "properties"),
            ("currency", "currencies"),
            ("day", "days"),
            ("status", "statuses"),
            ("address", "addresses"),
            ("tax", "taxes"),
            ("branch", "branches"),
            ("box", "boxes"),
            ("house", "houses"),
            ("case", "cases"),
            ("invoice", "invoices"),
            ("price", "prices"),
            ("analysis", "analyses"),
            ("basis", "bases"),
            ("person", "people"),
            ("child", "children"),
            ("file_data", "file_data"),
            ("alias", "aliases"),
            ("bus", "buses"),
            ("bonus", "bonuses"),
            ("process", "processes"),
            ("key", "keys"),
            ("quiz", "quizzes"),
            ("employee", "employees"),
            ("warehouse", "warehouses"),
            ("spouse", "spouses"),
        ] {
            assert_eq!(plural(singular_form), plural_form);
            assert_eq!(singular(plural_form), singular_form);
        }
    }

    #[test]
    fn a_plural_stays_one() {
        for name in ["settings", "contracts", "people", "order_details", "line2", "news"] {
            assert_eq!(plural(name), name);
        }
        assert_eq!(singular("status"), "status");
    }
}
