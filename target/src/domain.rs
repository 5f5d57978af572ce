//! Domain states (law 12), the gates before a cutover, the cutover and the way back.
//!
//! Which steps are allowed is a table in Postgres, guarded by a trigger that also writes the
//! audit and notifies `ficus_domain` (payload `name:state`). The cutover is one transaction: it
//! takes the domain's row (which waits for batches in flight and keeps new ones out), looks at
//! every gate again, seals, and changes the state.

use std::{fmt, str::FromStr};

use mapping::plan::{EntityPlan, TableId};
use sqlx::{Connection as _, PgConnection, PgPool, Row as _};

use crate::{
    Error, SetSequence, Target, hook,
    seal::{self, ForeignKey},
    sequence,
    statement::Ident,
    unique::{self, UniqueIndex},
};

mod gates;

pub use gates::{Gate, Terms};

/// Who owns a domain, and how far its migration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Nothing has been copied.
    Legacy,
    /// The copy is under way.
    Backfilling,
    /// Everything is copied; the stream keeps it current.
    Following,
    /// Reconcile found no difference.
    Verified,
    /// Postgres owns the domain.
    CutOver,
    /// Handed back to the legacy system.
    RolledBack,
    /// The legacy tables are given up.
    Retired,
}

impl State {
    /// As stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Backfilling => "backfilling",
            Self::Following => "following",
            Self::Verified => "verified",
            Self::CutOver => "cut_over",
            Self::RolledBack => "rolled_back",
            Self::Retired => "retired",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for State {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Ok(match text {
            "legacy" => Self::Legacy,
            "backfilling" => Self::Backfilling,
            "following" => Self::Following,
            "verified" => Self::Verified,
            "cut_over" => Self::CutOver,
            "rolled_back" => Self::RolledBack,
            "retired" => Self::Retired,
            _ => return Err(Error::Corrupt { what: format!("the domain state `{text}`") }),
        })
    }
}

/// A domain as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainState {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: State,
    /// Since when, milliseconds since 1970 UTC.
    pub since_ms: i64,
}

/// Who does something, and why; both are written down.
#[derive(Debug, Clone, Copy)]
pub struct Decision<'a> {
    /// A person or a program.
    pub actor: &'a str,
    /// Why.
    pub reason: &'a str,
}

/// What a cutover did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CutOver {
    /// The gates as they were in its transaction; all green.
    pub gates: Vec<Gate>,
    /// The constraints that were sealed, and those that were not.
    pub foreign_keys: Vec<ForeignKey>,
    /// The unique indexes likewise.
    pub unique_indexes: Vec<UniqueIndex>,
    /// The sequences that go on above the legacy numbers.
    pub sequences: Vec<SetSequence>,
}

