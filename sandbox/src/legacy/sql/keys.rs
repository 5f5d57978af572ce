//! `SELECT t.… FROM [t] AS t JOIN (VALUES …) AS k (…) ON …`: rows by primary key, one look-up
//! for each.

use sqlparser::ast::{
    BinaryOperator, Expr, Ident, JoinConstraint, JoinOperator, Query, SetExpr, TableFactor,
};

use super::{
    SqlError,
    expression::{evaluate, push_key},
    output::{Cursor, Rows},
    shape::{Plain, Scope, Source, column, column_name, list, plain, projection},
    text,
};
use crate::legacy::store::Record;

pub(super) fn run(query: &Query, scope: Scope<'_>) -> Result<Option<Cursor>, SqlError> {
    let Some(plain) = plain(query) else { return Ok(None) };
    if plain.selection.is_some() || !plain.order_by.is_empty() {
        return Ok(None);
    }
    let Some(found) = find(&plain, scope)? else { return Ok(None) };
    let layout = found.source.layout;
    if let Some((outputs, columns)) = projection(plain.projection, layout, Some(found.alias))? {
        let rows = Rows::Made(found.records.into_iter());
        return Ok(Some(Cursor::new(layout, outputs, columns, rows)));
    }
    text::answer(plain.projection, &found)
}

/// The rows that the keys name.
pub(super) struct Found<'a> {
    pub(super) source: Source<'a>,
    pub(super) alias: &'a Ident,
    pub(super) records: Vec<Record>,
}

fn find<'a>(plain: &Plain<'a>, scope: Scope<'a>) -> Result<Option<Found<'a>>, SqlError> {
    let Some(join) = Join::of(&plain.from.relation, plain.from) else { return Ok(None) };
    let TableFactor::Table { name, .. } = &plain.from.relation else { return Ok(None) };
    let source = scope.source(name)?;
    let Some(places) = join.places(source)? else { return Ok(None) };
    let mut records = Vec::new();
    for row in join.rows {
        match look_up(row, &places, source, scope)? {
            Some(record) => records.extend(record),
            None => return Ok(None),
        }
    }
    Ok(Some(Found { source, alias: join.table_alias, records }))
}

/// The row with this key; the outer `None` is a row of values that is not understood.
fn look_up(
    row: &[Expr],
    places: &[usize],
    source: Source<'_>,
    scope: Scope<'_>,
) -> Result<Option<Option<Record>>, SqlError> {
    let mut key = Vec::with_capacity(32);
    for (index, place) in source.layout.key.iter().zip(places) {
        let pair = source.layout.columns.get(*index).zip(row.get(*place));
        let Some((column, value)) = pair else { return Ok(None) };
        let Some(typed) = evaluate(value, scope.parameters)? else { return Ok(None) };
        if !push_key(column, &typed, &mut key)? {
            return Ok(Some(None));
        }
    }
    Ok(Some(source.store.get(&key).cloned()))
}

struct Join<'q> {
    table_alias: &'q Ident,
    keys_alias: &'q Ident,
    keys: Vec<&'q Ident>,
    rows: Vec<&'q [Expr]>,
    on: &'q Expr,
}

impl<'q> Join<'q> {
    fn of(relation: &'q TableFactor, from: &'q sqlparser::ast::TableWithJoins) -> Option<Self> {
        let TableFactor::Table { name, alias: Some(table_alias), .. } = relation else {
            return None;
        };
        let [join] = from.joins.as_slice() else { return None };
        let JoinOperator::Join(JoinConstraint::On(on)) = &join.join_operator else { return None };
        let TableFactor::Derived { subquery, alias: Some(alias), .. } = &join.relation else {
            return None;
        };
        let SetExpr::Values(values) = subquery.body.as_ref() else { return None };
        let rows: Vec<&[Expr]> = values.rows.iter().map(|row| row.content.as_slice()).collect();
        let keys: Vec<&Ident> = alias.columns.iter().map(|column| &column.name).collect();
        let tuples: Vec<String> = rows.iter().map(|row| format!("({})", list(row))).collect();
        let text = format!(
            "{name} AS {} JOIN (VALUES {}) AS {} ({}) ON {on}",
            table_alias.name,
            list(&tuples),
            alias.name,
            list(&keys),
        );
        (from.to_string() == text).then_some(Self {
            table_alias: &table_alias.name,
            keys_alias: &alias.name,
            keys,
            rows,
            on,
        })
    }

    /// For each key column, its place in the rows of values: `ON` has to name the whole
    /// primary key, once.
    fn places(&self, source: Source<'_>) -> Result<Option<Vec<usize>>, SqlError> {
        let key = &source.layout.key;
        let mut places: Vec<Option<usize>> = vec![None; key.len()];
        for term in conjuncts(self.on) {
            let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = term else {
                return Ok(None);
            };
            let (Some(of_table), Some(of_keys)) = (
                column_name(left, Some(self.table_alias)),
                column_name(right, Some(self.keys_alias)),
            ) else {
                return Ok(None);
            };
            let index = column(source.layout, of_table)?;
            let place =
                self.keys.iter().position(|name| name.value.eq_ignore_ascii_case(&of_keys.value));
            let place = place.ok_or_else(|| SqlError::unknown_column(&of_keys.value))?;
            let slot = key.iter().position(|k| *k == index).and_then(|at| places.get_mut(at));
            match slot {
                Some(slot @ None) => *slot = Some(place),
                _ => return Ok(None),
            }
        }
        let width = self.keys.len();
        let even = self.rows.iter().all(|row| row.len() == width);
        Ok(places.into_iter().collect::<Option<Vec<_>>>().filter(|p| even && p.len() == width))
    }
}

fn conjuncts(expression: &Expr) -> Vec<&Expr> {
    match expression {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            let mut terms = conjuncts(left);
            terms.push(right);
            terms
        }
        other => vec![other],
    }
}
