//! A server with a few tables, and the plan of them.

use legacy::{Encryption, KeyRange, LegacyRow, Session, Settings};
use mapping::{
    file::MappingFile,
    plan::{Plan, TablePlan},
    value::{Decimal, LegacyValue},
};
use sandbox::{
    legacy::Database,
    tds::{Options, Server, Tls},
};
use secrecy::SecretString;
use uuid::Uuid;

const DDL: &str = "
CREATE TABLE [dbo].[XPObjectType]([OID] int IDENTITY(1,1) NOT NULL, [TypeName] nvarchar(254) NULL,
  [AssemblyName] nvarchar(254) NULL, CONSTRAINT [PK_XPObjectType] PRIMARY KEY CLUSTERED ([OID]));
CREATE TABLE [dbo].[Payment]([Oid] uniqueidentifier ROWGUIDCOL NOT NULL, [Amount] money NULL,
  [Note] nvarchar(max) NULL, CONSTRAINT [PK_Payment] PRIMARY KEY CLUSTERED ([Oid]));
CREATE TABLE [dbo].[Contract]([CompanyNo] nvarchar(4) NOT NULL, [ContractNo] nvarchar(20) NOT NULL,
  [Total] smallmoney NULL, CONSTRAINT [PK_Contract] PRIMARY KEY CLUSTERED ([CompanyNo],[ContractNo]));
CREATE TABLE [dbo].[Rate]([Space] int NOT NULL, [Code] nvarchar(15) NOT NULL,
  [ValidFrom] datetime NOT NULL, [Rate] decimal(28,10) NULL,
  CONSTRAINT [PK_Rate] PRIMARY KEY CLUSTERED ([Space],[Code],[ValidFrom]));
CREATE TABLE [dbo].[Import]([Line] int NULL, [Company] nvarchar(4) NULL, [Number] nvarchar(20) NULL,
  [Sum] money NULL);
CREATE UNIQUE NONCLUSTERED INDEX [iOidAmount_Payment] ON [dbo].[Payment]([Oid],[Amount]);
CREATE UNIQUE NONCLUSTERED INDEX [iAmount_Payment] ON [dbo].[Payment]([Amount]) WHERE ([Amount] IS NOT NULL);
ALTER TABLE [dbo].[Import] WITH NOCHECK ADD CONSTRAINT [FK_Import_Line] FOREIGN KEY([Line]) REFERENCES [dbo].[XPObjectType]([OID]) NOT FOR REPLICATION;
ALTER TABLE [dbo].[Import] WITH NOCHECK ADD CONSTRAINT [FK_Import_Contract] FOREIGN KEY([Company],[Number]) REFERENCES [dbo].[Contract]([CompanyNo],[ContractNo]) NOT FOR REPLICATION;
GO
";

const MAPPING: &str = r#"
domain = "all"

[[entity]]
name = "payments"
from = "dbo.Payment"
[entity.columns]
amount = { from = "Amount", as = "numeric", scale = 4 }
note = { from = "Note", as = "text" }

[[entity]]
name = "contracts"
from = "dbo.Contract"
[entity.columns]
company = { from = "CompanyNo", as = "text" }
number = { from = "ContractNo", as = "text" }
total = { from = "Total", as = "numeric", scale = 4 }

[[entity]]
name = "rates"
from = "dbo.Rate"
[entity.columns]
space = { from = "Space", as = "int4" }
code = { from = "Code", as = "text" }
valid_from = { from = "ValidFrom", as = "timestamp" }
rate = { from = "Rate", as = "numeric", scale = 10 }
"#;

/// Spellings that a Cyrillic, case-insensitive collation sorts otherwise than bytes.
const TEXTS: [&str; 9] = ["a", "B ", "Ba", "b-a", "Ё1", "е2", "Ж", "ж1", "_"];

const NULL: LegacyValue<'static> = LegacyValue::Null;

pub(crate) struct Fixture {
    pub(crate) database: Database,
    pub(crate) server: Server,
    pub(crate) settings: Settings,
    pub(crate) plan: Plan,
    is_other: bool,
}

pub(crate) fn text(text: impl Into<String>) -> LegacyValue<'static> {
    LegacyValue::Text(text.into().into())
}

pub(crate) fn decimal(unscaled: i128, scale: u8) -> LegacyValue<'static> {
    LegacyValue::Decimal(Decimal { unscaled, scale })
}

