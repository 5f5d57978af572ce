use crate::{
    file::{MappingFile, Mistake},
    fixture::{MAPPING, catalog, file},
    plan::Plan,
};

fn mistakes(files: &[MappingFile]) -> Vec<Mistake> {
    Plan::compile(files, &catalog()).err().unwrap_or_default()
}

fn told(text: &str) -> String {
    let lines = mistakes(&[file(text)]).into_iter().map(|m| format!("{m}\n    {}\n", m.help));
    lines.collect()
}

/// Replaces one line of the fixture's mapping by others, which makes these mistakes.
fn check(line: &str, by: &str, expect: &[(&str, &str)]) {
    assert!(MAPPING.contains(line), "{line} is not in the fixture");
    let found = mistakes(&[file(&MAPPING.replacen(line, by, 1))]);
    let found: Vec<(&str, &str)> =
        found.iter().map(|m| (m.message.as_str(), m.help.as_str())).collect();
    assert_eq!(found, expect, "{by}");
}

#[test]
fn all_mistakes_are_told_at_once() {
    insta::assert_snapshot!(told(
        r#"
domain = "contracts"
color = "red"

[[ignore]]
table = "dbo.ModulInfo"

[[entity]]
name = "Contracts"
from = "dbo.Contrct"

[[entity]]
name = "contracts"
from = "dbo.Contract"
key = ["ContractNo", "CompanyNo"]
id_time = "StartDate"
soft_delete = "maybe"
[entity.columns]
id = { from = "CompanyNo", as = "text" }
contract_no = { from = "ContractNmo", as = "text" }
tenant_id = { from = "Tenant", as = "ref", to = "tenant" }
signed_on = { from = "SignedOn", as = "timestamptz", zone = "Asia/Ulanbaatar" }
end_date = { from = "EndDate", as = "timestamptz" }
status = { from = "Status", as = "enumm" }
currency = { from = "CurrencyCode", as = "text", tirm = "end" }
monthly_total = { from = "MonthlyTotal", as = "money", digits = 99 }
vat_rate = { from = "VatRate", as = "uuid", compare = "skip" }
terms = { as = "text" }
version = "OptimisticLockField"

[[entity]]
name = "tenants"
parts = ["dbo.Party", "dbo.Tenant"]
type = "Demo.Tenant"
[entity.columns]
oid = { from = "OID", as = "int4" }
[entity.leave_out]
Name = ""
"#
    ));
}

#[test]
fn all_mistakes_in_filters_flags_texts_and_look_ups_are_told_at_once() {
    insta::assert_snapshot!(told(
        r#"
domain = "test"

[lookup.unused]
a = "b"
[lookup.empty]
[lookup.countries]
496 = "MN"
MN = "MN"
643 = 7
[lookup.codes]
mnt = "MNT"
"MNT " = "tugrik"

[[entity]]
name = "branches"
from = "dbo.Branch"
[entity.where]
Clsoed = true
Closed = { is = true, not = false }
CLOSED = 1
Region = { is = "one", nul = true }
Note = "x"
Opened = []
Id = {}
Country.No = 1
CountryNo = { nto = 1 }
FullName = ["a", "A "]
[entity.columns]
rights = { from = "Rights", as = "flags", values = { 0 = "none", 1 = "read", 2 = "read", 3 = "both", 4294967296 = "far" }, ignore = { 1 = "twice" }, unknown = "ignore" }
name = { from = "FirstName", as = "concat", separator = " " }
whole = { from = ["LastName", "Note", "Closed"], as = "concat", blank = "drop" }
family = { from = "FullName", as = "split", separator = "", part = 0 }
given = { from = "FullName", as = "split", absent = "maybe" }
country = { from = "CountryNo", as = "lookup", in = "countries", default = "XX" }
currency = { from = "CurrencyCode", as = "lookup", in = "codes" }
again = { from = "CurrencyCode", as = "lookup", in = "code" }
nowhere = { from = "CurrencyCode", as = "lookup" }
note = { from = "Note", as = "lookup", in = "codes" }
never = { from = "Region", as = "lookup", in = "empty" }

[[entity]]
name = "copies"
from = "dbo.Branch"

[[entity]]
name = "tenants"
parts = ["dbo.Party", "dbo.Tenant"]
[entity.where]
Tenant.VatPayer = true
"#
    ));
}

#[test]
fn syntax_errors_hide_nothing_in_other_files() {
    let broken = MappingFile {
        name: "a.toml".into(),
        text: "domain = \"x\"\nname = = 1\n[[entity]\n".into(),
    };
    let other = MappingFile { name: "b.toml".into(), text: "domian = \"y\"".into() };
    let found: Vec<String> = mistakes(&[broken, other]).iter().map(ToString::to_string).collect();
    assert!(found.iter().filter(|line| line.starts_with("a.toml:2:8: ")).count() >= 1, "{found:?}");
    assert_eq!(
        found.last().map(String::as_str),
        Some("b.toml:1:1: a mapping file has no key `domian`")
    );
}

