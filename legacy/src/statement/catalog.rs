//! Questions to the catalogue and to CDC. Answered by name and order of columns, which
//! `crate::catalog` relies on.

use mapping::catalog::LegacyTable;

use super::{Ident, Parameter, Statement, TableIdent};

/// <https://learn.microsoft.com/sql/t-sql/functions/databasepropertyex-transact-sql>
const DATABASE: &str = "SELECT DB_NAME() AS [name], CAST(DATABASEPROPERTYEX(DB_NAME(), 'Collation') AS nvarchar(128)) AS [collation]";

/// <https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-databases-transact-sql>
const CDC_ENABLED: &str =
    "SELECT d.is_cdc_enabled FROM sys.databases AS d WHERE d.name = DB_NAME()";

/// <https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-columns-transact-sql>
const COLUMNS: &str = "SELECT s.name AS schema_name, t.name AS table_name, c.name AS column_name, ty.name AS type_name, c.max_length, c.precision, c.scale, c.is_nullable, c.is_identity, c.is_computed, c.collation_name FROM sys.tables AS t JOIN sys.schemas AS s ON s.schema_id = t.schema_id JOIN sys.columns AS c ON c.object_id = t.object_id JOIN sys.types AS ty ON ty.user_type_id = c.user_type_id WHERE t.is_ms_shipped = 0 ORDER BY s.name, t.name, c.column_id";

/// Not `INFORMATION_SCHEMA` or `sys.key_constraints`: those are not filled on every server.
/// <https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-index-columns-transact-sql>
const KEYS: &str = "SELECT s.name AS schema_name, t.name AS table_name, c.name AS column_name FROM sys.indexes AS i JOIN sys.index_columns AS ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id JOIN sys.tables AS t ON t.object_id = i.object_id JOIN sys.schemas AS s ON s.schema_id = t.schema_id JOIN sys.columns AS c ON c.object_id = ic.object_id AND c.column_id = ic.column_id WHERE i.is_primary_key = 1 ORDER BY s.name, t.name, ic.key_ordinal";

/// Unique constraints are unique indexes too. A disabled index keeps nothing unique.
/// <https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-indexes-transact-sql>
const UNIQUE_INDEXES: &str = "SELECT s.name AS schema_name, t.name AS table_name, i.name AS index_name, i.filter_definition, c.name AS column_name FROM sys.indexes AS i JOIN sys.index_columns AS ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id JOIN sys.tables AS t ON t.object_id = i.object_id JOIN sys.schemas AS s ON s.schema_id = t.schema_id JOIN sys.columns AS c ON c.object_id = ic.object_id AND c.column_id = ic.column_id WHERE i.is_unique = 1 AND i.is_primary_key = 0 AND i.is_disabled = 0 AND i.is_hypothetical = 0 AND ic.is_included_column = 0 ORDER BY s.name, t.name, i.name, ic.key_ordinal";

/// <https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-foreign-key-columns-transact-sql>
const FOREIGN_KEYS: &str = "SELECT s.name AS schema_name, t.name AS table_name, f.name AS key_name, c.name AS column_name, rs.name AS referenced_schema, rt.name AS referenced_table, rc.name AS referenced_column FROM sys.foreign_keys AS f JOIN sys.foreign_key_columns AS fc ON fc.constraint_object_id = f.object_id JOIN sys.tables AS t ON t.object_id = f.parent_object_id JOIN sys.schemas AS s ON s.schema_id = t.schema_id JOIN sys.columns AS c ON c.object_id = fc.parent_object_id AND c.column_id = fc.parent_column_id JOIN sys.tables AS rt ON rt.object_id = f.referenced_object_id JOIN sys.schemas AS rs ON rs.schema_id = rt.schema_id JOIN sys.columns AS rc ON rc.object_id = fc.referenced_object_id AND rc.column_id = fc.referenced_column_id ORDER BY s.name, t.name, f.name, fc.constraint_column_id";

/// At most two instances a table; the newest comes last.
/// <https://learn.microsoft.com/sql/relational-databases/system-tables/cdc-change-tables-transact-sql>
const CAPTURE_INSTANCES: &str = "SELECT s.name AS schema_name, t.name AS table_name, ct.capture_instance FROM cdc.change_tables AS ct JOIN sys.tables AS t ON t.object_id = ct.source_object_id JOIN sys.schemas AS s ON s.schema_id = t.schema_id ORDER BY ct.start_lsn";

