//! The explanation for programs. The shape is in docs/mapping-check.md.

use mapping::plan::{
    Outcome,
    explain::{Explained, ExplainedColumn, Made},
};
use serde_json::{Value, json};

use super::{PartReport, Report, text::type_name};

pub(super) fn report(report: &Report<'_>) -> Value {
    let key = report.key.as_ref();
    let id = key.and_then(|key| report.target.ids.get(&(report.entity.id, key.clone())));
    let (parts, skipped) = match &report.parts {
        Ok(parts) => (parts.iter().map(|part| self::part(report, part)).collect(), None),
        Err(why) => (Vec::new(), Some(why)),
    };
    json!({
        "format": 1,
        "entity": report.entity.name,
        "key": key.map(mapping::key::CanonicalKey::to_text),
        "id": id,
        "legacy_skipped": skipped,
        "parts": parts,
        "target": target(report),
    })
}

fn part(report: &Report<'_>, part: &PartReport<'_>) -> Value {
    let table = part.table.table.to_string();
    let Some(explained) = &part.explained else {
        return json!({ "table": table, "found": false });
    };
    let entity = explained.part.and_then(|(id, _)| report.plan.entities.get(usize::from(id.0)));
    let columns = explained.columns.iter().map(|column| self::column(report, explained, column));
    json!({
        "table": table,
        "found": true,
        "entity": entity.map(|entity| &entity.name),
        "outcome": outcome(explained),
        "notes": explained.notes,
        "columns": columns.collect::<Vec<_>>(),
    })
}

fn outcome(explained: &Explained) -> Value {
    match &explained.outcome {
        Outcome::Mapped(_) => {
            let kind = explained.kind.map(|kind| match kind {
                mapping::row::RowKind::Upsert => "live",
                mapping::row::RowKind::SoftDelete => "soft_deleted",
                mapping::row::RowKind::Delete => "deleted",
            });
            json!({ "is": "mapped", "row": kind })
        }
        Outcome::Ignored(rule) => json!({ "is": "ignored", "rule": &**rule }),
        Outcome::Rejected(rejection) => json!({
            "is": "rejected", "rule": rejection.rule,
            "column": rejection.column, "detail": rejection.detail,
        }),
    }
}

fn column(report: &Report<'_>, explained: &Explained, column: &ExplainedColumn) -> Value {
    let entity = explained.part.and_then(|(id, _)| report.plan.entities.get(usize::from(id.0)));
    let Some(target) = entity.and_then(|entity| entity.columns.get(column.column)) else {
        return Value::Null;
    };
    let from = column.sources.iter().map(|source| {
        json!({
            "column": source.column,
            "type": source.sql_type.to_string(),
            "value": source.value.plain(),
        })
    });
    let mut value = json!({
        "column": target.name,
        "type": type_name(target.pg_type),
        "masked": column.masked,
        "from": from.collect::<Vec<_>>(),
        "steps": column.steps,
    });
    let Some(object) = value.as_object_mut() else { return value };
    match &column.made {
        Made::Field(_) => {
            object.insert("value".into(), json!(column.shown(target.pg_type).plain()));
        }
        Made::Unchanged => {
            object.insert("unchanged".into(), json!(true));
        }
        Made::Id { entity, key } => {
            let parent = report.plan.entities.get(usize::from(entity.0));
            let id = report.target.ids.get(&(*entity, key.clone()));
            object.insert("value".into(), json!(id));
            object.insert("refers_to".into(), json!(parent.map(|parent| &parent.name)));
            let key = if column.masked { "(masked)".to_owned() } else { key.to_text() };
            object.insert("key".into(), json!(key));
        }
        Made::Rejected { column, rule, problem } => {
            let rejected = json!({ "column": column, "rule": rule, "problem": problem });
            object.insert("rejected".into(), rejected);
        }
    }
    value
}

fn target(report: &Report<'_>) -> Value {
    let known = &report.target;
    if let Some(why) = &known.skipped {
        return json!({ "skipped": why });
    }
    let differences = known.differences.iter().map(|difference| {
        json!({
            "column": difference.column,
            "target": difference.target.plain(),
            "mapped": difference.legacy.plain(),
        })
    });
    let quarantine = known.aside.quarantine.iter().map(|entry| {
        json!({
            "id": entry.id, "state": entry.state, "rule": entry.rule, "column": entry.column,
            "detail": entry.detail, "position": entry.position.to_string(),
        })
    });
    let parts = known.aside.parts.iter().map(|(number, position, state)| {
        json!({ "part": number, "position": position.to_string(), "state": state })
    });
    json!({
        "table": format!("{}.{}", report.entity.target_schema, report.entity.target_table),
        "domain": report.entity.domain,
        "domain_state": known.aside.domain_state,
        "found": known.row.is_some(),
        "source_position": known.row.flatten().map(|position| position.to_string()),
        "differences": differences.collect::<Vec<_>>(),
        "deleted_at_position": known.aside.tombstone.map(|position| position.to_string()),
        "parts": parts.collect::<Vec<_>>(),
        "parked": known.aside.parked.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "quarantine": quarantine.collect::<Vec<_>>(),
    })
}
