//! The numbers that a report begins with.

use std::collections::BTreeMap;

use crate::{
    assessment::{Assessment, Hazard, Severity, TableAssessment},
    code::{self, Code},
    domain, reference,
};

/// Hazards by severity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Hazards {
    pub(super) blocking: usize,
    pub(super) decide: usize,
    pub(super) note: usize,
}

impl Hazards {
    pub(super) fn of<'h>(hazards: impl IntoIterator<Item = &'h Hazard>) -> Self {
        let mut counts = Self::default();
        for hazard in hazards {
            match hazard.severity {
                Severity::Blocking => counts.blocking += 1,
                Severity::Decide => counts.decide += 1,
                Severity::Note => counts.note += 1,
            }
        }
        counts
    }
}

/// Tables that go together.
pub(super) struct Group<'a> {
    /// The domain; `None` for tables that are not migrated.
    pub(super) domain: Option<String>,
    pub(super) tables: Vec<&'a TableAssessment>,
    pub(super) rows: u64,
    /// `None` when the size of one is not known.
    pub(super) bytes: Option<u64>,
    pub(super) hazards: Hazards,
}

impl<'a> Group<'a> {
    fn of(domain: Option<String>, tables: Vec<&'a TableAssessment>) -> Self {
        Self {
            domain,
            rows: tables.iter().map(|table| rows(table)).sum(),
            bytes: tables.iter().map(|table| table.bytes).sum(),
            hazards: Hazards::of(tables.iter().flat_map(|table| &table.hazards)),
            tables,
        }
    }

    /// The domain's name, or what stands for none.
    pub(super) fn name(&self) -> &str {
        self.domain.as_deref().unwrap_or("not migrated")
    }
}

/// Rows of a table, those that a sample left out included.
pub(super) fn rows(table: &TableAssessment) -> u64 {
    if table.read_whole { table.rows } else { table.rows_estimate.unwrap_or(table.rows) }
}

/// The tables by domain: in the order in which domains are best ported, what is not migrated
/// last.
pub(super) fn groups(assessment: &Assessment) -> Vec<Group<'_>> {
    let catalog = &assessment.catalog;
    let kinds = crate::kind::classify(catalog);
    let references = reference::find(catalog, &kinds);
    // Of the assessed tables alone: the others' domains are nobody's question here.
    let domain_of = |table: &mapping::catalog::Table| {
        let assessed = assessment.tables.iter().find(|a| a.table == table.table)?;
        assessed.domain.clone()
    };
    let domains: Vec<Option<String>> = catalog.tables.iter().map(domain_of).collect();
    let order = domain::order(catalog, &domains, &references);
    let names = order.into_iter().map(Some).chain([None]);
    let group = |name: Option<String>| {
        let tables = assessment.tables.iter().filter(|table| table.domain == name).collect();
        Group::of(name, tables)
    };
    names.map(group).filter(|group| !group.tables.is_empty()).collect()
}

/// Everything together.
pub(super) fn total(assessment: &Assessment) -> Group<'_> {
    Group::of(None, assessment.tables.iter().collect())
}

/// A kind of hazard with how often it was found, and in how many rows.
pub(super) struct Kind {
    pub(super) code: Code,
    pub(super) hazards: usize,
    pub(super) rows: u64,
}

/// The kinds of hazard that were found, worst first, then in the order of the document.
pub(super) fn kinds(assessment: &Assessment) -> Vec<Kind> {
    let mut found: BTreeMap<&str, (usize, u64)> = BTreeMap::new();
    for hazard in assessment.tables.iter().flat_map(|table| &table.hazards) {
        let (hazards, rows) = found.entry(hazard.code.as_str()).or_default();
        *hazards += 1;
        *rows += hazard.count.unwrap_or(0);
    }
    let kind = |code: &Code| {
        let (hazards, rows) = found.get(code.name)?;
        Some(Kind { code: *code, hazards: *hazards, rows: *rows })
    };
    let mut kinds: Vec<Kind> = code::ALL.iter().filter_map(kind).collect();
    kinds.sort_by_key(|kind| kind.code.severity);
    kinds
}

/// One sentence on CDC.
pub(super) fn cdc(assessment: &Assessment) -> String {
    match (assessment.cdc.enabled, &assessment.cdc.max_lsn) {
        (true, Some(lsn)) => format!("CDC is on, captured up to {lsn}"),
        (true, None) => "CDC is on, nothing captured yet".to_owned(),
        (false, _) => "CDC is off: nothing can be followed until it is on".to_owned(),
    }
}

/// What has to be known to read the numbers; empty when all rows were read.
pub(super) fn caveats(assessment: &Assessment) -> Vec<String> {
    let mut caveats = Vec::new();
    let reading = &assessment.reading;
    if let Some(reason) = &reading.stopped {
        caveats
            .push(format!("The run ended before its time: {reason}. What was not read says so."));
    }
    if let Some(sample) = reading.sample {
        caveats.push(format!(
            "Of each table a sample of {sample} rows was read: counts are of these, and references \
             and duplicate keys are not known."
        ));
    }
    if reading.zone.is_none() {
        caveats.push(
            "No --zone was given: hours that were never or twice are not counted.".to_owned(),
        );
    }
    if assessment.tables.is_empty() {
        caveats.push(
            "There are no tables, or none that the login may see (GRANT SELECT, VIEW DEFINITION)."
                .to_owned(),
        );
    }
    caveats
}
