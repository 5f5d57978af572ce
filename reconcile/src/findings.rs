//! What the passes found, by entity, on its way into the report.

use std::collections::BTreeMap;

use mapping::{
    encode::display,
    key::CanonicalKey,
    plan::{EntityPlan, PgType, TablePlan},
    position::{Lsn, Position},
};
use uuid::Uuid;

use crate::{
    Error,
    again::Judged,
    decide::{Decision, DifferenceKind, LegacySeen},
    legacy_scan::Scan,
    repair::Repair,
    report::{Difference, ValuePair},
    rowhash::values,
    subject::{Subject, entity, table},
};

/// What is shown instead of a sensitive value.
const MASK: &str = "***";
const NO_ID: &str = "(the parent's key has no id)";

/// The classes of rows that were read again, of one subject.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) equal: u64,
    pub(crate) changed: u64,
    pub(crate) missing: u64,
    pub(crate) extra: u64,
    pub(crate) quarantined: u64,
    /// Rejected rows that a person has decided to leave behind.
    pub(crate) discarded: u64,
    pub(crate) in_flight: u64,
    /// Target rows without a legacy row that may be about to go.
    pub(crate) extra_in_flight: u64,
    /// Rows that were looked at and are not on the legacy side any more.
    pub(crate) absent: u64,
    /// Rows that a later change than S made, or that are undecided: they may have come or gone.
    pub(crate) movers: u64,
    pub(crate) columns: BTreeMap<String, u64>,
    /// Rows that somebody has changed in the target.
    pub(crate) tampered: u64,
    pub(crate) differences: Vec<Found>,
    pub(crate) repairs: Vec<Repair>,
}

/// A difference, and how it is stored.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) shown: Difference,
    pub(crate) stored: target::report::Difference,
}

impl Found {
    pub(crate) fn repair(&self) -> Repair {
        Repair {
            entity: self.stored.entity.clone(),
            kind: self.shown.kind,
            key: self.stored.key.as_deref().map(CanonicalKey::from_bytes),
            id: self.stored.id,
            has_position: self.stored.position.is_some(),
        }
    }
}

impl Findings {
    /// Rows read again that the legacy side has.
    pub(crate) fn present(&self) -> u64 {
        let held = self.quarantined + self.discarded;
        self.equal + self.changed + self.missing + held + self.in_flight
    }

    /// Counts a row that is decided, or that nobody will decide any more.
    pub(crate) fn count(&mut self, legacy: LegacySeen, decision: Decision) {
        let is_there = legacy != LegacySeen::Absent;
        self.absent += u64::from(!is_there);
        match decision {
            Decision::Agree => self.equal += u64::from(is_there),
            Decision::Quarantined => self.quarantined += u64::from(is_there),
            Decision::Discarded => self.discarded += u64::from(is_there),
            Decision::InFlight if is_there => self.in_flight += 1,
            Decision::InFlight => self.extra_in_flight += 1,
            Decision::Different(DifferenceKind::Missing) => self.missing += 1,
            Decision::Different(DifferenceKind::Extra) => self.extra += 1,
            Decision::Different(
                DifferenceKind::Changed | DifferenceKind::Unreported | DifferenceKind::Composed,
            ) => self.changed += 1,
        }
    }

    /// Keeps a difference, up to limits (of examples, and of rows to repair), and counts its
    /// columns.
    pub(crate) fn keep(&mut self, found: Found, (limit, repairs_max): (usize, usize)) {
        for pair in &found.shown.columns {
            *self.columns.entry(pair.column.clone()).or_default() += 1;
        }
        self.tampered += u64::from(found.shown.tampered);
        if self.repairs.len() < repairs_max {
            self.repairs.push(found.repair());
        }
        if self.differences.len() < limit {
            self.differences.push(found);
        }
    }
}

