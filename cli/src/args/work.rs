//! `ficus work`.

use std::net::SocketAddr;

use clap::{Args as ClapArgs, Subcommand};
use uuid::Uuid;

/// `ficus work`.
#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct WorkArgs {
    /// Look at events, or try them again
    #[command(subcommand)]
    pub(crate) action: Option<WorkAction>,
    /// Handle what is due, then end
    #[arg(long)]
    pub(crate) once: bool,
    /// Serve metrics for Prometheus at http://ADDRESS/metrics; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) metrics: Option<SocketAddr>,
}

/// What is done about events.
#[derive(Debug, Subcommand)]
pub(crate) enum WorkAction {
    /// Events of the outbox, oldest first
    List {
        /// In this state
        #[arg(long, default_value = "dead", value_parser = ["pending", "done", "dead", "any"])]
        state: String,
        /// Of this topic
        #[arg(long)]
        topic: Option<String>,
        /// At most this many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
    },
    /// One event, and each attempt at it
    Show {
        /// Its id
        id: Uuid,
        /// The payload too, which may hold personal data
        #[arg(long)]
        payload: bool,
    },
    /// Try events again that are dead or done, under the same ids (written down in their history)
    Replay {
        /// These
        #[arg(required_unless_present = "topic", conflicts_with = "topic")]
        ids: Vec<Uuid>,
        /// All dead ones of this topic
        #[arg(long)]
        topic: Option<String>,
    },
    /// Give a pending event up, so that those behind it go on (written down in its history)
    Discard {
        /// Its id
        id: Uuid,
        /// Why
        #[arg(long)]
        reason: String,
    },
}
