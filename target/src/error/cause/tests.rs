//! The policy, line by line: SQLSTATEs as Postgres writes them, and what follows.

use super::*;

fn check(policy: Disposition, codes: &[&str]) {
    for code in codes {
        assert_eq!(of_sqlstate(code), policy, "{code}");
        assert!(!hint(code).is_empty(), "{code}");
    }
}

fn of(error: sqlx::Error) -> Cause {
    error.into()
}

#[test]
fn transport_and_capacity_are_tried_again() {
    check(Disposition::Retry, &["08000", "08001", "08003", "08004", "08006", "08P01"]);
    // Shut down, crashed, starting up, idle too long.
    check(Disposition::Retry, &["57P01", "57P02", "57P03", "57P05"]);
    check(Disposition::Retry, &["40001", "40003"]);
    check(Disposition::Retry, &["53000", "53300"]);
    // An ended idle transaction, a standby, a plan that is out of date, an object in use.
    check(Disposition::Retry, &["25P03", "25006", "26000", "0A000", "55006", "72000"]);
    for error in [
        sqlx::Error::Io(io::ErrorKind::ConnectionReset.into()),
        sqlx::Error::Protocol("half a message".into()),
        sqlx::Error::WorkerCrashed,
        sqlx::Error::PoolTimedOut,
    ] {
        assert_eq!(of(error).disposition(), Disposition::Retry);
    }
}

#[test]
fn who_is_in_the_way_gets_smaller_batches() {
    check(Disposition::RetrySmaller, &["40P01", "55P03", "57014", "25P04"]);
}

#[test]
fn the_environment_is_waited_for_and_nothing_is_skipped() {
    check(Disposition::RetrySlowly, &["53100", "53200", "53400", "58000", "58030", "58P01"]);
    check(Disposition::RetrySlowly, &["28000", "28P01"]);
    check(Disposition::RetrySlowly, &["42501", "42P01", "42703", "42704", "42883", "42P10"]);
    check(Disposition::RetrySlowly, &["3D000", "3F000", "57P04"]);
    // An expired certificate fails the handshake, which the driver tells as one of these.
    for error in [
        sqlx::Error::Io(io::ErrorKind::InvalidData.into()),
        sqlx::Error::Tls("certificate expired".into()),
    ] {
        let cause = of(error);
        assert_eq!(cause.disposition(), Disposition::RetrySlowly);
        assert!(cause.hint().contains("certificate"));
        // In a commit it leaves the same question open as any other lost connection.
        assert!(cause.lost_connection());
    }
}

#[test]
fn a_rows_data_costs_that_row() {
    check(
        Disposition::Quarantine,
        &["22000", "22001", "22003", "22008", "22021", "22P02", "22P05"],
    );
    check(Disposition::Quarantine, &["23502", "23514", "23P01", "54000"]);
    // Ordering: a followed table has no constraint that order could break (law 7).
    check(Disposition::Quarantine, &["23503", "23505"]);
    // A trigger's `raise` and `assert`, another language's exception, codes of its own.
    check(
        Disposition::Quarantine,
        &["P0001", "P0002", "P0003", "P0004", "38000", "UE001", "99999"],
    );
}

#[test]
fn what_only_a_person_can_mend_stops() {
    // Our own statements, or Postgres itself, are wrong: nothing gets better by waiting. 55000 is
    // what our own triggers raise when a law would be broken.
    check(Disposition::Stop, &["42601", "42804", "21000", "25P02", "54001", "55000"]);
    check(Disposition::Stop, &["XX000", "XX001", "XX002", "0B000", "2BP01", ""]);
    for error in [sqlx::Error::Configuration("x".into()), sqlx::Error::RowNotFound] {
        assert_eq!(of(error).disposition(), Disposition::Stop);
    }
}

#[test]
fn a_lost_connection_leaves_a_commit_undecided() {
    let cause = |code: &str| Cause {
        sqlstate: Some(code.to_owned()),
        object: None,
        message: String::new(),
        kind: Kind::Database,
    };
    for code in ["08006", "57P01", "57P02"] {
        assert!(cause(code).lost_connection(), "{code}");
    }
    for code in ["57014", "40001", "40P01", "23505"] {
        assert!(!cause(code).lost_connection(), "{code}");
    }
}
