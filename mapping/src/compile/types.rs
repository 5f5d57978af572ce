//! Which legacy types a converter takes.

use crate::{
    catalog::SqlType,
    convert::{Content, Make},
};

/// A class of legacy types.
fn class(sql_type: &SqlType) -> &'static str {
    match sql_type {
        SqlType::Bit => "bit",
        SqlType::TinyInt | SqlType::SmallInt | SqlType::Int => "int",
        SqlType::BigInt => "bigint",
        SqlType::Decimal { .. } => "decimal",
        SqlType::Money | SqlType::SmallMoney => "money",
        SqlType::Real | SqlType::Float => "float",
        SqlType::Date => "date",
        SqlType::Time { .. } => "time",
        SqlType::DateTime | SqlType::SmallDateTime | SqlType::DateTime2 { .. } => "datetime",
        SqlType::DateTimeOffset { .. } => "datetimeoffset",
        SqlType::Char { .. }
        | SqlType::VarChar { .. }
        | SqlType::NChar { .. }
        | SqlType::NVarChar { .. }
        | SqlType::Text
        | SqlType::NText => "text",
        SqlType::Xml => "xml",
        SqlType::Binary { .. } | SqlType::VarBinary { .. } | SqlType::Image => "binary",
        SqlType::UniqueIdentifier => "uniqueidentifier",
        SqlType::RowVersion => "rowversion",
        SqlType::Other(_) => "other",
    }
}

/// The classes that a converter takes.
fn takes(make: &Make) -> &'static [&'static str] {
    match make {
        Make::Bool => &["bit", "int", "bigint"],
        Make::Int2 | Make::Int4 | Make::Int8 => &["int", "bigint", "bit", "decimal", "float"],
        Make::Float8 { .. } => &["float", "int"],
        Make::Numeric(_) | Make::Money(_) => {
            &["decimal", "money", "float", "int", "bigint", "text"]
        }
        Make::Text(_) | Make::Object(Content::Text(_)) => {
            &["text", "xml", "int", "bigint", "uniqueidentifier"]
        }
        Make::Concat(_) => &["text", "int", "bigint", "uniqueidentifier"],
        Make::Split(_) => &["text"],
        Make::Bytea | Make::XpoFile { .. } | Make::Object(_) => &["binary"],
        Make::Uuid => &["uniqueidentifier", "text"],
        Make::Date { .. } => &["date", "datetime"],
        Make::Time { .. } => &["time"],
        Make::Timestamp { .. } => &["datetime"],
        Make::Timestamptz { zone, .. } => match zone {
            Some(_) => &["datetime"],
            None => &["datetimeoffset"],
        },
        Make::Enum(_) => &["int", "bigint", "bit", "text"],
        Make::Flags(_) | Make::Color | Make::Type(_) => &["int", "bigint"],
        Make::Seconds => &["float", "int", "bigint"],
        // The compiler of look-ups looks closer.
        Make::Lookup(_) => &["int", "bigint", "text"],
        Make::Const { .. } | Make::Ref(_) | Make::DeletedAt => &[],
    }
}

/// What to do when a converter can't take a type; `None` when it can.
pub(super) fn refusal(make: &Make, sql_type: &SqlType) -> Option<String> {
    let class = class(sql_type);
    if takes(make).contains(&class) {
        return None;
    }
    Some(match (make, class) {
        (Make::Timestamptz { zone: None, .. }, "datetime") => {
            "a datetime is wall time: write zone = \"Asia/Ulaanbaatar\" or \"UTC\"".into()
        }
        (Make::Timestamptz { zone: Some(_), .. }, "datetimeoffset") => {
            "a datetimeoffset knows its offset: drop `zone`".into()
        }
        (Make::Timestamptz { .. }, "date") => "use as = \"date\"".into(),
        (_, "rowversion" | "other") => "leave it out, with the reason".into(),
        (make, _) => format!("it takes {}", takes(make).join(", ")),
    })
}
