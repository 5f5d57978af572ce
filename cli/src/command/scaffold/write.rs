//! Files below a folder: all of them, or none.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Context;
use assess::scaffold::File;

use crate::exit::usage;

/// A file that is written beside its place, and what was there before.
struct Staged {
    path: PathBuf,
    staged: PathBuf,
    before: Option<Vec<u8>>,
}

/// Writes the files. Nothing that is there is overwritten unless it is `forced`; when one can't
/// be written, the others are taken back.
pub(super) fn all(folder: &Path, files: &[File], forced: bool) -> anyhow::Result<()> {
    let there: Vec<String> = files
        .iter()
        .map(|file| folder.join(&file.path))
        .filter(|path| path.symlink_metadata().is_ok())
        .map(|path| path.display().to_string())
        .collect();
    if !there.is_empty() && !forced {
        return Err(usage(format!(
            "{} {} there already; nothing was written (choose another --out, or --force to overwrite)",
            there.join(", "),
            if there.len() == 1 { "is" } else { "are" },
        )));
    }
    let mut staged = Vec::new();
    let written = files.iter().try_for_each(|file| stage(folder, file, &mut staged));
    let moved = written.and_then(|()| put(&staged));
    if moved.is_err() {
        take_back(&staged);
    }
    moved
}

fn stage(folder: &Path, file: &File, staged: &mut Vec<Staged>) -> anyhow::Result<()> {
    let path = folder.join(&file.path);
    let parent = path.parent().unwrap_or(folder);
    std::fs::create_dir_all(parent)
        .with_context(|| format!("can't make the folder {}", parent.display()))?;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let beside = path.with_file_name(format!(".{name}.draft"));
    let before = std::fs::read(&path).ok();
    staged.push(Staged { path, staged: beside.clone(), before });
    let write = || -> std::io::Result<()> {
        let mut out = std::fs::File::create(&beside)?;
        out.write_all(file.text.as_bytes())?;
        out.sync_all()
    };
    write().with_context(|| format!("can't write {}", beside.display()))
}

fn put(staged: &[Staged]) -> anyhow::Result<()> {
    for file in staged {
        std::fs::rename(&file.staged, &file.path)
            .with_context(|| format!("can't write {}", file.path.display()))?;
    }
    Ok(())
}

/// As it was before: a file that could not even be staged is still what it was.
fn take_back(staged: &[Staged]) {
    for file in staged {
        let was_moved = std::fs::remove_file(&file.staged).is_err();
        if !was_moved {
            continue;
        }
        let restored = match &file.before {
            Some(bytes) => std::fs::write(&file.path, bytes),
            None => std::fs::remove_file(&file.path),
        };
        if let Err(error) = restored {
            tracing::warn!(path = %file.path.display(), %error, "can't take a draft back");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.into(), text: text.into() }
    }

    fn text(folder: &Path, path: &str) -> Option<String> {
        std::fs::read_to_string(folder.join(path)).ok()
    }

    #[test]
    fn what_is_there_is_kept_unless_it_is_forced() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = [file("mappings/a.toml", "1"), file("seal/a.sql", "2")];
        all(folder.path(), &first, false).expect("written");
        let second = [file("mappings/b.toml", "3"), file("mappings/a.toml", "4")];
        let refused = all(folder.path(), &second, false).expect_err("a is there").to_string();
        assert!(refused.contains("a.toml is there already"), "{refused}");
        assert_eq!(text(folder.path(), "mappings/b.toml"), None);
        assert_eq!(text(folder.path(), "mappings/a.toml").as_deref(), Some("1"));
        all(folder.path(), &second, true).expect("written over");
        assert_eq!(text(folder.path(), "mappings/a.toml").as_deref(), Some("4"));
        let left = std::fs::read_dir(folder.path().join("mappings")).expect("a folder").count();
        assert_eq!(left, 2, "nothing lies about");
    }

    #[test]
    fn one_that_cant_be_written_takes_the_others_back() {
        let folder = tempfile::tempdir().expect("a folder");
        all(folder.path(), &[file("a.toml", "old")], false).expect("written");
        // A folder where the second file is to be: it can't be moved there.
        std::fs::create_dir(folder.path().join("b.toml")).expect("a folder");
        std::fs::write(folder.path().join("b.toml/x"), "x").expect("a file");
        let files = [file("a.toml", "new"), file("c.toml", "new"), file("b.toml", "new")];
        let failed = all(folder.path(), &files, true).expect_err("b is a folder");
        assert!(failed.to_string().contains("b.toml"), "{failed}");
        assert_eq!(text(folder.path(), "a.toml").as_deref(), Some("old"));
        assert_eq!(text(folder.path(), "c.toml"), None);
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 2);
    }
}
