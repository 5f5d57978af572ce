//! Keys are minted once, whoever asks.

use std::sync::Arc;

use mapping::{
    plan::EntityId,
    value::{Decimal, LegacyValue},
};

use crate::lab::{Lab, at, contract, partial, text, with};

const C: &str = "Contract";

#[tokio::test]
async fn four_writers_mint_one_id_for_each_key() {
    let lab = Lab::new().await;
    let mut tasks = Vec::new();
    for task in 0..4_u64 {
        let mut builders = Vec::new();
        for round in 0..5_u64 {
            let mut builder = lab.batch();
            for row in 0..200_u64 {
                let number = format!("N{}", (row * 7 + round * 13 + task * 29) % 300);
                let values = contract(&number, i64::try_from(task).expect("small"), "x");
                builder = builder.upsert(C, values, at(task * 10 + round + 1));
            }
            builders.push(builder.batch);
        }
        // Half of them with a cache of their own, as another process.
        let target =
            if task % 2 == 0 { Arc::clone(&lab.target) } else { Arc::new(lab.another().await) };
        tasks.push(tokio::spawn(async move {
            for batch in builders {
                target.apply(batch).await.expect("apply");
            }
        }));
    }
    for task in tasks {
        task.await.expect("a task");
    }
    let rows = lab.text("select count(*)::text from contracts").await;
    let keys = lab.text("select count(*)::text from ficus.key_map where entity = (select id from ficus.entity where name = 'contracts')").await;
    assert_eq!(rows, keys);
    let lost = lab
        .text("select count(*)::text from contracts c where not exists (select from ficus.key_map k where k.id = c.id)")
        .await;
    assert_eq!(lost, "0");
    let mixed = lab
        .text("select count(*)::text from (select number from contracts group by number having count(*) > 1) x")
        .await;
    assert_eq!(mixed, "0");
}

#[tokio::test]
async fn a_child_reserves_its_parents_id() {
    let lab = Lab::new().await;
    lab.batch().upsert(C, contract("A", 1, "x"), at(10)).apply(&lab.target).await;
    let int = LegacyValue::Int;
    lab.batch()
        .upsert(
            "Party",
            vec![
                ("OID", int(7)),
                ("Name", text("Bat")),
                ("Note", text("n")),
                ("ObjectType", int(1)),
                ("OptimisticLockField", int(1)),
            ],
            at(11),
        )
        .upsert("Tenant", vec![("OID", int(7)), ("Credit", int(1))], at(11))
        .apply(&lab.target)
        .await;
    let joined =
        lab.text("select t.name from contracts c join tenants t on t.id = c.tenant_id").await;
    assert_eq!(joined, "Bat");
}

#[tokio::test]
async fn two_spellings_are_one_key_and_look_ups_mint_nothing() {
    let lab = Lab::new().await;
    lab.batch()
        .upsert(C, contract("уб-1", 1, "x"), at(10))
        .upsert(C, contract("УБ-1 ", 2, "y"), at(11))
        .apply(&lab.target)
        .await;
    assert_eq!(lab.contracts().await, ["УБ-1|200|y|live|1"]);
    let mut batches = mapping::row::Batches::default();
    let known = lab.batch().upsert(C, contract("УБ-1", 1, "x"), at(12)).batch;
    let unknown = lab.batch().upsert(C, contract("no such", 1, "x"), at(12)).batch;
    let keys: Vec<_> = [known.rows, unknown.rows]
        .into_iter()
        .flat_map(mapping::row::Batches::into_inner)
        .map(|part| {
            let key = part.rows[0].key.clone();
            *batches.part(EntityId(0), 9) = part.clone();
            (part.entity, key)
        })
        .collect();
    let ids = lab.target.look_up(&keys).await.expect("a look-up");
    assert!(ids[0].is_some());
    assert_eq!(ids[1], None);
    let back = lab.target.keys_of(&[ids[0].expect("known")]).await.expect("keys");
    assert_eq!(back[&ids[0].expect("known")], keys[0]);
    assert_eq!(lab.text("select count(*)::text from ficus.key_map").await, "2");
    let mut mapped = lab.batch().upsert(C, contract("no such", 1, "x"), at(12)).batch.rows;
    let missing = lab.target.fill_known(&mut mapped).await.expect("a look-up");
    assert_eq!(missing.len(), 1);
    assert_eq!(lab.text("select count(*)::text from ficus.key_map").await, "2");
}

#[tokio::test]
async fn a_quarantined_row_and_its_partial_follower_share_the_id() {
    let lab = Lab::new().await;
    let total = LegacyValue::Decimal(Decimal { unscaled: 50, scale: 4 });
    lab.batch()
        .upsert(C, with(contract("A", 1, "x"), &[("Total", total)]), at(10))
        .upsert(C, partial("A", 1), at(11))
        .apply(&lab.target)
        .await;
    let same =
        lab.text("select (q.row_id = p.id)::text from ficus.quarantine q, ficus.parked p").await;
    assert_eq!(same, "true");
}
