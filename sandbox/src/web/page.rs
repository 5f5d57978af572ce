//! Pages of rows.

use std::sync::Arc;

use axum::{
    extract::{Query, Request},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use mapping::{catalog::LegacyTable, value::LegacyValue};
use serde::Deserialize;

use crate::{debezium::RowText, legacy::Database};

/// Which path shows which table. None with secrets.
pub(super) const PAGES: [(&str, &str); 5] = [
    ("payments", "Payment"),
    ("invoices", "Invoice"),
    ("contracts", "Contract"),
    ("spaces", "Space"),
    ("properties", "Property"),
];

const LIMIT: usize = 20;
const LIMIT_MAX: usize = 200;

/// Which part of the rows.
#[derive(Debug, Deserialize)]
pub(super) struct Window {
    limit: Option<usize>,
    offset: Option<usize>,
}

/// A page of the table's rows in key order, without those that are softly deleted.
pub(super) async fn answer(
    database: Database,
    table: &'static str,
    Query(window): Query<Window>,
    request: Request,
) -> Response {
    let path = request.uri().path().to_owned();
    let page = tokio::task::spawn_blocking(move || page(&database, table, &window, &path)).await;
    match page {
        Ok(Some(page)) => ([(CONTENT_TYPE, "application/json")], page).into_response(),
        Ok(None) => super::echo(request).await, // this database has no such table
        Err(cause) => {
            tracing::error!(%cause, table, "can't make a page");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn page(database: &Database, table: &str, window: &Window, path: &str) -> Option<String> {
    let catalog = database.catalog();
    let table = Arc::new(catalog.table(&LegacyTable::new("dbo", table))?.clone());
    let deleted = table.columns.iter().position(|column| column.name == "GCRecord");
    let mut rows = database.rows(&table.table.to_string()).ok()?;
    if let Some(deleted) = deleted {
        rows.retain(|row| row.get(deleted).is_none_or(LegacyValue::is_null));
    }
    let text = RowText::new(table);
    let limit = window.limit.unwrap_or(LIMIT).min(LIMIT_MAX);
    let shown = rows.iter().skip(window.offset.unwrap_or(0)).take(limit);
    let items = shown.map(|row| text.json(row)).collect::<Result<Vec<_>, _>>().ok()?;
    Some(format!(
        "{{\"servedBy\":\"legacy\",\"path\":\"{path}\",\"total\":{},\"items\":[{}]}}",
        rows.len(),
        items.join(",")
    ))
}
