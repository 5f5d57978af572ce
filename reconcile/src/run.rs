//! A run: one scan of everything, then passes over what it left open.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use mapping::{plan::Plan, position::Lsn};
use target::Target;
use tokio::time::Instant;

use legacy::pace::Pace;

use crate::{
    Error, Repair, Report, Selection, Settings, Source, Tier, Watch,
    composed::{self, Compositions},
    conclude::{Facts, conclude},
    findings::Findings,
    ids::Ids,
    legacy_scan::{Scan, scan_table},
    link::{Link, Pass},
    paranoid,
    passes::Rest,
    store,
    subject::{Subjects, Tally, table},
    target_scan::scan_target,
};

/// What a comparison found out.
#[derive(Debug, Clone)]
pub struct Compared {
    /// The run's number in Postgres.
    pub number: i64,
    /// The report, as it is stored.
    pub report: Report,
    /// The rows that differ, as far as they are remembered ([`Settings::repairs_max`]).
    pub repairs: Vec<Repair>,
}

/// [`compare`] for whoever wants the report alone.
///
/// # Errors
/// As [`compare`].
pub async fn run(
    settings: &Settings,
    source: &Source,
    target: Arc<Target>,
    plan: Arc<Plan>,
    selection: &Selection,
    watch: &Watch,
) -> Result<Report, Error> {
    let compared = compare(settings, source, target, plan, selection, watch).await?;
    Ok(compared.report)
}

/// Compares the selected entities of the plan, stores the report and returns it.
///
/// # Errors
/// [`Error`]; the verdict itself, whatever it is, is no error.
pub async fn compare(
    settings: &Settings,
    source: &Source,
    target: Arc<Target>,
    plan: Arc<Plan>,
    selection: &Selection,
    watch: &Watch,
) -> Result<Compared, Error> {
    let subjects = Arc::new(Subjects::select(&plan, selection)?);
    let number = store::begin(&target, selection).await?;
    let running = judge(settings, source, Arc::clone(&target), plan, subjects, watch);
    let outcome = Box::pin(running).await;
    match outcome {
        Ok((report, findings)) => {
            store::finish(&target, number, &report, &findings).await?;
            let repairs = findings.into_iter().flat_map(|findings| findings.repairs).collect();
            Ok(Compared { number, report, repairs })
        }
        Err(error) => {
            store::fail(&target, number, &error).await;
            Err(error)
        }
    }
}

async fn judge(
    settings: &Settings,
    source: &Source,
    target: Arc<Target>,
    plan: Arc<Plan>,
    subjects: Arc<Subjects>,
    watch: &Watch,
) -> Result<(Report, Vec<Findings>), Error> {
    let started = Utc::now();
    let tables = subjects.tables();
    let (source, settings) = (source.clone(), settings.clone());
    let mut link =
        Link::open(Arc::clone(&target), source.clone(), settings.clone(), watch.clone(), tables)
            .await?;
    let scan = Arc::new(prepare(&mut link, (&source, &settings), plan, subjects, watch).await?);
    if let Some(share) = settings.sample {
        return sample(&scan, &mut link, (settings, share), started).await;
    }
    let mut first = First { scan: Arc::clone(&scan), legacy_ms: 0, target_ms: 0 };
    let passed = link.pass(&mut first).await?;
    let independent = settings.independent.clone();
    let mut again = Rest::new(&scan, settings, passed.low);
    again.read_suspects(&mut link).await?;
    again.decide_all(&mut link).await?;
    let composed = composed::check(&scan, &target).await?;
    let facts = Facts {
        passed,
        legacy_scan_ms: first.legacy_ms,
        target_scan_ms: first.target_ms,
        ..Facts::of(&link, started, again.passes)
    };
    let mut report = conclude(&scan, &target, &facts, &again.findings, &composed).await?;
    let mut findings = again.findings;
    findings.push(composed.into_findings());
    if let Some((rules, rows)) = independent {
        let known: Vec<Repair> =
            findings.iter().flat_map(|findings| findings.repairs.iter().cloned()).collect();
        let check = paranoid::check(&scan, &mut link, (&rules, rows), &known);
        report.add_independent(Box::pin(check).await?);
    }
    Ok((report, findings))
}

/// Looks at some rows only; each of them is decided as in a full run.
async fn sample(
    scan: &Arc<Scan>,
    link: &mut Link,
    (settings, share): (Settings, u32),
    started: DateTime<Utc>,
) -> Result<(Report, Vec<Findings>), Error> {
    let mut again = Rest::new(scan, settings, None);
    again.read_sample(link, share).await?;
    again.decide_all(link).await?;
    for (index, findings) in again.findings.iter().enumerate() {
        scan.tally(index).read = findings.present();
    }
    let tier = Tier::Sample { share, rows: again.looked_at() };
    let mut facts = Facts { tier, ..Facts::of(link, started, again.passes) };
    facts.passed = again.first.unwrap_or(facts.passed);
    let composed = Compositions::default();
    let report = conclude(scan, &link.target, &facts, &again.findings, &composed).await?;
    Ok((report, again.findings))
}

/// Asks the legacy server for what the mapping needs, and sizes the digests.
async fn prepare(
    link: &mut Link,
    (source, settings): (&Source, &Settings),
    plan: Arc<Plan>,
    subjects: Arc<Subjects>,
    watch: &Watch,
) -> Result<Scan, Error> {
    let target = Arc::clone(&link.target);
    let session = link.reader().await?;
    let object_types = session.object_types().await;
    let object_types = object_types.map_err(Error::legacy("reading dbo.XPObjectType"))?;
    let mut tallies = Vec::with_capacity(subjects.all.len());
    for subject in &subjects.all {
        let estimate = match table(&plan, subject.table) {
            Some(plan) => session.row_count(&plan.table).await,
            None => Ok(0),
        };
        let estimate = estimate.map_err(Error::legacy("counting legacy rows"))?;
        tallies.push(std::sync::Mutex::new(Tally::for_rows(estimate)));
    }
    let domains =
        target.domains().await.map_err(Error::target("asking for the domains' states"))?;
    let domains = domains.into_iter().map(|domain| (domain.name, domain.state)).collect();
    Ok(Scan {
        plan,
        domains,
        pace: Pace::new(settings.rows_per_second),
        subjects,
        tallies,
        ids: Ids::new(target),
        object_types,
        reader: source.reader.clone(),
        settings: settings.clone(),
        watch: watch.clone(),
        seen_at_us: Utc::now().timestamp_micros(),
    })
}

/// The scan of both sides.
struct First {
    scan: Arc<Scan>,
    legacy_ms: u64,
    target_ms: u64,
}

impl Pass for First {
    async fn read_legacy(&mut self, _link: &mut Link) -> Result<(), Error> {
        let started = Instant::now();
        self.scan.ids.load(&self.scan.sizes()).await?;
        for id in self.scan.subjects.tables() {
            let estimate =
                self.scan.subjects.of_table(id, None).map(|index| self.scan.tally(index).estimate);
            scan_table(&self.scan, id, estimate.unwrap_or(0)).await?;
        }
        self.scan.ids.unload();
        self.legacy_ms += milliseconds(started);
        Ok(())
    }

    async fn read_target(&mut self, link: &mut Link, low: Option<Lsn>) -> Result<(), Error> {
        let started = Instant::now();
        for index in 0..self.scan.subjects.all.len() {
            scan_target(&self.scan, &link.target, index, low).await?;
        }
        self.target_ms += milliseconds(started);
        Ok(())
    }
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
