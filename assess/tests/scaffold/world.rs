//! Spacehub's catalogue, an assessment of it made by hand, and short words for drafts.

use assess::{
    assessment::{Assessment, CdcState, ColumnFacts, Hazard, Reading, Severity, TableAssessment},
    kind::classify,
    scaffold::{Choices, Currency, Scaffold, scaffold, select},
};
use mapping::{
    catalog::{Catalog, Column, LegacyTable, Table},
    file::MappingFile,
    plan::Plan,
};

pub(crate) fn catalog() -> Catalog {
    spacehub::catalog().expect("the fixture")
}

pub(crate) fn said() -> Choices {
    Choices {
        zone: Some("Asia/Ulaanbaatar".into()),
        currency: Some(Currency { code: "MNT".into(), digits: 2 }),
        ..Choices::default()
    }
}

pub(crate) fn chosen(catalog: &Catalog, words: &[&str]) -> Vec<LegacyTable> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    select(catalog, &words).expect("tables")
}

/// All tables, with or without the assessment.
pub(crate) fn everything(assessment: Option<&Assessment>, choices: &Choices) -> Scaffold {
    let catalog = catalog();
    scaffold(&catalog, &chosen(&catalog, &[]), assessment, choices)
}

pub(crate) fn mapping_files(draft: &Scaffold) -> Vec<MappingFile> {
    let files = draft.files.iter().filter(|file| file.path.starts_with("mappings/"));
    files.map(|file| MappingFile { name: file.path.clone(), text: file.text.clone() }).collect()
}

/// The plan of a draft, which has no mistake.
pub(crate) fn plan(draft: &Scaffold, catalog: &Catalog) -> Plan {
    let files = mapping_files(draft);
    Plan::compile(&files, catalog).unwrap_or_else(|mistakes| {
        let told: Vec<String> = mistakes.iter().map(|m| format!("{m} ({})", m.help)).collect();
        let texts: Vec<&str> = files.iter().map(|file| file.text.as_str()).collect();
        panic!("{}\n{}", told.join("\n"), texts.join("\n"))
    })
}

/// What reading Spacehub's rows might have told.
pub(crate) fn assessment() -> Assessment {
    let catalog = catalog();
    let mut tables: Vec<TableAssessment> = Vec::new();
    for ((name, kind), table) in classify(&catalog).into_iter().zip(&catalog.tables) {
        let columns = table
            .columns
            .iter()
            .map(|column| ColumnFacts { name: column.name.clone(), ..ColumnFacts::default() });
        tables.push(TableAssessment {
            table: name,
            domain: None,
            kind,
            rows: 120,
            read_whole: true,
            rows_estimate: None,
            bytes: None,
            columns: columns.collect(),
            hazards: Vec::new(),
        });
    }
    let mut found = Assessment {
        taken_at: "2025-03-01T09:00:00Z".into(),
        catalog,
        cdc: CdcState { enabled: true, max_lsn: None },
        tables,
        reading: Reading::default(),
    };
    found.facts();
    found
}

trait ByHand {
    fn facts(&mut self);
    fn column(&mut self, table: &str, column: &str) -> &mut ColumnFacts;
    fn hazard(&mut self, table: &str, column: &str, code: &str, advice: &str);
}

