//! Payments and their allocations.

use sandbox::legacy::{Error, Values};

use super::{
    Load, World,
    value::{self, NULL, guid, int, money, number, text},
    words,
    world::Stream,
};

pub(crate) fn load(world: &World, load: &mut Load<'_>) -> Result<(), Error> {
    load.table("Payment", (0..world.sizes.payments).map(|index| payment(world, index)))?;
    let allocations = (0..world.sizes.payments)
        .flat_map(|payment| (0..World::allocation_count(payment)).map(move |n| (payment, n)));
    let rows = allocations.map(|(payment, allocation)| {
        vec![
            guid(world.guid(Stream::PaymentGuid, payment)),
            number(world.allocated_invoice(payment, allocation) + 1),
            money(mungo(world, payment) / 2),
        ]
    });
    load.table("PaymentAllocation", rows)
}

pub(crate) fn is_deleted(index: u64) -> bool {
    index % 83 == 7
}

fn mungo(world: &World, index: u64) -> i64 {
    world.dice(Stream::Payment, index).int(8_000_000) * 100
}

fn payment(world: &World, index: u64) -> Values {
    let mut dice = world.dice(Stream::Payment, index + (1 << 40));
    let paid = value::any_day(&mut dice);
    let payer = match index % 50 {
        // An owner pays too, now and then.
        1 => number(world.owner_oid(index)),
        2 => NULL,
        _ => number(world.tenant_oid(&mut dice)),
    };
    let reference = format!("{:012}", dice.below(1_000_000_000_000));
    let message = match index % 6 {
        0 => text(format!(
            "{{\"Утга\":\"{} {}\",\"Данс\":\"50{:08}\"}}",
            words::person(&mut dice),
            words::service(&mut dice),
            index
        )),
        _ => NULL,
    };
    vec![
        guid(world.guid(Stream::PaymentGuid, index)),
        if is_deleted(index) { NULL } else { payer },
        value::step(paid, dice.int(86_400), dice.int(300)),
        match index % 8 {
            0 => value::step(paid, 36_000 + dice.int(3_600), dice.int(300)),
            1 => value::midnight(value::day(1900, 1, 1)),
            _ => value::midnight(paid),
        },
        money(mungo(world, index)),
        value::maybe(&mut dice, 20, |dice| int(dice.int(5))),
        value::maybe(&mut dice, 5, |_| text(reference)),
        message,
        value::maybe(&mut dice, 10, |dice| int(dice.int(4))),
        if is_deleted(index) { int(3 + dice.int(2_000_000)) } else { NULL },
    ]
}