impl Fixture {
    pub(crate) async fn start(tls: Tls) -> Self {
        let database = Database::from_ddl("Legacy", "Cyrillic_General_CI_AS", DDL).unwrap();
        fill(&database);
        let options =
            Options { login: "ficus".to_owned(), password: "p@ss é".to_owned(), tls, port: 0 };
        let server = Server::start(database.clone(), options).await.unwrap();
        let settings = Settings {
            host: "127.0.0.1".to_owned(),
            port: server.address().port(),
            database: "Legacy".to_owned(),
            user: "ficus".to_owned(),
            password: SecretString::from("p@ss é"),
            encryption: if tls == Tls::Off { Encryption::Off } else { Encryption::Required },
            trust_certificate: true,
        };
        let files = [
            MappingFile { name: "all.toml".to_owned(), text: MAPPING.to_owned() },
            MappingFile {
                name: "ignored.toml".to_owned(),
                text: "object_types = \"dbo.XPObjectType\"".to_owned(),
            },
        ];
        let plan = Plan::compile(&files, &database.catalog()).unwrap();
        Self { database, server, settings, plan, is_other: false }
    }

    pub(crate) async fn plain() -> Self {
        Self::start(Tls::Off).await
    }

    /// The server of `FICUS_TEST_LEGACY_URL` where there is one; for tests that only read.
    pub(crate) async fn any() -> Self {
        let mut fixture = Self::plain().await;
        if crate::other::is_there() {
            fixture.settings = crate::other::server(&fixture.database).await.settings.clone();
            fixture.is_other = true;
        }
        fixture
    }

    pub(crate) async fn session(&self) -> Session {
        Session::connect(&self.settings).await.unwrap()
    }

    pub(crate) fn table(&self, name: &str) -> &TablePlan {
        self.plan.table("dbo", name).unwrap()
    }

    /// What the table holds, in the server's own order: another server may sort GUIDs and texts
    /// otherwise than SQL Server does, and nothing of the engine may mind.
    pub(crate) async fn ordered(&self, name: &str) -> Vec<LegacyRow> {
        let stored = self.stored(name);
        if !self.is_other {
            return stored;
        }
        let mut read = Vec::new();
        let mut each = |row| {
            read.push(row);
            true
        };
        let mut session = self.session().await;
        session.read_range(self.table(name), &KeyRange::default(), &mut each).await.unwrap();
        assert_eq!(sorted(&read), sorted(&stored), "{name}");
        read
    }

    /// What the table holds, in SQL Server's key order, as the plan reads it.
    pub(crate) fn stored(&self, name: &str) -> Vec<LegacyRow> {
        self.database.rows(&format!("dbo.{name}")).unwrap()
    }
}

/// In an order of no server.
pub(crate) fn sorted(rows: &[LegacyRow]) -> Vec<String> {
    let mut rows: Vec<String> = rows.iter().map(|row| format!("{row:?}")).collect();
    rows.sort();
    rows
}

fn fill(database: &Database) {
    let types = (1..4).map(|n| vec![LegacyValue::Int(n), text(format!("Type{n}")), text("Module")]);
    database.load("dbo.XPObjectType", types).unwrap();
    let payment = |n: i64| {
        // Every byte of the GUID matters to SQL Server's order, the last group most.
        let seed = u128::try_from(n).unwrap();
        let guid = Uuid::from_u128(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835));
        let note =
            if seed.is_multiple_of(7) { LegacyValue::Null } else { text(format!("Бат {n}")) };
        vec![LegacyValue::Guid(guid), decimal(i128::from(i64::MAX - n), 4), note]
    };
    database.load("dbo.Payment", (1..2500).map(payment)).unwrap();
    let contracts = TEXTS.iter().flat_map(|company| {
        (0..40_usize).map(move |n| {
            let number = format!("{}{n:03} ", TEXTS[n % TEXTS.len()]);
            let company: String = company.chars().take(4).collect();
            vec![text(company), text(number), decimal(i128::try_from(n).unwrap() - 20, 4)]
        })
    });
    database.load("dbo.Contract", contracts).unwrap();
    let moment = |n: i64| {
        // 1/300 s steps, as SQL Server prints them.
        let steps = n % 3;
        LegacyValue::Timestamp(
            17_092_124_550_000_000 + (n / 3 * 10 + (steps * 10 + 1) / 3) * 10_000,
        )
    };
    let rates = (0..4).flat_map(|space| {
        (0..300).map(move |n| {
            let code = text(TEXTS[usize::try_from(n % 9).unwrap()]);
            vec![LegacyValue::Int(space), code, moment(n / 9), decimal(i128::from(n), 10)]
        })
    });
    let mut seen = std::collections::BTreeSet::new();
    let rates = rates.filter(|row| seen.insert(format!("{row:?}")));
    database.load("dbo.Rate", rates.collect::<Vec<_>>()).unwrap();
    let imports =
        (0..2100).map(|n| vec![LegacyValue::Int(n), NULL, NULL, decimal(i128::from(n), 4)]);
    database.load("dbo.Import", imports).unwrap();
}
