use std::collections::BTreeSet;

use super::*;
use crate::{
    catalog::{Catalog, ForeignKey, LegacyTable, Table, UniqueIndex},
    file::{MappingFile, Places},
    finding::{Finding, Rule, Subject},
    fixture::{self, MAPPING, file},
};

fn compiled(files: &[MappingFile], catalog: &Catalog) -> Plan {
    Plan::compile(files, catalog).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

fn table<'c>(catalog: &'c mut Catalog, name: &str) -> &'c mut Table {
    catalog.tables.iter_mut().find(|table| table.table.name == name).expect("a table")
}

fn unique(name: &str, columns: &[&str]) -> UniqueIndex {
    let columns = columns.iter().map(|column| (*column).to_owned()).collect();
    UniqueIndex { name: name.to_owned(), columns, filter: None }
}

/// `line:column rule: message`, as the files place them.
fn told(findings: &[Finding], files: &[MappingFile]) -> Vec<String> {
    let places = Places::of(files);
    let told = findings.iter().map(|finding| {
        let spot = places.find(&finding.subject);
        let line = files[0].text.lines().nth(spot.line - 1).unwrap_or_default();
        let word: String = line.chars().skip(spot.column - 1).take(12).collect();
        format!("{word} | {}: {}", finding.rule, finding.message)
    });
    told.collect()
}

fn nobody(_: &EntityPlan, _: &BTreeSet<&str>) -> bool {
    false
}

#[test]
fn tables_that_nobody_names_are_told() {
    let files = [file(&MAPPING.replacen(
        "[[ignore]]\ntable = \"dbo.ModuleInfo\"\nreason = \"XAF's record of its own versions\"\n",
        "",
        1,
    ))];
    let catalog = fixture::catalog();
    let found = super::catalog(&compiled(&files, &catalog), &catalog, &nobody);
    let names: Vec<_> = found.iter().filter(|f| f.rule == Rule::TableUnnamed).collect();
    assert_eq!(names.len(), 2, "{found:?}");
    assert_eq!(names[0].subject, Subject::Table(LegacyTable::new("dbo", "ModuleInfo")));
    assert_eq!(names[1].subject, Subject::Table(LegacyTable::new("dbo", "Payment")));
}

#[test]
fn a_key_that_nothing_keeps_unique_is_told() {
    let mut catalog = fixture::catalog();
    let item = table(&mut catalog, "ContractItem");
    item.primary_key.clear();
    let key =
        "from = \"dbo.ContractItem\"\nkey = [\"KeyCompanyNo\", \"KeyContractNo\", \"KeyLineNo\"]";
    let files = [file(&MAPPING.replacen("from = \"dbo.ContractItem\"", key, 1))];
    let rules = |catalog: &Catalog| {
        let found = super::catalog(&compiled(&files, catalog), catalog, &nobody);
        told(
            &found.into_iter().filter(|f| f.rule != Rule::TableUnnamed).collect::<Vec<_>>(),
            &files,
        )
    };
    let unproven = "\"KeyCompanyN | key-unproven: `dbo.ContractItem` has no primary key, and no \
                    unique index keeps (KeyCompanyNo, KeyContractNo, KeyLineNo) unique: two rows \
                    with one key would become one";
    let found = rules(&catalog);
    assert!(found.contains(&unproven.to_owned()), "{found:#?}");
    let item = table(&mut catalog, "ContractItem");
    item.unique_indexes.push(unique("iX", &["KeyLineNo", "KeyContractNo", "KeyCompanyNo"]));
    item.unique_indexes[0].filter = Some("([KeyLineNo]>(0))".into());
    assert!(rules(&catalog).contains(&unproven.to_owned()), "a filtered index proves nothing");
    table(&mut catalog, "ContractItem").unique_indexes[0].filter = None;
    let found = rules(&catalog);
    assert!(!found.contains(&unproven.to_owned()), "{found:#?}");
}