/// Describes a judged row that differs.
pub(crate) fn describe(
    scan: &Scan,
    judged: &Judged<'_>,
    (kind, low): (DifferenceKind, Option<Lsn>),
) -> Result<Found, Error> {
    let (plan, subject) = (&scan.plan, scan.subjects.get(judged.candidate.subject));
    let Some(entity) = entity(plan, subject.entity) else {
        return Err(Error::Task { what: "an entity is not in the plan".to_owned() });
    };
    let columns = match (kind, judged.legacy_fields, judged.target) {
        (DifferenceKind::Changed, Some((fields, is_deleted)), Some(row)) if row.same_shape => {
            let target_deleted =
                row.soft_deleted || subject.is_deleted(&row.fields).unwrap_or(false);
            if is_deleted == target_deleted {
                pairs(entity, subject, fields, &row.fields)
            } else {
                vec![deleted_pair(entity, is_deleted, target_deleted)]
            }
        }
        _ => Vec::new(),
    };
    let part = (!subject.is_whole)
        .then(|| table(plan, subject.table).map(|table| table.table.to_string()))
        .flatten();
    let position = judged.target.and_then(|row| row.position);
    let is_hidden = table(plan, subject.table).is_some_and(has_sensitive_key);
    let key = judged.candidate.key.as_ref();
    let shown = Difference {
        kind,
        part,
        key: key.map(|key| if is_hidden { MASK.to_owned() } else { key.to_string() }),
        id: judged.candidate.id.map(|id| id.to_string()),
        position: position.map(|position| position.to_string()),
        low: low.map(|low| low.to_string()),
        columns,
        tampered: !scan.is_owned(entity) && is_tampered(kind, judged, low),
        hint: hint(kind, judged, scan.is_owned(entity)),
    };
    let key = judged.candidate.key.as_ref().map(|key| key.as_bytes().to_vec());
    let stored = stored(&entity.name, &shown, (judged.candidate.id, key, position));
    Ok(Found { shown, stored })
}

/// Whether a part of the key is nobody's business.
fn has_sensitive_key(table: &TablePlan) -> bool {
    let mut key = table.key.iter().filter_map(|index| table.columns.get(*index));
    let hidden = table.sensitive_columns();
    key.any(|column| hidden.iter().any(|name| name.eq_ignore_ascii_case(&column.name)))
}

/// How a difference is stored: by the kinds that the table knows.
pub(crate) fn stored(
    entity: &str,
    shown: &Difference,
    (id, key, position): (Option<Uuid>, Option<Vec<u8>>, Option<mapping::position::Position>),
) -> target::report::Difference {
    let kind = match shown.kind {
        DifferenceKind::Missing => "missing",
        _ if shown.tampered => "tampered",
        DifferenceKind::Extra => "extra",
        DifferenceKind::Changed => "changed",
        DifferenceKind::Unreported if position.is_some() => "changed",
        DifferenceKind::Unreported => "missing",
        DifferenceKind::Composed => "tampered",
    };
    let side = |of: fn(&ValuePair) -> &Option<String>| {
        let values = shown.columns.iter().map(|pair| {
            let value = of(pair).clone().map_or(serde_json::Value::Null, Into::into);
            (pair.column.clone(), value)
        });
        serde_json::Value::Object(values.collect())
    };
    let has_values = !shown.columns.is_empty();
    target::report::Difference {
        entity: entity.to_owned(),
        id,
        key,
        kind: kind.to_owned(),
        columns: shown.columns.iter().map(|pair| pair.column.clone()).collect(),
        legacy: has_values.then(|| side(|pair| &pair.legacy)),
        target: has_values.then(|| side(|pair| &pair.target)),
        position,
    }
}