#[test]
fn places_are_lines_and_characters() {
    let text = "# Өргөө\ndomain = \"ө\"  # ү\nignore = [{ table = \"dbo.ModuleInfo\", reason = \"ү\", өө = 1 }]\n";
    let found = mistakes(&[file(text)]);
    let place = (found[0].line, found[0].column);
    assert_eq!(place, (3, 53), "{found:?}");
}

#[test]
fn nothing_is_forgotten() {
    let leave = "UnitPrice";
    let line = "unit_price = { from = \"UnitPrice\", as = \"numeric\", scale = 10 }\n";
    let message = format!("legacy column `ContractItem.{leave}` is mapped nowhere");
    let help = format!(
        "map it under [entity.columns], or write {leave} = \"why not\" under [entity.leave_out]"
    );
    check(line, "", &[(&message, &help)]);
    check(
        "[entity.columns]\nrate = ",
        "[entity.leave_out]\nRATE = \"no\"\n[entity.columns]\nrate = ",
        &[("`RATE` is left out and used", "drop one of the two")],
    );
    check(
        "soft_delete = \"deleted_at\"\n[entity.columns]\ncontract_id",
        "[entity.columns]\ncontract_id",
        &[(
            "legacy column `Invoice.GCRecord` is mapped nowhere",
            "write soft_delete = \"deleted_at\" (or \"delete\", \"archive\"), or leave it out with the reason",
        )],
    );
}

#[test]
fn what_can_not_work_is_refused() {
    check(
        "object_types = \"dbo.XPObjectType\"",
        "",
        &[(
            "no file says which table is the dictionary of types",
            "write object_types = \"dbo.XPObjectType\" at the top of one file",
        ); 3],
    );
    check(
        "type = [\"Demo.Tenant\", \"Demo.BigTenant\"]",
        "type = \"Demo.Owner\"",
        &[(
            "rows of type `Demo.Owner` belong to two entities",
            "a row becomes at most one target row: drop it in one entity",
        )],
    );
    check(
        "to = \"contracts\" }\nline_no",
        "to = \"spaces\" }\nline_no",
        &[(
            "the key of `spaces` has 1 columns, and `contract_id` names 2",
            "name the referring columns in the order of that key",
        )],
    );
    check(
        "{ from = \"Property\", as = \"ref\", to = \"properties\", not_null = true }",
        "{ from = \"Property\", as = \"ref\", to = \"contracts\" }",
        &[(
            "the key of `contracts` has 2 columns, and `property_id` names 1",
            "name the referring columns in the order of that key",
        )],
    );
    check(
        "{ from = \"Property\", as = \"ref\", to = \"properties\", not_null = true }",
        "{ from = \"Property\", as = \"ref\", to = \"spaces\" }",
        &[(
            "`Property` is uniqueidentifier, and the key of `spaces` has another type there",
            "name the referring columns in the order of that key",
        )],
    );
    check(
        "null = \"draft\"",
        "null = \"drafty\"",
        &[(
            "the default of `status` is `drafty`, which is none of its values",
            "write a value that the column can hold",
        )],
    );
    check(
        "digits = 2, default = 0",
        "digits = 2, default = \"0.005\"",
        &[(
            "the default of `paid_total` is not a whole number of minor units (2 digits); correct the row, or say `round` in the mapping file",
            "write a value that the column can hold",
        )],
    );
    check(
        "soft_delete = \"deleted_at\"\n[entity.columns]\nlegacy_oid",
        "soft_delete = \"deleted_at\"\ntable = \"public.spaces\"\n[entity.columns]\nlegacy_oid",
        &[(
            "`properties` and `spaces` write the same table",
            "law 3 needs one source for each row: give it its own table",
        )],
    );
}