#[test]
fn uniqueness_has_a_keeper_or_a_warning() {
    let mut catalog = fixture::catalog();
    let invoice = table(&mut catalog, "Invoice");
    invoice.unique_indexes.push(unique(
        "iContract_Invoice",
        &["ContractCompanyNo", "ContractContractNo", "GCRecord"],
    ));
    invoice.unique_indexes.push(unique("iAll_Invoice", &["OID", "GCRecord"]));
    let party = table(&mut catalog, "Party");
    party.unique_indexes.push(unique("iRegisterNoGCRecord_Party", &["RegisterNo", "GCRecord"]));
    let files = [file(MAPPING)];
    let plan = compiled(&files, &catalog);
    let check = |kept: UniqueKept<'_>| {
        let found = super::catalog(&plan, &catalog, kept);
        let found = found.into_iter().filter(|finding| finding.rule == Rule::UniqueUnkept);
        found
            .map(|f| (f.subject.entity().unwrap_or_default().to_owned(), f.help))
            .collect::<Vec<_>>()
    };
    let all = check(&nobody);
    let entities: Vec<&str> = all.iter().map(|(entity, _)| entity.as_str()).collect();
    assert_eq!(entities, ["owners", "tenants", "invoices"], "with the key in it, an index is safe");
    assert!(all[0].1.contains("[[entity.unique]] columns = [\"register_no\"];"), "{}", all[0].1);
    assert!(all[1].1.starts_with("map all of its columns"), "tenants leave RegisterNo out");
    assert!(all[2].1.contains("[\"contract_id\"]"), "a composite reference is one column");
    let kept = |entity: &EntityPlan, columns: &BTreeSet<&str>| {
        (entity.name == "owners" && columns.contains("register_no"))
            || (entity.name == "invoices" && *columns == BTreeSet::from(["contract_id"]))
    };
    let entities: Vec<String> = check(&kept).into_iter().map(|(entity, _)| entity).collect();
    assert_eq!(entities, ["tenants"]);
}

#[test]
fn nulls_and_references_that_disagree_are_told_where_they_are_written() {
    let mut catalog = fixture::catalog();
    let space = table(&mut catalog, "Space");
    let references = LegacyTable::new("dbo", "Party");
    space.foreign_keys.push(ForeignKey {
        name: "FK_Space_ParentSpace".into(),
        columns: vec!["ParentSpace".into()],
        references,
        referenced_columns: vec!["OID".into()],
    });
    let files = [file(MAPPING)];
    let found = super::catalog(&compiled(&files, &catalog), &catalog, &nobody);
    let found = told(&found, &files);
    for line in [
        "name = { fro | null-rejected: `Party.Name` is nullable, and `name` is `not_null`: a row \
         with NULL goes to quarantine",
        "property_id  | null-rejected: `Space.Property` is nullable, and `property_id` is \
         `not_null`: a row with NULL goes to quarantine",
        "parent_id =  | reference-elsewhere: `parent_id` refers to `spaces`, and the legacy foreign \
         key `FK_Space_ParentSpace` to `dbo.Party`",
    ] {
        assert!(found.contains(&line.to_owned()), "{line}\n{found:#?}");
    }
    assert_eq!(found.len(), 4, "{found:#?}");
}

/// All tables captured, whole, and the marker too.
fn captured() -> Catalog {
    let mut catalog = fixture::catalog();
    catalog
        .tables
        .push(fixture::table("dbo.ficus_marker: token uniqueidentifier key; at datetime"));
    for table in &mut catalog.tables {
        table.capture_instance = Some(format!("dbo_{}", table.table.name));
        table.captured_columns = table.columns.iter().map(|column| column.name.clone()).collect();
    }
    catalog
}

