//! Stops tables of which changes were lost, and lets them go on when they are copied again.

use std::sync::Arc;

use mapping::{
    plan::{Plan, TablePlan, TableRole},
    position::Lsn,
};
use target::{
    Target,
    domain::Decision,
    follow::{Follow, StopReason, TableStop},
};

use super::{holds, shared::Shared};
use crate::{
    gap::{Capture, Known, Verdict, judge},
    topics::Topics,
};

/// Who acts, for the audit.
const ENGINE: Decision<'_> =
    Decision { actor: "ficus consume", reason: "the table was copied again" };

/// Looks at each answer of the legacy server, until the run ends. (The first one was looked at
/// before anything was read.)
pub(super) async fn watch(shared: Arc<Shared>, target: Arc<Target>, plan: Arc<Plan>) {
    let Some(mut answers) = shared.settings.capture.clone() else { return };
    answers.mark_unchanged();
    loop {
        tokio::select! {
            changed = answers.changed() => if changed.is_err() { return },
            () = shared.stop.cancelled() => return,
        }
        let Some(capture) = answers.borrow_and_update().clone() else { continue };
        if let Err(error) = look(&shared, &target, &plan, &capture).await {
            tracing::warn!(%error, "it could not be checked whether changes were lost");
        }
    }
}

/// Judges every table that feeds an entity.
pub(super) async fn look(
    shared: &Shared,
    target: &Target,
    plan: &Plan,
    capture: &Capture,
) -> Result<(), target::Error> {
    let topics = Topics::new(&shared.settings, plan);
    let followed = target.followed(&shared.settings.group).await?;
    let copied = target.copied().await?;
    let states = target.table_states().await?;
    let mut verified: Vec<(mapping::plan::TableId, Lsn)> = Vec::new();
    let mut is_news = false;
    for table in plan.tables.iter().filter(|t| matches!(t.role, TableRole::Entities(_))) {
        let name = table.table.to_string();
        let state = states.iter().find(|state| state.table == name);
        let is_stopped = state.is_some_and(|state| {
            state.state == Follow::Stopped && state.reason == StopReason::Gap.as_str()
        });
        let known = Known {
            applied: topics.of(table.id).filter_map(|topic| followed.get(topic)).max().copied(),
            copied: copied.get(&table.id).copied(),
            verified: state.and_then(|state| state.verified),
            is_stopped,
            is_accepted: state.is_some_and(|state| state.gap_accepted),
        };
        let words = match judge(&table.table, &known, capture) {
            Verdict::Empty | Verdict::Whole(None) => continue,
            Verdict::Whole(Some(lsn)) => {
                verified.push((table.id, lsn));
                continue;
            }
            Verdict::Healed => {
                tracing::info!(table = name, "copied again: the stream goes on with the table");
                target.resume_table(table.id, ENGINE).await?;
                is_news = true;
                continue;
            }
            Verdict::Lost(..) | Verdict::NotCaptured if is_stopped => continue,
            Verdict::Lost(place, begins) => lost(plan, table, place, begins),
            Verdict::NotCaptured => not_captured(plan, table),
        };
        let (detail, remedy) = words;
        tracing::error!(table = name, detail, remedy, "the table is stopped");
        let stop = TableStop { table: table.id, reason: StopReason::Gap, detail, remedy };
        is_news |= target.stop_table(&stop).await?;
    }
    target.note_verified(&verified).await?;
    if is_news {
        shared.know_held(holds::held(plan, target.table_states().await?));
    }
    Ok(())
}

fn lost(plan: &Plan, table: &TablePlan, place: Lsn, begins: Lsn) -> (String, String) {
    let name = &table.table;
    let detail = format!(
        "changes of {name} after {place} and before {begins} are gone: CDC's clean-up removed them, \
         and they had not come here"
    );
    (detail, copy_again(plan, table))
}

fn not_captured(plan: &Plan, table: &TablePlan) -> (String, String) {
    let name = &table.table;
    let detail = format!(
        "CDC does not capture {name}, or the login may not know (fn_cdc_get_min_lsn gives nothing): \
         its changes never come"
    );
    let remedy =
        format!("enable it with sys.sp_cdc_enable_table; then {}", copy_again(plan, table));
    (detail, remedy)
}

/// The stream goes on by itself when the copy is done.
pub(super) fn copy_again(plan: &Plan, table: &TablePlan) -> String {
    let names: Vec<&str> = plan
        .entities
        .iter()
        .filter(|entity| entity.parts.iter().any(|part| part.table == table.id))
        .map(|entity| entity.name.as_str())
        .collect();
    let names = names.join(" ");
    format!(
        "`ficus backfill {names} --restart`; the table goes on by itself when it is copied; rows that \
         were deleted meanwhile are told by `ficus reconcile {names}`"
    )
}
