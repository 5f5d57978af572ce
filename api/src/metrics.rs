//! What the server counts, for Prometheus: requests by route, status and side, how long they
//! took, the pool, the domains' states. All names are in docs/serve.md.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::http::StatusCode;
use show::metrics::{Page, resident_bytes};
use sqlx::PgPool;

use crate::routes::{Route, Routes};

/// Upper ends of the histogram's buckets, in microseconds, with their names in seconds.
const BUCKETS: [(u64, &str); 13] = [
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (5_000_000, "5"),
    (10_000_000, "10"),
];

/// Statuses that are counted by themselves; all others are one, `other`.
const STATUSES: [u16; 27] = [
    101, 200, 201, 202, 204, 206, 301, 302, 303, 304, 307, 400, 401, 403, 404, 405, 408, 409, 410,
    412, 413, 415, 422, 429, 500, 502, 503,
];

/// Who gave an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answered {
    /// We, also when we only said why not.
    Here,
    /// The legacy application.
    Legacy,
}

/// Counts of all routes; clones count together.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    routes: &'static [Route],
    /// By route, and at last what is no route of ours; by side.
    counts: Arc<[[Count; 2]]>,
}

#[derive(Debug, Default)]
struct Count {
    statuses: [AtomicU64; STATUSES.len() + 1],
    buckets: [AtomicU64; BUCKETS.len() + 1],
    microseconds: AtomicU64,
}

impl Count {
    fn add(&self, status: StatusCode, took: Duration) {
        let of_status = STATUSES.iter().position(|known| *known == status.as_u16());
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.iter().position(|(end, _)| us <= *end).unwrap_or(BUCKETS.len());
        let one = |counters: &[AtomicU64], at: usize| {
            if let Some(counter) = counters.get(at) {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        };
        one(&self.statuses, of_status.unwrap_or(STATUSES.len()));
        one(&self.buckets, bucket);
        self.microseconds.fetch_add(us, Ordering::Relaxed);
    }
}

impl Metrics {
    pub(crate) fn new(routes: &'static [Route]) -> Self {
        let counts = (0..=routes.len()).map(|_| <[Count; 2]>::default()).collect();
        Self { routes, counts }
    }

    /// Counts an answer: of the route at this place of the list, or of none of them. `took` is
    /// until the answer's head; a body that streams may take longer.
    pub(crate) fn add(
        &self,
        route: Option<usize>,
        by: Answered,
        status: StatusCode,
        took: Duration,
    ) {
        let sides = self.counts.get(route.unwrap_or(self.routes.len()));
        if let Some([here, legacy]) = sides {
            match by {
                Answered::Here => here.add(status, took),
                Answered::Legacy => legacy.add(status, took),
            }
        }
    }

    /// The page.
    pub(crate) fn render(&self, pool: &PgPool, routes: &Routes) -> String {
        let mut page = Page::default();
        self.requests(&mut page);
        self.durations(&mut page);
        page.family("ficus_api_pool_connections", "gauge", "Connections to Postgres.");
        let idle = pool.num_idle();
        let busy = usize::try_from(pool.size()).unwrap_or(usize::MAX).saturating_sub(idle);
        page.sample("ficus_api_pool_connections", &[("state", "idle")], idle);
        page.sample("ficus_api_pool_connections", &[("state", "busy")], busy);
        page.family("ficus_api_domain_state", "gauge", "1 for the state of the domain.");
        for (domain, state) in routes.domain_states() {
            let labels = [("domain", domain), ("state", state.as_str())];
            page.sample("ficus_api_domain_state", &labels, 1);
        }
        if let Some(bytes) = resident_bytes() {
            page.family("process_resident_memory_bytes", "gauge", "Resident memory.");
            page.sample("process_resident_memory_bytes", &[], bytes);
        }
        page.into_string()
    }

