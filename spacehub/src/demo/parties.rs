//! Party with its two leaves.

use sandbox::legacy::{Error, Values};

use super::{
    Load, World, types,
    value::{self, NULL, flag, float, int, money, number, text},
    words,
    world::{PartyKind, Stream},
};

pub(crate) fn load(world: &World, load: &mut Load<'_>) -> Result<(), Error> {
    let oids = || 1..=world.sizes.parties;
    let of_kind = |kind| move |oid: &u64| World::party_kind(*oid) == kind;
    load.table("Party", oids().map(|oid| party(world, oid)))?;
    load.table("Owner", oids().filter(of_kind(PartyKind::Owner)).map(|oid| owner(world, oid)))?;
    load.table("Tenant", oids().filter(of_kind(PartyKind::Tenant)).map(|oid| tenant(world, oid)))
}

/// `[GCRecord]` is a random number for a soft-deleted row.
pub(crate) fn is_deleted(oid: u64) -> bool {
    match World::party_kind(oid) {
        PartyKind::Owner => oid % 341 == 319,
        PartyKind::Tenant | PartyKind::Plain => oid % 47 == 3,
    }
}

fn party(world: &World, oid: u64) -> Values {
    let mut dice = world.dice(Stream::Party, oid);
    let kind = World::party_kind(oid);
    let company = kind == PartyKind::Owner || dice.once_in(3);
    let name = if company { words::company(&mut dice) } else { words::person(&mut dice) };
    let name = if dice.once_in(40) { format!(" {name}  ") } else { name };
    let created = match oid {
        // An hour that summer time skipped, and two ways to say that nobody knows.
        4 => value::moment(value::day(1983, 4, 1), 1800),
        8 => value::midnight(value::day(1753, 1, 1)),
        9 => value::midnight(value::day(1900, 1, 1)),
        10 => NULL,
        _ => {
            let day = value::any_day(&mut dice);
            value::office_hours(&mut dice, day)
        }
    };
    let note = match oid % 12 {
        0 => text(words::clauses(&mut dice, 200)),
        1 => text("Терминалаас\u{0} оруулсан тэмдэглэл"),
        2 if oid < 40 => text(words::clauses(&mut dice, 100_000)),
        _ => NULL,
    };
    let type_number = match kind {
        PartyKind::Owner => types::OWNER,
        PartyKind::Tenant => types::TENANT,
        PartyKind::Plain => types::PARTY,
    };
    vec![
        number(oid),
        text(name),
        if oid == 12 { NULL } else { text(format!("УБ{:08}", oid * 37 % 99_999_989)) },
        value::maybe(&mut dice, 5, |dice| {
            text(format!("+976 {}", 80_000_000 + dice.below(20_000_000)))
        }),
        if dice.once_in(3) { text("") } else { text(format!("info{oid}@example.mn")) },
        value::maybe(&mut dice, 9, |_| int(if company { 1 } else { 0 })),
        created,
        note,
        value::maybe(&mut dice, 20, |dice| int(dice.int(30))),
        if is_deleted(oid) { int(100_000 + dice.int(2_000_000_000)) } else { NULL },
        int(type_number),
    ]
}

fn owner(world: &World, oid: u64) -> Values {
    let mut dice = world.dice(Stream::Leaf, oid);
    let rate = value::double(dice.int(200)) / 1000.0;
    vec![
        number(oid),
        text(format!("MN{:02}0005 {:010}", dice.below(90) + 10, dice.below(9_999_999_999))),
        value::maybe(&mut dice, 8, |_| float(rate)),
    ]
}

fn tenant(world: &World, oid: u64) -> Values {
    let mut dice = world.dice(Stream::Leaf, oid);
    vec![
        number(oid),
        value::maybe(&mut dice, 4, |dice| money(dice.int(500_000_000) * 100 + dice.int(100))),
        value::maybe(&mut dice, 6, |dice| flag(dice.once_in(2))),
    ]
}
