//! The rules of the house that a compiler does not check.

use std::{collections::BTreeMap, path::Path, process::Command};

/// Which rooms a room may see, as in ARCHITECTURE.md. Test-only edges are not counted.
const EDGES: &[(&str, &[&str])] = &[
    ("show", &[]),
    ("mapping", &[]),
    ("legacy", &["mapping"]),
    ("assess", &["mapping", "legacy", "show"]),
    ("target", &["mapping"]),
    ("cdc-consumer", &["mapping", "target"]),
    ("backfill", &["mapping", "legacy", "target"]),
    ("reconcile", &["mapping", "legacy", "target", "show"]),
    ("work", &["show"]),
    ("api", &["target", "work", "show"]),
    ("sandbox", &["mapping"]),
    ("spacehub", &["mapping", "sandbox"]),
];

/// Third parties that live in one room. The sandbox, tests and benchmarks may have all.
const FENCES: &[(&str, &[&str])] = &[
    ("tiberius", &["legacy"]),
    ("rdkafka", &["cdc-consumer"]),
    ("axum", &["api"]),
    ("clap", &["ficus"]),
    ("sqlx", &["target", "work", "api"]),
    ("object_store", &["target"]),
    ("krilla", &["api"]),
];

/// Rooms that a crate may not see because it must stay pure.
const PURE: &[&str] = &["tokio", "sqlx", "tiberius", "rdkafka", "rand", "futures-util"];

const LINES_MAX: usize = 500;

type Dependencies = BTreeMap<String, Vec<String>>;

#[test]
fn rooms_see_only_what_the_map_allows() {
    let graph = dependencies();
    for (room, allowed) in EDGES {
        for seen in graph[*room].iter().filter(|name| graph.contains_key(*name)) {
            assert!(allowed.contains(&seen.as_str()), "{room} may not depend on {seen}");
        }
    }
}

#[test]
fn drivers_stay_behind_their_fences() {
    let exempt = ["sandbox", "bench"];
    for (room, seen) in &dependencies() {
        for (driver, rooms) in FENCES {
            let fenced = seen.iter().any(|name| name == driver);
            let may = rooms.contains(&room.as_str()) || exempt.contains(&room.as_str());
            assert!(!fenced || may, "{room} may not name {driver}");
        }
    }
}

#[test]
fn mapping_is_pure() {
    let graph = dependencies();
    for name in &graph["mapping"] {
        assert!(!PURE.contains(&name.as_str()), "mapping may not depend on {name}");
    }
    for (path, text) in sources("mapping/src") {
        for word in ["std::fs", "std::net", "SystemTime", "Instant::now", "thread::"] {
            assert!(!text.contains(word), "{path} names {word}");
        }
    }
}

#[test]
fn files_have_one_subject() {
    for (path, text) in sources(".") {
        let lines = text.lines().count();
        let tests =
            path.ends_with("tests.rs") || path.contains("/tests/") || path.contains("/e2e/");
        assert!(tests || lines <= LINES_MAX, "{path} has {lines} lines");
    }
}

#[test]
fn nothing_is_left_undone() {
    for (path, text) in sources(".") {
        if path.ends_with("e2e/tidy.rs") {
            continue;
        }
        for word in ["todo!(", "unimplemented!(", "#[ignore", "FIXME"] {
            assert!(!text.contains(word), "{path} has {word}");
        }
    }
}

/// Traps of an XPO database.
const TRAPS: usize = 23;

#[test]
fn every_trap_has_a_test_and_a_line() {
    let table = std::fs::read_to_string(root().join("docs/traps.md")).expect("docs/traps.md");
    let mut tests: Vec<String> = Vec::new();
    for (path, text) in sources(".") {
        if path.ends_with("e2e/tidy.rs") {
            continue;
        }
        let names = text.split("fn trap_").skip(1).filter_map(|rest| rest.split('(').next());
        tests.extend(names.map(|name| format!("trap_{name}")));
    }
    for name in &tests {
        assert!(table.contains(&format!("`{name}`")), "docs/traps.md does not name {name}");
    }
    let told = table.split("`trap_").skip(1).filter_map(|rest| rest.split('`').next());
    for name in told {
        assert!(tests.contains(&format!("trap_{name}")), "docs/traps.md names trap_{name}");
    }
    for number in 1..=TRAPS {
        let tested = tests.iter().any(|name| name.starts_with(&format!("trap_{number:02}_")));
        assert!(tested, "trap {number} has no test");
        assert!(table.contains(&format!("\n| {number} |")), "trap {number} has no line");
    }
    // A line names files, and files move.
    let named = table.split('`').filter(|word| word.contains('/') && !word.contains(' '));
    for path in named.filter(|word| word.contains("/src/") || word.starts_with("tests/")) {
        assert!(root().join(path).exists(), "docs/traps.md names {path}");
    }
}

/// Only the tests' own dependency turns them on. The binary that runs these tests has them, which
/// shows that the word would be found in one that should not.
#[test]
fn hooks_are_in_no_binary_but_the_tests_own() {
    let features = |edges: &str| {
        let output = Command::new(env!("CARGO"))
            .args(["tree", "--offline", "--package", "ficus", "--prefix", "none"])
            .args(["--edges", edges, "--format", "{p} [{f}]"])
            .current_dir(root())
            .output()
            .expect("cargo runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut lines: Vec<String> =
            text.lines().filter(|line| line.starts_with("target v")).map(str::to_owned).collect();
        lines.dedup();
        assert!(!lines.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        lines
    };
    assert!(features("no-dev").iter().all(|line| !line.contains("hooks")));
    assert!(features("normal,dev").iter().all(|line| line.contains("hooks")));
    let binary = std::fs::read(env!("CARGO_BIN_EXE_ficus")).expect("the binary");
    let word = b"FICUS_KILL_AT";
    let found = binary.windows(word.len()).any(|bytes| bytes == word);
    assert_eq!(found, cfg!(debug_assertions), "a binary with debug assertions has hooks");
}

/// Normal dependencies of every workspace member, by name.
fn dependencies() -> Dependencies {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("metadata");
    let packages = metadata["packages"].as_array().expect("packages");
    let names = |package: &serde_json::Value| {
        let all = package["dependencies"].as_array().expect("dependencies").iter();
        all.filter(|d| d["kind"].is_null())
            .map(|d| d["name"].as_str().expect("a name").to_owned())
            .collect()
    };
    packages
        .iter()
        .map(|package| (package["name"].as_str().expect("a name").to_owned(), names(package)))
        .collect()
}

/// All Rust files below a folder, with their text.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    assert!(!found.is_empty());
    found
}

fn walk(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "build" && !name.starts_with('.') {
                walk(&path, found);
            }
        } else if name.ends_with(".rs") {
            let text = std::fs::read_to_string(&path).expect("a file");
            found.push((path.display().to_string(), text));
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}
