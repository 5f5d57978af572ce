//! A legacy server with Spacehub's demo data, a Postgres that has been filled from it.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use legacy::session::{KeyRange, LegacyRow, Session};
use mapping::{
    file::MappingFile,
    plan::{
        Context, ObjectTypes, Outcome, Plan, SourceChange, SourceOp, TableId, TablePlan, TableRole,
    },
    position::{Lsn, Position},
};
use reconcile::{Compared, Report, Selection, Settings, Source, Watch};
use sandbox::{legacy::Database, postgres, tds};
use secrecy::SecretString;
use target::{
    Batch, QuarantineEntry, Target,
    batch::ReadCounts,
    connect::{Role, connect},
};

pub(crate) const LOGIN: &str = "ficus";
pub(crate) const PASSWORD: &str = "sandbox-only";

pub(crate) struct Lab {
    pub(crate) database: Database,
    pub(crate) demo: spacehub::demo::Demo,
    pub(crate) server: tds::Server,
    pub(crate) target: Arc<Target>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) types: ObjectTypes,
    /// A superuser's connections, to plant defects with.
    pub(crate) admin: sqlx::PgPool,
}

impl Lab {
    pub(crate) async fn start(rows: u64) -> Self {
        Self::start_by(rows, spacehub::mappings(), ("", None)).await
    }

