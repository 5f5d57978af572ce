//! The statements themselves.

use mapping::catalog::{ForeignKey, LegacyTable, UniqueIndex};
use sqlparser::tokenizer::Token;

use super::{ColumnDefinition, Error, Reader, TableDefinition};

impl Reader {
    pub(super) fn statement(&mut self, tables: &mut Vec<TableDefinition>) -> Result<(), Error> {
        if self.take(&Token::SemiColon) || self.take_word("GO") {
            return Ok(());
        }
        if self.take_word("SET") || self.take_word("USE") {
            self.skip_statement();
            return Ok(());
        }
        if self.take_words(&["CREATE", "TABLE"]) {
            tables.push(self.create_table()?);
            return Ok(());
        }
        if self.take_word("CREATE") {
            return self.create_index(tables);
        }
        if self.take_words(&["ALTER", "TABLE"]) {
            return self.alter_table(tables);
        }
        Err(self.wrong("CREATE TABLE, CREATE INDEX or ALTER TABLE"))
    }

    fn create_table(&mut self) -> Result<TableDefinition, Error> {
        let (schema, name) = self.table_name()?;
        let mut table = TableDefinition { schema, name, ..TableDefinition::default() };
        self.expect(&Token::LParen)?;
        loop {
            let name = self.constraint_name()?;
            if !self.table_constraint(name, &mut table)? {
                self.column(&mut table)?;
            }
            if self.take(&Token::RParen) {
                break;
            }
            self.expect(&Token::Comma)?;
        }
        while self.take_word("ON") || self.take_word("TEXTIMAGE_ON") {
            self.identifier()?;
        }
        Ok(table)
    }

    /// `CONSTRAINT name`, or no name: the catalogue shows one that SQL Server made up then.
    fn constraint_name(&mut self) -> Result<Option<String>, Error> {
        if self.take_word("CONSTRAINT") { self.identifier().map(Some) } else { Ok(None) }
    }

    /// A constraint after its name; `false` when there is none here.
    fn table_constraint(
        &mut self,
        name: Option<String>,
        table: &mut TableDefinition,
    ) -> Result<bool, Error> {
        if self.take_words(&["PRIMARY", "KEY"]) {
            let _ = self.take_word("CLUSTERED") || self.take_word("NONCLUSTERED");
            table.primary_key = self.column_list()?;
        } else if self.take_word("UNIQUE") {
            let _ = self.take_word("CLUSTERED") || self.take_word("NONCLUSTERED");
            let columns = self.column_list()?;
            push_unique(name, columns, table);
        } else if self.take_words(&["FOREIGN", "KEY"]) {
            let columns = self.column_list()?;
            self.expect_words(&["REFERENCES"])?;
            self.references(name, columns, table)?;
            return Ok(true);
        } else if self.take_word("CHECK") {
            self.take_words(&["NOT", "FOR", "REPLICATION"]);
            self.skip_parentheses()?;
            return Ok(true);
        } else {
            return Ok(false);
        }
        self.index_options()?;
        Ok(true)
    }

    fn references(
        &mut self,
        name: Option<String>,
        columns: Vec<String>,
        table: &mut TableDefinition,
    ) -> Result<(), Error> {
        let (schema, referenced) = self.table_name()?;
        let mut referenced_columns = Vec::new();
        if self.peek() == Some(&Token::LParen) {
            referenced_columns = self.column_list()?;
        }
        let name =
            name.unwrap_or_else(|| format!("FK__{}__{}", table.name, table.foreign_keys.len()));
        let references = LegacyTable::new(schema, referenced);
        table.foreign_keys.push(ForeignKey { name, columns, references, referenced_columns });
        while self.take_words(&["ON", "DELETE"]) || self.take_words(&["ON", "UPDATE"]) {
            let known =
                [&["NO", "ACTION"][..], &["CASCADE"], &["SET", "NULL"], &["SET", "DEFAULT"]];
            if !known.iter().any(|words| self.take_words(words)) {
                return Err(self.wrong("a referential action"));
            }
        }
        self.take_words(&["NOT", "FOR", "REPLICATION"]);
        Ok(())
    }

    fn index_options(&mut self) -> Result<(), Error> {
        if self.take_word("WITH") {
            self.skip_parentheses()?;
        }
        if self.take_word("ON") {
            self.identifier()?;
        }
        Ok(())
    }

    fn column(&mut self, table: &mut TableDefinition) -> Result<(), Error> {
        let name = self.identifier()?;
        if self.take_word("AS") {
            self.at -= 1;
            return Err(self.wrong("a type (computed columns are not simulated)"));
        }
        let mut type_name = self.identifier()?;
        if type_name.eq_ignore_ascii_case("double") && self.take_word("PRECISION") {
            type_name.push_str(" precision");
        }
        if self.take(&Token::LParen) {
            type_name.push('(');
            while !self.take(&Token::RParen) {
                let part = self.peek().map(ToString::to_string);
                type_name.push_str(&part.ok_or_else(|| self.wrong(")"))?);
                self.at += 1;
            }
            type_name.push(')');
        }
        let mut column =
            ColumnDefinition { name, type_name, nullable: true, identity: false, collation: None };
        while !matches!(self.peek(), None | Some(Token::Comma | Token::RParen)) {
            self.column_attribute(&mut column, table)?;
        }
        table.columns.push(column);
        Ok(())
    }

