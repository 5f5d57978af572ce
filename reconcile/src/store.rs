//! A run's place in Postgres: verdicts, differences, and the report in its chain.

use mapping::position::Lsn;
use target::{
    Target,
    report::{RunEnd, Verdict as StoredVerdict, VerdictKind},
};

use crate::{EntityReport, Error, Report, Selection, Tier, Verdict, findings::Findings};

const STORING: &str = "storing the report";

/// What is compared, for lists, and for whoever goes on with a run.
pub(crate) fn scope(selection: &Selection) -> String {
    match selection.names.as_slice() {
        [] => "all".to_owned(),
        names => names.join(", "),
    }
}

/// Begins a run; its number.
pub(crate) async fn begin(target: &Target, scope: &str) -> Result<i64, Error> {
    target.begin_reconcile(scope).await.map_err(Error::target("beginning the run"))
}

/// Stores what a run found.
pub(crate) async fn finish(
    target: &Target,
    run: i64,
    report: &Report,
    findings: &[Findings],
) -> Result<(), Error> {
    let low = lsn(report.low.as_deref());
    // What a cutover asks for: the other tiers are no verdict on an entity.
    let judged = report.entities.iter().filter(|_| report.tier == Tier::Full);
    let as_of_ms = report.resumed.as_ref().and_then(crate::Resumed::began_at_ms);
    for entity in judged {
        let verdict = target.store_verdict(run, &verdict(entity, (low, as_of_ms))).await;
        verdict.map_err(Error::target(STORING))?;
    }
    for findings in findings {
        let all: Vec<_> = findings.differences.iter().map(|found| found.stored.clone()).collect();
        target.store_differences(run, &all).await.map_err(Error::target(STORING))?;
    }
    let end = RunEnd {
        state: kind(report.verdict).as_str().to_owned(),
        lsn: low,
        marker_lsn: lsn(report.marker.as_deref()),
        body: report.canonical_json()?,
        tier: report.tier.word(),
        different_rows: report.entities.iter().map(EntityReport::different).sum(),
        in_flight_rows: report.entities.iter().map(EntityReport::undecided).sum(),
    };
    target.finish_reconcile(run, &end).await.map_err(Error::target(STORING))?;
    if report.tier == Tier::Full {
        target.forget_digests_before(run).await.map_err(Error::target(STORING))?;
    }
    Ok(())
}

/// Ends a run that has no verdict. It is in the chain as well, so that it can't be hidden.
pub(crate) async fn fail(target: &Target, run: i64, error: &Error) {
    let body = serde_json::json!({ "error": error.to_string() });
    let end = RunEnd {
        state: "failed".to_owned(),
        lsn: None,
        marker_lsn: None,
        body: crate::canonical(&body),
        tier: "full",
        different_rows: 0,
        in_flight_rows: 0,
    };
    if let Err(error) = target.finish_reconcile(run, &end).await {
        tracing::warn!(%error, "the failed run could not be stored");
    }
}

fn lsn(text: Option<&str>) -> Option<Lsn> {
    text.and_then(|text| Lsn::parse(text).ok())
}

fn kind(verdict: Verdict) -> VerdictKind {
    match verdict {
        Verdict::Equal => VerdictKind::Equal,
        Verdict::Different => VerdictKind::Different,
        Verdict::InFlight => VerdictKind::Undecided,
    }
}

fn verdict(entity: &EntityReport, (low, as_of_ms): (Option<Lsn>, Option<i64>)) -> StoredVerdict {
    StoredVerdict {
        entity: entity.entity.clone(),
        verdict: kind(entity.verdict),
        lsn: low,
        as_of_ms,
        legacy_rows: entity.rows.read,
        target_rows: entity.target_rows,
        equal_rows: entity.rows.equal,
        different_rows: entity.different(),
        in_flight_rows: entity.rows.in_flight + entity.extra_in_flight,
        quarantined_rows: entity.rows.quarantined,
        ignored_rows: entity.rows.ignored,
    }
}
