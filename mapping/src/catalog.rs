//! The legacy database's catalogue, as plain data: read over TDS by `legacy`, saved as JSON,
//! or made from DDL by the sandbox.

use serde::{Deserialize, Serialize};

/// A table's name: schema and table, as the legacy database spells them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LegacyTable {
    /// `dbo` in most databases.
    pub schema: String,
    /// The table.
    pub name: String,
}

impl LegacyTable {
    /// From schema and name.
    #[must_use]
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self { schema: schema.into(), name: name.into() }
    }
}

impl std::fmt::Display for LegacyTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// A column's type. `None` as a length is `max`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the variants are SQL Server's own names")]
pub enum SqlType {
    Bit,
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    Decimal {
        precision: u8,
        scale: u8,
    },
    Money,
    SmallMoney,
    Real,
    Float,
    Date,
    Time {
        scale: u8,
    },
    DateTime,
    SmallDateTime,
    DateTime2 {
        scale: u8,
    },
    DateTimeOffset {
        scale: u8,
    },
    Char {
        length: u16,
    },
    VarChar {
        length: Option<u16>,
    },
    NChar {
        length: u16,
    },
    NVarChar {
        length: Option<u16>,
    },
    Text,
    NText,
    Binary {
        length: u16,
    },
    VarBinary {
        length: Option<u16>,
    },
    Image,
    UniqueIdentifier,
    Xml,
    RowVersion,
    /// Anything else, by its name: readable by nobody here.
    Other(String),
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// As the catalogue spells it.
    pub name: String,
    /// Written and saved as SQL Server writes it, such as `nvarchar(20)`.
    #[serde(rename = "type")]
    pub sql_type: SqlType,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// The collation of character columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation: Option<String>,
    /// Whether the value is computed (CDC always says NULL for it).
    #[serde(default)]
    pub computed: bool,
    /// Whether it is an identity column.
    #[serde(default)]
    pub identity: bool,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its name.
    #[serde(flatten)]
    pub table: LegacyTable,
    /// In table order.
    pub columns: Vec<Column>,
    /// Column names in the key's own order; empty for a table without a primary key.
    pub primary_key: Vec<String>,
    /// The name of its (newest) capture instance, where CDC captures it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture_instance: Option<String>,
    /// The columns that the capture instance carries: fixed when it was made, so a column added
    /// since is missing. Empty without an instance, or when nobody asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub captured_columns: Vec<String>,
    /// Unique indexes and constraints beside the primary key, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unique_indexes: Vec<UniqueIndex>,
    /// Foreign keys, by name. XPO's are untrusted, so orphans are possible all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign_keys: Vec<ForeignKey>,
}

/// A unique index or constraint. SQL Server's takes NULLs as equal (trap 4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UniqueIndex {
    /// Its name.
    pub name: String,
    /// Column names, in the index's order.
    pub columns: Vec<String>,
    /// Its `WHERE`, as the catalogue prints it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    /// Its name.
    pub name: String,
    /// The referring columns.
    pub columns: Vec<String>,
    /// The table referred to.
    pub references: LegacyTable,
    /// The columns referred to, in the order of `columns`.
    pub referenced_columns: Vec<String>,
}

impl Table {
    /// A table of which nothing but columns and key is known.
    #[must_use]
    pub fn new(table: LegacyTable, columns: Vec<Column>, primary_key: Vec<String>) -> Self {
        Self {
            table,
            columns,
            primary_key,
            capture_instance: None,
            captured_columns: Vec::new(),
            unique_indexes: Vec::new(),
            foreign_keys: Vec::new(),
        }
    }

    /// A column by name, without regard to case.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }
}

/// A database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    /// The database's name.
    pub database: String,
    /// Its default collation.
    pub collation: String,
    /// Its tables, sorted by name.
    pub tables: Vec<Table>,
}

impl Catalog {
    /// A table by name, without regard to case.
    #[must_use]
    pub fn table(&self, name: &LegacyTable) -> Option<&Table> {
        self.tables.iter().find(|candidate| {
            candidate.table.schema.eq_ignore_ascii_case(&name.schema)
                && candidate.table.name.eq_ignore_ascii_case(&name.name)
        })
    }
}

impl SqlType {
    /// Whether CDC may leave the column out of an update's image (trap 10): `(max)` types,
    /// `text`, `ntext`, `image` and `xml`.
    #[must_use]
    pub fn is_lob(&self) -> bool {
        matches!(
            self,
            Self::VarChar { length: None }
                | Self::NVarChar { length: None }
                | Self::VarBinary { length: None }
                | Self::Text
                | Self::NText
                | Self::Image
                | Self::Xml
        )
    }
}

