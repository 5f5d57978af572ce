//! From tallies and findings to the report: every row accounted for.

use chrono::{DateTime, SecondsFormat, Utc};
use mapping::plan::EntityPlan;
use target::Target;
use uuid::Uuid;

use crate::{
    Count, DomainReport, EntityReport, Error, Evidence, Report, RowCounts, Tier, Verdict,
    composed::Compositions,
    decide::Proof,
    findings::Findings,
    first::Resumed,
    legacy_scan::Scan,
    link::{Link, Passed},
    subject::{entity, not_compared, tables_left_out},
};

/// The rule under which rejected rows are counted that a person has decided to leave behind.
const DISCARDED_RULE: &str = "quarantine-discarded";

/// What a run knows beside its rows.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) run: Uuid,
    pub(crate) started: String,
    pub(crate) finished: String,
    /// The scan's.
    pub(crate) passed: Passed,
    pub(crate) passes: u32,
    pub(crate) no_fence: Option<String>,
    pub(crate) is_stalled: bool,
    pub(crate) legacy_scan_ms: u64,
    pub(crate) target_scan_ms: u64,
    pub(crate) tier: Tier,
    pub(crate) resumed: Option<Resumed>,
}

impl Facts {
    /// Those that are known of every run, at its end.
    pub(crate) fn of(link: &Link, started: DateTime<Utc>, passes: u32) -> Self {
        let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
        Self {
            run: Uuid::now_v7(),
            started: time(started),
            finished: time(Utc::now()),
            passed: Passed { proof: Proof::Twice, low: None, marker: None },
            passes,
            no_fence: link.no_fence().map(str::to_owned),
            is_stalled: link.is_stalled(),
            legacy_scan_ms: 0,
            target_scan_ms: 0,
            tier: Tier::Full,
            resumed: None,
        }
    }
}

/// The report.
pub(crate) async fn conclude(
    scan: &Scan,
    target: &Target,
    facts: &Facts,
    findings: &[Findings],
    composed: &Compositions,
) -> Result<Report, Error> {
    let mut entities = Vec::with_capacity(scan.subjects.entities.len());
    for id in &scan.subjects.entities {
        let Some(plan) = entity(&scan.plan, *id) else { continue };
        let mut account = Account::new(scan, plan);
        for (index, (subject, findings)) in scan.subjects.all.iter().zip(findings).enumerate() {
            if subject.entity == *id {
                account.add(scan, index, findings);
                account.add_keyless(scan, target, index).await?;
            }
        }
        account.add_composition(composed);
        entities.push(account.close());
    }
    let evidence = match (&facts.no_fence, facts.is_stalled) {
        (Some(reason), _) => Evidence::ConfirmedTwice { reason: reason.clone() },
        (None, true) => Evidence::MarkerNotPassed,
        (None, false) => Evidence::Marker,
    };
    Ok(Report {
        run: facts.run.to_string(),
        verdict: Verdict::worst(entities.iter().map(|entity| entity.verdict)),
        evidence,
        tier: facts.tier.clone(),
        resumed: facts.resumed.clone(),
        independent: None,
        low: facts.passed.low.map(|lsn| lsn.to_string()),
        marker: facts.passed.marker.map(|lsn| lsn.to_string()),
        started_at: facts.started.clone(),
        finished_at: facts.finished.clone(),
        passes: facts.passes,
        legacy_scan_ms: facts.legacy_scan_ms,
        target_scan_ms: facts.target_scan_ms,
        database: scan.plan.database.clone(),
        mapping_version: scan.plan.version.clone(),
        domains: domains(scan, &entities),
        entities,
        left_out: tables_left_out(&scan.plan),
    })
}

fn domains(scan: &Scan, entities: &[EntityReport]) -> Vec<DomainReport> {
    let mut all = Vec::new();
    for domain in scan.plan.domains() {
        let of_domain = entities.iter().filter(|entity| entity.domain == domain);
        let verdicts: Vec<Verdict> = of_domain.map(|entity| entity.verdict).collect();
        if verdicts.is_empty() {
            continue;
        }
        let planned = scan.plan.entities.iter().filter(|entity| entity.domain == domain).count();
        all.push(DomainReport {
            domain: domain.to_owned(),
            whole: verdicts.len() == planned,
            state: scan.domains.get(domain).map(ToString::to_string).unwrap_or_default(),
            verdict: Verdict::worst(verdicts),
        });
    }
    all
}

/// One entity's account while it is added up.
struct Account {
    report: EntityReport,
    id: mapping::plan::EntityId,
    is_whole: bool,
    /// Rows that may have come or gone since the scan.
    movers: u64,
    absent: u64,
    limit: usize,
}

impl Account {
    fn new(scan: &Scan, plan: &EntityPlan) -> Self {
        let report = EntityReport {
            entity: plan.name.clone(),
            domain: plan.domain.clone(),
            table: format!("{}.{}", plan.target_schema, plan.target_table),
            verdict: Verdict::Equal,
            rows: RowCounts::default(),
            ignored: Vec::new(),
            target_rows: 0,
            extra: 0,
            extra_in_flight: 0,
            incomplete: 0,
            composed_wrong: 0,
            tampered: 0,
            later: 0,
            read_again: 0,
            columns: std::collections::BTreeMap::new(),
            differences: Vec::new(),
            not_compared: not_compared(&scan.plan, plan),
            notes: Vec::new(),
        };
        let is_whole = plan.parts.len() == 1;
        let limit = scan.settings.differences_max;
        Self { report, id: plan.id, is_whole, movers: 0, absent: 0, limit }
    }

