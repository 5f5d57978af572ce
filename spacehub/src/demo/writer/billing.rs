//! Deeds on invoices, lines, payments and allocations.

use mapping::value::LegacyValue;
use sandbox::legacy::Error;

use super::{
    hand::Hand,
    state::{KnownInvoice, State, pick, take},
};
use crate::demo::{
    PlantedDefect, payments,
    value::{self, NULL, Value, float, float_money, guid, int, money, number, text},
    words,
    world::Stream,
};

pub(super) fn create_invoice(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let lines: Vec<(u64, i64, i64)> = (0..1 + state.dice.below(4))
        .map(|_| (state.fresh(), 1 + state.dice.int(9), state.dice.int(2_000_000) * 100))
        .collect();
    let subtotal: i64 = lines.iter().map(|(_, quantity, price)| quantity * price).sum();
    let (oid, contract) = (state.fresh(), state.contract());
    let row = invoice_row(state, (oid, contract), subtotal, float(0.0));
    hand.insert("Invoice", row)?;
    for (index, (line, quantity, price)) in lines.iter().enumerate() {
        let row = vec![
            number(*line),
            number(oid),
            int(i64::try_from(index).unwrap_or(0) + 1),
            text(words::service(&mut state.dice)),
            float(value::double(*quantity)),
            money(*price),
            money(quantity * price),
            int(0),
            NULL,
        ];
        hand.insert("InvoiceLine", row)?;
    }
    let lines = lines.into_iter().map(|(line, ..)| line).collect();
    state.invoices.push(KnownInvoice { oid, contract, lines });
    Ok(())
}

fn invoice_row(
    state: &mut State,
    (oid, contract): (u64, u64),
    subtotal: i64,
    paid: Value,
) -> Vec<Value> {
    let (company, contract_number) = state.world.contract_key_by_child(contract, &mut state.dice);
    let issued = value::day(2026, 1, 1) + state.dice.int(300);
    let (second, step) = (state.dice.int(86_400), state.dice.int(300));
    vec![
        number(oid),
        text(format!("НХ-Ш{oid}")),
        text(company),
        text(contract_number),
        value::step(issued, second, step),
        value::midnight(issued + 14),
        value::date(issued - issued % 28),
        money(subtotal),
        money(subtotal / 10),
        money(subtotal + subtotal / 10),
        paid,
        int(1),
        int(0),
        NULL,
    ]
}

/// An invoice whose float money is no amount.
pub(super) fn plant(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let (oid, contract) = (state.fresh(), state.contract());
    let row = invoice_row(state, (oid, contract), 10_000, float(33.333));
    hand.insert("Invoice", row)?;
    hand.plant(PlantedDefect {
        table: "Invoice",
        key: vec![number(oid)],
        column: "PaidTotal",
        rule: "money.inexact",
        what: "a float with a third digit: 33.333".into(),
    });
    Ok(())
}

/// A payment, its allocation, and what the invoice has been paid: one transaction.
pub(super) fn pay(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let invoice = state.invoice().oid;
    let key = [number(invoice)];
    if !hand.is_live("Invoice", &key)? {
        return Ok(());
    }
    let total = mungo(hand.get("Invoice", &key, "Total")?);
    let paid = mungo(hand.get("Invoice", &key, "PaidTotal")?);
    let part = 1 + state.dice.int(4);
    let amount = ((total - paid) / part).max(100);
    let payment = state.dice.guid();
    let day = value::day(2026, 1, 1) + state.dice.int(300);
    let (second, step) = (state.dice.int(86_400), state.dice.int(300));
    let message = words::person(&mut state.dice);
    hand.insert(
        "Payment",
        vec![
            guid(payment),
            number(state.world.tenant_oid(&mut state.dice)),
            value::step(day, second, step),
            value::midnight(day),
            money(amount),
            int(state.dice.int(5)),
            text(format!("{:012}", state.dice.below(1_000_000_000_000))),
            value::maybe(&mut state.dice, 2, |_| text(format!("Утга: {message}"))),
            int(0),
            NULL,
        ],
    )?;
    let allocation = [guid(payment), number(invoice)];
    let [of_payment, of_invoice] = allocation.clone();
    hand.insert("PaymentAllocation", vec![of_payment, of_invoice, money(amount)])?;
    hand.update("Invoice", &key, |row| {
        row.set("PaidTotal", float_money(paid + amount));
        row.set("Status", int(if paid + amount >= total { 3 } else { 2 }));
        row.count_up();
    })?;
    state.payments.push(payment);
    state.allocations.push(allocation);
    Ok(())
}

