//! Who runs the server. Postgres refuses to run as root, so root hands it to an ordinary
//! account; everybody else runs it themselves.

use std::{
    fs, io,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::Command,
};

use super::Error;

/// An entry of the password file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Account {
    /// The account that the server needs; `None` when we can run it as ourselves.
    pub(super) fn for_server() -> Result<Option<Account>, Error> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| find(&passwd, name))
            .map(Some)
            .ok_or(Error::NoUnprivilegedUser)
    }
}

/// A command with a bare environment, as the server's account. The standard library drops the
/// supplementary groups itself when root sets a uid.
pub(super) fn command(program: &Path, account: Option<&Account>, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("LC_ALL", "C")
        .env("TZ", "UTC");
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
    command
}

/// Gives a folder to the account, readable by nobody else.
pub(super) fn make_private(folder: &Path, account: Option<&Account>) -> io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    match account {
        Some(account) => chown(folder, Some(account.uid), Some(account.gid)),
        None => Ok(()),
    }
}

/// Whether everybody can enter the folder: it and all above it have `x` for others.
pub(super) fn is_open_to_all(folder: &Path) -> bool {
    let Ok(folder) = folder.canonicalize() else { return false };
    folder
        .ancestors()
        .all(|ancestor| fs::metadata(ancestor).is_ok_and(|metadata| metadata.mode() & 0o001 != 0))
}

fn find(passwd: &str, name: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        let mut numbers = fields.skip(1).map(number);
        let uid = numbers.next().flatten()?;
        let gid = numbers.next().flatten()?;
        (uid != 0).then(|| Account { name: name.to_owned(), uid, gid })
    })
}

/// macOS writes `nobody` as -2, which is the same 32 bits as 4294967294.
fn number(text: &str) -> Option<u32> {
    text.parse::<u32>().ok().or_else(|| text.parse::<i32>().ok().map(i32::cast_unsigned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_found_by_whole_name_and_never_root() {
        let passwd = "root:x:0:0::/root:/bin/sh\nnobody2:x:7:7::/:/x\nnobody:*:-2:-2:u:/var/empty:/x\npostgres:x:0:0::/:/x\n";
        assert_eq!(
            find(passwd, "nobody"),
            Some(Account { name: "nobody".into(), uid: 4_294_967_294, gid: 4_294_967_294 })
        );
        assert_eq!(find(passwd, "postgres"), None);
        assert_eq!(find(passwd, "absent"), None);
    }
}
