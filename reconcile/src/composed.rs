//! Entities of several parts: is the target's row what its parts make? Both sides of this
//! comparison are in Postgres and written in one transaction, so one snapshot decides.

use mapping::plan::{EntityId, EntityPlan, SoftDelete};
use target::{
    Target,
    compare::{ComposedRow, ScannedPart},
};
use uuid::Uuid;

use crate::{
    Error,
    decide::DifferenceKind,
    findings::{Findings, Found, pairs, stored},
    legacy_scan::Scan,
    repair::Repair,
    report::Difference,
    rowhash::{BadShape, Comparer, split_field, values},
    subject::{Subject, entity, is_reference},
};

/// What was found out about one entity's composition.
#[derive(Debug, Default)]
pub(crate) struct Composition {
    /// Ids of which a part never came.
    pub(crate) incomplete: u64,
    /// Rows that are not what their parts make.
    pub(crate) wrong: u64,
    /// Rows in the target table.
    pub(crate) target_rows: u64,
    /// Those of them that somebody has made so.
    pub(crate) tampered: u64,
    pub(crate) differences: Vec<Found>,
    pub(crate) repairs: Vec<Repair>,
}

/// By entity, for those with several parts.
#[derive(Debug, Default)]
pub(crate) struct Compositions(Vec<(EntityId, Composition)>);

impl Compositions {
    pub(crate) fn of(&self, entity: EntityId) -> Option<&Composition> {
        self.0.iter().find(|(id, _)| *id == entity).map(|(_, composition)| composition)
    }

    /// All differences, to be stored with the others.
    pub(crate) fn into_findings(self) -> Findings {
        let mut all = Findings::default();
        for (_, composition) in self.0 {
            all.differences.extend(composition.differences);
            all.repairs.extend(composition.repairs);
        }
        all
    }
}

/// Checks every selected entity that has several parts.
pub(crate) async fn check(scan: &Scan, target: &Target) -> Result<Compositions, Error> {
    let mut all = Compositions::default();
    for id in &scan.subjects.entities {
        let Some(plan) = entity(&scan.plan, *id).filter(|plan| plan.parts.len() > 1) else {
            continue;
        };
        let limits = (scan.settings.differences_max, scan.settings.repairs_max);
        let mut checker = Checker::new(plan, limits, scan.is_owned(plan));
        let mut each = |row: ComposedRow<'_>| checker.add(&row);
        let rows = tokio::select! {
            rows = target.scan_composed(*id, &mut each) => rows,
            () = scan.watch.stop.cancelled() => return Err(Error::Cancelled),
        };
        rows.map_err(Error::target(format!("reading {} and its parts", plan.target_table)))?;
        if checker.failed {
            let detail = "its parts do not make a row".to_owned();
            return Err(Error::Shape { table: plan.target_table.clone(), detail });
        }
        all.0.push((*id, checker.composition));
    }
    Ok(all)
}

struct Checker<'a> {
    plan: &'a EntityPlan,
    whole: Subject,
    /// Of examples, and of rows to repair.
    limits: (usize, usize),
    /// Whether the domain is cut over.
    is_owned: bool,
    composition: Composition,
    failed: bool,
}

impl<'a> Checker<'a> {
    fn new(plan: &'a EntityPlan, limits: (usize, usize), is_owned: bool) -> Self {
        let columns: Vec<usize> = (0..plan.columns.len()).collect();
        let whole = Subject {
            entity: plan.id,
            part: 0,
            table: plan.parts.first().map_or(mapping::plan::TableId(0), |part| part.table),
            is_whole: true,
            deleted_at: plan.deleted_at,
            archives: plan.soft_delete == SoftDelete::Archive,
            comparer: Comparer::new(&plan.columns, |column| is_reference(plan, column)),
            columns,
        };
        let composition = Composition::default();
        Self { plan, whole, limits, is_owned, composition, failed: false }
    }

