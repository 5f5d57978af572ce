//! What the user set, from four places: defaults, then the file, then the environment, then
//! flags. Each value remembers where it came from, so that `ficus config show` can tell.

mod keys;
mod layers;

use std::{collections::BTreeMap, path::PathBuf};

use secrecy::SecretString;

pub(crate) use self::keys::{Key, Kind, keys};
use self::layers::Layers;
pub(crate) use self::layers::environment_name;
use crate::args::Args;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Built in.
    Default,
    /// The configuration file.
    File,
    /// An environment variable.
    Environment(String),
    /// A flag.
    Flag(String),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File => f.write_str("file"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// One resolved value.
#[derive(Debug, Clone)]
pub(crate) struct Resolved {
    /// As text; never shown where the key is a secret.
    pub(crate) value: String,
    /// Where from.
    pub(crate) origin: Origin,
}

/// All settings, checked by themselves. What a command needs and was not given is asked for
/// when the command asks ([`Settings::needed`]).
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    values: BTreeMap<&'static str, Resolved>,
    /// The file that was read, where there was one.
    pub(crate) file: Option<PathBuf>,
    /// A filter such as `info` or `ficus=debug,warn`.
    pub(crate) log_level: String,
    /// Whether logs are JSON lines.
    pub(crate) log_json: bool,
}

impl Settings {
    /// Resolves all layers.
    pub(crate) fn resolve(args: &Args) -> anyhow::Result<Self> {
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        let layers = Layers::collect(args, environment)?;
        Self::from_layers(layers)
    }

    fn from_layers(layers: Layers) -> anyhow::Result<Self> {
        let mut settings = Self {
            values: layers.values,
            file: layers.file,
            log_level: String::new(),
            log_json: false,
        };
        settings.log_level = settings.text("log.level").unwrap_or_default();
        settings.log_json = settings.text("log.format").as_deref() == Some("json");
        Ok(settings)
    }

    /// A value that may be missing.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        self.values.get(key).map(|resolved| resolved.value.clone())
    }

    /// A value that the command can't do without.
    pub(crate) fn needed(&self, key: &str) -> anyhow::Result<String> {
        self.text(key).ok_or_else(|| {
            crate::exit::usage(format!(
                "`{key}` is not set; put it into ficus.toml or into the environment as {}{}",
                layers::environment_name(key),
                crate::args::flag(key).map_or(String::new(), |flag| format!(", or say {flag}"))
            ))
        })
    }

    /// A secret that may be missing.
    pub(crate) fn secret(&self, key: &str) -> Option<SecretString> {
        self.text(key).map(SecretString::from)
    }

    /// A whole number; its bounds were checked when the layers were read.
    pub(crate) fn number(&self, key: &str) -> u64 {
        self.text(key).and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    /// A number of milliseconds.
    pub(crate) fn milliseconds(&self, key: &str) -> std::time::Duration {
        std::time::Duration::from_millis(self.number(key))
    }

    /// Sets a value from within (the demo runs the commands' own code on its sandbox).
    pub(crate) fn set(&mut self, key: &'static str, value: impl Into<String>, why: &str) {
        let origin = Origin::Flag(why.to_owned());
        self.values.insert(key, Resolved { value: value.into(), origin });
    }

    /// Whether nobody set the value.
    pub(crate) fn is_default(&self, key: &str) -> bool {
        self.values.get(key).is_none_or(|resolved| resolved.origin == Origin::Default)
    }

    /// Every key with its value and origin, for `ficus config show`.
    pub(crate) fn describe(&self) -> Vec<(&'static Key, Option<&Resolved>)> {
        keys().map(|key| (key, self.values.get(key.name))).collect()
    }
}

#[cfg(test)]
mod tests;
