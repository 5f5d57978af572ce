//! What a column that surprises leads to, by kind and table.

use std::{collections::BTreeMap, str::FromStr};

use mapping::catalog::LegacyTable;
use target::drift::DriftKind;

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriftPolicy {
    /// The event is applied as far as it can be read, and the column is told in the status. A
    /// mapped column that is missing or unreadable keeps the target's value; a row that is not
    /// there yet waits for a complete image.
    Report,
    /// The event goes to quarantine, with the whole message.
    Quarantine,
    /// The table is stopped before the event, with the sentence; the others go on.
    Stop,
}

impl DriftPolicy {
    /// As written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Quarantine => "quarantine",
            Self::Stop => "stop",
        }
    }
}

/// One policy for each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Policies {
    unknown: DriftPolicy,
    missing: DriftPolicy,
    retyped: DriftPolicy,
}

/// The policies of all tables.
///
/// As text: `unknown=report, missing=stop, retyped=stop, dbo.Payment:missing=quarantine`. What is
/// not named keeps its default, which is this text without its last item: a column that came into
/// being costs nothing but the column; one that vanished or changed is not guessed at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriftPolicies {
    all: Policies,
    /// By table name, in lower case.
    tables: BTreeMap<String, Vec<(DriftKind, DriftPolicy)>>,
}

/// A text that is no list of policies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{item}` is no drift policy; write [TABLE:]unknown|missing|retyped=report|quarantine|stop"
)]
pub struct DriftPolicyError {
    item: String,
}

impl Default for DriftPolicies {
    fn default() -> Self {
        use DriftPolicy::{Report, Stop};
        let all = Policies { unknown: Report, missing: Stop, retyped: Stop };
        Self { all, tables: BTreeMap::new() }
    }
}

impl DriftPolicies {
    /// The same for every kind and table.
    #[must_use]
    pub fn all(policy: DriftPolicy) -> Self {
        let all = Policies { unknown: policy, missing: policy, retyped: policy };
        Self { all, tables: BTreeMap::new() }
    }

    /// What a kind of surprise leads to in a table.
    #[must_use]
    pub fn of(&self, table: &LegacyTable, kind: DriftKind) -> DriftPolicy {
        let own = (!self.tables.is_empty())
            .then(|| self.tables.get(&table.to_string().to_lowercase()))
            .flatten()
            .and_then(|own| own.iter().rev().find(|(found, _)| *found == kind));
        match (own, kind) {
            (Some((_, policy)), _) => *policy,
            (None, DriftKind::Unknown) => self.all.unknown,
            (None, DriftKind::Missing) => self.all.missing,
            (None, DriftKind::Retyped) => self.all.retyped,
        }
    }

    /// The same with one policy in the place of another.
    pub(crate) fn replacing(&self, old: DriftPolicy, new: DriftPolicy) -> Self {
        let other = |policy| if policy == old { new } else { policy };
        let mut replaced = self.clone();
        let Policies { unknown, missing, retyped } = self.all;
        replaced.all =
            Policies { unknown: other(unknown), missing: other(missing), retyped: other(retyped) };
        for (_, policy) in replaced.tables.values_mut().flatten() {
            *policy = other(*policy);
        }
        replaced
    }

    /// The tables that have a policy of their own, in lower case.
    pub fn tables(&self) -> impl Iterator<Item = &str> {
        self.tables.keys().map(String::as_str)
    }

    fn set(&mut self, item: &str) -> Option<()> {
        let (what, policy) = item.split_once('=')?;
        let policy = match policy.trim() {
            "report" => DriftPolicy::Report,
            "quarantine" => DriftPolicy::Quarantine,
            "stop" => DriftPolicy::Stop,
            _ => return None,
        };
        let (table, kind) = match what.rsplit_once(':') {
            Some((table, kind)) => (Some(table.trim()), kind.trim()),
            None => (None, what.trim()),
        };
        let kind = DriftKind::ALL.into_iter().find(|known| known.as_str() == kind)?;
        match (table, kind) {
            (Some(table), _) => {
                let table = table.to_lowercase();
                let table = if table.contains('.') { table } else { format!("dbo.{table}") };
                self.tables.entry(table).or_default().push((kind, policy));
            }
            (None, DriftKind::Unknown) => self.all.unknown = policy,
            (None, DriftKind::Missing) => self.all.missing = policy,
            (None, DriftKind::Retyped) => self.all.retyped = policy,
        }
        Some(())
    }
}

impl FromStr for DriftPolicies {
    type Err = DriftPolicyError;

    fn from_str(text: &str) -> Result<Self, DriftPolicyError> {
        let mut policies = Self::default();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let wrong = || DriftPolicyError { item: item.chars().take(80).collect() };
            policies.set(item).ok_or_else(wrong)?;
        }
        Ok(policies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_may_have_its_own_policy() {
        let text = "retyped = quarantine, Payment:missing=report, dbo.payment:Missing=stop";
        assert!(text.parse::<DriftPolicies>().is_err(), "kinds are lower case");
        let text = "retyped = quarantine, Payment:missing=report, crm.Call:unknown=stop,";
        let policies: DriftPolicies = text.parse().unwrap();
        let of = |schema: &str, table: &str, kind| {
            policies.of(&LegacyTable::new(schema, table), kind).as_str()
        };
        assert_eq!(of("dbo", "Contract", DriftKind::Unknown), "report");
        assert_eq!(of("dbo", "Contract", DriftKind::Missing), "stop");
        assert_eq!(of("dbo", "Contract", DriftKind::Retyped), "quarantine");
        assert_eq!(of("DBO", "payment", DriftKind::Missing), "report");
        assert_eq!(of("DBO", "payment", DriftKind::Retyped), "quarantine");
        assert_eq!(of("crm", "Call", DriftKind::Unknown), "stop");
        assert_eq!(policies.tables().collect::<Vec<_>>(), ["crm.call", "dbo.payment"]);
        assert_eq!("".parse(), Ok(DriftPolicies::default()));
    }

    #[test]
    fn nonsense_is_refused_with_the_item() {
        for text in ["stop", "missing=", "missing=stop, gone=stop", "x:=stop", "missing=Stop"] {
            let error = text.parse::<DriftPolicies>().unwrap_err();
            assert!(error.to_string().contains("no drift policy"), "{text}");
        }
    }
}
