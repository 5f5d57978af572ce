//! Columns and their types, as `sys.columns` tells them.

use mapping::catalog::{Column, SqlType};

use super::Answer;

/// A column as `sys.columns` tells it.
#[derive(Debug, Clone)]
pub(super) struct RawColumn {
    name: String,
    type_name: String,
    /// In bytes; -1 for `max`.
    max_length: i64,
    precision: i64,
    scale: i64,
    nullable: bool,
    identity: bool,
    computed: bool,
    collation: Option<String>,
}

impl RawColumn {
    pub(super) fn read(row: &mut Answer) -> Option<Self> {
        Some(Self {
            name: row.text()?,
            type_name: row.text()?,
            max_length: row.integer()?,
            precision: row.integer()?,
            scale: row.integer()?,
            nullable: row.boolean()?,
            identity: row.boolean()?,
            computed: row.boolean()?,
            collation: row.text(),
        })
    }

    pub(super) fn refine(self) -> Column {
        Column {
            sql_type: self.sql_type(),
            name: self.name,
            nullable: self.nullable,
            collation: self.collation,
            computed: self.computed,
            identity: self.identity,
        }
    }

    fn sql_type(&self) -> SqlType {
        let length = u16::try_from(self.max_length).ok();
        let units = length.map(|bytes| bytes / 2);
        let scale = u8::try_from(self.scale).unwrap_or_default();
        let precision = u8::try_from(self.precision).unwrap_or_default();
        match self.type_name.to_ascii_lowercase().as_str() {
            "decimal" | "numeric" => SqlType::Decimal { precision, scale },
            "time" => SqlType::Time { scale },
            "datetime2" => SqlType::DateTime2 { scale },
            "datetimeoffset" => SqlType::DateTimeOffset { scale },
            "char" => SqlType::Char { length: length.unwrap_or_default() },
            "varchar" => SqlType::VarChar { length },
            "nchar" => SqlType::NChar { length: units.unwrap_or_default() },
            "nvarchar" | "sysname" => SqlType::NVarChar { length: units },
            "binary" => SqlType::Binary { length: length.unwrap_or_default() },
            "varbinary" => SqlType::VarBinary { length },
            // `float(24)` is `real` in the catalogue; the others need no size.
            name => name.parse().unwrap_or_else(|_: std::convert::Infallible| {
                SqlType::Other(self.type_name.clone())
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(type_name: &str, (max_length, precision, scale): (i64, i64, i64), expect: &str) {
        let raw = RawColumn {
            name: "c".to_owned(),
            type_name: type_name.to_owned(),
            max_length,
            precision,
            scale,
            nullable: true,
            identity: false,
            computed: false,
            collation: None,
        };
        assert_eq!(raw.refine().sql_type.to_string(), expect);
    }

    #[test]
    fn catalogue_numbers_become_types() {
        check("nvarchar", (40, 0, 0), "nvarchar(20)");
        check("nvarchar", (-1, 0, 0), "nvarchar(max)");
        check("varbinary", (-1, 0, 0), "varbinary(max)");
        check("varchar", (30, 0, 0), "varchar(30)");
        check("nchar", (6, 0, 0), "nchar(3)");
        check("decimal", (13, 28, 10), "decimal(28,10)");
        check("numeric", (5, 3, 0), "decimal(3,0)");
        check("money", (8, 19, 4), "money");
        check("datetime", (8, 23, 3), "datetime");
        check("datetime2", (8, 27, 7), "datetime2(7)");
        check("time", (3, 8, 0), "time(0)");
        check("timestamp", (8, 0, 0), "rowversion");
        check("uniqueidentifier", (16, 0, 0), "uniqueidentifier");
        check("ntext", (16, 0, 0), "ntext");
        check("geography", (-1, 0, 0), "geography");
    }
}
