//! What needs no Postgres: what is remembered of which server, and the ids' time.

use uuid::Uuid;

use super::*;

const OF: EntityId = EntityId(3);

fn key(number: u64) -> CanonicalKey {
    CanonicalKey::from_bytes(format!("key {number:010}").as_bytes())
}

fn id(number: u64) -> Uuid {
    Uuid::from_u128(u128::from(number))
}

#[test]
fn another_server_is_another_registry() {
    let keys = Keys::default();
    let resolved =
        |number| Resolved { fresh: vec![(OF, key(number), id(number))], ..Resolved::default() };
    let known = |number| keys.cache.lock().expect("nobody panicked").get(OF, &key(number));
    keys.meet("one");
    keys.committed(resolved(1));
    keys.meet("one");
    assert_eq!(known(1), Some(id(1)));
    keys.meet("its standby");
    assert_eq!(known(1), None, "the failover may have lost it");
    keys.committed(resolved(2));
    keys.clear();
    keys.meet("its standby");
    assert_eq!(known(2), None);
}

fn milliseconds(id: Uuid) -> u64 {
    let (seconds, nanoseconds) = id.get_timestamp().expect("a v7").to_unix();
    seconds * 1000 + u64::from(nanoseconds) / 1_000_000
}

#[test]
fn an_ids_time_is_the_rows_creation_or_now() {
    let keys = Keys::default();
    for (created, wanted) in [
        (0, 0),
        (1_709_265_600_123, 1_709_265_600_123),
        (-1, 0),
        ((1 << 48) - 1, (1 << 48) - 1),
        (i64::MAX, (1 << 48) - 1),
    ] {
        let minted = keys.mint(Some(created));
        assert_eq!((minted.get_version_num(), milliseconds(minted)), (7, wanted), "{created}");
        assert_ne!(minted, keys.mint(Some(created)), "two rows of one instant");
    }
    assert!(keys.mint(Some(999)) < keys.mint(Some(1000)), "id order is creation order");

    let minted: Vec<Uuid> = (0..10_000).map(|_| keys.mint(None)).collect();
    assert!(minted.is_sorted_by(|a, b| a < b), "now never goes back within a process");
    assert!(milliseconds(minted[0]) > 1_700_000_000_000);
}

#[test]
fn a_key_is_asked_for_once_however_often_it_is_wanted() {
    let (one, two) = (key(1), key(2));
    let place = Place::Other;
    let sorted = [
        (OF, &one, None, place(0)),
        (OF, &one, Some(5), place(1)),
        (OF, &one, Some(9), place(2)),
        (OF, &two, None, place(3)),
        (EntityId(4), &two, None, place(4)),
    ];
    let misses = group(&sorted);
    let told: Vec<(u16, usize, Option<i64>)> =
        misses.iter().map(|m| (m.entry.0.0, m.places.len(), m.created_at_ms)).collect();
    assert_eq!(told, [(3, 3, Some(5)), (3, 1, None), (4, 1, None)], "a creation time is kept");
}
