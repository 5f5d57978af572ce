//! property_owners and tenants.

use std::collections::BTreeMap;

use mapping::value::LegacyValue;
use sandbox::legacy::Error;

use super::{
    ExpectedRow, Model, Unmappable,
    convert::{self, Gap},
    record::{Build, Record, Tables},
};

const OWNER: &str = "Spacehub.Module.BusinessObjects.Owner";
const TENANT: &str = "Spacehub.Module.BusinessObjects.Tenant";

type Leaf = for<'a> fn(Build<'a>) -> Build<'a>;

pub(super) fn expect(tables: &Tables<'_>, model: &mut Model) -> Result<(), Error> {
    let types = tables.type_names()?;
    let roots = tables.rows("Party")?;
    let owner: Leaf = |build| {
        build.put("bank_account", "BankAccount", convert::filled).put(
            "commission_rate",
            "CommissionRate",
            convert::float,
        )
    };
    let tenant: Leaf = |build| {
        build.put("credit_limit", "CreditLimit", convert::money).put(
            "vat_payer",
            "VatPayer",
            convert::flag,
        )
    };
    for (table, leaf_table, type_name, columns) in
        [("property_owners", "Owner", OWNER, owner), ("tenants", "Tenant", TENANT, tenant)]
    {
        let leaves = tables.rows(leaf_table)?;
        let leaves: BTreeMap<String, Record<'_>> =
            leaves.into_iter().map(|leaf| (leaf.key(&["OID"]), leaf)).collect();
        let is_of_type = |root: &&Record<'_>| match root.get("ObjectType") {
            LegacyValue::Int(number) => types.get(number).is_some_and(|name| name == type_name),
            _ => false,
        };
        for root in roots.iter().filter(is_of_type) {
            let key = root.key(&["OID"]);
            let leaf = leaves.get(&key);
            let built = root_row(root);
            let leaf_built = leaf.map(|leaf| columns(Build::new(leaf)).finish());
            file(model, (table, leaf_table), key, built, leaf_built);
        }
    }
    Ok(())
}

fn root_row(root: &Record<'_>) -> Result<ExpectedRow, (&'static str, &'static str)> {
    Build::new(root)
        .soft_delete()
        .version()
        .put("name", "Name", convert::trimmed)
        .put("register_no", "RegisterNo", convert::filled)
        .put("phone", "Phone", convert::filled)
        .put("email", "Email", convert::filled)
        .put("kind", "Kind", convert::one_of(&["person", "company", "public"], "person"))
        .put("created_on", "CreatedOn", convert::instant(Gap::Later))
        .put("note", "Note", convert::nul_stripped)
        .finish()
}

type Built = Result<ExpectedRow, (&'static str, &'static str)>;

/// The row is there when both halves are, and both are right.
fn file(
    model: &mut Model,
    (table, leaf_table): (&'static str, &'static str),
    key: String,
    root: Built,
    leaf: Option<Built>,
) {
    let mut wrong = |table, (column, rule)| {
        model.unmappable.push(Unmappable { table, key: key.clone(), column, rule });
    };
    match (root, leaf) {
        (Ok(mut root), Some(Ok(leaf))) => {
            root.columns.extend(leaf.columns);
            model.tables.entry(table).or_default().insert(key, root);
        }
        (root, leaf) => {
            if let Err(fault) = root {
                wrong("Party", fault);
            }
            if let Some(Err(fault)) = leaf {
                wrong(leaf_table, fault);
            }
        }
    }
}
