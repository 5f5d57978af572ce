//! The closed set of texts that a CHECK allows, where it has one of the usual shapes.
//!
//! Postgres prints expressions in one way whatever way they were written: `x in ('a', 'b')` is
//! `(x = ANY (ARRAY['a'::text, 'b'::text]))`. What has another shape is not understood, and
//! nothing is said about it.

use std::collections::BTreeSet;

/// The texts that `expression` allows for `column`; `None` when that can't be said.
pub(super) fn text_set(expression: &str, column: &str) -> Option<BTreeSet<String>> {
    let tokens = without_casts(tokens(expression)?);
    let mut parser = Parser { tokens: &tokens, column, texts: BTreeSet::new() };
    parser.any_of()?;
    parser.tokens.is_empty().then_some(parser.texts)
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Sign(char),
    /// `::`
    Cast,
    /// A name in quotes, or a word that is one.
    Name(String),
    Text(String),
}

impl Token {
    fn is_word(&self, word: &str) -> bool {
        matches!(self, Self::Name(name) if name.eq_ignore_ascii_case(word))
    }
}

fn tokens(expression: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut letters = expression.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\n' | '\t' => {}
            ':' => {
                letters.next_if_eq(&':')?;
                tokens.push(Token::Cast);
            }
            '\'' | '"' => {
                let mut text = String::new();
                loop {
                    match letters.next()? {
                        // Doubled, it stands for itself.
                        end if end == letter && letters.next_if_eq(&letter).is_none() => break,
                        other => text.push(other),
                    }
                }
                let quoted = letter == '\'';
                tokens.push(if quoted { Token::Text(text) } else { Token::Name(text) });
            }
            '(' | ')' | '[' | ']' | ',' | '=' => tokens.push(Token::Sign(letter)),
            letter if letter.is_alphanumeric() || letter == '_' => {
                let mut word = String::from(letter);
                while let Some(next) = letters.next_if(|l| l.is_alphanumeric() || *l == '_') {
                    word.push(next);
                }
                // `E'…'` has escapes of its own.
                if letters.peek() == Some(&'\'') {
                    return None;
                }
                tokens.push(Token::Name(word));
            }
            _ => return None,
        }
    }
    Some(tokens)
}

/// Casts of texts change nothing: `::text`, `::character varying(20)`, `::text[]`.
fn without_casts(tokens: Vec<Token>) -> Vec<Token> {
    let mut kept = Vec::with_capacity(tokens.len());
    let mut rest = tokens.as_slice();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != Token::Cast {
            kept.push(first.clone());
            continue;
        }
        while let [Token::Name(_), after @ ..] = rest {
            // `OR` and `IS` follow a cast, and are no part of a type's name.
            if rest.first().is_some_and(|t| t.is_word("or") || t.is_word("is") || t.is_word("and"))
            {
                break;
            }
            rest = after;
        }
        if let [Token::Sign('('), Token::Name(_), Token::Sign(')'), after @ ..] = rest {
            rest = after;
        }
        if let [Token::Sign('['), Token::Sign(']'), after @ ..] = rest {
            rest = after;
        }
    }
    kept
}

struct Parser<'t> {
    tokens: &'t [Token],
    column: &'t str,
    texts: BTreeSet<String>,
}

