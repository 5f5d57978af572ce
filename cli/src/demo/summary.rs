//! The table at the end: what was read and what became of it, and whether all agrees.

use mapping::key::CanonicalKey;
use target::{Target, quarantine::Filter};

use super::{Consumer, stage::Stage};
use crate::{
    command::{COUNTS_HEADER, counts_row},
    out,
};

/// Prints it. Whether everything agrees: no difference, and no row in quarantine but the planted.
pub(super) async fn print(
    target: &Target,
    stage: &Stage,
    reports: &[&reconcile::Report],
    consumer: &Consumer,
) -> anyhow::Result<bool> {
    super::story::step("what became of every row");
    let counts = target.counts().await?;
    let adds_up = counts.iter().all(|line| {
        let c = &line.counts;
        c.read == c.applied + c.stale + c.folded + c.ignored + c.quarantined
    });
    let rows: Vec<Vec<String>> =
        counts.into_iter().map(|line| counts_row(line.table, line.origin, &line.counts)).collect();
    out::line(out::table(COUNTS_HEADER, &rows));
    out::line(format!(
        "   read = applied + stale + folded + ignored + quarantined: {}",
        if adds_up { "yes, for every table" } else { "NO" }
    ));
    let explained = quarantine(target, stage).await?;
    stream(stage, consumer);
    for report in reports {
        let lsn = report.low.as_deref().unwrap_or("(no CDC)");
        out::line(format!("   verdict at LSN {lsn}: {:?}", report.verdict));
    }
    out::line(format!("   the whole road took {:.1} s", stage.started.elapsed().as_secs_f64()));
    let equal = reports.last().is_some_and(|report| report.exit() == reconcile::Exit::Equal);
    let no_difference = reports.iter().all(|r| r.exit() != reconcile::Exit::Different);
    Ok(adds_up && explained && equal && no_difference)
}

/// Each quarantined row beside the defect that was planted for it.
async fn quarantine(target: &Target, stage: &Stage) -> anyhow::Result<bool> {
    let filter = Filter { state: Some("open".to_owned()), limit: 1000, ..Filter::default() };
    let open = target.quarantine_list(&filter).await?;
    let Some(legacy) = &stage.legacy else {
        out::line(crate::command::quarantine_listing(&open));
        return Ok(open.is_empty());
    };
    let mut explained = true;
    let mut rows = Vec::new();
    for entry in &open {
        let table = entry.table.clone().unwrap_or_default();
        let planted = legacy.demo.planted.iter().find(|planted| {
            table.ends_with(&format!(".{}", planted.table))
                && planted.rule == entry.rule
                && planted.column == entry.column
        });
        explained &= planted.is_some();
        rows.push(vec![
            table,
            entry.key.as_ref().map_or("-".to_owned(), CanonicalKey::to_string),
            entry.column.clone(),
            entry.rule.clone(),
            planted.map_or("NOT PLANTED".to_owned(), |p| p.what.to_string()),
        ]);
    }
    out::line(out::table(&["in quarantine", "key", "column", "rule", "planted because"], &rows));
    Ok(explained)
}

/// How the stream fares at this moment.
pub(super) fn pace(consumer: &Consumer) {
    let progress = consumer.progress();
    out::line(format!(
        "   the stream meanwhile: {} events read, {} a second, {} messages behind",
        out::thousands(progress.messages.data),
        out::thousands(progress.events_per_second),
        progress.lag(),
    ));
}

fn stream(stage: &Stage, consumer: &Consumer) {
    let progress = consumer.progress();
    let published = stage.published().map_or("-".to_owned(), out::thousands);
    out::line(format!(
        "   stream: {published} events published, {} data events read in {} batches, {} repeated attempts, \
         applied up to {}, {} messages behind",
        out::thousands(progress.messages.data),
        out::thousands(progress.batches),
        progress.retries,
        progress.applied_lsn.map_or("-".to_owned(), |lsn| lsn.to_string()),
        progress.lag(),
    ));
}
