//! Sessions and limits, from the settings.

use api::{
    limits::{self, Pair, Rule},
    sessions::{self, SameSite, password::Scheme},
};

use crate::{exit::usage, settings::Settings};

/// How sessions begin, go on and end.
pub(super) fn sessions(settings: &Settings) -> anyhow::Result<sessions::Settings> {
    let number = |key: &str| u16::try_from(settings.number(key)).unwrap_or(u16::MAX);
    let same_site = match settings.text("auth.cookie_same_site").as_deref() {
        Some("strict") => SameSite::Strict,
        _ => SameSite::Lax,
    };
    Ok(sessions::Settings {
        key: key(settings).into(),
        access_life: settings.milliseconds("auth.access_life_ms"),
        idle_life: settings.milliseconds("auth.idle_life_ms"),
        session_life: settings.milliseconds("auth.session_life_ms"),
        refresh_grace: settings.milliseconds("auth.refresh_grace_ms"),
        code_life: settings.milliseconds("auth.code_life_ms"),
        code_attempts_max: number("auth.code_attempts_max"),
        failures_max: number("auth.failures_max"),
        lockout: settings.milliseconds("auth.lockout_ms"),
        hash_parallel: usize::from(number("auth.hash_parallel")),
        legacy_hashes: legacy_hashes(settings)?,
        staff_roles: words(settings, "auth.staff_roles"),
        phone_country: phone_country(settings)?,
        cookie_secure: settings.text("auth.cookie_secure").as_deref() != Some("no"),
        cookie_same_site: same_site,
        origins: origins(settings)?,
    })
}

/// How often somebody may ask.
pub(super) fn limits(settings: &Settings) -> anyhow::Result<limits::Settings> {
    let rule = |key: &str, rule: fn(u32) -> Rule| {
        rule(u32::try_from(settings.number(key)).unwrap_or(u32::MAX))
    };
    let proxies = settings.text("api.trusted_proxies").unwrap_or_default();
    let trusted_proxies =
        proxies.parse().map_err(|error| usage(format!("api.trusted_proxies: {error}")))?;
    Ok(limits::Settings {
        requests: Pair {
            identity: rule("limits.requests_per_minute", Rule::per_minute),
            address: rule("limits.address_requests_per_minute", Rule::per_minute),
        },
        sign_in: Pair {
            identity: rule("limits.sign_ins_per_minute", Rule::per_minute),
            address: rule("limits.address_sign_ins_per_minute", Rule::per_minute),
        },
        codes: Pair {
            identity: rule("limits.codes_per_hour", Rule::per_hour),
            address: rule("limits.address_codes_per_hour", Rule::per_hour),
        },
        trusted_proxies,
        redis_url: settings.secret("redis.url"),
    })
}

/// The key of sessions. Without one, a refresh that is sent again and codes are only known to the
/// process that saw them first, until it ends.
fn key(settings: &Settings) -> Vec<u8> {
    match settings.text("auth.key") {
        Some(key) => key.into_bytes(),
        None => {
            tracing::warn!("auth.key is not set: one-time codes end with this process");
            let random: [u8; 32] = rand::random();
            random.to_vec()
        }
    }
}

fn words(settings: &Settings, key: &str) -> Vec<String> {
    let text = settings.text(key).unwrap_or_default();
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

fn legacy_hashes(settings: &Settings) -> anyhow::Result<Vec<Scheme>> {
    let known = |word: String| {
        let scheme = Scheme::ALL.iter().find(|(name, _)| *name == word).map(|(_, scheme)| *scheme);
        scheme.ok_or_else(|| {
            let names = Scheme::ALL.map(|(name, _)| name).join(", ");
            usage(format!("auth.legacy_hashes: `{word}` is none of {names}"))
        })
    };
    words(settings, "auth.legacy_hashes").into_iter().map(known).collect()
}

fn phone_country(settings: &Settings) -> anyhow::Result<String> {
    let code = settings.needed("auth.phone_country")?;
    if (1..=3).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(code);
    }
    Err(usage(format!("auth.phone_country `{code}` must be one to three digits, as in 976")))
}

fn origins(settings: &Settings) -> anyhow::Result<Vec<String>> {
    let origins = words(settings, "auth.origins");
    for origin in &origins {
        // A browser writes an origin in one way only, and it is compared as a text.
        let rest = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        let is_origin = rest.is_some_and(|rest| {
            !rest.is_empty()
                && rest.bytes().all(|byte| {
                    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.:[]".contains(&byte)
                })
        });
        if !is_origin {
            return Err(usage(format!(
                "auth.origins: `{origin}` is no origin; write it as https://app.example.mn, \
                 in lower case and without a path"
            )));
        }
    }
    Ok(origins)
}

#[cfg(test)]
mod tests;
