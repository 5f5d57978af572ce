//! How much a run looked at, and so how much its verdict says.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::LeftOut;

/// How much was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Tier {
    /// Every row of both sides.
    #[default]
    Full,
    /// Some rows of each side, each decided as exactly as in a full run.
    Sample {
        /// The share that was asked for, in hundredths of a percent.
        share: u32,
        /// Rows looked at.
        rows: u64,
    },
    /// Totals of both sides only: counts, sums, least and greatest values.
    Quick {
        /// How many of them.
        totals: u64,
    },
    /// Every target row, beside what an earlier full run has read of the legacy side, and the
    /// legacy rows that have changed since by CDC's own word. A change that CDC did not log, and a
    /// mistake of that earlier reading, are not seen.
    Since {
        /// The run that read the legacy side; `None` when no digest could be used.
        run: Option<i64>,
        /// Its S.
        low: Option<String>,
        /// Legacy tables that were not read.
        tables: u64,
        /// Rows of them that have changed, and were read.
        keys: u64,
        /// Tables that were read whole all the same, and why.
        whole: Vec<LeftOut>,
    },
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("full"),
            Self::Sample { share, .. } => {
                write!(f, "sample of {}.{:02} %", share / 100, share % 100)
            }
            Self::Quick { .. } => f.write_str("quick"),
            Self::Since { run: Some(run), .. } => write!(f, "since run {run}"),
            Self::Since { run: None, .. } => f.write_str("since a run that kept nothing"),
        }
    }
}

impl Tier {
    /// As stored.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Sample { .. } => "sample",
            Self::Quick { .. } => "quick",
            Self::Since { .. } => "since",
        }
    }

    /// Tables that were read whole although a digest was asked for, and why.
    #[must_use]
    pub fn read_whole(&self) -> &[LeftOut] {
        match self {
            Self::Since { whole, .. } => whole,
            Self::Full | Self::Sample { .. } | Self::Quick { .. } => &[],
        }
    }

    /// What the verdict does not say, where it is not of all rows.
    #[must_use]
    pub fn sentence(&self) -> Option<String> {
        match self {
            Self::Full => None,
            Self::Quick { totals } => Some(format!(
                "Quick: {totals} totals (counts, sums, least and greatest values) were compared and \
                 no rows. Rows that differ but leave the totals as they are, texts, references, and \
                 what is listed as not compared are not seen. It verifies no domain and opens no gate."
            )),
            Self::Since { run, low, tables, keys, whole } => {
                Some(since((*run, low.as_deref()), (*tables, *keys), whole.len()))
            }
            Self::Sample { rows: 0, .. } => {
                Some("Sample: no row was chosen, so nothing is known.".to_owned())
            }
            Self::Sample { rows, .. } => Some(format!(
                "Sample of {rows} rows: had {} or more of all rows differed, independently of how \
                 they were chosen, a run would have seen one with a probability of 95 %.",
                share_with_one_seen(*rows)
            )),
        }
    }
}

fn since(
    (run, low): (Option<i64>, Option<&str>),
    (tables, keys): (u64, u64),
    whole: usize,
) -> String {
    let (Some(run), Some(low)) = (run, low) else {
        return format!(
            "Since: there was no digest to go by, so {whole} tables were read whole; it verifies \
             no domain all the same."
        );
    };
    format!(
        "Since run {run}: all target rows were compared with what that run read of {tables} legacy \
         tables at {low} or later, and {keys} legacy rows that CDC says have changed since were \
         read again ({whole} tables were read whole). A change of the legacy side that CDC did not \
         log is not seen; only a full run sees it. It verifies no domain and opens no gate."
    )
}

/// The rule of three: with no difference among n rows, fewer than 3/n differ, at 95 %.
fn share_with_one_seen(rows: u64) -> String {
    let millionths = 3_000_000_u64.div_ceil(rows.max(1)).min(1_000_000);
    format!("{}.{:04} %", millionths / 10_000, millionths % 10_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_says_what_it_is_worth() {
        for (rows, share) in [(1, "100.0000 %"), (300, "1.0000 %"), (100_000, "0.0030 %")] {
            assert_eq!(share_with_one_seen(rows), share);
        }
        let sample = Tier::Sample { share: 150, rows: 300 };
        assert_eq!(sample.to_string(), "sample of 1.50 %");
        assert!(sample.sentence().unwrap().contains("had 1.0000 % or more"));
    }
}
