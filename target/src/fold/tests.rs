use mapping::{plan::TableId, position::Lsn};

use super::*;

fn field(value: Option<&str>) -> Vec<u8> {
    let Some(value) = value else { return (-1_i32).to_be_bytes().to_vec() };
    let length = i32::try_from(value.len()).expect("short").to_be_bytes();
    [&length, value.as_bytes()].concat()
}

fn change(n: u64, kind: RowKind, fields: &[Option<&str>], unchanged: u64) -> Change<'static> {
    Change {
        id: Uuid::nil(),
        key: None,
        part: 0,
        kind,
        filtered: false,
        position: Position::streamed(Lsn::ZERO, n),
        unchanged,
        fields: fields.iter().flat_map(|value| field(*value)).collect::<Vec<u8>>().into(),
        sequence: None,
        account: Tally::default().main(TableId(0), "t", "stream"),
        counted: true,
        behind: false,
        is_new: false,
    }
}

/// Position, kind and fields of what is left, round by round.
fn folded(changes: Vec<Change<'static>>, barriers: &Barriers, merge: bool) -> Vec<String> {
    // id, value, lob, deleted_at, version
    let special =
        Special { deleted_at: Some(3), version: Some(4), brought: 0b10110, ..Special::default() };
    let mut tally = Tally::default();
    tally.main(TableId(0), "t", "stream");
    let mut changes = changes;
    sort(&mut changes);
    let rounds = fold(changes, special, barriers, merge, &mut tally);
    rounds
        .into_iter()
        .map(|round| {
            let one = &round[0];
            let fields: Vec<String> = mapping::row::fields(&one.fields)
                .map(|field| field.map_or("-".into(), |f| String::from_utf8_lossy(f).into_owned()))
                .collect();
            let waits = if one.behind { " waits" } else { "" };
            format!(
                "{} {:?} {} {:b}{waits}",
                one.position.order(),
                one.kind,
                fields.join(","),
                one.unchanged
            )
        })
        .collect()
}

fn whole(n: u64, value: &str, lob: &str) -> Change<'static> {
    change(n, RowKind::Upsert, &[Some("i"), Some(value), Some(lob), None, Some("1")], 0)
}

fn partial(n: u64, value: &str) -> Change<'static> {
    change(n, RowKind::Upsert, &[Some("i"), Some(value), None, None, Some("1")], 0b100)
}

fn delete(n: u64) -> Change<'static> {
    change(n, RowKind::Delete, &[], 0)
}

fn soft(n: u64) -> Change<'static> {
    let fields = [Some("i"), Some("s"), None, Some("now"), Some("2")];
    change(n, RowKind::SoftDelete, &fields, 0b100)
}

#[test]
fn changes_are_folded_in_the_order_of_their_positions() {
    let none = Barriers::default();
    let fold = |changes| folded(changes, &none, true);
    assert_eq!(fold(vec![whole(2, "b", "y"), whole(1, "a", "x")]), ["2 Upsert i,b,y,-,1 0"]);
    assert_eq!(fold(vec![partial(2, "b"), whole(1, "a", "x")]), ["2 Upsert i,b,x,-,1 0"]);
    assert_eq!(fold(vec![partial(1, "a"), partial(2, "b")]), ["2 Upsert i,b,-,-,1 100"]);
    assert_eq!(fold(vec![whole(1, "a", "x"), delete(2)]), ["2 Delete  0"]);
    assert_eq!(fold(vec![delete(1), whole(2, "a", "x")]), ["2 Upsert i,a,x,-,1 0"]);
    assert_eq!(fold(vec![delete(1), partial(2, "a")]), ["1 Delete  0", "2 Upsert i,a,-,-,1 100"]);
    assert_eq!(fold(vec![whole(1, "a", "x"), soft(2)]), ["2 Upsert i,s,x,now,2 0"]);
    // What the soft delete doesn't bring (references) is known from the image before it.
    let whole_soft = change(
        2,
        RowKind::SoftDelete,
        &[Some("i"), Some("s"), Some("y"), Some("now"), Some("2")],
        0,
    );
    assert_eq!(fold(vec![partial(1, "a"), whole_soft]), ["2 Upsert i,s,y,now,2 0"]);
    assert_eq!(
        fold(vec![soft(1), partial(2, "b")]),
        ["1 SoftDelete i,s,-,now,2 100", "2 Upsert i,b,-,-,1 100"]
    );
}

#[test]
fn a_partial_image_waits_behind_what_is_in_quarantine() {
    let mut barriers = Barriers::default();
    barriers.add(Uuid::nil(), Position::streamed(Lsn::ZERO, 2));
    assert_eq!(
        folded(vec![whole(1, "a", "x"), partial(3, "b")], &barriers, true),
        ["1 Upsert i,a,x,-,1 0", "3 Upsert i,b,-,-,1 100 waits"]
    );
    assert_eq!(
        folded(vec![whole(3, "a", "x"), partial(4, "b")], &barriers, true),
        ["4 Upsert i,b,x,-,1 0"]
    );
}

#[test]
fn careful_folding_merges_nothing() {
    let none = Barriers::default();
    assert_eq!(
        folded(vec![whole(1, "a", "x"), partial(2, "b"), partial(3, "c")], &none, false).len(),
        3
    );
}

#[test]
fn an_image_that_comes_again_lends_nothing_to_a_newer_one() {
    let at = |n| Position::streamed(Lsn::ZERO, n);
    let folded_at = |written: Option<u64>, changes: Vec<Change<'static>>| {
        let mut barriers = Barriers::default();
        if let Some(written) = written {
            barriers.add_written(Uuid::nil(), at(written));
        }
        folded(changes, &barriers, true)
    };
    let late = || vec![whole(10, "a", "x"), partial(30, "c")];
    let apart = ["10 Upsert i,a,x,-,1 0", "30 Upsert i,c,-,-,1 100"];
    let joined = ["30 Upsert i,c,x,-,1 0"];
    assert_eq!(folded_at(None, late()), joined);
    assert_eq!(folded_at(Some(9), late()), joined);
    assert_eq!(folded_at(Some(10), late()), apart);
    assert_eq!(folded_at(Some(20), late()), apart);
    // Both are stale.
    assert_eq!(folded_at(Some(30), late()), joined);
    // What is joined is as old as the oldest of it.
    let again = || vec![whole(10, "a", "x"), partial(20, "b"), partial(30, "c")];
    let stale_first = ["20 Upsert i,b,x,-,1 0", "30 Upsert i,c,-,-,1 100"];
    assert_eq!(folded_at(Some(20), again()), stale_first);
    assert_eq!(folded_at(Some(15), again()), ["10 Upsert i,a,x,-,1 0", "30 Upsert i,c,-,-,1 100"]);
    // A whole image needs nobody.
    assert_eq!(folded_at(Some(20), vec![whole(10, "a", "x"), whole(30, "c", "z")]).len(), 1);
    let through = vec![whole(10, "a", "x"), whole(25, "b", "y"), partial(30, "c")];
    assert_eq!(folded_at(Some(20), through), ["30 Upsert i,c,y,-,1 0"]);
}
