//! A database as `ficus migrate` leaves it, with the rows of `data.sql`, and servers on it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use api::{identity::Identity, reference::LegacyKeys};
use mapping::plan::Plan;
use sandbox::postgres::{Database, copied_database, fresh_database};
use secrecy::SecretString;
use sqlx::{AssertSqlSafe, PgPool, postgres::PgPoolOptions};
use target::Role;
use tokio::{sync::OnceCell, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::client::Client;

/// The migrated tables by the number that `data.sql` gives them, with what one owner has.
pub(crate) const TABLES: [(&str, u32, u32); 18] = [
    ("property_owners", 1, 1),
    ("tenants", 2, 3),
    ("properties", 3, 3),
    ("property_owner_links", 4, 3),
    ("spaces", 5, 3),
    ("space_rates", 6, 3),
    ("contracts", 7, 3),
    ("contract_items", 8, 3),
    ("invoices", 9, 3),
    ("invoice_lines", 10, 3),
    ("payments", 11, 3),
    ("payment_allocations", 12, 3),
    ("users", 13, 1),
    ("roles", 14, 1),
    ("user_roles", 15, 1),
    ("user_logins", 16, 1),
    ("files", 17, 3),
    ("contract_attachments", 18, 3),
];

/// The id that `made.id` makes.
pub(crate) fn id(kind: u32, owner: u32, n: u32) -> Uuid {
    let low = u128::from(kind) * 1_000_000 + u128::from(owner) * 10_000 + u128::from(n);
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 | low)
}

pub(crate) fn staff() -> Identity {
    Identity { user_id: id(13, 3, 1), owner_id: None, role: "staff".to_owned() }
}

pub(crate) fn owner(number: u32) -> Identity {
    let owner_id = Some(id(1, number, 1));
    Identity { user_id: id(13, number, 1), owner_id, role: "owner".to_owned() }
}

/// The canonical keys as the mapping makes them.
pub(crate) fn legacy_keys() -> LegacyKeys {
    let catalog = spacehub::catalog().expect("the DDL");
    let plan = Plan::compile(&spacehub::mappings(), &catalog).expect("the mapping");
    Arc::new(move |entity, text| {
        let root = plan.entity(entity)?.parts.first()?.table;
        let table = plan.tables.iter().find(|table| table.id == root)?;
        Some(table.key_from_text(text)?.as_bytes().to_vec())
    })
}

/// Small, so that a test meets it.
pub(crate) const ATTACHMENT_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Without TLS, and in seconds what takes minutes otherwise.
pub(crate) fn sessions_of_the_test() -> api::sessions::Settings {
    let mut settings = api::sessions::Settings::with_key(b"of the test, too".to_vec());
    settings.cookie_secure = false;
    settings
}

pub(crate) struct Lab {
    database: Database,
    /// As the superuser, whom row level security does not bind.
    pub(crate) admin: PgPool,
    /// Where the files are that the API takes.
    pub(crate) objects: tempfile::TempDir,
}

impl Lab {
    /// A copy of one that was made once.
    pub(crate) async fn new() -> Self {
        static TEMPLATE: OnceCell<String> = OnceCell::const_new();
        let template = TEMPLATE.get_or_init(template).await;
        let database = copied_database(template, "lab").await.expect("a copy");
        let admin = pool(&database.url("postgres"), 4).await;
        let objects = tempfile::tempdir().expect("a folder");
        Self { database, admin, objects }
    }

    /// As the API's role: a login of its own, that is a member of `ficus_api` and nothing else.
    pub(crate) async fn api_pool(&self, connections: u32) -> PgPool {
        let url = SecretString::from(self.database.url("postgres"));
        let settings =
            target::Settings { url, role: Role::Api, set_role: true, max_connections: connections };
        target::connect(&settings).await.expect("a pool")
    }

    /// As any login.
    pub(crate) async fn pool_as(&self, login: &str) -> PgPool {
        pool(&self.database.url(login), 2).await
    }

