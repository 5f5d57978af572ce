//! A reader of XPO's DDL, on sqlparser's tokens: its T-SQL parser stops at `NOT FOR
//! REPLICATION`, `ROWGUIDCOL` and `WITH NOCHECK`.
//!
//! Tables, primary keys, unique indexes and foreign keys are kept; foreign keys, checks and
//! defaults are not enforced. What is not known here is an error with its line.

use mapping::catalog::{ForeignKey, UniqueIndex};
use sqlparser::{
    dialect::MsSqlDialect,
    tokenizer::{Token, TokenWithSpan, Tokenizer},
};

use super::Error;

mod statements;

/// A column as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnDefinition {
    pub(crate) name: String,
    /// Such as `nvarchar(20)`.
    pub(crate) type_name: String,
    pub(crate) nullable: bool,
    pub(crate) identity: bool,
    pub(crate) collation: Option<String>,
}

/// A table as written, with its indexes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct TableDefinition {
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) columns: Vec<ColumnDefinition>,
    pub(crate) primary_key: Vec<String>,
    /// Unique indexes and constraints.
    pub(crate) unique: Vec<UniqueIndex>,
    /// Foreign keys: told by the catalogue, never enforced (XPO's are untrusted).
    pub(crate) foreign_keys: Vec<ForeignKey>,
}

/// Reads a script.
pub(crate) fn read(text: &str) -> Result<Vec<TableDefinition>, Error> {
    let tokens = Tokenizer::new(&MsSqlDialect {}, text)
        .tokenize_with_location()
        .map_err(|e| Error::Ddl { line: e.location.line, problem: e.message })?;
    let tokens = tokens
        .into_iter()
        .filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF))
        .collect();
    let mut reader = Reader { tokens, at: 0 };
    let mut tables = Vec::new();
    while reader.peek().is_some() {
        reader.statement(&mut tables)?;
    }
    Ok(tables)
}

struct Reader {
    tokens: Vec<TokenWithSpan>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|token| &token.token)
    }

    fn wrong(&self, expected: &str) -> Error {
        let token = self.tokens.get(self.at).or(self.tokens.last());
        let line = token.map_or(1, |token| token.span.start.line);
        let found = self.peek().map_or("the end".to_owned(), ToString::to_string);
        Error::Ddl { line, problem: format!("{expected} expected, found {found}") }
    }

    /// Takes a bare word when it is the next one.
    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(w))
            if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    /// Takes all of these words, or none.
    fn take_words(&mut self, words: &[&str]) -> bool {
        let start = self.at;
        let found = words.iter().all(|word| self.take_word(word));
        if !found {
            self.at = start;
        }
        found
    }

    fn take(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, token: &Token) -> Result<(), Error> {
        if self.take(token) { Ok(()) } else { Err(self.wrong(&token.to_string())) }
    }

    fn expect_words(&mut self, words: &[&str]) -> Result<(), Error> {
        if self.take_words(words) { Ok(()) } else { Err(self.wrong(&words.join(" "))) }
    }

    fn identifier(&mut self) -> Result<String, Error> {
        match self.peek() {
            Some(Token::Word(word)) => {
                let name = word.value.clone();
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.wrong("a name")),
        }
    }

    /// `[schema].[table]` or `[table]`.
    fn table_name(&mut self) -> Result<(String, String), Error> {
        let first = self.identifier()?;
        if self.take(&Token::Period) {
            return Ok((first, self.identifier()?));
        }
        Ok(("dbo".to_owned(), first))
    }

    /// `([a] ASC, [b])`. Descending keys are refused: their order is not simulated.
    fn column_list(&mut self) -> Result<Vec<String>, Error> {
        self.expect(&Token::LParen)?;
        let mut names = Vec::new();
        loop {
            names.push(self.identifier()?);
            self.take_word("ASC");
            if self.take(&Token::RParen) {
                return Ok(names);
            }
            self.expect(&Token::Comma)?;
        }
    }

    /// Skips a balanced pair of parentheses.
    fn skip_parentheses(&mut self) -> Result<(), Error> {
        self.expect(&Token::LParen)?;
        let mut depth = 1_u32;
        while depth > 0 {
            match self.peek() {
                Some(Token::LParen) => depth += 1,
                Some(Token::RParen) => depth -= 1,
                None => return Err(self.wrong(")")),
                Some(_) => {}
            }
            self.at += 1;
        }
        Ok(())
    }

    /// Skips to the statement's end.
    fn skip_statement(&mut self) {
        while let Some(token) = self.peek() {
            if matches!(token, Token::SemiColon)
                || matches!(token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case("GO"))
            {
                return;
            }
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests;
