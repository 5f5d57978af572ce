//! English plurals and singulars of nouns.
//!
//! Small on purpose. It has to be right for the nouns that business tables are named by, and
//! harmless for the rest: a reviewer renames an entity in one place.

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

/// The plural of a word in lower case; of a plural, itself.
pub(crate) fn plural_word(word: &str) -> String {
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

/// The singular of a word in lower case.
pub(crate) fn singular_word(word: &str) -> String {
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