/// What each instance carries: fixed when it was made.
/// <https://learn.microsoft.com/sql/relational-databases/system-tables/cdc-captured-columns-transact-sql>
const CAPTURED_COLUMNS: &str = "SELECT s.name AS schema_name, t.name AS table_name, ct.capture_instance, cc.column_name FROM cdc.captured_columns AS cc JOIN cdc.change_tables AS ct ON ct.object_id = cc.object_id JOIN sys.tables AS t ON t.object_id = ct.source_object_id JOIN sys.schemas AS s ON s.schema_id = t.schema_id ORDER BY ct.start_lsn, cc.column_ordinal";

/// Indexes and LOB pages are counted in; a page has 8 KiB.
/// <https://learn.microsoft.com/sql/relational-databases/system-dynamic-management-views/sys-dm-db-partition-stats-transact-sql>
const SIZES: &str = "SELECT s.name AS schema_name, t.name AS table_name, SUM(CASE WHEN p.index_id IN (0, 1) THEN p.row_count ELSE 0 END) AS [rows], SUM(p.used_page_count) AS [pages] FROM sys.dm_db_partition_stats AS p JOIN sys.tables AS t ON t.object_id = p.object_id JOIN sys.schemas AS s ON s.schema_id = t.schema_id GROUP BY s.name, t.name ORDER BY s.name, t.name";

/// <https://learn.microsoft.com/sql/relational-databases/system-dynamic-management-views/sys-dm-db-partition-stats-transact-sql>
const ROW_COUNT: &str = "SELECT SUM(p.row_count) AS [rows] FROM sys.dm_db_partition_stats AS p WHERE p.object_id = OBJECT_ID(@P1) AND p.index_id IN (0, 1)";

/// <https://learn.microsoft.com/sql/relational-databases/system-functions/sys-fn-cdc-get-max-lsn-transact-sql>
const MAX_LSN: &str = "SELECT sys.fn_cdc_get_max_lsn() AS [lsn]";

/// <https://learn.microsoft.com/sql/relational-databases/system-functions/sys-fn-cdc-get-min-lsn-transact-sql>
const MIN_LSN: &str = "SELECT sys.fn_cdc_get_min_lsn(@P1) AS [lsn]";

impl Statement {
    pub(crate) fn database() -> Self {
        Self::plain(DATABASE).counted()
    }

    pub(crate) fn cdc_enabled() -> Self {
        Self::plain(CDC_ENABLED).counted()
    }

    pub(crate) fn columns() -> Self {
        Self::plain(COLUMNS).counted()
    }

    pub(crate) fn keys() -> Self {
        Self::plain(KEYS).counted()
    }

    pub(crate) fn unique_indexes() -> Self {
        Self::plain(UNIQUE_INDEXES).counted()
    }

    pub(crate) fn foreign_keys() -> Self {
        Self::plain(FOREIGN_KEYS).counted()
    }

    pub(crate) fn captured_columns() -> Self {
        Self::plain(CAPTURED_COLUMNS).counted()
    }

    pub(crate) fn sizes() -> Self {
        Self::plain(SIZES).counted()
    }

    pub(crate) fn capture_instances() -> Self {
        Self::plain(CAPTURE_INSTANCES).counted()
    }

    pub(crate) fn row_count(table: &LegacyTable) -> Self {
        let name = TableIdent::new(table).to_string();
        Self { text: ROW_COUNT.to_owned(), parameters: vec![Parameter::text(name)] }.counted()
    }

    pub(crate) fn max_lsn() -> Self {
        Self::plain(MAX_LSN).counted()
    }

    pub(crate) fn min_lsn(capture_instance: &str) -> Self {
        let parameters = vec![Parameter::text(capture_instance)];
        Self { text: MIN_LSN.to_owned(), parameters }.counted()
    }

    /// The newest change of an instance: the change table is clustered by its LSN.
    /// <https://learn.microsoft.com/sql/relational-databases/system-tables/cdc-capture-instance-ct-transact-sql>
    pub(crate) fn last_change(capture_instance: &str) -> Self {
        let table = Ident::new(&format!("{capture_instance}_CT"));
        Self::plain(format!("SELECT MAX([__$start_lsn]) AS [lsn] FROM [cdc].{table}")).counted()
    }
}