    fn add(&mut self, scan: &Scan, index: usize, findings: &Findings) {
        let tally = scan.tally(index);
        let report = &mut self.report;
        let rows = &mut report.rows;
        let counted = &tally.counted;
        rows.read += counted.read;
        rows.equal += tally.digest.proven_rows() + counted.gone + findings.equal;
        rows.changed += findings.changed;
        rows.missing += findings.missing;
        rows.quarantined += findings.quarantined;
        rows.in_flight += findings.in_flight + counted.overflow;
        for (rule, count) in &counted.ignored {
            rows.ignored += count;
            report.ignored.push(Count { name: rule.clone(), rows: *count });
        }
        if counted.overflow > 0 {
            report.notes.push(format!(
                "{} rows without an id or rejected by the mapping were more than could be \
                 remembered; they are counted as in flight",
                counted.overflow
            ));
        }
        if self.is_whole {
            report.target_rows += tally.digest.target_rows();
        }
        if findings.discarded > 0 {
            rows.ignored += findings.discarded;
            let name = DISCARDED_RULE.to_owned();
            report.ignored.push(Count { name, rows: findings.discarded });
        }
        report.tampered += findings.tampered;
        report.extra += findings.extra;
        report.extra_in_flight += findings.extra_in_flight;
        report.later += tally.later;
        report.read_again += findings.present() + findings.absent;
        for (column, count) in &findings.columns {
            *report.columns.entry(column.clone()).or_default() += count;
        }
        let room = self.limit.saturating_sub(report.differences.len());
        let shown = findings.differences.iter().take(room).map(|found| found.shown.clone());
        report.differences.extend(shown);
        self.movers += findings.movers;
        self.absent += findings.absent;
    }

    /// Rejected rows whose key can't even be made: quarantine knows them only by their number.
    async fn add_keyless(
        &mut self,
        scan: &Scan,
        target: &Target,
        index: usize,
    ) -> Result<(), Error> {
        let keyless = scan.tally(index).counted.keyless;
        if keyless == 0 {
            return Ok(());
        }
        let table = scan.subjects.get(index).table;
        let known = target.keyless_quarantined(table).await;
        let known = known.map_err(Error::target("counting the quarantine"))?;
        let (open, discarded) = known;
        let explained = keyless.min(open);
        let left = (keyless - explained).min(discarded);
        self.report.rows.quarantined += explained;
        if left > 0 {
            self.report.rows.ignored += left;
            self.report.ignored.push(Count { name: DISCARDED_RULE.to_owned(), rows: left });
        }
        self.report.rows.missing += keyless - explained - left;
        self.report.notes.push(format!(
            "{keyless} rows have no usable key; quarantine has {open} such entries open, and \
             {discarded} that were discarded"
        ));
        Ok(())
    }

    fn add_composition(&mut self, composed: &Compositions) {
        let Some(composition) = composed.of(self.id) else { return };
        let report = &mut self.report;
        report.target_rows += composition.target_rows;
        report.incomplete += composition.incomplete;
        report.composed_wrong += composition.wrong;
        report.tampered += composition.tampered;
        let room = self.limit.saturating_sub(report.differences.len());
        let shown = composition.differences.iter().take(room).map(|found| found.shown.clone());
        report.differences.extend(shown);
        if composition.incomplete > 0 {
            report.notes.push(format!(
                "{} rows wait for a part that the legacy database does not have (yet)",
                composition.incomplete
            ));
        }
    }

    /// Balances the account and gives the verdict.
    fn close(mut self) -> EntityReport {
        let is_balanced = self.balance();
        let report = &mut self.report;
        let is_open = report.rows.in_flight > 0 || report.extra_in_flight > 0 || !is_balanced;
        report.verdict = match (report.different() > 0, is_open) {
            (true, _) => Verdict::Different,
            (false, true) => Verdict::InFlight,
            (false, false) => Verdict::Equal,
        };
        self.report
    }

    /// Rows read in the scan and rows accounted for may differ by those that came or went in
    /// between, and by no other.
    fn balance(&mut self) -> bool {
        let rows = &mut self.report.rows;
        let (moved, is_balanced) = moved(rows, (self.movers, self.absent));
        rows.moved = moved;
        if !is_balanced {
            self.report.notes.push(format!(
                "the account is not balanced: {} rows were read and {} are accounted for",
                rows.read,
                rows.classes()
            ));
        }
        is_balanced
    }
}

/// How many more rows are accounted for than were read, and whether so many can have come or gone.
fn moved(rows: &RowCounts, (movers, absent): (u64, u64)) -> (i64, bool) {
    let classes = rows.classes();
    let (came, went) = (classes.saturating_sub(rows.read), rows.read.saturating_sub(classes));
    let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    (signed(came) - signed(went), came <= movers && went <= absent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_nothing_explains_are_no_verdict() {
        let rows = |read, equal| RowCounts { read, equal, ..RowCounts::default() };
        assert_eq!(moved(&rows(10, 10), (0, 0)), (0, true));
        assert_eq!(moved(&rows(10, 8), (9, 1)), (-2, false));
        assert_eq!(moved(&rows(10, 8), (0, 2)), (-2, true));
        assert_eq!(moved(&rows(10, 12), (1, 9)), (2, false));
        assert_eq!(moved(&rows(10, 12), (2, 0)), (2, true));
    }
}