    fn column_attribute(
        &mut self,
        column: &mut ColumnDefinition,
        table: &mut TableDefinition,
    ) -> Result<(), Error> {
        if self.take_words(&["NOT", "FOR", "REPLICATION"])
            || self.take_word("ROWGUIDCOL")
            || self.take_word("SPARSE")
            || self.take_word("NULL")
        {
            return Ok(());
        }
        if self.take_words(&["NOT", "NULL"]) {
            column.nullable = false;
        } else if self.take_word("IDENTITY") {
            column.identity = true;
            if self.peek() == Some(&Token::LParen) {
                self.skip_parentheses()?;
            }
        } else if self.take_word("COLLATE") {
            column.collation = Some(self.identifier()?);
        } else if self.take_word("CONSTRAINT") {
            self.identifier()?;
        } else if self.take_words(&["PRIMARY", "KEY"]) {
            let _ = self.take_word("CLUSTERED") || self.take_word("NONCLUSTERED");
            table.primary_key = vec![column.name.clone()];
            self.index_options()?;
        } else if self.take_word("UNIQUE") {
            let _ = self.take_word("CLUSTERED") || self.take_word("NONCLUSTERED");
            push_unique(None, vec![column.name.clone()], table);
            self.index_options()?;
        } else if self.take_word("REFERENCES") {
            self.references(None, vec![column.name.clone()], table)?;
        } else if self.take_word("CHECK") {
            self.skip_parentheses()?;
        } else if self.take_word("DEFAULT") {
            self.default()?;
        } else {
            return Err(self.wrong("a column attribute"));
        }
        Ok(())
    }

    /// `(…)`, a literal, or a function call.
    fn default(&mut self) -> Result<(), Error> {
        if self.peek() != Some(&Token::LParen) {
            self.at += 1;
        }
        if self.peek() == Some(&Token::LParen) {
            self.skip_parentheses()?;
        }
        Ok(())
    }

    fn create_index(&mut self, tables: &mut [TableDefinition]) -> Result<(), Error> {
        let unique = self.take_word("UNIQUE");
        let _ = self.take_word("CLUSTERED") || self.take_word("NONCLUSTERED");
        self.expect_words(&["INDEX"])?;
        let index = self.identifier()?;
        self.expect_words(&["ON"])?;
        let (schema, name) = self.table_name()?;
        let columns = self.column_list()?;
        if self.take_word("INCLUDE") {
            self.skip_parentheses()?;
        }
        let filter = if self.take_word("WHERE") { Some(self.filter()?) } else { None };
        self.index_options()?;
        let table = self.find(tables, &schema, &name)?;
        if unique {
            table.unique.push(UniqueIndex { name: index, columns, filter });
        }
        Ok(())
    }

    /// A filter in parentheses, as the catalogue prints it: `([a] IS NOT NULL)`.
    fn filter(&mut self) -> Result<String, Error> {
        let begin = self.at;
        self.skip_parentheses()?;
        let tokens = self.tokens.get(begin..self.at).unwrap_or_default();
        let words: Vec<String> = tokens.iter().map(|token| token.token.to_string()).collect();
        Ok(words.join(" ").replace("( ", "(").replace(" )", ")"))
    }

    fn alter_table(&mut self, tables: &mut [TableDefinition]) -> Result<(), Error> {
        let (schema, name) = self.table_name()?;
        let _ = self.take_words(&["WITH", "NOCHECK"]) || self.take_words(&["WITH", "CHECK"]);
        let table = self.find(tables, &schema, &name)?;
        if self.take_words(&["CHECK", "CONSTRAINT"]) || self.take_words(&["NOCHECK", "CONSTRAINT"])
        {
            self.identifier()?;
            return Ok(());
        }
        self.expect_words(&["ADD"])?;
        let name = self.constraint_name()?;
        if self.take_word("DEFAULT") {
            self.default()?;
            self.expect_words(&["FOR"])?;
            self.identifier()?;
            return Ok(());
        }
        if self.table_constraint(name, table)? { Ok(()) } else { Err(self.wrong("a constraint")) }
    }

    fn find<'t>(
        &self,
        tables: &'t mut [TableDefinition],
        schema: &str,
        name: &str,
    ) -> Result<&'t mut TableDefinition, Error> {
        tables
            .iter_mut()
            .find(|table| {
                table.schema.eq_ignore_ascii_case(schema) && table.name.eq_ignore_ascii_case(name)
            })
            .ok_or_else(|| self.wrong("an index or constraint of a table above"))
    }
}

fn push_unique(name: Option<String>, columns: Vec<String>, table: &mut TableDefinition) {
    let name = name.unwrap_or_else(|| format!("UQ__{}__{}", table.name, table.unique.len()));
    table.unique.push(UniqueIndex { name, columns, filter: None });
}
