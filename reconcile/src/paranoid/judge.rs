//! What two rows of texts say, column by column.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use mapping::{
    key::CanonicalKey,
    plan::{EntityId, EntityPlan},
    position::Position,
};
use target::compare::TextRow;
use uuid::Uuid;

use super::{
    meaning::{Meaning, Said},
    rules::{ColumnRule, Rules},
    texts::{DELETED_AT, Half, Texts, columns, full_name},
};
use crate::{
    DifferenceKind, Error,
    decide::Proof,
    legacy_scan::Scan,
    link::Link,
    report::{Difference, ValuePair},
    subject::entity,
};

const MASK: &str = "***";
/// A value is shown up to here.
const SHOWN_MAX: usize = 200;

/// The legacy texts by `Table.Column`, and the target's text.
type Sides<'a> = (&'a HashMap<String, Option<String>>, Option<&'a str>);

/// What was found out.
#[derive(Default)]
pub(super) struct Meant {
    pub(super) rows: u64,
    pub(super) values: u64,
    pub(super) disagreements: Vec<Disagreement>,
}

/// A row that means something else.
pub(super) struct Disagreement {
    pub(super) entity: String,
    pub(super) key: CanonicalKey,
    pub(super) shown: Difference,
}

impl Meant {
    /// Reads and compares some rows. Without a fence, only what is seen twice counts.
    pub(super) async fn pass(
        &mut self,
        scan: &Arc<Scan>,
        link: &mut Link,
        (rules, halves): (&Rules, Vec<Half>),
    ) -> Result<(), Error> {
        let mut first = Self::default();
        let has_fence = first.once(scan, link, (rules, halves)).await?;
        if !has_fence && !first.disagreements.is_empty() {
            tokio::time::sleep(scan.settings.pause).await;
            let mut second = Self::default();
            second.once(scan, link, (rules, first.disagreeing(scan))).await?;
            let is_seen = |one: &Disagreement| {
                let same = |other: &Disagreement| {
                    other.key == one.key && other.shown.columns == one.shown.columns
                };
                second.disagreements.iter().any(same)
            };
            first.disagreements.retain(is_seen);
        }
        self.rows += first.rows;
        self.values += first.values;
        self.disagreements.append(&mut first.disagreements);
        Ok(())
    }

    /// The rows that disagree, to be read again.
    fn disagreeing(&self, scan: &Scan) -> Vec<Half> {
        let mut keys: BTreeMap<EntityId, Vec<CanonicalKey>> = BTreeMap::new();
        for one in &self.disagreements {
            let Some(entity) = scan.plan.entity(&one.entity) else { continue };
            keys.entry(entity.id).or_default().push(one.key.clone());
        }
        keys.into_iter().map(|(entity, keys)| Half::new(entity, keys)).collect()
    }

    /// One pass; whether it had a fence.
    async fn once(
        &mut self,
        scan: &Arc<Scan>,
        link: &mut Link,
        (rules, halves): (&Rules, Vec<Half>),
    ) -> Result<bool, Error> {
        if halves.iter().all(|half| half.keys.is_empty()) {
            return Ok(true);
        }
        let mut texts = Texts { scan: Arc::clone(scan), rules, halves };
        let passed = link.pass(&mut texts).await?;
        for half in &texts.halves {
            let Some(plan) = entity(&scan.plan, half.entity) else { continue };
            let Some(rules) = rules.entity(&plan.name) else { continue };
            for key in &half.keys {
                self.row(scan, (plan, &rules.columns), (half, key), passed.proof);
            }
        }
        Ok(matches!(passed.proof, Proof::Fence { .. }))
    }

    fn row(
        &mut self,
        scan: &Scan,
        (plan, rules): (&EntityPlan, &[ColumnRule]),
        (half, key): (&Half, &CanonicalKey),
        proof: Proof,
    ) {
        let id = half.ids.get(key).copied();
        let target = id.and_then(|id| half.target.get(&id));
        let (Some(legacy), Some(target), Some(id)) = (half.legacy.get(key), target, id) else {
            return;
        };
        // What is on its way, and what nobody can tell to be current, is not compared.
        let is_current = match proof {
            Proof::Fence { low, passed, .. } => {
                let stands = |at: Position| !at.is_read() || half.before.get(&id) == Some(target);
                passed && target.position.is_some_and(|at| at.lsn() <= low && stands(at))
            }
            Proof::Twice => true,
        };
        if !is_current {
            return;
        }
        self.rows += 1;
        let names = columns(plan, rules);
        let by_name: HashMap<&str, Option<&str>> =
            names.iter().copied().zip(target.texts.iter().map(Option::as_deref)).collect();
        let is_deleted = by_name.get(DELETED_AT).copied().flatten().is_some();
        let mut pairs = Vec::new();
        for rule in rules {
            let value = by_name.get(rule.target.as_str()).copied().flatten();
            let sides = (legacy, value);
            if let Some(pair) = self.column(scan, (plan, rule), half, (sides, is_deleted)) {
                pairs.push(pair);
            }
        }
        if !pairs.is_empty() {
            let shown = shown(&plan.name, (id, key, target), pairs, proof);
            let (entity, key) = (plan.name.clone(), key.clone());
            self.disagreements.push(Disagreement { entity, key, shown });
        }
    }

    /// The pair, where the two sides disagree.
    fn column(
        &mut self,
        scan: &Scan,
        (plan, rule): (&EntityPlan, &ColumnRule),
        half: &Half,
        ((legacy, value), is_deleted): (Sides<'_>, bool),
    ) -> Option<ValuePair> {
        let is_reference = matches!(rule.meaning, Meaning::Ref { .. });
        // A soft-deleted legacy row has lost its references.
        if is_reference && is_deleted {
            return None;
        }
        let texts: Option<Vec<Option<&str>>> = rule
            .from
            .iter()
            .map(|from| legacy.get(&full_name(scan, plan, from)?).map(Option::as_deref))
            .collect();
        let texts = texts?;
        let target = match value {
            Some(id) if is_reference => {
                let id = Uuid::parse_str(id).ok()?;
                half.referred.get(&id).map(String::as_str)
            }
            value => value,
        };
        self.values += 1;
        let context = (rule.null.as_deref(), &scan.object_types);
        if rule.meaning.compare(&texts, target, context) != Said::Other {
            return None;
        }
        let show = |text: Option<&str>| {
            let shown = text.map(|text| text.chars().take(SHOWN_MAX).collect::<String>());
            shown.map(|text| if rule.sensitive { MASK.to_owned() } else { text })
        };
        let all: Option<Vec<&str>> = texts.into_iter().collect();
        let legacy = all.map(|all| all.join("/"));
        let target = target.map(|text| text.replace('\n', "/"));
        Some(ValuePair {
            column: rule.target.clone(),
            legacy: show(legacy.as_deref()),
            target: show(target.as_deref()),
        })
    }
}

fn shown(
    entity: &str,
    (id, key, target): (Uuid, &CanonicalKey, &TextRow),
    columns: Vec<ValuePair>,
    proof: Proof,
) -> Difference {
    let low = match proof {
        Proof::Fence { low, .. } => Some(low.to_string()),
        Proof::Twice => None,
    };
    Difference {
        kind: DifferenceKind::Changed,
        part: Some(entity.to_owned()),
        key: Some(key.to_string()),
        id: Some(id.to_string()),
        position: target.position.map(|position| position.to_string()),
        low,
        columns,
        tampered: false,
        hint: "both servers' own texts mean different things".to_owned(),
    }
}
