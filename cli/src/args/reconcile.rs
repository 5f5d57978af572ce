//! What is said of comparisons and their reports.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

/// `ficus reconcile`.
#[derive(Debug, ClapArgs)]
pub(crate) struct ReconcileArgs {
    /// Domains or entities; all when none is named
    pub(crate) names: Vec<String>,
    /// The report as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) files: ReportFiles,
    /// How long rows in flight are read again, and the stream is waited for, in seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=86_400))]
    pub(crate) patience: Option<u64>,
    /// Look at this share of the rows only, such as 1 or 0.5; the report says what that is worth
    #[arg(long, value_name = "PERCENT", value_parser = share, conflicts_with = "repair")]
    pub(crate) sample: Option<u32>,
    /// Go on with the last full run of the same names that was stopped or killed; its digests are
    /// kept in Postgres for a day. The verdict holds from where that run began
    #[arg(long, conflicts_with_all = ["sample", "since"])]
    pub(crate) resume: bool,
    /// Compare all target rows with what the last full run has read, and read only those legacy rows
    /// again that have changed since, by CDC's word; the report says what that does not prove
    #[arg(long, conflicts_with_all = ["sample", "paranoid", "repair"])]
    pub(crate) since: bool,
    /// Compare totals only, in seconds: counts, sums, least and greatest values; the report says what
    /// that does not show
    #[arg(long, conflicts_with_all = ["sample", "paranoid", "repair", "since", "resume"])]
    pub(crate) quick: bool,
    /// Check 20,000 rows of each entity by independent rules, instead of reconcile.independent_rows
    #[arg(long, conflicts_with = "sample")]
    pub(crate) paranoid: bool,
    /// Read so many legacy rows a second at most
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rows_per_second: Option<u64>,
    /// What to do about rows that differ: `plan` prints it, `apply` reads them again from the legacy
    /// server, writes them at the position of that reading, and compares again
    #[arg(long, value_name = "WHAT")]
    pub(crate) repair: Option<RepairMode>,
    /// With --repair: remove target rows that the legacy side does not have
    #[arg(long, requires = "repair")]
    pub(crate) delete_extra: bool,
}

/// A percentage in hundredths of a percent.
pub(crate) fn share(text: &str) -> Result<u32, String> {
    let bad = || {
        "write a percentage from 0.01 to 100, with two digits after the point at most".to_owned()
    };
    let (whole, digits) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(digits) || digits.len() > 2 {
        return Err(bad());
    }
    let whole: u32 = whole.parse().map_err(|_| bad())?;
    let digits: u32 = format!("{digits:0<2}").parse().map_err(|_| bad())?;
    let share = whole.checked_mul(100).and_then(|share| share.checked_add(digits));
    share.filter(|share| (1..=10_000).contains(share)).ok_or_else(bad)
}

/// `ficus schedule`.
#[derive(Debug, ClapArgs)]
pub(crate) struct ScheduleArgs {
    /// Run what is due now and end: 0 all is well, 1 rows differ, 2 undecided or stale, 3 failed
    #[arg(long)]
    pub(crate) once: bool,
}

/// `ficus report`.
#[derive(Debug, Subcommand)]
pub(crate) enum ReportCommand {
    /// The newest reports, with their verdicts and ages
    List {
        /// At most this many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// One report; its exit code is the verdict, and 2 when the verdict is stale
    Show(ReportShowArgs),
    /// One report as a page in the browser
    Open {
        /// Its number (ficus report list); the newest when none is said
        number: Option<i64>,
    },
    /// Write reports as files, one each, for an archive or an auditor
    Export {
        /// The folder; made when it is not there
        folder: PathBuf,
    },
    /// Check that no report was changed, left out or put in between: of Postgres, or of exported
    /// files, which needs no connection
    Verify {
        /// Exported files, or folders of them
        paths: Vec<PathBuf>,
        /// A hash that was noted down before: it must be in the chain
        #[arg(long, value_name = "HASH")]
        head: Option<String>,
    },
}

/// `ficus report show`.
#[derive(Debug, ClapArgs)]
pub(crate) struct ReportShowArgs {
    /// Its number (ficus report list); the newest when none is said
    pub(crate) number: Option<i64>,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) files: ReportFiles,
}

/// Where a report is written beside the terminal.
#[derive(Debug, Clone, Default, ClapArgs)]
pub(crate) struct ReportFiles {
    /// Write the report as one HTML page that needs nothing else
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Write the differences as CSV
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
}

/// `ficus reconcile --repair`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum RepairMode {
    /// Only print what would be done
    Plan,
    /// Do it
    Apply,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_percentages_with_two_digits() {
        for (text, hundredths) in
            [("1", 100), ("0.5", 50), ("12.34", 1_234), ("100", 10_000), ("0.01", 1)]
        {
            assert_eq!(share(text), Ok(hundredths), "{text}");
        }
        for text in
            ["", ".", "0", "0.001", "100.01", "-1", "1e2", "4294967296", "ten", "1.", ".5", "٣"]
        {
            assert!(share(text).is_err(), "{text}");
        }
    }
}
