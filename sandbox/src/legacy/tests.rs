use std::time::Instant;

use uuid::Uuid;

use super::*;

const DDL: &str = "
CREATE TABLE dbo.Owner (
  OID int NOT NULL PRIMARY KEY, Code nvarchar(10) NULL, Name nvarchar(20) NULL, GCRecord int NULL);
CREATE UNIQUE INDEX iCode ON dbo.Owner (Code, GCRecord);
CREATE TABLE dbo.Rate (
  Code nvarchar(10) NOT NULL, Since datetime NOT NULL, Amount money NULL,
  PRIMARY KEY (Code, Since));
CREATE TABLE dbo.Heap (Line nvarchar(20) NULL)";

fn database() -> Database {
    Database::from_ddl("Legacy", "Cyrillic_General_CI_AS", DDL).expect("simulated")
}

fn text(text: &str) -> LegacyValue<'static> {
    LegacyValue::Text(text.to_owned().into())
}

fn owner(oid: i64, code: &str) -> Values {
    vec![LegacyValue::Int(oid), text(code), text("Бат"), LegacyValue::Null]
}

fn oids(database: &Database) -> Vec<LegacyValue<'static>> {
    database.rows("Owner").expect("there").into_iter().map(|mut row| row.remove(0)).collect()
}

#[test]
fn a_transaction_is_all_or_nothing() {
    let database = database();
    assert_eq!(database.load("Owner", [owner(2, "b"), owner(1, "a")]).expect("loaded"), 2);
    let before = (database.rows("Owner").expect("there"), database.log().committed_lsn());
    let work = |transaction: &mut Transaction<'_>| {
        transaction.insert("dbo.owner", owner(3, "c"))?;
        transaction.delete("Owner", &[LegacyValue::Int(1)])?;
        transaction.update("Owner", &[LegacyValue::Int(2)], |row| row[0] = LegacyValue::Int(1))?;
        transaction.update("Owner", &[LegacyValue::Int(3)], |row| row[2] = LegacyValue::Null)?;
        assert!(transaction.row("Owner", &[LegacyValue::Int(2)])?.is_none());
        transaction.insert("Owner", owner(1, "again"))
    };
    let error = database.transaction(work).expect_err("a duplicate");
    assert_eq!(error.number(), 2627);
    assert_eq!((database.rows("Owner").expect("there"), database.log().committed_lsn()), before);
    let panicked = std::panic::catch_unwind(|| {
        database.transaction(|transaction| {
            transaction.insert("Owner", owner(9, "z"))?;
            panic!("in the closure")
        })
    });
    assert!(panicked.is_err());
    assert_eq!(database.rows("Owner").expect("there"), before.0);
    assert!(database.log().read(Lsn::ZERO, 9).expect("whole").is_empty());
}

#[test]
fn commits_get_rising_lsns_and_are_logged_as_cdc_would() {
    let database = database();
    let log = database.log();
    let start = log.captured_lsn();
    assert_eq!(log.min_lsn("DBO_Owner"), Some(start));
    let first = database
        .transaction(|tx| {
            tx.insert("Owner", owner(1, "a"))?;
            tx.insert("Owner", owner(2, "b"))
        })
        .expect("committed");
    let key = [LegacyValue::Int(1)];
    let second = database
        .transaction(|tx| {
            assert!(tx.update("Owner", &key, |row| row[2] = text("Дорж"))?);
            assert!(tx.update("Owner", &key, |row| row[2] = text("Дорж"))?);
            assert!(tx.update("Owner", &key, |row| row[1] = text("A"))?);
            assert!(tx.update("Owner", &key, |row| row[0] = LegacyValue::Int(7))?);
            assert!(!tx.delete("Owner", &key)?);
            assert!(tx.delete("Owner", &[LegacyValue::Int(2)])?);
            Ok(())
        })
        .expect("committed");
    assert!(start < first && first < second);
    assert_eq!(database.transaction(|_| Ok(())).expect("nothing"), second);
    assert_eq!(oids(&database), [LegacyValue::Int(7)]);
    let entries = log.read(first, 9).expect("whole");
    let [entry] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!(entry.lsn, second);
    assert!(entry.begin_ms <= entry.commit_ms);
    let shown: Vec<_> = entry
        .changes
        .iter()
        .map(|c| (c.operation, c.event_serial_no, c.deferred, c.columns_changed.clone()))
        .collect();
    let all = vec![0, 1, 2, 3];
    assert_eq!(
        shown,
        [
            (Operation::Update, 2, false, vec![2]),
            (Operation::Delete, 1, true, vec![1]),
            (Operation::Insert, 2, true, vec![1]),
            (Operation::Delete, 1, false, vec![0]),
            (Operation::Insert, 2, false, vec![0]),
            (Operation::Delete, 1, false, all),
        ]
    );
    let lsns: Vec<Lsn> = entry.changes.iter().map(|change| change.change_lsn).collect();
    assert!(lsns[1] == lsns[2] && lsns[3] == lsns[4]);
    assert!(lsns.iter().all(|lsn| first < *lsn && *lsn < second));
    let moved = entry.changes[4].after.as_ref().expect("an insert");
    assert_eq!((moved.value(0), moved.value(1)), (LegacyValue::Int(7), text("A")));
    assert_eq!(entry.changes[0].before.as_ref().expect("an update").value(2), text("Бат"));
}

