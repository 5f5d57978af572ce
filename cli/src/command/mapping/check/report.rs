//! What was found, in text and as JSON.

use mapping::{
    check::Capture,
    file::{Accepted, Mistake, Places, Spot},
    finding::{Finding, Rule, Severity, Subject},
    plan::{Plan, TableRole},
};
use serde_json::{Value, json};

use super::sides::{Side, Sides};
use crate::{exit::Exit, out};

/// A finding where it is written.
pub(super) struct Placed {
    pub(super) spot: Spot,
    pub(super) finding: Finding,
}

/// A part of the check, and what became of it.
struct Part {
    name: &'static str,
    state: &'static str,
    why: String,
}

/// Everything that is printed.
#[derive(Default)]
pub(super) struct Report {
    pub(super) findings: Vec<Placed>,
    pub(super) accepted: Vec<Accepted>,
    parts: Vec<Part>,
    failures: Vec<anyhow::Error>,
    /// Table or column, and why.
    left_out: Vec<(String, String)>,
    version: Option<String>,
    size: String,
}

impl Report {
    pub(super) fn new(plan: &Plan) -> Self {
        let tables = plan.tables.iter().filter_map(|table| match &table.role {
            TableRole::Ignored { reason } => Some((table.table.to_string(), reason.clone())),
            _ => None,
        });
        let columns = plan.tables.iter().flat_map(|table| {
            let left = table.left_out().iter();
            left.map(|left| (format!("{}.{}", table.table, left.column), left.reason.clone()))
        });
        Self {
            left_out: tables.chain(columns).collect(),
            version: Some(plan.version.clone()),
            size: format!(
                "{} entities of {} domains from {} tables; version {}",
                plan.entities.len(),
                plan.domains().len(),
                plan.tables.len(),
                plan.version
            ),
            ..Self::default()
        }
    }

    /// Of files that do not compile: nothing else can be compared with them.
    pub(super) fn of_mistakes(mistakes: Vec<Mistake>, sides: &mut Sides) -> Self {
        let placed = |mistake: Mistake| Placed {
            spot: Spot { file: mistake.file, line: mistake.line, column: mistake.column },
            finding: Finding::new(Rule::Mistake, Subject::Files, "", mistake.message, mistake.help),
        };
        let mut report =
            Self { findings: mistakes.into_iter().map(placed).collect(), ..Self::default() };
        report.checked("mapping files", format!("against {}", sides.which()));
        for part in ["capture instances", "target schema"] {
            report.untold::<()>(part, Side::Skipped("the mapping files have mistakes".to_owned()));
        }
        sides.tell_live(&mut report);
        report.sort();
        report
    }

    pub(super) fn note(&mut self, places: &Places<'_>, findings: Vec<Finding>) {
        let placed = |finding: Finding| Placed { spot: places.find(&finding.subject), finding };
        self.findings.extend(findings.into_iter().map(placed));
    }

    pub(super) fn captured(&mut self, places: &Places<'_>, capture: Capture) {
        self.note(places, capture.findings);
        let why = match capture.unknown.as_slice() {
            [] => "as the catalogue tells them".to_owned(),
            unknown => format!(
                "but not the columns of {} tables: nobody knows which of them are captured",
                unknown.len()
            ),
        };
        self.checked("capture instances", why);
    }

    pub(super) fn checked(&mut self, name: &'static str, why: String) {
        self.parts.push(Part { name, state: "checked", why });
    }

    /// Tells why a part was not checked.
    pub(super) fn untold<T>(&mut self, name: &'static str, side: Side<T>) {
        match side {
            Side::There(_) => {}
            Side::Skipped(why) => self.parts.push(Part { name, state: "skipped", why }),
            Side::Failed(error) => {
                self.parts.push(Part { name, state: "failed", why: format!("{error:#}") });
                self.failures.push(error);
            }
        }
    }

    pub(super) fn sort(&mut self) {
        self.findings.sort_by(|a, b| {
            let key = |placed: &Placed| (placed.spot.clone(), placed.finding.severity());
            key(a).cmp(&key(b)).then_with(|| a.finding.message.cmp(&b.finding.message))
        });
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|placed| placed.finding.severity() == severity).count()
    }

    pub(super) fn exit(&self, deny_warnings: bool) -> Exit {
        if !self.failures.is_empty() {
            Exit::Error
        } else if self.count(Severity::Error) > 0 {
            Exit::Undecided
        } else if deny_warnings && self.count(Severity::Warning) > 0 {
            Exit::Different
        } else {
            Exit::Success
        }
    }

    pub(super) fn print(&self, as_json: bool) {
        if as_json {
            out::line(format!("{:#}", self.json()));
        } else {
            self.text();
        }
        for failure in &self.failures {
            out::failure(failure);
        }
    }

    fn text(&self) {
        for Placed { spot, finding } in &self.findings {
            let (severity, message) = (finding.severity(), &finding.message);
            out::line(format!(
                "{}:{}:{}: {severity}: {message} [{}]",
                spot.file, spot.line, spot.column, finding.rule
            ));
            out::line(format!("    {}", finding.help));
        }
        for accepted in &self.accepted {
            let Spot { file, line, column } = &accepted.spot;
            let about =
                accepted.about.as_deref().map_or(String::new(), |about| format!(".{about}"));
            out::line(format!(
                "{file}:{line}:{column}: accepted: {}{about}: {}",
                accepted.rule, accepted.reason
            ));
        }
        for (what, reason) in &self.left_out {
            out::line(format!("left out: {what}: {reason}"));
        }
        for part in &self.parts {
            out::line(format!("{}: {}: {}", part.name, part.state, part.why));
        }
        if !self.size.is_empty() {
            out::line(&self.size);
        }
        let count = |severity| {
            let count = self.count(severity);
            format!("{count} {severity}{}", if count == 1 { "" } else { "s" })
        };
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        out::line(format!("{errors}, {warnings}, {} accepted", self.accepted.len()));
    }

    fn json(&self) -> Value {
        let place = |spot: &Spot| (spot.file.clone(), spot.line, spot.column);
        let findings = self.findings.iter().map(|placed| {
            let (file, line, column) = place(&placed.spot);
            json!({
                "severity": placed.finding.severity().to_string(),
                "rule": placed.finding.rule.name(),
                "file": file, "line": line, "column": column,
                "entity": placed.finding.subject.entity(),
                "about": placed.finding.about,
                "message": placed.finding.message,
                "help": placed.finding.help,
            })
        });
        let accepted = self.accepted.iter().map(|accepted| {
            let (file, line, column) = place(&accepted.spot);
            json!({
                "rule": accepted.rule.name(),
                "file": file, "line": line, "column": column,
                "entity": accepted.entity, "about": accepted.about, "reason": accepted.reason,
            })
        });
        let parts = self
            .parts
            .iter()
            .map(|part| json!({ "part": part.name, "state": part.state, "why": part.why }));
        let left_out = self.left_out.iter();
        let left_out = left_out.map(|(what, reason)| json!({ "what": what, "reason": reason }));
        json!({
            "format": 1,
            "version": self.version,
            "errors": self.count(Severity::Error),
            "warnings": self.count(Severity::Warning),
            "parts": parts.collect::<Vec<_>>(),
            "findings": findings.collect::<Vec<_>>(),
            "accepted": accepted.collect::<Vec<_>>(),
            "left_out": left_out.collect::<Vec<_>>(),
        })
    }
}