    pub(crate) async fn sql(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&self.admin).await.expect("the SQL");
    }

    pub(crate) async fn token(&self, identity: &Identity) -> String {
        let pool = self.api_pool(1).await;
        let hour = Duration::from_secs(3600);
        let token = api::identity::open_session(&pool, identity, hour).await.expect("a session");
        pool.close().await;
        token
    }

    fn object_store(&self) -> target::ObjectStore {
        let url = format!("file://{}", self.objects.path().display());
        target::ObjectStore::open(&url, []).expect("a store")
    }

    pub(crate) async fn serve(&self) -> Server {
        self.serve_with(self.api_pool(4).await, None).await
    }

    pub(crate) async fn serve_with(&self, pool: PgPool, legacy_http: Option<String>) -> Server {
        let (sessions, limits) = (sessions_of_the_test(), api::limits::Settings::unlimited());
        self.serve_set(pool, legacy_http, sessions, limits).await
    }

    pub(crate) async fn serve_set(
        &self,
        pool: PgPool,
        legacy_http: Option<String>,
        sessions: api::sessions::Settings,
        limits: api::limits::Settings,
    ) -> Server {
        let settings = api::Settings { legacy_http, sessions, limits, ..self.settings() };
        serve(settings, pool).await
    }

    /// With files anywhere, and larger ones.
    pub(crate) async fn serve_objects(&self, objects: target::ObjectStore) -> Server {
        let (objects, attachment_bytes_max) = (Some(objects), 64 * 1024 * 1024);
        let settings = api::Settings { objects, attachment_bytes_max, ..self.settings() };
        serve(settings, self.api_pool(4).await).await
    }

    fn settings(&self) -> api::Settings {
        api::Settings {
            listen: "127.0.0.1:0".parse().expect("an address"),
            legacy_http: None,
            cursor_key: b"of the test".to_vec(),
            legacy_keys: legacy_keys(),
            objects: Some(self.object_store()),
            attachment_bytes_max: ATTACHMENT_BYTES_MAX,
            sessions: sessions_of_the_test(),
            limits: api::limits::Settings::unlimited(),
            dependencies: Vec::new(),
        }
    }
}

async fn serve(settings: api::Settings, pool: PgPool) -> Server {
    let stop = CancellationToken::new();
    let bound = api::bind(settings, pool.clone(), stop.clone()).await.expect("a server");
    let address = bound.address().expect("an address");
    let task = tokio::spawn(bound.serve(stop.clone()));
    Server { address, pool, stop, task }
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) pool: PgPool,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// A client that shows the token, or none.
    pub(crate) fn client(&self, token: &str) -> Client {
        Client::new(self.address, token)
    }
}

/// For whoever runs the tests.
#[expect(clippy::print_stderr, reason = "the output of a test")]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}

async fn pool(url: &str, connections: u32) -> PgPool {
    let options = PgPoolOptions::new().max_connections(connections);
    options.connect(url).await.expect("a pool")
}

async fn template() -> String {
    let database = fresh_database("api").await.expect("a database");
    let url = database.url("postgres");
    let product: Vec<target::ProductMigration> = spacehub::migrations()
        .iter()
        .map(|migration| target::ProductMigration {
            version: migration.version,
            name: migration.name.to_owned(),
            sql: migration.sql.to_owned(),
        })
        .collect();
    target::migrate(&SecretString::from(url.clone()), &product).await.expect("migrated");
    let pool = pool(&url, 1).await;
    sqlx::raw_sql(include_str!("data.sql")).execute(&pool).await.expect("the rows");
    let keys = legacy_keys();
    for (owner, n) in (1..=3).flat_map(|owner| (1..=3).map(move |n| (owner, n))) {
        let key = keys("contracts", &format!("C{owner}/A~1{n}")).expect("a key");
        sqlx::query(
            "insert into ficus.key_map (entity, key, id) \
             select id, $1, $2 from ficus.entity where name = 'contracts'",
        )
        .bind(key)
        .bind(id(7, owner, n))
        .execute(&pool)
        .await
        .expect("a key");
    }
    pool.close().await;
    database.name
}
