#!/bin/bash
# Makes the legacy laboratory: database, schema, marker table, CDC on every table, logins of least rights.
set -euo pipefail
run() { /opt/mssql-tools18/bin/sqlcmd -C -S mssql -U sa -P "$SA_PASSWORD" -b -v DBZ="$DBZ_PASSWORD" FICUS="$FICUS_LEGACY_PASSWORD" "$@"; }
run -Q "IF DB_ID('Spacehub23') IS NULL CREATE DATABASE Spacehub23"
run -d Spacehub23 -Q "IF OBJECT_ID('dbo.Party') IS NULL PRINT 'empty'" | grep -q empty && run -d Spacehub23 -i /legacy/spacehub23.sql
run -d Spacehub23 -i /setup/cdc.sql
