//! `--dry-run`: every action, in the order in which it would be taken, and every gate.

use mapping::plan::{DeletedParents, DuplicatePolicy, OrphanPolicy};
use target::{
    Target,
    domain::{Gate, State},
    seal::ForeignKey,
    unique::UniqueIndex,
};

use super::{Waiver, gate_table, put_marker, remedies, terms};
use crate::{exit::Exit, out, settings::Settings};

/// What a cutover would do. [`Exit::Success`] if it would be done.
pub(super) async fn cutover(
    settings: &Settings,
    target: &Target,
    domain: &str,
    waivers: &[Waiver<'_>],
) -> anyhow::Result<Exit> {
    if target.domain_state(domain).await? == State::CutOver {
        out::line(format!("{domain} is handed over already; nothing would be done"));
        return Ok(Exit::Success);
    }
    put_marker(settings, target).await?;
    let mut gates = target.gates(domain, &terms(settings)?).await?;
    waive(&mut gates, waivers);
    let red = remedies(&gates, domain);
    let mut text = gate_table(&gates) + "\n";
    let mut would = |action: String| text.push_str(&format!("  would {action}\n"));
    for waiver in waivers {
        would(format!("accept {}: {}", waiver.name(), waiver.reason));
    }
    would(format!("hold {domain}: whoever writes to it waits, or is told 409, until the switch"));
    for key in target.foreign_keys(domain).await?.iter().filter(|key| !key.sealed) {
        of_key(key).into_iter().for_each(&mut would);
    }
    for index in target.unique_indexes(domain).await?.iter().filter(|index| !index.sealed) {
        would(of_index(index));
    }
    for sequence in target.plan().sequences.iter().filter(|one| one.domain == domain) {
        would(format!("set the sequence {} above the legacy numbers", sequence.qualified()));
    }
    routes(domain, "Postgres").into_iter().for_each(&mut would);
    if !red.is_empty() {
        text.push_str(&format!(
            "\n  but {domain} is not handed over as long as a gate is red:\n{red}"
        ));
    }
    out::line(text.trim_end());
    Ok(if red.is_empty() { Exit::Success } else { Exit::Different })
}

/// What a rollback would do. [`Exit::Success`] if it would be done.
pub(super) async fn rollback(target: &Target, domain: &str) -> anyhow::Result<Exit> {
    match target.domain_state(domain).await? {
        State::CutOver => {}
        State::RolledBack => {
            out::line(format!("{domain} is handed back already; nothing would be done"));
            return Ok(Exit::Success);
        }
        state => {
            out::line(format!("{domain} is {state}; only what is handed over can be taken back"));
            return Ok(Exit::Different);
        }
    }
    let mut text = String::new();
    let mut would = |action: String| text.push_str(&format!("  would {action}\n"));
    would(format!("hold {domain}: whoever writes to it waits, and is told 409 after the switch"));
    for key in target.foreign_keys(domain).await?.iter().filter(|key| key.sealed) {
        would(format!("open: {}", key.name));
    }
    for index in target.unique_indexes(domain).await?.iter().filter(|index| index.sealed) {
        would(format!("open: {}", index.name));
    }
    for (table, rows) in target.rows_of_the_api(domain).await? {
        would(format!(
            "leave {} rows of {table} that the API made, for a copy to overwrite",
            out::thousands(rows)
        ));
    }
    routes(domain, "the legacy application").into_iter().for_each(&mut would);
    text.push_str(&format!("  then copy it anew: ficus backfill {domain} --restart"));
    out::line(text);
    Ok(Exit::Success)
}

/// A gate that would be accepted as a whole is as good as green.
fn waive(gates: &mut [Gate], waivers: &[Waiver<'_>]) {
    for gate in gates.iter_mut().filter(|gate| !gate.green && gate.name != "state") {
        if waivers.iter().any(|waiver| waiver.gate == gate.name && waiver.subject.is_empty()) {
            gate.green = true;
            gate.detail = format!("would be accepted; {}", gate.detail);
        }
    }
}

fn of_key(key: &ForeignKey) -> Vec<String> {
    let (name, orphans) = (&key.name, key.orphans);
    let seal = match key.policy {
        OrphanPolicy::Allow => format!("leave open: {name} (orphans are allowed: {orphans})"),
        OrphanPolicy::Null if orphans > 0 => {
            format!("seal: {name} ({orphans} orphans set to NULL)")
        }
        OrphanPolicy::Refuse if orphans > 0 => {
            format!("leave open: {name} ({orphans} orphans), and only if that is accepted")
        }
        OrphanPolicy::Null | OrphanPolicy::Refuse => format!("seal: {name}"),
    };
    let deleted = match key.deleted_policy {
        DeletedParents::Null if key.deleted > 0 => Some(format!(
            "set {} references of {name} to NULL: their parents are deleted",
            key.deleted
        )),
        _ => None,
    };
    deleted.into_iter().chain([seal]).collect()
}

fn of_index(index: &UniqueIndex) -> String {
    let (name, duplicates) = (&index.name, index.duplicates);
    match index.rule.duplicates {
        DuplicatePolicy::Allow => {
            format!("leave open: {name} (duplicates are allowed: {duplicates})")
        }
        DuplicatePolicy::Refuse if duplicates > 0 => {
            format!("leave open: {name} ({duplicates} duplicates), and only if that is accepted")
        }
        DuplicatePolicy::Refuse => format!("seal: {name}"),
    }
}

/// The switch, and the routes that follow it.
fn routes(domain: &str, side: &str) -> Vec<String> {
    let routes = api::domains::ROUTES.iter().filter(|route| route.domain == domain);
    let routes: Vec<String> =
        routes.map(|route| format!("switch {} {} to {side}", route.method, route.path)).collect();
    if routes.is_empty() {
        vec![format!("switch {domain} to {side}; it has no route yet")]
    } else {
        routes
    }
}
