//! Thousands of requests that schemathesis makes from the document, good and bad: no 500, no
//! status, header or body that is not documented.
//!
//! It needs schemathesis (PyPI), named by `$FICUS_SCHEMATHESIS`; `deploy/fuzz-api` installs it and
//! runs this. Without it the test says that it was skipped.

use std::process::Stdio;

use crate::lab::{Lab, staff};

/// Cases for each operation.
const EXAMPLES: &str = "40";

/// Left out: parameters that nobody documented (they are ignored), and those that exclude each
/// other, which OpenAPI can't say; `unsupported_method`, which knows nothing of HEAD; and
/// `ignored_auth`, which spoils the cookie and sends our good token beside it.
const EXCLUDED: &str =
    "negative_data_rejection,positive_data_acceptance,unsupported_method,ignored_auth";

#[tokio::test]
async fn schemathesis_finds_nothing() {
    let Ok(program) = std::env::var("FICUS_SCHEMATHESIS") else {
        return crate::lab::say("skipped: FICUS_SCHEMATHESIS is not set; run deploy/fuzz-api");
    };
    let lab = Lab::new().await;
    let server = lab.serve_with(lab.api_pool(8).await, None).await;
    let token = lab.token(&staff()).await;
    let seed = std::env::var("FICUS_FUZZ_SEED").unwrap_or_else(|_| "1".to_owned());
    let examples = std::env::var("FICUS_FUZZ_EXAMPLES").unwrap_or_else(|_| EXAMPLES.to_owned());
    let output = tokio::process::Command::new(&program)
        .arg("run")
        .arg(format!("http://{}/openapi.json", server.address))
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", &examples])
        .args(["--seed", &seed, "--exclude-checks", EXCLUDED, "--continue-on-failure"])
        // Where it leaves its cache.
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    crate::lab::say(&told);
}
