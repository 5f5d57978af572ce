//! What the demo tells while it goes.

use spacehub::demo::{PlantedDefect, writer};
use target::Target;

use crate::{
    command, out,
    settings::{self, Settings},
};

/// A step of the road.
pub(super) fn step(what: &str) {
    out::line(format!("\n── {what}"));
}

/// A part and where it comes from.
pub(super) fn part(name: &str, what: &str) {
    out::line(format!("   {name:<14} {what}"));
}

/// What the copy did.
pub(super) fn copied(report: &backfill::Report) {
    let seconds = report.elapsed.as_secs_f64().max(0.001);
    let rate = out::rate(report.rows_read(), report.elapsed);
    out::line(format!(
        "   {} rows in {seconds:.1} s ({rate} rows/s); {} in quarantine",
        out::thousands(report.rows_read()),
        report.rows_quarantined()
    ));
    for warning in &report.warnings {
        out::line(format!("   note: {warning}"));
    }
}

/// A verdict in two lines.
pub(super) fn verdict(report: &reconcile::Report) {
    let sum = |pick: fn(&reconcile::EntityReport) -> u64| {
        out::thousands(report.entities.iter().map(pick).sum())
    };
    out::line(format!(
        "   {} at LSN {} (marker {}, {} passes)\n   {} rows equal, {} different, {} in flight, {} in quarantine",
        report.verdict,
        report.low.as_deref().unwrap_or("-"),
        report.marker.as_deref().unwrap_or("-"),
        report.passes,
        sum(|entity| entity.rows.equal),
        sum(reconcile::EntityReport::different),
        sum(|entity| entity.rows.in_flight),
        sum(|entity| entity.rows.quarantined),
    ));
}

/// What the writer did meanwhile.
pub(super) fn written(counts: &writer::Counts, repaired: &[PlantedDefect]) {
    out::line(format!(
        "   it committed {} transactions: {} rows inserted, {} updated, {} deleted",
        out::thousands(counts.transactions),
        out::thousands(counts.inserts),
        out::thousands(counts.updates),
        out::thousands(counts.deletes)
    ));
    for defect in repaired {
        out::line(format!(
            "   a user corrects {}.{}, which was in quarantine ({})",
            defect.table, defect.column, defect.rule
        ));
    }
}

/// Shows the gates of a domain and hands it over when they are green.
pub(super) async fn hand_over(
    settings: &Settings,
    target: &Target,
    owner: &target::Pool,
    domain: &str,
) -> anyhow::Result<bool> {
    let handed_over = command::cut_over(settings, target, owner, domain, &[]).await?;
    out::line(handed_over.text);
    Ok(handed_over.done)
}

/// What another process needs to know to find the demo's parts.
const SHARED: [&str; 7] = [
    "legacy.url",
    "legacy.http",
    "kafka.bootstrap",
    "kafka.topic_prefix",
    "target.url",
    "product.mappings",
    "product.migrations",
];

/// How to look around.
pub(super) fn keep(settings: &Settings, api: &str, token: &str) {
    // The lines work in any folder, and where `ficus` is not on the PATH.
    let program = std::env::current_exe().map_or("ficus".into(), |p| p.display().to_string());
    let environment: Vec<String> = SHARED
        .iter()
        .filter_map(|key| Some((key, settings.text(key)?)))
        .map(|(key, value)| format!("export {}='{value}'", settings::environment_name(key)))
        .collect();
    out::line(format!(
        "\n── everything keeps running until Ctrl-C. In another terminal:\n\n\
         ficus() {{ '{program}' \"$@\"; }}\n{}\n\n\
         ficus status\n\
         ficus quarantine list\n\
         ficus domain plan payments\n\
         ficus reconcile payments\n\
         curl -H 'authorization: Bearer {token}' 'http://{api}/v2/contracts?limit=2'\n\
         curl 'http://{api}/ops/routes.json'",
        environment.join("\n"),
    ));
}
