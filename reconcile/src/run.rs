//! A run: one scan of everything, then passes over what it left open.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use mapping::plan::Plan;
use target::Target;

use legacy::pace::Pace;

use crate::{
    Error, Repair, Report, Selection, Settings, Source, Start, Tier, Watch,
    changes::Since,
    composed::{self, Compositions},
    conclude::{Facts, conclude},
    findings::Findings,
    first::{First, ground},
    ids::Ids,
    keep::Keeper,
    legacy_scan::Scan,
    link::Link,
    paranoid::{self, Rules},
    passes::Rest,
    quick, store,
    subject::{Subjects, Tally, table},
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
    let scope = store::scope(selection);
    let number = store::begin(&target, &scope).await?;
    // Until it is dropped, nobody goes on with this run.
    let lock = target.lock_run(number).await.map_err(Error::target("beginning the run"))?;
    let task = Task { number, scope, plan, subjects };
    let running = judge(settings, source, &target, task, watch);
    let outcome = Box::pin(running).await;
    match outcome {
        Ok((report, findings)) => {
            store::finish(&target, number, &report, &findings).await?;
            drop(lock);
            let repairs = findings.into_iter().flat_map(|findings| findings.repairs).collect();
            Ok(Compared { number, report, repairs })
        }
        Err(error) => {
            store::fail(&target, number, &error).await;
            Err(error)
        }
    }
}

/// What is to be compared, under which number.
struct Task {
    number: i64,
    scope: String,
    plan: Arc<Plan>,
    subjects: Arc<Subjects>,
}

async fn judge(
    settings: &Settings,
    source: &Source,
    target: &Arc<Target>,
    task: Task,
    watch: &Watch,
) -> Result<(Report, Vec<Findings>), Error> {
    let started = Utc::now();
    let tables = task.subjects.tables();
    let (to, source, settings) = (Arc::clone(target), source.clone(), settings.clone());
    let mut link = Link::open(to, source.clone(), settings.clone(), watch.clone(), tables).await?;
    let Task { number, scope, plan, subjects } = task;
    let (by, all) = (Arc::clone(&plan), Arc::clone(&subjects));
    let scan = Arc::new(prepare(&mut link, (&source, &settings), by, all, watch).await?);
    if let Some(share) = settings.sample {
        return sample(&scan, &mut link, (settings, share), started).await;
    }
    if let Some(rules) = settings.quick.clone() {
        return quick(&scan, &mut link, &rules, started).await;
    }
    let ground = ground(&settings, (target, number, &scope), (&plan, &subjects)).await?;
    let resumed = ground.resumed();
    let mut first = First::new(&scan, ground, |earlier| {
        let place = (Arc::clone(target), number);
        // Digests of changes only are no ground for others.
        let is_full = settings.start != Start::Since;
        is_full
            .then(|| Keeper::new(place, settings.keep_every, started.timestamp_millis(), earlier))
    });
    let mut passed = link.pass(&mut first).await?;
    passed.low = resumed.oldest(passed.low);
    let is_since = settings.start == Start::Since;
    let independent = settings.independent.clone().filter(|_| !is_since);
    let movers_since = first.changed.from.map_or(passed.low, |(_, low)| Some(low));
    let mut again = Rest::new(&scan, settings, movers_since);
    again.read_suspects(&mut link).await?;
    again.decide_all(&mut link).await?;
    let composed = composed::check(&scan, target).await?;
    let facts = Facts {
        passed,
        legacy_scan_ms: first.legacy_ms,
        target_scan_ms: first.target_ms,
        tier: if is_since { since_tier(&scan, &first.changed) } else { Tier::Full },
        resumed: resumed.told(),
        ..Facts::of(&link, started, again.passes)
    };
    let mut report = conclude(&scan, target, &facts, &again.findings, &composed).await?;
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

fn since_tier(scan: &Scan, changed: &Since) -> Tier {
    let name = |id| table(&scan.plan, id).map(|plan| plan.table.to_string()).unwrap_or_default();
    let whole = changed
        .not_used
        .iter()
        .map(|(id, why)| crate::LeftOut { column: name(*id), reason: why.clone() });
    Tier::Since {
        run: changed.from.map(|(run, _)| run),
        low: changed.from.map(|(_, low)| low.to_string()),
        tables: changed.tables,
        keys: changed.keys,
        whole: whole.collect(),
    }
}

/// Compares totals only.
async fn quick(
    scan: &Arc<Scan>,
    link: &mut Link,
    rules: &Rules,
    started: DateTime<Utc>,
) -> Result<(Report, Vec<Findings>), Error> {
    let quick = quick::look(scan, link, rules).await?;
    let tier = Tier::Quick { totals: quick.totals() };
    let mut facts = Facts { tier, ..Facts::of(link, started, quick.passes) };
    facts.passed = quick.passed.unwrap_or(facts.passed);
    let findings: Vec<Findings> = scan.subjects.all.iter().map(|_| Findings::default()).collect();
    let composed = Compositions::default();
    let mut report = conclude(scan, &link.target, &facts, &findings, &composed).await?;
    quick.tell(scan, &mut report);
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
        scan.tally(index).counted.read = findings.present();
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
