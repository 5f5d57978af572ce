//! Names that Postgres cuts at 63 bytes, without letting two of them become one.

/// The bytes of a Postgres name (`NAMEDATALEN` - 1).
pub const NAME_BYTES_MAX: usize = 63;

/// The name of the foreign key that the seal makes for a column.
#[must_use]
pub fn foreign_key(table: &str, column: &str) -> String {
    suffixed(&format!("{table}_{column}"), "_fkey")
}

/// A name with a suffix, such as `_fkey`. One that is too long is cut in its middle, where a hash of the
/// whole takes the place of what is lost.
#[must_use]
pub fn suffixed(stem: &str, suffix: &str) -> String {
    let name = format!("{stem}{suffix}");
    if name.len() <= NAME_BYTES_MAX {
        return name;
    }
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let room = NAME_BYTES_MAX.saturating_sub(17 + suffix.len());
    let mut short = String::new();
    for character in name.chars() {
        if short.len() + character.len_utf8() > room {
            break;
        }
        short.push(character);
    }
    format!("{short}_{hash:016x}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_is_itself() {
        assert_eq!(foreign_key("contracts", "tenant_id"), "contracts_tenant_id_fkey");
    }

    #[test]
    fn long_names_fit_and_stay_apart() {
        let long = "x".repeat(60);
        let names = ["a", "b"].map(|column| foreign_key(&long, column));
        assert!(names.iter().all(|name| name.len() == NAME_BYTES_MAX && name.ends_with("_fkey")));
        assert_ne!(names[0], names[1]);
        assert!(suffixed(&"ү".repeat(40), "").len() <= NAME_BYTES_MAX);
    }
}