    fn add(&mut self, row: &ComposedRow<'_>) {
        self.composition.target_rows += u64::from(row.fields.is_some());
        let parts: Vec<ScannedPart<'_>> = row.parts.iter().flatten().copied().collect();
        let is_away =
            |part: &ScannedPart<'_>| !part.live || (self.whole.archives && part.soft_deleted);
        let is_gone = parts.iter().any(is_away) || parts.is_empty();
        if !is_gone && parts.len() < row.parts.len() {
            self.composition.incomplete += 1;
        }
        let is_expected = !is_gone && parts.len() == row.parts.len();
        // Stored under another version of the mapping: the parts themselves are reported.
        if is_expected && parts.iter().any(|part| !part.same_shape) {
            return;
        }
        match (is_expected, row.fields) {
            (false, None) => {}
            (true, Some(fields)) => match self.compare(row, &parts, fields) {
                Ok(true) => {}
                Ok(false) => self.report(row, &parts),
                Err(BadShape) => self.failed = true,
            },
            (true, None) | (false, Some(_)) => self.report(row, &parts),
        }
    }

    fn compare(
        &self,
        row: &ComposedRow<'_>,
        parts: &[ScannedPart<'_>],
        fields: &[u8],
    ) -> Result<bool, BadShape> {
        let is_deleted = parts.iter().any(|part| part.soft_deleted);
        if row.position.is_none() || self.whole.is_deleted(fields)? != is_deleted {
            return Ok(false);
        }
        let composed = compose(self.plan, parts)?;
        let (mut left, mut right) = (Vec::new(), Vec::new());
        self.whole.comparer.compared(&composed, false, &mut left)?;
        self.whole.comparer.compared(fields, false, &mut right)?;
        Ok(left == right)
    }

    fn report(&mut self, row: &ComposedRow<'_>, parts: &[ScannedPart<'_>]) {
        self.composition.wrong += 1;
        self.composition.tampered += u64::from(!self.is_owned);
        let id = Uuid::from_bytes(row.id);
        if self.composition.repairs.len() < self.limits.1 {
            self.composition.repairs.push(Repair {
                entity: self.plan.name.clone(),
                kind: DifferenceKind::Composed,
                key: None,
                id: Some(id),
                has_position: row.position.is_some(),
            });
        }
        if self.composition.differences.len() >= self.limits.0 {
            return;
        }
        let columns = match (row.fields, compose(self.plan, parts)) {
            (Some(fields), Ok(composed)) if parts.len() == row.parts.len() => {
                pairs(self.plan, &self.whole, &composed, fields)
            }
            _ => Vec::new(),
        };
        let hint = match (row.fields, row.position) {
            (None, _) => "its parts are all there, but the row is not: it was deleted by somebody",
            (Some(_), None) => "it was not the engine that wrote it",
            (Some(_), Some(_)) => "it is not what its parts make: it was changed by somebody",
        };
        let shown = Difference {
            kind: DifferenceKind::Composed,
            part: None,
            key: None,
            id: Some(id.to_string()),
            position: row.position.map(|position| position.to_string()),
            low: None,
            columns,
            tampered: !self.is_owned,
            hint: hint.to_owned(),
        };
        let stored = stored(&self.plan.name, &shown, (Some(id), None, row.position));
        self.composition.differences.push(Found { shown, stored });
    }
}

/// The row that the parts make: each column from the part that has it.
fn compose(plan: &EntityPlan, parts: &[ScannedPart<'_>]) -> Result<Vec<u8>, BadShape> {
    let mut by_column: Vec<Option<Vec<u8>>> = vec![None; plan.columns.len()];
    for (part, scanned) in plan.parts.iter().zip(parts) {
        if values(scanned.fields)?.len() != part.columns.len() {
            return Err(BadShape);
        }
        let mut rest = scanned.fields;
        for column in &part.columns {
            let (field, after) = split_field(rest)?;
            rest = after;
            let place = by_column.get_mut(*column).ok_or(BadShape)?;
            place.get_or_insert_with(|| field.raw.to_vec());
        }
    }
    let mut row = Vec::new();
    for field in by_column {
        row.extend_from_slice(&field.ok_or(BadShape)?);
    }
    Ok(row)
}
