//! One table as the connector writes it: names, schemas and the images of a row.

use std::sync::Arc;

use mapping::{
    catalog::{Column, SqlType, Table},
    value::LegacyValue,
};

use super::{
    Error, Settings, Times, schema, text,
    value::{self, Form},
};

/// Which of a change's images is written; change tables keep less of some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Image {
    /// A row read from the table itself.
    Read,
    Insert,
    Delete,
    UpdateBefore,
    UpdateAfter,
}

/// The update mask of a change: one bit a column, as `__$update_mask` stores it (the first
/// column is the lowest bit of the *last* byte).
#[derive(Debug, Clone, Default)]
pub(super) struct Mask {
    bytes: Vec<u8>,
    columns: usize,
}

impl Mask {
    /// All columns: the mask of inserts and deletes.
    pub(super) fn fill(&mut self, columns: usize) {
        self.set(columns, 0..columns);
    }

    /// Only these columns.
    pub(super) fn set(&mut self, columns: usize, changed: impl IntoIterator<Item = usize>) {
        self.columns = columns;
        self.bytes.clear();
        self.bytes.resize(columns.div_ceil(8), 0);
        for column in changed {
            if let Some(byte) = self.bytes.iter_mut().rev().nth(column / 8) {
                *byte |= 1 << (column % 8);
            }
        }
    }

    fn has(&self, column: usize) -> bool {
        self.bytes.iter().rev().nth(column / 8).is_some_and(|byte| byte & 1 << (column % 8) != 0)
    }

    /// Debezium 3.6.1 reads the bytes from the wrong end (dbz#2650), which shows in tables of
    /// more than eight columns.
    fn seems_to_have(&self, column: usize) -> bool {
        self.bytes.get(column / 8).is_some_and(|byte| byte & 1 << (column % 8) != 0)
    }
}

/// One column, ready to write.
#[derive(Debug)]
struct Field {
    /// `"name":`, with a comma before it except in the first field.
    label: String,
    name: String,
    form: Form,
    nullable: bool,
    computed: bool,
    lob: Lob,
    /// The column's index in the table.
    index: usize,
}

/// What change tables do with the column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lob {
    No,
    /// `varchar(max)` and its kin: NULL in an update that left them alone. The driver reports
    /// them as bounded types, so Debezium's placeholder never applies (dbz#2420).
    Max,
    /// `text`, `ntext`, `image`: also NULL in the image before.
    Old,
    /// `xml`: kept, but NULL gets the placeholder.
    Xml,
}

impl Lob {
    fn of(sql_type: &SqlType) -> Self {
        match sql_type {
            SqlType::VarChar { length: None }
            | SqlType::NVarChar { length: None }
            | SqlType::VarBinary { length: None } => Self::Max,
            SqlType::Text | SqlType::NText | SqlType::Image => Self::Old,
            SqlType::Xml => Self::Xml,
            _ => Self::No,
        }
    }

    /// Whether the change table holds the value.
    fn is_kept(self, image: Image, changed: bool) -> bool {
        match (self, image) {
            (Self::Max, Image::UpdateBefore | Image::UpdateAfter)
            | (Self::Old, Image::UpdateAfter) => changed,
            (Self::Old, Image::UpdateBefore | Image::Delete) => false,
            _ => true,
        }
    }
}

/// A table, compiled.
#[derive(Debug)]
pub(super) struct TableFormat {
    /// What it was compiled from.
    pub(super) table: Arc<Table>,
    pub(super) topic: String,
    /// `db.schema.table`, as the transaction topic counts it.
    pub(super) collection: String,
    /// `,"schema":"dbo","table":"Contract"`.
    pub(super) source_names: String,
    /// What stands before and after a payload: the inline schema, or nothing.
    pub(super) key_head: String,
    pub(super) value_head: String,
    pub(super) tail: &'static str,
    fields: Vec<Field>,
    key: Vec<Field>,
    has_lobs: bool,
}

