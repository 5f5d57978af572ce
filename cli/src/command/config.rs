//! `ficus config`.

use target::Role;

use crate::{
    args::ConfigCommand,
    exit::Exit,
    out, parts,
    settings::{Kind, Settings},
};

/// Shows or checks the configuration.
pub(crate) async fn run(command: &ConfigCommand, settings: &Settings) -> anyhow::Result<Exit> {
    match command {
        ConfigCommand::Show => {
            show(settings);
            Ok(Exit::Success)
        }
        ConfigCommand::Check => check(settings).await,
    }
}

fn show(settings: &Settings) {
    let file = settings.file.as_deref().map_or("none".to_owned(), |p| p.display().to_string());
    out::line(format!("# file: {file}"));
    let rows: Vec<Vec<String>> = settings
        .describe()
        .into_iter()
        .map(|(key, resolved)| {
            let value = resolved.map_or("-".to_owned(), |r| shown(key.kind, &r.value));
            let origin = resolved.map(|r| r.origin.to_string()).unwrap_or_default();
            vec![key.name.to_owned(), value, origin, key.help.to_owned()]
        })
        .collect();
    out::line(out::table(&["key", "value", "from", "what it is"], &rows));
}

/// A value as people may see it.
fn shown(kind: Kind, value: &str) -> String {
    match kind {
        Kind::Secret => "(hidden)".to_owned(),
        Kind::Url => without_password(value),
        Kind::Text | Kind::Number(..) | Kind::Choice(_) => value.to_owned(),
    }
}

/// `scheme://user:password@host` without the password. A text with another shape is hidden.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "(hidden)".to_owned() };
    let place = rest.split(['?', '#']).next().unwrap_or_default();
    match place.rsplit_once('@') {
        None => format!("{scheme}://{place}"),
        Some((login, host)) => {
            let user = login.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}@{host}")
        }
    }
}

/// Tries every part that is set, and tells of each.
async fn check(settings: &Settings) -> anyhow::Result<Exit> {
    let mut red = 0;
    let mut tell = |what: &str, result: anyhow::Result<String>| match result {
        Ok(fine) => out::line(format!("ok    {what}: {fine}")),
        Err(error) => {
            red += 1;
            out::line(format!("wrong {what}"));
            out::failure(&error);
        }
    };
    tell("legacy server", legacy(settings).await);
    tell("mapping files", mapping(settings).await);
    tell("migrations", parts::migrations(settings).map(|all| format!("{} files", all.len())));
    for role in [Role::Owner, Role::Engine, Role::Api, Role::Reader, Role::Work] {
        tell(&format!("Postgres as {}", role.name()), postgres(settings, role).await);
    }
    tell("Kafka", kafka(settings).await);
    if let Some(result) = objects(settings).await.transpose() {
        tell("object store", result);
    }
    if super::work::is_configured(settings) {
        tell("workers", super::work::check(settings));
    }
    Ok(if red == 0 { Exit::Success } else { Exit::Usage })
}

async fn legacy(settings: &Settings) -> anyhow::Result<String> {
    let login = parts::legacy(settings)?;
    let mut session = legacy::Session::connect(&login).await?;
    let capture = session.capture_state().await?;
    let lsn = capture.max_lsn.map_or("nothing captured yet".to_owned(), |lsn| lsn.to_string());
    let state = if capture.enabled {
        format!("CDC is on, captured up to {lsn}")
    } else {
        "CDC is off".to_owned()
    };
    Ok(format!("{}, {state}", login.address()))
}

async fn mapping(settings: &Settings) -> anyhow::Result<String> {
    let plan = parts::plan(settings).await?;
    Ok(format!("{} entities, version {}", plan.entities.len(), plan.version))
}

async fn postgres(settings: &Settings, role: Role) -> anyhow::Result<String> {
    let pool = target::connect(&parts::postgres(settings, role)?).await?;
    pool.close().await;
    Ok("connected".to_owned())
}

/// Whether objects can be put, where the mapping has any or a store is set.
async fn objects(settings: &Settings) -> anyhow::Result<Option<String>> {
    // What is wrong with the mapping has been told.
    let plan = parts::plan(settings).await.unwrap_or_default();
    let Some(objects) = parts::objects(settings, &plan)? else { return Ok(None) };
    objects.check().await?;
    let columns = plan.object_columns();
    Ok(Some(match columns.is_empty() {
        true => "takes objects, and the mapping has none".to_owned(),
        false => format!("takes objects, those of {}", columns.join(", ")),
    }))
}

/// Whether one of the brokers takes a connection. (Whether it speaks Kafka, `consume` will say.)
async fn kafka(settings: &Settings) -> anyhow::Result<String> {
    let brokers = settings.needed("kafka.bootstrap")?;
    let mut last = anyhow::anyhow!("kafka.bootstrap is empty");
    for broker in brokers.split(',').map(str::trim) {
        let connecting = tokio::net::TcpStream::connect(broker);
        match tokio::time::timeout(std::time::Duration::from_secs(5), connecting).await {
            Ok(Ok(_)) => return Ok(format!("{broker} takes connections")),
            Ok(Err(error)) => last = anyhow::anyhow!("{broker}: {error}"),
            Err(_) => last = anyhow::anyhow!("{broker} does not answer within 5 s"),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_never_shown() {
        let cases = [
            ("postgres://u:p@h/d", "postgres://u@h/d"),
            ("postgres://u:p@@h/d?password=x", "postgres://u@h/d"),
            ("mssql://h:1433/d", "mssql://h:1433/d"),
            ("u:p@h", "(hidden)"),
        ];
        for (url, expected) in cases {
            assert_eq!(without_password(url), expected);
        }
        assert_eq!(shown(Kind::Secret, "x"), "(hidden)");
    }
}