impl Target {
    /// All domains by name.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn domains(&self) -> Result<Vec<DomainState>, Error> {
        let rows = sqlx::query(
            "select name, state, (extract(epoch from since) * 1000)::int8 as since_ms
             from ficus.domain order by name",
        )
        .fetch_all(self.pool())
        .await
        .map_err(Error::postgres("listing the domains"))?;
        rows.iter()
            .map(|row| {
                let state = State::from_str(row.get("state"))?;
                Ok(DomainState { name: row.get("name"), state, since_ms: row.get("since_ms") })
            })
            .collect()
    }

    /// A domain's state.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn domain_state(&self, domain: &str) -> Result<State, Error> {
        let mut connection = self.connection().await?;
        state(&mut connection, domain, "").await
    }

    /// Takes a step; the same step again is no error. `cut_over` and `rolled_back` have functions
    /// of their own.
    ///
    /// # Errors
    /// [`Error::Transition`] when the domain is not in `from`, or the step is not allowed.
    pub async fn transition(
        &self,
        domain: &str,
        from: State,
        to: State,
        decision: Decision<'_>,
    ) -> Result<(), Error> {
        if matches!(to, State::CutOver | State::RolledBack) {
            return Err(refused(domain, from, to));
        }
        let mut connection = self.own_connection().await?;
        let mut transaction = begin(&mut connection, decision).await?;
        let now = state(&mut transaction, domain, " for update").await?;
        if now != to {
            if now != from {
                return Err(refused(domain, now, to));
            }
            set(&mut transaction, domain, from, to).await?;
        }
        commit(transaction).await
    }

    /// All gates of a domain as they are now; what a dry run shows.
    ///
    /// # Errors
    /// [`Error::Postgres`], [`Error::NotFound`].
    pub async fn gates(&self, domain: &str, terms: &Terms) -> Result<Vec<Gate>, Error> {
        let mut connection = self.own_connection().await?;
        let foreign_keys = seal::foreign_keys(self, &mut connection, domain).await?;
        let unique_indexes = unique::indexes(self, &mut connection, domain).await?;
        let constraints = (foreign_keys.as_slice(), unique_indexes.as_slice());
        gates::evaluate(self, &mut connection, domain, terms, constraints).await
    }

    /// The foreign keys that a cutover of the domain would seal, with their orphans.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn foreign_keys(&self, domain: &str) -> Result<Vec<ForeignKey>, Error> {
        let mut connection = self.own_connection().await?;
        seal::foreign_keys(self, &mut connection, domain).await
    }

    /// The unique indexes that a cutover of the domain would seal, with their duplicates.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn unique_indexes(&self, domain: &str) -> Result<Vec<UniqueIndex>, Error> {
        let mut connection = self.own_connection().await?;
        unique::indexes(self, &mut connection, domain).await
    }

    /// How many rows of a domain the API made, by table; those that a rollback would leave to be
    /// overwritten.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn rows_of_the_api(&self, domain: &str) -> Result<Vec<(String, u64)>, Error> {
        let mut counts = Vec::new();
        for entity in self.entities_of(domain) {
            let table = Ident::qualified(&entity.target_schema, &entity.target_table);
            let sql = format!("select count(*) from {table} where source_position is null");
            let rows: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
                .fetch_one(self.pool())
                .await
                .map_err(Error::postgres(format!("counting the API's rows of {}", entity.name)))?;
            if rows > 0 {
                counts.push((entity.target_table.clone(), u64::try_from(rows).unwrap_or(0)));
            }
        }
        Ok(counts)
    }

    /// Takes a red gate upon oneself. `subject` is empty for the whole gate; for the gate `seal`
    /// it is `table.column` or `table(column,column)`, and that constraint is then not made.
    ///
    /// # Errors
    /// [`Error::Settings`] without a reason.
    pub async fn waive(
        &self,
        domain: &str,
        gate: &str,
        subject: &str,
        decision: Decision<'_>,
    ) -> Result<(), Error> {
        if decision.reason.trim().is_empty() {
            let why = "a waiver needs a reason".to_owned();
            return Err(Error::Settings { setting: "reason", why });
        }
        sqlx::query(
            "with made as (
               insert into ficus.waiver as w (domain, gate, subject, reason, actor)
               values ($1, $2, $3, $4, $5)
               on conflict (domain, gate, subject) do update
               set reason = excluded.reason, actor = excluded.actor, at = clock_timestamp()
               returning 1)
             insert into ficus.audit (actor, action, subject, detail)
             select $5, 'gate.waive', $1, jsonb_build_object('gate', $2, 'subject', $3, 'reason', $4)
             from made",
        )
        .bind(domain)
        .bind(gate)
        .bind(subject)
        .bind(decision.reason)
        .bind(decision.actor)
        .execute(self.pool())
        .await
        .map_err(Error::postgres(format!("waiving the gate {gate} of {domain}")))?;
        Ok(())
    }

    /// Hands a domain over to Postgres. `owner` is a pool of [`crate::Role::Owner`], because the
    /// seal makes constraints. A domain that is cut over already stays so.
    ///
    /// # Errors
    /// [`Error::Gates`] with the red gates; nothing is changed then.
    pub async fn cut_over(
        &self,
        owner: &PgPool,
        domain: &str,
        terms: &Terms,
        decision: Decision<'_>,
    ) -> Result<CutOver, Error> {
        let mut connection = owner_connection(owner).await?;
        let mut transaction = begin(&mut connection, decision).await?;
        let now = state(&mut transaction, domain, " for update").await?;
        hook::point("cutover.freeze");
        if now == State::CutOver {
            return Ok(CutOver::default());
        }
        let foreign_keys = seal::foreign_keys(self, &mut transaction, domain).await?;
        let unique_indexes = unique::indexes(self, &mut transaction, domain).await?;
        let constraints = (foreign_keys.as_slice(), unique_indexes.as_slice());
        let gates = gates::evaluate(self, &mut transaction, domain, terms, constraints).await?;
        let red: Vec<String> =
            gates.iter().filter(|gate| !gate.green).map(|gate| gate.name.clone()).collect();
        if !red.is_empty() {
            return Err(Error::Gates { domain: domain.to_owned(), red });
        }
        hook::point("cutover.verify");
        seal::seal(&mut transaction, domain, &foreign_keys, decision.actor).await?;
        unique::seal(&mut transaction, &unique_indexes).await?;
        let sequences = sequence::cutover::set(self, &mut transaction, domain).await?;
        set(&mut transaction, domain, now, State::CutOver).await?;
        hook::point("cutover.switch");
        commit(transaction).await?;
        Ok(CutOver { gates, foreign_keys, unique_indexes, sequences })
    }

    /// Hands a domain back: its constraints go, and rows that the API made can be written by the
    /// one way in again. The stream passed the domain by meanwhile, so the next step is a copy.
    /// A copy brings no deletes: rows that were deleted in the legacy database while the domain
    /// was cut over stay, and reconcile reports each of them as `extra`.
    ///
    /// # Errors
    /// [`Error::Transition`] when it is not cut over.
    pub async fn roll_back(
        &self,
        owner: &PgPool,
        domain: &str,
        decision: Decision<'_>,
    ) -> Result<(), Error> {
        let mut connection = owner_connection(owner).await?;
        let mut transaction = begin(&mut connection, decision).await?;
        let now = state(&mut transaction, domain, " for update").await?;
        if now == State::RolledBack {
            return commit(transaction).await;
        }
        if now != State::CutOver {
            return Err(refused(domain, now, State::RolledBack));
        }
        seal::unseal(self, &mut transaction, domain).await?;
        unique::unseal(self, &mut transaction, domain).await?;
        seal::reclaim(self, &mut transaction, domain).await?;
        set(&mut transaction, domain, now, State::RolledBack).await?;
        hook::point("cutover.reverse");
        commit(transaction).await
    }

    /// The entities of a domain.
    pub(crate) fn entities_of(&self, domain: &str) -> impl Iterator<Item = &EntityPlan> {
        self.plan().entities.iter().filter(move |entity| entity.domain == domain)
    }

    /// The names of the legacy tables that feed a domain.
    pub(crate) fn tables_of(&self, domain: &str) -> Result<Vec<String>, Error> {
        let mut tables: Vec<TableId> = self
            .entities_of(domain)
            .flat_map(|entity| entity.parts.iter().map(|part| part.table))
            .collect();
        tables.sort_unstable();
        tables.dedup();
        tables.into_iter().map(|table| self.table_name(table)).collect()
    }
}