#[test]
fn what_is_unique_is_of_the_entity() {
    let line = "[entity.leave_out]\nParty.Phone";
    let unique = |rule: &str| format!("[[entity.unique]]\n{rule}\n{line}");
    check(line, &unique("columns = [\"register_no\", \"name\"]\ncase = \"ignore\""), &[]);
    check(
        line,
        &unique("among = \"live\""),
        &[("an [[entity.unique]] names no columns", "write columns = [\"invoice_no\"]")],
    );
    check(
        line,
        &unique("columns = \"registerno\"\nnulls = \"same\""),
        &[
            ("`owners` has no column `registerno`", "did you mean `register_no`?"),
            ("`nulls` of an [[entity.unique]] can't be `same`", "write `equal` or `distinct`"),
        ],
    );
    check(
        line,
        &unique("columns = [\"commission\", \"commission\"]\ncase = \"ignore\""),
        &[
            ("`case` is said of columns that are no text", "drop `case`"),
            ("`commission` is named twice", "name it once"),
        ],
    );
    check(
        line,
        &format!("[[entity.unique]]\ncolumns = \"name\"\n{}", unique("columns = \"name\"")),
        &[("the same columns are unique twice", "keep one of the two rules")],
    );
    check(
        "[entity.columns]\nrate = ",
        "[[entity.unique]]\ncolumns = \"rate\"\namong = \"live\"\n[entity.columns]\nrate = ",
        &[(
            "`rates` keeps no deleted rows to tell from live ones",
            "write soft_delete = \"deleted_at\", or drop `among`",
        )],
    );
    check(
        "soft_delete = \"deleted_at\"\n[entity.columns]\ncontract_id",
        "soft_delete = \"deleted_at\"\n[[entity.unique]]\ncolumns = \"contract_id\"\n[entity.columns]\ncontract_id",
        &[(
            "the seal may set `contract_id` to NULL in several rows, and NULLs are equal",
            "write nulls = \"distinct\", or another `orphans` for the reference",
        )],
    );
}

#[test]
fn a_policy_for_deleted_parents_needs_some_that_stay() {
    let to_tenants = "to = \"tenants\", orphans = \"refuse\"";
    check(
        to_tenants,
        &format!("{to_tenants}, deleted = \"refuse\""),
        &[(
            "no soft-deleted row of `tenants` stays to be pointed at",
            "drop `deleted`: such a parent is missing, so `orphans` decides",
        )],
    );
    let to_contracts = "as = \"ref\", to = \"contracts\" }\nline_no";
    check(
        to_contracts,
        "as = \"ref\", to = \"contracts\", deleted = \"allow\" }\nline_no",
        &[(
            "rows of `contracts` are never soft-deleted",
            "drop `deleted`, or write soft_delete = \"deleted_at\" in `contracts`",
        )],
    );
    let to_properties = "to = \"properties\", not_null = true";
    check(
        to_properties,
        &format!("{to_properties}, orphans = \"null\", deleted = \"null\""),
        &[
            ("`property_id` is not_null, and deleted = \"null\" clears it", "drop one of the two"),
            ("`property_id` is not_null, and orphans = \"null\" clears it", "drop one of the two"),
        ],
    );
    check(to_properties, &format!("{to_properties}, deleted = \"refuse\""), &[]);
}

#[test]
fn a_part_has_room_for_as_many_columns_as_its_mask() {
    let columns = |count: usize| {
        let lines = (0..count).map(|n| format!("c{n} = {{ as = \"const\", value = {n} }}\n"));
        let lines: String = lines.collect();
        MAPPING.replacen(
            "[entity.columns]\nrate = {",
            &format!("[entity.columns]\n{lines}rate = {{"),
            1,
        )
    };
    assert_eq!(told(&columns(62)), "");
    assert!(told(&columns(63)).contains("`rates` has more than 63 columns"));
}

#[test]
fn the_version_depends_on_every_text_and_on_no_order() {
    let other = MappingFile { name: "x.toml".into(), text: "# nothing".into() };
    let version = |files: &[MappingFile]| Plan::compile(files, &catalog()).expect("a plan").version;
    let (one, two) = (version(&[file(MAPPING), other.clone()]), version(&[other, file(MAPPING)]));
    assert_eq!(one, two);
    assert_ne!(one, version(&[file(MAPPING)]));
}

/// XPO takes any name that an attribute gives; a mapping file has to find it.
#[test]
fn a_column_with_a_dot_in_its_name_is_found() {
    let mut catalog = catalog();
    let owner = catalog.tables.iter_mut().find(|t| t.table.name == "Owner").expect("a table");
    let rate = owner.column("CommissionRate").expect("a column").clone();
    let columns = ["Rate.Old", "Rate.New"];
    owner
        .columns
        .extend(columns.map(|name| crate::catalog::Column { name: name.into(), ..rate.clone() }));
    let line = "commission = { from = \"CommissionRate\", as = \"float8\" }";
    let lines = format!(
        "{line}\nold = {{ from = \"Rate.Old\", as = \"float8\" }}\n\
         new = {{ from = \"Owner.Rate.New\", as = \"float8\" }}"
    );
    let text = MAPPING.replacen(line, &lines, 1);
    let plan = Plan::compile(&[file(&text)], &catalog).expect("no mistakes");
    let owners = plan.entity("owners").expect("the owners");
    assert!(["old", "new"].iter().all(|name| owners.columns.iter().any(|c| c.name == *name)));
}
