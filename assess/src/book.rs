//! What is known of each table, while the run goes on.

use std::collections::{BTreeMap, BTreeSet};

use legacy::Session;

use crate::{
    assessment::{ColumnFacts, Hazard, TableAssessment},
    check::{Told, hazard},
    code,
    keys::Keys,
    read::Ending,
    reference::is_ours,
    run::Known,
    schema,
    sheet::{Open, Sheet},
    subject::Subject,
    survey::{Depth, Survey},
};

/// The assessments, by the tables' places in the catalogue.
pub(crate) struct Book {
    tables: BTreeMap<usize, TableAssessment>,
    /// Tables of which not even the number of rows is known.
    uncounted: BTreeSet<usize>,
}

impl Book {
    /// The tables with what their schema tells. XPO's own are in it when the whole database is
    /// assessed, though nobody reads them.
    pub(crate) fn new(
        survey: &Survey<'_>,
        known: &Known,
        selected: &BTreeSet<usize>,
        whole_database: bool,
    ) -> Self {
        let mut book = Self { tables: BTreeMap::new(), uncounted: BTreeSet::new() };
        for (at, table) in survey.catalog.tables.iter().enumerate() {
            let is_selected = selected.contains(&at);
            if !is_selected && (!whole_database || is_ours(table)) {
                continue;
            }
            let Some(subject) = survey.subject(at, Depth::Whole) else { continue };
            let size = known.size(&table.table);
            if size.is_none() {
                book.uncounted.insert(at);
            }
            let hazards =
                if is_selected { schema::hazards(&subject, known.cdc.enabled) } else { Vec::new() };
            let assessment = TableAssessment {
                table: table.table.clone(),
                kind: subject.kind.clone(),
                domain: survey.domains.get(at).cloned().flatten(),
                rows: size.map_or(0, |size| size.rows),
                read_whole: false,
                rows_estimate: size.map(|size| size.rows),
                bytes: size.map(|size| size.bytes),
                columns: Vec::new(),
                hazards,
            };
            book.tables.insert(at, assessment);
        }
        book
    }

    /// Takes what was found in a table; what waits for other tables is given back.
    pub(crate) fn take<'s>(
        &mut self,
        sheet: Sheet<'s>,
        ending: Ending,
        keys: &mut Keys,
    ) -> Option<Open<'s>> {
        let (subject, rows) = (sheet.subject, sheet.rows);
        let is_whole = ending == Ending::Whole;
        let Some(table) = self.tables.get_mut(&subject.at) else {
            // Read for its keys alone.
            sheet.finish(is_whole, &mut [], &mut Vec::new(), keys);
            return None;
        };
        self.uncounted.remove(&subject.at);
        let columns = subject.table.columns.iter();
        table.columns = columns
            .map(|column| ColumnFacts { name: column.name.clone(), ..ColumnFacts::default() })
            .collect();
        table.rows = rows;
        table.read_whole = is_whole;
        if !is_whole {
            table.hazards.push(sampled(rows));
        }
        Some(sheet.finish(is_whole, &mut table.columns, &mut table.hazards, keys))
    }

    /// Notes a table that could not be read.
    pub(crate) fn failed(&mut self, subject: &Subject<'_>, reason: &str) {
        let advice = crate::advice::ignore(&subject.table.table, "it could not be read");
        let message = format!("could not be read, so what is in it is not known: {reason}");
        self.note(subject, hazard(code::READ_FAILED, &[], message, advice));
    }

    /// Notes a table whose turn did not come.
    pub(crate) fn stopped(&mut self, subject: &Subject<'_>) {
        let message = "was not read: the run ended before";
        let advice = format!("run `ficus assess {}` again", subject.table.table);
        self.note(subject, hazard(code::READ_STOPPED, &[], message, advice));
    }

    fn note(&mut self, subject: &Subject<'_>, hazard: Hazard) {
        if let Some(table) = self.tables.get_mut(&subject.at) {
            table.hazards.push(hazard);
        }
    }

    /// Tells what waited for other tables.
    pub(crate) fn settle(&mut self, subject: &Subject<'_>, open: Open<'_>, keys: &Keys) {
        let Some(table) = self.tables.get_mut(&subject.at) else { return };
        let mut told = Told {
            subject,
            rows: table.rows,
            facts: &mut table.columns,
            hazards: &mut table.hazards,
            wall_times: Vec::new(),
        };
        open.tell(keys, &mut told);
    }

    /// Counts the rows of the tables that nobody read and that the server's statistics did not
    /// tell of. A table that can't be counted has none here; its own hazard says why.
    pub(crate) async fn count_unread(&mut self, session: &mut Session) {
        for at in &self.uncounted {
            let Some(table) = self.tables.get_mut(at) else { continue };
            match session.row_count(&table.table).await {
                Ok(rows) => table.rows = rows,
                Err(error) => tracing::debug!(table = %table.table, %error, "not counted"),
            }
        }
    }

    /// The tables in the catalogue's order, their hazards worst first.
    pub(crate) fn close(self) -> Vec<TableAssessment> {
        let rank = |hazard: &Hazard| {
            let kind = code::ALL.iter().position(|code| code.name == hazard.code);
            (hazard.severity, kind, hazard.columns.clone())
        };
        let mut tables: Vec<TableAssessment> = self.tables.into_values().collect();
        for table in &mut tables {
            table.hazards.sort_by_cached_key(rank);
            let advice = table.hazards.iter_mut().map(|hazard| &mut hazard.advice);
            crate::advice::complete(&mut advice.collect::<Vec<_>>());
        }
        tables
    }
}

fn sampled(rows: u64) -> Hazard {
    let message = format!(
        "a sample of {rows} rows was read: the counts are of these, and references and duplicate \
         keys are not known"
    );
    let mut hazard = hazard(code::READ_SAMPLE, &[], message, "run `ficus assess` without --sample");
    hazard.count = Some(rows);
    hazard
}
