//! The domains that this API can serve. A domain's routes stand together in one file.

mod allocation;
mod at_once;
mod attachments;
mod body;
mod caller;
mod contracts;
mod entity;
mod field;
mod idempotency;
mod invoices;
mod part;
mod payments;
mod properties;
mod property_owners;
mod reading;
mod record;
mod reply;
mod spaces;
pub mod statements;
mod strict;
mod tenants;
mod transition;
mod tx;
mod value;
mod view;
mod write;

use std::sync::LazyLock;

use utoipa::openapi::{PathItem, Paths};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    routes::{Route, Territory},
    server::App,
    sessions,
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
    territory("attachments", "attachments"),
    territory("devices", sessions::DOMAIN),
];

/// The router of all domains, and what the document says of them. Whether a request comes here is
/// decided before it. Methods of one path stand in one `routes!`.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(property_owners::list, property_owners::create))
        .routes(routes!(property_owners::get, property_owners::update))
        .routes(routes!(property_owners::properties))
        .routes(routes!(properties::list, properties::create))
        .routes(routes!(properties::get, properties::update))
        .routes(routes!(spaces::of_property))
        .routes(routes!(spaces::list, spaces::create))
        .routes(routes!(spaces::get, spaces::update))
        .routes(routes!(tenants::list, tenants::create))
        .routes(routes!(tenants::get, tenants::update))
        .routes(routes!(contracts::list, contracts::create))
        .routes(routes!(contracts::get, contracts::update))
        .routes(routes!(contracts::items, contracts::create_item))
        .routes(routes!(contracts::item, contracts::update_item))
        .routes(routes!(contracts::invoices))
        .routes(routes!(contracts::transition))
        .routes(routes!(invoices::list, invoices::create))
        .routes(routes!(invoices::get, invoices::update))
        .routes(routes!(invoices::lines, invoices::create_line))
        .routes(routes!(invoices::line, invoices::update_line))
        .routes(routes!(invoices::transition))
        .routes(routes!(payments::list, payments::create))
        .routes(routes!(payments::get, payments::update))
        .routes(routes!(payments::allocations, payments::create_allocation))
        .routes(routes!(payments::allocation, payments::delete_allocation))
        .routes(routes!(attachments::list))
        .routes(routes!(attachments::get))
        .routes(routes!(attachments::of_contract, attachments::upload))
        .routes(routes!(attachments::download))
        .merge(sessions::router())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn routes_are_versioned_and_kebab_case() {
        for route in &*ROUTES {
            let is_versioned = route.path.starts_with("/v2/") || route.path.starts_with("/auth/");
            assert!(is_versioned, "{}", route.path);
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
        for route in ROUTES.iter().filter(|route| route.path.starts_with("/v2/")) {
            let segment = route.path.split('/').nth(2);
            assert!(TERRITORIES.iter().any(|territory| Some(territory.segment) == segment));
        }
    }
}
