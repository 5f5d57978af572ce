//! `ficus decode`.

use std::io::{BufRead, IsTerminal};

use anyhow::Context;
use cdc_consumer::{Decoder, Modes, Types, tail::Tail};

use crate::{args::DecodeArgs, exit::Exit, out, parts, settings::Settings};

/// Prints each message in its canonical form.
pub(crate) async fn run(args: &DecodeArgs, settings: &Settings) -> anyhow::Result<Exit> {
    let modes = super::consume::modes(settings)?;
    let types = types(settings).await?;
    if args.topics.is_empty() {
        standard_input(&types, &modes)?;
    } else {
        topics(args, settings, (types, modes)).await?;
    }
    Ok(Exit::Success)
}

fn standard_input(types: &Types, modes: &Modes) -> anyhow::Result<()> {
    let mut decoder = Decoder::default();
    let input = std::io::stdin().lock();
    if input.is_terminal() {
        out::note("reading change events from the terminal, one a line; Ctrl-D ends");
    }
    for line in input.split(b'\n') {
        let line = line.context("can't read standard input")?;
        if out::is_closed() {
            break;
        }
        if !line.iter().all(u8::is_ascii_whitespace) {
            out::line(cdc_consumer::decode_line(&mut decoder, &line, types, modes));
        }
    }
    Ok(())
}

async fn topics(
    args: &DecodeArgs,
    settings: &Settings,
    (types, modes): (Types, Modes),
) -> anyhow::Result<()> {
    let kafka = cdc_consumer::Settings::new(&settings.needed("kafka.bootstrap")?, "", "");
    let tail = Tail {
        topics: args.topics.clone(),
        offset: args.offset,
        limit: args.limit,
        follow: args.follow,
    };
    let stop = parts::stop_on_signal()?;
    let reading = tokio::task::spawn_blocking(move || {
        let mut decoder = Decoder::default();
        cdc_consumer::tail::tail(&kafka, &tail, &stop, |received| {
            out::line(cdc_consumer::decode_received(&mut decoder, received, &types, &modes));
            !out::is_closed()
        })
    });
    Ok(reading.await.context("reading the topics")??)
}

/// Types for messages without a schema: the catalogue's, where one is set; and which columns the
/// mapping files call sensitive, where they are at hand.
async fn types(settings: &Settings) -> anyhow::Result<Types> {
    let known = settings.text("legacy.catalog").is_some() || settings.text("legacy.url").is_some();
    if !known {
        return Ok(Types::default());
    }
    let mut types = Types::from_catalog(&parts::catalog(settings).await?);
    match parts::plan(settings).await {
        Ok(plan) => types.mask(&plan),
        Err(error) => tracing::warn!(%error, "without the mapping files no column is masked"),
    }
    Ok(types)
}
