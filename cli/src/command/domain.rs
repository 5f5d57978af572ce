//! `ficus domain`.

mod dry_run;

use mapping::plan::{DeletedParents, DuplicatePolicy, OrphanPolicy, Plan};
use target::{
    Error, Pool, Role, Target,
    domain::{Decision, Gate, State, Terms},
    seal::ForeignKey,
};

use crate::{
    args::DomainCommand,
    exit::{Exit, usage},
    out, parts,
    settings::Settings,
};

/// Lists, plans, hands over, takes back.
pub(crate) async fn run(command: &DomainCommand, settings: &Settings) -> anyhow::Result<Exit> {
    let plan = parts::plan(settings).await?;
    check_name(command, &plan)?;
    let target = parts::target(settings, &plan).await?;
    match command {
        DomainCommand::List => {
            let domains = target.domains().await?;
            let rows: Vec<Vec<String>> =
                domains.into_iter().map(|d| vec![d.name, d.state.to_string()]).collect();
            out::line(out::table(&["domain", "state"], &rows));
            Ok(Exit::Success)
        }
        DomainCommand::Plan { domain } => {
            put_marker(settings, &target).await?;
            let gates = target.gates(domain, &terms(settings)?).await?;
            let red = remedies(&gates, domain);
            out::line(gate_table(&gates) + &red);
            Ok(if red.is_empty() { Exit::Success } else { Exit::Different })
        }
        DomainCommand::Cutover { domain, waive, reason, dry_run } => {
            let waivers: Vec<Waiver<'_>> =
                waive.iter().map(|name| Waiver::parse(name, reason.as_deref())).collect();
            if *dry_run {
                return dry_run::cutover(settings, &target, domain, &waivers).await;
            }
            let owner = target::connect(&parts::postgres(settings, Role::Owner)?).await?;
            let handed_over = cut_over(settings, &target, &owner, domain, &waivers).await?;
            out::line(handed_over.text);
            Ok(if handed_over.done { Exit::Success } else { Exit::Different })
        }
        DomainCommand::Rollback { domain, dry_run: true } => {
            dry_run::rollback(&target, domain).await
        }
        DomainCommand::Rollback { domain, dry_run: false } => {
            let owner = target::connect(&parts::postgres(settings, Role::Owner)?).await?;
            let actor = super::quarantine::actor();
            let decision = Decision { actor: &actor, reason: "ficus domain rollback" };
            target.roll_back(&owner, domain, decision).await?;
            out::line(format!(
                "{domain} is handed back; before it can be handed over again, copy it anew: \
                 ficus backfill {domain} --restart"
            ));
            Ok(Exit::Success)
        }
    }
}

/// A misspelt name is told before anything is tried.
fn check_name(command: &DomainCommand, plan: &Plan) -> anyhow::Result<()> {
    let (DomainCommand::Plan { domain }
    | DomainCommand::Cutover { domain, .. }
    | DomainCommand::Rollback { domain, .. }) = command
    else {
        return Ok(());
    };
    let known = plan.domains();
    if known.iter().any(|name| name == domain) {
        return Ok(());
    }
    Err(usage(format!("there is no domain `{domain}`; there are: {}", known.join(", "))))
}

/// A red gate that somebody takes upon himself: `gate` or `gate/subject`.
pub(crate) struct Waiver<'a> {
    gate: &'a str,
    subject: &'a str,
    reason: &'a str,
}

impl<'a> Waiver<'a> {
    fn parse(name: &'a str, reason: Option<&'a str>) -> Self {
        let (gate, subject) = name.split_once('/').unwrap_or((name, ""));
        Self { gate, subject, reason: reason.unwrap_or_default() }
    }

    fn name(&self) -> String {
        let slash = if self.subject.is_empty() { "" } else { "/" };
        format!("{}{slash}{}", self.gate, self.subject)
    }
}

/// What came of a cutover.
pub(crate) struct HandedOver {
    /// Whether the domain is handed over.
    pub(crate) done: bool,
    /// The gates, and what was done.
    pub(crate) text: String,
}

