//! Deeds on parties: one object, two rows in two tables.

use sandbox::legacy::{Error, Values};

use super::{
    hand::Hand,
    state::{Half, State, pick, take},
};
use crate::demo::{
    types,
    value::{self, NULL, flag, float, int, money, number, text},
    words,
    world::PartyKind,
};

fn kind(state: &mut State) -> PartyKind {
    if state.dice.once_in(4) { PartyKind::Owner } else { PartyKind::Tenant }
}

fn root(state: &mut State, oid: u64, kind: PartyKind) -> Values {
    let created = value::day(2026, 1, 1) + state.dice.int(300);
    vec![
        number(oid),
        text(words::company(&mut state.dice)),
        text(format!("Ш{oid}")),
        NULL,
        text(format!("new{oid}@example.mn")),
        int(1),
        value::office_hours(&mut state.dice, created),
        value::maybe(&mut state.dice, 2, |dice| text(words::clauses(dice, 80))),
        int(0),
        NULL,
        int(if kind == PartyKind::Owner { types::OWNER } else { types::TENANT }),
    ]
}

fn leaf(state: &mut State, oid: u64, kind: PartyKind) -> (&'static str, Values) {
    match kind {
        PartyKind::Owner => ("Owner", vec![number(oid), text("MN120005 1234567890"), float(0.05)]),
        PartyKind::Tenant | PartyKind::Plain => {
            ("Tenant", vec![number(oid), money(state.dice.int(100_000_000)), flag(true)])
        }
    }
}

pub(super) fn create_root_first(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let (oid, kind) = (state.fresh(), kind(state));
    let (row, (table, leaf)) = (root(state, oid, kind), leaf(state, oid, kind));
    hand.insert("Party", row)?;
    hand.insert(table, leaf)?;
    state.parties.push((oid, kind));
    Ok(())
}

pub(super) fn create_leaf_first(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let (oid, kind) = (state.fresh(), kind(state));
    let (row, (table, leaf)) = (root(state, oid, kind), leaf(state, oid, kind));
    hand.insert(table, leaf)?;
    hand.insert("Party", row)?;
    state.parties.push((oid, kind));
    Ok(())
}

/// One half now, the other one in a later transaction. The legacy server would refuse a leaf
/// before its root; but the two have topics of their own, so a consumer meets them in that order.
pub(super) fn create_in_halves(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    if state.waiting.len() > 3 {
        return finish_halves(state, hand);
    }
    let (oid, kind) = (state.fresh(), kind(state));
    if state.dice.once_in(2) {
        let row = root(state, oid, kind);
        hand.insert("Party", row)?;
        state.waiting.push((oid, kind, Half::Leaf));
    } else {
        let (table, row) = leaf(state, oid, kind);
        hand.insert(table, row)?;
        state.waiting.push((oid, kind, Half::Root));
    }
    Ok(())
}

pub(super) fn finish_halves(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    for (oid, kind, half) in std::mem::take(&mut state.waiting) {
        match half {
            Half::Leaf => {
                let (table, row) = leaf(state, oid, kind);
                hand.insert(table, row)?;
            }
            Half::Root => {
                let row = root(state, oid, kind);
                hand.insert("Party", row)?;
            }
        }
        state.parties.push((oid, kind));
    }
    Ok(())
}

pub(super) fn change_root(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let (oid, _) = state.party();
    let name = words::company(&mut state.dice);
    let note = state.dice.once_in(3).then(|| format!("Тэмдэглэл №{}", state.fresh()));
    let phone = format!("+976 {}", 70_000_000 + state.dice.below(9_000_000));
    hand.update("Party", &[number(oid)], |row| {
        row.set("Name", text(name));
        row.set("Phone", text(phone));
        if let Some(note) = note {
            row.set("Note", text(note));
        }
        row.count_up();
    })?;
    Ok(())
}

/// The leaf's own columns; XPO counts the version up in the root.
pub(super) fn change_leaf(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let (oid, kind) = state.party();
    let key = [number(oid)];
    let amount = state.dice.int(900_000_000);
    match kind {
        PartyKind::Owner => {
            let rate = value::double(state.dice.int(300)) / 1000.0;
            hand.update("Owner", &key, |row| row.set("CommissionRate", float(rate)))?;
        }
        PartyKind::Tenant | PartyKind::Plain => {
            hand.update("Tenant", &key, |row| {
                row.set("CreditLimit", money(amount));
                row.set("VatPayer", flag(amount % 2 == 0));
            })?;
        }
    }
    hand.update("Party", &key, |row| row.count_up())?;
    Ok(())
}

/// `RegisterNo` is in a unique index: a deferred update.
pub(super) fn register_anew(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let (oid, _) = state.party();
    let fresh = format!("ДУ{}", state.fresh());
    hand.update("Party", &[number(oid)], |row| {
        row.set("RegisterNo", text(fresh));
        row.count_up();
    })?;
    Ok(())
}

/// Only the root's row shows it.
pub(super) fn delete(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let (oid, kind) = state.party();
    let key = [number(oid)];
    if kind == PartyKind::Owner || !hand.is_live("Party", &key)? {
        return Ok(());
    }
    let mark = state.mark();
    hand.update("Party", &key, |row| {
        row.set("GCRecord", mark);
        row.count_up();
    })?;
    state.deleted_tenants.push(oid);
    Ok(())
}

pub(super) fn undelete(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let oid = match take(&mut state.dice, &mut state.deleted_tenants) {
        Some(oid) => oid,
        // Every 47th was deleted from the beginning.
        None => state.dice.below(state.world.sizes.parties) / 47 * 47 + 3,
    };
    let key = [number(oid)];
    if hand.get("Party", &key, "GCRecord")?.is_some_and(|mark| !mark.is_null()) {
        hand.update("Party", &key, |row| {
            row.set("GCRecord", NULL);
            row.count_up();
        })?;
    }
    Ok(())
}

/// XPO's purge removes soft-deleted rows that nothing refers to: one of its own.
pub(super) fn purge(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let Some((oid, kind)) = pick(&mut state.dice, &state.parties).copied() else {
        return Ok(());
    };
    let key = [number(oid)];
    let deleted = hand.get("Party", &key, "GCRecord")?.is_some_and(|mark| !mark.is_null());
    if deleted && kind == PartyKind::Tenant {
        hand.delete("Tenant", &key)?;
        hand.delete("Party", &key)?;
        state.parties.retain(|(known, _)| *known != oid);
        state.deleted_tenants.retain(|known| *known != oid);
    }
    Ok(())
}