impl ByHand for Assessment {
    fn facts(&mut self) {
        for (table, column, values) in [
            ("Party", "Kind", &[(0, 90), (1, 28)][..]),
            ("Space", "SpaceKind", &[(0, 60), (1, 40), (2, 20)]),
            ("Contract", "Status", &[(0, 20), (1, 98), (4, 1)]),
            ("Invoice", "Status", &[(0, 20), (1, 100)]),
            ("Payment", "Method", &[(-1, 1), (0, 100), (1, 19)]),
            ("ContractAttachment", "DocKind", &[(0, 20), (1, 100)]),
            ("PermissionPolicyRole", "PermissionPolicy", &[(0, 100), (1, 1), (2, 19)]),
        ] {
            self.column(table, column).values = values.to_vec();
        }
        self.column("Contract", "Status").nulls = 1;
        self.column("Property", "Photo").nulls = 120;
        self.column("FileData", "Content").length_max = Some(5_000_000);
        self.column("InvoiceLine", "UnitPrice").fraction_digits_max = Some(4);
        for (table, column) in [
            ("Contract", "StartDate"),
            ("Contract", "EndDate"),
            ("ContractItem", "ValidFrom"),
            ("ContractItem", "ValidTo"),
            ("Invoice", "DueOn"),
        ] {
            self.column(table, column).only_midnights = true;
        }
        let advice = "write sentinels = { \"1753-01-01\" = \"null\", \"9999-12-31\" = \"null\" }";
        self.hazard("Contract", "EndDate", "time.sentinel", advice);
        self.hazard("Party", "CreatedOn", "time.sentinel", "1753-01-01 is no date");
        self.hazard("Party", "Note", "text.nul", "write nul = \"strip\"");
        self.hazard("Property", "Address", "text.surrogate", "write surrogate = \"replace\"");
        self.hazard("ContractItem", "Space", "reference.orphans", "write orphans = \"null\"");
        for (table, column) in [
            ("ContractItem", "KeyCompanyNo"),
            ("ContractItem", "KeyContractNo"),
            ("Invoice", "ContractCompanyNo"),
            ("Invoice", "ContractContractNo"),
            ("PaymentAllocation", "PAYMENT_ID"),
            ("PaymentAllocation", "INVOICE_ID"),
            ("SpaceRate", "SPACE_ID"),
            ("PermissionPolicyUserLoginInfo", "User"),
        ] {
            self.hazard(table, column, "reference.loose", "write as = \"ref\"");
        }
        let owner = "\"Spacehub.Module.BusinessObjects.Owner\"";
        let tenant = "\"Spacehub.Module.BusinessObjects.Tenant\"";
        self.hazard("Party", "ObjectType", "type.names", &format!("{owner} and {tenant}"));
        let spaces = "\"Spacehub.Module.BusinessObjects.Space\", \
                      \"Spacehub.Module.BusinessObjects.ParkingSpace\"";
        self.hazard("Space", "ObjectType", "type.names", spaces);
        let role = "\"DevExpress.Persistent.BaseImpl.PermissionPolicy.PermissionPolicyRole\"";
        self.hazard("PermissionPolicyRole", "ObjectType", "type.names", role);
    }

    fn column(&mut self, table: &str, column: &str) -> &mut ColumnFacts {
        let table = self.tables.iter_mut().find(|t| t.table.name == table).expect(table);
        table.columns.iter_mut().find(|facts| facts.name == column).expect(column)
    }

    fn hazard(&mut self, table: &str, column: &str, code: &str, advice: &str) {
        let found = self.tables.iter_mut().find(|t| t.table.name == table).expect(table);
        found.hazards.push(Hazard {
            code: code.into(),
            severity: Severity::Decide,
            columns: vec![column.into()],
            message: "found by hand".into(),
            count: Some(3),
            examples: Vec::new(),
            advice: advice.into(),
        });
    }
}

/// A table of each word and a column of each, as far as a table takes so many.
pub(crate) fn of_words(words: &[String]) -> Catalog {
    let tables = words.iter().zip(words.chunks(40).cycle()).map(|(word, columns)| {
        let key = table_column("OID", "int", false);
        let columns = columns.iter().map(|name| table_column(name, "int", true));
        table(word, std::iter::once(key).chain(columns).collect(), &["OID"])
    });
    Catalog { database: "Words".into(), collation: COLLATION.into(), tables: tables.collect() }
}

pub(crate) const COLLATION: &str = "Cyrillic_General_CI_AS";

pub(crate) fn table_column(name: &str, sql_type: &str, nullable: bool) -> Column {
    Column {
        name: name.into(),
        sql_type: sql_type.parse().expect("a type"),
        nullable,
        collation: None,
        computed: false,
        identity: false,
    }
}

pub(crate) fn table(name: &str, columns: Vec<Column>, key: &[&str]) -> Table {
    let key = key.iter().map(|name| (*name).to_owned()).collect();
    Table::new(LegacyTable::new("dbo", name), columns, key)
}
