//! With an unmodified tiberius at the other end.

mod catalogue;
mod faults;
mod paging;
mod types;

use mapping::value::LegacyValue;
use tiberius::{AuthMethod, Client, Config, EncryptionLevel, Row};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use super::*;
use crate::legacy::Values;

type Connection = Client<Compat<TcpStream>>;

const DDL: &str = "
CREATE TABLE dbo.Contract (
  CompanyNo nvarchar(4) NOT NULL, ContractNo nvarchar(20) NOT NULL, Tenant int NULL,
  SignedOn datetime NULL, MonthlyTotal money NULL, Terms nvarchar(max) NULL,
  CONSTRAINT PK_Contract PRIMARY KEY (CompanyNo, ContractNo));
CREATE TABLE dbo.Payment (Oid uniqueidentifier ROWGUIDCOL NOT NULL PRIMARY KEY, Amount smallmoney NULL);
CREATE TABLE dbo.SpaceRate (
  SPACE_ID int NOT NULL, RATE_CODE nvarchar(15) NOT NULL, VALID_FROM datetime NOT NULL, RATE money NULL,
  PRIMARY KEY (SPACE_ID, RATE_CODE, VALID_FROM));
CREATE TABLE dbo.XPObjectType (OID int IDENTITY(1,1) NOT NULL PRIMARY KEY, TypeName nvarchar(254) NULL);";

fn database() -> Database {
    Database::from_ddl("Legacy", "Cyrillic_General_CI_AS", DDL).expect("simulated")
}

async fn start(database: &Database, tls: Tls) -> Server {
    let options = Options { login: "reader".into(), password: "p@ss é".into(), tls, port: 0 };
    Server::start(database.clone(), options).await.expect("a free port")
}

fn config(password: &str, encryption: EncryptionLevel) -> Config {
    let mut config = Config::new();
    config.database("Legacy");
    config.authentication(AuthMethod::sql_server("reader", password));
    config.encryption(encryption);
    config.trust_cert();
    config
}

async fn connect_with(server: &Server, mut config: Config) -> tiberius::Result<Connection> {
    config.host("127.0.0.1");
    config.port(server.address().port());
    let stream = TcpStream::connect(server.address()).await?;
    stream.set_nodelay(true)?;
    // tiberius's handshake is a large future.
    Box::pin(Client::connect(config, stream.compat_write())).await
}

async fn connect_as(
    server: &Server,
    password: &str,
    encryption: EncryptionLevel,
) -> tiberius::Result<Connection> {
    connect_with(server, config(password, encryption)).await
}

async fn connect(server: &Server) -> Connection {
    connect_as(server, "p@ss é", EncryptionLevel::NotSupported).await.expect("accepted")
}

async fn rows(connection: &mut Connection, sql: &str) -> Vec<Row> {
    let result = connection.simple_query(sql).await.expect("sent");
    result.into_first_result().await.expect("rows")
}

async fn refusal(connection: &mut Connection, sql: &str) -> (u32, String) {
    let error = match connection.simple_query(sql).await {
        Err(error) => error,
        Ok(result) => result.into_results().await.expect_err("an error"),
    };
    (error.code().unwrap_or(0), error.to_string())
}

fn text(text: &str) -> LegacyValue<'static> {
    LegacyValue::Text(text.to_owned().into())
}

fn money(unscaled: i128) -> LegacyValue<'static> {
    LegacyValue::Decimal(mapping::value::Decimal { unscaled, scale: 4 })
}

fn contract(company: &str, number: &str) -> Values {
    vec![
        text(company),
        text(number),
        LegacyValue::Int(7),
        LegacyValue::Timestamp(1_700_000_000_003 * 10_000),
        money(12_345_678),
        LegacyValue::Null,
    ]
}
