//! One row, looked at from all sides, by a role that may only read.

use std::sync::Arc;

use mapping::{plan::Plan, value::LegacyValue};
use target::{Role, Settings, look::Look};
use uuid::Uuid;

use crate::lab::{Lab, Values, at, contract, deleted, plan, text, with};

async fn look(lab: &Lab, plan: Plan) -> Look {
    let url = lab.url.clone();
    let settings = Settings { url, role: Role::Reader, set_role: true, max_connections: 2 };
    let pool = target::connect(&settings).await.expect("a pool");
    Look::open(pool, Arc::new(plan)).await.expect("a look")
}

fn party(number: i64, name: &str) -> Values {
    vec![
        ("OID", LegacyValue::Int(number)),
        ("Name", text(name)),
        ("ObjectType", LegacyValue::Int(1)),
        ("OptimisticLockField", LegacyValue::Int(1)),
    ]
}

#[tokio::test]
async fn a_row_is_found_by_its_key_and_its_key_by_its_id() {
    let lab = Lab::new().await;
    lab.batch().upsert("Contract", contract("A/1", 5, "terms"), at(3)).apply(&lab.target).await;
    let look = look(&lab, plan()).await;
    let plan = plan();
    let contracts = plan.entity("contracts").expect("an entity").id;
    let tenants = plan.entity("tenants").expect("an entity").id;
    let key = plan.table("dbo", "Contract").expect("a table").parse_key("a~11").expect("a key");
    let nobody = plan.table("dbo", "Contract").expect("a table").parse_key("B").expect("a key");
    let tenant = plan.table("dbo", "Party").expect("a table").parse_key("7").expect("a key");
    let wanted = [(contracts, nobody.clone()), (contracts, key.clone()), (tenants, tenant)];
    let ids = look.ids(&wanted).await.expect("ids");
    assert_eq!(ids[0], None);
    let (id, parent) = (ids[1].expect("minted"), ids[2].expect("reserved by its child"));

    assert_eq!(look.key_of(id).await.expect("a key"), Some(("contracts".to_owned(), key.clone())));
    assert_eq!(look.key_of(Uuid::nil()).await.expect("an answer"), None);

    let row = look.row(contracts, id).await.expect("an answer").expect("a row");
    assert_eq!(row.position, Some(at(3)));
    assert_eq!(row.fields[0].as_deref(), Some(&id.as_bytes()[..]));
    assert_eq!(row.fields[1].as_deref(), Some(&b"A/1"[..]));
    assert_eq!(row.fields[2].as_deref(), Some(&parent.as_bytes()[..]));
    assert_eq!(row.fields[3].as_deref(), Some(&500_i64.to_be_bytes()[..]));
    assert_eq!(row.fields[5], None);
    assert_eq!(look.row(tenants, parent).await.expect("an answer"), None, "only reserved");

    let counted = lab.texts("select count(*)::text from ficus.key_map").await;
    assert_eq!(counted, ["2"], "looking mints nothing");
}

#[tokio::test]
async fn what_is_kept_beside_a_row_is_shown() {
    let lab = Lab::new().await;
    let bad = with(contract("B", 9_999_999, ""), &[("Tenant", LegacyValue::Null)]);
    lab.batch()
        .upsert("Contract", contract("A", 5, ""), at(3))
        .upsert("Contract", bad, at(4))
        .upsert("Party", party(1, "half"), at(5))
        .apply(&lab.target)
        .await;
    lab.batch().delete("Contract", deleted(contract("A", 5, "")), at(6)).apply(&lab.target).await;
    let look = look(&lab, plan()).await;
    let plan = plan();
    let contracts = plan.entity("contracts").expect("an entity").id;
    let tenants = plan.entity("tenants").expect("an entity").id;
    let tables = ["dbo.Contract".to_owned()];
    let of = |entity, table: &str, key: &str| {
        let key = plan.table("dbo", table).expect("a table").parse_key(key).expect("a key");
        let (look, tables) = (&look, &tables);
        async move {
            let id = look.ids(&[(entity, key.clone())]).await.expect("ids")[0];
            look.aside(entity, &key, id, tables).await.expect("what is kept")
        }
    };
    let gone = of(contracts, "Contract", "A").await;
    assert_eq!((gone.tombstone, gone.quarantine.len()), (Some(at(6)), 0));
    let refused = of(contracts, "Contract", "B").await;
    let rules: Vec<&str> = refused.quarantine.iter().map(|entry| entry.rule.as_str()).collect();
    assert_eq!((rules.len(), refused.quarantine[0].state.as_str()), (1, "open"), "{rules:?}");
    let half = of(tenants, "Party", "1").await;
    assert_eq!(half.parts, [(0, at(5), "live".to_owned())]);
    let nothing = target::look::Aside {
        domain_state: Some("legacy".to_owned()),
        ..target::look::Aside::default()
    };
    assert_eq!(of(tenants, "Party", "2").await, nothing);
}

#[tokio::test]
async fn an_entity_that_was_never_registered_has_no_ids() {
    let lab = Lab::new().await;
    sqlx::query("delete from ficus.entity where name = 'owners'")
        .execute(&lab.admin)
        .await
        .expect("it goes");
    let look = look(&lab, plan()).await;
    let plan = plan();
    let owners = plan.entity("owners").expect("an entity").id;
    let key = plan.table("dbo", "Party").expect("a table").parse_key("1").expect("a key");
    assert_eq!(look.ids(&[(owners, key.clone())]).await.expect("ids"), [None]);
    let aside = look.aside(owners, &key, None, &[]).await.expect("nothing");
    assert_eq!((aside.tombstone, aside.parts, aside.quarantine), (None, vec![], vec![]));
}
