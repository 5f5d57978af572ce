//! The SQL literals of the golden files.

use std::{borrow::Cow, fmt};

use mapping::{
    catalog::{Column, SqlType},
    value::{Decimal, LegacyValue, TICKS_PER_SECOND},
};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::Value;

use crate::debezium::time::DAY;

#[derive(Deserialize)]
pub(super) struct Field {
    #[serde(rename = "type")]
    pub(super) sql_type: SqlType,
    sql: Option<String>,
    #[serde(default)]
    pub(super) not_null: bool,
}

/// Columns in the file's order, which is the table's.
#[derive(Default)]
pub(super) struct Fields(pub(super) Vec<(String, Field)>);

/// The names of an object's fields, in order.
#[derive(Default)]
pub(super) struct Names(pub(super) Vec<String>);

struct Ordered<V>(std::marker::PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for Ordered<V> {
    type Value = Vec<(String, V)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(fields)
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Ordered(std::marker::PhantomData)).map(Self)
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ordered = Ordered::<IgnoredAny>(std::marker::PhantomData);
        let fields = deserializer.deserialize_map(ordered)?;
        Ok(Self(fields.into_iter().map(|(name, _)| name).collect()))
    }
}

impl Fields {
    pub(super) fn values(&self) -> Vec<LegacyValue<'_>> {
        let value = |(_, field): &'_ (String, Field)| match &field.sql {
            Some(sql) => value(&field.sql_type, sql).into_owned(),
            None => LegacyValue::Null,
        };
        self.0.iter().map(value).collect()
    }
}

fn value<'a>(sql_type: &SqlType, sql: &'a str) -> LegacyValue<'a> {
    match sql_type {
        SqlType::Bit => LegacyValue::Bool(sql == "1"),
        SqlType::TinyInt | SqlType::SmallInt | SqlType::Int | SqlType::BigInt => {
            LegacyValue::Int(sql.parse().unwrap())
        }
        SqlType::Real => LegacyValue::Float(sql.parse::<f32>().unwrap().into()),
        SqlType::Float => LegacyValue::Float(sql.parse().unwrap()),
        SqlType::Decimal { .. } | SqlType::Money | SqlType::SmallMoney => {
            let scale = sql.split_once('.').map_or(0, |(_, fraction)| fraction.len());
            let unscaled = sql.replace('.', "").parse().unwrap();
            LegacyValue::Decimal(Decimal { unscaled, scale: scale.try_into().unwrap() })
        }
        SqlType::Date => LegacyValue::Date(date(sql).try_into().unwrap()),
        SqlType::Time { .. } => LegacyValue::Time(time(sql)),
        SqlType::DateTime | SqlType::SmallDateTime | SqlType::DateTime2 { .. } => {
            LegacyValue::Timestamp(timestamp(sql))
        }
        SqlType::DateTimeOffset { .. } => {
            let (local, offset) = sql.rsplit_once(' ').unwrap();
            let (hours, minutes) = offset.split_once(':').unwrap();
            let minutes: i64 = minutes.parse().unwrap();
            let hours: i64 = hours.parse().unwrap();
            let east = hours * 60 + if offset.starts_with('-') { -minutes } else { minutes };
            LegacyValue::TimestampOffset {
                utc_ticks: timestamp(local) - east * 60 * TICKS_PER_SECOND,
                offset_minutes: east.try_into().unwrap(),
            }
        }
        SqlType::Char { length } | SqlType::NChar { length } => {
            LegacyValue::Text(Cow::Owned(format!("{sql:<width$}", width = usize::from(*length))))
        }
        SqlType::Binary { length } => {
            let mut bytes = bytes(sql);
            bytes.resize(usize::from(*length), 0);
            LegacyValue::Bytes(Cow::Owned(bytes))
        }
        SqlType::VarBinary { .. } | SqlType::Image | SqlType::RowVersion => {
            LegacyValue::Bytes(Cow::Owned(bytes(sql)))
        }
        SqlType::UniqueIdentifier => LegacyValue::Guid(sql.parse().unwrap()),
        // The one literal with a lone surrogate; elsewhere U+FFFD is itself.
        _ if sql == "a\u{FFFD}b" => LegacyValue::BrokenText(Cow::Borrowed(sql)),
        _ => LegacyValue::Text(Cow::Borrowed(sql)),
    }
}

fn date(text: &str) -> i64 {
    let date: chrono::NaiveDate = text.parse().unwrap();
    (date - chrono::NaiveDate::default()).num_days()
}

fn time(text: &str) -> i64 {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let parts: Vec<i64> = seconds.split(':').map(|part| part.parse().unwrap()).collect();
    let [hour, minute, second] = parts.as_slice() else { panic!("{text}") };
    let fraction: i64 = format!("{fraction:0<7}").parse().unwrap();
    (hour * 3_600 + minute * 60 + second) * TICKS_PER_SECOND + fraction
}

fn timestamp(text: &str) -> i64 {
    let (day, clock) = text.split_once(' ').unwrap();
    date(day) * DAY + time(clock)
}

fn bytes(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .skip(2)
        .map(|d| char::from(d).to_digit(16).unwrap().try_into().unwrap())
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// A column from a schema change record.
pub(super) fn column(json: &Value) -> Column {
    let name = json["typeName"].as_str().unwrap();
    let (base, identity) = match name.split_once(' ') {
        Some((base, _)) => (base, true),
        None => (name, false),
    };
    let sql_type = match (base, json["scale"].as_u64()) {
        ("decimal" | "numeric", Some(scale)) => format!("{base}({},{scale})", json["length"]),
        ("time" | "datetime2" | "datetimeoffset", Some(scale)) => format!("{base}({scale})"),
        _ => format!("{base}({})", json["length"]),
    };
    Column {
        name: json["name"].as_str().unwrap().to_owned(),
        sql_type: sql_type.parse().unwrap(),
        nullable: json["optional"].as_bool().unwrap(),
        collation: None,
        computed: false,
        identity,
    }
}
