//! What `ficus mapping check` finds: rules, how grave they are, and what they are about.
//!
//! A finding says what it is about; where that is written, [`crate::file::Places`] knows. So the
//! checks that read the target need to know nothing of files.

use std::fmt;

use crate::catalog::LegacyTable;

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Rows would be lost, refused or never arrive.
    Error,
    /// Somebody should know and decide; may be accepted with a reason.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

macro_rules! rules {
    ($($variant:ident $name:literal $severity:ident $acceptable:literal $what:literal,)+) => {
        /// What can be found. The names are stable: mapping files and scripts use them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $(#[doc = $what] $variant,)+
        }

        impl Rule {
            /// All rules, in the order of the parts that they belong to.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// How grave it is.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)+ }
            }

            /// Whether `[entity.accept]` may accept it: it is a warning, and about an entity.
            #[must_use]
            pub fn is_acceptable(self) -> bool {
                match self { $(Self::$variant => $acceptable,)+ }
            }

            /// What it means, one clause for the documentation.
            #[must_use]
            pub fn what(self) -> &'static str {
                match self { $(Self::$variant => $what,)+ }
            }
        }
    };
}

rules! {
    Mistake "mistake" Error false "the mapping file can't be compiled",
    AcceptIdle "accept-idle" Warning false "an `[entity.accept]` accepts what is not found",
    TableUnnamed "table-unnamed" Warning false "no mapping file names a legacy table",
    KeyUnproven "key-unproven" Warning true "nothing in the legacy database keeps the key unique",
    UniqueUnkept "unique-unkept" Warning true "a legacy unique index has no counterpart in the target",
    NullRejected "null-rejected" Warning true "a nullable legacy column is mapped as `not_null`",
    ReferenceElsewhere "reference-elsewhere" Warning true "the legacy foreign key refers to another table than the reference",
    CatalogueDiffers "catalogue-differs" Warning false "the saved catalogue is not what the legacy server says",
    CaptureOff "capture-off" Warning false "CDC captures no table at all",
    CaptureMissing "capture-missing" Error false "CDC does not capture a mapped table",
    CaptureColumnMissing "capture-column-missing" Error false "the capture instance does not carry a mapped column",
    CaptureColumnUnknown "capture-column-unknown" Warning true "the capture instance carries a column that the table does not have",
    MarkerMissing "marker-missing" Warning false "CDC does not capture the marker table",
    TargetTableMissing "target-table-missing" Error false "the target table is not there",
    TargetColumnMissing "target-column-missing" Error false "a target column is not there",
    TargetType "target-type" Error false "a target column has another type than the mapping writes",
    TargetGenerated "target-generated" Error false "Postgres makes a target column's value itself",
    TargetNotNull "target-not-null" Error false "a target column forbids the NULLs that the mapping may write",
    TargetUnfilled "target-unfilled" Error false "nobody fills a target column that must not be NULL",
    TargetExtra "target-extra" Warning true "the target has a column that the mapping does not fill",
    TargetCheck "target-check" Error false "a CHECK refuses a value that the mapping writes",
    TargetCheckWider "target-check-wider" Warning true "a CHECK allows a value that the mapping never writes",
    TargetPrimaryKey "target-primary-key" Error false "the target's primary key is not `id`",
    TargetSealedEarly "target-sealed-early" Error false "a followed table has a constraint across rows before its cutover",
    TargetRights "target-rights" Error false "the engine's role may not write the table",
    TargetRowSecurity "target-row-security" Error false "the API may read the table, and row level security is not forced on it",
}

impl Rule {
    /// A rule by its name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|rule| rule.name() == name)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a finding is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// An entity as a whole.
    Entity(String),
    /// A target column of an entity.
    Column {
        /// The entity.
        entity: String,
        /// Its target column.
        column: String,
    },
    /// A legacy column of an entity.
    Source {
        /// The entity.
        entity: String,
        /// The part's table.
        table: LegacyTable,
        /// The legacy column.
        column: String,
    },
    /// A legacy table.
    Table(LegacyTable),
    /// All files together.
    Files,
}

impl Subject {
    /// The entity, where it is about one.
    #[must_use]
    pub fn entity(&self) -> Option<&str> {
        match self {
            Self::Entity(entity) | Self::Column { entity, .. } | Self::Source { entity, .. } => {
                Some(entity)
            }
            Self::Table(_) | Self::Files => None,
        }
    }
}

/// One thing that somebody should know or correct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which rule.
    pub rule: Rule,
    /// What it is about.
    pub subject: Subject,
    /// The index, column or value that it names, by which `[entity.accept]` tells two findings
    /// of one rule apart.
    pub about: String,
    /// What is wrong, one lower-case clause.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl Finding {
    /// A finding.
    #[must_use]
    pub fn new(
        rule: Rule,
        subject: Subject,
        about: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self { rule, subject, about: about.into(), message: message.into(), help: help.into() }
    }

    /// How grave it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.rule.severity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_lists_every_rule() {
        let text = include_str!("../../docs/mapping-check.md");
        for rule in Rule::ALL {
            let accepted = if rule.is_acceptable() { "yes" } else { "" };
            let (severity, what) = (rule.severity(), rule.what());
            let line = format!("| `{rule}` | {severity} | {accepted} | {what} |");
            assert!(text.lines().any(|known| known == line), "{line}");
        }
        let documented = text.lines().filter(|line| line.starts_with("| `")).count();
        assert_eq!(documented, Rule::ALL.len());
    }

    #[test]
    fn names_are_told_apart_and_only_warnings_are_accepted() {
        for rule in Rule::ALL {
            assert_eq!(Rule::named(rule.name()), Some(*rule));
            assert!(!rule.is_acceptable() || rule.severity() == Severity::Warning, "{rule}");
        }
    }
}