/// Hands a domain over, if its gates are green.
pub(crate) async fn cut_over(
    settings: &Settings,
    target: &Target,
    owner: &Pool,
    domain: &str,
    waivers: &[Waiver<'_>],
) -> anyhow::Result<HandedOver> {
    if target.domain_state(domain).await? == State::CutOver {
        return Ok(HandedOver { done: true, text: format!("{domain} is handed over already") });
    }
    let actor = super::quarantine::actor();
    for waiver in waivers {
        let decision = Decision { actor: &actor, reason: waiver.reason };
        target.waive(domain, waiver.gate, waiver.subject, decision).await?;
    }
    put_marker(settings, target).await?;
    let decision = Decision { actor: &actor, reason: "ficus domain cutover" };
    match target.cut_over(owner, domain, &terms(settings)?, decision).await {
        Ok(cut_over) => Ok(HandedOver { done: true, text: told(domain, &cut_over) }),
        Err(Error::Gates { .. }) => {
            let gates = target.gates(domain, &terms(settings)?).await?;
            let (table, red) = (gate_table(&gates), remedies(&gates, domain));
            let text = format!("{table}\n  {domain} is not handed over\n{red}");
            Ok(HandedOver { done: false, text })
        }
        Err(error) => Err(error.into()),
    }
}

fn told(domain: &str, cut_over: &target::domain::CutOver) -> String {
    let mut text = gate_table(&cut_over.gates);
    for key in &cut_over.foreign_keys {
        let (name, orphans) = (&key.name, key.orphans);
        let line = match key.policy {
            _ if key.sealed => format!("sealed already: {name}"),
            OrphanPolicy::Allow => format!("left open: {name} (orphans are allowed: {orphans})"),
            OrphanPolicy::Null if orphans > 0 => {
                format!("sealed: {name} ({orphans} orphans set to NULL, listed in ficus.audit)")
            }
            OrphanPolicy::Refuse if orphans > 0 => {
                format!("left open: {name} ({orphans} orphans, waived)")
            }
            OrphanPolicy::Null | OrphanPolicy::Refuse => format!("sealed: {name}"),
        };
        text.push_str(&format!("  {line}\n"));
        if key.deleted > 0 {
            text.push_str(&format!("  {}\n", of_deleted(key)));
        }
    }
    for index in &cut_over.unique_indexes {
        let (name, duplicates) = (&index.name, index.duplicates);
        let line = match index.rule.duplicates {
            _ if index.sealed => format!("sealed already: {name}"),
            DuplicatePolicy::Allow => {
                format!("left open: {name} (duplicates are allowed: {duplicates})")
            }
            DuplicatePolicy::Refuse if duplicates > 0 => {
                format!("left open: {name} ({duplicates} duplicates, waived)")
            }
            DuplicatePolicy::Refuse => format!("sealed: {name}"),
        };
        text.push_str(&format!("  {line}\n"));
    }
    for sequence in &cut_over.sequences {
        text.push_str(&format!("  set: {} gives {} next\n", sequence.name, sequence.next));
    }
    text.push_str(&format!("  {domain} is handed over"));
    text
}

/// What became of live rows that point at soft-deleted ones.
fn of_deleted(key: &ForeignKey) -> String {
    let (name, rows) = (&key.name, key.deleted);
    match key.deleted_policy {
        DeletedParents::Null => {
            format!("{name}: {rows} rows of deleted parents set to NULL, listed in ficus.audit")
        }
        DeletedParents::Refuse | DeletedParents::Allow => {
            format!("{name}: {rows} rows of deleted parents, waived")
        }
    }
}

fn gate_table(gates: &[Gate]) -> String {
    let rows: Vec<Vec<String>> = gates
        .iter()
        .map(|gate| {
            let color = if gate.green { "green" } else { "RED" };
            vec![gate.name.clone(), color.to_owned(), gate.detail.clone()]
        })
        .collect();
    out::table(&["gate", "", "because"], &rows)
}

/// What to do about each red gate, a line each.
fn remedies(gates: &[Gate], domain: &str) -> String {
    let red = gates.iter().filter(|gate| !gate.green);
    red.map(|gate| format!("  {}: {}\n", gate.name, remedy(&gate.name, domain))).collect()
}

fn remedy(gate: &str, domain: &str) -> String {
    let waive = format!("ficus domain cutover {domain} --waive {gate}");
    match gate {
        "state" => format!("run `ficus backfill {domain}`, then `ficus reconcile {domain}`"),
        "backfill" => format!("run `ficus backfill {domain}`"),
        "stream" => "start `ficus consume`, or wait for it: `ficus status`".to_owned(),
        "quarantine" => format!(
            "correct the rows in the legacy application (`ficus quarantine list`), or accept \
             that they stay behind: `{waive} --reason …`"
        ),
        "parked" => format!("run `ficus backfill {domain} --restart`: it brings the whole rows"),
        "reconcile" => format!("run `ficus reconcile {domain}`"),
        "sequences" => format!(
            "correct the sequence's `pattern` in the mapping file or name the form in `except` (and \
             copy again: `ficus backfill {domain} --restart`), correct the rows, or accept it: \
             `{waive} --reason …`"
        ),
        "seal" => format!(
            "correct the orphans and duplicates, or accept a constraint that stays open: \
             `{waive}/TABLE.COLUMN --reason …`, or `'{waive}/TABLE(COLUMN,COLUMN)'` (live rows of \
             deleted parents: TABLE.COLUMN:deleted)"
        ),
        _ => format!("accept it: `{waive} --reason …`"),
    }
}

fn terms(settings: &Settings) -> anyhow::Result<Terms> {
    Ok(Terms {
        lag_ms_max: i64::try_from(settings.number("cutover.lag_ms_max"))?,
        verdict_age_ms_max: i64::try_from(settings.number("cutover.verdict_age_ms_max"))?,
    })
}

/// A fresh marker, so that the stream's gate speaks of now; waits until the stream has passed
/// it, or the lag that the gate allows is over (then the gate tells).
async fn put_marker(settings: &Settings, target: &Target) -> anyhow::Result<()> {
    let patience = settings.milliseconds("cutover.lag_ms_max");
    let mut session = legacy::Session::connect(&parts::marker(settings)?).await?;
    let marker = session.put_marker(new_token(), patience).await?;
    let deadline = tokio::time::Instant::now() + patience;
    while !target.passed(marker).await? && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    Ok(())
}

fn new_token() -> uuid::Uuid {
    uuid::Uuid::from_u128(rand::random())
}
