//! Logs: text for people, JSON for machines; always to standard error.

use tracing_subscriber::{EnvFilter, fmt};

use crate::{exit, out, settings::Settings};

/// What libraries log and the user knows already or needs not know: of errors that they return
/// as well, of a certificate that `trust=true` trusts, of an idle connection that broke and was replaced, of a download's second attempt. A filter
/// that names the same targets wins.
const NOISE: &str = "tiberius=off,sqlx_core::pool::connection=error,reqwest_retry=error";

/// Starts logging as the settings say.
pub(crate) fn start(settings: &Settings) -> anyhow::Result<()> {
    let level = &settings.log_level;
    let filter = EnvFilter::try_new(format!("{NOISE},{level}")).map_err(|error| {
        exit::usage(format!(
            "log.level `{level}` is no filter ({error}); write it as info, or as target=debug,warn"
        ))
    })?;
    let builder = fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(out::is_colored())
        .with_target(true);
    if settings.log_json {
        builder.json().init();
    } else {
        builder.compact().init();
    }
    Ok(())
}