    fn lines(&self) -> impl Iterator<Item = ([(&'static str, &'static str); 3], &Count)> {
        let none = ("other", "other");
        let names = self.routes.iter().map(|route| (route.method, route.path));
        let lines = names.chain([none]).zip(self.counts.iter());
        lines.flat_map(|((method, route), [here, legacy])| {
            [("ficus", here), ("legacy", legacy)].map(|(side, count)| {
                ([("method", method), ("route", route), ("side", side)], count)
            })
        })
    }

    fn requests(&self, page: &mut Page) {
        let name = "ficus_api_requests_total";
        page.family(name, "counter", "Requests, by who answered.");
        for (labels, count) in self.lines() {
            for (at, counter) in count.statuses.iter().enumerate() {
                let served = counter.load(Ordering::Relaxed);
                if served > 0 {
                    let status = STATUSES.get(at).map_or("other".to_owned(), u16::to_string);
                    let [method, route, side] = labels;
                    page.sample(name, &[method, route, side, ("status", &status)], served);
                }
            }
        }
    }

    fn durations(&self, page: &mut Page) {
        let name = "ficus_api_request_seconds";
        page.family(name, "histogram", "Until the head of the answer.");
        for (labels, count) in self.lines() {
            let buckets = count.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
            let buckets: Vec<u64> = buckets.collect();
            if buckets.iter().all(|bucket| *bucket == 0) {
                continue;
            }
            let [method, route, side] = labels;
            let ends = BUCKETS.iter().map(|(_, end)| *end).chain(["+Inf"]);
            let mut up_to = 0;
            for (end, bucket) in ends.zip(buckets) {
                up_to += bucket;
                let labels = [method, route, side, ("le", end)];
                page.sample(&format!("{name}_bucket"), &labels, up_to);
            }
            let us = count.microseconds.load(Ordering::Relaxed);
            let seconds = format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
            page.sample(&format!("{name}_sum"), &labels, seconds);
            page.sample(&format!("{name}_count"), &labels, up_to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_adds_up() {
        static ROUTES: [Route; 1] = [Route { method: "GET", path: "/v2/as", domain: "a" }];
        let metrics = Metrics::new(&ROUTES);
        let ms = Duration::from_millis;
        metrics.add(Some(0), Answered::Here, StatusCode::OK, ms(1));
        metrics.add(Some(0), Answered::Here, StatusCode::OK, ms(30));
        metrics.add(Some(0), Answered::Here, StatusCode::IM_A_TEAPOT, ms(60_000));
        metrics.add(None, Answered::Legacy, StatusCode::NOT_FOUND, ms(3));
        let mut page = Page::default();
        metrics.requests(&mut page);
        metrics.durations(&mut page);
        let text = page.into_string();
        for line in [
            "ficus_api_requests_total{method=\"GET\",route=\"/v2/as\",side=\"ficus\",status=\"200\"} 2",
            "ficus_api_requests_total{method=\"GET\",route=\"/v2/as\",side=\"ficus\",status=\"other\"} 1",
            "ficus_api_requests_total{method=\"other\",route=\"other\",side=\"legacy\",status=\"404\"} 1",
            "ficus_api_request_seconds_bucket{method=\"GET\",route=\"/v2/as\",side=\"ficus\",le=\"0.001\"} 1",
            "ficus_api_request_seconds_bucket{method=\"GET\",route=\"/v2/as\",side=\"ficus\",le=\"0.05\"} 2",
            "ficus_api_request_seconds_bucket{method=\"GET\",route=\"/v2/as\",side=\"ficus\",le=\"+Inf\"} 3",
            "ficus_api_request_seconds_sum{method=\"GET\",route=\"/v2/as\",side=\"ficus\"} 60.031000",
            "ficus_api_request_seconds_count{method=\"GET\",route=\"/v2/as\",side=\"ficus\"} 3",
        ] {
            assert!(text.lines().any(|given| given == line), "{line}\n{text}");
        }
    }
}
