//! `SELECT DISTINCT TOP (n) key FROM [cdc].[x_CT] WHERE …`: the keys that a change table has
//! between two LSNs.

use std::collections::BTreeMap;

use mapping::{position::Lsn, value::LegacyValue};
use sqlparser::ast::{Expr, Query, SelectItem, SetExpr, TableFactor, Top, TopQuantity};

use super::{
    Parameter, SqlError,
    expression::evaluate,
    output::{Cursor, Rows},
    shape::{Scope, is_key, list, projection},
};

pub(super) fn run(query: &Query, scope: Scope<'_>) -> Result<Option<Cursor>, SqlError> {
    let SetExpr::Select(select) = query.body.as_ref() else { return Ok(None) };
    let [from] = select.from.as_slice() else { return Ok(None) };
    let TableFactor::Table { name, .. } = &from.relation else { return Ok(None) };
    let Some(Top { quantity: Some(TopQuantity::Expr(top)), .. }) = &select.top else {
        return Ok(None);
    };
    let text = format!(
        "SELECT DISTINCT TOP ({top}) {} FROM {name} WHERE [__$start_lsn] > \
         CONVERT(BINARY(10), @P2) AND [__$start_lsn] <= CONVERT(BINARY(10), @P3)",
        list(&select.projection)
    );
    if !query.to_string().eq_ignore_ascii_case(&text) {
        return Ok(None);
    }
    let name = name.to_string().replace(['[', ']'], "");
    let unknown = || SqlError::unknown_table(&name);
    let instance = name.strip_prefix("cdc.").and_then(|rest| rest.strip_suffix("_CT"));
    let between = (lsn(scope.parameters, "@P2")?, lsn(scope.parameters, "@P3")?);
    let inner = scope.database.inner();
    let found = inner.changes_between(instance.ok_or_else(unknown)?, between);
    let (index, images) = found.ok_or_else(unknown)?;
    let layout = inner.layouts.get(index).ok_or_else(unknown)?;
    let names = select.projection.iter().filter_map(column);
    let parts = projection(&select.projection, layout, None)?;
    let (Some((outputs, columns)), true) = (parts, is_key(layout, names)?) else {
        return Ok(None);
    };
    let Some(rows) = evaluate(top, scope.parameters)? else { return Ok(None) };
    let LegacyValue::Int(rows) = rows.value else { return Ok(None) };
    let distinct: BTreeMap<Vec<u8>, _> =
        images.iter().map(|row| (row.record().key().to_vec(), row.record().clone())).collect();
    let rows = usize::try_from(rows).unwrap_or(usize::MAX);
    let records: Vec<_> = distinct.into_values().take(rows).collect();
    Ok(Some(Cursor::new(layout, outputs, columns, Rows::Made(records.into_iter()))))
}

fn column(item: &SelectItem) -> Option<&sqlparser::ast::Ident> {
    match item {
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(name),
        SelectItem::ExprWithAlias { alias, .. } => Some(alias),
        _ => None,
    }
}

fn lsn(parameters: &[Parameter], name: &str) -> Result<Lsn, SqlError> {
    let found = parameters.iter().find(|parameter| parameter.name.eq_ignore_ascii_case(name));
    let bytes = match found.map(|parameter| &parameter.value) {
        Some(LegacyValue::Bytes(bytes)) => <[u8; 10]>::try_from(bytes.as_ref()).ok(),
        _ => None,
    };
    let clash = || SqlError::new(206, 16, "Operand type clash: an LSN has ten bytes.");
    bytes.map(Lsn::from_bytes).ok_or_else(clash)
}
