//! `SELECT [TOP (n)] … FROM [t] [WHERE bounds] ORDER BY the primary key`: one ordered stream. A
//! table without a key is read without an order.
//!
//! A bound is a comparison of whole keys, written out as T-SQL needs it:
//! `([a] > @P1 OR ([a] = @P1 AND [b] > @P2))`. It becomes a range of key bytes, so no row
//! outside it is looked at. What is no bound is a condition on single rows.

use sqlparser::ast::{BinaryOperator, Expr, Query, TableFactor};

use super::{
    SqlError,
    condition::{Condition, Only},
    expression::{evaluate, push_key},
    output::{Cursor, Rows},
    shape::{Scope, column, column_name, is_key, plain, projection},
};
use crate::legacy::{order, table::Layout};
use mapping::value::LegacyValue;

/// Bytes from (inclusive) and to (exclusive).
#[derive(Debug, Default)]
struct Bytes {
    from: Vec<u8>,
    to: Option<Vec<u8>>,
    empty: bool,
}

pub(super) fn run(query: &Query, scope: Scope<'_>) -> Result<Option<Cursor>, SqlError> {
    let Some(plain) = plain(query) else { return Ok(None) };
    let TableFactor::Table { name, .. } = &plain.from.relation else { return Ok(None) };
    if plain.from.to_string() != name.to_string() {
        return Ok(None);
    }
    let order: Option<Vec<_>> = plain.order_by.iter().map(|e| column_name(e, None)).collect();
    let Some(order) = order else { return Ok(None) };
    let source = scope.source(name)?;
    let Some((outputs, columns)) = projection(plain.projection, source.layout, None)? else {
        return Ok(None);
    };
    let heap = source.layout.key.is_empty() && order.is_empty() && plain.selection.is_none();
    if !heap && !is_key(source.layout, order)? {
        return Ok(None);
    }
    let mut bytes = Bytes::default();
    let mut only = Vec::new();
    if let Some(selection) = plain.selection {
        for bound in flatten(selection, &BinaryOperator::And) {
            if !narrow(&mut bytes, bound, source.layout, scope)? {
                let Some(condition) = Condition::of(bound, source.layout)? else { return Ok(None) };
                only.push(condition);
            }
        }
    }
    let left = match plain.top {
        None => None,
        Some(rows) => match evaluate(rows, scope.parameters)?.map(|typed| typed.value) {
            Some(LegacyValue::Int(rows)) => Some(u64::try_from(rows).unwrap_or(0)),
            _ => return Ok(None),
        },
    };
    let store = source.store.clone();
    let rows = if bytes.empty {
        Rows::Made(Vec::new().into_iter())
    } else {
        let only = Only { layout: std::sync::Arc::clone(source.layout), conditions: only };
        Rows::Range { place: store.seek(&bytes.from), to: bytes.to, store, only, left }
    };
    Ok(Some(Cursor::new(source.layout, outputs, columns, rows)))
}

/// The operands of a chain of one operator, parentheses around the whole taken off.
fn flatten<'e>(expression: &'e Expr, operator: &BinaryOperator) -> Vec<&'e Expr> {
    match bare(expression) {
        Expr::BinaryOp { left, op, right } if op == operator => {
            let mut operands = match left.as_ref() {
                // `(a AND b) AND c` is a group of two, not a chain of three.
                Expr::Nested(_) => vec![left.as_ref()],
                chain => flatten(chain, operator),
            };
            operands.push(right.as_ref());
            operands
        }
        other => vec![other],
    }
}

fn bare(expression: &Expr) -> &Expr {
    match expression {
        Expr::Nested(inner) => bare(inner),
        other => other,
    }
}

/// Narrows the range by one bound; `false` when it is not one.
fn narrow(
    bytes: &mut Bytes,
    bound: &Expr,
    layout: &Layout,
    scope: Scope<'_>,
) -> Result<bool, SqlError> {
    let Some(chain) = chain(bound, layout)? else { return Ok(false) };
    let mut prefix = Vec::new();
    let mut inclusive = chain.inclusive;
    for (index, value) in layout.key.iter().zip(&chain.values) {
        let Some(column) = layout.columns.get(*index) else { return Ok(false) };
        let Some(typed) = evaluate(value, scope.parameters)? else { return Ok(false) };
        if !push_key(column, &typed, &mut prefix)? {
            // Nothing compares with NULL: what is left is the comparison of the columns before.
            inclusive = false;
            bytes.empty |= prefix.is_empty();
            break;
        }
    }
    if chain.above {
        match if inclusive { Some(prefix) } else { order::successor(&prefix) } {
            Some(from) => bytes.from = from.max(std::mem::take(&mut bytes.from)),
            None => bytes.empty = true,
        }
    } else if let Some(to) = if inclusive { order::successor(&prefix) } else { Some(prefix) } {
        bytes.to = Some(match bytes.to.take() {
            Some(other) => other.min(to),
            None => to,
        });
    }
    Ok(true)
}

/// A comparison of key columns with values, the first ones first.
struct Chain<'e> {
    above: bool,
    inclusive: bool,
    values: Vec<&'e Expr>,
}

fn chain<'e>(bound: &'e Expr, layout: &Layout) -> Result<Option<Chain<'e>>, SqlError> {
    let alternatives = flatten(bound, &BinaryOperator::Or);
    let count = alternatives.len();
    let mut chain: Option<Chain<'e>> = None;
    for (depth, alternative) in alternatives.into_iter().enumerate() {
        let terms = flatten(alternative, &BinaryOperator::And);
        if terms.len() != depth + 1 || depth >= layout.key.len() {
            return Ok(None);
        }
        let mut values: Vec<&Expr> = Vec::with_capacity(terms.len());
        for (at, term) in terms.into_iter().enumerate() {
            let Expr::BinaryOp { left, op, right } = bare(term) else { return Ok(None) };
            let Some(name) = column_name(left, None) else { return Ok(None) };
            if Some(&column(layout, name)?) != layout.key.get(at) {
                return Ok(None);
            }
            values.push(right.as_ref());
            if at < depth {
                if *op != BinaryOperator::Eq {
                    return Ok(None);
                }
                continue;
            }
            let (above, inclusive) = match op {
                BinaryOperator::Gt => (true, false),
                BinaryOperator::GtEq => (true, true),
                BinaryOperator::Lt => (false, false),
                BinaryOperator::LtEq => (false, true),
                _ => return Ok(None),
            };
            let fits = chain
                .as_ref()
                .is_none_or(|before| before.above == above && values.starts_with(&before.values));
            if !fits || (inclusive && depth + 1 != count) {
                return Ok(None);
            }
            chain = Some(Chain { above, inclusive, values: std::mem::take(&mut values) });
        }
    }
    Ok(chain)
}