/// The differing columns of two rows, shown.
pub(crate) fn pairs(
    entity: &EntityPlan,
    subject: &Subject,
    legacy: &[u8],
    target: &[u8],
) -> Vec<ValuePair> {
    let is_deleted = subject.is_deleted(legacy).unwrap_or(false);
    let differing = subject.comparer.differing(legacy, target, is_deleted).unwrap_or_default();
    let (legacy, target) = (values(legacy).unwrap_or_default(), values(target).unwrap_or_default());
    let pair = |at: usize| {
        let column = entity.columns.get(*subject.columns.get(at)?)?;
        let show = |value: Option<&&[u8]>| match value {
            None => None,
            Some(_) if column.sensitive => Some(MASK.to_owned()),
            Some(value) if column.pg_type == PgType::Uuid && **value == [0; 16] => {
                Some(NO_ID.to_owned())
            }
            Some(value) => Some(display(column.pg_type, value)),
        };
        let value = |side: &[Option<&[u8]>]| show(side.get(at).and_then(Option::as_ref));
        Some(ValuePair {
            column: column.name.clone(),
            legacy: value(&legacy),
            target: value(&target),
        })
    };
    differing.into_iter().filter_map(pair).collect()
}

fn deleted_pair(entity: &EntityPlan, legacy: bool, target: bool) -> ValuePair {
    let column = entity.deleted_at.and_then(|index| entity.columns.get(index));
    let show = |is_deleted: bool| is_deleted.then(|| "deleted".to_owned());
    ValuePair {
        column: column.map_or_else(|| "deleted_at".to_owned(), |column| column.name.clone()),
        legacy: show(legacy),
        target: show(target),
    }
}

/// Whether somebody has changed the row in the target. While its domain is not cut over, nobody
/// but the engine writes there (law 1), and the engine leaves a position and a key behind. Without
/// a fence nothing is known of what is on its way, so nothing is claimed.
fn is_tampered(kind: DifferenceKind, judged: &Judged<'_>, low: Option<Lsn>) -> bool {
    let Some(row) = judged.target.filter(|_| low.is_some()) else { return false };
    match kind {
        DifferenceKind::Changed => row.same_shape,
        // A rollback leaves the oldest position there is to rows that the API had made.
        DifferenceKind::Extra => row
            .position
            .is_none_or(|position| judged.candidate.key.is_none() && position != Position::ZERO),
        DifferenceKind::Composed => true,
        DifferenceKind::Missing | DifferenceKind::Unreported => false,
    }
}

/// What a difference can mean.
fn hint(kind: DifferenceKind, judged: &Judged<'_>, is_owned: bool) -> String {
    let position = judged.target.map(|row| row.position);
    let text = match (kind, position) {
        _ if is_owned => "its domain is cut over: Postgres owns the row, and the two sides part",
        (_, Some(None)) => {
            "changed by somebody: the target row has no position, so it was not the engine that \
             wrote it"
        }
        (_, Some(_)) if judged.target.is_some_and(|row| !row.same_shape) => {
            "it was stored under another version of the mapping: copy the table again"
        }
        (DifferenceKind::Changed, _) => {
            "changed in the target by somebody: its position says that it is current"
        }
        (DifferenceKind::Missing, _) if judged.candidate.id.is_some() => {
            "the key has an id and there is no tombstone: the row was deleted in the target by \
             somebody, or never came"
        }
        (DifferenceKind::Missing, _) => "the key was never seen: the row never came",
        (DifferenceKind::Extra, _) if judged.candidate.key.is_some() => {
            "the legacy row is gone and its delete never came (such as while the domain was cut \
             over), or somebody put the row back"
        }
        (DifferenceKind::Extra, Some(Some(Position::ZERO))) => {
            "the row has no legacy key: the API made it while the domain was cut over"
        }
        (DifferenceKind::Extra, _) => "the row has no legacy key: somebody put it into the target",
        (DifferenceKind::Unreported, _) => {
            "the mapping rejects the row, and quarantine has no entry for it"
        }
        (DifferenceKind::Composed, _) => {
            "the row is not what its parts make: it was changed in the target by somebody"
        }
    };
    judged.rule.map_or_else(|| text.to_owned(), |rule| format!("{text} ({rule})"))
}
