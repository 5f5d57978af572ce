//! The fields of one row.

use super::{Candidate, Context, EntityId, Field, OnNull, PgType, TablePlan};
use crate::{
    convert::{Concat, Content, Fault, Make, RefRule, Wrote, address, concat, inflate},
    encode::{self, EPOCH_DAYS, EPOCH_MICROSECONDS},
    key::{CanonicalKey, canonical},
    row::{ColumnMask, IdSlot, RowBatch, RowKind},
    value::LegacyValue,
};

/// Why a field could not be made: the column's place in the row, where there is one.
pub(super) struct FieldFault {
    pub(super) source: Option<usize>,
    pub(super) fault: Fault,
}

pub(super) fn missing() -> Fault {
    Fault::new("column.missing", "is not in the change; check the capture instance's columns")
}

/// A row being written at the end of its batch.
pub(super) struct Writer<'a> {
    pub(super) values: &'a [LegacyValue<'a>],
    pub(super) context: &'a Context<'a>,
    pub(super) kind: RowKind,
    pub(super) batch: &'a mut RowBatch,
    pub(super) created_at_ms: Option<i64>,
}

impl Writer<'_> {
    /// Writes all fields; the mask of those that the change does not carry.
    pub(super) fn write(
        &mut self,
        candidate: &Candidate,
        key: &CanonicalKey,
        table: &TablePlan,
    ) -> Result<ColumnMask, FieldFault> {
        self.id(candidate.entity, key.clone());
        let mut unchanged: ColumnMask = 0;
        // Bit 0 is the id.
        let mut bit: ColumnMask = 1;
        for (index, field) in candidate.fields.iter().enumerate() {
            bit <<= 1;
            let begin = self.batch.fields.len();
            if self.field(field, table)? {
                unchanged |= bit;
            }
            if candidate.id_time == Some(index) {
                let written = self.batch.fields.get(begin..).unwrap_or_default();
                self.created_at_ms = milliseconds(field.make.pg_type(), written);
            }
        }
        Ok(unchanged)
    }

    /// Writes an id that `target` fills in.
    fn id(&mut self, entity: EntityId, key: CanonicalKey) {
        let offset = self.batch.fields.len() + 4;
        encode::put_uuid(&mut self.batch.fields, &[0; 16]);
        self.batch.slots.push(IdSlot { offset, entity, key });
    }

    /// Writes a field; `true` when the change does not carry it.
    pub(super) fn field(&mut self, field: &Field, table: &TablePlan) -> Result<bool, FieldFault> {
        let wrote = match (&field.make, field.source) {
            (Make::DeletedAt, _) => Ok(self.deleted_at()),
            (Make::Ref(rule), _) => self.reference(rule),
            (Make::Concat(rule), _) => self.concat(rule),
            (make, Some(source)) => {
                let value = self.values.get(source).unwrap_or(&LegacyValue::Null);
                match value {
                    LegacyValue::Unchanged => {
                        let lob = table.columns.get(source).is_some_and(|column| column.lob);
                        if !lob {
                            return Err(FieldFault { source: Some(source), fault: missing() });
                        }
                        self.batch.fields.extend_from_slice(&encode::NULL);
                        return Ok(true);
                    }
                    LegacyValue::Null => Ok(Wrote::Nothing),
                    value => self.convert(make, value, source),
                }
            }
            (make, None) => self.convert(make, &LegacyValue::Null, usize::MAX),
        }?;
        if wrote == Wrote::Nothing {
            self.null(field)?;
        }
        Ok(false)
    }

    fn convert(
        &mut self,
        make: &Make,
        value: &LegacyValue<'_>,
        source: usize,
    ) -> Result<Wrote, FieldFault> {
        if let Make::Object(content) = make {
            return self.object(*content, value, source);
        }
        let out = &mut self.batch.fields;
        let converted = match make {
            Make::XpoFile { size } => match self.values.get(*size) {
                Some(LegacyValue::Unchanged) | None => {
                    return Err(FieldFault { source: Some(*size), fault: missing() });
                }
                Some(size) => inflate(value, size, out),
            },
            make => make.convert(value, self.context, out),
        };
        converted.map_err(|fault| FieldFault { source: Some(source), fault })
    }

    /// The compiler refuses parts that a change may not carry, so one that is not there is missing.
    fn concat(&mut self, rule: &Concat) -> Result<Wrote, FieldFault> {
        let absent = |source: &&usize| {
            matches!(self.values.get(**source), None | Some(LegacyValue::Unchanged))
        };
        if let Some(source) = rule.sources.iter().find(absent) {
            return Err(FieldFault { source: Some(*source), fault: missing() });
        }
        concat(self.values, rule, &mut self.batch.fields)
            .map_err(|(source, fault)| FieldFault { source: Some(source), fault })
    }

    /// Writes the address of a content and takes the content in.
    fn object(
        &mut self,
        content: Content,
        value: &LegacyValue<'_>,
        source: usize,
    ) -> Result<Wrote, FieldFault> {
        let size = match content {
            Content::XpoFile { size } => match self.values.get(size) {
                Some(LegacyValue::Unchanged) | None => {
                    return Err(FieldFault { source: Some(size), fault: missing() });
                }
                known => known,
            },
            Content::Bytes | Content::Text(_) => None,
        };
        let read = content.read(value, size);
        match read.map_err(|fault| FieldFault { source: Some(source), fault })? {
            None => Ok(Wrote::Nothing),
            Some(bytes) => {
                let address = address(&bytes);
                let written = encode::put_bytes(&mut self.batch.fields, address.as_bytes());
                debug_assert!(written, "an address is short");
                self.batch.add_object(address, bytes);
                Ok(Wrote::Field)
            }
        }
    }

    fn null(&mut self, field: &Field) -> Result<(), FieldFault> {
        match &field.null {
            OnNull::Field(bytes) => self.batch.fields.extend_from_slice(bytes),
            OnNull::Reject => return Err(not_null(field)),
            OnNull::RejectLive if self.kind != RowKind::SoftDelete => return Err(not_null(field)),
            OnNull::Null | OnNull::RejectLive => {
                self.batch.fields.extend_from_slice(&encode::NULL);
            }
        }
        Ok(())
    }

    fn deleted_at(&mut self) -> Wrote {
        if self.kind != RowKind::SoftDelete {
            return Wrote::Nothing;
        }
        let now = self.context.seen_at_us.saturating_sub(EPOCH_MICROSECONDS);
        encode::put_i64(&mut self.batch.fields, now);
        Wrote::Field
    }

    fn reference(&mut self, rule: &RefRule) -> Result<Wrote, FieldFault> {
        for part in &rule.parts {
            let absent = match self.values.get(part.source) {
                Some(LegacyValue::Null) => true,
                Some(LegacyValue::Guid(guid)) => guid.is_nil(),
                Some(LegacyValue::Text(text)) if rule.empty_is_null => {
                    text.bytes().all(|byte| byte == b' ')
                }
                _ => false,
            };
            if absent {
                return Ok(Wrote::Nothing);
            }
        }
        let key = canonical(&rule.parts, self.values).map_err(|fault| FieldFault {
            source: Some(fault.source),
            fault: match fault.rule {
                "key.missing" => missing(),
                _ => Fault::new("ref.key", fault.problem),
            },
        })?;
        self.id(rule.entity, key);
        Ok(Wrote::Field)
    }
}

fn not_null(field: &Field) -> FieldFault {
    let fault = Fault::new(
        "null",
        "gives NULL, which the mapping forbids; correct the row or say `default`",
    );
    FieldFault { source: field.source, fault }
}

/// The milliseconds since 1970 UTC that a written time field stands for, where a UUID v7 can
/// hold them.
fn milliseconds(pg_type: PgType, field: &[u8]) -> Option<i64> {
    const UUID_MS_MAX: i64 = (1 << 48) - 1;
    let bytes = field.get(4..)?;
    let since_1970 = match pg_type {
        PgType::Timestamp | PgType::Timestamptz => {
            let microseconds = i64::from_be_bytes(bytes.try_into().ok()?);
            microseconds.checked_add(EPOCH_MICROSECONDS)?.div_euclid(1000)
        }
        PgType::Date => {
            let days = i32::from_be_bytes(bytes.try_into().ok()?).checked_add(EPOCH_DAYS)?;
            i64::from(days) * 86_400_000
        }
        _ => return None,
    };
    (0..=UUID_MS_MAX).contains(&since_1970).then_some(since_1970)
}
