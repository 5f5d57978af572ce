//! The domains that this API can serve. A domain's routes stand together in one file.

mod contracts;
mod property_owners;
mod request;

use axum::{Router, routing::get};

use crate::{routes::Route, server::App};

/// Every route, for the live manifest and for the switch.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/v2/property-owners", domain: "property-owners" },
    Route { method: "GET", path: "/v2/property-owners/{id}", domain: "property-owners" },
    Route { method: "GET", path: "/v2/property-owners/{id}/properties", domain: "properties" },
    Route { method: "GET", path: "/v2/contracts", domain: "contracts" },
    Route { method: "GET", path: "/v2/contracts/{id}", domain: "contracts" },
    Route { method: "GET", path: "/v2/contracts/{id}/items", domain: "contracts" },
];

/// The router of all domains. Whether a request comes here is decided before it.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/v2/property-owners", get(property_owners::list))
        .route("/v2/property-owners/{id}", get(property_owners::get))
        .route("/v2/property-owners/{id}/properties", get(property_owners::properties))
        .route("/v2/contracts", get(contracts::list))
        .route("/v2/contracts/{id}", get(contracts::get))
        .route("/v2/contracts/{id}/items", get(contracts::items))
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
}
