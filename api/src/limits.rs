//! How often somebody may ask.
//!
//! A bucket for each rule and each caller, by the generic cell rate algorithm: one time stamp,
//! moved by one statement. Buckets are in Postgres, or in Redis where one is configured; when
//! Redis does not answer, Postgres counts. Who fills a bucket contends with himself alone.
//!
//! Signing in is counted request by request. For all else a process takes permits by the dozen
//! and hands them out itself, and it remembers a refusal until it ends: so a usual request costs
//! no round trip, and a flood costs less than what it asks for.

use std::{net::IpAddr, sync::Arc, time::Duration};

use secrecy::SecretString;
use sha2::{Digest, Sha256};
use sqlx::PgPool;

use self::{leases::Leases, postgres::Buckets, redis::Redis};
use crate::Error;

mod address;
mod guard;
mod leases;
mod postgres;
mod redis;

pub(crate) use address::Address;
pub use address::{Proxies, ProxiesError};
pub(crate) use guard::guard;
pub(crate) use postgres::sweep;

/// So many in a period, all at once if need be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// How many; 0 for no limit.
    pub number: u32,
    /// In which time.
    pub period: Duration,
}

impl Rule {
    /// So many in a minute.
    #[must_use]
    pub const fn per_minute(number: u32) -> Self {
        Self { number, period: Duration::from_secs(60) }
    }

    /// So many in an hour.
    #[must_use]
    pub const fn per_hour(number: u32) -> Self {
        Self { number, period: Duration::from_secs(60 * 60) }
    }

    /// The time that one request takes out of a bucket.
    fn share(self) -> Duration {
        self.period / self.number.max(1)
    }
}

/// The rules of one kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// For one caller: a session, a name, a number.
    pub identity: Rule,
    /// For one address.
    pub address: Rule,
}

impl Pair {
    const NONE: Self = Self { identity: Rule::per_minute(0), address: Rule::per_minute(0) };
}

/// What an operator may set.
#[derive(Clone)]
pub struct Settings {
    /// Any request.
    pub requests: Pair,
    /// Signing in with a password or a code, and refreshing.
    pub sign_in: Pair,
    /// Asking for a code.
    pub codes: Pair,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Proxies,
    /// `redis://…`; without it the buckets are in Postgres.
    pub redis_url: Option<SecretString>,
}

impl Settings {
    /// Nothing is limited.
    #[must_use]
    pub fn unlimited() -> Self {
        Self {
            requests: Pair::NONE,
            sign_in: Pair::NONE,
            codes: Pair::NONE,
            trusted_proxies: Proxies::default(),
            redis_url: None,
        }
    }
}

/// A kind of request that has its own buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Request,
    SignIn,
    Refresh,
    Code,
}

/// Whose bucket.
#[derive(Clone, Copy)]
pub(crate) enum Who<'a> {
    /// A caller, by what stands for him.
    Identity(&'a [u8]),
    /// An address.
    Address(IpAddr),
}

/// A bucket's name: a digest, so that no address and no name lies about.
type Key = [u8; 16];

/// Whether a request may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Go,
    Wait(Duration),
}

/// The limits of this process.
#[derive(Clone)]
pub(crate) struct Limits(Arc<Inner>);

struct Inner {
    settings: Settings,
    buckets: Buckets,
    redis: Option<Redis>,
    leases: Leases,
}

impl Limits {
    /// # Errors
    /// A Redis URL that is none.
    pub(crate) fn new(settings: Settings, pool: PgPool) -> Result<Self, RedisUrlError> {
        let redis = settings.redis_url.as_ref().map(Redis::new).transpose()?;
        let buckets = Buckets::new(pool);
        Ok(Self(Arc::new(Inner { settings, buckets, redis, leases: Leases::default() })))
    }

    pub(crate) fn proxies(&self) -> &Proxies {
        &self.0.settings.trusted_proxies
    }

    /// Counts one request, exactly.
    ///
    /// # Errors
    /// [`Error::TooMany`], or a failure of the database.
    pub(crate) async fn count(&self, kind: Kind, who: Who<'_>) -> Result<(), Error> {
        let rule = self.rule(kind, who);
        if rule.number == 0 {
            return Ok(());
        }
        refuse(self.take(key(kind, who), rule, 1).await?)
    }

    /// Counts one request out of those that this process has taken at once.
    ///
    /// # Errors
    /// [`Error::TooMany`], or a failure of the database.
    pub(crate) async fn count_leased(&self, kind: Kind, who: Who<'_>) -> Result<(), Error> {
        let rule = self.rule(kind, who);
        if rule.number == 0 {
            return Ok(());
        }
        let key = key(kind, who);
        if let Some(answer) = self.0.leases.take(key) {
            return refuse(answer);
        }
        // A twentieth: what a process keeps and does not use is not missed.
        let wanted = (rule.number / 20).clamp(1, 64);
        let mut answer = self.take(key, rule, wanted).await?;
        let mut taken = wanted;
        if answer != Answer::Go && wanted > 1 {
            answer = self.take(key, rule, 1).await?;
            taken = 1;
        }
        self.0.leases.put(key, answer, taken - 1);
        refuse(answer)
    }

    fn rule(&self, kind: Kind, who: Who<'_>) -> Rule {
        let pair = match kind {
            Kind::Request => self.0.settings.requests,
            Kind::SignIn | Kind::Refresh => self.0.settings.sign_in,
            Kind::Code => self.0.settings.codes,
        };
        match who {
            Who::Identity(_) => pair.identity,
            Who::Address(_) => pair.address,
        }
    }

    async fn take(&self, key: Key, rule: Rule, number: u32) -> Result<Answer, Error> {
        if let Some(redis) = &self.0.redis
            && let Some(answer) = redis.take(key, rule, number).await
        {
            return Ok(answer);
        }
        self.0.buckets.take(key, rule, number).await
    }
}

fn refuse(answer: Answer) -> Result<(), Error> {
    match answer {
        Answer::Go => Ok(()),
        Answer::Wait(time) => {
            let retry_after_seconds =
                time.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX);
            Err(Error::TooMany { retry_after_seconds: retry_after_seconds.max(1) })
        }
    }
}

fn key(kind: Kind, who: Who<'_>) -> Key {
    let kind = match kind {
        Kind::Request => "request",
        Kind::SignIn => "sign-in",
        Kind::Refresh => "refresh",
        Kind::Code => "code",
    };
    let mut digest = Sha256::new_with_prefix(kind);
    match who {
        Who::Identity(identity) => digest = digest.chain_update(b":name:").chain_update(identity),
        // A household or a server has a /64 of IPv6 addresses, all of which are his.
        Who::Address(IpAddr::V6(address)) => {
            let [network @ .., _, _, _, _, _, _, _, _] = address.octets();
            digest = digest.chain_update(b":net6:").chain_update(network);
        }
        Who::Address(IpAddr::V4(address)) => {
            digest = digest.chain_update(b":net4:").chain_update(address.octets());
        }
    }
    let [first @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _]: [u8; 32] =
        digest.finalize().into();
    first
}

/// A Redis URL that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("redis.url is not a usable address; write it as redis://user:password@host:6379/0")]
pub struct RedisUrlError;
