//! Deeds on users, roles, files and attachments.

use sandbox::legacy::Error;

use super::{
    hand::Hand,
    state::{State, pick, take},
};
use crate::demo::{
    attachments::{self, Storage},
    leftovers, users,
    value::{self, NULL, Value, guid, int, text},
    words,
    world::Stream,
};

fn user(state: &mut State) -> Value {
    let index = state.dice.below(state.world.sizes.users);
    guid(state.world.guid(Stream::UserGuid, index))
}

/// The password, a big column, is not in the event. XAF audits it in a table that is ignored.
pub(super) fn fail_sign_in(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let key = [user(state)];
    hand.update("PermissionPolicyUser", &key, |row| {
        let failed = row.int("AccessFailedCount");
        row.set("AccessFailedCount", int(failed + 1));
        row.count_up();
    })?;
    let fresh = state.fresh();
    hand.insert("AuditDataItemPersistent", leftovers::audit_row(&state.world, fresh))
}

pub(super) fn change_password(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let key = [user(state)];
    let hash = users::hash(&mut state.dice);
    hand.update("PermissionPolicyUser", &key, |row| {
        row.set("StoredPassword", text(hash));
        row.set("AccessFailedCount", int(0));
        row.count_up();
    })?;
    Ok(())
}

/// Takes one of the writer's own role links away, or gives a user a role.
pub(super) fn change_roles(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    const LINKS: &str = "PermissionPolicyUserUsers_PermissionPolicyRoleRoles";
    if state.dice.once_in(2)
        && let Some((_, link)) = take(&mut state.dice, &mut state.user_roles)
    {
        hand.delete(LINKS, &[guid(link)])?;
        return Ok(());
    }
    let index = state.dice.below(state.world.sizes.users);
    // Neither his first role nor his second one: the pair is in a unique index.
    let role = (index + 2) % 5;
    if state.user_roles.iter().any(|(user, _)| *user == index) {
        return Ok(());
    }
    let link = state.dice.guid();
    let row = vec![
        guid(state.world.guid(Stream::Role, role)),
        guid(state.world.guid(Stream::UserGuid, index)),
        guid(link),
        int(0),
    ];
    hand.insert(LINKS, row)?;
    state.user_roles.push((index, link));
    Ok(())
}

pub(super) fn attach(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let file = state.dice.guid();
    let content = words::clauses(&mut state.dice, 400).into_bytes();
    let storage = if state.dice.once_in(2) { Storage::Zlib } else { Storage::Plain };
    hand.insert(
        "FileData",
        vec![
            guid(file),
            attachments::length(&content),
            text(format!("Хавсралт {}.txt", state.fresh())),
            attachments::store(storage, &content),
            int(0),
            NULL,
        ],
    )?;
    let contract = state.contract();
    let (company, number) = state.world.contract_key_by_child(contract, &mut state.dice);
    let day = value::day(2026, 1, 1) + state.dice.int(300);
    let row = vec![
        guid(state.dice.guid()),
        guid(file),
        text(company),
        text(number),
        int(state.dice.int(4)),
        user(state),
        value::office_hours(&mut state.dice, day),
        int(0),
        NULL,
    ];
    hand.insert("ContractAttachment", row)?;
    state.files.push(file);
    Ok(())
}

/// New content, or only another name: then the event does not carry the content.
pub(super) fn replace_file(state: &mut State, hand: &mut Hand<'_, '_>) -> Result<(), Error> {
    let Some(file) = pick(&mut state.dice, &state.files).copied() else { return Ok(()) };
    let name = format!("Шинэ нэр {}.txt", state.fresh());
    let content = format!("{}{}", name, words::clauses(&mut state.dice, 300)).into_bytes();
    let replaces = state.dice.once_in(2);
    hand.update("FileData", &[guid(file)], |row| {
        row.set("FileName", text(name));
        if replaces {
            row.set("size", attachments::length(&content));
            row.set("Content", attachments::store(Storage::Deflate, &content));
        }
        row.count_up();
    })?;
    Ok(())
}
