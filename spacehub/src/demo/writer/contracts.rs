//! Deeds on contracts and their items.

use sandbox::legacy::Error;

use super::{
    hand::Hand,
    state::{OwnContract, State, pick, take},
};
use crate::demo::{
    World, contracts as rows,
    value::{self, NULL, Value, float, int, money, number, text},
    words,
};

/// Lines that the writer adds to regular contracts begin above theirs.
const FIRST_LINE: u64 = 100;

fn key(state: &State, contract: u64) -> [Value; 2] {
    let (company, number) = state.world.contract_key(contract);
    [text(company), text(number)]
}

/// The terms stay as they are, so the change event does not carry them.
pub(super) fn change(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let contract = state.contract();
    let key = key(state, contract);
    let (status, total) = (state.dice.int(5), state.dice.int(3_000_000_000));
    let tenant = state.world.tenant_oid(&mut state.dice);
    let what = state.dice.below(3);
    hand.update("Contract", &key, |row| {
        match what {
            0 => row.set("Status", int(status)),
            1 => row.set("MonthlyTotal", money(total)),
            _ => row.set("Tenant", number(tenant)),
        }
        row.count_up();
    })?;
    Ok(())
}

pub(super) fn rewrite_terms(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let contract = state.contract();
    let key = key(state, contract);
    let long = state.dice.once_in(30);
    let terms = words::clauses(&mut state.dice, if long { 60_000 } else { 120 });
    let terms = format!("№{}. {terms}", state.fresh());
    hand.update("Contract", &key, |row| {
        row.set("Terms", text(terms));
        row.count_up();
    })?;
    Ok(())
}

pub(super) fn create(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let contract_number = format!("Ш-2026/{:08}", state.fresh());
    let lines: Vec<u64> = (1..=1 + state.dice.below(3)).collect();
    let own = OwnContract { company: "UB01".into(), number: contract_number, lines: lines.clone() };
    let signed = value::day(2026, 1, 1) + state.dice.int(200);
    let terms =
        if state.dice.once_in(2) { text(words::clauses(&mut state.dice, 150)) } else { NULL };
    let row = vec![
        text(own.company.clone()),
        text(own.number.clone()),
        number(state.world.tenant_oid(&mut state.dice)),
        value::office_hours(&mut state.dice, signed),
        value::midnight(signed),
        value::midnight(value::day(9999, 12, 31)),
        int(1),
        text("MNT"),
        money(state.dice.int(1_000_000_000)),
        float(0.1),
        terms,
        int(0),
    ];
    // Half of the applications save children before parents.
    let children_first = state.dice.once_in(2);
    if !children_first {
        hand.insert("Contract", row.clone())?;
    }
    for line in lines {
        let space = state.space();
        let item = (text(own.company.clone()), text(own.number.clone()), number(line));
        hand.insert("ContractItem", rows::item_row(&mut state.dice, item, space))?;
    }
    if children_first {
        hand.insert("Contract", row)?;
    }
    state.contracts.push(own);
    Ok(())
}

/// One of its own, or a regular one that no invoice knows.
pub(super) fn delete(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let own =
        if state.dice.once_in(2) { take(&mut state.dice, &mut state.contracts) } else { None };
    let own = own.unwrap_or_else(|| {
        let loose = state.dice.below(state.world.sizes.contracts) / 40 * 40 + 17;
        let (company, number) = state.world.contract_key(loose);
        OwnContract { company, number, lines: (1..=World::item_count(loose)).collect() }
    });
    let (company, contract_number) = (text(own.company), text(own.number));
    for line in own.lines {
        let item = [company.clone(), contract_number.clone(), number(line)];
        hand.delete("ContractItem", &item)?;
    }
    hand.delete("Contract", &[company, contract_number])?;
    Ok(())
}

/// Another number, or the same one in another spelling: a delete and an insert to CDC.
pub(super) fn rekey(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let Some(mut own) = take(&mut state.dice, &mut state.contracts) else {
        return create(state, hand);
    };
    let old = [text(own.company.clone()), text(own.number.clone())];
    own.number = match state.dice.below(4) {
        0 if own.number.starts_with('Ш') => own.number.to_lowercase(),
        _ => format!("Ш-2026/{:08}", state.fresh()),
    };
    let new = own.number.clone();
    hand.update("Contract", &old, |row| {
        row.set("ContractNo", text(new));
        row.count_up();
    })?;
    for line in &own.lines {
        let [company, contract_number] = old.clone();
        let new = own.number.clone();
        hand.update("ContractItem", &[company, contract_number, number(*line)], |row| {
            row.set("KeyContractNo", text(new));
        })?;
    }
    state.contracts.push(own);
    Ok(())
}

/// Some item's key.
fn item(state: &mut State) -> [Value; 3] {
    if state.dice.once_in(3)
        && let Some(own) = pick(&mut state.dice, &state.items)
    {
        return own.clone();
    }
    let contract = state.contract();
    let line = 1 + state.dice.below(World::item_count(contract));
    let [company, contract_number] = key(state, contract);
    [company, contract_number, number(line)]
}

pub(super) fn change_item(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let key = item(state);
    let amount = money(state.dice.int(400_000_000));
    let space = state.space();
    let moves = state.dice.once_in(4);
    hand.update("ContractItem", &key, |row| {
        row.set("Amount", amount);
        if moves {
            row.set("Space", space);
        }
    })?;
    Ok(())
}

pub(super) fn create_item(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let contract = state.contract();
    let (company, contract_number) = state.world.contract_key_by_child(contract, &mut state.dice);
    let line = FIRST_LINE + state.fresh() % 1_000_000;
    let key = [text(company), text(contract_number), number(line)];
    let space = state.space();
    let [company, contract_number, line] = key.clone();
    let row = rows::item_row(&mut state.dice, (company, contract_number, line), space);
    hand.insert("ContractItem", row)?;
    state.items.push(key);
    Ok(())
}

pub(super) fn delete_item(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let key = match take(&mut state.dice, &mut state.items) {
        Some(own) => own,
        None => item(state),
    };
    hand.delete("ContractItem", &key)?;
    Ok(())
}
