//! (c) Names that nobody would choose, and somebody did.

use std::sync::Arc;

use assess::scaffold::{Choices, scaffold};
use mapping::catalog::{Catalog, Column, ForeignKey, LegacyTable, Table, UniqueIndex};
use proptest::prelude::*;

use crate::{
    postgres::migrated,
    world::{COLLATION, chosen, plan, said, table, table_column},
};

fn database(tables: Vec<Table>) -> Catalog {
    Catalog { database: "Odd".into(), collation: COLLATION.into(), tables }
}

fn simple(name: &str, columns: &[&str]) -> Table {
    let key = table_column("OID", "int", false);
    let columns = columns.iter().map(|name| table_column(name, "nvarchar(20)", true));
    table(name, std::iter::once(key).chain(columns).collect(), &["OID"])
}

fn odd() -> Catalog {
    let long = "Ж".repeat(128);
    let longer = format!("{}{}", "Ж".repeat(127), "З");
    let wide: Vec<String> = (1..90).map(|number| format!("Column{number}")).collect();
    let wide: Vec<&str> = wide.iter().map(String::as_str).collect();
    let mut tables = vec![
        simple("Order", &["User", "Group", "Order", "End", "Select"]),
        simple("Гэрээ", &["Дугаар", "Огноо", "Түрээс Хэмжээ"]),
        simple(
            "Order Item",
            &["Line.No", "Unit Price", "[Bracket]", "It's", "Say \"x\"", "back\\slash"],
        ),
        simple("Order_Item", &["a", "A_b", "ab", "a b", "a-b"]),
        simple(
            "OrderItem",
            &["Id", "Version", "DeletedAt", "SourcePosition", "StageKind", "xmin", "ctid"],
        ),
        simple("a.b.c", &["2nd", "100%", "\t", "new\nline; drop table x; --", "\u{1F600}"]),
        simple("Robert'); drop table students; --\n", &["\u{2028}", "\u{0}nul", "合同", "🏠"]),
        simple(&long, &["x"]),
        simple(&longer, &[&long, &longer]),
        simple("----", &["....", ""]),
        simple("Wide", &wide),
        Table::new(
            LegacyTable::new("sales", "Order"),
            vec![table_column("OID", "int", false)],
            vec!["OID".into()],
        ),
        Table::new(
            LegacyTable::new("dbo", "NoKey"),
            vec![table_column("A", "int", true)],
            Vec::new(),
        ),
        Table::new(
            LegacyTable::new("a.b", "Dotted"),
            vec![table_column("A", "int", false)],
            vec!["A".into()],
        ),
        Table::new(
            LegacyTable::new("dbo", "Rings"),
            vec![table_column("A", "hierarchyid", false)],
            vec!["A".into()],
        ),
        simple("ignored", &["x"]),
    ];
    for column in
        [("Total", "money"), ("Net", "float"), ("Shape", "geography"), ("Stamp", "rowversion")]
    {
        tables[2].columns.push(table_column(column.0, column.1, true));
    }
    tables[2].columns.push(Column { computed: true, ..table_column("Gross", "money", true) });
    tables[2].unique_indexes.push(UniqueIndex {
        name: "i\"x\"\n".into(),
        columns: vec!["It's".into(), "Shape".into()],
        filter: Some("([It's] LIKE '%\n%')".into()),
    });
    tables[1].unique_indexes.push(UniqueIndex {
        name: "iДугаар".into(),
        columns: vec!["Дугаар".into()],
        filter: Some("([Огноо] IS NOT NULL AND [Дугаар] IS NOT NULL)".into()),
    });
    tables[1].unique_indexes.push(UniqueIndex {
        name: "iОгноо".into(),
        columns: vec!["Огноо".into()],
        filter: Some("([Огноо]>'2020\n')".into()),
    });
    database(tables)
}

#[tokio::test]
async fn odd_names_compile_and_make_tables() {
    let catalog = odd();
    let all = chosen(&catalog, &[]);
    for choices in [Choices::default(), Choices { domain: Some("odd".into()), ..said() }] {
        let draft = scaffold(&catalog, &all, None, &choices);
        let plan = Arc::new(plan(&draft, &catalog));
        assert_eq!(plan.entities.len(), 13);
        let (_database, _target, mut admin) = migrated(&draft, &plan).await;
        sqlx::raw_sql("alter table ficus.domain disable trigger all; update ficus.domain set state = 'cut_over'")
            .execute(&mut admin)
            .await
            .expect("handed over");
        for file in draft.files.iter().filter(|file| file.path.starts_with("seal/")) {
            let sealed =
                sqlx::raw_sql(sqlx::AssertSqlSafe(file.text.clone())).execute(&mut admin).await;
            sealed.unwrap_or_else(|error| panic!("{}: {error}\n{}", file.path, file.text));
        }
    }
}

