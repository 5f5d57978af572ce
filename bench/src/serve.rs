//! `GET /v2/contracts/{id}` and a list of 50, under row level security, at 64 connections: the API,
//! a small Node server that does the same, and the same statements by pgbench.
//!
//! Each server is a process of its own with 16 connections to Postgres; the load comes from this
//! process. All of them share the cores, pgbench too, so the ratios are what counts.

mod child;
mod load;
mod pgbench;

use std::time::Duration;

use anyhow::Context as _;
use sqlx::PgPool;
use target::Role;
use uuid::Uuid;

use self::{
    child::Child,
    load::Load,
    pgbench::{Pgbench, Trips},
};
use crate::{
    args::Args,
    cost::{Meter, Servers},
    figure::Figure,
    place::{Place, Spot},
};

pub(crate) use child::serve;

/// HTTP connections, and pgbench's clients.
pub(crate) const CONNECTIONS: u32 = 64;
/// Connections of each server to Postgres.
pub(crate) const POOL: u32 = 16;
const OWNERS: i32 = 100;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    One,
    List,
}

impl Case {
    fn name(self) -> &'static str {
        match self {
            Self::One => "a contract by id",
            Self::List => "a list of 50 contracts",
        }
    }

    fn paths(self, ids: &[Uuid]) -> Vec<String> {
        match self {
            Self::One => ids.iter().map(|id| format!("/v2/contracts/{id}")).collect(),
            Self::List => vec!["/v2/contracts?limit=50".to_owned()],
        }
    }
}

/// A property owner's session, and his contracts.
pub(crate) struct Owner {
    pub(crate) token: String,
    pub(crate) ids: Vec<Uuid>,
}

pub(crate) async fn measure(place: &Place, args: &Args) -> anyhow::Result<Vec<Figure>> {
    let spot = place.spot().await?;
    let url = place.url(&spot);
    let owner = fill(&spot, args).await?;
    let seconds = Duration::from_secs(if args.quick { 3 } else { 10 });
    let mut figures = Vec::new();
    let pgbench = Pgbench::find();
    for case in [Case::One, Case::List] {
        let mut limits = Vec::new();
        if let Some(pgbench) = &pgbench {
            for trips in [Trips::Each, Trips::One] {
                limits.push((trips.name(), pgbench.run(&url, &owner, case, trips, seconds)?));
            }
        }
        for mut server in
            [Some(Child::api(&url).await?), Child::peer(&url).await?].into_iter().flatten()
        {
            let mut figure =
                Figure::new("serve", format!("{}: {}", server.name, case.name()), "requests");
            let load = Load::new(server.address, &owner.token, case.paths(&owner.ids));
            load.run(seconds / 5).await.context("warming up")?;
            let mut latencies = Vec::new();
            for _ in 0..args.runs() {
                let meter =
                    Meter::start(Servers { http: Some(server.process()?), ..place.servers });
                let answers = load.run(seconds).await?;
                let (rate, cost) = meter.stop(answers.count());
                figure.add(rate, cost);
                latencies.push(answers.latency());
            }
            let memory = server.memory_peak()?;
            let latency = latencies.pop().unwrap_or_default();
            figure = figure.note(format!("{latency}; its memory {} MiB at most", memory >> 20));
            for (name, rate) in &limits {
                figure = figure.limit(*name, *rate);
            }
            figures.push(figure);
            server.stop().await?;
        }
    }
    if pgbench.is_none() {
        figures.push(Figure::skipped("serve", "pgbench", "it is not installed"));
    }
    if !Child::has_peer() {
        let why = "run `npm ci` in bench/peers/api, with Node 20";
        figures.push(Figure::skipped("serve", "the Node peer", why));
    }
    place.leave(spot).await?;
    Ok(figures)
}

/// Owners with a property of twenty spaces, and contracts on them.
async fn fill(spot: &Spot, args: &Args) -> anyhow::Result<Owner> {
    let each = i32::try_from(args.rows() / 1_000)?.clamp(60, 2_000);
    sqlx::raw_sql(include_str!("serve/data.sql")).execute(&spot.admin).await?;
    sqlx::query("call made.rows($1, $2)").bind(OWNERS).bind(each).execute(&spot.admin).await?;
    sqlx::query("vacuum analyze").execute(&spot.admin).await?;
    let (owner_id, user_id): (Uuid, Uuid) =
        sqlx::query_as("select made.id(1, 1, 1), made.id(13, 1, 1)").fetch_one(&spot.admin).await?;
    let ids = sqlx::query_scalar(
        "select made.id(7, 1, n) from generate_series(1, $1) as n order by random()",
    );
    let ids = ids.bind(each).fetch_all(&spot.admin).await?;
    let token = session(&spot.admin, owner_id, user_id).await?;
    Ok(Owner { token, ids })
}

async fn session(admin: &PgPool, owner_id: Uuid, user_id: Uuid) -> anyhow::Result<String> {
    let owner =
        api::identity::Identity { user_id, owner_id: Some(owner_id), role: "owner".to_owned() };
    Ok(api::identity::open_session(admin, &owner, Duration::from_secs(86_400)).await?)
}

/// As the API connects.
pub(crate) async fn api_pool(url: &str) -> anyhow::Result<PgPool> {
    let url = secrecy::SecretString::from(url.to_owned());
    let settings = target::Settings { url, role: Role::Api, set_role: true, max_connections: POOL };
    Ok(target::connect(&settings).await?)
}
