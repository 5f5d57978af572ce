//! Against CDC's capture instances: what is not captured never arrives.
//!
//! An instance's columns are fixed when it is made. A column that is added to the table later is
//! not in it, and its values are in no change event, although the copy shows them.

use super::{fields, sources};
use crate::{
    catalog::{Catalog, LegacyTable, Table},
    finding::{Finding, Rule, Subject},
    plan::{Plan, TablePlan, TableRole},
};

/// What was found about CDC.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capture {
    /// The findings.
    pub findings: Vec<Finding>,
    /// Captured tables of which nobody knows the captured columns: those were not compared.
    pub unknown: Vec<LegacyTable>,
}

/// Compares a plan with the capture instances of a catalogue.
#[must_use]
pub fn capture(plan: &Plan, catalog: &Catalog) -> Capture {
    if catalog.tables.iter().all(|table| table.capture_instance.is_none()) {
        let message = format!("CDC captures no table of `{}`", catalog.database);
        let help = "enable it (sys.sp_cdc_enable_db, then sys.sp_cdc_enable_table for each mapped \
                    table), or save the catalogue again: it may be older than CDC";
        let finding = Finding::new(Rule::CaptureOff, Subject::Files, "", message, help);
        return Capture { findings: vec![finding], unknown: Vec::new() };
    }
    let mut capture = Capture::default();
    for table in &plan.tables {
        if let Some(known) = catalog.table(&table.table)
            && !matches!(table.role, TableRole::Ignored { .. })
        {
            check(plan, table, known, &mut capture);
        }
    }
    let marker = catalog.table(&LegacyTable::new("dbo", "ficus_marker"));
    if marker.is_none_or(|marker| marker.capture_instance.is_none()) {
        let message = "CDC does not capture `dbo.ficus_marker`";
        let help = "reconcile and the cutover wait for its rows to come by: create it and enable \
                    CDC for it (deploy/mssql/cdc.sql)";
        capture.findings.push(Finding::new(Rule::MarkerMissing, Subject::Files, "", message, help));
    }
    capture
}

fn check(plan: &Plan, table: &TablePlan, known: &Table, capture: &mut Capture) {
    let name = &known.table;
    let Some(instance) = &known.capture_instance else {
        let message = format!("CDC does not capture `{name}`: its changes never arrive");
        let help = format!(
            "EXEC sys.sp_cdc_enable_table @source_schema = N'{}', @source_name = N'{}', \
             @role_name = NULL; and add it to the connector's table.include.list",
            name.schema, name.name
        );
        let subject = Subject::Table(name.clone());
        capture.findings.push(Finding::new(Rule::CaptureMissing, subject, "", message, help));
        return;
    };
    if known.captured_columns.is_empty() {
        capture.unknown.push(name.clone());
        return;
    }
    let captured = |column: &str| {
        known.captured_columns.iter().any(|captured| captured.eq_ignore_ascii_case(column))
    };
    for column in table.columns.iter().filter(|column| !captured(&column.name)) {
        let message = format!(
            "`{instance}` does not carry `{name}.{}`: its values are in no change event",
            column.name
        );
        let help = format!(
            "make a second instance of the table (@capture_instance = N'{instance}_v2'), drop the \
             old one when the connector has moved on, and copy the table again"
        );
        let subject = subject(plan, table, &column.name);
        let finding =
            Finding::new(Rule::CaptureColumnMissing, subject, &column.name, message, help);
        capture.findings.push(finding);
    }
    for column in known.captured_columns.iter().filter(|column| known.column(column).is_none()) {
        let message =
            format!("`{instance}` carries `{column}`, which `{name}` does not have (any more)");
        let help = "the column was renamed or dropped since: make a second instance of the table, \
                    and see that the mapping names the new column";
        let subject = subject(plan, table, column);
        let finding = Finding::new(Rule::CaptureColumnUnknown, subject, column, message, help);
        capture.findings.push(finding);
    }
}

/// The line of the entity that uses the column; the first entity of the table when none does.
fn subject(plan: &Plan, table: &TablePlan, column: &str) -> Subject {
    let TableRole::Entities(feeds) = &table.role else {
        return Subject::Table(table.table.clone());
    };
    let entities = || feeds.iter().filter_map(|(id, _)| plan.entities.get(usize::from(id.0)));
    let uses = |entity: &&crate::plan::EntityPlan| {
        fields(plan, entity).any(|(of, _, field)| {
            of.id == table.id && sources(of, field).iter().any(|n| n.eq_ignore_ascii_case(column))
        })
    };
    match entities().find(uses).or_else(|| entities().next()) {
        Some(entity) => Subject::Source {
            entity: entity.name.clone(),
            table: table.table.clone(),
            column: column.to_owned(),
        },
        None => Subject::Table(table.table.clone()),
    }
}
