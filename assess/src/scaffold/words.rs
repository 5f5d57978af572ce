//! Names for Postgres: the words of a legacy name in Latin letters, in the plural and the singular.

use heck::ToSnakeCase;

use crate::english::{plural_word, singular_word};

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
