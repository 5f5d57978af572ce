//! The domains that this API can serve. A domain's routes stand together in one file.

mod allocation;
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
mod tenants;
mod transition;
mod tx;
mod view;
mod write;

use axum::{
    Router,
    routing::{get, post},
};

use crate::{
    routes::{Route, Territory},
    server::App,
};

const fn read(path: &'static str, domain: &'static str) -> Route {
    Route { method: "GET", path, domain }
}

const fn add(path: &'static str, domain: &'static str) -> Route {
    Route { method: "POST", path, domain }
}

const fn change(path: &'static str, domain: &'static str) -> Route {
    Route { method: "PATCH", path, domain }
}

/// Every route, for the live manifest and for the switch.
pub const ROUTES: &[Route] = &[
    read("/v2/property-owners", "property-owners"),
    add("/v2/property-owners", "property-owners"),
    read("/v2/property-owners/{id}", "property-owners"),
    change("/v2/property-owners/{id}", "property-owners"),
    read("/v2/property-owners/{id}/properties", "properties"),
    read("/v2/properties", "properties"),
    add("/v2/properties", "properties"),
    read("/v2/properties/{id}", "properties"),
    change("/v2/properties/{id}", "properties"),
    read("/v2/properties/{id}/spaces", "properties"),
    read("/v2/spaces", "properties"),
    add("/v2/spaces", "properties"),
    read("/v2/spaces/{id}", "properties"),
    change("/v2/spaces/{id}", "properties"),
    read("/v2/tenants", "tenants"),
    add("/v2/tenants", "tenants"),
    read("/v2/tenants/{id}", "tenants"),
    change("/v2/tenants/{id}", "tenants"),
    read("/v2/contracts", "contracts"),
    add("/v2/contracts", "contracts"),
    read("/v2/contracts/{id}", "contracts"),
    change("/v2/contracts/{id}", "contracts"),
    read("/v2/contracts/{id}/items", "contracts"),
    add("/v2/contracts/{id}/items", "contracts"),
    read("/v2/contracts/{id}/items/{item}", "contracts"),
    change("/v2/contracts/{id}/items/{item}", "contracts"),
    read("/v2/contracts/{id}/invoices", "invoices"),
    add("/v2/contracts/{id}/transitions", "contracts"),
    read("/v2/invoices", "invoices"),
    add("/v2/invoices", "invoices"),
    read("/v2/invoices/{id}", "invoices"),
    change("/v2/invoices/{id}", "invoices"),
    read("/v2/invoices/{id}/lines", "invoices"),
    add("/v2/invoices/{id}/lines", "invoices"),
    read("/v2/invoices/{id}/lines/{line}", "invoices"),
    change("/v2/invoices/{id}/lines/{line}", "invoices"),
    add("/v2/invoices/{id}/transitions", "invoices"),
    read("/v2/payments", "payments"),
    add("/v2/payments", "payments"),
    read("/v2/payments/{id}", "payments"),
    change("/v2/payments/{id}", "payments"),
    read("/v2/payments/{id}/allocations", "payments"),
    add("/v2/payments/{id}/allocations", "payments"),
    read("/v2/payments/{id}/allocations/{allocation}", "payments"),
    Route {
        method: "DELETE",
        path: "/v2/payments/{id}/allocations/{allocation}",
        domain: "payments",
    },
];

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

/// The router of all domains. Whether a request comes here is decided before it.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/v2/property-owners", get(property_owners::list).post(property_owners::create))
        .route("/v2/property-owners/{id}", get(property_owners::get).patch(property_owners::update))
        .route("/v2/property-owners/{id}/properties", get(property_owners::properties))
        .route("/v2/properties", get(properties::list).post(properties::create))
        .route("/v2/properties/{id}", get(properties::get).patch(properties::update))
        .route("/v2/properties/{id}/spaces", get(spaces::of_property))
        .route("/v2/spaces", get(spaces::list).post(spaces::create))
        .route("/v2/spaces/{id}", get(spaces::get).patch(spaces::update))
        .route("/v2/tenants", get(tenants::list).post(tenants::create))
        .route("/v2/tenants/{id}", get(tenants::get).patch(tenants::update))
        .route("/v2/contracts", get(contracts::list).post(contracts::create))
        .route("/v2/contracts/{id}", get(contracts::get).patch(contracts::update))
        .route("/v2/contracts/{id}/items", get(contracts::items).post(contracts::create_item))
        .route(
            "/v2/contracts/{id}/items/{item}",
            get(contracts::item).patch(contracts::update_item),
        )
        .route("/v2/contracts/{id}/invoices", get(contracts::invoices))
        .route("/v2/contracts/{id}/transitions", post(contracts::transition))
        .route("/v2/invoices", get(invoices::list).post(invoices::create))
        .route("/v2/invoices/{id}", get(invoices::get).patch(invoices::update))
        .route("/v2/invoices/{id}/lines", get(invoices::lines).post(invoices::create_line))
        .route("/v2/invoices/{id}/lines/{line}", get(invoices::line).patch(invoices::update_line))
        .route("/v2/invoices/{id}/transitions", post(invoices::transition))
        .route("/v2/payments", get(payments::list).post(payments::create))
        .route("/v2/payments/{id}", get(payments::get).patch(payments::update))
        .route(
            "/v2/payments/{id}/allocations",
            get(payments::allocations).post(payments::create_allocation),
        )
        .route(
            "/v2/payments/{id}/allocations/{allocation}",
            get(payments::allocation).delete(payments::delete_allocation),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_versioned_and_kebab_case() {
        for route in ROUTES {
            assert!(route.path.starts_with("/v2/"), "{}", route.path);
            assert!(!route.path.contains(['_', ' ']) && route.path.to_lowercase() == route.path);
        }
    }

    #[test]
    fn every_route_lies_in_a_territory() {
        for route in ROUTES {
            let segment = route.path.split('/').nth(2);
            assert!(TERRITORIES.iter().any(|territory| Some(territory.segment) == segment));
        }
    }
}