#[test]
fn keys_are_compared_as_their_columns_compare() {
    let database = database();
    let rate = |code: &str, ms: i64| {
        vec![text(code), LegacyValue::Timestamp(ms * 10_000), LegacyValue::Null]
    };
    database.load("Rate", [rate("a ", 7), rate("b", 0), rate("A", 3)]).expect("loaded");
    let shown: Vec<_> =
        database.rows("Rate").expect("there").into_iter().map(|row| row[..2].to_vec()).collect();
    let at = |ms: i64| LegacyValue::Timestamp(ms * 10_000);
    let expected = [[text("A"), at(3)], [text("a "), at(7)], [text("b"), at(0)]];
    assert_eq!(shown, expected);
    let again = database.transaction(|tx| tx.insert("Rate", rate("A  ", 7)));
    assert_eq!(again.expect_err("a duplicate").number(), 2627);
    assert_eq!(database.load("Rate", [rate("B", 10)]).expect("another time"), 1);
    assert_eq!(
        database.load("Rate", [rate("c", 0), rate("B", 0)]).expect_err("there").number(),
        2627
    );
    assert_eq!(database.row_count("rate").expect("there"), 4);
    let found = database.row("Rate", &[text("a"), at(7)]).expect("a key").expect("there");
    assert_eq!(found[0], text("a "));
    // Other letters of the same text change the row, in place, as a deferred update.
    database
        .transaction(|tx| {
            tx.update("Rate", &[text("B"), at(0)], |row| row[0] = text("B")).map(|_| ())
        })
        .expect("committed");
    let entries = database.log().read(Lsn::ZERO, 1).expect("whole");
    assert!(entries[0].changes.iter().all(|change| change.deferred));
}

#[test]
fn values_that_do_not_fit_are_refused() {
    let database = database();
    let number = |values: Values| database.load("Owner", [values]).expect_err("refused").number();
    assert_eq!(number(vec![LegacyValue::Int(1)]), 213);
    assert_eq!(number(vec![LegacyValue::Null, text("a"), text("b"), LegacyValue::Null]), 515);
    assert_eq!(number(owner(1, "longer than ten")), 2628);
    assert_eq!(database.rows("Missing").expect_err("unknown").number(), 208);
    let line = || vec![text("same")];
    assert_eq!(database.load("Heap", [line(), line()]).expect("no key"), 2);
    assert_eq!(database.row_count("Heap").expect("there"), 2);
}

#[test]
fn capture_lags_behind_the_commit() {
    let database = database();
    let log = database.log();
    let mut captured = log.captured();
    let start = *captured.borrow_and_update();
    database.set_capture_lag(Duration::MAX);
    let lsn = database.transaction(|tx| tx.insert("Owner", owner(1, "a"))).expect("committed");
    assert_eq!((log.committed_lsn(), log.captured_lsn()), (lsn, start));
    assert!(log.read(start, 9).expect("whole").is_empty());
    let lag = Duration::from_millis(40);
    let set = Instant::now();
    database.set_capture_lag(lag);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("one");
    runtime.block_on(captured.changed()).expect("it moves");
    assert_eq!(*captured.borrow(), lsn);
    let next = Instant::now();
    database.transaction(|tx| tx.insert("Owner", owner(2, "b"))).expect("committed");
    assert_eq!(log.captured_lsn(), lsn);
    runtime.block_on(captured.wait_for(|seen| *seen > lsn)).expect("it moves");
    assert!(next.elapsed() >= lag && set.elapsed() >= lag);
    assert_eq!(log.read(start, 9).expect("whole").len(), 2);
    assert_eq!(log.read(start, 1).expect("whole").len(), 1);
}

#[test]
fn a_trimmed_log_says_so() {
    let database = database();
    let log = database.log();
    let commit =
        |oid| database.transaction(|tx| tx.insert("Owner", owner(oid, "x"))).expect("committed");
    let (first, second) = (commit(1), commit(2));
    log.trim(first);
    assert_eq!(log.min_lsn("dbo_Owner"), Some(first));
    assert_eq!(log.read(first, 9).expect("whole").len(), 1);
    assert_eq!(log.read(Lsn::ZERO, 9).expect_err("cut").number(), 313);
    assert_eq!(log.captured_lsn(), second);
    database.set_captured("Owner", false).expect("there");
    assert_eq!((commit(3), log.min_lsn("dbo_Owner")), (second, None));
    let owner = mapping::catalog::LegacyTable::new("dbo", "OWNER");
    let catalog = database.catalog();
    assert_eq!(catalog.table(&owner).expect("there").capture_instance, None);
    assert_eq!(catalog.tables.iter().filter(|t| t.capture_instance.is_some()).count(), 3);
}

#[test]
fn the_marker_is_seen_once_it_is_captured() {
    let database = database();
    database.set_capture_lag(Duration::MAX);
    let token = Uuid::from_u128(7);
    let row = vec![LegacyValue::Guid(token), LegacyValue::Timestamp(0)];
    let lsn = database.transaction(|tx| tx.insert("ficus_marker", row)).expect("committed");
    let (index, _) = database.inner().table("ficus_marker").expect("there");
    assert_eq!(database.inner().read().log.marker(token, index), None);
    database.set_capture_lag(Duration::ZERO);
    let log = database.log();
    while log.captured_lsn() < lsn {
        std::thread::yield_now();
    }
    assert_eq!(database.inner().read().log.marker(token, index), Some(lsn));
}

#[test]
fn readers_see_whole_transactions() {
    let database = database();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for n in 0..2_000 {
                let pair = |tx: &mut Transaction<'_>| {
                    tx.insert("Owner", owner(n, "a"))?;
                    tx.insert("Owner", owner(-n - 1, "b"))
                };
                database.transaction(pair).expect("committed");
            }
        });
        while !writer.is_finished() {
            assert_eq!(oids(&database).len() % 2, 0);
        }
    });
    let log = database.log().read(Lsn::ZERO, usize::MAX).expect("whole");
    assert!(log.array_windows().all(|[a, b]| a.lsn < b.lsn));
    assert_eq!((log.len(), oids(&database).len()), (2_000, 4_000));
}
