//! Invoices and their lines.

use sandbox::legacy::{Error, Values};

use super::{
    Load, World,
    value::{self, NULL, float, float_money, int, money, number, text},
    words,
    world::Stream,
};

pub(crate) fn load(world: &World, load: &mut Load<'_>) -> Result<(), Error> {
    load.table("Invoice", (0..world.sizes.invoices).map(|index| invoice(world, index)))?;
    let lines = (0..world.sizes.invoices)
        .flat_map(|invoice| (0..World::line_count(invoice)).map(move |line| (invoice, line)));
    load.table("InvoiceLine", lines.map(|(invoice, index)| line(world, invoice, index)))
}

/// Soft-deleted from the beginning.
pub(crate) fn is_deleted(index: u64) -> bool {
    index % 61 == 5
}

/// Deleted, but its lines live on: something went round XPO.
fn leaves_lines(index: u64) -> bool {
    is_deleted(index) && (index / 61).is_multiple_of(4)
}

/// Quantity (a small whole number) and unit price in mungo of a line.
fn quantity_and_price(world: &World, invoice: u64, line: u64) -> (i64, i64) {
    let mut dice = world.dice(Stream::Line, (invoice << 8) + line);
    (1 + dice.int(12), dice.int(3_000_000) * 100 + dice.int(2) * 50)
}

fn invoice(world: &World, index: u64) -> Values {
    let mut dice = world.dice(Stream::Invoice, index);
    let (company, contract_no) = world.contract_key_by_child(world.contract_of(index), &mut dice);
    let lines = (0..World::line_count(index)).map(|line| quantity_and_price(world, index, line));
    let subtotal: i64 = lines.map(|(quantity, price)| quantity * price).sum();
    let vat = subtotal / 10;
    let (total, issued) = (subtotal + vat, value::any_day(&mut dice));
    let status = dice.int(5);
    let paid = match status {
        2 => total / 3,
        3 => total,
        _ => 0,
    };
    let issued_on = match index % 1009 {
        1 => value::moment(value::day(2015, 3, 28), 2 * 3600 + 1800),
        2 => value::moment(value::day(2015, 9, 25), 23 * 3600 + 900),
        _ => value::step(issued, dice.int(86_400), dice.int(300)),
    };
    let deleted = is_deleted(index);
    // XPO clears the references of what it deletes.
    let refers = !deleted && index % 70 != 9;
    let half = index % 140 == 9;
    vec![
        number(index + 1),
        text(format!("НХ-{:07}", index + 1)),
        if refers || half { text(company) } else { NULL },
        if refers { text(contract_no) } else { NULL },
        issued_on,
        value::midnight(issued + 14),
        value::maybe(&mut dice, 30, |_| value::date(issued - issued.rem_euclid(28))),
        money(subtotal),
        money(vat),
        money(total),
        value::maybe(&mut dice, 9, |_| float_money(paid)),
        value::maybe(&mut dice, 40, |_| int(status)),
        value::maybe(&mut dice, 16, |dice| int(dice.int(9))),
        if deleted { int(7 + dice.int(2_000_000_000)) } else { NULL },
    ]
}

fn line(world: &World, invoice: u64, line: u64) -> Values {
    let (quantity, price) = quantity_and_price(world, invoice, line);
    let mut dice = world.dice(Stream::Line, (invoice << 8) + line + 128);
    let deleted = is_deleted(invoice) && !leaves_lines(invoice);
    vec![
        number(World::line_oid(invoice, line)),
        if deleted { NULL } else { number(invoice + 1) },
        number(line + 1),
        text(words::service(&mut dice)),
        float(value::double(quantity)),
        money(price),
        money(quantity * price),
        value::maybe(&mut dice, 5, |dice| int(dice.int(4))),
        if deleted { int(7 + dice.int(2_000_000_000)) } else { NULL },
    ]
}
