//! The domains that this API can serve. A domain's routes stand together in one file.

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

use axum::{
    Router,
    routing::{get, post},
};

use crate::{
    routes::{Route, Territory},
    server::App,
    sessions,
};

const fn read(path: &'static str, domain: &'static str) -> Route {
    Route { method: "GET", path, domain }
}

/// Every route, for the live manifest and for the switch.
pub const ROUTES: &[Route] = &[
    read("/v2/property-owners", "property-owners"),
    read("/v2/property-owners/{id}", "property-owners"),
    read("/v2/property-owners/{id}/properties", "properties"),
    read("/v2/properties", "properties"),
    read("/v2/properties/{id}", "properties"),
    read("/v2/properties/{id}/spaces", "properties"),
    read("/v2/spaces", "properties"),
    read("/v2/spaces/{id}", "properties"),
    read("/v2/tenants", "tenants"),
    read("/v2/tenants/{id}", "tenants"),
    read("/v2/contracts", "contracts"),
    read("/v2/contracts/{id}", "contracts"),
    read("/v2/contracts/{id}/items", "contracts"),
    read("/v2/contracts/{id}/invoices", "invoices"),
    Route { method: "POST", path: "/v2/contracts/{id}/transitions", domain: "contracts" },
    read("/v2/invoices", "invoices"),
    read("/v2/invoices/{id}", "invoices"),
    read("/v2/invoices/{id}/lines", "invoices"),
    read("/v2/payments", "payments"),
    read("/v2/payments/{id}", "payments"),
    read("/v2/payments/{id}/allocations", "payments"),
    Route { method: "POST", path: "/auth/sign-in", domain: sessions::DOMAIN },
    Route { method: "POST", path: "/auth/codes", domain: sessions::DOMAIN },
    Route { method: "POST", path: "/auth/codes/sign-in", domain: sessions::DOMAIN },
    Route { method: "POST", path: "/auth/token", domain: sessions::DOMAIN },
    Route { method: "POST", path: "/auth/sign-out", domain: sessions::DOMAIN },
    read("/auth/session", sessions::DOMAIN),
    Route { method: "POST", path: "/v2/devices", domain: sessions::DOMAIN },
    Route { method: "DELETE", path: "/v2/devices/{id}", domain: sessions::DOMAIN },
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
    territory("devices", sessions::DOMAIN),
];

/// The router of all domains. Whether a request comes here is decided before it.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/v2/property-owners", get(property_owners::list))
        .route("/v2/property-owners/{id}", get(property_owners::get))
        .route("/v2/property-owners/{id}/properties", get(property_owners::properties))
        .route("/v2/properties", get(properties::list))
        .route("/v2/properties/{id}", get(properties::get))
        .route("/v2/properties/{id}/spaces", get(properties::spaces_of))
        .route("/v2/spaces", get(properties::spaces))
        .route("/v2/spaces/{id}", get(properties::space))
        .route("/v2/tenants", get(tenants::list))
        .route("/v2/tenants/{id}", get(tenants::get))
        .route("/v2/contracts", get(contracts::list))
        .route("/v2/contracts/{id}", get(contracts::get))
        .route("/v2/contracts/{id}/items", get(contracts::items))
        .route("/v2/contracts/{id}/invoices", get(contracts::invoices))
        .route("/v2/contracts/{id}/transitions", post(contracts::transition))
        .route("/v2/invoices", get(invoices::list))
        .route("/v2/invoices/{id}", get(invoices::get))
        .route("/v2/invoices/{id}/lines", get(invoices::lines))
        .route("/v2/payments", get(payments::list))
        .route("/v2/payments/{id}", get(payments::get))
        .route("/v2/payments/{id}/allocations", get(payments::allocations))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_versioned_and_kebab_case() {
        for route in ROUTES {
            let is_versioned = route.path.starts_with("/v2/") || route.path.starts_with("/auth/");
            assert!(is_versioned, "{}", route.path);
            assert!(!route.path.contains(['_', ' ']) && route.path.to_lowercase() == route.path);
        }
    }

    #[test]
    fn every_route_lies_in_a_territory() {
        for route in ROUTES.iter().filter(|route| route.path.starts_with("/v2/")) {
            let segment = route.path.split('/').nth(2);
            assert!(TERRITORIES.iter().any(|territory| Some(territory.segment) == segment));
        }
    }
}
