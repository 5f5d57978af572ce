//! `ficus mapping check`: everything that could be found, in one run.
//!
//! Each part (the files, the saved catalogue, CDC, the target) is checked, or says why it was not.
//! A part that is configured and can't be reached is a failure, but the others are checked all
//! the same.

mod report;
mod sides;

use mapping::{
    catalog::Catalog,
    check::{self, UniqueKept},
    file::{MappingFile, Places},
    finding::{Finding, Rule},
    plan::Plan,
};
use target::schema::TargetSchema;

use self::{
    report::{Placed, Report},
    sides::{Side, Sides},
};
use crate::{args::MappingCheckArgs, exit::Exit, parts, settings::Settings};

/// Checks the mapping files against all that is there.
pub(crate) async fn run(args: &MappingCheckArgs, settings: &Settings) -> anyhow::Result<Exit> {
    let files = parts::mapping_files(settings)?;
    let mut sides = Sides::catalogs(settings, args.offline).await?;
    let report = match Plan::compile(&files, sides.catalog()) {
        Ok(plan) => {
            let schema = sides::schema(settings, args.offline, &plan).await;
            compare(&files, &plan, &mut sides, schema)
        }
        Err(mistakes) => Report::of_mistakes(mistakes, &mut sides),
    };
    report.print(args.json);
    Ok(report.exit(args.deny_warnings))
}

/// All findings of files that compile.
fn compare(
    files: &[MappingFile],
    plan: &Plan,
    sides: &mut Sides,
    schema: Side<TargetSchema>,
) -> Report {
    let places = Places::of(files);
    let nobody: UniqueKept<'_> = &|_, _| false;
    let kept: UniqueKept<'_> = match schema.there() {
        Some(schema) => &|entity, columns| schema.keeps_unique(entity, columns),
        None => nobody,
    };
    let catalog = sides.catalog().clone();
    let mut report = Report::new(plan);
    // Uniqueness that the target keeps by now is no warning, and to accept it is not idle either:
    // the same file is checked offline, too.
    let mut acceptable = check::catalog(plan, &catalog, nobody);
    report.note(&places, check::catalog(plan, &catalog, kept));
    report.checked("mapping files", format!("against {}", sides.which()));
    if let (Some(saved), Some(live)) = (sides.saved(), sides.live.there()) {
        report.note(&places, check::drift(saved, live));
        report.checked("saved catalogue", "against the legacy server".to_owned());
    }
    let capture = check::capture(plan, newest(sides, &catalog));
    let is_off = capture.findings.iter().any(|finding| finding.rule == Rule::CaptureOff);
    acceptable.extend(capture.findings.iter().cloned());
    report.captured(&places, capture);
    sides.tell_live(&mut report);
    let target_read = schema.there().is_some();
    if let Some(schema) = schema.there() {
        let found = schema.check(plan, &catalog);
        acceptable.extend(found.iter().cloned());
        report.note(&places, found);
        report.checked("target schema", "in Postgres".to_owned());
    }
    report.untold("target schema", schema);
    // A reader that does not ask for unique indexes or foreign keys knows of none.
    let uniques = catalog.tables.iter().any(|table| !table.unique_indexes.is_empty());
    let foreign_keys = catalog.tables.iter().any(|table| !table.foreign_keys.is_empty());
    let judged = |rule: Rule| match rule {
        Rule::TargetExtra | Rule::TargetCheckWider => target_read,
        Rule::UniqueUnkept | Rule::KeyUnproven => uniques,
        Rule::ReferenceElsewhere => foreign_keys,
        Rule::CaptureColumnUnknown => !is_off,
        _ => true,
    };
    accept(&mut report, &places, &acceptable, &judged);
    report.sort();
    report
}

/// The live catalogue where there is one: it is the newest.
fn newest<'a>(sides: &'a Sides, catalog: &'a Catalog) -> &'a Catalog {
    sides.live.there().unwrap_or(catalog)
}

/// Takes the accepted warnings out, and tells of those that accept nothing.
fn accept(
    report: &mut Report,
    places: &Places<'_>,
    found: &[Finding],
    judged: &dyn Fn(Rule) -> bool,
) {
    for accepted in places.accepted() {
        report.findings.retain(|placed| !accepted.covers(&placed.finding));
        if judged(accepted.rule) && !found.iter().any(|finding| accepted.covers(finding)) {
            let about =
                accepted.about.as_deref().map_or(String::new(), |about| format!(".{about}"));
            let message = format!("`{}{about}` is accepted, and is not found", accepted.rule);
            let subject = mapping::finding::Subject::Entity(accepted.entity.clone());
            let help = "drop the line: it would hide the next one";
            let finding = Finding::new(Rule::AcceptIdle, subject, "", message, help);
            report.findings.push(Placed { spot: accepted.spot.clone(), finding });
        }
        report.accepted.push(accepted);
    }
}
