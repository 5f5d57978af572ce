//! Reports as files, and whether their chain holds.
//!
//! A file is one JSON object: the body as the very text that was hashed, the hash, and the hash
//! before. Whoever has the files needs nothing of ficus to check them:
//! `sha256(bytes of previous ‖ UTF-8 bytes of body) = hash`.

use std::path::{Path, PathBuf};

use reconcile::{Link, ReportHash, verify};
use serde::{Deserialize, Serialize};
use target::report::{ReconcileRun, Shelf};

use super::page::{hash, time};
use crate::{
    exit::{Exit, usage},
    out,
};

/// What the files say that they are.
const FORMAT: &str = "ficus-report/1";
/// A report's file is a few megabytes at most.
const FILE_BYTES_MAX: u64 = 256 << 20;

#[derive(Debug, Serialize, Deserialize)]
struct File {
    format: String,
    number: i64,
    scope: String,
    state: String,
    mapping_version: String,
    started_at: String,
    finished_at: String,
    previous: Option<String>,
    hash: String,
    /// The canonical JSON, as text.
    body: String,
}

/// Writes each report of the chain into its file.
pub(super) async fn export(shelf: &Shelf, folder: &Path) -> anyhow::Result<Exit> {
    std::fs::create_dir_all(folder)
        .map_err(|error| anyhow::anyhow!("can't make the folder {}: {error}", folder.display()))?;
    let (mut written, mut failed) = (0_u64, None);
    shelf
        .chain(|run| {
            if failed.is_none() {
                failed = file(&run).and_then(|text| write(folder, run.id, &text)).err();
                written += 1;
            }
        })
        .await?;
    if let Some(error) = failed {
        return Err(error);
    }
    out::line(format!("{written} reports in {}", folder.display()));
    Ok(Exit::Success)
}

fn write(folder: &Path, number: i64, text: &str) -> anyhow::Result<()> {
    out::file(&folder.join(format!("report-{number:06}.json")), text)
}

fn file(run: &ReconcileRun) -> anyhow::Result<String> {
    let file = File {
        format: FORMAT.to_owned(),
        number: run.id,
        scope: run.scope.clone(),
        state: run.state.clone(),
        mapping_version: run.mapping_version.clone(),
        started_at: time(run.started_at_ms),
        finished_at: run.finished_at_ms.map(time).unwrap_or_default(),
        previous: run.prev_hash.as_deref().map(hex),
        hash: run.hash.as_deref().map(hex).unwrap_or_default(),
        body: run.body.clone().unwrap_or_default(),
    };
    Ok(serde_json::to_string_pretty(&file)?)
}

/// Checks what Postgres has.
pub(super) async fn verify_stored(shelf: &Shelf, head: Option<&str>) -> anyhow::Result<Exit> {
    let head = head.map(parse).transpose()?;
    let mut links = Vec::new();
    shelf
        .chain(|run| {
            let own = hash(run.hash.as_deref());
            let (Some(hash), Some(body)) = (own, run.body) else { return };
            let previous = self::hash(run.prev_hash.as_deref());
            links.push(Link { number: run.id, body, previous, hash });
        })
        .await?;
    Ok(tell(&links, true, head))
}

/// Checks exported files.
pub(super) fn verify_files(paths: &[PathBuf], head: Option<&str>) -> anyhow::Result<Exit> {
    let head = head.map(parse).transpose()?;
    let mut links = Vec::new();
    for path in files(paths)? {
        links.push(read(&path)?);
    }
    Ok(tell(&links, false, head))
}

/// The files that are meant: those named, and all `*.json` of folders.
fn files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for path in paths {
        if !path.is_dir() {
            all.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path)
            .map_err(|error| usage(format!("can't read the folder {}: {error}", path.display())))?;
        let mut inside: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .collect();
        if inside.is_empty() {
            return Err(usage(format!("there is no report (*.json) in {}", path.display())));
        }
        inside.sort();
        all.append(&mut inside);
    }
    Ok(all)
}

fn read(path: &Path) -> anyhow::Result<Link> {
    let bad = |why: String| {
        let path = path.display();
        usage(format!("{path} is no exported report ({why}); ficus report export writes them"))
    };
    let length = std::fs::metadata(path).map_err(|error| bad(error.to_string()))?.len();
    if length > FILE_BYTES_MAX {
        return Err(bad(format!("{length} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    let file: File = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
    if file.format != FORMAT {
        return Err(bad(format!("its format is not {FORMAT}")));
    }
    let previous = file.previous.as_deref().map(parse).transpose();
    Ok(Link {
        number: file.number,
        body: file.body,
        previous: previous.map_err(|error| bad(error.to_string()))?,
        hash: parse(&file.hash).map_err(|error| bad(error.to_string()))?,
    })
}

fn tell(links: &[Link], from_start: bool, head: Option<ReportHash>) -> Exit {
    let (broken, newest) = verify(links, from_start);
    for one in &broken {
        out::line(format!("BROKEN: {one}"));
    }
    let is_lost = head.is_some_and(|head| links.iter().all(|link| link.hash != head));
    if is_lost {
        out::line("BROKEN: the report with the hash that was noted down is not in the chain");
    }
    if links.is_empty() {
        out::line("there is no report, so nothing is proven");
        return if is_lost { Exit::Different } else { Exit::Undecided };
    }
    if let Some((number, hash)) = newest {
        out::line(format!("{} reports; the newest is {number}: {}", links.len(), hex(&hash)));
    }
    if broken.is_empty() && !is_lost {
        out::line("the chain is whole");
        if head.is_none() {
            out::line(
                "note the newest hash down somewhere else: with it (--head) reports that are \
                 taken off the end show, too",
            );
        }
        return Exit::Success;
    }
    Exit::Different
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('?');
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(digit).collect()
}

fn parse(text: &str) -> anyhow::Result<ReportHash> {
    let bad = || usage(format!("`{text}` is no hash: 64 hexadecimal digits are"));
    let digits: Option<Vec<u8>> =
        text.trim().chars().map(|letter| u8::try_from(letter.to_digit(16)?).ok()).collect();
    let digits = digits.ok_or_else(bad)?;
    let bytes: Vec<u8> =
        digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
    if digits.len() == 64 { bytes.try_into().map_err(|_| bad()) } else { Err(bad()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_read_as_they_are_written() {
        let hash: ReportHash = std::array::from_fn(|at| u8::try_from(at * 7 % 256).unwrap());
        assert_eq!(parse(&hex(&hash)).unwrap(), hash);
        for bad in ["", "xyz", &"a".repeat(63), &"g".repeat(64), &"ä".repeat(64)] {
            assert!(parse(bad).unwrap_err().to_string().contains("no hash"), "{bad}");
        }
    }

    #[test]
    fn files_that_are_no_reports_are_told_in_one_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let empty = verify_files(&[folder.path().to_owned()], None).unwrap_err().to_string();
        assert!(empty.contains("there is no report"), "{empty}");
        let path = folder.path().join("x.json");
        for text in ["", "{}", "[1]", "{\"format\":\"ficus-report/9\"}", "\u{0}"] {
            std::fs::write(&path, text).unwrap();
            let error = verify_files(std::slice::from_ref(&path), None).unwrap_err().to_string();
            assert!(error.contains("is no exported report"), "{error}");
        }
        let gone = verify_files(&[folder.path().join("gone.json")], None).unwrap_err().to_string();
        assert!(gone.contains("is no exported report"), "{gone}");
    }
}
