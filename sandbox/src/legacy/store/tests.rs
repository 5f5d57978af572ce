use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn record(key: u16, value: u8) -> Record {
    Record::new(&key.to_be_bytes(), &[value]).expect("short")
}

fn contents(store: &Store) -> Vec<(Vec<u8>, Vec<u8>)> {
    store.iter().map(|record| (record.key().to_vec(), record.row().to_vec())).collect()
}

proptest! {
    #[test]
    fn it_is_an_ordered_map_whose_snapshots_stay(
        loaded in prop::collection::btree_set(0..2_000_u16, 0..900),
        work in prop::collection::vec((0..3_u8, 0..2_000_u16, any::<u8>()), 0..900),
        from in 0..2_000_u16,
    ) {
        let mut model: BTreeMap<u16, u8> = loaded.iter().map(|key| (*key, 0)).collect();
        let mut store = Store::from_sorted(loaded.iter().map(|key| record(*key, 0)).collect());
        let (before, snapshot) = (contents(&store), store.clone());
        for (what, key, value) in work {
            let bytes = key.to_be_bytes();
            let there = model.contains_key(&key);
            match what {
                0 => {
                    prop_assert_eq!(store.insert(record(key, value)).is_err(), there);
                    model.entry(key).or_insert(value);
                }
                1 => {
                    prop_assert_eq!(store.replace(record(key, value)).is_some(), there);
                    model.entry(key).and_modify(|old| *old = value);
                }
                _ => {
                    prop_assert_eq!(store.remove(&bytes).is_some(), there);
                    model.remove(&key);
                }
            }
            prop_assert_eq!(store.get(&bytes).is_some(), model.contains_key(&key));
        }
        let expected: Vec<_> =
            model.iter().map(|(key, value)| (key.to_be_bytes().to_vec(), vec![*value])).collect();
        prop_assert_eq!(contents(&store), expected);
        prop_assert_eq!(store.count(), u64::try_from(model.len()).unwrap());
        prop_assert_eq!(contents(&snapshot), before);
        let mut place = store.seek(&from.to_be_bytes());
        let first = store.next(&mut place).map(|record| record.key().to_vec());
        let expected = model.range(from..).next().map(|(key, _)| key.to_be_bytes().to_vec());
        prop_assert_eq!(first, expected);
        let mut place = Place::default();
        let skipped = store.skip(&mut place, 300);
        prop_assert_eq!(skipped, model.len() > 300);
        let after = skipped.then(|| store.next(&mut place).unwrap().key().to_vec());
        prop_assert_eq!(after, model.keys().nth(300).map(|key| key.to_be_bytes().to_vec()));
    }
}
