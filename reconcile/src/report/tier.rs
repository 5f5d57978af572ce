//! How much a run looked at, and so how much its verdict says.

use std::fmt;

use serde::{Deserialize, Serialize};

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
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("full"),
            Self::Sample { share, .. } => {
                write!(f, "sample of {}.{:02} %", share / 100, share % 100)
            }
        }
    }
}

impl Tier {
    /// What the verdict does not say, where it is not of all rows.
    #[must_use]
    pub fn sentence(&self) -> Option<String> {
        match self {
            Self::Full => None,
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
