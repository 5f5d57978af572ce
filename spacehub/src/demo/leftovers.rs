//! Tables that the mapping ignores: they have rows too, and every one must be counted.

use sandbox::legacy::Error;

use super::{
    Load, World, types,
    value::{self, NULL, guid, int, number, text},
    world::Stream,
};

/// An audit row; the writer adds some.
pub(crate) fn audit_row(world: &World, index: u64) -> sandbox::legacy::Values {
    let mut dice = world.dice(Stream::Leftover, index * 4);
    let day = value::any_day(&mut dice);
    vec![
        guid(dice.guid()),
        text("Admin"),
        value::office_hours(&mut dice, day),
        text(dice.pick(&["ObjectChanged", "ObjectCreated", "ObjectDeleted"])),
        text("Гэрээ өөрчлөгдсөн"),
        guid(world.guid(Stream::Leftover, index % 20 * 4 + 1)),
        NULL,
        NULL,
        text("Ноорог"),
        text("Идэвхтэй"),
        text("Status"),
        int(0),
        NULL,
        int(types::AUDIT_ITEM),
    ]
}

pub(crate) fn load(world: &World, load: &mut Load<'_>) -> Result<(), Error> {
    load.table(
        "ModuleInfo",
        (1..=3).map(|id| {
            vec![
                number(id),
                text("23.2.5.0"),
                text(format!("Модуль {id}")),
                text("Spacehub.Module.dll"),
                value::flag(id == 1),
                int(0),
            ]
        }),
    )?;
    let audits = world.sizes.contracts / 100 + 5;
    load.table("AuditDataItemPersistent", (0..audits).map(|index| audit_row(world, index)))?;
    let references =
        || (0..20_u64).map(|index| (index, world.guid(Stream::Leftover, index * 4 + 1)));
    load.table(
        "XPWeakReference",
        references().map(|(index, oid)| {
            let key = text(format!("[Int32]'{}'", index + 1));
            vec![guid(oid), int(types::SPACE), key, int(0), NULL, int(types::WEAK_REFERENCE)]
        }),
    )?;
    load.table(
        "AuditedObjectWeakReference",
        references().map(|(index, oid)| {
            vec![guid(oid), NULL, number(index + 1), text(format!("Талбай {index}"))]
        }),
    )
}
