//! Defaults, file, environment, flags: collected, checked, laid over each other.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    Key, Origin, Resolved,
    keys::{Kind, find, keys},
};
use crate::{args::Args, exit::usage};

/// The file that is read when none is named.
const FILE: &str = "ficus.toml";

/// All layers, merged.
#[derive(Debug)]
pub(super) struct Layers {
    pub(super) values: BTreeMap<&'static str, Resolved>,
    pub(super) file: Option<PathBuf>,
}

/// `target.url` in the environment is `FICUS_TARGET_URL`.
pub(crate) fn environment_name(key: &str) -> String {
    format!("FICUS_{}", key.replace('.', "_").to_ascii_uppercase())
}

impl Layers {
    /// Reads every layer. All mistakes of a layer are told at once.
    pub(super) fn collect(
        args: &Args,
        environment: impl Iterator<Item = (String, String)>,
    ) -> anyhow::Result<Self> {
        let mut layers = Self { values: BTreeMap::new(), file: None };
        for key in keys() {
            if let Some(value) = key.default {
                layers.put(key, value.to_owned(), Origin::Default)?;
            }
        }
        layers.read_file(args.config.as_deref())?;
        layers.read_environment(environment)?;
        for (name, value) in args.overrides() {
            let Some(key) = find(name) else { continue };
            let flag = crate::args::flag(name).unwrap_or(name).to_owned();
            layers.put(key, value, Origin::Flag(flag))?;
        }
        Ok(layers)
    }

    fn read_file(&mut self, named: Option<&Path>) -> anyhow::Result<()> {
        let path = named.unwrap_or(Path::new(FILE));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(());
            }
            Err(error) => {
                return Err(usage(format!(
                    "can't read the configuration {}: {error}",
                    path.display()
                )));
            }
        };
        let document: toml::Table = text
            .parse()
            .map_err(|error| usage(format!("{} is not TOML: {error}", path.display())))?;
        let mut mistakes = Vec::new();
        for (section, entries) in &document {
            let Some(entries) = entries.as_table() else {
                mistakes.push(format!("`{section}` stands outside a section"));
                continue;
            };
            for (name, value) in entries {
                let text = match value {
                    toml::Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                if let Err(error) = self.put_named(&format!("{section}.{name}"), text, Origin::File)
                {
                    mistakes.push(error.to_string());
                }
            }
        }
        if !mistakes.is_empty() {
            return Err(usage(format!("{}: {}", path.display(), mistakes.join("; "))));
        }
        self.file = Some(path.to_owned());
        Ok(())
    }

    fn read_environment(
        &mut self,
        environment: impl Iterator<Item = (String, String)>,
    ) -> anyhow::Result<()> {
        let known: BTreeMap<String, &Key> =
            keys().map(|key| (environment_name(key.name), key)).collect();
        // An empty variable is how a shell unsets one for a single command.
        for (name, value) in environment.filter(|(_, value)| !value.is_empty()) {
            if let Some(key) = known.get(&name) {
                self.put(key, value, Origin::Environment(name))?;
            } else if let Some(key) = name.strip_suffix("_FILE").and_then(|n| known.get(n)) {
                self.put_file(key, &value, Origin::Environment(name))?;
            }
        }
        Ok(())
    }

    fn put_named(&mut self, name: &str, value: String, origin: Origin) -> anyhow::Result<()> {
        if let Some(key) = find(name) {
            return self.put(key, value, origin);
        }
        if let Some(key) = name.strip_suffix("_file").and_then(find)
            && matches!(key.kind, Kind::Secret | Kind::Url)
        {
            return self.put_file(key, &value, origin);
        }
        let near = keys().map(|key| key.name).max_by_key(|known| likeness(known, name));
        let hint = near.map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
        Err(usage(format!("unknown key `{name}`{hint}")))
    }

    fn put_file(&mut self, key: &'static Key, path: &str, origin: Origin) -> anyhow::Result<()> {
        let value = std::fs::read_to_string(path)
            .map_err(|error| usage(format!("can't read {path} for `{}`: {error}", key.name)))?;
        self.put(key, value.trim_end_matches(['\r', '\n']).to_owned(), origin)
    }

    fn put(&mut self, key: &'static Key, value: String, origin: Origin) -> anyhow::Result<()> {
        match key.kind {
            Kind::Number(low, high) => {
                let fits = value.parse::<u64>().is_ok_and(|n| (low..=high).contains(&n));
                if !fits {
                    return Err(usage(format!(
                        "`{}` must be a whole number from {low} to {high}, not `{value}`",
                        key.name
                    )));
                }
            }
            Kind::Choice(words) if !words.contains(&value.as_str()) => {
                return Err(usage(format!(
                    "`{}` must be one of {}, not `{value}`",
                    key.name,
                    words.join(", ")
                )));
            }
            Kind::Text | Kind::Secret | Kind::Url | Kind::Choice(_) => {}
        }
        self.values.insert(key.name, Resolved { value, origin });
        Ok(())
    }
}

/// A cheap likeness for suggestions: letters of `wrong` found in order in `known`.
fn likeness(known: &str, wrong: &str) -> usize {
    let mut letters = known.chars().peekable();
    let mut common = 0;
    for letter in wrong.chars() {
        let mut rest = letters.clone();
        if rest.any(|candidate| candidate == letter) {
            common += 1;
            letters = rest;
        }
    }
    common * 2 * 100 / (known.len() + wrong.len()).max(1)
}
