//! The command line, exactly as typed.

mod backfill;
mod reconcile;
mod serve;
mod work;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args as ClapArgs, Parser, Subcommand};

pub(crate) use self::backfill::{BackfillAction, BackfillArgs};
pub(crate) use self::reconcile::{
    ReconcileArgs, RepairMode, ReportCommand, ReportFiles, ReportShowArgs, ScheduleArgs, share,
};
pub(crate) use self::serve::{DomainCommand, RoutesArgs, ServeArgs};
pub(crate) use self::work::{WorkAction, WorkArgs};

/// Moves a SQL Server (XPO/XAF) application to Postgres one domain at a time, while both run.
///
/// Exit codes: 0 done and everything agrees; 1 done and something differs or is refused;
/// 2 could not decide; 3 failed; 64 wrong usage or configuration; 130 stopped by a signal (but
/// `consume`, `serve` and `work`, which run until one, end with 0). For `mapping check`, 1 means warnings
/// that are denied and 2 means errors.
#[derive(Debug, Parser)]
#[command(name = "ficus", version, propagate_version = true)]
pub(crate) struct Args {
    /// Configuration file (default: ficus.toml, if it is there)
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// The legacy server: mssql://user@host:1433/database
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) legacy: Option<String>,

    /// Kafka brokers: host:port[,host:port]
    #[arg(long, global = true, value_name = "BOOTSTRAP")]
    pub(crate) kafka: Option<String>,

    /// Postgres: postgres://user@host:5432/database
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) target: Option<String>,

    /// Log filter, such as info or target=debug,warn
    #[arg(long, global = true, value_name = "FILTER")]
    pub(crate) log: Option<String>,

    /// What to do
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Args {
    /// The global flags as configuration keys.
    pub(crate) fn overrides(&self) -> impl Iterator<Item = (&'static str, String)> {
        [
            ("legacy.url", self.legacy.clone()),
            ("kafka.bootstrap", self.kafka.clone()),
            ("target.url", self.target.clone()),
            ("log.level", self.log.clone()),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
    }
}

/// The global flag that sets a key.
pub(crate) fn flag(key: &str) -> Option<&'static str> {
    match key {
        "legacy.url" => Some("--legacy"),
        "kafka.bootstrap" => Some("--kafka"),
        "target.url" => Some("--target"),
        "log.level" => Some("--log"),
        _ => None,
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the whole road on an embedded legacy server, Kafka and Postgres
    Demo(DemoArgs),
    /// Create or update the schema `ficus` and the product's tables
    Migrate,
    /// Copy legacy tables in bulk; resumes by itself
    ///
    /// Exit codes: 0 everything that was selected is copied; 1 keys of --only-keys have no row; 3 a
    /// table was given up, or nothing can go on; 64 wrong usage; 130 stopped by a signal (the same
    /// command goes on). docs/backfill.md has the rest.
    Backfill(BackfillArgs),
    /// Follow Debezium's change events until stopped
    Consume(ConsumeArgs),
    /// Let the stream wait with tables, and go on
    #[command(subcommand)]
    Stream(StreamCommand),
    /// Compare legacy and target: equal, different or in flight, at an LSN
    Reconcile(ReconcileArgs),
    /// Reports of reconcile: list, show, check their chain
    #[command(subcommand)]
    Report(ReportCommand),
    /// Run reports by cron expressions (schedule.full, schedule.sample) until stopped, one process at
    /// a time, and tell a webhook what is wrong
    Schedule(ScheduleArgs),
    /// Serve the domains that are cut over, pass everything else to the legacy application
    Serve(ServeArgs),
    /// Who serves each route, of a running server or by the states in Postgres, and the progress
    Routes(RoutesArgs),
    /// Handle the events of the outbox (SMS, push, webhooks, statements) and cron jobs, until stopped
    Work(WorkArgs),
    /// List domains, hand one over, take it back
    #[command(subcommand)]
    Domain(DomainCommand),
    /// Rows that could not be mapped
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// Read a legacy database and report what it is made of, and the hazards in it
    ///
    /// Tables with their XPO kinds and proposed domains come first, then every hazard with its
    /// count, up to five keys, and what to write in the mapping file; docs/hazards.md explains
    /// the codes. Exit codes: 0 nothing blocks a migration, 1 blocking hazards were found,
    /// 3 failed, 64 wrong usage, 130 stopped by a signal (what was found is reported).
    Assess(AssessArgs),
    /// Positions, counts and states of all tables
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Mapping files
    #[command(subcommand)]
    Mapping(MappingCommand),
    /// The legacy catalogue
    #[command(subcommand)]
    Catalog(CatalogCommand),
    /// Read change events (JSON lines {topic, key, value, headers} from standard input, or the named
    /// topics of Kafka) and print each in one canonical form
    Decode(DecodeArgs),
    /// The configuration
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// `ficus demo`.
#[derive(Debug, ClapArgs)]
pub(crate) struct DemoArgs {
    /// Rows in the legacy database, about
    #[arg(long, default_value_t = 250_000, value_parser = clap::value_parser!(u64).range(500..=20_000_000))]
    pub(crate) scale: u64,
    /// Seed of the data and of the writer
    #[arg(long, default_value_t = 23)]
    pub(crate) seed: u64,
    /// Leave everything running afterwards, and print the addresses
    #[arg(long)]
    pub(crate) keep: bool,
    /// Address of the API
    #[arg(long, default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
}

/// `ficus consume`.
#[derive(Debug, ClapArgs)]
pub(crate) struct ConsumeArgs {
    /// Stop when the stream has passed this LSN
    #[arg(long, value_name = "LSN")]
    pub(crate) until: Option<String>,
    /// Never break a legacy transaction apart: all its rows become visible at once. Needs the
    /// connector's transaction metadata, and no other consumer in the group
    #[arg(long)]
    pub(crate) atomic: bool,
    /// Serve metrics for Prometheus at http://ADDRESS/metrics; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) metrics: Option<SocketAddr>,
}

/// `ficus stream`.
#[derive(Debug, Subcommand)]
pub(crate) enum StreamCommand {
    /// Wait with tables: their place in Kafka is kept, the others go on
    Pause {
        /// Tables, entities or domains; all when none is named
        names: Vec<String>,
        /// Why (audited)
        #[arg(long)]
        reason: Option<String>,
    },
    /// Go on with tables that were paused, or stopped and are mended
    Resume {
        /// Tables, entities or domains; all when none is named
        names: Vec<String>,
        /// Why (audited)
        #[arg(long)]
        reason: Option<String>,
    },
}

/// `ficus assess`.
#[derive(Debug, ClapArgs)]
pub(crate) struct AssessArgs {
    /// Tables, as Contract or dbo.Contract; all but XPO's own when none is named
    #[arg(value_name = "TABLE")]
    pub(crate) tables: Vec<String>,
    /// Write the assessment as JSON; - for standard output, instead of the report
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the report as one HTML page that needs nothing else
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Save the catalogue too, so that everything else works offline (legacy.catalog)
    #[arg(long, value_name = "FILE")]
    pub(crate) save_catalog: Option<PathBuf>,
    /// Read so many rows of each table at most; references and duplicate keys are not checked then
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) sample: Option<u64>,
    /// Read so many rows a second at most
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rows_per_second: Option<u64>,
    /// Zone of the wall times, such as Asia/Ulaanbaatar: counts the hours that never were
    #[arg(long, value_name = "ZONE")]
    pub(crate) zone: Option<String>,
}

/// `ficus quarantine`.
#[derive(Debug, Subcommand)]
pub(crate) enum QuarantineCommand {
    /// Open entries
    List {
        /// At most this many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
        /// Of this legacy table
        #[arg(long)]
        table: Option<String>,
        /// Put aside by this rule
        #[arg(long)]
        rule: Option<String>,
        /// In this state
        #[arg(long, default_value = "open", value_parser = ["open", "superseded", "retried", "discarded", "any"])]
        state: String,
    },
    /// One entry, whole
    Show {
        /// Its number
        id: i64,
    },
    /// Try open entries again, with today's mapping; what is still bad stays with the new reason
    Retry(RetryArgs),
    /// Close an entry without applying it (audited)
    Discard {
        /// Its number
        id: i64,
        /// Why
        #[arg(long)]
        reason: String,
    },
}

/// `ficus quarantine retry`.
#[derive(Debug, ClapArgs)]
pub(crate) struct RetryArgs {
    /// These entries
    #[arg(required_unless_present_any = ["table", "rule", "all"], conflicts_with_all = ["table", "rule", "all"])]
    pub(crate) ids: Vec<i64>,
    /// All of this legacy table
    #[arg(long)]
    pub(crate) table: Option<String>,
    /// All that this rule put aside
    #[arg(long)]
    pub(crate) rule: Option<String>,
    /// All
    #[arg(long)]
    pub(crate) all: bool,
    /// Read the rows anew from the legacy database, instead of trying the messages that were
    /// stored. (Rows that a copy put aside, and rows with secrets, are read anew anyhow.)
    #[arg(long)]
    pub(crate) reread: bool,
}

/// `ficus mapping`.
#[derive(Debug, Subcommand)]
pub(crate) enum MappingCommand {
    /// Check the mapping files against the legacy catalogue, CDC's capture instances and the target:
    /// every finding with file, line, column and what to do
    Check(MappingCheckArgs),
    /// Show what becomes of one legacy row, column by column; reads only
    Explain(ExplainArgs),
    /// Draft mapping files, migrations and seals from the legacy catalogue, and ask what is unsure
    Scaffold(ScaffoldArgs),
    /// Print the language as a JSON Schema, for editors: `#:schema mapping.schema.json` at a
    /// file's top
    Schema,
}

/// `ficus mapping check`.
#[derive(Debug, ClapArgs)]
pub(crate) struct MappingCheckArgs {
    /// As JSON (docs/mapping-check.md)
    #[arg(long)]
    pub(crate) json: bool,
    /// End with 1 when there are warnings
    #[arg(long)]
    pub(crate) deny_warnings: bool,
    /// Connect to nothing: check against the saved catalogue alone
    #[arg(long)]
    pub(crate) offline: bool,
}

/// `ficus mapping explain`.
#[derive(Debug, ClapArgs)]
#[command(group(clap::ArgGroup::new("which").required(true).args(["key", "id", "row"])))]
pub(crate) struct ExplainArgs {
    /// The entity, such as contracts; with --id, Postgres knows it
    #[arg(required_unless_present = "id")]
    pub(crate) entity: Option<String>,
    /// The row's legacy key: its parts in key order with / between (inside a part ~1 for /, ~0
    /// for ~), such as UB/2024-17 or 17/BASE/2024-01-01
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// An id of the new side: says which legacy key it was minted for, and explains that row
    #[arg(long, value_name = "UUID")]
    pub(crate) id: Option<uuid::Uuid>,
    /// A row as JSON instead of the legacy server's: a change event, or {"Column": "text", …}; - is
    /// standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) row: Option<PathBuf>,
    /// As JSON (docs/mapping-check.md)
    #[arg(long)]
    pub(crate) json: bool,
    /// Connect to nothing: with a saved catalogue and --row
    #[arg(long)]
    pub(crate) offline: bool,
}

/// `ficus mapping scaffold`.
#[derive(Debug, ClapArgs)]
pub(crate) struct ScaffoldArgs {
    /// Legacy tables, such as Contract or dbo.Contract, in any case
    #[arg(value_name = "TABLE", required_unless_present = "all")]
    pub(crate) tables: Vec<String>,
    /// All tables of the catalogue
    #[arg(long, conflicts_with = "tables")]
    pub(crate) all: bool,
    /// What `ficus assess` wrote as JSON: with it there are fewer questions
    #[arg(long, value_name = "FILE")]
    pub(crate) assessment: Option<PathBuf>,
    /// The time zone of the legacy side's wall clock, such as Asia/Ulaanbaatar
    #[arg(long, value_name = "ZONE")]
    pub(crate) zone: Option<String>,
    /// The currency of amounts, such as MNT
    #[arg(long, value_name = "CODE", requires = "digits")]
    pub(crate) currency: Option<String>,
    /// The digits of its minor unit
    #[arg(long, value_name = "N", requires = "currency")]
    pub(crate) digits: Option<u8>,
    /// One domain for all tables; by default each gets the one that its name tells
    #[arg(long, value_name = "NAME")]
    pub(crate) domain: Option<String>,
    /// Write the files below this folder, all or none, instead of printing them
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// Overwrite files that are there
    #[arg(long, requires = "out")]
    pub(crate) force: bool,
}

/// `ficus catalog`.
#[derive(Debug, Subcommand)]
pub(crate) enum CatalogCommand {
    /// Read the legacy catalogue over TDS and save it as JSON
    Save {
        /// The file
        file: PathBuf,
    },
}

/// `ficus decode`.
#[derive(Debug, ClapArgs)]
pub(crate) struct DecodeArgs {
    /// Topics of Kafka (see --kafka), each read up to its end; standard input when none is named
    pub(crate) topics: Vec<String>,
    /// Begin at this offset of each partition; a negative one counts from the end
    #[arg(long, default_value_t = 0, allow_negative_numbers = true, requires = "topics")]
    pub(crate) offset: i64,
    /// At most this many messages
    #[arg(long, requires = "topics")]
    pub(crate) limit: Option<u64>,
    /// Go on at the end, until Ctrl-C
    #[arg(long, requires = "topics")]
    pub(crate) follow: bool,
}

/// `ficus config`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Every key with its value and origin; secrets hidden
    Show,
    /// Check the configuration, the mapping files and every connection
    Check,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// Every help text in one file, so that a change of the command line is seen.
    #[test]
    fn the_help_is_as_agreed() {
        let mut texts = String::new();
        collect_help(Args::command().term_width(100), "ficus", &mut texts);
        insta::assert_snapshot!(texts);
    }

    fn collect_help(mut command: clap::Command, name: &str, texts: &mut String) {
        command = command.bin_name(name);
        texts.push_str(&format!("$ {name} --help\n{}\n", command.render_long_help()));
        for child in command.get_subcommands().filter(|child| child.get_name() != "help") {
            let name = format!("{name} {}", child.get_name());
            collect_help(child.clone().term_width(100), &name, texts);
        }
    }

    #[test]
    fn a_waiver_needs_its_reason_and_the_reason_its_waiver() {
        for line in [["--waive", "seal"], ["--reason", "known"]] {
            let words = ["ficus", "domain", "cutover", "contracts"].into_iter().chain(line);
            assert!(Args::try_parse_from(words).is_err(), "{line:?}");
        }
    }

    #[test]
    fn a_backfill_is_paused_or_copies_and_a_part_is_of_something() {
        let parses = |words: &str| Args::try_parse_from(words.split('|')).is_ok();
        for words in [
            "ficus|backfill",
            "ficus|backfill|contracts|payments|--restart",
            "ficus|backfill|pause|--reason|month's end",
            "ficus|backfill|resume",
            "ficus|backfill|contracts|--where|a = 1",
        ] {
            assert!(parses(words), "{words}");
        }
        for words in [
            "ficus|backfill|--where|a = 1",
            "ficus|backfill|--only-keys|k",
            "ficus|backfill|contracts|--where|a = 1|--restart",
            "ficus|backfill|contracts|--where|a = 1|--only-keys|k",
            "ficus|backfill|--rows-per-second|0",
        ] {
            assert!(!parses(words), "{words}");
        }
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }
}