impl Parser<'_> {
    fn take(&mut self, wanted: &Token) -> Option<()> {
        let (first, rest) = self.tokens.split_first()?;
        (first == wanted).then(|| self.tokens = rest)
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let (first, rest) = self.tokens.split_first()?;
        first.is_word(word).then(|| self.tokens = rest)
    }

    /// Tries, and takes nothing when it does not fit.
    fn attempt(&mut self, parse: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        let (tokens, texts) = (self.tokens, self.texts.clone());
        let parsed = parse(self);
        if parsed.is_none() {
            self.tokens = tokens;
            self.texts = texts;
        }
        parsed
    }

    /// `… OR … OR …`
    fn any_of(&mut self) -> Option<()> {
        self.one()?;
        while self.word("or").is_some() {
            self.one()?;
        }
        Some(())
    }

    /// A comparison, or several in parentheses.
    fn one(&mut self) -> Option<()> {
        self.attempt(Self::comparison).or_else(|| {
            self.take(&Token::Sign('('))?;
            self.any_of()?;
            self.take(&Token::Sign(')'))
        })
    }

    /// `x = 'a'`, `x = ANY (ARRAY['a', 'b'])`, `x IS NULL`.
    fn comparison(&mut self) -> Option<()> {
        self.operand()?;
        if self.word("is").is_some() {
            return self.word("null");
        }
        self.take(&Token::Sign('='))?;
        if self.word("any").is_none() {
            return self.text();
        }
        let mut open = 0;
        while self.take(&Token::Sign('(')).is_some() {
            open += 1;
        }
        self.word("array")?;
        self.take(&Token::Sign('['))?;
        self.text()?;
        while self.take(&Token::Sign(',')).is_some() {
            self.text()?;
        }
        self.take(&Token::Sign(']'))?;
        for _ in 0..open {
            self.take(&Token::Sign(')'))?;
        }
        Some(())
    }

    fn operand(&mut self) -> Option<()> {
        let column = Token::Name(self.column.to_owned());
        if self.take(&Token::Sign('(')).is_some() {
            self.take(&column)?;
            return self.take(&Token::Sign(')'));
        }
        self.take(&column)
    }

    fn text(&mut self) -> Option<()> {
        // Each text may stand in parentheses of its own, before a cast.
        let open = self.take(&Token::Sign('(')).is_some();
        let (Token::Text(text), rest) = self.tokens.split_first()? else { return None };
        self.texts.insert(text.clone());
        self.tokens = rest;
        if open { self.take(&Token::Sign(')')) } else { Some(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expression: &str, expect: Option<&[&str]>) {
        let expect = expect.map(|texts| texts.iter().map(|text| (*text).to_owned()).collect());
        assert_eq!(text_set(expression, "kind"), expect, "{expression}");
    }

    #[test]
    fn the_usual_shapes_are_read() {
        let two = Some(&["a", "b"][..]);
        check("(kind = ANY (ARRAY['a'::text, 'b'::text]))", two);
        check(
            "((kind)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[]))",
            two,
        );
        check(
            "((kind)::text = ANY (ARRAY[('a'::character varying)::text, ('b'::character varying)::text]))",
            two,
        );
        check("((kind = 'a'::text) OR (kind = 'b'::text))", two);
        check("((kind IS NULL) OR (kind = ANY (ARRAY['a'::text, 'b'::text])))", two);
        check("(kind = 'it''s'::text)", Some(&["it's"]));
        check("(\"kind\" = 'a'::text)", Some(&["a"]));
        check("(kind IS NULL)", Some(&[]));
    }

    #[test]
    fn what_is_not_understood_is_not_guessed() {
        for expression in [
            "",
            "(kind",
            "(kind <> 'a'::text)",
            "(length(kind) > 0)",
            "((kind = 'a'::text) AND (other = 'b'::text))",
            "(other = ANY (ARRAY['a'::text]))",
            "(kind ~ '^a'::text)",
            "(kind = E'a\\\\'::text)",
            "((kind = 'a'::text) OR (other = 'b'::text))",
            "(kind = ALL (ARRAY['a'::text]))",
            "(kind = 'a'",
            "(kind = 'a'::text) nonsense",
            "((kind = 'a'::text) IS TRUE)",
            "(lower(kind) = 'a'::text)",
        ] {
            check(expression, None);
        }
    }

    mod properties {
        use proptest::prelude::*;

        use super::super::text_set;

        proptest! {
            #[test]
            fn no_expression_panics(any: String, near in "[()a-z=',:\\[\\]\" ORISNULLANYARRAY]{0,60}") {
                text_set(&any, "kind");
                text_set(&near, "a");
            }

            #[test]
            fn whatever_the_texts_are_they_are_read_back(texts in prop::collection::btree_set("[^\0\\\\]{0,12}", 1..6)) {
                let quoted: Vec<String> =
                    texts.iter().map(|text| format!("'{}'::text", text.replace('\'', "''"))).collect();
                let expression = format!("(kind = ANY (ARRAY[{}]))", quoted.join(", "));
                prop_assert_eq!(text_set(&expression, "kind"), Some(texts));
            }
        }
    }
}
