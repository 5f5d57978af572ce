//! Taking statements apart.

use std::sync::Arc;

use mapping::catalog::SqlType;
use sqlparser::ast::{
    CastKind, DataType, ExactNumberInfo, Expr, Ident, ObjectName, OrderByKind, Query, SelectItem,
    SetExpr, TableWithJoins, Top, TopQuantity,
};

use super::{
    Parameter, SqlError,
    output::{Output, ResultColumn},
};
use crate::legacy::{Database, state::Snapshot, store::Store, table::Layout};

/// What a statement runs over.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) database: &'a Database,
    pub(super) snapshot: &'a Snapshot,
    pub(super) parameters: &'a [Parameter],
}

/// A table with its rows.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) layout: &'a Arc<Layout>,
    pub(super) store: &'a Store,
}

/// `SELECT [TOP (n)] … FROM one thing [WHERE …] [ORDER BY …]` and not a clause more.
pub(super) struct Plain<'a> {
    pub(super) top: Option<&'a Expr>,
    pub(super) projection: &'a [SelectItem],
    pub(super) from: &'a TableWithJoins,
    pub(super) selection: Option<&'a Expr>,
    pub(super) order_by: Vec<&'a Expr>,
}

pub(super) fn plain(query: &Query) -> Option<Plain<'_>> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let [from] = select.from.as_slice() else { return None };
    let top = match &select.top {
        None => None,
        Some(Top { with_ties: false, percent: false, quantity: Some(TopQuantity::Expr(rows)) }) => {
            Some(rows)
        }
        Some(_) => return None,
    };
    let order_by: Vec<&Expr> = match query.order_by.as_ref().map(|order| &order.kind) {
        None => Vec::new(),
        Some(OrderByKind::Expressions(order)) => order.iter().map(|order| &order.expr).collect(),
        Some(OrderByKind::All(_)) => return None,
    };
    let rows = top.map(|rows| format!("TOP ({rows}) ")).unwrap_or_default();
    let mut text = format!("SELECT {rows}{} FROM {from}", list(&select.projection));
    if let Some(selection) = &select.selection {
        text = format!("{text} WHERE {selection}");
    }
    if !order_by.is_empty() {
        text = format!("{text} ORDER BY {}", list(&order_by));
    }
    (query.to_string() == text).then_some(Plain {
        top,
        projection: &select.projection,
        from,
        selection: select.selection.as_ref(),
        order_by,
    })
}

/// `a, b, c`.
pub(super) fn list<T: std::fmt::Display>(parts: &[T]) -> String {
    let parts: Vec<String> = parts.iter().map(ToString::to_string).collect();
    parts.join(", ")
}

impl<'a> Scope<'a> {
    /// `[schema].[table]`.
    pub(super) fn source(&self, name: &ObjectName) -> Result<Source<'a>, SqlError> {
        let parts: Option<Vec<&str>> =
            name.0.iter().map(|part| Some(part.as_ident()?.value.as_str())).collect();
        let full = parts.map(|parts| parts.join(".")).unwrap_or_default();
        let unknown = || SqlError::unknown_table(&full);
        let (index, layout) = self.database.inner().table(&full).map_err(|_| unknown())?;
        let store = self.snapshot.stores.get(index).ok_or_else(unknown)?;
        Ok(Source { layout, store })
    }
}

/// The column that an expression names, `[x]` or `alias.[x]`. The outer `None` is another
/// expression.
pub(super) fn column_name<'e>(expression: &'e Expr, alias: Option<&Ident>) -> Option<&'e Ident> {
    match (expression, alias) {
        (Expr::Identifier(name), None) if !name.value.starts_with('@') => Some(name),
        (Expr::CompoundIdentifier(parts), Some(alias)) => match parts.as_slice() {
            [of, name] if of.value.eq_ignore_ascii_case(&alias.value) => Some(name),
            _ => None,
        },
        _ => None,
    }
}

/// The index of a column that has to be there.
pub(super) fn column(layout: &Layout, name: &Ident) -> Result<usize, SqlError> {
    layout.column(&name.value).ok_or_else(|| SqlError::unknown_column(&name.value))
}

/// `[x]`, or `CAST([x] AS decimal(19,4)) AS [x]` for money.
pub(super) fn projected(
    item: &SelectItem,
    layout: &Layout,
    alias: Option<&Ident>,
) -> Result<Option<(Output, ResultColumn)>, SqlError> {
    let (expression, name) = match item {
        SelectItem::UnnamedExpr(expression) => (expression, None),
        SelectItem::ExprWithAlias { expr, alias } => (expr, Some(alias)),
        _ => return Ok(None),
    };
    let (inner, cast) = match expression {
        Expr::Cast { kind: CastKind::Cast, expr, data_type, format: None } => {
            (expr.as_ref(), Some(data_type))
        }
        other => (other, None),
    };
    let Some(written) = column_name(inner, alias) else { return Ok(None) };
    let index = column(layout, written)?;
    let Some(source) = layout.columns.get(index) else { return Ok(None) };
    let mut result = ResultColumn {
        name: name.unwrap_or(written).value.clone(),
        sql_type: source.column.sql_type.clone(),
        nullable: source.column.nullable,
        collation: source.collation.as_ref().map(|collation| collation.wire),
    };
    let Some(cast) = cast else { return Ok(Some((Output::Copy(index), result))) };
    let DataType::Decimal(ExactNumberInfo::PrecisionAndScale(precision, 4)) = cast else {
        return Ok(None);
    };
    let Ok(precision @ 10..=38) = u8::try_from(*precision) else { return Ok(None) };
    let output = match source.column.sql_type {
        SqlType::Money if precision >= 19 => Output::Money { column: index, precision },
        SqlType::SmallMoney => Output::SmallMoney { column: index, precision },
        _ => return Ok(None),
    };
    result.sql_type = SqlType::Decimal { precision, scale: 4 };
    Ok(Some((output, result)))
}

/// What is selected: how it is made, and how it is described.
pub(super) type Projection = (Vec<Output>, Vec<ResultColumn>);

/// A whole projection.
pub(super) fn projection(
    items: &[SelectItem],
    layout: &Layout,
    alias: Option<&Ident>,
) -> Result<Option<Projection>, SqlError> {
    let mut outputs = Vec::with_capacity(items.len());
    let mut columns = Vec::with_capacity(items.len());
    for item in items {
        let Some((output, column)) = projected(item, layout, alias)? else { return Ok(None) };
        outputs.push(output);
        columns.push(column);
    }
    Ok(Some((outputs, columns)))
}

/// Whether these names are the primary key's columns in its own order.
pub(super) fn is_key<'n>(
    layout: &Layout,
    names: impl IntoIterator<Item = &'n Ident>,
) -> Result<bool, SqlError> {
    let mut indexes = Vec::new();
    for name in names {
        indexes.push(column(layout, name)?);
    }
    Ok(!indexes.is_empty() && indexes == layout.key)
}