#[test]
fn what_is_not_captured_is_an_error_at_its_line() {
    let files = [file(MAPPING)];
    let mut catalog = captured();
    let check = |catalog: &Catalog| capture(&compiled(&files, catalog), catalog);
    assert_eq!(check(&catalog), Capture::default());

    table(&mut catalog, "Tenant").capture_instance = None;
    table(&mut catalog, "ModuleInfo").capture_instance = None;
    let drop = |catalog: &mut Catalog, name: &str, column: &str| {
        table(catalog, name).captured_columns.retain(|captured| captured != column);
    };
    drop(&mut catalog, "Contract", "VatRate");
    drop(&mut catalog, "Contract", "OptimisticLockField");
    drop(&mut catalog, "Space", "Area");
    drop(&mut catalog, "Party", "GCRecord");
    drop(&mut catalog, "XPObjectType", "TypeName");
    table(&mut catalog, "Contract").captured_columns.push("OldRate".into());
    table(&mut catalog, "Invoice").captured_columns.clear();
    table(&mut catalog, "ficus_marker").capture_instance = None;
    let found = check(&catalog);
    let missing = |word: &str, instance: &str, column: &str| {
        format!(
            "{word} | capture-column-missing: `{instance}` does not carry `{column}`: its values \
             are in no change event"
        )
    };
    assert_eq!(
        told(&found.findings, &files),
        [
            missing("\"owners\"", "dbo_Party", "dbo.Party.GCRecord"),
            "\"dbo.Tenant\" | capture-missing: CDC does not capture `dbo.Tenant`: its changes \
             never arrive"
                .into(),
            missing("\"VatRate\", a", "dbo_Contract", "dbo.Contract.VatRate"),
            missing("\"OptimisticL", "dbo_Contract", "dbo.Contract.OptimisticLockField"),
            "\"contracts\" | capture-column-unknown: `dbo_Contract` carries `OldRate`, which \
             `dbo.Contract` does not have (any more)"
                .into(),
            missing("\"dbo.XPObjec", "dbo_XPObjectType", "dbo.XPObjectType.TypeName"),
            "\"dbo.ModuleI | marker-missing: CDC does not capture `dbo.ficus_marker`".into(),
        ],
        "columns that are left out need not be captured"
    );
    assert_eq!(found.unknown, [LegacyTable::new("dbo", "Invoice")]);
}

#[test]
fn without_cdc_there_is_one_warning() {
    let catalog = fixture::catalog();
    let found = capture(&compiled(&[file(MAPPING)], &catalog), &catalog);
    let rules: Vec<Rule> = found.findings.iter().map(|finding| finding.rule).collect();
    assert_eq!(rules, [Rule::CaptureOff]);
}

#[test]
fn a_saved_catalogue_is_compared_with_the_server() {
    let saved = captured();
    assert_eq!(drift(&saved, &saved), []);
    let mut live = saved.clone();
    live.tables.retain(|table| !matches!(table.table.name.as_str(), "ModuleInfo" | "ficus_marker"));
    live.tables.push(fixture::table("dbo.Lead: OID int key"));
    let contract = table(&mut live, "Contract");
    contract.columns.retain(|column| column.name != "Terms");
    contract.columns[2].sql_type = "bigint".parse().expect("a type");
    contract.columns[3].nullable = false;
    contract.primary_key.reverse();
    contract.capture_instance = None;
    live.collation = "Latin1_General_CI_AS".into();
    let found = drift(&saved, &live);
    let said: Vec<&str> = found
        .iter()
        .map(|f| f.message.strip_prefix("the saved catalogue is out of date: ").expect("a prefix"))
        .collect();
    assert_eq!(
        said,
        [
            "its collation is Cyrillic_General_CI_AS, the server's Latin1_General_CI_AS",
            "`dbo.Contract.Tenant` is int null there, and bigint null on the server",
            "`dbo.Contract.SignedOn` is datetime null there, and datetime not null on the server",
            "the server has no column `dbo.Contract.Terms`",
            "the primary key of `dbo.Contract` is CompanyNo, ContractNo there, and ContractNo, \
             CompanyNo on the server",
            "the capture instance of `dbo.Contract` is dbo_Contract there, and none on the server",
            "the server has no table `dbo.ModuleInfo`",
            "the server has a table `dbo.Lead`, which is not in it",
        ]
    );
    let mut unasked = saved.clone();
    for table in &mut unasked.tables {
        table.captured_columns.clear();
    }
    assert_eq!(drift(&saved, &unasked), [], "nobody asked for the captured columns");
}

