//! Thousands of requests that schemathesis makes from the document, good and bad, alone and one
//! after the other: no 500, no status, header or body that is not documented, no silence.
//!
//! It needs schemathesis (PyPI), named by `$FICUS_SCHEMATHESIS`; `deploy/fuzz-api` installs it and
//! runs this. Without it the test says that it was skipped.

use std::process::Stdio;

use serde_json::json;

use crate::lab::{Lab, Server, id, owner, staff};

/// Cases for each operation.
const EXAMPLES: &str = "40";

/// Left out: parameters that nobody documented (they are ignored), and those that exclude each
/// other, which OpenAPI can't say; `unsupported_method`, which knows nothing of HEAD; and
/// `ignored_auth`, which spoils the cookie and sends our good token beside it.
const EXCLUDED: &str =
    "negative_data_rejection,positive_data_acceptance,unsupported_method,ignored_auth";

/// Ends the session that the others need.
const SIGN_OUT: [&str; 2] = ["--exclude-path", "/auth/sign-out"];

#[tokio::test]
async fn schemathesis_finds_nothing() {
    let Ok(program) = std::env::var("FICUS_SCHEMATHESIS") else {
        return crate::lab::say("skipped: FICUS_SCHEMATHESIS is not set; run deploy/fuzz-api");
    };
    for identity in [staff(), owner(1)] {
        let lab = Lab::new().await;
        // More to find than the three of everything: an invoice that may be changed, and a
        // payment that has something left.
        crate::table::prepare(&lab).await;
        let server = lab.serve_with(lab.api_pool(8).await, None).await;
        let token = lab.token(&identity).await;
        let authorization = format!("Authorization: Bearer {token}");
        run(&program, &server, &["--header", &authorization, SIGN_OUT[0], SIGN_OUT[1]]).await;
        assert_reached(&lab, &server, &token, identity.is_owner()).await;
        if identity.is_owner() {
            // As nobody: signing in, and out.
            run(&program, &server, &["--include-path-regex", "^/auth/"]).await;
        }
    }
}

async fn run(program: &str, server: &Server, more: &[&str]) {
    let seed = std::env::var("FICUS_FUZZ_SEED").unwrap_or_else(|_| "1".to_owned());
    let examples = std::env::var("FICUS_FUZZ_EXAMPLES").unwrap_or_else(|_| EXAMPLES.to_owned());
    let output = tokio::process::Command::new(program)
        .args([
            "--config-file",
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/fuzz.toml"),
            "run",
        ])
        .arg(format!("http://{}/openapi.json", server.address))
        .args(["--phases", "examples,coverage,fuzzing,stateful", "--max-examples", &examples])
        .args(["--seed", &seed, "--exclude-checks", EXCLUDED, "--continue-on-failure"])
        .args(["--request-timeout", "20"])
        .args(more)
        .env("SCHEMATHESIS_HOOKS", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/fuzz.py"))
        .env("FICUS_FUZZ_IDS", rows().to_string())
        // Where it leaves its cache.
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .stdin(Stdio::null())
        .output()
        .await
        .expect("schemathesis starts");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    crate::lab::say(&told);
}

/// Ids by the segment of the path that they follow; half of them are the first owner's.
fn rows() -> serde_json::Value {
    let of = |kind| {
        let three = |number| (1..=3).map(move |n| id(kind, number, n));
        [1, 2, 1].into_iter().flat_map(three).collect::<Vec<_>>()
    };
    json!({
        "property-owners": [id(1, 1, 1), id(1, 2, 1)], "tenants": of(2), "properties": of(3),
        "spaces": of(5), "contracts": of(7), "items": of(8), "invoices": of(9), "lines": of(10),
        "payments": of(11), "allocations": of(12), "attachments": of(18),
    })
}

/// Requests that end at the door find nothing: the session lived to the end, and rows of every
/// kind that the caller may write were written.
async fn assert_reached(lab: &Lab, server: &Server, token: &str, is_owner: bool) {
    assert_eq!(server.client(token).get("/auth/session").await.status, 200, "the session ended");
    let written: Vec<String> = sqlx::query_scalar(
        "select distinct action || ' ' || entity from audit_log where action <> 'sign_in'",
    )
    .fetch_all(&lab.admin)
    .await
    .expect("rows");
    let staffs = ["create contracts", "create payments", "create tenants", "update contract_items"];
    let all = ["create spaces", "create invoices", "update properties", "update contracts"];
    for expected in all.iter().chain(staffs.iter().filter(|_| !is_owner)) {
        assert!(written.iter().any(|one| one == expected), "no {expected}: {written:?}");
    }
}