impl std::fmt::Display for SqlType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sized = |f: &mut std::fmt::Formatter<'_>, name: &str, length: &Option<u16>| match length
        {
            Some(length) => write!(f, "{name}({length})"),
            None => write!(f, "{name}(max)"),
        };
        match self {
            Self::Bit => f.write_str("bit"),
            Self::TinyInt => f.write_str("tinyint"),
            Self::SmallInt => f.write_str("smallint"),
            Self::Int => f.write_str("int"),
            Self::BigInt => f.write_str("bigint"),
            Self::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            Self::Money => f.write_str("money"),
            Self::SmallMoney => f.write_str("smallmoney"),
            Self::Real => f.write_str("real"),
            Self::Float => f.write_str("float"),
            Self::Date => f.write_str("date"),
            Self::Time { scale } => write!(f, "time({scale})"),
            Self::DateTime => f.write_str("datetime"),
            Self::SmallDateTime => f.write_str("smalldatetime"),
            Self::DateTime2 { scale } => write!(f, "datetime2({scale})"),
            Self::DateTimeOffset { scale } => write!(f, "datetimeoffset({scale})"),
            Self::Char { length } => write!(f, "char({length})"),
            Self::VarChar { length } => sized(f, "varchar", length),
            Self::NChar { length } => write!(f, "nchar({length})"),
            Self::NVarChar { length } => sized(f, "nvarchar", length),
            Self::Text => f.write_str("text"),
            Self::NText => f.write_str("ntext"),
            Self::Binary { length } => write!(f, "binary({length})"),
            Self::VarBinary { length } => sized(f, "varbinary", length),
            Self::Image => f.write_str("image"),
            Self::UniqueIdentifier => f.write_str("uniqueidentifier"),
            Self::Xml => f.write_str("xml"),
            Self::RowVersion => f.write_str("rowversion"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

impl std::str::FromStr for SqlType {
    type Err = std::convert::Infallible;

    /// Reads SQL Server's spelling; what it does not know becomes [`SqlType::Other`].
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.trim().to_ascii_lowercase();
        let (name, arguments) = match lower.split_once('(') {
            Some((name, rest)) => (name.trim(), rest.trim_end_matches(')').trim()),
            None => (lower.as_str(), ""),
        };
        let mut numbers = arguments.split(',').map(|n| n.trim().parse::<u16>().ok());
        let first = numbers.next().flatten();
        let second = numbers.next().flatten();
        let small = |number: Option<u16>, default: u8| {
            number.map_or(default, |n| u8::try_from(n).unwrap_or(default))
        };
        let length = if arguments == "max" { None } else { Some(first.unwrap_or(1)) };
        Ok(match name {
            "bit" => Self::Bit,
            "tinyint" => Self::TinyInt,
            "smallint" => Self::SmallInt,
            "int" | "integer" => Self::Int,
            "bigint" => Self::BigInt,
            "decimal" | "numeric" => {
                Self::Decimal { precision: small(first, 18), scale: small(second, 0) }
            }
            "money" => Self::Money,
            "smallmoney" => Self::SmallMoney,
            "real" => Self::Real,
            "float" | "double precision" => Self::Float,
            "date" => Self::Date,
            "time" => Self::Time { scale: small(first, 7) },
            "datetime" => Self::DateTime,
            "smalldatetime" => Self::SmallDateTime,
            "datetime2" => Self::DateTime2 { scale: small(first, 7) },
            "datetimeoffset" => Self::DateTimeOffset { scale: small(first, 7) },
            "char" => Self::Char { length: first.unwrap_or(1) },
            "varchar" => Self::VarChar { length },
            "nchar" => Self::NChar { length: first.unwrap_or(1) },
            "nvarchar" | "sysname" => Self::NVarChar { length },
            "text" => Self::Text,
            "ntext" => Self::NText,
            "binary" => Self::Binary { length: first.unwrap_or(1) },
            "varbinary" => Self::VarBinary { length },
            "image" => Self::Image,
            "uniqueidentifier" => Self::UniqueIdentifier,
            "xml" => Self::Xml,
            "rowversion" | "timestamp" => Self::RowVersion,
            _ => Self::Other(lower),
        })
    }
}

impl Serialize for SqlType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SqlType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(text.parse().unwrap_or(Self::Other(text)))
    }
}
