//! The domains that this API can serve. A domain's routes stand together in one file.

mod at_once;
mod caller;
mod contracts;
mod invoices;
mod payments;
mod properties;
mod property_owners;
mod record;
mod tenants;
mod transition;
mod view;
mod write;

use std::sync::LazyLock;

use utoipa::openapi::{PathItem, Paths};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    routes::{Route, Territory},
    server::App,
};

/// What the document is called.
pub(crate) const TITLE: &str = "Spacehub API";

/// Every route with its domain, for the live manifest and for the switch: what the handlers'
/// annotations say.
pub static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(|| {
    static PATHS: LazyLock<Paths> = LazyLock::new(|| router().into_openapi().paths);
    PATHS.paths.iter().flat_map(|(path, item)| routes_of(path, item)).collect()
});

fn routes_of(path: &'static str, item: &'static PathItem) -> impl Iterator<Item = Route> {
    let methods = [
        ("GET", &item.get),
        ("POST", &item.post),
        ("PUT", &item.put),
        ("PATCH", &item.patch),
        ("DELETE", &item.delete),
    ];
    methods.into_iter().filter_map(move |(method, operation)| {
        let domain = operation.as_ref()?.tags.as_ref()?.first()?;
        Some(Route { method, path, domain })
    })
}

const fn territory(segment: &'static str, domain: &'static str) -> Territory {
    Territory { segment, domain }
}

/// What lies below `/v2/…`, with or without a route of ours.
pub const TERRITORIES: &[Territory] = &[
    territory("property-owners", "property-owners"),
    territory("properties", "properties"),
    territory("spaces", "properties"),
    territory("tenants", "tenants"),
    territory("contracts", "contracts"),
    territory("invoices", "invoices"),
    territory("payments", "payments"),
];

/// The router of all domains, and what the document says of them. Whether a request comes here is
/// decided before it. Methods of one path stand in one `routes!`.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(property_owners::list))
        .routes(routes!(property_owners::get))
        .routes(routes!(property_owners::properties))
        .routes(routes!(properties::list))
        .routes(routes!(properties::get))
        .routes(routes!(properties::spaces_of))
        .routes(routes!(properties::spaces))
        .routes(routes!(properties::space))
        .routes(routes!(tenants::list))
        .routes(routes!(tenants::get))
        .routes(routes!(contracts::list))
        .routes(routes!(contracts::get))
        .routes(routes!(contracts::items))
        .routes(routes!(contracts::invoices))
        .routes(routes!(contracts::transition))
        .routes(routes!(invoices::list))
        .routes(routes!(invoices::get))
        .routes(routes!(invoices::lines))
        .routes(routes!(payments::list))
        .routes(routes!(payments::get))
        .routes(routes!(payments::allocations))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn routes_are_versioned_and_kebab_case() {
        for route in &*ROUTES {
            assert!(route.path.starts_with("/v2/"), "{}", route.path);
            assert!(!route.path.contains(['_', ' ']) && route.path.to_lowercase() == route.path);
        }
    }

    #[test]
    fn every_operation_of_the_document_is_a_route_with_a_domain() {
        let document = router().into_openapi();
        let paths = &document.paths.paths;
        let operations: usize = paths.values().map(routes_in).sum();
        assert_eq!(ROUTES.len(), operations);
        let domains: BTreeSet<&str> =
            TERRITORIES.iter().map(|territory| territory.domain).collect();
        for route in &*ROUTES {
            assert!(domains.contains(route.domain), "{} has the tag {}", route.path, route.domain);
        }
    }

    fn routes_in(item: &PathItem) -> usize {
        let item = serde_json::to_value(item).expect("JSON");
        item.as_object().expect("an object").len()
    }

    #[test]
    fn every_route_lies_in_a_territory() {
        for route in &*ROUTES {
            let segment = route.path.split('/').nth(2);
            assert!(TERRITORIES.iter().any(|territory| Some(territory.segment) == segment));
        }
    }
}
