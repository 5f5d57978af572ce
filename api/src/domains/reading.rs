//! A body, read by its table of fields: everything that is wrong with it is told at once.

use std::collections::{BTreeMap, btree_map::Entry};

use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::{
    field::{Field, Kind},
    view::View,
};
use crate::{Error, money::MinorUnits};

/// Columns and their values as Postgres reads them out of JSON.
pub(super) type Values = Map<String, Value>;

/// What a body is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A new row: what is required must be there.
    Make,
    /// Only what is named changes; `null` clears.
    Change,
}

/// A reading under way.
#[derive(Debug, Default)]
pub(super) struct Reading {
    wrong: BTreeMap<String, String>,
    references: Vec<Reference>,
}

#[derive(Debug)]
struct Reference {
    field: String,
    view: &'static View,
    id: Uuid,
}

impl Reading {
    /// Notes that a field is wrong; the first reason stays.
    pub(super) fn refuse(&mut self, field: &str, reason: impl Into<String>) {
        if let Entry::Vacant(place) = self.wrong.entry(field.to_owned()) {
            place.insert(reason.into());
        }
    }

    /// Reads an object. `prefix` is where it stands in the body, such as `lines[0].`.
    pub(super) fn object(
        &mut self,
        mut object: Map<String, Value>,
        prefix: &str,
        fields: &[Field],
        purpose: Purpose,
    ) -> Values {
        let mut values = Values::new();
        for field in fields {
            let name = field.name();
            let given = object.remove(&name);
            let at = format!("{prefix}{name}");
            match (given, purpose) {
                (Some(_), Purpose::Change) if field.is_fixed => {
                    self.refuse(&at, "can't be changed any more");
                }
                (None, Purpose::Make) if field.is_required => self.refuse(&at, "is missing"),
                (None, _) => {}
                (Some(given), _) => match field.read(&given) {
                    Ok(value) => {
                        self.refer(&at, field, &value);
                        values.insert(field.column.to_owned(), value);
                    }
                    Err(reason) => self.refuse(&at, reason),
                },
            }
        }
        for name in object.keys() {
            self.refuse(
                &format!("{prefix}{}", shortened(name)),
                "is no field that can be set here",
            );
        }
        if purpose == Purpose::Change && values.is_empty() && self.wrong.is_empty() {
            self.refuse("body", "names nothing to change");
        }
        values
    }

    /// Takes a list of objects out of a body: between `from` and `to` of them.
    pub(super) fn list(
        &mut self,
        object: &mut Map<String, Value>,
        name: &str,
        (from, to): (usize, usize),
    ) -> Vec<Map<String, Value>> {
        let given = object.remove(name).unwrap_or_else(|| Value::Array(Vec::new()));
        let objects: Option<Vec<_>> = match given {
            Value::Array(items) => items
                .into_iter()
                .map(|item| if let Value::Object(object) = item { Some(object) } else { None })
                .collect(),
            _ => None,
        };
        match objects {
            Some(objects) if (from..=to).contains(&objects.len()) => objects,
            _ => {
                self.refuse(name, format!("must be a list of {from} to {to} objects"));
                Vec::new()
            }
        }
    }

    fn refer(&mut self, at: &str, field: &Field, value: &Value) {
        if let (Kind::Reference(view), Some(id)) = (field.kind, id(value)) {
            self.references.push(Reference { field: at.to_owned(), view, id });
        }
    }

    /// Looks the references up, as the caller's session sees them, and ends the reading. A row
    /// that the caller may not see is one that is not there.
    ///
    /// # Errors
    /// [`Error::Fields`] with everything that was wrong.
    pub(super) async fn end(mut self, connection: &mut PgConnection) -> Result<(), Error> {
        let references = std::mem::take(&mut self.references);
        let mut views: Vec<&'static View> = references.iter().map(|found| found.view).collect();
        views.sort_by_key(|view| view.entity);
        views.dedup_by_key(|view| view.entity);
        for view in views {
            let of_view = || references.iter().filter(|found| found.view.entity == view.entity);
            let wanted: Vec<Uuid> = of_view().map(|reference| reference.id).collect();
            let sql = format!("select id from {} where id = any($1){}", view.entity, view.live());
            let seen: Vec<Uuid> = sqlx::query_scalar(AssertSqlSafe(sql))
                .bind(wanted)
                .fetch_all(&mut *connection)
                .await?;
            for reference in of_view().filter(|reference| !seen.contains(&reference.id)) {
                self.refuse(&reference.field, "refers to nothing that you can see");
            }
        }
        if self.wrong.is_empty() { Ok(()) } else { Err(Error::Fields(self.wrong)) }
    }
}

/// A field's name may be anything, and the answer quotes it.
fn shortened(name: &str) -> String {
    name.chars().take(60).collect()
}

/// An id in a row or body.
pub(super) fn id(value: &Value) -> Option<Uuid> {
    Uuid::try_parse(value.as_str()?).ok()
}

/// A row's amount; a column that is NULL holds none.
pub(super) fn amount(values: &Values, column: &str) -> MinorUnits {
    MinorUnits::new(values.get(column).and_then(Value::as_i64).unwrap_or(0))
}

/// A row's text.
pub(super) fn word<'a>(values: &'a Values, column: &str) -> Option<&'a str> {
    values.get(column).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domains::field::field;

    const FIELDS: &[Field] = &[
        field("name", Kind::Line(5)).required(),
        field("floor_no", Kind::Whole(0, 9)),
        field("company_no", Kind::Line(4)).fixed(),
    ];

    fn read(body: Value, purpose: Purpose) -> (Values, BTreeMap<String, String>) {
        let Value::Object(object) = body else { panic!("an object") };
        let mut reading = Reading::default();
        let values = reading.object(object, "", FIELDS, purpose);
        (values, reading.wrong)
    }

    #[test]
    fn everything_is_told_at_once() {
        let (_, wrong) =
            read(json!({ "floorNo": "x", "id": 1, "companyNo": "12345" }), Purpose::Make);
        insta::assert_json_snapshot!(wrong, @r#"
        {
          "companyNo": "must have 4 characters at most",
          "floorNo": "must be a whole number from 0 to 9",
          "id": "is no field that can be set here",
          "name": "is missing"
        }
        "#);
    }

    #[test]
    fn a_change_touches_what_it_names() {
        let (values, wrong) = read(json!({ "floorNo": null }), Purpose::Change);
        assert!(wrong.is_empty());
        assert_eq!(Value::Object(values), json!({ "floor_no": null }));
        for bad in [json!({}), json!({ "companyNo": "1" }), json!({ "name": null })] {
            assert_eq!(read(bad, Purpose::Change).1.len(), 1);
        }
    }

    #[test]
    fn lists_have_bounds() {
        for bad in [
            json!({}),
            json!({ "lines": {} }),
            json!({ "lines": [1] }),
            json!({ "lines": [{}, {}, {}] }),
        ] {
            let Value::Object(mut object) = bad else { panic!("an object") };
            let mut reading = Reading::default();
            assert!(reading.list(&mut object, "lines", (1, 2)).is_empty());
            assert_eq!(reading.wrong["lines"], "must be a list of 1 to 2 objects");
        }
    }
}
