//! Deeds on properties, links, spaces and rates.

use sandbox::legacy::Error;

use super::{
    hand::Hand,
    state::{Link, State, take},
};
use crate::demo::{
    properties, spaces,
    value::{self, bytes, guid, int, money, number, text},
    words,
};

/// Neither photo nor address is in the event.
pub(super) fn change_property(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let key = state.property();
    let name = words::building(&mut state.dice);
    let opens = value::float(value::double(7 * 3600 + 600 * state.dice.int(20)));
    hand.update("Property", &key, |row| {
        row.set("Name", text(name));
        row.set("OpensAt", opens);
        row.count_up();
    })?;
    Ok(())
}

pub(super) fn replace_photo(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let key = state.property();
    let length = if state.dice.once_in(20) { 80_000 } else { 900 };
    let photo = properties::noise(&mut state.dice, length);
    let address = state.dice.once_in(2).then(|| words::address(&mut state.dice));
    hand.update("Property", &key, |row| {
        row.set("Photo", bytes(photo));
        if let Some(address) = address {
            row.set("Address", text(address));
        }
        row.count_up();
    })?;
    Ok(())
}

/// A pair that is not linked yet.
fn free_pair(state: &mut State) -> Option<(u64, u64)> {
    for _ in 0..8 {
        let owner = state.dice.below(state.world.owners());
        let owner = state.world.owner_oid(owner);
        let property = state.dice.below(state.world.sizes.properties);
        let taken = |link: &Link| link.owner == owner && link.property == property;
        if !state.links.iter().any(taken) {
            return Some((owner, property));
        }
    }
    None
}

/// XPO deletes a link row and inserts another.
pub(super) fn replace_link(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let Some(old) = take(&mut state.dice, &mut state.links) else { return Ok(()) };
    hand.delete("PropertyProperties_OwnerOwners", &[guid(old.oid)])?;
    // Often the same pair again, under another OID.
    let pair =
        if state.dice.once_in(2) { Some((old.owner, old.property)) } else { free_pair(state) };
    let (owner, property) = pair.unwrap_or((old.owner, old.property));
    let link = Link { oid: state.dice.guid(), owner, property };
    let row =
        vec![number(owner), guid(state.world.property_guid(property)), guid(link.oid), int(0)];
    hand.insert("PropertyProperties_OwnerOwners", row)?;
    state.links.push(link);
    Ok(())
}

/// Both columns are in a unique index: a deferred update.
pub(super) fn change_link(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let Some((owner, property)) = free_pair(state) else { return Ok(()) };
    let Some(old) = take(&mut state.dice, &mut state.links) else { return Ok(()) };
    let of_property = guid(state.world.property_guid(property));
    hand.update("PropertyProperties_OwnerOwners", &[guid(old.oid)], |row| {
        row.set("Owners", number(owner));
        row.set("Properties", of_property);
        row.count_up();
    })?;
    state.links.push(Link { oid: old.oid, owner, property });
    Ok(())
}

pub(super) fn change_space(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let key = [state.space()];
    let rate = money(state.dice.int(900_000_000));
    let x = int(state.dice.int(5_000));
    hand.update("Space", &key, |row| {
        row.set("MonthlyRate", rate);
        row.set("LocationX", x);
        row.count_up();
    })?;
    Ok(())
}

/// Everybody wants the same few spaces, and saves twice.
pub(super) fn change_hot_space(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let key = [number(1 + state.dice.below(3))];
    for _ in 0..2 {
        let rate = money(state.dice.int(900_000_000));
        hand.update("Space", &key, |row| {
            row.set("MonthlyRate", rate);
            row.count_up();
        })?;
    }
    Ok(())
}

pub(super) fn create_rate(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let day = value::day(2026, 1, 1) + state.dice.int(300);
    let from = value::step(day, state.dice.int(86_400), state.dice.int(300));
    let key = [state.space(), text(format!("Ш{}", state.fresh())), from];
    let mut row = key.to_vec();
    row.push(money(state.dice.int(900_000_000)));
    hand.insert("SpaceRate", row)?;
    state.rates.push(key);
    Ok(())
}

pub(super) fn change_rate(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let index = state.dice.below(state.world.sizes.spaces);
    let key = spaces::rate_key(&state.world, index);
    let rate = money(state.dice.int(900_000_000));
    hand.update("SpaceRate", &key, |row| row.set("RATE", rate))?;
    Ok(())
}

pub(super) fn delete_rate(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    if let Some(key) = take(&mut state.dice, &mut state.rates) {
        hand.delete("SpaceRate", &key)?;
    }
    Ok(())
}
