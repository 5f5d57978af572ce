use super::*;

fn lsn(number: u8) -> Lsn {
    Lsn::from_bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, number])
}

fn at(number: u8) -> Position {
    Position::streamed(lsn(number), 1)
}

fn readings(legacy: LegacySeen, target: TargetSeen) -> Readings {
    Readings {
        legacy,
        target,
        same: false,
        tombstone: None,
        quarantine: None,
        discarded: false,
        stands: true,
        same_as_last: false,
    }
}

const FENCE: Proof = Proof::Fence {
    low: Lsn::from_bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 10]),
    passed: true,
    settled: true,
    alone: true,
};

#[test]
fn a_current_row_that_disagrees_is_different() {
    let row = TargetSeen::Row(Some(at(10)));
    let check = |legacy, target, expect| {
        assert_eq!(decide(&readings(legacy, target), FENCE), Decision::Different(expect));
    };
    check(LegacySeen::Row, row, DifferenceKind::Changed);
    check(LegacySeen::Row, TargetSeen::Absent, DifferenceKind::Missing);
    check(LegacySeen::Absent, row, DifferenceKind::Extra);
    check(LegacySeen::Absent, TargetSeen::Row(None), DifferenceKind::Extra);
    check(LegacySeen::Rejected, TargetSeen::Absent, DifferenceKind::Unreported);
}

#[test]
fn a_later_sign_of_the_row_excuses_it() {
    let later = TargetSeen::Row(Some(at(11)));
    assert_eq!(decide(&readings(LegacySeen::Row, later), FENCE), Decision::InFlight);
    let mut gone = readings(LegacySeen::Row, TargetSeen::Absent);
    gone.tombstone = Some(at(11));
    assert_eq!(decide(&gone, FENCE), Decision::InFlight);
    gone.tombstone = Some(at(9));
    assert_eq!(decide(&gone, FENCE), Decision::Different(DifferenceKind::Missing));
}

#[test]
fn equal_readings_agree_whatever_their_positions() {
    let mut later = readings(LegacySeen::Row, TargetSeen::Row(Some(at(99))));
    later.same = true;
    let unknown = Proof::Fence { low: lsn(10), passed: false, settled: false, alone: false };
    assert_eq!(decide(&later, unknown), Decision::Agree);
    let absent = readings(LegacySeen::Absent, TargetSeen::Absent);
    assert_eq!(decide(&absent, unknown), Decision::Agree);
}

#[test]
fn a_running_backfill_excuses_rows_that_it_may_still_bring() {
    let running = Proof::Fence { low: lsn(10), passed: true, settled: false, alone: true };
    let absent = TargetSeen::Absent;
    assert_eq!(decide(&readings(LegacySeen::Row, absent), running), Decision::InFlight);
    let streamed = readings(LegacySeen::Row, TargetSeen::Row(Some(at(3))));
    assert_eq!(decide(&streamed, running), Decision::Different(DifferenceKind::Changed));
}

#[test]
fn what_was_read_after_the_marker_is_excused_and_what_was_there_before_is_not() {
    let read = TargetSeen::Row(Some(Position::read_after(lsn(3))));
    let mut row = readings(LegacySeen::Row, read);
    assert_eq!(decide(&row, FENCE), Decision::Different(DifferenceKind::Changed));
    row.stands = false;
    assert_eq!(decide(&row, FENCE), Decision::InFlight);
    let mut gone = readings(LegacySeen::Row, TargetSeen::Absent);
    gone.tombstone = Some(Position::read_after(lsn(3)));
    assert_eq!(decide(&gone, FENCE), Decision::Different(DifferenceKind::Missing));
    gone.stands = false;
    assert_eq!(decide(&gone, FENCE), Decision::InFlight);
}

#[test]
fn quarantine_explains_what_it_is_newer_than() {
    let mut row = readings(LegacySeen::Row, TargetSeen::Row(Some(at(5))));
    row.quarantine = Some(at(6));
    assert_eq!(decide(&row, FENCE), Decision::Quarantined);
    row.quarantine = Some(at(4));
    assert_eq!(decide(&row, FENCE), Decision::Different(DifferenceKind::Changed));
    let mut rejected = readings(LegacySeen::Rejected, TargetSeen::Row(Some(at(5))));
    rejected.quarantine = Some(at(4));
    assert_eq!(decide(&rejected, FENCE), Decision::Quarantined);
}

#[test]
fn without_a_fence_only_a_second_equal_reading_decides() {
    let mut row = readings(LegacySeen::Row, TargetSeen::Row(Some(at(5))));
    assert_eq!(decide(&row, Proof::Twice), Decision::InFlight);
    row.same_as_last = true;
    assert_eq!(decide(&row, Proof::Twice), Decision::Different(DifferenceKind::Changed));
}
