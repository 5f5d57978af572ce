//! `ficus decode`.

use std::io::{BufRead, IsTerminal};

use anyhow::Context;

use crate::{exit::Exit, out, settings::Settings};

/// Prints each message of standard input in its canonical form.
pub(crate) async fn run(settings: &Settings) -> anyhow::Result<Exit> {
    let modes = super::consume::modes(settings)?;
    let types = types(settings).await?;
    let mut decoder = cdc_consumer::decode::Decoder::default();
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
            out::line(cdc_consumer::decode_line(&mut decoder, &line, &types, &modes));
        }
    }
    Ok(Exit::Success)
}

/// Types for messages without a schema: the catalogue's, where one is set.
async fn types(settings: &Settings) -> anyhow::Result<cdc_consumer::Types> {
    let known = settings.text("legacy.catalog").is_some() || settings.text("legacy.url").is_some();
    if !known {
        return Ok(cdc_consumer::Types::default());
    }
    Ok(cdc_consumer::Types::from_catalog(&crate::parts::catalog(settings).await?))
}
