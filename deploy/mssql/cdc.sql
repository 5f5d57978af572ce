-- CDC on every table, a retention that survives a long week-end, and logins of least rights.
IF OBJECT_ID('dbo.ficus_marker') IS NULL
    CREATE TABLE dbo.ficus_marker (
        token uniqueidentifier NOT NULL CONSTRAINT PK_ficus_marker PRIMARY KEY,
        at datetime NOT NULL);
GO
IF (SELECT is_cdc_enabled FROM sys.databases WHERE name = DB_NAME()) = 0
    EXEC sys.sp_cdc_enable_db;
GO
DECLARE @table sysname;
DECLARE tables CURSOR LOCAL FAST_FORWARD FOR
    SELECT t.name FROM sys.tables AS t
    WHERE t.is_ms_shipped = 0 AND t.schema_id = SCHEMA_ID('dbo') AND t.is_tracked_by_cdc = 0;
OPEN tables;
FETCH NEXT FROM tables INTO @table;
WHILE @@FETCH_STATUS = 0
BEGIN
    EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = @table,
        @role_name = NULL, @supports_net_changes = 0;
    FETCH NEXT FROM tables INTO @table;
END;
GO
EXEC sys.sp_cdc_change_job @job_type = N'cleanup', @retention = 20160; -- minutes: two weeks
GO
IF SUSER_ID('ficus') IS NULL CREATE LOGIN ficus WITH PASSWORD = N'$(FICUS)';
IF USER_ID('ficus') IS NULL CREATE USER ficus FOR LOGIN ficus;
GRANT SELECT ON SCHEMA::dbo TO ficus;
GRANT SELECT, EXECUTE ON SCHEMA::cdc TO ficus;
GRANT VIEW DATABASE STATE TO ficus;
GRANT INSERT ON dbo.ficus_marker TO ficus; -- give this to a login of its own in production
IF SUSER_ID('dbz') IS NULL CREATE LOGIN dbz WITH PASSWORD = N'$(DBZ)';
IF USER_ID('dbz') IS NULL CREATE USER dbz FOR LOGIN dbz;
GRANT SELECT ON SCHEMA::dbo TO dbz;
GRANT SELECT, EXECUTE ON SCHEMA::cdc TO dbz;
GRANT VIEW DATABASE STATE TO dbz;
GO
