//! (a) Every table of Spacehub, with and without an assessment, alone and together.

use assess::scaffold::{Choices, Currency, Known, scaffold};
use mapping::plan::{Plan, TableRole};

use crate::world::{assessment, catalog, chosen, everything, mapping_files, plan, said};

#[test]
fn every_table_compiles_with_and_without_an_assessment_and_with_nothing_said() {
    let catalog = catalog();
    let assessed = assessment();
    for assessment in [None, Some(&assessed)] {
        for choices in [Choices::default(), said()] {
            let plan = plan(&everything(assessment, &choices), &catalog);
            assert_eq!(plan.unnamed_tables(&catalog), [], "every table is named");
            let mapped = plan.tables.iter().filter(|t| matches!(t.role, TableRole::Entities(_)));
            let tables = mapped.count();
            assert_eq!((tables, plan.entities.len()), (19, 18), "{:?}", plan.domains());
        }
    }
}

#[test]
fn any_single_table_compiles() {
    let catalog = catalog();
    let assessed = assessment();
    for table in &catalog.tables {
        let tables = chosen(&catalog, &[&table.table.to_string()]);
        for assessment in [None, Some(&assessed)] {
            let draft = scaffold(&catalog, &tables, assessment, &Choices::default());
            plan(&draft, &catalog);
        }
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let assessed = assessment();
    let first = everything(Some(&assessed), &said());
    assert_eq!(first, everything(Some(&assessed), &said()));
    assert!(
        first.files.iter().all(|file| file.text.ends_with('\n') && !file.text.contains("\n\n\n"))
    );
}

#[test]
fn answers_leave_fewer_questions() {
    let assessed = assessment();
    let asked = everything(None, &Choices::default()).questions().len();
    let said_so = everything(None, &said()).questions().len();
    let known = everything(Some(&assessed), &said()).questions().len();
    assert!(asked > said_so && said_so > known && known > 0, "{asked} {said_so} {known}");
}

#[test]
fn a_question_stands_above_its_line() {
    let draft = everything(None, &Choices::default());
    for question in draft.questions() {
        let file = draft.files.iter().find(|file| file.path == question.file).expect("its file");
        let line = file.text.lines().nth(question.line - 1).expect("its line").trim_start();
        assert!(line.starts_with("# ? ") || line.starts_with("-- ? "), "{line}");
        let first = question.text.split(' ').next().expect("a word");
        assert!(line.contains(first));
    }
}

#[test]
fn references_to_entities_of_other_files_are_references() {
    let catalog = catalog();
    let alone = scaffold(&catalog, &chosen(&catalog, &["Contract"]), None, &said());
    let contracts = plan(&alone, &catalog);
    let known = contracts.entities.iter().map(|entity| Known {
        entity: entity.name.clone(),
        domain: entity.domain.clone(),
        target: entity.target_table.clone(),
        tables: entity
            .parts
            .iter()
            .map(|part| contracts.tables[usize::from(part.table.0)].table.clone())
            .collect(),
    });
    let choices = Choices { known: known.collect(), ..said() };
    let items = scaffold(&catalog, &chosen(&catalog, &["ContractItem"]), None, &choices);
    let mut files = mapping_files(&alone);
    files.extend(mapping_files(&items).into_iter().map(|mut file| {
        file.name.insert_str(0, "more-");
        file
    }));
    let plan = Plan::compile(&files, &catalog).expect("both together");
    let item = plan.entity("contract_items").expect("the items");
    assert_eq!(item.references.len(), 1);
}

#[test]
fn a_migration_takes_the_next_number_and_keeps_it() {
    let catalog = catalog();
    let tables = chosen(&catalog, &["Contract", "Invoice"]);
    let numbers = |migrations: Vec<(i64, String)>| {
        let choices = Choices { migrations, ..said() };
        let files = scaffold(&catalog, &tables, None, &choices).files;
        let paths = files.into_iter().map(|file| file.path);
        paths.filter(|path| path.starts_with("migrations/")).collect::<Vec<_>>()
    };
    assert_eq!(
        numbers(Vec::new()),
        ["migrations/1001_contracts.sql", "migrations/1002_invoices.sql"]
    );
    let some = vec![(1007, "hand_over".to_owned()), (1003, "invoices".to_owned())];
    assert_eq!(numbers(some), ["migrations/1008_contracts.sql", "migrations/1003_invoices.sql"]);
}

#[test]
fn wrong_choices_are_told_with_what_to_write() {
    let wrong = Choices {
        zone: Some("Asia/Ulanbator".into()),
        currency: Some(Currency { code: "tugrik".into(), digits: 12 }),
        domain: Some("../contracts".into()),
        ..Choices::default()
    };
    insta::assert_snapshot!(wrong.mistakes().join("\n"), @r"
    `Asia/Ulanbator` is no time zone; did you mean `Asia/Ulan_Bator`?
    `tugrik` is no currency code; write MNT, for instance
    a minor unit of 12 digits; there are none above 9
    `../contracts` is no name of a domain; use lower case letters, digits and `-`
    ");
    assert_eq!(said().mistakes(), Vec::<String>::new());
}