#[test]
fn what_cant_be_mapped_is_said() {
    let catalog = odd();
    let choices = Choices { domain: Some("ignored".into()), ..said() };
    let draft = scaffold(&catalog, &chosen(&catalog, &[]), None, &choices);
    let ignored =
        draft.files.iter().find(|f| f.path == "mappings/ignored-tables.toml").expect("a file");
    insta::assert_snapshot!(ignored.text, @r#"
    # The legacy tables that do not move, and why. Every report prints the reasons.

    # ? a.b.Dotted: a mapping file can't name a schema with a dot in it

    [[ignore]]
    # ? name the columns that identify a row as `key` of an entity, if there are any
    table = "dbo.NoKey"
    reason = "it has no primary key and no unique columns without NULLs"

    [[ignore]]
    # ? how does it move?
    table = "dbo.Rings"
    reason = "its key has a type that ficus can't compare"
    "#);
    let items =
        draft.files.iter().find(|f| f.text.contains("from = \"dbo.Order Item\"")).expect("a file");
    let entity =
        items.text.split("[[entity]]").find(|e| e.contains("dbo.Order Item")).expect("an entity");
    insta::assert_snapshot!(entity, @r#"

    # No GCRecord: rows are deleted physically.
    name = "order_items"
    from = "dbo.Order Item"

    [entity.columns]
    line_no    = { from = "Line.No", as = "text" }
    unit_price = { from = "Unit Price", as = "text" }
    bracket    = { from = "[Bracket]", as = "text" }
    # SQL Server compares it without trailing blanks.
    its        = { from = "It's", as = "text", trim = "end" }
    say_x      = { from = "Say \"x\"", as = "text" }
    back_slash = { from = "back\\slash", as = "text" }
    total      = { from = "Total", as = "money", currency = "MNT", digits = 2 }
    # ? money in a float, by its name: its shortest decimal form must be whole minor units, or the row
    #   is quarantined
    net        = { from = "Net", as = "money", currency = "MNT", digits = 2 }

    [entity.leave_out]
    Stamp = "a rowversion changes with every write and means nothing elsewhere"
    Gross = "computed: change events say NULL for it, and Postgres can compute it"
    # ? does it move by another way?
    Shape = "ficus does not read geography"
    "#);
}

/// A filter that nobody understands must not become a rule without it.
#[test]
fn a_filter_is_kept_or_asked() {
    let catalog = odd();
    let draft = scaffold(&catalog, &chosen(&catalog, &["Гэрээ"]), None, &said());
    let seal = draft.files.iter().find(|file| file.path.starts_with("seal/")).expect("a seal");
    let rules = seal.text.split("$$;\n").nth(1).expect("what follows the guard");
    insta::assert_snapshot!(rules, @r#"

    -- iДугаар of dbo.Гэрээ.
    create unique index if not exists geree_dugaar_key
        on geree (lower(dugaar collate "und-x-icu"))
        where ognoo is not null;

    -- iОгноо of dbo.Гэрээ.
    -- ? its filter is `([Огноо]>'2020 ')`: what is that here?
    -- create unique index if not exists geree_ognoo_key
    --     on geree (lower(ognoo collate "und-x-icu")) nulls not distinct;

    commit;

    -- Before `ficus domain rollback geree`, because the stream will move unique values from row to row
    -- again:
    -- drop index if exists geree_dugaar_key;
    "#);
}

#[test]
fn names_that_collide_are_told_apart() {
    let catalog = odd();
    let names = |words: &[&str]| {
        let plan = plan(&scaffold(&catalog, &chosen(&catalog, words), None, &said()), &catalog);
        plan.entities.into_iter().map(|entity| entity.name).collect::<Vec<_>>()
    };
    assert_eq!(
        names(&["Order Item", "Order_Item", "OrderItem"]),
        ["order_items", "order_items_2", "order_items_3"]
    );
    assert_eq!(names(&["dbo.Order", "sales.Order"]), ["orders", "sales_orders"]);
}

/// A class below a leaf, a leaf of its own, and two tables whose keys refer to each other.
#[test]
fn hierarchies_of_every_shape_compile() {
    let key = |name: &str, to: &str| ForeignKey {
        name: format!("FK_{name}"),
        columns: vec!["OID".into()],
        references: LegacyTable::new("dbo", to),
        referenced_columns: vec!["OID".into()],
    };
    let leaf = |name: &str, to: &str| {
        let mut leaf = simple(name, &["Name", "Note"]);
        leaf.foreign_keys.push(key(name, to));
        leaf
    };
    let mut root = simple("Party", &["Name"]);
    root.columns.push(table_column("ObjectType", "int", true));
    root.columns.push(table_column("GCRecord", "int", true));
    let types = table(
        "XPObjectType",
        vec![table_column("OID", "int", false), table_column("TypeName", "nvarchar(254)", true)],
        &["OID"],
    );
    let mut note = simple("Memo", &[]);
    for (column, to) in [("Writer", "Party"), ("Boss", "Manager"), ("Twin", "Egg")] {
        note.columns.push(table_column(column, "int", true));
        note.foreign_keys.push(ForeignKey { columns: vec![column.into()], ..key(column, to) });
    }
    let catalog = database(vec![
        root,
        leaf("Person", "Party"),
        leaf("Employee", "Person"),
        leaf("Manager", "Employee"),
        leaf("Company", "Party"),
        leaf("Hen", "Egg"),
        leaf("Egg", "Hen"),
        note,
        types,
    ]);
    for words in [&[][..], &["Party"], &["Manager"], &["Memo"], &["Hen"], &["Employee", "Memo"]] {
        let draft = scaffold(&catalog, &chosen(&catalog, words), None, &said());
        plan(&draft, &catalog);
    }
    let all = plan(&scaffold(&catalog, &chosen(&catalog, &[]), None, &said()), &catalog);
    let shape = |name: &str| {
        let entity = all.entity(name).expect(name);
        let refs = entity.references.iter().map(|r| r.column.clone()).collect::<Vec<_>>();
        (entity.parts.len(), refs.join(" "))
    };
    assert_eq!(shape("people"), (2, String::new()));
    assert_eq!(shape("employees"), (1, "person_id".to_owned()));
    assert_eq!(shape("managers"), (1, "employee_id".to_owned()));
    assert_eq!(shape("hens"), (1, "egg_id".to_owned()));
    assert_eq!(
        shape("memos"),
        (1, "writer_person_id writer_company_id boss_id twin_id".to_owned())
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever the names and types, the draft compiles, and no text leaves its comment or string.
    #[test]
    fn any_names_and_types_compile(
        names in proptest::collection::vec(("[ -~а-яӨҮ\n\"'\\[\\].]{1,12}", 0..TYPES.len()), 1..12),
        tables in proptest::collection::btree_set("[A-Za-zА-Я _.'\"-]{1,10}", 1..5),
    ) {
        let mut seen = std::collections::BTreeSet::new();
        let columns: Vec<Column> = names
            .iter()
            .filter(|(name, _)| seen.insert(name.to_ascii_lowercase()) && !name.eq_ignore_ascii_case("oid"))
            .map(|(name, sql_type)| table_column(name, TYPES[*sql_type], true))
            .collect();
        let mut folded = std::collections::BTreeSet::new();
        let tables: Vec<Table> = tables
            .iter()
            .filter(|name| folded.insert(name.to_ascii_lowercase()))
            .map(|name| {
                let key = std::iter::once(table_column("OID", "int", false));
                table(name, key.chain(columns.iter().cloned()).collect(), &["OID"])
            })
            .collect();
        let catalog = database(tables);
        let draft = scaffold(&catalog, &chosen(&catalog, &[]), None, &said());
        let plan = plan(&draft, &catalog);
        prop_assert_eq!(plan.entities.len(), catalog.tables.len());
    }
}

const TYPES: [&str; 20] = [
    "bit",
    "tinyint",
    "int",
    "bigint",
    "decimal(18,2)",
    "decimal(9,0)",
    "money",
    "real",
    "float",
    "date",
    "time(7)",
    "datetime",
    "datetime2(7)",
    "datetimeoffset(7)",
    "nchar(3)",
    "nvarchar(max)",
    "varbinary(max)",
    "uniqueidentifier",
    "xml",
    "hierarchyid",
];
