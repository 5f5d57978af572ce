//! Who has a chunk, as a text that another process on the same machine can check.
//!
//! A lease protects against a process that was cut off. One that was killed on this machine
//! need not be waited for: its number is gone. A wrong guess costs nothing but work, because
//! the chunk's epoch goes up and the old owner can't commit (law 2).

use std::path::Path;

/// This process: `host/process/start`.
pub(crate) fn this_process() -> String {
    let started = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    format!("{}/{}/{started:x}", host(), std::process::id())
}

/// Whether the owner was a process of this machine that is not there any more. `false` also
/// when it can't be known.
pub(crate) fn is_gone(owner: &str) -> bool {
    let mut parts = owner.split('/');
    let (Some(owner_host), Some(process), Some(_)) = (parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let processes = Path::new("/proc");
    owner_host == host()
        && process.parse::<u32>().is_ok()
        && processes.join("self").exists()
        && !processes.join(process).exists()
}

fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim().replace('/', "-");
    if name.is_empty() { "unknown".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_there_and_a_foreign_one_is_not_judged() {
        assert!(!is_gone(&this_process()));
        assert!(!is_gone("elsewhere/1/2"));
        assert!(!is_gone("nonsense"));
    }
}
