//! The same tables and rows, for another server: T-SQL that makes them there.

use mapping::{
    catalog::{Column, SqlType, Table},
    value::LegacyValue,
};

use super::{Database, Error, MARKER_TABLE};

/// Rows of one statement. SQL Server takes a thousand; parsers of others get slow long before.
const ROWS_MAX: usize = 100;

impl Database {
    /// Statements that make what this database has in an empty one: tables, rows, and then indexes
    /// and foreign keys, which therefore hold for later rows only, as XPO's do. Text columns get the
    /// collation that they have here, whatever is the other server's usual one. The marker's table
    /// is not made.
    ///
    /// # Errors
    /// None that a database of this kind can have.
    pub fn script(&self) -> Result<Vec<String>, Error> {
        let mut tables = self.catalog().tables;
        tables.retain(|table| table.table.name != MARKER_TABLE);
        let mut script: Vec<String> = tables.iter().map(create).collect();
        for table in &tables {
            for rows in self.rows(&table.table.to_string())?.chunks(ROWS_MAX) {
                script.push(insert(table, rows));
            }
        }
        script.extend(tables.iter().flat_map(indexes));
        script.extend(tables.iter().flat_map(foreign_keys));
        Ok(script)
    }
}

fn quoted(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
}

fn name(table: &Table) -> String {
    format!("{}.{}", quoted(&table.table.schema), quoted(&table.table.name))
}

fn create(table: &Table) -> String {
    let column = |column: &Column| {
        let mut text = format!("{} {}", quoted(&column.name), column.sql_type);
        if let Some(collation) = &column.collation {
            text.push_str(&format!(" COLLATE {collation}"));
        }
        if column.identity {
            text.push_str(" IDENTITY(1,1)");
        }
        text.push_str(if column.nullable { " NULL" } else { " NOT NULL" });
        text
    };
    let mut parts: Vec<String> = table.columns.iter().map(column).collect();
    if !table.primary_key.is_empty() {
        let key = quoted(&format!("PK_{}", table.table.name));
        parts
            .push(format!("CONSTRAINT {key} PRIMARY KEY CLUSTERED ({})", list(&table.primary_key)));
    }
    format!("CREATE TABLE {} ({})", name(table), parts.join(", "))
}

fn insert(table: &Table, rows: &[Vec<LegacyValue<'static>>]) -> String {
    let row = |row: &Vec<LegacyValue<'static>>| {
        let values = row.iter().zip(&table.columns);
        let values: Vec<String> = values.map(|(v, c)| literal(v, &c.sql_type)).collect();
        format!("({})", values.join(", "))
    };
    let rows: Vec<String> = rows.iter().map(row).collect();
    let columns: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
    let (table_name, columns) = (name(table), list(&columns));
    let insert = format!("INSERT INTO {table_name} ({columns}) VALUES {}", rows.join(", "));
    if table.columns.iter().any(|column| column.identity) {
        let identity = |state| format!("SET IDENTITY_INSERT {table_name} {state}");
        format!("{}; {insert}; {}", identity("ON"), identity("OFF"))
    } else {
        insert
    }
}

fn indexes(table: &Table) -> Vec<String> {
    let index = |index: &mapping::catalog::UniqueIndex| {
        let filter = index.filter.as_ref().map_or_else(String::new, |f| format!(" WHERE {f}"));
        let (index, columns) = (quoted(&index.name), list(&index.columns));
        format!("CREATE UNIQUE NONCLUSTERED INDEX {index} ON {} ({columns}){filter}", name(table))
    };
    table.unique_indexes.iter().map(index).collect()
}

fn foreign_keys(table: &Table) -> Vec<String> {
    let key = |key: &mapping::catalog::ForeignKey| {
        format!(
            "ALTER TABLE {} WITH NOCHECK ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {}.{} ({})",
            name(table),
            quoted(&key.name),
            list(&key.columns),
            quoted(&key.references.schema),
            quoted(&key.references.name),
            list(&key.referenced_columns),
        )
    };
    table.foreign_keys.iter().map(key).collect()
}

