//! Logs: text for people, JSON for machines; always to standard error.

use tracing_subscriber::{EnvFilter, fmt};

use crate::{exit, settings::Settings};

/// Starts logging as the settings say.
pub(crate) fn start(settings: &Settings) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&settings.log_level).map_err(|error| {
        exit::usage(format!("log.level `{}` is no filter: {error}", settings.log_level))
    })?;
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(true);
    if settings.log_json {
        builder.json().init();
    } else {
        builder.compact().init();
    }
    Ok(())
}
