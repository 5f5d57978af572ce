//! Which route belongs to which domain, and who serves it now.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::http::Method;
use serde::Serialize;
use sqlx::PgPool;
use target::domain::State;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use self::states::States;
use crate::sessions;

mod path;
mod states;

/// A route that this API can serve.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// The method.
    pub method: &'static str,
    /// The path as axum spells it.
    pub path: &'static str,
    /// The domain that it is cut over with.
    pub domain: &'static str,
}

/// Everything below a first segment after `/v2` belongs to a domain, also the routes that we do
/// not have: once the domain is ours, the legacy system must not see them any more.
#[derive(Debug, Clone, Copy)]
pub struct Territory {
    /// The segment.
    pub segment: &'static str,
    /// The domain.
    pub domain: &'static str,
}

/// A line of the live manifest.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManifestLine {
    method: &'static str,
    path: &'static str,
    domain: &'static str,
    state: &'static str,
    served_by: &'static str,
    requests_here: u64,
    requests_legacy: u64,
}

/// Who serves a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// We.
    Here,
    /// The legacy application.
    Legacy,
    /// It is a write, and who owns the domain has not been heard for a while: nobody.
    Unsure,
}

/// Where a request belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The domain.
    pub domain: &'static str,
    /// Its route's place in the list, if it is one of ours.
    pub(crate) route: Option<usize>,
}

#[derive(Debug, Default)]
struct Served {
    here: AtomicU64,
    legacy: AtomicU64,
}

/// The states of all domains, kept current, and the count of requests by route and side.
#[derive(Debug, Clone)]
pub struct Routes {
    routes: &'static [Route],
    territories: &'static [Territory],
    states: States,
    served: Arc<[Served]>,
}

impl Routes {
    /// Reads the states once, and keeps them current until `stop`.
    ///
    /// # Errors
    /// A failure of the first read.
    pub async fn follow(
        pool: &PgPool,
        routes: &'static [Route],
        territories: &'static [Territory],
        stop: CancellationToken,
    ) -> Result<Self, sqlx::Error> {
        let states = States::follow(pool, stop).await?;
        let served = routes.iter().map(|_| Served::default()).collect();
        Ok(Self { routes, territories, states, served })
    }

    /// Where a request belongs, if it is to a domain that we know of. A path that can be read in
    /// several ways belongs to a domain of ours when it does so in one of them.
    #[must_use]
    pub fn place(&self, method: &Method, path: &str) -> Option<Place> {
        let readings = path::readings(path);
        let places = || readings.iter().filter_map(|segments| self.place_of(method, segments));
        places().find(|place| is_ours(self.state(place.domain))).or_else(|| places().next())
    }

    fn place_of(&self, method: &Method, segments: &[String]) -> Option<Place> {
        let method = if method == Method::HEAD { "GET" } else { method.as_str() };
        let covering = || {
            let routes = self.routes.iter().enumerate();
            routes.filter(|(_, route)| path::covers(route.path, segments))
        };
        if let Some((_, route)) = covering().next() {
            let exact = covering().find(|(_, route)| route.method == method);
            return Some(Place { domain: route.domain, route: exact.map(|(at, _)| at) });
        }
        if segments.first()? == "auth" {
            return Some(Place { domain: sessions::DOMAIN, route: None });
        }
        let (version, segment) = (segments.first()?, segments.get(1)?);
        let mut territories = self.territories.iter().filter(|_| version == "v2");
        let territory = territories.find(|territory| territory.segment == segment)?;
        Some(Place { domain: territory.domain, route: None })
    }

    /// Sessions are ours from the first day, and no domain of the engine's.
    fn state(&self, domain: &str) -> State {
        if domain == sessions::DOMAIN { State::CutOver } else { self.states.of(domain) }
    }

    /// Who serves it now; counted.
    #[must_use]
    pub fn side(&self, method: &Method, place: Place) -> Side {
        let state = self.state(place.domain);
        let side = if is_ours(state) {
            Side::Here
        } else if may_become_ours(state) && !method.is_safe() && !self.states.is_fresh() {
            Side::Unsure
        } else {
            Side::Legacy
        };
        if let Some(served) = place.route.and_then(|route| self.served.get(route)) {
            match side {
                Side::Here => add(&served.here),
                Side::Legacy => add(&served.legacy),
                Side::Unsure => {}
            }
        }
        side
    }

    /// The domains of the routes with their states.
    pub(crate) fn domain_states(&self) -> BTreeMap<&'static str, State> {
        let domains = self.routes.iter().map(|route| route.domain);
        domains.map(|domain| (domain, self.states.of(domain))).collect()
    }

    /// The manifest as it is now.
    #[must_use]
    pub fn manifest(&self) -> Vec<ManifestLine> {
        let line = |(route, served): (&Route, &Served)| {
            let state = self.state(route.domain);
            ManifestLine {
                method: route.method,
                path: route.path,
                domain: route.domain,
                state: state.as_str(),
                served_by: if is_ours(state) { "ficus" } else { "legacy" },
                requests_here: served.here.load(Ordering::Relaxed),
                requests_legacy: served.legacy.load(Ordering::Relaxed),
            }
        };
        self.routes.iter().zip(self.served.iter()).map(line).collect()
    }
}

fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

/// Whether Postgres owns a domain in this state.
#[must_use]
pub const fn is_ours(state: State) -> bool {
    matches!(state, State::CutOver | State::Retired)
}

/// Whether a cutover can come at any moment.
const fn may_become_ours(state: State) -> bool {
    matches!(state, State::Following | State::Verified)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn routes(age_seconds: u64, state: State) -> Routes {
        let states = States::read_before(Duration::from_secs(age_seconds), &[("a", state)]);
        let routes = &[Route { method: "GET", path: "/v2/as/{id}", domain: "a" }];
        let territories = &[Territory { segment: "as", domain: "a" }];
        Routes { routes, territories, states, served: Arc::new([Served::default()]) }
    }

    #[test]
    fn no_write_goes_out_on_old_knowledge() {
        let cases = [
            (0, State::Verified, Method::POST, Side::Legacy),
            (60, State::Verified, Method::POST, Side::Unsure),
            (60, State::Following, Method::PUT, Side::Unsure),
            (60, State::Verified, Method::GET, Side::Legacy),
            (60, State::Legacy, Method::POST, Side::Legacy),
            (60, State::CutOver, Method::POST, Side::Here),
            (60, State::Retired, Method::GET, Side::Here),
        ];
        for (age, state, method, expected) in cases {
            let routes = routes(age, state);
            let place = routes.place(&method, "/v2/as/1").expect("a place");
            assert_eq!(routes.side(&method, place), expected, "{method} {state} after {age} s");
        }
    }

    #[test]
    fn a_territory_is_more_than_its_routes() {
        let routes = routes(0, State::CutOver);
        let place = |path| routes.place(&Method::POST, path).map(|place| place.domain);
        for path in ["/v2/as", "/v2/as/1/unknown", "/V2/%41s/1", "/v2/as//..", "/v2/as/..."] {
            assert_eq!(place(path), Some("a"), "{path}");
        }
        for path in ["/auth/token", "/AUTH/nothing", "/auth"] {
            assert_eq!(place(path), Some(sessions::DOMAIN), "{path}");
        }
        for path in ["/v2/ass", "/v1/as", "/as", "/authors", "/v2", "/"] {
            assert_eq!(place(path), None, "{path}");
        }
    }
}
