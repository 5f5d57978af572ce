//! One TOML table, read key by key; what nobody asked for is unknown.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Literal, Mistakes, Place, Said};

/// A table of a mapping file.
pub(super) struct Options<'t, 'i> {
    level: Level,
    table: &'t DeTable<'i>,
    /// What the table is, for messages: "a column made as `text`".
    what: String,
    pub(super) at: Place,
    asked: Asked,
}

/// Which of the language's tables one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    File,
    Ignore,
    Sequence,
    Entity,
    Unique,
    Column,
    Condition,
}

/// The keys that a table was asked for, in the order of asking. The schema is made of them, so
/// that it knows exactly what the reader knows.
pub(super) type Asked = Vec<(&'static str, Shape)>;

/// What a key was asked to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    /// Whatever the caller makes of it.
    Any,
    Text,
    Texts,
    Flag,
    /// From 0 to this.
    Number(u8),
    Choice(Vec<&'static str>),
    Literal,
    Literals,
    Table,
    /// A table of such words.
    TableOf(Vec<&'static str>),
}

/// The place of a spanned thing.
pub(super) fn place<T>(file: usize, spanned: &Spanned<T>) -> Place {
    Place { file, byte: spanned.span().start }
}

/// How TOML calls a value.
pub(super) fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

impl<'t, 'i> Options<'t, 'i> {
    pub(super) fn new(
        level: Level,
        table: &'t DeTable<'i>,
        at: Place,
        what: impl Into<String>,
    ) -> Self {
        Self { level, table, what: what.into(), at, asked: Vec::new() }
    }

    /// The value of a key, and that the key is known.
    pub(super) fn get(&mut self, key: &'static str) -> Option<&'t Spanned<DeValue<'i>>> {
        self.ask(key, Shape::Any)
    }

    fn ask(&mut self, key: &'static str, shape: Shape) -> Option<&'t Spanned<DeValue<'i>>> {
        match self.asked.iter_mut().find(|(asked, _)| *asked == key) {
            Some((_, known)) if *known == Shape::Any => *known = shape,
            Some(_) => {}
            None => self.asked.push((key, shape)),
        }
        self.table.get(key)
    }

    /// Whether a key that is asked for elsewhere is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Renames what the table is, once more is known about it.
    pub(super) fn is(&mut self, what: impl Into<String>) {
        self.what = what.into();
    }

    fn refuse(
        &self,
        at: Place,
        key: &str,
        wanted: &str,
        value: &DeValue<'_>,
        m: &mut Mistakes<'_>,
    ) {
        let message = format!("`{key}` of {} is {}", self.what, type_of(value));
        m.add(at, message, format!("write {wanted}"));
    }

    pub(super) fn text(&mut self, key: &'static str, m: &mut Mistakes<'_>) -> Option<Said<String>> {
        let value = self.ask(key, Shape::Text)?;
        let at = place(self.at.file, value);
        match value.get_ref() {
            DeValue::String(text) => Some(Said::new(text.to_string(), at)),
            other => {
                self.refuse(at, key, "a text in quotes", other, m);
                None
            }
        }
    }

    /// A text, or an array of texts.
    pub(super) fn texts(
        &mut self,
        key: &'static str,
        m: &mut Mistakes<'_>,
    ) -> Option<Vec<Said<String>>> {
        let value = self.ask(key, Shape::Texts)?;
        let file = self.at.file;
        let items = match value.get_ref() {
            DeValue::Array(items) => items.iter().collect(),
            _ => vec![value],
        };
        let mut texts = Vec::new();
        for item in items {
            match item.get_ref() {
                DeValue::String(text) => {
                    texts.push(Said::new(text.to_string(), place(file, item)));
                }
                other => {
                    self.refuse(place(file, item), key, "a text, or an array of texts", other, m);
                }
            }
        }
        Some(texts)
    }

    pub(super) fn flag(&mut self, key: &'static str, m: &mut Mistakes<'_>) -> bool {
        self.maybe_flag(key, m).unwrap_or(false)
    }

    /// A flag that may be left unsaid.
    pub(super) fn maybe_flag(&mut self, key: &'static str, m: &mut Mistakes<'_>) -> Option<bool> {
        let value = self.ask(key, Shape::Flag)?;
        match value.get_ref() {
            DeValue::Boolean(flag) => Some(*flag),
            other => {
                self.refuse(place(self.at.file, value), key, "true or false", other, m);
                None
            }
        }
    }

    /// An integer from 0 to `max`.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        max: u8,
        m: &mut Mistakes<'_>,
    ) -> Option<u8> {
        let value = self.ask(key, Shape::Number(max))?;
        let number = match value.get_ref() {
            DeValue::Integer(number) => u8::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        if number.is_none_or(|number| number > max) {
            let message = format!("`{key}` of {} is no number from 0 to {max}", self.what);
            m.add(place(self.at.file, value), message, format!("write {key} = 2, for instance"));
            return None;
        }
        number
    }

    /// One of some words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&'static str, T)],
        m: &mut Mistakes<'_>,
    ) -> Option<T> {
        self.ask(key, Shape::Choice(words(choices)));
        let said = self.text(key, m)?;
        let found = choices.iter().find(|(word, _)| *word == said.value);
        if found.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            let message = format!("`{key}` of {} can't be `{}`", self.what, said.value);
            m.add(said.at, message, format!("write {}", one_of(&words)));
        }
        found.map(|(_, choice)| *choice)
    }

    pub(super) fn literal(
        &mut self,
        key: &'static str,
        m: &mut Mistakes<'_>,
    ) -> Option<Said<Literal>> {
        let value = self.ask(key, Shape::Literal)?;
        let at = place(self.at.file, value);
        let literal = literal(value.get_ref());
        if literal.is_none() {
            self.refuse(at, key, "a text, a number or a boolean", value.get_ref(), m);
        }
        literal.map(|literal| Said::new(literal, at))
    }

    /// A literal, or an array of some.
    pub(super) fn literals(
        &mut self,
        key: &'static str,
        m: &mut Mistakes<'_>,
    ) -> Option<Vec<Said<Literal>>> {
        let value = self.ask(key, Shape::Literals)?;
        Some(literals(self.at.file, &format!("`{key}` of {}", self.what), value, m))
    }

    /// The entries of a table, in the file's order.
    pub(super) fn entries(
        &mut self,
        key: &'static str,
        m: &mut Mistakes<'_>,
    ) -> Vec<(Said<String>, &'t Spanned<DeValue<'i>>)> {
        let Some(value) = self.ask(key, Shape::Table) else { return Vec::new() };
        match value.get_ref() {
            DeValue::Table(table) => entries(table, self.at.file),
            other => {
                self.refuse(place(self.at.file, value), key, "a table", other, m);
                Vec::new()
            }
        }
    }

    /// The entries of a table of some words, in the file's order.
    pub(super) fn entries_of<T>(
        &mut self,
        key: &'static str,
        choices: &[(&'static str, T)],
        m: &mut Mistakes<'_>,
    ) -> Vec<(Said<String>, &'t Spanned<DeValue<'i>>)> {
        self.ask(key, Shape::TableOf(words(choices)));
        self.entries(key, m)
    }

    /// Tells the keys that nobody asked for.
    pub(super) fn finish(self, m: &mut Mistakes<'_>) {
        let asked: Vec<&str> = self.asked.iter().map(|(key, _)| *key).collect();
        for (key, _) in entries(self.table, self.at.file) {
            if asked.contains(&key.value.as_str()) {
                continue;
            }
            let message = format!("{} has no key `{}`", self.what, key.value);
            let help = match closest(&key.value, asked.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it has {}", one_of(&asked).replace(" or ", " and ")),
            };
            m.add(key.at, message, help);
        }
        m.hear(self.level, self.asked);
    }
}

/// A table's entries in the file's order.
pub(super) fn entries<'t, 'i>(
    table: &'t DeTable<'i>,
    file: usize,
) -> Vec<(Said<String>, &'t Spanned<DeValue<'i>>)> {
    let mut entries: Vec<_> = table
        .iter()
        .map(|(key, value)| (Said::new(key.get_ref().to_string(), place(file, key)), value))
        .collect();
    entries.sort_by_key(|(key, _)| key.at);
    entries
}

pub(super) fn literal(value: &DeValue<'_>) -> Option<Literal> {
    Some(match value {
        DeValue::String(text) => Literal::Text(text.to_string()),
        DeValue::Integer(number) => {
            Literal::Int(i64::from_str_radix(number.as_str(), number.radix()).ok()?)
        }
        DeValue::Float(number) => Literal::Float(number.as_str().parse().ok()?),
        DeValue::Boolean(value) => Literal::Bool(*value),
        DeValue::Datetime(time) => Literal::Text(time.to_string()),
        DeValue::Array(_) | DeValue::Table(_) => return None,
    })
}

/// A literal, or an array of some; `what` is for messages.
pub(super) fn literals(
    file: usize,
    what: &str,
    value: &Spanned<DeValue<'_>>,
    m: &mut Mistakes<'_>,
) -> Vec<Said<Literal>> {
    let items = match value.get_ref() {
        DeValue::Array(items) => items.iter().collect(),
        _ => vec![value],
    };
    let mut found = Vec::new();
    for item in items {
        let at = place(file, item);
        match literal(item.get_ref()) {
            Some(literal) => found.push(Said::new(literal, at)),
            None => {
                let message = format!("{what} is {}", type_of(item.get_ref()));
                m.add(at, message, "write a text, a number or a boolean, or a list of some");
            }
        }
    }
    found
}

fn words<T>(choices: &[(&'static str, T)]) -> Vec<&'static str> {
    choices.iter().map(|(word, _)| *word).collect()
}

fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => "nothing".into(),
    }
}

/// The most similar of some names, if one is similar enough to be meant.
#[must_use]
pub fn closest<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let wanted: Vec<char> = name.to_lowercase().chars().collect();
    let near = names.into_iter().map(|candidate| {
        let letters: Vec<char> = candidate.to_lowercase().chars().collect();
        (distance(&wanted, &letters), candidate)
    });
    let (edits, found) = near.min_by_key(|(edits, _)| *edits)?;
    (edits <= 1 + wanted.len() / 4).then_some(found)
}

/// Levenshtein's distance.
fn distance(left: &[char], right: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, l) in left.iter().enumerate() {
        let mut diagonal = index;
        let mut before = index + 1;
        let mut next = vec![before];
        for (r, above) in right.iter().zip(row.iter().skip(1)) {
            let here = (diagonal + usize::from(l != r)).min(before + 1).min(above + 1);
            next.push(here);
            diagonal = *above;
            before = here;
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
