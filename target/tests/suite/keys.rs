//! Keys are minted once, whoever asks.

use std::sync::Arc;

use mapping::{
    key::CanonicalKey,
    plan::EntityId,
    value::{Decimal, LegacyValue},
};
use uuid::Uuid;

use crate::lab::{Builder, Lab, at, contract, partial, text, with};

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

/// As many processes as there may be, each asking for the same keys in another order and in
/// batches of another size: whoever is first mints, all others wait for him and take his.
#[tokio::test]
async fn eight_writers_that_mint_the_same_ten_thousand_keys_get_the_same_ids() {
    const KEYS: usize = 10_000;
    let lab = Lab::new().await;
    let keys = keys(&lab, KEYS);
    let mut tasks = Vec::new();
    for writer in 0..8_usize {
        let target = Arc::new(lab.another().await);
        let mut shuffled: Vec<(usize, (EntityId, CanonicalKey))> =
            keys.iter().cloned().enumerate().collect();
        // 7 and 10,000 have no common divisor, so this is every key once.
        shuffled.sort_by_key(|(index, _)| {
            (index * 7_usize.pow(1 + u32::try_from(writer).unwrap_or(1))) % KEYS
        });
        let batch = [KEYS, 5000, 3333, 2000, 1000, 997, 500, 250][writer];
        tasks.push(tokio::spawn(async move {
            let mut ids = vec![Uuid::nil(); KEYS];
            for chunk in shuffled.chunks(batch) {
                let wanted: Vec<_> = chunk.iter().map(|(_, key)| key.clone()).collect();
                let found = target.reserve(&wanted).await.expect("ids");
                for ((index, _), id) in chunk.iter().zip(found) {
                    ids[*index] = id;
                }
            }
            ids
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.expect("a writer"));
    }
    assert!(all.iter().all(|ids| *ids == all[0]), "two ids for one key");
    let mut distinct = all[0].clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), KEYS, "two keys with one id");
    assert_eq!(lab.text("select count(*)::text from ficus.key_map").await, KEYS.to_string());
    let stored = lab.target.look_up(&keys).await.expect("a look-up");
    assert!(stored.iter().zip(&all[0]).all(|(stored, id)| *stored == Some(*id)));
}

/// Postgres and the digests of a comparison put an id into the same bucket, however many there are.
#[tokio::test]
async fn ids_are_found_by_their_bucket() {
    let lab = Lab::new().await;
    let keys = keys(&lab, 400);
    let ids = lab.target.reserve(&keys).await.expect("ids");
    let place = |id: &Uuid, bits: u32| {
        let [.., a, b, c] = *id.as_bytes();
        u32::from_be_bytes([0, a, b, c]) & ((1 << bits) - 1)
    };
    for bits in [8, 12, 16, 17, 20, 24] {
        let wanted: Vec<u32> = ids.iter().step_by(3).map(|id| place(id, bits)).collect();
        let mut expected: Vec<Uuid> =
            ids.iter().filter(|id| wanted.contains(&place(id, bits))).copied().collect();
        let (sink, mut found) = tokio::sync::mpsc::channel(ids.len());
        let places = ((1 << bits) - 1, wanted.as_slice());
        lab.target.ids_in_buckets(keys[0].0, None, places, sink).await.expect("ids");
        let mut told = Vec::new();
        while let Some((id, key)) = found.recv().await {
            assert!(key.is_some());
            told.push(id);
        }
        told.sort_unstable();
        expected.sort_unstable();
        assert_eq!(told, expected, "{bits} bits");
    }
}

/// A COPY of keys is for nothing when one of them is known; then they are inserted one by one.
#[tokio::test]
async fn keys_of_which_some_are_known_keep_their_ids() {
    let lab = Lab::new().await;
    let keys = keys(&lab, 3_000);
    let first = lab.target.reserve(&keys[..1_000]).await.expect("ids");
    let other = lab.another().await;
    let second = other.reserve(&keys[500..2_000]).await.expect("ids");
    assert_eq!(first[500..], second[..500]);
    let third = other.reserve(&keys).await.expect("ids");
    assert_eq!((&third[..1_000], &third[500..2_000]), (&first[..], &second[..]));
    assert_eq!(lab.text("select count(*)::text from ficus.key_map").await, "3000");
}

