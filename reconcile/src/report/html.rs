//! One page with everything in it: a manager sees the verdict, an engineer opens the entities.
//!
//! It needs nothing else (no script, no font, no network), prints, and follows the reader's dark
//! or light mode. Everything that comes from a database is escaped; values of columns that the
//! mapping calls sensitive are masked in the report already.

mod entity;
mod evidence;
mod plot;

use show::{Page, counted, escape, thousands};

use super::{Evidence, Report, Tier, Verdict};
use crate::report::{EntityReport, ReportHash};

const STYLE: &str = include_str!("html/page.css");

/// What the page tells beside the report itself.
#[derive(Debug, Clone, Default)]
pub struct Around {
    /// The run's number.
    pub number: Option<i64>,
    /// The report's hash, and that of the one before.
    pub hashes: Option<(ReportHash, Option<ReportHash>)>,
    /// The last runs, the oldest first, this one included.
    pub trend: Vec<TrendPoint>,
    /// How old the verdict was when the page was made, where that is too old.
    pub stale: Option<String>,
}

/// A run in the trend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrendPoint {
    /// Its number.
    pub number: i64,
    /// When it ended, as the page shows it.
    pub at: String,
    /// How it ended; `None` for a run without a verdict.
    pub verdict: Option<Verdict>,
    /// Rows that differed.
    pub different: u64,
    /// Rows that were undecided.
    pub in_flight: u64,
}

impl Report {
    /// The report as a page.
    #[must_use]
    pub fn to_html(&self, around: &Around) -> String {
        let mut page = Page::default();
        page.add(format_args!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{}: {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n",
            escape(&self.database),
            headline(self)
        ));
        header(&mut page, self, around);
        page.add(format_args!("<main>\n"));
        caveats(&mut page, self, around);
        domains(&mut page, self);
        plot::trend(&mut page, &around.trend, around.number);
        plot::columns(&mut page, self);
        page.add(format_args!(
            "<section aria-labelledby=\"entities\">\n<h2 id=\"entities\">Entities</h2>\n"
        ));
        // Those that somebody has to look at come first.
        let mut all: Vec<&EntityReport> = self.entities.iter().collect();
        all.sort_by_key(|entity| std::cmp::Reverse(entity.verdict));
        for one in all {
            entity::entity(&mut page, one);
        }
        page.add(format_args!("</section>\n"));
        entity::independent(&mut page, self);
        evidence::not_compared(&mut page, self);
        evidence::evidence(&mut page, self, around);
        page.add(format_args!(
            "</main>\n<footer><p>Made by <code>ficus</code>. Values that the mapping calls \
             sensitive are shown as ***; keys and other values are not for everybody \
             either.</p></footer>\n</body>\n</html>\n"
        ));
        page.into_string()
    }
}

/// The class that gives a verdict its color.
fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Equal => "equal",
        Verdict::InFlight => "flight",
        Verdict::Different => "different",
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Equal => "equal",
        Verdict::InFlight => "undecided",
        Verdict::Different => "different",
    }
}

fn headline(report: &Report) -> &'static str {
    match (report.verdict, &report.tier) {
        (Verdict::Equal, Tier::Full) => "Both sides agree",
        (Verdict::Equal, _) => "No difference was seen",
        (Verdict::InFlight, _) => "Not decided",
        (Verdict::Different, _) => "The two sides differ",
    }
}

fn sum(report: &Report, pick: fn(&EntityReport) -> u64) -> u64 {
    report.entities.iter().map(pick).sum()
}

fn header(page: &mut Page, report: &Report, around: &Around) {
    let number = around.number.map(|number| format!(" {number}")).unwrap_or_default();
    page.add(format_args!(
        "<header class=\"{}\">\n<p class=\"kicker\">Reconcile report{number}: {}</p>\n\
         <h1>{}</h1>\n<p class=\"verdict\">{}</p>\n<dl class=\"tiles\">\n",
        class(report.verdict),
        escape(&report.database),
        headline(report),
        sentence(report),
    ));
    let mut tile = |class: &str, name: &str, value: u64| {
        let class = if value == 0 { "" } else { class };
        page.add(format_args!(
            "<div class=\"tile {class}\"><dt>{name}</dt><dd>{}</dd></div>\n",
            thousands(value)
        ));
    };
    tile("", "legacy rows", sum(report, |entity| entity.rows.read));
    tile("is-equal", "equal", sum(report, |entity| entity.rows.equal));
    tile("is-different", "different", sum(report, EntityReport::different));
    tile("is-flight", "undecided", sum(report, EntityReport::undecided));
    tile("is-held", "in quarantine", sum(report, |entity| entity.rows.quarantined));
    tile("", "left out by a rule", sum(report, |entity| entity.rows.ignored));
    page.add(format_args!("</dl>\n</header>\n"));
}