/// A value as it is written for a column.
fn literal(value: &LegacyValue<'_>, sql_type: &SqlType) -> String {
    match value {
        LegacyValue::Null | LegacyValue::Unchanged => "NULL".to_owned(),
        LegacyValue::Bool(_) | LegacyValue::Int(_) | LegacyValue::Decimal(_) => value.to_string(),
        LegacyValue::Float(value) => format!("CAST('{value:e}' AS float)"),
        LegacyValue::Text(text) => text_literal(text),
        // How it was broken is not kept: any lone surrogate will do.
        LegacyValue::BrokenText(text) => {
            text_literal(text).replace(char::REPLACEMENT_CHARACTER, "' + NCHAR(55357) + N'")
        }
        LegacyValue::Bytes(bytes) => {
            let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            format!("0x{}", digits.concat())
        }
        LegacyValue::Guid(guid) => format!("'{guid}'"),
        LegacyValue::Date(_) => format!("CONVERT(date, '{value}', 23)"),
        LegacyValue::Time(_) => format!("CONVERT({sql_type}, '{}')", digits(value, 7)),
        LegacyValue::Timestamp(_) => {
            let most = if matches!(sql_type, SqlType::DateTime2 { .. }) { 7 } else { 3 };
            format!("CONVERT({sql_type}, '{}', 121)", digits(value, most).replacen('T', " ", 1))
        }
        LegacyValue::TimestampOffset { utc_ticks, offset_minutes } => {
            let utc = digits(&LegacyValue::Timestamp(*utc_ticks), 7);
            format!("SWITCHOFFSET(CONVERT({sql_type}, '{utc}Z', 127), {offset_minutes})")
        }
    }
}

/// Some servers take a NUL for the end.
fn text_literal(text: &str) -> String {
    format!("N'{}'", text.replace('\'', "''").replace('\0', "' + NCHAR(0) + N'"))
}

/// A time in ISO 8601, with so many digits of a second at most: the server refuses more than it keeps.
fn digits(value: &LegacyValue<'_>, most: usize) -> String {
    let text = value.to_string();
    match text.split_once('.') {
        Some((whole, fraction)) => {
            format!("{whole}.{}", fraction.chars().take(most).collect::<String>())
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use mapping::value::Decimal;
    use uuid::Uuid;

    use super::*;

    const DDL: &str = "
CREATE TABLE [dbo].[Owner]([Oid] int IDENTITY(1,1) NOT NULL, [Name] nvarchar(9) NULL,
  CONSTRAINT [PK_Owner] PRIMARY KEY CLUSTERED ([Oid]));
CREATE TABLE [dbo].[Odd]([K]]ey] nvarchar(4) COLLATE Cyrillic_General_CS_AS NOT NULL, [At] datetime NOT NULL, [Exact] datetime2(7) NULL,
  [Day] date NULL, [Hour] time(3) NULL, [Zone] datetimeoffset(7) NULL, [Sum] money NULL, [Rate] float NULL, [Is] bit NULL,
  [Raw] varbinary(8) NULL, [Id] uniqueidentifier NULL, [Owner] int NULL, CONSTRAINT [PK_Odd] PRIMARY KEY CLUSTERED ([K]]ey],[At]));
CREATE UNIQUE NONCLUSTERED INDEX [iId_Odd] ON [dbo].[Odd]([Id]) WHERE ([Id] IS NOT NULL);
ALTER TABLE [dbo].[Odd] WITH NOCHECK ADD CONSTRAINT [FK_Odd_Owner] FOREIGN KEY([Owner]) REFERENCES [dbo].[Owner]([Oid]) NOT FOR REPLICATION;
GO
";

    /// A tick is 100 ns; `datetime` steps by 1/300 s, and is written to the millisecond.
    const MOMENT: i64 = 17_092_124_551_234_567;

    #[test]
    fn tables_and_rows_are_written_as_another_server_reads_them() {
        let database = Database::from_ddl("Legacy", "Cyrillic_General_CI_AS", DDL).expect("known");
        let owner = vec![LegacyValue::Int(7), LegacyValue::Text("Бат's".into())];
        database.load("dbo.Owner", [owner]).expect("it fits");
        let row = vec![
            LegacyValue::Text("a\0Ж ".into()),
            LegacyValue::Timestamp(MOMENT - 4_567),
            LegacyValue::Timestamp(MOMENT),
            LegacyValue::Date(-1),
            LegacyValue::Time(36_610_070_000),
            LegacyValue::TimestampOffset { utc_ticks: MOMENT, offset_minutes: -90 },
            LegacyValue::Decimal(Decimal { unscaled: -5, scale: 4 }),
            LegacyValue::Float(0.1),
            LegacyValue::Bool(true),
            LegacyValue::Bytes(vec![0, 0xAB].into()),
            LegacyValue::Guid(Uuid::from_u128(9)),
            LegacyValue::Int(8),
        ];
        database.load("dbo.Odd", [row]).expect("it fits");
        let script = database.script().expect("a script");
        insta::assert_snapshot!(script.join("\n"));
        let ddl: Vec<String> =
            script.into_iter().filter(|statement| !statement.contains("INSERT")).collect();
        let again = Database::from_ddl("Legacy", "Latin1_General_CI_AS", &ddl.join(";\n"));
        assert_eq!(again.expect("known").catalog().tables, database.catalog().tables);
        let broken = LegacyValue::BrokenText("a\u{FFFD}".into());
        let text = literal(&broken, &SqlType::NVarChar { length: None });
        assert_eq!(text, "N'a' + NCHAR(55357) + N''");
    }
}