fn refused(domain: &str, from: State, to: State) -> Error {
    Error::Transition { domain: domain.to_owned(), from: from.to_string(), to: to.to_string() }
}

/// Not given back to the pool: a call that is cancelled must not leave its transaction behind.
async fn owner_connection(owner: &PgPool) -> Result<PgConnection, Error> {
    let connection = owner.acquire().await;
    Ok(connection.map_err(Error::postgres("connecting as the owner"))?.detach())
}

type Transaction<'c> = sqlx::Transaction<'c, sqlx::Postgres>;

async fn begin<'c>(
    connection: &'c mut PgConnection,
    decision: Decision<'_>,
) -> Result<Transaction<'c>, Error> {
    let beginning = || Error::postgres("beginning a change of a domain");
    let mut transaction = connection.begin().await.map_err(beginning())?;
    sqlx::query("select set_config('ficus.actor', $1, true), set_config('ficus.reason', $2, true)")
        .bind(decision.actor)
        .bind(decision.reason)
        .execute(&mut *transaction)
        .await
        .map_err(beginning())?;
    Ok(transaction)
}

async fn commit(transaction: Transaction<'_>) -> Result<(), Error> {
    transaction.commit().await.map_err(Error::postgres("committing a change of a domain"))
}

async fn state(
    connection: &mut PgConnection,
    domain: &str,
    lock: &'static str,
) -> Result<State, Error> {
    let sql = format!("select state from ficus.domain where name = $1{lock}");
    let state: Option<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
        .bind(domain)
        .fetch_optional(connection)
        .await
        .map_err(Error::postgres(format!("asking for the state of {domain}")))?;
    match state {
        Some(state) => state.parse(),
        None => Err(Error::NotFound { what: format!("domain {domain}") }),
    }
}

async fn set(
    connection: &mut PgConnection,
    domain: &str,
    from: State,
    to: State,
) -> Result<(), Error> {
    let result = sqlx::query("update ficus.domain set state = $2 where name = $1")
        .bind(domain)
        .bind(to.as_str())
        .execute(connection)
        .await
        .map_err(Error::postgres(format!("changing the state of {domain}")));
    match result {
        Ok(_) => Ok(()),
        Err(error) if error.sqlstate() == Some("55000") => Err(refused(domain, from, to)),
        Err(error) => Err(error),
    }
}
