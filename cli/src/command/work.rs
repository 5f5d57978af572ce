//! `ficus work`: the workers, and a look at their events.

mod parts;
mod tell;

use std::time::Duration;

use target::{Pool, Role};

use crate::{args::WorkArgs, exit::Exit, out, settings::Settings};

/// A backlog that is not counted by then is left out of the metrics.
const COUNTING: Duration = Duration::from_secs(5);

/// Works until a signal; or looks at events.
pub(crate) async fn run(args: &WorkArgs, settings: &Settings) -> anyhow::Result<Exit> {
    let connect = || crate::parts::postgres(settings, Role::Work);
    if let Some(action) = &args.action {
        let pool = target::connect(&connect()?).await?;
        return tell::run(action, &pool).await;
    }
    let worker = parts::settings(settings)?;
    let pool = target::connect(&connect()?).await?;
    let parts::Parts { routes, schedule } = parts::parts(settings, &pool)?;
    let stop = crate::parts::stop_on_signal()?;
    let counts = work::Metrics::default();
    if let Some(address) = args.metrics {
        let source = (pool.clone(), counts.clone());
        let page = move || page(source.clone());
        super::metrics::serve(address, page, stop.clone()).await?;
    }
    for route in routes.iter() {
        out::note(format!("{}: {}", route.name, route.topics.join(", ")));
    }
    for (job, next) in schedule.next() {
        let next = next.map_or_else(|| "never".to_owned(), |next| next.to_rfc3339());
        out::note(format!("{job}: next {next}"));
    }
    let worker = work::Worker::new(pool, worker, routes, schedule, counts);
    match args.once {
        true => worker.run_once().await?,
        false => worker.run(stop).await?,
    }
    Ok(Exit::Success)
}

/// The page of `--metrics`.
async fn page((pool, counts): (Pool, work::Metrics)) -> String {
    let backlog = tokio::time::timeout(COUNTING, work::metrics::backlog(&pool)).await;
    work::metrics::render(&counts, backlog.ok().and_then(Result::ok).as_deref())
}

/// What `ficus config check` asks: whether the worker's settings can be used, handlers and all.
pub(crate) fn check(settings: &Settings) -> anyhow::Result<String> {
    parts::settings(settings)?;
    let pool = target::connect_lazy(&crate::parts::postgres(settings, Role::Work)?)?;
    let parts::Parts { routes, .. } = parts::parts(settings, &pool)?;
    let names: Vec<&str> = routes.iter().map(|route| route.name).collect();
    Ok(format!("handles {}", names.join(", ")))
}

/// Whether any handler or job is set.
pub(crate) fn is_configured(settings: &Settings) -> bool {
    ["work.sms_url", "work.push_url", "work.webhook_url", "work.statement_cron"]
        .iter()
        .any(|key| settings.text(key).is_some())
}
