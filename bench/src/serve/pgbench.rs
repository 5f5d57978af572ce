//! The same statements without HTTP, by pgbench.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use uuid::Uuid;

use super::{CONNECTIONS, Case, Owner};

pub(crate) struct Pgbench(PathBuf);

/// How the statements go to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trips {
    /// Each waits for the answer to the one before: begin, identity, query, commit.
    Each,
    /// All at once, in a pipeline.
    One,
}

impl Trips {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Each => "pgbench, four round trips",
            Self::One => "pgbench, one round trip",
        }
    }
}

/// As the API asks in a transaction (`api/src/identity.rs`, `api/src/domains/view.rs`); but pgbench
/// takes a colon for one of its variables, also in quotes.
const COLUMNS: &str = "id, company_no, contract_no, tenant_id, start_date::text, end_date::text, \
     status, currency, monthly_total, vat_rate, version, \
     to_char(signed_on at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24' || chr(58) || 'MI' || chr(58) || \
     'SS.MS\"Z\"') as signed_on";

impl Pgbench {
    /// The one in the path, or Debian's place of it.
    pub(crate) fn find() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path)
            .map(|folder| folder.join("pgbench"))
            .find(|file| file.is_file())
            .map(Self)
    }

    /// Transactions per second.
    pub(crate) fn run(
        &self,
        url: &str,
        owner: &Owner,
        case: Case,
        trips: Trips,
        time: Duration,
    ) -> anyhow::Result<f64> {
        let folder = std::env::temp_dir().join(format!("ficus-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let script = folder.join("script.sql");
        std::fs::write(&script, text(owner, case, trips))?;
        let clients = CONNECTIONS.to_string();
        let seconds = time.as_secs().max(1).to_string();
        let output = Command::new(&self.0)
            .args(["-n", "-M", "prepared", "-j", "2", "-c", &clients, "-T", &seconds, "-f"])
            .arg(&script)
            .arg(url)
            .env("PGOPTIONS", "-c role=ficus_api")
            .stdin(Stdio::null())
            .output()
            .context("running pgbench")?;
        std::fs::remove_dir_all(&folder)?;
        let told = String::from_utf8_lossy(&output.stdout);
        let wrong = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}", wrong.lines().next().unwrap_or("pgbench failed"));
        let line = told.lines().find_map(|line| line.strip_prefix("tps = "));
        let tps = line.and_then(|line| line.split(' ').next()?.parse().ok());
        tps.with_context(|| format!("pgbench says {told}"))
    }
}

fn text(owner: &Owner, case: Case, trips: Trips) -> String {
    let hash = api::identity::hash(&owner.token);
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let identify = format!(
        "select user_id, owner_id, role, set_config('app.user_id', user_id::text, true), \
         set_config('app.owner_id', coalesce(owner_id::text, ''), true), \
         set_config('app.role', role, true) from session_by_token_hash('\\x{hash}'::bytea);"
    );
    let query = match case {
        Case::One => {
            format!("select {COLUMNS}, terms from contracts where id = made.id(7, 1, :n);")
        }
        Case::List => format!(
            "select {COLUMNS}, null::text as terms from (select distinct contract_id \
             from access.own_contracts where contract_id > '{nobody}' order by contract_id) as own \
             join contracts on id = contract_id where id > '{nobody}' order by id limit 51;",
            nobody = Uuid::nil()
        ),
    };
    let n = format!("\\set n random(1, {})", owner.ids.len());
    let (begin, end) = match trips {
        Trips::Each => ("", ""),
        Trips::One => ("\\startpipeline\n", "\n\\endpipeline"),
    };
    format!("{n}\n{begin}begin read only;\n{identify}\n{query}\ncommit;{end}\n")
}
