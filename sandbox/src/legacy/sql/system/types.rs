//! How `sys.columns` describes types ([documented][types]).
//!
//! [types]: https://learn.microsoft.com/en-us/sql/relational-databases/system-catalog-views/sys-types-transact-sql

use mapping::catalog::SqlType;

use crate::legacy::codec::{decimal_length, time_length};

/// A row of `sys.columns`, its type's name included.
pub(super) struct Shape {
    pub(super) name: &'static str,
    /// In bytes; -1 is `max`.
    pub(super) max_length: i64,
    pub(super) precision: i64,
    pub(super) scale: i64,
}

pub(super) fn shape(sql_type: &SqlType) -> Shape {
    let shape = |name, max_length, precision, scale| Shape { name, max_length, precision, scale };
    let length = |length: &Option<u16>, unit: i64| length.map_or(-1, |n| i64::from(n) * unit);
    let time = |scale: u8, extra: u8| i64::from(time_length(scale) + extra);
    // `time(7)` has 16 characters: hh:mm:ss, a point, seven digits.
    let digits =
        |characters: i64, scale: u8| characters + i64::from(scale) + i64::from(u8::from(scale > 0));
    match sql_type {
        SqlType::Bit => shape("bit", 1, 1, 0),
        SqlType::TinyInt => shape("tinyint", 1, 3, 0),
        SqlType::SmallInt => shape("smallint", 2, 5, 0),
        SqlType::Int => shape("int", 4, 10, 0),
        SqlType::BigInt => shape("bigint", 8, 19, 0),
        SqlType::Decimal { precision, scale } => shape(
            "decimal",
            i64::from(decimal_length(*precision)),
            i64::from(*precision),
            i64::from(*scale),
        ),
        SqlType::Money => shape("money", 8, 19, 4),
        SqlType::SmallMoney => shape("smallmoney", 4, 10, 4),
        SqlType::Real => shape("real", 4, 24, 0),
        SqlType::Float => shape("float", 8, 53, 0),
        SqlType::Date => shape("date", 3, 10, 0),
        SqlType::Time { scale } => {
            shape("time", time(*scale, 0), digits(8, *scale), i64::from(*scale))
        }
        SqlType::DateTime => shape("datetime", 8, 23, 3),
        SqlType::SmallDateTime => shape("smalldatetime", 4, 16, 0),
        SqlType::DateTime2 { scale } => {
            shape("datetime2", time(*scale, 3), digits(19, *scale), i64::from(*scale))
        }
        SqlType::DateTimeOffset { scale } => {
            shape("datetimeoffset", time(*scale, 5), digits(26, *scale), i64::from(*scale))
        }
        SqlType::Char { length } => shape("char", i64::from(*length), 0, 0),
        SqlType::VarChar { length: n } => shape("varchar", length(n, 1), 0, 0),
        SqlType::NChar { length } => shape("nchar", i64::from(*length) * 2, 0, 0),
        SqlType::NVarChar { length: n } => shape("nvarchar", length(n, 2), 0, 0),
        SqlType::Text => shape("text", 16, 0, 0),
        SqlType::NText => shape("ntext", 16, 0, 0),
        SqlType::Binary { length } => shape("binary", i64::from(*length), 0, 0),
        SqlType::VarBinary { length: n } => shape("varbinary", length(n, 1), 0, 0),
        SqlType::Image => shape("image", 16, 0, 0),
        SqlType::UniqueIdentifier => shape("uniqueidentifier", 16, 0, 0),
        SqlType::Xml => shape("xml", -1, 0, 0),
        SqlType::RowVersion => shape("timestamp", 8, 0, 0),
        SqlType::Other(_) => shape("sql_variant", 8016, 0, 0),
    }
}
