//! A table that the API writes: its fields, its rules, and the two writes that most have.

use axum::response::Response;
use sqlx::error::DatabaseError;

use super::{
    caller::{Caller, Failure, Id},
    field::{Field, camel},
    idempotency::Key,
    reading::{Purpose, Reading, Values, word},
    record::Record,
    reply::Reply,
    tx::version,
    view::View,
    write::{Posted, Terms},
};
use crate::{Error, database::Work};

/// What a write has to know of a table.
#[derive(Debug)]
pub(super) struct Entity {
    pub(super) view: &'static View,
    pub(super) domain: &'static str,
    /// The first half of its topics in the outbox.
    pub(super) noun: &'static str,
    /// Where its rows are: `/v2/tenants`.
    pub(super) path: &'static str,
    pub(super) fields: &'static [Field],
    /// Columns that the outbox tells beside the id: the rows that this one belongs to.
    pub(super) tells: &'static [&'static str],
    /// The rules across fields.
    pub(super) rules: fn(&mut Draft<'_>, &mut Reading),
    /// The statuses in which it may be changed; empty for a table without a status.
    pub(super) open: &'static [&'static str],
    pub(super) has_version: bool,
    /// Of its POST.
    pub(super) key: Key,
}

/// A row as it is going to be; rules may set what follows from other columns.
pub(super) struct Draft<'a> {
    pub(super) row: Values,
    /// What the body names. Old rows may break rules that came later: nobody who changes something
    /// else is told of it, and nothing is computed anew unless what it follows from changes.
    pub(super) named: &'a Values,
}

impl Draft<'_> {
    pub(super) fn names(&self, columns: &[&str]) -> bool {
        columns.iter().any(|column| self.named.contains_key(*column))
    }

    /// Refuses an end before its beginning.
    pub(super) fn in_order(&self, from: &str, to: &str, reading: &mut Reading) {
        if let (Some(start), Some(end)) = (word(&self.row, from), word(&self.row, to))
            && self.names(&[from, to])
            && end < start
        {
            reading.refuse(&camel(to), format!("must not be before {}", camel(from)));
        }
    }
}

/// No rule but those of the single fields.
pub(super) fn no_rules(_: &mut Draft<'_>, _: &mut Reading) {}

impl Entity {
    /// The terms of a write that touches this domain alone.
    pub(super) const fn terms(&self, key: Key) -> Terms {
        Terms { domain: self.domain, with: &[], key }
    }

    /// Refuses a change of a row whose status is final.
    ///
    /// # Errors
    /// [`Error::State`].
    pub(super) fn check_open(&self, image: &Values) -> Result<(), Error> {
        let status = word(image, "status").unwrap_or_default();
        if self.open.is_empty() || self.open.contains(&status) {
            return Ok(());
        }
        let open = self.open.join(" or ");
        Err(state("status", format!("is {status}; changes are possible while it is {open}")))
    }

    /// A refusal by a constraint, as one of the field that it is about.
    pub(super) fn explain(&self, error: sqlx::Error) -> Error {
        let refusal = error.as_database_error();
        let code = refusal.and_then(DatabaseError::code);
        let constraint = refusal.and_then(DatabaseError::constraint).unwrap_or_default();
        match code.as_deref() {
            Some("23505") => state(&self.field_of(constraint), "is taken already".to_owned()),
            Some("23503") => state(
                &self.field_of(constraint),
                "refers to something that has just been deleted".to_owned(),
            ),
            _ => error.into(),
        }
    }

    /// `tenants_register_no_key` is about `registerNo`.
    fn field_of(&self, constraint: &str) -> String {
        let rest = constraint.strip_prefix(self.view.entity).unwrap_or_default();
        let rest = rest.trim_start_matches('_');
        let field = self.fields.iter().find(|field| rest.starts_with(field.column));
        field.map_or_else(|| "body".to_owned(), |field| camel(field.column))
    }
}

/// A refusal of one field by the state of the rows.
pub(super) fn state(field: &str, reason: String) -> Error {
    Error::State([(field.to_owned(), reason)].into())
}

/// The columns that a body sets, and those that follow from them. `before` is empty for a row
/// that is new.
pub(super) fn follow_rules(
    entity: &Entity,
    before: &Values,
    named: Values,
    reading: &mut Reading,
) -> Values {
    let mut row = before.clone();
    row.extend(named.clone());
    let mut draft = Draft { row, named: &named };
    (entity.rules)(&mut draft, reading);
    let mut values: Values = draft.row;
    values.retain(|column, value| before.get(column) != Some(value) || named.contains_key(column));
    values
}

impl Caller {
    /// Makes a row of an entity that has no more to it than its fields.
    pub(super) async fn create<R: Record>(
        self,
        posted: Posted,
        entity: &'static Entity,
    ) -> Result<Response, Failure> {
        self.write(posted, entity.terms(entity.key), move |tx| {
            Box::pin(async move {
                let mut reading = Reading::default();
                let object = tx.posted.object()?;
                let named = reading.object(object, "", entity.fields, Purpose::Make);
                let values = follow_rules(entity, &Values::new(), named, &mut reading);
                reading.end(tx.connection).await?;
                let made = tx.insert(entity, values).await?;
                tx.note_created(entity, &made).await?;
                let location = format!("{}/{}", entity.path, made.id);
                Reply::created(&R::from_row(&made.row)?, made.version(), location)
            }) as Work<'_, Reply>
        })
        .await
    }

    /// Changes what the body names of a row. PATCH and not PUT: rows have columns that the API
    /// does not show, and a client of last year does not know the fields of this year; neither may
    /// be cleared by leaving it out.
    pub(super) async fn update<R: Record>(
        self,
        Id(id): Id,
        posted: Posted,
        entity: &'static Entity,
    ) -> Result<Response, Failure> {
        self.write(posted, entity.terms(Key::Optional), move |tx| {
            Box::pin(async move {
                let mut reading = Reading::default();
                let object = tx.posted.object()?;
                let named = reading.object(object, "", entity.fields, Purpose::Change);
                tx.posted.check_if_match()?;
                let before = tx.lock(entity, id).await?;
                tx.posted.check_version(version(&before).unwrap_or_default())?;
                entity.check_open(&before)?;
                let values = follow_rules(entity, &before, named, &mut reading);
                reading.end(tx.connection).await?;
                let after = tx.update(entity, id, values).await?;
                tx.note_updated(entity, &before, &after).await?;
                Reply::ok(&R::from_row(&after.row)?, after.version())
            }) as Work<'_, Reply>
        })
        .await
    }
}
