//! Buckets in Redis: the same algorithm as in Postgres, as a script.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use redis::{
    Client, RedisError, Script,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::OnceCell;

use super::{Answer, Key, RedisUrlError, Rule};

/// A limit that is slower than the request is none.
const ANSWER_LIMIT: Duration = Duration::from_millis(250);

/// After a failure Redis is let alone for so long: one that hangs would hold every request up until
/// the limit above.
const PAUSE: Duration = Duration::from_secs(1);

/// Redis's own clock, so that all processes agree; numbers of Lua are exact up to 2^53
/// microseconds. The answer is how long to wait, in microseconds.
const SCRIPT: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local cost, room = tonumber(ARGV[1]), tonumber(ARGV[2])
local tat = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now) + cost
if tat > now + room then
    return tat - now - room
end
redis.call('SET', KEYS[1], string.format('%.0f', tat), 'PX', math.ceil((tat - now) / 1000))
return 0
";

pub(super) struct Redis {
    client: Client,
    connection: OnceCell<ConnectionManager>,
    script: Script,
    failures: AtomicU64,
    asked_again: Mutex<Option<Instant>>,
}

impl Redis {
    pub(super) fn new(url: &SecretString) -> Result<Self, RedisUrlError> {
        // The library's own error may quote the URL with its password.
        let client = Client::open(url.expose_secret()).map_err(|_| RedisUrlError)?;
        Ok(Self {
            client,
            connection: OnceCell::new(),
            script: Script::new(SCRIPT),
            failures: AtomicU64::new(0),
            asked_again: Mutex::new(None),
        })
    }

    /// `None` when Redis does not answer in time: then Postgres is asked.
    pub(super) async fn take(&self, key: Key, rule: Rule, number: u32) -> Option<Answer> {
        if self.is_paused() {
            return None;
        }
        let asked = tokio::time::timeout(ANSWER_LIMIT, self.ask(key, rule, number)).await;
        let why = match asked {
            Ok(Ok(wait)) => {
                if self.failures.swap(0, Ordering::Relaxed) > 0 {
                    *self.pause() = None;
                    tracing::info!("Redis answers again");
                }
                return Some(match wait {
                    0 => Answer::Go,
                    wait => Answer::Wait(Duration::from_micros(wait)),
                });
            }
            Ok(Err(error)) => error.category().to_owned(),
            Err(_) => "no answer in time".to_owned(),
        };
        *self.pause() = Some(Instant::now() + PAUSE);
        // The first one of a row, and then about every minute.
        if self.failures.fetch_add(1, Ordering::Relaxed).is_multiple_of(60) {
            tracing::warn!(error = why, "Redis does not answer; limits are counted in Postgres");
        }
        None
    }

    fn pause(&self) -> MutexGuard<'_, Option<Instant>> {
        self.asked_again.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever comes first after the pause asks; until he has heard, the others do without.
    fn is_paused(&self) -> bool {
        let mut pause = self.pause();
        let now = Instant::now();
        match *pause {
            Some(until) if now < until => true,
            Some(_) => {
                *pause = Some(now + PAUSE);
                false
            }
            None => false,
        }
    }

    async fn ask(&self, key: Key, rule: Rule, number: u32) -> Result<u64, RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_connection_timeout(Some(ANSWER_LIMIT))
            .set_response_timeout(Some(ANSWER_LIMIT));
        let connect = || ConnectionManager::new_with_config(self.client.clone(), config);
        let mut connection = self.connection.get_or_try_init(connect).await?.clone();
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let mut call = self.script.prepare_invoke();
        call.key([b"ficus:limit:".as_slice(), &key].concat());
        call.arg(micros(rule.share() * number)).arg(micros(rule.period));
        call.invoke_async(&mut connection).await
    }
}
