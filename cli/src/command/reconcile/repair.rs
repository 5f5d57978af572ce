//! `ficus reconcile --repair`: what would be done about rows that differ, or doing it.

use std::collections::BTreeMap;

use reconcile::{Compared, Repair, Repaired, Terms, repair};
use serde_json::json;

use super::{Comparison, exit};
use crate::{
    args::{ReconcileArgs, RepairMode},
    command::quarantine::actor,
    exit::Exit,
    out,
};

/// Rows of a plan that are shown one by one; the JSON has all.
const SHOWN_MAX: usize = 50;

/// Plans, or repairs and compares again; the exit code is the last verdict.
pub(super) async fn run(
    comparison: &Comparison<'_>,
    (args, mode): (&ReconcileArgs, RepairMode),
    compared: Compared,
) -> anyhow::Result<Exit> {
    if mode == RepairMode::Plan || compared.repairs.is_empty() {
        if args.json {
            out::line(json(args, &compared, None)?);
        } else {
            out::line(compared.report.to_text());
            out::line(plan(args, &compared));
        }
        super::write(comparison, args, &compared).await?;
        return Ok(exit(&compared.report));
    }
    let terms =
        Terms { actor: actor(), run: compared.report.run.clone(), delete_extra: args.delete_extra };
    let source = (&comparison.source()?, &*comparison.target, &comparison.plan);
    let done = repair(source, &compared.repairs, &terms, &comparison.watch()).await?;
    if !args.json {
        out::line(compared.report.to_text());
        out::line(outcome(&done) + &beyond(&compared));
    }
    let names: Vec<String> = done.keys().cloned().collect();
    let again = Box::pin(comparison.compare(&names)).await?;
    if args.json {
        out::line(json(args, &compared, Some((&done, &again.report)))?);
    } else {
        out::line(format!("compared again after the repair: {}\n", names.join(", ")));
        out::line(again.report.to_text());
    }
    super::write(comparison, args, &again).await?;
    // What was not repaired is as it was: the worse of the two verdicts of what was not touched.
    let is_touched = |entity: &&reconcile::EntityReport| done.contains_key(&entity.entity);
    let untouched = compared.report.entities.iter().filter(|entity| !is_touched(entity));
    let verdicts = untouched.map(|entity| entity.verdict).chain([again.report.verdict]);
    Ok(super::verdict_exit(reconcile::Verdict::worst(verdicts)))
}

fn json(
    args: &ReconcileArgs,
    compared: &Compared,
    after: Option<(&BTreeMap<String, Repaired>, &reconcile::Report)>,
) -> anyhow::Result<String> {
    let rows: Vec<_> = compared.repairs.iter().map(|row| row_json(row, args)).collect();
    let (done, after) = after.unzip();
    let repair = json!({ "rows": rows, "done": done, "beyond": unremembered(compared) });
    let body = json!({ "report": compared.report, "repair": repair, "after": after });
    Ok(serde_json::to_string_pretty(&body)?)
}

/// Rows that differ and that a repair does not know.
fn unremembered(compared: &Compared) -> u64 {
    let all: u64 = compared.report.entities.iter().map(reconcile::EntityReport::different).sum();
    all.saturating_sub(u64::try_from(compared.repairs.len()).unwrap_or(u64::MAX))
}

fn beyond(compared: &Compared) -> String {
    match unremembered(compared) {
        0 => String::new(),
        more => format!(
            "{} more rows differ than a repair can name or remember: copy them again (ficus \
             backfill NAME --restart), or repair once more\n",
            out::thousands(more)
        ),
    }
}

fn row_json(row: &Repair, args: &ReconcileArgs) -> serde_json::Value {
    json!({
        "entity": row.entity, "kind": row.kind, "key": row.key.as_ref().map(ToString::to_string),
        "id": row.id, "action": row.action(args.delete_extra),
    })
}

fn plan(args: &ReconcileArgs, compared: &Compared) -> String {
    let rows = &compared.repairs;
    if rows.is_empty() {
        return "there is nothing to repair".to_owned();
    }
    let name = |row: &Repair| match (&row.key, row.id) {
        (Some(key), _) => key.to_string(),
        (None, Some(id)) => id.to_string(),
        (None, None) => "-".to_owned(),
    };
    let cells = |row: &Repair| {
        let action = row.action(args.delete_extra).to_owned();
        vec![row.entity.clone(), row.kind.word().to_owned(), name(row), action]
    };
    let shown: Vec<Vec<String>> = rows.iter().take(SHOWN_MAX).map(cells).collect();
    let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    let mut text = format!("what a repair would do ({} rows):\n", out::thousands(count));
    text.push_str(&out::table(&["entity", "kind", "row", "what"], &shown));
    if rows.len() > SHOWN_MAX {
        text.push_str("  … (--json tells all)\n");
    }
    text + &beyond(compared)
}

fn outcome(done: &BTreeMap<String, Repaired>) -> String {
    let cells = |(entity, repaired): (&String, &Repaired)| {
        let counts = [
            repaired.read,
            repaired.applied,
            repaired.stale,
            repaired.quarantined,
            repaired.ignored,
            repaired.gone,
            repaired.removed,
            repaired.left,
        ];
        [entity.clone()].into_iter().chain(counts.map(out::thousands)).collect()
    };
    let rows: Vec<Vec<String>> = done.iter().map(cells).collect();
    let header = [
        "repaired",
        "read",
        "written",
        "newer here",
        "quarantined",
        "ignored",
        "gone",
        "removed",
        "left",
    ];
    out::table(&header, &rows)
}