impl TableFormat {
    pub(super) fn new(table: Arc<Table>, database: &str, settings: &Settings) -> Self {
        let collection = format!("{database}.{}.{}", table.table.schema, table.table.name);
        let topic = settings.topic(&collection);
        let fields = fields(table.columns.iter().enumerate(), settings);
        let key_columns = table.primary_key.iter().filter_map(|name| {
            table.columns.iter().enumerate().find(|(_, column)| column.name == *name)
        });
        let key = self::fields(key_columns, settings);
        let mut source_names = String::from(",\"schema\":");
        text::string(&mut source_names, &table.table.schema);
        source_names.push_str(",\"table\":");
        text::string(&mut source_names, &table.table.name);
        let (mut key_head, mut value_head, mut tail) = (String::new(), String::new(), "");
        if settings.schemas {
            let column_schemas = |fields: &[Field]| {
                let of = |field: &Field| {
                    let column = table.columns.get(field.index)?;
                    let schema = field.form.schema(column);
                    let connect = settings.times == Times::Connect;
                    Some(if connect { value::connect_schema(&schema) } else { schema })
                };
                fields.iter().filter_map(of).collect::<Vec<_>>().join(",")
            };
            key_head = schema::key(&topic, &column_schemas(&key));
            value_head = schema::envelope(&topic, &column_schemas(&fields));
            tail = "}";
        }
        let has_lobs = fields.iter().any(|field| field.lob != Lob::No);
        Self {
            table,
            topic,
            collection,
            source_names,
            key_head,
            value_head,
            tail,
            fields,
            key,
            has_lobs,
        }
    }

    /// Whether the update mask matters.
    pub(super) fn has_lobs(&self) -> bool {
        self.has_lobs
    }

    /// Whether rows have a key.
    pub(super) fn has_key(&self) -> bool {
        !self.key.is_empty()
    }

    /// Whether one of these columns is in the key.
    pub(super) fn is_key_changed(&self, changed: &[usize]) -> bool {
        self.key.iter().any(|field| changed.contains(&field.index))
    }

    /// Writes the key's payload.
    pub(super) fn write_key(&self, out: &mut String, row: &[LegacyValue<'_>]) -> Result<(), Error> {
        out.push('{');
        for field in &self.key {
            out.push_str(&field.label);
            self.write_field(out, field, row, true)?;
        }
        out.push('}');
        Ok(())
    }

    /// Writes a row as the image holds it.
    pub(super) fn write_image(
        &self,
        out: &mut String,
        row: &[LegacyValue<'_>],
        image: Image,
        mask: &Mask,
    ) -> Result<(), Error> {
        out.push('{');
        for field in &self.fields {
            out.push_str(&field.label);
            let kept = image == Image::Read
                || (field.lob.is_kept(image, mask.has(field.index)) && !field.computed);
            let written = self.write_field(out, field, row, kept)?;
            if !written {
                let placeholder = matches!(field.lob, Lob::Old | Lob::Xml)
                    && image != Image::Read
                    && !mask.seems_to_have(field.index);
                if placeholder {
                    field.form.write_unavailable(out);
                } else {
                    out.push_str("null");
                }
            }
        }
        out.push('}');
        Ok(())
    }

    /// Writes a value, or NULL where the column has no placeholder. `false` when the field is
    /// NULL and nothing was written.
    fn write_field(
        &self,
        out: &mut String,
        field: &Field,
        row: &[LegacyValue<'_>],
        kept: bool,
    ) -> Result<bool, Error> {
        let value = row.get(field.index).unwrap_or(&LegacyValue::Null);
        if !kept || matches!(value, LegacyValue::Null | LegacyValue::Unchanged) {
            return Ok(false);
        }
        let mismatch = |mismatch: value::Mismatch| mismatch.of(&self.collection, &field.name);
        let written = field.form.write(out, value).map_err(mismatch)?;
        if !written && !field.nullable {
            // The connector's task ends here: a required field can't be null.
            return Err(Error::NotExpressible {
                table: self.collection.clone(),
                column: field.name.clone(),
            });
        }
        Ok(written)
    }
}

fn fields<'a>(
    columns: impl Iterator<Item = (usize, &'a Column)>,
    settings: &Settings,
) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    for (index, column) in columns {
        let Some(form) = Form::of(&column.sql_type, settings) else { continue };
        let mut label = String::from(if fields.is_empty() { "" } else { "," });
        text::string(&mut label, &column.name);
        label.push(':');
        fields.push(Field {
            label,
            name: column.name.clone(),
            form,
            nullable: column.nullable,
            computed: column.computed,
            lob: Lob::of(&column.sql_type),
            index,
        });
    }
    fields
}

/// Rows of a table as plain JSON, in the form of the events (ISO times, decimals as text).
#[derive(Debug)]
pub struct RowText(TableFormat);

impl RowText {
    /// For one table.
    #[must_use]
    pub fn new(table: Arc<Table>) -> Self {
        let settings = Settings {
            times: Times::IsoString,
            decimals: super::Decimals::String,
            ..Settings::new("")
        };
        Self(TableFormat::new(table, "", &settings))
    }

    /// One row, in table column order.
    ///
    /// # Errors
    /// A value of another type than its column's.
    pub fn json(&self, row: &[LegacyValue<'_>]) -> Result<String, Error> {
        let mut out = String::new();
        self.0.write_image(&mut out, row, Image::Read, &Mask::default())?;
        Ok(out)
    }
}
