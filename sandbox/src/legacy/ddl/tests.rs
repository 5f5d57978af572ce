use super::*;

const SCRIPT: &str = "
/* XPO's habits */
CREATE TABLE [dbo].[Party](
  [OID] int IDENTITY(1,1) NOT FOR REPLICATION NOT NULL, -- key
  [Name] nvarchar(100) NULL, [Price] decimal(28,10) NULL, [Note] nvarchar(max) COLLATE Latin1_General_BIN2 NULL,
  [Type] int NULL,
  CONSTRAINT [PK_Party] PRIMARY KEY CLUSTERED ([OID] ASC),
  CONSTRAINT [FK] FOREIGN KEY ([Type]) REFERENCES [dbo].[Type]([OID]) NOT FOR REPLICATION);
CREATE UNIQUE NONCLUSTERED INDEX [iName_Party]
  ON [dbo].[Party]([Name],[Type]);
CREATE UNIQUE INDEX [iNote_Party] ON [dbo].[Party]([Note]) WHERE ([Note] IS NOT NULL);
CREATE TABLE Link ([Oid] uniqueidentifier ROWGUIDCOL NOT NULL PRIMARY KEY, [When] datetime DEFAULT (getdate()) NOT NULL) ON [PRIMARY]
GO
ALTER TABLE [dbo].[Party] WITH NOCHECK ADD CONSTRAINT [FK2] FOREIGN KEY([Type]) REFERENCES [dbo].[Link]([Oid]) NOT FOR REPLICATION;
ALTER TABLE [dbo].[Party] CHECK CONSTRAINT [FK2]
GO
";

#[test]
fn xpo_scripts_are_read() {
    let tables = read(SCRIPT).expect("read");
    let [party, link] = tables.as_slice() else { panic!("{tables:?}") };
    assert_eq!((party.schema.as_str(), party.name.as_str()), ("dbo", "Party"));
    let types: Vec<&str> = party.columns.iter().map(|c| c.type_name.as_str()).collect();
    assert_eq!(types, ["int", "nvarchar(100)", "decimal(28,10)", "nvarchar(max)", "int"]);
    assert!(party.columns[0].identity && !party.columns[0].nullable);
    assert_eq!(party.columns[3].collation.as_deref(), Some("Latin1_General_BIN2"));
    assert_eq!(party.primary_key, ["OID"]);
    assert_eq!(party.unique[0].name, "iName_Party");
    assert_eq!(party.unique[0].columns, ["Name", "Type"]);
    assert_eq!(party.unique[1].filter.as_deref(), Some("([Note] IS NOT NULL)"));
    let keys: Vec<_> = party.foreign_keys.iter().map(|key| key.name.as_str()).collect();
    assert_eq!(keys, ["FK", "FK2"]);
    assert_eq!(party.foreign_keys[0].references.to_string(), "dbo.Type");
    assert_eq!(party.foreign_keys[0].referenced_columns, ["OID"]);
    assert_eq!(link.primary_key, ["Oid"]);
    assert!(!link.columns[1].nullable);
}

#[test]
fn what_is_not_known_is_an_error_with_its_line() {
    for (script, line, word) in [
        ("\nCREATE VIEW v AS SELECT 1", 2, "VIEW"),
        ("CREATE TABLE t (\n a int,\n b AS (a + 1))", 3, "computed"),
        ("CREATE TABLE t (a int, PRIMARY KEY (a DESC))", 1, "DESC"),
        ("ALTER TABLE missing ADD UNIQUE (a)", 1, "a table above"),
    ] {
        match read(script) {
            Err(Error::Ddl { line: found, problem }) => {
                assert_eq!(found, line, "{script}: {problem}");
                assert!(problem.contains(word), "{script}: {problem}");
            }
            other => panic!("{script}: {other:?}"),
        }
    }
}

#[test]
fn the_whole_spacehub_schema_is_read() {
    let script = include_str!("../../../../spacehub/legacy/spacehub23.sql");
    let tables = read(script).expect("read");
    assert_eq!(tables.len(), 24);
    assert!(tables.iter().all(|table| !table.primary_key.is_empty()));
    assert_eq!(tables.iter().map(|table| table.unique.len()).sum::<usize>(), 6);
    let database =
        crate::legacy::Database::from_ddl("Spacehub23", "Cyrillic_General_CI_AS", script);
    assert_eq!(database.expect("simulated").catalog().tables.len(), 25);
}
