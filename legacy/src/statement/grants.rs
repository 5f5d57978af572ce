//! The least rights that the engine's logins need, as T-SQL for whoever may grant them.
//!
//! Printed, never sent.

use mapping::catalog::{LegacyTable, Table};

use super::{Ident, TableIdent};

/// What is granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grants<'a> {
    /// The legacy database.
    pub database: &'a str,
    /// The login that reads.
    pub reader: &'a str,
    /// The login that writes the marker, which may be the same.
    pub marker: &'a str,
    /// The tables that are read, with their capture instances.
    pub tables: Vec<&'a Table>,
}

impl Grants<'_> {
    /// The script.
    #[must_use]
    pub fn script(&self) -> String {
        let reader = Ident::new(self.reader);
        let mut lines = vec![
            format!("USE {};", Ident::new(self.database)),
            String::new(),
            "-- Users for the logins, where they are not there yet.".to_owned(),
            user(self.reader),
        ];
        if self.marker != self.reader {
            lines.push(user(self.marker));
        }
        lines.push(String::new());
        lines.push("-- To copy and to compare: the tables that the mapping reads.".to_owned());
        for table in &self.tables {
            lines.push(format!("GRANT SELECT ON {} TO {reader};", TableIdent::new(&table.table)));
        }
        lines.push(String::new());
        lines.push(
            "-- To know how far capture has come, and whether changes were removed unread. CDC tells\n\
             -- the oldest change of a table only to who may select all of its captured columns."
                .to_owned(),
        );
        for view in ["change_tables", "captured_columns"] {
            let view = TableIdent::new(&LegacyTable::new("cdc", view));
            lines.push(format!("GRANT SELECT ON {view} TO {reader};"));
        }
        for instance in self.tables.iter().filter_map(|table| table.capture_instance.as_ref()) {
            let changes = TableIdent::new(&LegacyTable::new("cdc", format!("{instance}_CT")));
            lines.push(format!("GRANT SELECT ON {changes} TO {reader};"));
        }
        self.marker_lines(&mut lines);
        lines.push(String::new());
        lines.push(format!(
            "-- For estimates of rows without counting, and for the sizes in `ficus assess`; may be left\n\
             -- out. (SQL Server 2022: VIEW DATABASE PERFORMANCE STATE is enough.)\n\
             GRANT VIEW DATABASE STATE TO {reader};\n\
             GRANT VIEW DEFINITION TO {reader};"
        ));
        lines.push(String::new());
        lines.push(format!(
            "-- Only while `ficus assess` reads tables that no mapping names yet; revoke it afterwards.\n\
             -- GRANT SELECT ON SCHEMA::[dbo] TO {reader};"
        ));
        lines.join("\n") + "\n"
    }

    fn marker_lines(&self, lines: &mut Vec<String>) {
        let (marker, reader) = (Ident::new(self.marker), Ident::new(self.reader));
        let table = TableIdent::new(&LegacyTable::new("dbo", "ficus_marker"));
        let changes = TableIdent::new(&LegacyTable::new("cdc", "dbo_ficus_marker_CT"));
        lines.push(String::new());
        lines.push("-- The marker: the only table that the engine writes.".to_owned());
        lines.push(format!("GRANT INSERT ON {table} TO {marker};"));
        lines.push(format!("GRANT SELECT ON {changes} TO {marker};"));
        if self.marker == self.reader {
            lines.push(format!(
                "-- (Give it a login of its own, and {reader} writes nothing at all.)"
            ));
        }
    }
}

fn user(login: &str) -> String {
    let name = Ident::new(login);
    format!(
        "IF DATABASE_PRINCIPAL_ID(N'{}') IS NULL CREATE USER {name} FOR LOGIN {name};",
        login.replace('\'', "''")
    )
}
