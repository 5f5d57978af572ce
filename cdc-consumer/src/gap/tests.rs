use super::*;

fn lsn(number: u8) -> Lsn {
    let mut bytes = [0; 10];
    bytes[9] = number;
    Lsn::from_bytes(bytes)
}

fn table() -> LegacyTable {
    LegacyTable::new("dbo", "Contract")
}

fn instance(min: u8, last: Option<u8>) -> Instance {
    Instance {
        table: LegacyTable::new("DBO", "contract"),
        min_lsn: Some(lsn(min)),
        last_lsn: last.map(lsn),
    }
}

fn capture(max: u8, instances: Vec<Instance>) -> Capture {
    Capture { max_lsn: Some(lsn(max)), instances }
}

fn applied(number: u8) -> Known {
    Known { applied: Some(lsn(number)), ..Known::default() }
}

fn copied(low: u8, done: bool) -> Known {
    Known { copied: Some(Copied { low: lsn(low), done }), ..Known::default() }
}

#[test]
fn trap_16_what_was_removed_before_it_was_read_is_lost() {
    let judge =
        |known: Known, min| judge(&table(), &known, &capture(90, vec![instance(min, None)]));
    assert_eq!(judge(applied(50), 50), Verdict::Whole(Some(lsn(90))));
    assert_eq!(judge(applied(50), 51), Verdict::Lost(lsn(50), lsn(51)));
    // A consumer that is started for the first time, behind the copy's watermark.
    assert_eq!(judge(copied(40, true), 40), Verdict::Whole(Some(lsn(90))));
    assert_eq!(judge(copied(40, true), 41), Verdict::Lost(lsn(40), lsn(41)));
    assert_eq!(judge(copied(40, false), 41), Verdict::Lost(lsn(40), lsn(41)));
    // A copy made without CDC speaks for nothing.
    assert_eq!(judge(copied(0, true), 41), Verdict::Lost(lsn(0), lsn(41)));
    assert_eq!(judge(Known::default(), 41), Verdict::Empty);
}

#[test]
fn a_quiet_table_is_verified_as_far_as_cdc_has_come() {
    let known = applied(50);
    let look =
        |known: &Known, min, last| judge(&table(), known, &capture(90, vec![instance(min, last)]));
    assert_eq!(look(&known, 10, Some(50)), Verdict::Whole(Some(lsn(90))));
    // A change that is not applied yet: nothing is certain beyond our place.
    assert_eq!(look(&known, 10, Some(60)), Verdict::Whole(None));
    // The clean-up goes on, and no change has come: not lost, because it was looked at before.
    let known = Known { verified: Some(lsn(90)), ..known };
    assert_eq!(look(&known, 80, None), Verdict::Whole(Some(lsn(90))));
    assert_eq!(look(&known, 91, None), Verdict::Lost(lsn(90), lsn(91)));
}

#[test]
fn a_new_copy_heals_when_it_is_whole() {
    let stopped = |known: Known| Known { is_stopped: true, ..known };
    let look = |known| judge(&table(), &known, &capture(90, vec![instance(60, Some(88))]));
    assert_eq!(look(stopped(copied(50, true))), Verdict::Lost(lsn(50), lsn(60)));
    assert_eq!(look(stopped(copied(70, false))), Verdict::Lost(lsn(70), lsn(60)));
    assert_eq!(look(stopped(copied(70, true))), Verdict::Healed);
    // What is applied beside it heals nothing.
    assert_eq!(look(stopped(applied(80))), Verdict::Lost(lsn(80), lsn(60)));
    let accepted = Known { is_accepted: true, ..applied(50) };
    assert_eq!(look(accepted), Verdict::Whole(Some(lsn(60))));
}

#[test]
fn of_two_instances_the_older_one_counts() {
    // A second instance, made for a new column, begins later than our place.
    let both = capture(90, vec![instance(10, Some(50)), instance(85, None)]);
    assert_eq!(judge(&table(), &applied(50), &both), Verdict::Whole(Some(lsn(90))));
    let both = capture(90, vec![instance(10, Some(50)), instance(85, Some(88))]);
    assert_eq!(judge(&table(), &applied(50), &both), Verdict::Whole(None));
}

#[test]
fn a_table_that_is_not_captured_is_told() {
    let none = capture(90, Vec::new());
    assert_eq!(judge(&table(), &applied(50), &none), Verdict::NotCaptured);
    let hidden = Instance { min_lsn: None, ..instance(1, None) };
    assert_eq!(judge(&table(), &applied(50), &capture(90, vec![hidden])), Verdict::NotCaptured);
    assert_eq!(judge(&table(), &Known::default(), &none), Verdict::Empty);
}
