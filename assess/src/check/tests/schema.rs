use super::harness::{Base, COLLATION};

fn check(base: &Base, expected: &[&str]) {
    assert_eq!(base.hazards("T", &[]), expected);
}

const KEY: (&str, &str) = ("OID", "int not null key");

fn table(columns: &[(&str, &str)]) -> Base {
    Base::new().table("T", columns, [])
}

#[test]
fn the_schema_alone_tells_of_columns() {
    check(
        &table(&[
            KEY,
            ("Place", "geography"),
            ("Stamp", "rowversion"),
            ("Sum", "int computed"),
            ("StoredPassword", "nvarchar(max)"),
            ("Email", "nvarchar(100)"),
            ("Iban", "varchar(34)"),
        ]),
        &[
            "column.unsupported Place",
            "column.computed Sum",
            "personal.password StoredPassword",
            "column.rowversion Stamp",
            "column.lob StoredPassword",
            "personal.column Email+Iban",
            "text.code-page Iban",
        ],
    );
    check(&table(&[("Doc", "xml not null key")]), &["key.type Doc", "column.lob Doc"]);
    check(&table(&[("N", "int")]), &["key.none "]);
}

#[test]
fn a_code_page_of_another_collation_is_told() {
    let message = |described| {
        let base = table(&[KEY, ("Name", described)]);
        base.assess()[0].hazards[0].message.clone()
    };
    let foreign = message("varchar(9) collate Latin1_General_CI_AS");
    let end = format!(
        "Latin1_General_CI_AS is not the database's {COLLATION}: a capture may corrupt them"
    );
    assert!(foreign.ends_with(&end), "{foreign}");
    assert!(!message("varchar(9)").contains("corrupt"));
}

#[test]
fn what_cdc_does_not_carry_is_told() {
    let mut base = table(&[KEY, ("Name", "nvarchar(9)"), ("New", "int")]);
    check(&base, &[]);
    base.cdc = true;
    check(&base, &["cdc.none "]);
    let captured = |columns: &[&str]| {
        let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
        let mut base = table(&[KEY, ("Name", "nvarchar(9)"), ("New", "int")]).with(|table| {
            table.capture_instance = Some("dbo_T".to_owned());
            table.captured_columns = columns;
        });
        base.cdc = true;
        base
    };
    check(&captured(&["oid", "name", "new"]), &[]);
    check(&captured(&["OID", "Name"]), &["cdc.column New"]);
    // Where nobody may ask for the columns, nothing is said of them.
    check(&captured(&[]), &[]);
}
