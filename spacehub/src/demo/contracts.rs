//! Contracts and their items.

use sandbox::legacy::{Error, Values};

use super::{
    Load, World,
    dice::Dice,
    value::{self, NULL, Value, decimal10, float, int, money, number, text},
    words,
    world::Stream,
};

pub(crate) fn load(world: &World, load: &mut Load<'_>) -> Result<(), Error> {
    load.table("Contract", (0..world.sizes.contracts).map(|index| contract(world, index)))?;
    let items = (0..world.sizes.contracts)
        .flat_map(|contract| (0..World::item_count(contract)).map(move |item| (contract, item)));
    load.table("ContractItem", items.map(|(contract, line)| item(world, contract, line)))
}

/// The property on whose spaces a contract's items are.
pub(crate) fn property_of(world: &World, contract: u64) -> u64 {
    world.dice(Stream::Item, contract << 8).below(world.sizes.properties)
}

fn contract(world: &World, index: u64) -> Values {
    let mut dice = world.dice(Stream::Contract, index);
    let (company, contract_no) = world.contract_key(index);
    let signed = value::any_day(&mut dice);
    let start = signed + dice.int(40);
    let signed_on = match index % 211 {
        1 => value::midnight(value::day(1753, 1, 1)),
        2 => value::midnight(value::day(1900, 1, 1)),
        3 => NULL,
        // Twice in one night: the clock was set back at midnight.
        4 => value::moment(value::day(2016, 9, 23), 23 * 3600 + 1800),
        _ => value::office_hours(&mut dice, signed),
    };
    let end = match dice.below(6) {
        0 => value::midnight(value::day(9999, 12, 31)),
        1 => NULL,
        years => value::midnight(start + 365 * i64::try_from(years).unwrap_or(1)),
    };
    vec![
        text(company),
        text(contract_no),
        number(world.tenant_oid(&mut dice)),
        signed_on,
        value::midnight(start),
        end,
        value::maybe(&mut dice, 30, |dice| int(dice.int(5))),
        // nchar(3) keeps its padding.
        value::maybe(&mut dice, 12, |dice| text(dice.pick(&["MNT", "MNT", "MNT", "   "]))),
        value::maybe(&mut dice, 25, |dice| money(dice.int(20_000_000) * 100 + dice.int(100))),
        value::maybe(&mut dice, 6, |dice| float(value::double(dice.int(3)) * 0.05)),
        terms(&mut dice, index),
        value::maybe(&mut dice, 18, |dice| int(dice.int(20))),
    ]
}

fn terms(dice: &mut Dice, index: u64) -> Value {
    match index {
        0..=9 => text(words::clauses(dice, 100_000)),
        index if index.is_multiple_of(3) => text(words::clauses(dice, 160)),
        index if index % 17 == 1 => text(""),
        _ => NULL,
    }
}

fn item(world: &World, contract: u64, line: u64) -> Values {
    let mut dice = world.dice(Stream::Item, (contract << 8) + line + 1);
    let (company, contract_no) = world.contract_key_by_child(contract, &mut dice);
    let space = world.space_of(property_of(world, contract), &mut dice);
    item_row(&mut dice, (text(company), text(contract_no), number(line + 1)), number(space + 1))
}

/// An item with this key on this space.
pub(crate) fn item_row(dice: &mut Dice, key: (Value, Value, Value), space: Value) -> Values {
    let from = value::any_day(dice);
    let description = format!("{}, {} давхар", words::service(dice), dice.below(20));
    vec![
        key.0,
        key.1,
        key.2,
        if dice.once_in(50) { NULL } else { space },
        value::midnight(from),
        match dice.below(4) {
            0 => value::midnight(value::day(9999, 12, 31)),
            1 => NULL,
            _ => value::midnight(from + 365),
        },
        float(value::double(dice.int(50_000)) / 100.0),
        value::maybe(dice, 12, |dice| decimal10(i128::from(dice.roll() % 1_000_000_000_000_000))),
        money(dice.int(5_000_000) * 100 + dice.int(100)),
        value::maybe(dice, 6, |_| text(description)),
    ]
}