    /// Filled under another mapping, with more in the database and a place for objects.
    pub(crate) async fn filled_with(
        rows: u64,
        change: &dyn Fn(String) -> String,
        beside: (&'static str, Option<target::ObjectStore>),
    ) -> Self {
        let mut mappings = spacehub::mappings();
        for file in &mut mappings {
            file.text = change(std::mem::take(&mut file.text));
        }
        let lab = Self::start_by(rows, mappings, beside).await;
        lab.copy().await;
        lab
    }

    async fn start_by(
        rows: u64,
        mappings: Vec<MappingFile>,
        (sql, objects): (&'static str, Option<target::ObjectStore>),
    ) -> Self {
        let database = spacehub::demo::empty_database().unwrap();
        database.set_capture_lag(Duration::from_millis(5));
        let demo = spacehub::demo::fill(&database, rows, 7).unwrap();
        let options = tds::Options {
            login: LOGIN.to_owned(),
            password: PASSWORD.to_owned(),
            tls: tds::Tls::Optional,
            port: 0,
        };
        let server = tds::Server::start(database.clone(), options).await.unwrap();
        let plan = Plan::compile(&mappings, &database.catalog()).unwrap();
        let plan = Arc::new(plan);
        let postgres = postgres::fresh_database("reconcile").await.unwrap();
        let url = SecretString::from(postgres.url("postgres"));
        let product: Vec<target::ProductMigration> = spacehub::migrations()
            .iter()
            .map(|one| target::ProductMigration {
                version: one.version,
                name: one.name.to_owned(),
                sql: one.sql.to_owned(),
            })
            .collect();
        target::migrate(&url, &product).await.unwrap();
        let settings =
            target::Settings { url, role: Role::Engine, set_role: true, max_connections: 8 };
        let pool = connect(&settings).await.unwrap();
        let admin = sqlx::PgPool::connect(&postgres.url("postgres")).await.unwrap();
        sqlx::raw_sql(sql).execute(&admin).await.unwrap();
        let target = Target::open(pool, Arc::clone(&plan)).await.unwrap();
        let target = Arc::new(match objects {
            Some(objects) => target.with_objects(objects),
            None => target,
        });
        let mut lab =
            Self { database, demo, server, target, plan, types: ObjectTypes::new(), admin };
        lab.types = lab.session().await.object_types().await.unwrap();
        lab
    }

    /// Filled, with nothing under way.
    pub(crate) async fn filled(rows: u64) -> Self {
        let lab = Self::start(rows).await;
        lab.copy().await;
        lab
    }

    /// [`Lab::filled`] by other mapping files.
    pub(crate) async fn filled_by(rows: u64, mappings: Vec<MappingFile>) -> Self {
        let lab = Self::start_by(rows, mappings, ("", None)).await;
        lab.copy().await;
        lab
    }

    pub(crate) fn login(&self) -> legacy::Settings {
        let address = self.server.address();
        legacy::Settings {
            host: address.ip().to_string(),
            port: address.port(),
            database: spacehub::DATABASE.to_owned(),
            user: LOGIN.to_owned(),
            password: SecretString::from(PASSWORD.to_owned()),
            encryption: legacy::Encryption::Off,
            trust_certificate: true,
        }
    }

    pub(crate) fn source(&self) -> Source {
        Source { reader: self.login(), marker: Some(self.login()) }
    }

    pub(crate) async fn session(&self) -> Session {
        Session::connect(&self.login()).await.unwrap()
    }

    /// What a backfill does, without its chunks.
    pub(crate) async fn copy(&self) {
        let mut session = self.session().await;
        let low = session.capture_state().await.unwrap().max_lsn.unwrap_or_default();
        for table in &self.plan.tables {
            if !matches!(table.role, TableRole::Entities(_)) {
                continue;
            }
            let mut rows = Vec::new();
            let all = KeyRange::default();
            let mut each = |row| {
                rows.push(row);
                true
            };
            session.read_range(table, &all, &mut each).await.unwrap();
            let position = Position::read_after(low);
            for rows in rows.chunks(10_000) {
                let changes = rows.iter().map(|row| Change::read(table.id, row, position));
                self.apply(changes.collect()).await;
            }
        }
    }

    /// Maps and applies some changes of any tables.
    pub(crate) async fn apply(&self, changes: Vec<Change>) {
        let mut batch = Batch::default();
        let mut read: BTreeMap<TableId, ReadCounts> = BTreeMap::new();
        let context = Context { object_types: &self.types, seen_at_us: 1_700_000_000_000_000 };
        for (change, sequence) in changes.iter().zip(0_u32..) {
            let table = self.table(change.table);
            batch.tables.push(change.table);
            let counts = read.entry(change.table).or_default();
            counts.read += 1;
            let source = SourceChange {
                op: change.op,
                values: &change.values,
                position: change.position,
                sequence,
            };
            match table.map(&source, &context, &mut batch.rows) {
                Outcome::Mapped(_) => {}
                Outcome::Ignored(rule) => {
                    *counts.ignored.entry(rule.to_string()).or_default() += 1;
                }
                Outcome::Rejected(rejection) => batch.quarantine.push(QuarantineEntry {
                    table: Some(change.table),
                    entity: rejection.entity,
                    key: rejection.key.clone(),
                    position: change.position,
                    rule: rejection.rule.to_owned(),
                    column: rejection.column.clone(),
                    detail: rejection.detail.clone(),
                    payload: b"{}".to_vec(),
                    payload_key: None,
                    payload_headers: None,
                    whole: true,
                    source: None,
                }),
            }
        }
        batch.read = read;
        self.target.apply(batch).await.unwrap();
    }

    pub(crate) fn table(&self, id: TableId) -> &TablePlan {
        self.plan.tables.iter().find(|table| table.id == id).unwrap()
    }

    /// Says that the stream has passed an LSN.
    pub(crate) async fn pass(&self, lsn: Lsn) {
        sqlx::query(
            "insert into ficus.fence (consumer_group, lsn, topic, partition, end_offset)
             values ('test', $1, 'test', 0, 0) on conflict do nothing",
        )
        .bind(lsn.as_bytes().as_slice())
        .execute(&self.admin)
        .await
        .unwrap();
    }

    pub(crate) async fn sql(&self, sql: &str) -> u64 {
        let query = sqlx::query(sqlx::AssertSqlSafe(sql.to_owned()));
        query
            .execute(&self.admin)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
            .rows_affected()
    }

    pub(crate) async fn text(&self, sql: &str) -> String {
        let query = sqlx::query_scalar::<_, String>(sqlx::AssertSqlSafe(sql.to_owned()));
        query.fetch_one(&self.admin).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    pub(crate) fn settings() -> Settings {
        Settings {
            patience: Duration::from_secs(20),
            capture_patience: Duration::from_secs(10),
            pause: Duration::from_millis(100),
            ..Settings::usual()
        }
    }

    /// Passes whatever is captured at once, without end.
    pub(crate) async fn pass_all(&self) -> Infallible {
        let mut captured = self.database.log().captured();
        loop {
            // A guard that is held while this waits would hold up whoever commits.
            let lsn = *captured.borrow_and_update();
            self.pass(lsn).await;
            captured.changed().await.unwrap();
        }
    }

    /// Runs with every marker passed at once, as with a stream that has nothing to bring.
    pub(crate) async fn run(&self, settings: &Settings, names: &[&str]) -> Report {
        self.compare(settings, names).await.report
    }

    /// [`Lab::run`] with what a repair needs.
    pub(crate) async fn compare(&self, settings: &Settings, names: &[&str]) -> Compared {
        let selection = Selection { names: names.iter().map(ToString::to_string).collect() };
        let source = self.source();
        let watch = Watch::nobody();
        let running = reconcile::compare(
            settings,
            &source,
            Arc::clone(&self.target),
            Arc::clone(&self.plan),
            &selection,
            &watch,
        );
        tokio::select! {
            compared = running => compared.unwrap(),
            never = self.pass_all() => match never {},
        }
    }
}

/// A row on its way.
pub(crate) struct Change {
    pub(crate) table: TableId,
    pub(crate) op: SourceOp,
    pub(crate) values: LegacyRow,
    pub(crate) position: Position,
}

impl Change {
    pub(crate) fn read(table: TableId, values: &LegacyRow, position: Position) -> Self {
        Self { table, op: SourceOp::Upsert, values: values.clone(), position }
    }
}
