//! What is typed for serving, and for handing domains over.

use std::net::SocketAddr;

use clap::{Args as ClapArgs, Subcommand};

/// `ficus serve`.
#[derive(Debug, ClapArgs)]
pub(crate) struct ServeArgs {
    /// Address to listen on; port 0 takes a free one
    #[arg(long)]
    pub(crate) listen: Option<SocketAddr>,
    /// Print the OpenAPI document and end
    #[arg(long)]
    pub(crate) openapi: bool,
}

/// `ficus routes`.
#[derive(Debug, ClapArgs)]
pub(crate) struct RoutesArgs {
    /// A running server, such as http://127.0.0.1:8080; it also counts requests
    pub(crate) url: Option<String>,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `ficus domain`.
#[derive(Debug, Subcommand)]
pub(crate) enum DomainCommand {
    /// All domains and their states
    List,
    /// The gates of a cutover, each green or red
    Plan {
        /// The domain
        domain: String,
    },
    /// Hand a domain over to the new side, if every gate is green
    Cutover {
        /// The domain
        domain: String,
        /// A red gate's entry to accept, by its name; may be repeated
        #[arg(long, value_name = "NAME", requires = "reason")]
        waive: Vec<String>,
        /// Why the waived entries are acceptable (audited)
        #[arg(long, requires = "waive")]
        reason: Option<String>,
        /// Only list every gate and every action (a marker is put into the legacy database)
        #[arg(long)]
        dry_run: bool,
    },
    /// Give a domain back to the legacy side
    Rollback {
        /// The domain
        domain: String,
        /// Only list every action
        #[arg(long)]
        dry_run: bool,
    },
}
