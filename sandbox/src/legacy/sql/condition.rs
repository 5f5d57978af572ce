//! An operator's condition on single rows: comparisons of a column with a literal, `IS [NOT] NULL`,
//! `AND`, `OR`, `NOT`. Enough to try what sends one; all else is error 102, as for any statement.

use std::{cmp::Ordering, sync::Arc};

use mapping::{
    catalog::SqlType,
    value::{Decimal, LegacyValue},
};
use sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value};

use super::{
    SqlError,
    shape::{column, column_name},
};
use crate::legacy::{order, store::Record, table::Layout, time};

/// A condition; `None` is SQL's UNKNOWN.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    /// A column's key bytes compared with a literal's.
    Compare {
        column: usize,
        literal: Vec<u8>,
        operator: Operator,
    },
    /// `IS NULL`.
    Null(usize),
    Not(Box<Condition>),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
}

/// `= <> < <= > >=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Rows that all of these hold for.
#[derive(Debug, Clone)]
pub(crate) struct Only {
    pub(super) layout: Arc<Layout>,
    pub(super) conditions: Vec<Condition>,
}

impl Only {
    /// Whether there is no condition.
    pub(super) fn is_all(&self) -> bool {
        self.conditions.is_empty()
    }

    pub(super) fn take(&self, record: &Record) -> bool {
        let holds = |condition: &Condition| condition.holds(&self.layout, record) == Some(true);
        self.conditions.iter().all(holds)
    }
}

impl Condition {
    /// `None` for what is not simulated.
    pub(super) fn of(expression: &Expr, layout: &Layout) -> Result<Option<Self>, SqlError> {
        let of = |expression| Ok::<_, SqlError>(Self::of(expression, layout)?.map(Box::new));
        Ok(match expression {
            Expr::Nested(inner) => Self::of(inner, layout)?,
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => of(expr)?.map(Self::Not),
            Expr::IsNull(inner) => named(inner, layout)?.map(Self::Null),
            Expr::IsNotNull(inner) => {
                named(inner, layout)?.map(|column| Self::Not(Box::new(Self::Null(column))))
            }
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                of(left)?.zip(of(right)?).map(|(left, right)| Self::And(left, right))
            }
            Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
                of(left)?.zip(of(right)?).map(|(left, right)| Self::Or(left, right))
            }
            Expr::BinaryOp { left, op, right } => {
                let operator = match op {
                    BinaryOperator::Eq => Operator::Equal,
                    BinaryOperator::NotEq => Operator::NotEqual,
                    BinaryOperator::Lt => Operator::Less,
                    BinaryOperator::LtEq => Operator::LessOrEqual,
                    BinaryOperator::Gt => Operator::Greater,
                    BinaryOperator::GtEq => Operator::GreaterOrEqual,
                    _ => return Ok(None),
                };
                let Some(column) = named(left, layout)? else { return Ok(None) };
                literal(right, column, layout).map(|literal| Self::Compare {
                    column,
                    literal,
                    operator,
                })
            }
            _ => None,
        })
    }

    fn holds(&self, layout: &Layout, record: &Record) -> Option<bool> {
        match self {
            Self::Compare { column, literal, operator } => {
                let mut bytes = Vec::new();
                let of = layout.columns.get(*column)?;
                let payload = layout.field(record.row(), *column)?.payload?;
                order::push(of, Some(payload), &mut bytes)?;
                let order = bytes.as_slice().cmp(literal);
                Some(match operator {
                    Operator::Equal => order == Ordering::Equal,
                    Operator::NotEqual => order != Ordering::Equal,
                    Operator::Less => order == Ordering::Less,
                    Operator::LessOrEqual => order != Ordering::Greater,
                    Operator::Greater => order == Ordering::Greater,
                    Operator::GreaterOrEqual => order != Ordering::Less,
                })
            }
            Self::Null(column) => Some(layout.field(record.row(), *column)?.payload.is_none()),
            Self::Not(inner) => inner.holds(layout, record).map(|holds| !holds),
            Self::And(left, right) => {
                match (left.holds(layout, record), right.holds(layout, record)) {
                    (Some(false), _) | (_, Some(false)) => Some(false),
                    (Some(true), Some(true)) => Some(true),
                    _ => None,
                }
            }
            Self::Or(left, right) => {
                match (left.holds(layout, record), right.holds(layout, record)) {
                    (Some(true), _) | (_, Some(true)) => Some(true),
                    (Some(false), Some(false)) => Some(false),
                    _ => None,
                }
            }
        }
    }
}

fn named(expression: &Expr, layout: &Layout) -> Result<Option<usize>, SqlError> {
    column_name(expression, None).map(|name| column(layout, name)).transpose()
}

/// A literal as the column would order it.
fn literal(expression: &Expr, index: usize, layout: &Layout) -> Option<Vec<u8>> {
    let (sign, expression) = match expression {
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => (-1, expr.as_ref()),
        other => (1, other),
    };
    let Expr::Value(value) = expression else { return None };
    let of = layout.columns.get(index)?;
    let value = match (&value.value, &of.column.sql_type) {
        (
            Value::Number(text, false),
            SqlType::Decimal { .. } | SqlType::Money | SqlType::SmallMoney,
        ) => {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            let unscaled = format!("{whole}{fraction}").parse::<i128>().ok()? * sign;
            LegacyValue::Decimal(Decimal { unscaled, scale: u8::try_from(fraction.len()).ok()? })
        }
        (Value::Number(text, false), _) => {
            LegacyValue::Int(text.parse::<i64>().ok()? * i64::try_from(sign).ok()?)
        }
        (
            Value::SingleQuotedString(text) | Value::NationalStringLiteral(text),
            SqlType::DateTime | SqlType::SmallDateTime,
        ) => LegacyValue::Timestamp(time::parse_iso(text, 3)?),
        (Value::SingleQuotedString(text) | Value::NationalStringLiteral(text), _) => {
            LegacyValue::Text(text.clone().into())
        }
        _ => return None,
    };
    let mut bytes = Vec::new();
    order::push_value(of, &value, &mut bytes).ok()?.then_some(bytes)
}
