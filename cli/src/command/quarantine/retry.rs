//! `ficus quarantine retry`: entries through the one way in again, each in a transaction of its
//! own, the oldest change first.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::Context;
use cdc_consumer::retry::{Rereader, Stored};
use mapping::plan::{ObjectTypes, Plan};
use target::{
    Batch, Target,
    quarantine::{Entry, Filter, FullEntry, PayloadFormat},
    retry::Retried,
};

use super::reread::Rows;
use crate::{
    args::RetryArgs,
    exit::{Exit, usage},
    out, parts,
    settings::Settings,
};

/// Entries asked for at a time.
const PAGE: i64 = 1_000;
/// Entries that stay, shown one by one at most.
const SHOWN_MAX: usize = 50;

/// Tries them again.
pub(super) async fn run(
    args: &RetryArgs,
    settings: &Settings,
    (target, plan): (&Target, &Arc<Plan>),
) -> anyhow::Result<Exit> {
    let mut entries = chosen(args, target, plan).await?;
    // Of two changes of one row the older one goes first.
    entries.sort_by_key(|entry| (entry.position, entry.id));
    parts::learn_object_types(settings, target).await?;
    let object_types = target.object_types().await?;
    let mut again = Again::new(args, settings, (target, plan), object_types)?;
    let (mut closed, mut stay) = (BTreeMap::new(), Vec::new());
    for entry in &entries {
        let batch = again.batch(&target.quarantine_get(entry.id).await?).await?;
        let words = match target.retry(entry.id, batch, &super::actor()).await? {
            Retried::Closed(words) => words,
            Retried::Settled => "settled by something else meanwhile".to_owned(),
            Retried::StillBad { rule, column, detail } => {
                stay.push(Entry { rule, column, detail, ..entry.clone() });
                continue;
            }
        };
        *closed.entry(words).or_insert(0_u64) += 1;
    }
    tell(&closed, &stay);
    Ok(if stay.is_empty() { Exit::Success } else { Exit::Different })
}

fn tell(closed: &BTreeMap<String, u64>, stay: &[Entry]) {
    for (words, count) in closed {
        out::line(format!("{} closed: {words}", out::thousands(*count)));
    }
    if stay.is_empty() {
        if closed.is_empty() {
            out::line("there is no such open entry");
        }
        return;
    }
    let count = u64::try_from(stay.len()).unwrap_or(u64::MAX);
    out::line(format!("{} stay, for these reasons:", out::thousands(count)));
    out::line(super::listing(stay.get(..SHOWN_MAX).unwrap_or(stay)));
}

async fn chosen(args: &RetryArgs, target: &Target, plan: &Plan) -> anyhow::Result<Vec<Entry>> {
    let mut chosen = Vec::new();
    if !args.ids.is_empty() {
        for id in &args.ids {
            let entry = target.quarantine_get(*id).await?.entry;
            if entry.state != "open" {
                return Err(usage(format!("entry {id} is {} already", entry.state)));
            }
            chosen.push(entry);
        }
        return Ok(chosen);
    }
    let table = args.table.as_deref().map(|name| super::table(plan, name)).transpose()?;
    let mut filter = Filter {
        state: Some("open".to_owned()),
        table,
        rule: args.rule.clone(),
        after: 0,
        limit: PAGE,
    };
    loop {
        let page = target.quarantine_list(&filter).await?;
        let Some(last) = page.last() else { return Ok(chosen) };
        filter.after = last.id;
        chosen.extend(page);
    }
}

/// What an entry becomes this time.
struct Again<'a> {
    args: &'a RetryArgs,
    settings: &'a Settings,
    target: &'a Target,
    plan: &'a Arc<Plan>,
    messages: Rereader,
    object_types: ObjectTypes,
    /// Connected when it is first needed.
    rows: Option<Rows>,
}

impl<'a> Again<'a> {
    fn new(
        args: &'a RetryArgs,
        settings: &'a Settings,
        (target, plan): (&'a Target, &'a Arc<Plan>),
        object_types: ObjectTypes,
    ) -> anyhow::Result<Self> {
        let prefix = settings.text("kafka.topic_prefix").unwrap_or_default();
        let mut consumer = cdc_consumer::Settings::new("", "", &prefix);
        consumer.modes = crate::command::consume::modes(settings)?;
        consumer.drift = crate::command::consume::drift(settings)?;
        let messages = Rereader::new(&consumer, Arc::clone(plan), object_types.clone());
        Ok(Self { args, settings, target, plan, messages, object_types, rows: None })
    }

    async fn batch(&mut self, full: &FullEntry) -> anyhow::Result<Batch> {
        if self.is_to_be_read(full) {
            let rows = match &mut self.rows {
                Some(rows) => rows,
                none => {
                    let opened =
                        Rows::open(self.settings, self.plan, &self.object_types, self.target).await;
                    none.insert(opened.context("reading rows anew needs the legacy server")?)
                }
            };
            return rows.read(&full.entry).await;
        }
        // What was received shows nothing later than its own position, so nobody has to be told.
        let Some((topic, partition, offset)) = &full.entry.source else {
            return Ok(Batch::default());
        };
        let stored = Stored {
            place: (topic, *partition, *offset),
            key: full.payload_key.as_deref(),
            value: &full.payload,
            headers: full.payload_headers.as_deref(),
        };
        Ok(self.messages.read(&stored, now_us()))
    }

    /// A row that a copy put aside was stored for people, not to be read back; and a message of a
    /// table with secrets was stored without them.
    fn is_to_be_read(&self, full: &FullEntry) -> bool {
        let table = full.entry.table.as_deref();
        let has_secrets = || {
            let mut tables = self.plan.tables.iter();
            tables.any(|t| {
                Some(t.table.to_string().as_str()) == table && !t.sensitive_columns().is_empty()
            })
        };
        let can_be = full.entry.key.is_some() && table.is_some();
        match full.format {
            PayloadFormat::Row | PayloadFormat::Mapped => true,
            PayloadFormat::Message => {
                let has_server = self.settings.text("legacy.url").is_some();
                self.args.reread || (can_be && has_server && has_secrets())
            }
        }
    }
}

/// Microseconds since 1970 UTC.
pub(super) fn now_us() -> i64 {
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
