//! Every n-th key of a table, by `ROW_NUMBER()`.

use sqlparser::ast::{Query, TableFactor};

use super::{
    SqlError,
    condition::{Condition, Only},
    expression::evaluate,
    output::{Cursor, Rows},
    shape::{Scope, column_name, is_key, list, plain, projection},
};
use mapping::value::LegacyValue;
use sqlparser::ast::{Expr, Ident, SelectItem};

pub(super) fn run(query: &Query, scope: Scope<'_>) -> Result<Option<Cursor>, SqlError> {
    let Some(outer) = plain(query) else { return Ok(None) };
    let TableFactor::Derived { subquery, .. } = &outer.from.relation else { return Ok(None) };
    let Some(inner) = plain(subquery) else { return Ok(None) };
    let TableFactor::Table { name, .. } = &inner.from.relation else { return Ok(None) };
    let Some((_, items)) = inner.projection.split_last() else { return Ok(None) };
    let names: Option<Vec<&Ident>> = outer.projection.iter().map(plain_name).collect();
    let Some(names) = names else { return Ok(None) };
    let keys = list(&names);
    let filter = inner.selection.map(|only| format!(" WHERE {only}")).unwrap_or_default();
    let text = format!(
        "SELECT {keys} FROM (SELECT {}, ROW_NUMBER() OVER (ORDER BY {keys}) AS [n] FROM \
         {name}{filter}) AS r WHERE r.[n] % @P1 = 0 ORDER BY r.[n]",
        list(items),
    );
    if query.to_string() != text {
        return Ok(None);
    }
    let source = scope.source(name)?;
    let Some((outputs, columns)) = projection(items, source.layout, None)? else {
        return Ok(None);
    };
    let same = columns.len() == names.len()
        && columns.iter().zip(&names).all(|(c, n)| c.name.eq_ignore_ascii_case(&n.value));
    if !same || !is_key(source.layout, names.iter().copied())? {
        return Ok(None);
    }
    let every = evaluate(&Expr::Identifier(Ident::new("@P1")), scope.parameters)?;
    let Some(LegacyValue::Int(every)) = every.map(|typed| typed.value) else { return Ok(None) };
    let Ok(every @ 1..) = u64::try_from(every) else {
        return Err(SqlError::new(8134, 16, "Divide by zero error encountered."));
    };
    let mut conditions = Vec::new();
    if let Some(selection) = inner.selection {
        let Some(condition) = Condition::of(selection, source.layout)? else { return Ok(None) };
        conditions.push(condition);
    }
    let only = Only { layout: std::sync::Arc::clone(source.layout), conditions };
    let store = source.store.clone();
    let rows = Rows::Every { place: store.seek(&[]), skip: every - 1, store, only };
    Ok(Some(Cursor::new(source.layout, outputs, columns, rows)))
}

fn plain_name(item: &SelectItem) -> Option<&Ident> {
    match item {
        SelectItem::UnnamedExpr(expression) => column_name(expression, None),
        _ => None,
    }
}
