//! Properties and who owns them.

use std::borrow::Cow;

use mapping::value::LegacyValue;
use sandbox::legacy::{Error, Values};

use super::{
    Load, World,
    value::{self, NULL, bytes, float, guid, int, number, text},
    words,
    world::Stream,
};

pub(crate) fn load(world: &World, load: &mut Load<'_>) -> Result<(), Error> {
    load.table("Property", (0..world.sizes.properties).map(|index| property(world, index)))?;
    load.table("PropertyProperties_OwnerOwners", (0..world.links()).map(|index| link(world, index)))
}

fn property(world: &World, index: u64) -> Values {
    let mut dice = world.dice(Stream::Property, index);
    let address = match index {
        // Half of an emoji, cut off when the column was shorter.
        3 => LegacyValue::BrokenText(Cow::Borrowed("Улаанбаатар, төв \u{fffd}")),
        _ => text(words::address(&mut dice)),
    };
    let color = dice.pick(&["-16744448", "-65536", "0", "-1", "-2147483648", "16711935"]);
    vec![
        guid(world.property_guid(index)),
        text(format!("П-{index:04}")),
        text(words::building(&mut dice)),
        address,
        float(value::double(dice.int(2_000_000)) / 100.0),
        value::maybe(&mut dice, 7, |dice| float(47.9 + value::double(dice.int(10_000)) / 1e6)),
        value::maybe(&mut dice, 7, |dice| float(106.9 + value::double(dice.int(10_000)) / 1e6)),
        value::maybe(&mut dice, 5, |_| int(color.parse().unwrap_or(0))),
        value::maybe(&mut dice, 5, |dice| float(value::double(6 * 3600 + 900 * dice.int(20)))),
        photo(&mut dice, index),
        int(dice.int(12)),
        if index % 31 == 17 { int(5_000 + dice.int(1_000_000)) } else { NULL },
    ]
}

fn photo(dice: &mut super::dice::Dice, index: u64) -> value::Value {
    let length = match index {
        0..=4 => 100_000 + dice.below(20_000),
        index if index % 4 == 1 => 200 + dice.below(2_000),
        _ => return NULL,
    };
    bytes(noise(dice, length))
}

/// Bytes that do not compress.
pub(crate) fn noise(dice: &mut super::dice::Dice, length: u64) -> Vec<u8> {
    let length = usize::try_from(length).unwrap_or(0);
    let mut content = Vec::with_capacity(length + 8);
    while content.len() < length {
        content.extend_from_slice(&dice.roll().to_be_bytes());
    }
    content.truncate(length);
    content
}

fn link(world: &World, index: u64) -> Values {
    let (owner, property) = world.link(index);
    let mut dice = world.dice(Stream::Link, index);
    vec![
        number(owner),
        guid(world.property_guid(property)),
        guid(world.guid(Stream::LinkGuid, index)),
        value::maybe(&mut dice, 3, |_| int(0)),
    ]
}
