//! Spaces of three types in one table, and their rates with a date in the key.

use sandbox::legacy::{Error, Values};

use super::{
    Load, World, types,
    value::{self, NULL, float, guid, int, money, number, text},
    world::Stream,
};

pub(crate) fn load(world: &World, load: &mut Load<'_>) -> Result<(), Error> {
    load.table("Space", (0..world.sizes.spaces).map(|index| space(world, index)))?;
    load.table("SpaceRate", (0..world.sizes.spaces).map(|index| rate(world, index)))
}

fn space(world: &World, index: u64) -> Values {
    let mut dice = world.dice(Stream::Space, index);
    let type_number = match index % 10 {
        7 => types::PARKING_SPACE,
        8 => types::BILLBOARD,
        _ => types::SPACE,
    };
    let deleted = index % 53 == 11;
    let properties = world.sizes.properties;
    // A part of the space below it in the same property.
    let parent = index.checked_sub(properties).filter(|_| index % 6 == 2 && !deleted);
    vec![
        number(index + 1),
        if deleted { NULL } else { guid(world.property_guid(world.property_of_space(index))) },
        parent.map_or(NULL, |parent| number(parent + 1)),
        text(format!("{}-{:03}", dice.pick(&["А", "Б", "В", "Ө"]), index % 1000)),
        int(dice.int(20) - 2),
        float(value::double(dice.int(30_000) + 500) / 100.0),
        value::maybe(&mut dice, 10, |dice| money(dice.int(9_000_000) * 100)),
        // nchar(1): a blank when nobody chose.
        text(dice.pick(&["А", "Б", "В", " "])),
        value::maybe(&mut dice, 9, |dice| int(dice.int(5))),
        // Some ordinary spaces were parking spaces once.
        match (type_number, index % 10) {
            (types::PARKING_SPACE, _) => {
                text(format!("{:04} УБ{}", dice.below(10_000), dice.pick(&["А", "Ө", "Ү"])))
            }
            (types::SPACE, 4) => text("0000 УБХ"),
            _ => NULL,
        },
        value::maybe(&mut dice, 4, |dice| int(dice.int(4000) - 2000)),
        value::maybe(&mut dice, 4, |dice| int(dice.int(4000) - 2000)),
        value::maybe(&mut dice, 15, |dice| int(dice.int(40))),
        if deleted { int(1 + dice.int(1_000_000)) } else { NULL },
        int(type_number),
    ]
}

/// The key of a space's first rate.
pub(crate) fn rate_key(world: &World, index: u64) -> Vec<value::Value> {
    let mut dice = world.dice(Stream::Rate, index);
    let code = dice.pick(&["БАЙР", "байр", "БАЙР  ", "ЗОГС", "STD", "std "]);
    let day = value::any_day(&mut dice);
    let from = match index % 9 {
        0 => value::midnight(value::day(1753, 1, 1)),
        1..=4 => value::midnight(day),
        // 1/300 s in a key: neither end of a road may round it away.
        _ => value::step(day, dice.int(86_400), dice.int(300)),
    };
    vec![number(index + 1), text(code), from]
}

fn rate(world: &World, index: u64) -> Values {
    let mut row = rate_key(world, index);
    let mut dice = world.dice(Stream::Rate, index + (1 << 40));
    row.push(value::maybe(&mut dice, 20, |dice| money(dice.int(9_000_000) * 100 + 50)));
    row
}