#[test]
fn the_mapping_promises_what_a_column_has_to_bear() {
    let catalog = fixture::catalog();
    let plan = compiled(&[file(MAPPING)], &catalog);
    let promise = |entity: &str, column: &str| {
        let entity = plan.entity(entity).expect("an entity");
        let index = entity.columns.iter().position(|c| c.name == column).expect("a column");
        plan.promise(entity, index, &catalog)
    };
    let null = |entity, column| promise(entity, column).expect("a column").null;
    assert_eq!(promise("owners", "id"), None);
    assert_eq!(null("owners", "name"), None, "not_null");
    assert_eq!(null("owners", "kind"), None, "a default");
    assert_eq!(null("owners", "note").as_deref(), Some("`Note` is nullable"));
    assert_eq!(null("owners", "deleted_at").as_deref(), Some("a live row is not deleted"));
    assert_eq!(null("owners", "version"), None);
    assert_eq!(null("properties", "origin"), None, "a constant");
    assert_eq!(null("properties", "legacy_oid"), None, "a key is never NULL");
    assert_eq!(null("contracts", "company_no"), None);
    let lost = "a soft-deleted row has lost its references";
    assert_eq!(null("spaces", "property_id").as_deref(), Some(lost));
    let texts = |entity, column| promise(entity, column).expect("a column").texts;
    let some = |texts: &[&str]| Some(texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>());
    assert_eq!(texts("owners", "kind"), some(&["company", "person"]));
    assert_eq!(texts("spaces", "kind"), some(&["parking", "space"]));
    assert_eq!(texts("properties", "origin"), some(&["legacy"]));
    assert_eq!(texts("owners", "name"), None);
}

#[test]
fn a_warning_is_accepted_with_its_reason() {
    let accept =
        "[entity.accept]\nnull-rejected.name = \"asked for\"\nunique-unkept = \"sealed by hand\"\n";
    let text = MAPPING.replacen("[entity.leave_out]", &format!("{accept}[entity.leave_out]"), 1);
    let files = [file(&text)];
    let catalog = fixture::catalog();
    let found = super::catalog(&compiled(&files, &catalog), &catalog, &nobody);
    let accepted = Places::of(&files).accepted();
    assert_eq!(accepted.len(), 2);
    let said = |a: &crate::file::Accepted| (a.entity.clone(), a.rule, a.about.clone());
    assert_eq!(said(&accepted[0]), ("owners".into(), Rule::NullRejected, Some("name".into())));
    assert_eq!(said(&accepted[1]), ("owners".into(), Rule::UniqueUnkept, None));
    let covered: Vec<&Finding> = found.iter().filter(|f| accepted[0].covers(f)).collect();
    assert_eq!(covered.len(), 1, "{covered:?}");
    assert!(!accepted[1].covers(covered[0]));
}

#[test]
fn what_can_not_be_accepted_is_a_mistake() {
    let accept =
        "[entity.accept]\nunique-unkep = \"x\"\ntarget-type = \"x\"\nnull-rejected.name = 1\n";
    let text = MAPPING.replacen("[entity.leave_out]", &format!("{accept}[entity.leave_out]"), 1);
    let mistakes = Plan::compile(&[file(&text)], &fixture::catalog()).expect_err("mistakes");
    let told: Vec<String> = mistakes.iter().map(|m| format!("{}; {}", m.message, m.help)).collect();
    assert_eq!(
        told,
        [
            "there is no rule `unique-unkep`; did you mean `unique-unkept`?",
            "`target-type` can't be accepted; correct what it names; only warnings about an entity \
             are accepted",
            "`null-rejected` is accepted without a reason; say why, in quotes",
        ]
    );
}
