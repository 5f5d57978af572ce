//! Users, roles, who has which, and logins by other providers.

use sandbox::legacy::{Error, Values};

use super::{
    Load, World, types,
    value::{self, NULL, flag, guid, int, number, text},
    words,
    world::Stream,
};

const ROLES: &[(&str, bool, i64)] = &[
    ("Администратор", true, 2),
    ("Менежер", false, 1),
    ("Нягтлан", false, 1),
    ("Өмчлөгч", false, 0),
    ("Түрээслэгч", false, 0),
    ("Архивч", false, 0),
];

pub(crate) fn load(world: &World, load: &mut Load<'_>) -> Result<(), Error> {
    let roles = ROLES.iter().zip(0..).map(|((name, administrative, policy), index)| {
        vec![
            guid(world.guid(Stream::Role, index)),
            text(*name),
            flag(*administrative),
            if index == 2 { NULL } else { flag(*administrative) },
            if index == 5 { NULL } else { int(*policy) },
            int(1),
            if index == 5 { int(777) } else { NULL },
            int(types::ROLE),
        ]
    });
    load.table("PermissionPolicyRole", roles)?;
    load.table("PermissionPolicyUser", (0..world.sizes.users).map(|index| user(world, index)))?;
    let links = (0..world.sizes.users).flat_map(|user| (0..1 + user % 2).map(move |n| (user, n)));
    let rows = links.map(|(user, n)| {
        vec![
            guid(world.guid(Stream::Role, (user + n) % 5)),
            guid(world.guid(Stream::UserGuid, user)),
            guid(world.guid(Stream::UserRole, user * 2 + n)),
            NULL,
        ]
    });
    load.table("PermissionPolicyUserUsers_PermissionPolicyRoleRoles", rows)?;
    let logins = (0..world.sizes.users).map(|user| {
        vec![
            guid(world.guid(Stream::Login, user)),
            text(if user % 3 == 0 { "Google" } else { "Password" }),
            text(format!("key-{user:06}")),
            guid(world.guid(Stream::UserGuid, user)),
            int(0),
        ]
    });
    load.table("PermissionPolicyUserLoginInfo", logins)
}

fn user(world: &World, index: u64) -> Values {
    let mut dice = world.dice(Stream::User, index);
    let name = match index {
        0 => "Admin".to_owned(),
        _ => format!("{} {index}", words::person(&mut dice)),
    };
    let deleted = index % 17 == 13;
    let lockout = match index % 7 {
        5 => value::midnight(value::day(9999, 12, 31)),
        6 => {
            let day = value::any_day(&mut dice);
            value::office_hours(&mut dice, day)
        }
        _ => NULL,
    };
    let party = match index % 4 {
        0 => NULL,
        1 => number(world.owner_oid(index / 4)),
        _ => number(world.tenant_oid(&mut dice)),
    };
    vec![
        guid(world.guid(Stream::UserGuid, index)),
        // XAF's first user has no password.
        if index == 0 { NULL } else { text(hash(&mut dice)) },
        value::maybe(&mut dice, 3, |dice| flag(dice.once_in(4))),
        text(name),
        value::maybe(&mut dice, 9, |dice| flag(!dice.once_in(6))),
        value::maybe(&mut dice, 8, |dice| int(dice.int(9))),
        if deleted { int(42) } else { NULL },
        int(if index == 0 { types::USER } else { types::APPLICATION_USER }),
        value::maybe(&mut dice, 3, |dice| int(dice.int(5))),
        lockout,
        if deleted { NULL } else { party },
    ]
}

/// Something that looks as XAF's stored passwords do; it is nobody's.
pub(crate) fn hash(dice: &mut super::dice::Dice) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letter = |dice: &mut super::dice::Dice| {
        let at = usize::try_from(dice.below(64)).unwrap_or(0);
        LETTERS.get(at).copied().map_or('A', char::from)
    };
    let mut text: String = (0..66).map(|_| letter(dice)).collect();
    text.push_str("==");
    text
}
