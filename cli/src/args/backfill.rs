//! `ficus backfill`, as typed.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

/// `ficus backfill`.
#[derive(Debug, Default, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct BackfillArgs {
    /// Pauses or resumes what runs
    #[command(subcommand)]
    pub(crate) action: Option<BackfillAction>,
    /// Domains or entities; all when none is named
    pub(crate) names: Vec<String>,
    /// Parallel readers, each with one connection to the legacy server; this process has no more
    #[arg(long, value_name = "READERS", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) parallel: Option<u16>,
    /// Copy the named ones again from the start, while the stream runs
    #[arg(long)]
    pub(crate) restart: bool,
    /// Copy again the rows of one table or entity whose keys the file has, a key a line as `ficus
    /// mapping explain --key` takes it; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["restart", "condition"], requires = "names")]
    pub(crate) only_keys: Option<PathBuf>,
    /// Copy again the rows of one table or entity that this T-SQL holds for. It is sent as it
    /// stands, under the read-only login: for operators who know what they ask
    #[arg(
        long = "where",
        id = "condition",
        value_name = "SQL",
        conflicts_with = "restart",
        requires = "names"
    )]
    pub(crate) condition: Option<String>,
    /// Read so many rows a second at most, all processes together
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rows_per_second: Option<u64>,
    /// Read only at these hours, in this zone: "22:00-05:00 Asia/Ulaanbaatar"
    #[arg(long, value_name = "HOURS ZONE")]
    pub(crate) between: Option<String>,
    /// Build the secondary indexes of tables that are still empty after they are loaded
    #[arg(long)]
    pub(crate) defer_indexes: bool,
    /// Tell what happens as JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Print the T-SQL that grants the least rights for the legacy logins, and do nothing else
    #[arg(long, conflicts_with_all = ["restart", "only_keys", "condition", "json", "defer_indexes"])]
    pub(crate) grants: bool,
}

/// `ficus backfill pause`, `ficus backfill resume`.
#[derive(Debug, Subcommand)]
pub(crate) enum BackfillAction {
    /// Let every backfill wait, on all machines: reading stops within a second
    Pause {
        /// Why (audited, and shown by `ficus status`)
        #[arg(long)]
        reason: Option<String>,
    },
    /// Let them go on
    Resume {
        /// Why (audited)
        #[arg(long)]
        reason: Option<String>,
    },
}
