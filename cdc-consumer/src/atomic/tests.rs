use proptest::prelude::*;

use super::*;

const MARKS: &str = "p.transaction";

fn lsn(number: u32) -> String {
    format!("00000027:{number:08x}:0001")
}

fn sequencer() -> Sequencer {
    let followed = ["Db.dbo.A".to_owned(), "Db.dbo.B".to_owned()];
    Sequencer::new(followed, MARKS.to_owned(), 1 << 20)
}

/// An event of a table, or a mark.
#[derive(Debug, Clone, PartialEq)]
struct Record {
    topic: String,
    partition: i32,
    value: Option<String>,
}

fn event(table: &str, partition: i32, transaction: u32, order: u64) -> Record {
    let id = lsn(transaction);
    let value = format!(
        r#"{{"before":null,"after":{{}},"source":{{"db":"Db","schema":"dbo","table":"{table}","commit_lsn":"{id}"}},"transaction":{{"id":"{id}","total_order":{order},"data_collection_order":1}},"op":"c"}}"#
    );
    Record { topic: format!("p.Db.dbo.{table}"), partition, value: Some(value) }
}

fn mark(transaction: u32, counts: Option<&[(&str, u64)]>) -> Record {
    let id = lsn(transaction);
    let (status, total, list) = match counts {
        None => ("BEGIN", "null".to_owned(), "null".to_owned()),
        Some(counts) => {
            let list: Vec<String> = counts
                .iter()
                .map(|(table, count)| {
                    format!(r#"{{"data_collection":"Db.dbo.{table}","event_count":{count}}}"#)
                })
                .collect();
            let total: u64 = counts.iter().map(|(_, count)| count).sum();
            ("END", total.to_string(), format!("[{}]", list.join(",")))
        }
    };
    let value = format!(
        r#"{{"status":"{status}","id":"{id}","event_count":{total},"data_collections":{list},"ts_ms":1}}"#
    );
    Record { topic: MARKS.to_owned(), partition: 0, value: Some(value) }
}

fn push(sequencer: &mut Sequencer, record: &Record, offset: i64) -> Result<(), Error> {
    sequencer.push(&Incoming {
        topic: &record.topic,
        partition: record.partition,
        offset,
        key: None,
        value: record.value.as_deref().map(str::as_bytes),
        headers: &[],
        timestamp_ms: None,
        fingerprint: None,
    })
}

/// `topic/partition@offset` of what is free now, group by group.
fn free(sequencer: &mut Sequencer) -> Vec<Vec<String>> {
    std::iter::from_fn(|| {
        let group = sequencer.next();
        let name = |Waiting { message: m, .. }: &Waiting| {
            format!("{}/{}@{}", m.topic.rsplit('.').next().unwrap(), m.partition, m.offset)
        };
        (!group.is_empty()).then(|| group.iter().map(name).collect())
    })
    .collect()
}

#[test]
fn f32_a_transaction_comes_out_whole_and_in_its_turn() {
    let mut s = sequencer();
    push(&mut s, &event("A", 0, 1, 1), 10).unwrap();
    push(&mut s, &event("A", 0, 2, 1), 11).unwrap();
    push(&mut s, &mark(1, None), 0).unwrap();
    // Two tables, of which one is not followed.
    push(&mut s, &mark(1, Some(&[("A", 1), ("B", 1), ("Else", 7)])), 1).unwrap();
    push(&mut s, &mark(2, None), 2).unwrap();
    push(&mut s, &mark(2, Some(&[("A", 1)])), 3).unwrap();
    assert!(free(&mut s).is_empty(), "B of 1 is missing; 2 is whole, and waits");
    assert_eq!(s.missing().map(|(_, here, needed)| (here, needed)), Some((1, Some(2))));
    push(&mut s, &event("B", 3, 1, 2), 20).unwrap();
    assert_eq!(
        free(&mut s),
        [
            vec!["A/0@10", "B/3@20", "transaction/0@0", "transaction/0@1"],
            vec!["A/0@11", "transaction/0@2", "transaction/0@3"],
        ]
    );
    assert_eq!((s.bytes(), s.missing()), (0, None));
}

#[test]
fn what_belongs_to_no_transaction_goes_with_what_stands_before_it() {
    let mut s = sequencer();
    let tombstone = Record { value: None, ..event("A", 0, 1, 1) };
    let read = Record {
        value: event("A", 0, 1, 1).value.map(|v| v.replace(r#""op":"c""#, r#""op":"r""#)),
        ..event("A", 0, 1, 1)
    };
    push(&mut s, &read, 0).unwrap();
    assert_eq!(free(&mut s), [["A/0@0"]]);
    push(&mut s, &event("A", 0, 1, 1), 1).unwrap();
    push(&mut s, &tombstone, 2).unwrap();
    assert!(free(&mut s).is_empty());
    push(&mut s, &mark(1, Some(&[("A", 1)])), 0).unwrap();
    assert_eq!(free(&mut s), [["A/0@1", "A/0@2", "transaction/0@0"]]);
    // Delivered again: it was whole before.
    push(&mut s, &event("A", 0, 1, 1), 3).unwrap();
    assert_eq!(free(&mut s), [["A/0@3"]]);
}

#[test]
fn an_event_that_is_delivered_twice_is_one() {
    let mut s = sequencer();
    push(&mut s, &event("A", 0, 1, 1), 0).unwrap();
    push(&mut s, &event("A", 0, 1, 1), 1).unwrap();
    push(&mut s, &mark(1, Some(&[("A", 2)])), 0).unwrap();
    assert!(free(&mut s).is_empty());
    push(&mut s, &event("A", 0, 1, 2), 2).unwrap();
    assert_eq!(free(&mut s).len(), 1);
}

#[test]
fn what_was_begun_before_is_not_waited_for() {
    let mut s = sequencer();
    s.restart(Lsn::parse(&lsn(5)).unwrap());
    push(&mut s, &event("A", 0, 5, 3), 7).unwrap();
    assert_eq!(free(&mut s), [["A/0@7"]]);
    push(&mut s, &event("A", 0, 6, 1), 8).unwrap();
    assert!(free(&mut s).is_empty());
}

#[test]
fn without_metadata_it_is_refused() {
    let mut s = sequencer();
    let mut record = event("A", 0, 1, 1);
    record.value = record.value.map(|value| {
        let (head, tail) = value.split_once(r#""transaction":"#).unwrap();
        let (_, tail) = tail.split_once(r#"},"op""#).unwrap();
        format!(r#"{head}"transaction":null,"op"{tail}"#)
    });
    let error = push(&mut s, &record, 3).unwrap_err();
    assert!(matches!(error, Error::NoTransaction { .. }), "{error}");
    assert!(error.hint().contains("provide.transaction.metadata"));
}

#[test]
fn f33_partitions_that_are_ahead_wait_and_a_giant_is_refused() {
    let mut s = Sequencer::new(["Db.dbo.A".to_owned()], MARKS.to_owned(), 20_000);
    // Partition 1 runs ahead, while partition 0 has not brought its half of the first one.
    push(&mut s, &event("A", 1, 1, 2), 0).unwrap();
    push(&mut s, &mark(1, Some(&[("A", 2)])), 0).unwrap();
    for offset in 1..60 {
        push(&mut s, &event("A", 1, u32::try_from(offset).unwrap() + 1, 1), offset).unwrap();
    }
    assert!(s.bytes() > 20_000);
    assert_eq!(s.ahead().into_iter().collect::<Vec<_>>(), [("p.Db.dbo.A".to_owned(), 1)]);
    push(&mut s, &event("A", 0, 1, 1), 0).unwrap();
    assert_eq!(s.next().len(), 3);
    // One that does not fit at all.
    let mut s = Sequencer::new(["Db.dbo.A".to_owned()], MARKS.to_owned(), 20_000);
    let error = (0..100_u32)
        .find_map(|n| push(&mut s, &event("A", 0, 1, u64::from(n)), i64::from(n)).err())
        .expect("it is too large");
    let Error::TransactionTooLarge { events, bytes_max, .. } = &error else { panic!("{error}") };
    assert!(*events > 10 && *bytes_max == 20_000);
    assert!(error.hint().contains("consume.atomic_bytes_max"), "{}", error.hint());
}

/// Transactions over two tables and three partitions, and an order in which they arrive.
fn history() -> impl Strategy<Value = (Vec<Vec<(bool, i32)>>, Vec<usize>)> {
    let transaction = prop::collection::vec((any::<bool>(), 0..3_i32), 1..5);
    (prop::collection::vec(transaction, 1..8), prop::collection::vec(0..7_usize, 0..200))
}

proptest! {
    /// However the partitions are interleaved, transactions come out whole, once, in order.
    #[test]
    fn any_interleaving_gives_whole_transactions_in_order((transactions, picks) in history()) {
        let mut logs: BTreeMap<(String, i32), Vec<Record>> = BTreeMap::new();
        let mut sizes = BTreeMap::new();
        for (number, events) in (1..).zip(&transactions) {
            let mut all = vec![mark(number, None)];
            let mut counts = [0, 0];
            for (order, (is_b, partition)) in (1..).zip(events) {
                counts[usize::from(*is_b)] += 1;
                all.push(event(if *is_b { "B" } else { "A" }, *partition, number, order));
            }
            let counts: Vec<_> =
                ["A", "B"].into_iter().zip(counts).filter(|(_, count)| *count > 0).collect();
            all.push(mark(number, Some(&counts)));
            sizes.insert(number, all.len());
            for record in all {
                logs.entry((record.topic.clone(), record.partition)).or_default().push(record);
            }
        }
        let mut s = sequencer();
        let mut next: BTreeMap<_, usize> = BTreeMap::new();
        let mut groups: Vec<Vec<Waiting>> = Vec::new();
        let keys: Vec<_> = logs.keys().cloned().collect();
        let rest = keys.iter().enumerate().flat_map(|(index, key)| vec![index; logs[key].len()]);
        for pick in picks.iter().copied().chain(rest) {
            let Some(key) = keys.get(pick) else { continue };
            let at = next.entry(key.clone()).or_default();
            let Some(record) = logs[key].get(*at) else { continue };
            push(&mut s, record, i64::try_from(*at).unwrap()).unwrap();
            *at += 1;
            groups.extend(std::iter::from_fn(|| Some(s.next()).filter(|g| !g.is_empty())));
        }
        let ids: Vec<_> = groups.iter().map(|g| g[0].transaction.unwrap().to_string()).collect();
        let wanted: Vec<_> = sizes.keys().map(|number| lsn(*number)).collect();
        prop_assert_eq!(ids, wanted);
        for (group, size) in groups.iter().zip(sizes.values()) {
            prop_assert_eq!(group.len(), *size);
        }
    }
}
