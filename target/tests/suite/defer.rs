//! Secondary indexes that are dropped before a load and built after it.

use sqlx::PgPool;
use target::domain::Terms;

use crate::lab::{Lab, contract, read};

const C: &str = "Contract";

const INDEXES: &str = "
    create index contracts_terms_idx on public.contracts (terms, total desc) where total > 0;
    create index \"odd \"\" name\" on public.contracts using hash (number);
    create unique index contracts_unique_idx on public.contracts (id, number);
    alter table public.contracts add constraint contracts_number_excl
      exclude using btree (number with =) where (total < 0)";

/// All indexes of a table.
async fn indexes(lab: &Lab) -> Vec<String> {
    lab.texts("select indexdef from pg_indexes where tablename = 'contracts' order by indexname")
        .await
}

async fn deferred(lab: &Lab) -> Vec<String> {
    let deferred = lab.target.deferred_indexes().await.expect("a list");
    deferred.into_iter().map(|index| index.name).collect()
}

/// What the gate of the cutover says, where there is one.
async fn gate(lab: &Lab, domain: &str) -> Option<String> {
    let gates = lab.target.gates(domain, &Terms::default()).await.expect("gates");
    let gate = gates.into_iter().find(|gate| gate.name == "indexes")?;
    assert!(!gate.green);
    Some(gate.detail)
}

#[tokio::test]
async fn indexes_of_empty_tables_wait_and_none_is_lost() {
    let lab = Lab::new().await;
    let owner: &PgPool = &lab.admin;
    sqlx::raw_sql(INDEXES).execute(owner).await.expect("indexes");
    let before = indexes(&lab).await;
    let entity = lab.target.plan().entity("contracts").expect("the entity").id;
    let dropped = lab.target.defer_indexes(owner, &[entity]).await.expect("dropped");
    assert_eq!(dropped.len(), 2, "what is unique, or behind a constraint, stays: {dropped:?}");
    assert_eq!(indexes(&lab).await.len(), before.len() - 2);
    // A second time nothing is dropped, and nothing is forgotten.
    assert!(lab.target.defer_indexes(owner, &[entity]).await.expect("nothing").is_empty());
    assert_eq!(deferred(&lab).await, ["contracts_terms_idx", "odd \" name"]);
    let red = gate(&lab, "contracts").await.expect("a gate");
    assert!(red.contains("contracts.contracts_terms_idx, contracts.odd \" name"), "{red}");
    lab.batch().upsert(C, contract("A", 1, "x"), read(10)).apply(&lab.target).await;

    let waiting = lab.target.deferred_indexes().await.expect("a list");
    // One that was left half built, and two who build at the same time.
    sqlx::raw_sql(sqlx::AssertSqlSafe(
        before.iter().find(|i| i.contains("terms_idx")).expect("it").clone(),
    ))
    .execute(owner)
    .await
    .expect("built");
    let half = "update pg_index set indisvalid = false
                where indexrelid = 'public.contracts_terms_idx'::regclass";
    sqlx::raw_sql(half).execute(owner).await.expect("a catalogue that may be spoilt");
    for index in &waiting {
        let (one, two) = tokio::join!(
            lab.target.build_index(owner, index),
            lab.target.build_index(owner, index)
        );
        one.expect("built");
        two.expect("found");
    }
    assert_eq!(indexes(&lab).await, before);
    assert_eq!(deferred(&lab).await, [""; 0]);
    assert_eq!(gate(&lab, "contracts").await, None);
    let invalid = lab.text("select count(*)::text from pg_index where not indisvalid").await;
    assert_eq!(invalid, "0");
    // A table with rows keeps its indexes.
    assert!(lab.target.defer_indexes(owner, &[entity]).await.expect("nothing").is_empty());
    assert_eq!(indexes(&lab).await, before);
}
