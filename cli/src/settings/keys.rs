//! Every key there is: one table for the file, the environment, `config show` and the README.

mod serving;

/// What a value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// A text that is never printed; may be given as `<key>_file` too.
    Secret,
    /// A URL that may carry a password: printed without it; may be given as `<key>_file` too.
    Url,
    /// A whole number in this range.
    Number(u64, u64),
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// A key of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    /// `section.key`.
    pub(crate) name: &'static str,
    /// What its value must be.
    pub(crate) kind: Kind,
    /// The default, where there is one.
    pub(crate) default: Option<&'static str>,
    /// One line for people.
    pub(crate) help: &'static str,
}

const fn key(
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    help: &'static str,
) -> Key {
    Key { name, kind, default, help }
}

/// All keys, in the order of the file.
pub(crate) fn keys() -> impl Iterator<Item = &'static Key> {
    MOVING.iter().chain(serving::SERVING)
}

/// What moves and proves.
const MOVING: &[Key] = &[
    key(
        "legacy.url",
        Kind::Url,
        None,
        "the legacy server, read-only login: mssql://user@host:1433/database",
    ),
    key("legacy.password", Kind::Secret, None, "password of that login"),
    key(
        "legacy.marker_url",
        Kind::Url,
        None,
        "the marker's own login (writes dbo.ficus_marker only); default: legacy.url",
    ),
    key(
        "legacy.marker_password",
        Kind::Secret,
        None,
        "password of the marker's login; default: legacy.password",
    ),
    key(
        "legacy.catalog",
        Kind::Text,
        None,
        "saved catalogue (ficus catalog save); default: read over TDS",
    ),
    key(
        "legacy.http",
        Kind::Text,
        None,
        "base URL of the legacy application, for requests of domains not cut over",
    ),
    key("kafka.bootstrap", Kind::Text, None, "Kafka brokers, host:port[,host:port]"),
    key("kafka.topic_prefix", Kind::Text, None, "Debezium's topic.prefix"),
    key(
        "kafka.group",
        Kind::Text,
        Some("ficus"),
        "consumer group; positions live in Postgres under this name",
    ),
    key(
        "kafka.decimal_mode",
        Kind::Choice(&["precise", "string", "double"]),
        Some("precise"),
        "decimal.handling.mode of the connector, for messages without a schema",
    ),
    key(
        "kafka.time_mode",
        Kind::Choice(&[
            "adaptive",
            "adaptive_time_microseconds",
            "connect",
            "isostring",
            "microseconds",
            "nanoseconds",
        ]),
        Some("adaptive"),
        "time.precision.mode of the connector, likewise",
    ),
    key(
        "kafka.binary_mode",
        Kind::Choice(&["bytes", "base64", "base64-url-safe", "hex"]),
        Some("bytes"),
        "binary.handling.mode of the connector, likewise",
    ),
    key(
        "kafka.instance",
        Kind::Text,
        None,
        "this process's own name in the group, the same after a restart: it is back at once",
    ),
    key(
        "kafka.session_timeout_ms",
        Kind::Number(100, 3_600_000),
        Some("10000"),
        "milliseconds after which a silent process loses its partitions",
    ),
    key(
        "kafka.offset_gaps",
        Kind::Choice(&["stop", "allow"]),
        Some("stop"),
        "missing offsets: allow where topics are compacted or the producer is transactional",
    ),
    key(
        "kafka.lost_offsets",
        Kind::Choice(&["stop", "accept"]),
        Some("stop"),
        "messages deleted unread: accept once, after the tables were backfilled again",
    ),
    key("target.url", Kind::Url, None, "Postgres; each role below falls back to it with SET ROLE"),
    key("target.owner_url", Kind::Url, None, "login that migrates (ficus_owner)"),
    key("target.engine_url", Kind::Url, None, "login of the engine (ficus_engine)"),
    key(
        "target.api_url",
        Kind::Url,
        None,
        "login of the API (ficus_api): neither owner nor BYPASSRLS",
    ),
    key("target.reader_url", Kind::Url, None, "login of reports (ficus_reader)"),
    key("target.work_url", Kind::Url, None, "login of the workers (ficus_work)"),
    key(
        "objects.url",
        Kind::Url,
        None,
        "where lob = \"object-store\" puts its content: file:///srv/objects (a folder that is there) or s3://bucket/path",
    ),
    key("product.mappings", Kind::Text, Some("spacehub/mappings"), "folder of mapping files"),
    key(
        "product.migrations",
        Kind::Text,
        Some("migrations/spacehub"),
        "folder of the product's migrations",
    ),
    key(
        "backfill.readers",
        Kind::Number(1, 64),
        Some("2"),
        "parallel readers of the legacy server",
    ),
    key(
        "backfill.chunk_rows",
        Kind::Number(100, 100_000_000),
        Some("100000"),
        "rows in a chunk at most, about; smaller tables have smaller ones",
    ),
    key("backfill.batch_rows", Kind::Number(1, 1_000_000), Some("10000"), "rows in a transaction"),
    key(
        "backfill.quarantine_in_a_row_max",
        Kind::Number(1, 1_000_000_000),
        Some("1000"),
        "so many rows of a table in a row that go to quarantine give it up",
    ),
    key(
        "backfill.rows_per_second",
        Kind::Number(0, 1_000_000_000),
        Some("0"),
        "rows that a process reads a second at most; 0: as many as it can",
    ),
    key(
        "backfill.statement_ms",
        Kind::Number(0, 3_600_000),
        Some("10000"),
        "milliseconds that one statement should read; the rows it asks for adapt. 0: any time",
    ),
    key(
        "backfill.timeout_ms",
        Kind::Number(100, 86_400_000),
        Some("300000"),
        "milliseconds that the legacy server may take to begin an answer",
    ),
    key(
        "backfill.between",
        Kind::Text,
        None,
        "hours in which the legacy server may be read: 22:00-05:00 Asia/Ulaanbaatar",
    ),
    key(
        "backfill.busy_query",
        Kind::Text,
        None,
        "T-SQL, sent as it stands between chunks: a first value other than 0 or NULL means busy",
    ),
    key(
        "backfill.busy_wait_ms",
        Kind::Number(100, 3_600_000),
        Some("5000"),
        "milliseconds that a busy server is left alone before it is asked again",
    ),
    key(
        "consume.batch_rows_max",
        Kind::Number(1, 1_000_000),
        Some("10000"),
        "events in a transaction at most",
    ),
    key(
        "consume.batch_bytes_max",
        Kind::Number(1024, 1 << 32),
        Some("16777216"),
        "bytes of events in a transaction at most",
    ),
    key(
        "consume.batch_age_ms_max",
        Kind::Number(1, 60_000),
        Some("20"),
        "milliseconds that an event waits for company at most",
    ),
    key(
        "consume.atomic",
        Kind::Choice(&["no", "yes"]),
        Some("no"),
        "never break a legacy transaction apart; needs all partitions for one process",
    ),
    key(
        "consume.atomic_bytes_max",
        Kind::Number(1 << 20, 1 << 36),
        Some("134217728"),
        "with consume.atomic: bytes of messages that may wait for their transactions",
    ),
    key(
        "consume.drift",
        Kind::Text,
        Some("unknown=report, missing=stop, retyped=stop"),
        "columns that surprise: report, quarantine or stop; for one table: dbo.Payment:missing=report",
    ),
    key(
        "consume.quarantine_in_a_row_max",
        Kind::Number(1, 1_000_000),
        Some("100"),
        "so many events of a table that go to quarantine in a row stop it",
    ),
    key(
        "consume.gap_check_ms",
        Kind::Number(1_000, 86_400_000),
        Some("60000"),
        "how often CDC is asked whether it removed changes unread",
    ),
    key(
        "reconcile.patience_ms",
        Kind::Number(0, 86_400_000),
        Some("60000"),
        "milliseconds to wait for rows in flight",
    ),
    key(
        "reconcile.rows_per_second",
        Kind::Number(0, 1_000_000_000),
        Some("0"),
        "legacy rows that a comparison reads in a second at most; 0 for no limit",
    ),
    key(
        "reconcile.readers",
        Kind::Number(1, 64),
        Some("2"),
        "parallel readers of each side while comparing",
    ),
    key(
        "reconcile.independent_rows",
        Kind::Number(0, 1_000_000),
        Some("200"),
        "rows of each entity that a full reconcile checks by independent rules, about; 0 for none",
    ),
    key(
        "reconcile.verdict_age_ms_max",
        Kind::Number(1_000, 8_640_000_000),
        Some("90000000"),
        "age at which a verdict is stale, for reports and for the schedule; 25 hours",
    ),
    key("schedule.full", Kind::Text, None, "cron expression of full reports, such as 0 5 * * *"),
    key("schedule.sample", Kind::Text, None, "cron expression of samples, such as */15 * * * *"),
    key("schedule.sample_percent", Kind::Text, Some("1"), "the share that a sample looks at"),
    key("schedule.names", Kind::Text, None, "domains or entities, with commas; default: all"),
    key("schedule.zone", Kind::Text, Some("UTC"), "time zone of the cron expressions"),
    key(
        "schedule.webhook",
        Kind::Secret,
        None,
        "http(s) address that is told as JSON what is wrong (it may hold a token)",
    ),
    key(
        "cutover.lag_ms_max",
        Kind::Number(0, 86_400_000),
        Some("10000"),
        "the stream's lag at which the gate is still green",
    ),
    key(
        "cutover.verdict_age_ms_max",
        Kind::Number(0, 864_000_000),
        Some("3600000"),
        "age at which a verdict is too old for a cutover, stale or not; an hour",
    ),
    key("log.level", Kind::Text, Some("warn"), "filter, such as info or target=debug,warn"),
    key(
        "log.format",
        Kind::Choice(&["text", "json"]),
        Some("text"),
        "text for people, json for machines",
    ),
];

/// A key by name.
pub(crate) fn find(name: &str) -> Option<&'static Key> {
    keys().find(|key| key.name == name)
}