/// Money, or a float that is a whole number of mungo.
fn mungo(value: Option<Value>) -> i64 {
    match value {
        Some(LegacyValue::Decimal(amount)) => i64::try_from(amount.unscaled / 100).unwrap_or(0),
        // Through text: its two digits after the point are the mungo.
        Some(LegacyValue::Float(amount)) => {
            format!("{amount:.2}").replace('.', "").parse().unwrap_or(0)
        }
        _ => 0,
    }
}

/// `InvoiceNo` is in a unique index: a deferred update, delete and insert of one key.
pub(super) fn renumber(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let invoice = state.invoice().oid;
    let fresh = format!("НХ-Д{}", state.fresh());
    hand.update("Invoice", &[number(invoice)], |row| {
        row.set("InvoiceNo", text(fresh));
        row.count_up();
    })?;
    Ok(())
}

/// As XPO does it: a mark, and the references cleared, on the invoice and on its lines.
pub(super) fn delete_invoice(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let invoice = state.invoice();
    let key = [number(invoice.oid)];
    if !hand.is_live("Invoice", &key)? {
        return Ok(());
    }
    let mark = state.mark();
    for line in invoice.lines {
        let mark = state.mark();
        hand.update("InvoiceLine", &[number(line)], |row| {
            row.set("GCRecord", mark);
            row.set("Invoice", NULL);
            row.count_up();
        })?;
    }
    hand.update("Invoice", &key, |row| {
        row.set("GCRecord", mark);
        row.set("ContractCompanyNo", NULL);
        row.set("ContractContractNo", NULL);
        row.count_up();
    })?;
    Ok(())
}

pub(super) fn undelete_invoice(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    // Every 61st was deleted from the beginning.
    let regular = state.dice.below(state.world.sizes.invoices) / 61 * 61 + 5;
    let invoice = if state.dice.once_in(2) && regular < state.world.sizes.invoices {
        let world = &state.world;
        KnownInvoice {
            oid: regular + 1,
            contract: world.contract_of(regular),
            lines: (0..crate::demo::World::line_count(regular))
                .map(|line| crate::demo::World::line_oid(regular, line))
                .collect(),
        }
    } else {
        state.invoice()
    };
    let key = [number(invoice.oid)];
    if hand.get("Invoice", &key, "GCRecord")?.is_none_or(|mark| mark.is_null()) {
        return Ok(());
    }
    let (company, contract_number) =
        state.world.contract_key_by_child(invoice.contract, &mut state.dice);
    hand.update("Invoice", &key, |row| {
        row.set("GCRecord", NULL);
        row.set("ContractCompanyNo", text(company));
        row.set("ContractContractNo", text(contract_number));
        row.count_up();
    })?;
    for line in invoice.lines {
        hand.update("InvoiceLine", &[number(line)], |row| {
            row.set("GCRecord", NULL);
            row.set("Invoice", number(invoice.oid));
            row.count_up();
        })?;
    }
    Ok(())
}

fn payment(state: &mut State) -> [Value; 1] {
    if state.dice.once_in(2)
        && let Some(own) = pick(&mut state.dice, &state.payments)
    {
        return [guid(*own)];
    }
    let index = state.dice.below(state.world.sizes.payments);
    // Undelete needs some that were deleted from the beginning.
    let index = if state.dice.once_in(3) { index / 83 * 83 + 7 } else { index };
    debug_assert!(payments::is_deleted(7));
    [guid(state.world.guid(Stream::PaymentGuid, index % state.world.sizes.payments))]
}

pub(super) fn delete_payment(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let key = payment(state);
    if hand.is_live("Payment", &key)? {
        let mark = state.mark();
        hand.update("Payment", &key, |row| {
            row.set("GCRecord", mark);
            row.set("Payer", NULL);
            row.count_up();
        })?;
    }
    Ok(())
}

pub(super) fn undelete_payment(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let key = payment(state);
    if hand.get("Payment", &key, "GCRecord")?.is_some_and(|mark| !mark.is_null()) {
        let payer = state.world.tenant_oid(&mut state.dice);
        hand.update("Payment", &key, |row| {
            row.set("GCRecord", NULL);
            row.set("Payer", number(payer));
            row.count_up();
        })?;
    }
    Ok(())
}

pub(super) fn delete_allocation(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    if let Some(key) = take(&mut state.dice, &mut state.allocations) {
        hand.delete("PaymentAllocation", &key)?;
    }
    Ok(())
}