/// Keys of contracts, as mapped rows carry them.
fn keys(lab: &Lab, count: usize) -> Vec<(EntityId, CanonicalKey)> {
    let mut builder = lab.batch();
    for number in 0..count {
        builder = builder.upsert(C, contract(&format!("N{number}"), 1, "x"), at(1));
    }
    let parts = builder.batch.rows.into_inner();
    let rows =
        parts.iter().flat_map(|part| part.rows.iter().map(|row| (part.entity, row.key.clone())));
    rows.collect()
}

/// Has every statement that writes to `ficus.key_map` from now on noted.
async fn note_minting(lab: &Lab) {
    for sql in [
        "create table minting (is_copy boolean)",
        "create function note_minting() returns trigger language plpgsql security definer
         set search_path = public as $$ begin
           insert into minting select current_query() like 'copy %'; return null; end $$",
        "create trigger note after insert on ficus.key_map for each statement
         execute function note_minting()",
    ] {
        lab.rows(sql).await;
    }
}

/// How many of them there were so far: COPYs, and inserts.
async fn minting(lab: &Lab) -> String {
    lab.text(
        "select count(*) filter (where is_copy) || ' ' || count(*) filter (where not is_copy) from minting",
    )
    .await
}

/// A contract for each number, and with it a tenant for each remainder by a thousand after `first`.
fn contracts_of(lab: &Lab, name: &str, (count, first): (i64, i64), position: u64) -> Builder {
    let mut builder = lab.batch();
    for number in 0..count {
        let tenant = LegacyValue::Int(first + number % 1_000);
        let values = with(contract(&format!("{name}{number}"), 1, "x"), &[("Tenant", tenant)]);
        builder = builder.upsert(C, values, at(position));
    }
    builder
}

#[tokio::test]
async fn a_batchs_new_keys_are_one_statement_for_each_entity_and_its_known_ones_none() {
    let lab = Lab::new().await;
    note_minting(&lab).await;
    contracts_of(&lab, "N", (5_000, 0), 10).apply(&lab.target).await;
    assert_eq!(minting(&lab).await, "2 0", "5,000 keys, and 1,000 that they refer to");
    contracts_of(&lab, "N", (5_000, 0), 20).apply(&lab.target).await;
    assert_eq!(minting(&lab).await, "2 0", "all are in the cache");
    let other = lab.another().await;
    contracts_of(&lab, "N", (5_000, 0), 30).apply(&other).await;
    assert_eq!(minting(&lab).await, "2 1", "one for a process that knows none");
    contracts_of(&lab, "M", (100, 2_000), 40).apply(&other).await;
    assert_eq!(minting(&lab).await, "2 2", "few are not worth a COPY");
    assert_eq!(lab.text("select count(*)::text from ficus.key_map").await, "6200");
}

/// The keys of a table that is copied are new; those of the parents that it names another reader has
/// met. That these can't be copied must not make those slow, and after the first ones they are looked for.
#[tokio::test]
async fn known_parents_do_not_keep_new_keys_from_being_copied() {
    let lab = Lab::new().await;
    let other = lab.another().await;
    for first in [0, 1_000, 2_000, 3_000] {
        contracts_of(&lab, &format!("P{first}-"), (1_000, first), 10).apply(&lab.target).await;
    }
    note_minting(&lab).await;
    for first in [0, 1_000, 2_000, 3_000] {
        contracts_of(&lab, &format!("N{first}-"), (1_000, first), 10).apply(&other).await;
    }
    assert_eq!(minting(&lab).await, "4 1");
    assert_eq!(lab.text("select count(distinct tenant_id)::text from contracts").await, "4000");
}

/// What a transaction minted and never committed is nobody's: it must not be in the cache.
#[tokio::test]
async fn a_batch_that_fails_leaves_no_ids_behind() {
    let lab = Lab::new().await;
    lab.rows("alter table contracts add constraint refused check (number <> 'A') not valid").await;
    lab.rows("alter table ficus.quarantine add constraint full_up check (rule is null)").await;
    let batch = lab.batch().upsert(C, contract("A", 1, "x"), at(10)).batch;
    let failed = lab.target.apply(batch).await;
    assert!(failed.is_err(), "neither applied nor quarantined");
    lab.rows("alter table contracts drop constraint refused").await;
    lab.batch().upsert(C, contract("A", 1, "x"), at(10)).apply(&lab.target).await;
    let known = "select count(*)::text from contracts c join ficus.key_map k on k.id = c.id";
    assert_eq!(lab.text(known).await, "1");
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