/// The verdict in one sentence.
fn sentence(report: &Report) -> String {
    let at = report.low.as_deref().map(|low| format!(" at LSN <code>{}</code>", escape(low)));
    let at = at.unwrap_or_default();
    let bad = report.domains.iter().filter(|domain| domain.verdict != Verdict::Equal);
    let names: Vec<String> = bad.map(|domain| escape(&domain.domain)).collect();
    let compared = counted(sum(report, |entity| entity.rows.read), "row");
    match report.verdict {
        Verdict::Equal => match report.tier {
            Tier::Full => format!("Each of {compared} is accounted for{at}; none differs."),
            Tier::Quick { .. } => format!("The totals of {compared} agree{at}."),
            Tier::Sample { .. } => {
                format!("None of {compared} that were looked at differs{at}.")
            }
            Tier::Since { .. } => {
                format!(
                    "{compared} of the last full run were compared with the target{at}; none differs."
                )
            }
        },
        Verdict::InFlight => format!(
            "Nothing is known to differ{at}, but {} moved faster than they could be compared: {}.",
            counted(sum(report, EntityReport::undecided), "row"),
            names.join(", ")
        ),
        Verdict::Different => format!(
            "{} differ{at}, of {compared} that were compared, in {}.",
            counted(sum(report, EntityReport::different), "row"),
            names.join(", ")
        ),
    }
}

/// What has to be known to read the verdict.
fn caveats(page: &mut Page, report: &Report, around: &Around) {
    let mut all = Vec::new();
    match &report.evidence {
        Evidence::Marker => {}
        Evidence::MarkerNotPassed => all.push(
            "The stream did not pass the marker in time: rows that agree agree, rows that \
             disagree are undecided."
                .to_owned(),
        ),
        Evidence::ConfirmedTwice { reason } => all.push(format!(
            "<strong>Weaker evidence</strong>: {}, so a difference is one that was read twice \
             without change. A row on its way for longer than that is called different.",
            escape(reason)
        )),
    }
    all.extend(report.tier.sentence().map(|sentence| escape(&sentence)));
    let tampered = sum(report, |entity| entity.tampered);
    if tampered > 0 {
        all.push(format!(
            "<strong>Tampering</strong>: {} changed in the target by somebody. Their positions \
             say that they are current, or that it was not the engine that wrote them. (A change \
             that was never captured, or a copy by other rules of the mapping, looks the same.)",
            match tampered {
                1 => "1 row was".to_owned(),
                more => format!("{} rows were", thousands(more)),
            }
        ));
    }
    if let Some(check) = report.independent.as_ref().filter(|check| check.disagreements > 0) {
        all.push(format!(
            "<strong>Independent check</strong>: {} mean something else by rules that share nothing \
             with the mapping's code. The code or the mapping is wrong on both sides alike.",
            counted(check.entities.values().sum(), "row")
        ));
    }
    for domain in report.domains.iter().filter(|domain| domain.is_owned()) {
        all.push(format!(
            "The domain {} is cut over: Postgres owns its rows, and the two sides part.",
            escape(&domain.domain)
        ));
    }
    all.extend(around.stale.as_ref().map(|age| {
        format!("<strong>Stale</strong>: the verdict is {} old. Compare again.", escape(age))
    }));
    if !all.is_empty() {
        page.add(format_args!(
            "<ul class=\"caveats\">\n<li>{}</li>\n</ul>\n",
            all.join("</li>\n<li>")
        ));
    }
}

fn domains(page: &mut Page, report: &Report) {
    page.add(format_args!(
        "<section aria-labelledby=\"domains\">\n<h2 id=\"domains\">Domains</h2>\n\
         <table class=\"domains\">\n<thead><tr><th>domain</th><th>verdict</th><th>state</th>\
         <th class=\"number\">legacy rows</th><th>equal</th><th class=\"number\">different</th>\
         <th class=\"number\">undecided</th><th class=\"number\">in quarantine</th></tr></thead>\n<tbody>\n"
    ));
    for domain in &report.domains {
        let of = |pick: fn(&EntityReport) -> u64| -> u64 {
            let entities = report.entities.iter();
            entities.filter(|entity| entity.domain == domain.domain).map(pick).sum()
        };
        let (read, equal) = (of(|entity| entity.rows.read), of(|entity| entity.rows.equal));
        let share = equal.saturating_mul(1_000).checked_div(read).unwrap_or(1_000).min(1_000);
        let partly = if domain.whole { "" } else { " (not all of it)" };
        page.add(format_args!(
            "<tr><th scope=\"row\">{}{partly}</th><td><span class=\"chip is-{}\">{}</span></td><td>{}</td>\
             <td class=\"number\">{}</td><td><div class=\"bar\" role=\"img\" aria-label=\"{equal} of {read} rows equal\">\
             <span style=\"width:{}.{}%\"></span></div></td><td class=\"number\">{}</td>\
             <td class=\"number\">{}</td><td class=\"number\">{}</td></tr>\n",
            escape(&domain.domain),
            class(domain.verdict),
            word(domain.verdict),
            escape(&domain.state.replace('_', " ")),
            thousands(read),
            share / 10,
            share % 10,
            thousands(of(EntityReport::different)),
            thousands(of(EntityReport::undecided)),
            thousands(of(|entity| entity.rows.quarantined)),
        ));
    }
    page.add(format_args!("</tbody>\n</table>\n</section>\n"));
}
