//! Which totals mean the same on both sides. What is not certain is not asked, and said.

use legacy::{Total, TotalKind};
use mapping::{
    catalog::SqlType,
    plan::{EntityPlan, SoftDelete, TableId, TablePlan},
};
use target::compare::TotalOf;

use super::{Sums, compare::Outcome};
use crate::{
    legacy_scan::Scan,
    paranoid::{ColumnRule, Meaning, Rules, Sentinels},
    subject::{entity, table},
};

/// What XPO's soft delete writes, and what becomes of it.
const GC_RECORD: &str = "GCRecord";
const DELETED_AT: &str = "deleted_at";

/// What is asked of one legacy table.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) table: TableId,
    /// Whose rows the table has.
    pub(crate) subjects: Vec<usize>,
    /// Whether it may have rows that are nobody's, which a rule leaves out.
    pub(crate) has_others: bool,
    /// The first is the number of rows.
    pub(crate) legacy: Vec<Total>,
    /// The others, in the same order.
    pub(crate) target: Vec<TotalOf>,
    /// How each of those is compared, and its name.
    pub(crate) meant: Vec<(Meaning, String)>,
    /// Columns that no total says anything of, and why.
    pub(crate) not_said: Vec<(String, String)>,
}

/// A table, and what was found out about it.
pub(crate) struct Look {
    pub(crate) asked: Asked,
    pub(crate) last: Option<Sums>,
    pub(crate) outcome: Outcome,
}

/// What is asked of every table that is compared.
pub(super) fn looks(scan: &Scan, rules: &Rules) -> Vec<Look> {
    let tables = scan.subjects.tables();
    let asked = tables.into_iter().filter_map(|id| ask(scan, rules, id));
    asked.map(|asked| Look { asked, last: None, outcome: Outcome::Open }).collect()
}

fn ask(scan: &Scan, rules: &Rules, id: TableId) -> Option<Asked> {
    let plan = table(&scan.plan, id)?;
    let subjects = scan.subjects.all_of_table(id).to_vec();
    let readers =
        scan.plan.entities.iter().filter(|one| one.parts.iter().any(|part| part.table == id));
    let readers: Vec<&EntityPlan> = readers.collect();
    let takes_all = |one: &&EntityPlan| {
        let keeps_deleted = match one.soft_delete {
            SoftDelete::None | SoftDelete::DeletedAt => true,
            SoftDelete::Archive => one.parts.len() > 1,
            SoftDelete::Delete => false,
        };
        keeps_deleted && rules.entity(&one.name).is_some_and(|rules| rules.takes_all)
    };
    let mut asked = Asked {
        table: id,
        has_others: readers.len() != subjects.len() || !readers.iter().all(takes_all),
        legacy: vec![Total { column: None, kind: TotalKind::Count }],
        target: Vec::new(),
        meant: Vec::new(),
        not_said: Vec::new(),
        subjects,
    };
    let only = match asked.subjects.as_slice() {
        [one] if !asked.has_others && scan.subjects.get(*one).is_whole => {
            entity(&scan.plan, scan.subjects.get(*one).entity)
        }
        _ => None,
    };
    let Some(only) = only else {
        let why =
            "its rows share a table with others, or some are left out: only counted".to_owned();
        asked.not_said.push((format!("columns of {}", plan.table), why));
        return Some(asked);
    };
    let of_entity = rules.entity(&only.name)?;
    if only.soft_delete == SoftDelete::DeletedAt {
        asked.legacy.push(Total { column: Some(GC_RECORD.to_owned()), kind: TotalKind::Count });
        asked.target.push(TotalOf::Count(DELETED_AT.to_owned()));
        asked.meant.push((Meaning::Number { shift: 0 }, format!("count({DELETED_AT})")));
    }
    for rule in &of_entity.columns {
        if !asked.add(plan, rule) {
            let why = "no total of it means the same on both sides".to_owned();
            asked.not_said.push((rule.target.clone(), why));
        }
    }
    asked.not_said.extend(of_entity.not_covered.iter().cloned());
    Some(asked)
}

impl Asked {
    /// Adds the totals of a column; whether there are any.
    fn add(&mut self, plan: &TablePlan, rule: &ColumnRule) -> bool {
        let [from] = rule.from.as_slice() else { return false };
        let Some(column) = plan.columns.iter().find(|column| column.name == *from) else {
            return false;
        };
        // A NULL that stands for something is no NULL on the other side.
        let keeps_null = rule.null.is_none();
        let is_zero = rule.null.as_deref().is_none_or(|null| matches!(null, "0" | "false"));
        let before = self.target.len();
        let target = &rule.target;
        match &rule.meaning {
            Meaning::Number { .. } if is_zero && is_exact(&column.sql_type) => {
                self.push(from, TotalKind::Sum, TotalOf::Sum(target.clone()), rule);
            }
            Meaning::Bool if is_zero && column.sql_type == SqlType::Bit => {
                self.push(from, TotalKind::Sum, TotalOf::Trues(target.clone()), rule);
            }
            Meaning::Date(sentinels)
            | Meaning::Wall(sentinels)
            | Meaning::Zoned { sentinels, .. }
                if keeps_null && is_time(&column.sql_type) =>
            {
                if let Some(days) = days(sentinels) {
                    let min = TotalKind::Min(days.clone());
                    self.push(from, min, TotalOf::Min(target.clone()), rule);
                    self.push(from, TotalKind::Max(days), TotalOf::Max(target.clone()), rule);
                }
            }
            _ => {}
        }
        let is_kept = match &rule.meaning {
            Meaning::Number { .. } | Meaning::Bool | Meaning::Float | Meaning::Hex => true,
            Meaning::Uuid | Meaning::Color | Meaning::Word { .. } => true,
            Meaning::Text { empty_is_null, .. } => !empty_is_null,
            _ => false,
        };
        if keeps_null && is_kept {
            let count = TotalOf::Count(target.clone());
            self.push(from, TotalKind::Count, count, rule);
        }
        self.target.len() > before
    }

    fn push(&mut self, from: &str, kind: TotalKind, of: TotalOf, rule: &ColumnRule) {
        let (word, meaning) = match &of {
            TotalOf::Count(_) => ("count", Meaning::Number { shift: 0 }),
            TotalOf::Trues(_) => ("count of true", Meaning::Number { shift: 0 }),
            TotalOf::Sum(_) => ("sum", rule.meaning.clone()),
            TotalOf::Min(_) => ("min", rule.meaning.clone()),
            TotalOf::Max(_) => ("max", rule.meaning.clone()),
        };
        self.legacy.push(Total { column: Some(from.to_owned()), kind });
        self.target.push(of);
        self.meant.push((meaning, format!("{word}({})", rule.target)));
    }
}

/// The days that stand for something else; `None` when one is an instant.
fn days(sentinels: &Sentinels) -> Option<Vec<String>> {
    let day = |text: &String| (text.len() == 10).then(|| text.clone());
    sentinels.0.keys().map(day).collect()
}

fn is_exact(sql_type: &SqlType) -> bool {
    matches!(
        sql_type,
        SqlType::TinyInt
            | SqlType::SmallInt
            | SqlType::Int
            | SqlType::BigInt
            | SqlType::Money
            | SqlType::SmallMoney
            | SqlType::Decimal { .. }
    )
}

fn is_time(sql_type: &SqlType) -> bool {
    matches!(
        sql_type,
        SqlType::Date | SqlType::DateTime | SqlType::SmallDateTime | SqlType::DateTime2 { .. }
    )
}
