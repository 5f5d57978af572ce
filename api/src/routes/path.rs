//! To which domain a path belongs, also when it is written in another way.
//!
//! Our router takes paths literally. The legacy application does not: IIS ignores case, decodes
//! `%63`, resolves `..` and takes `\` for `/`. A path that *it* would read as one of a domain of
//! ours must not reach it by a spelling that we do not know, or a write would be split off. So
//! the domain is decided on the path as the most lenient reader sees it.

/// The segments as a lenient reader sees them: decoded, lower case, without `.` and `..`.
pub(super) fn lenient(path: &str) -> Vec<String> {
    let mut segments: Vec<String> = Vec::new();
    let decoded = decode(path).to_lowercase();
    for segment in decoded.split(['/', '\\']) {
        // IIS drops trailing dots and blanks of a segment.
        match segment.trim_end_matches(['.', ' ']) {
            "" if segment.starts_with("..") => drop(segments.pop()),
            "" => {}
            kept => segments.push(kept.to_owned()),
        }
    }
    segments
}

fn decode(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.split_at_checked(2);
        let value = digits
            .filter(|_| first == b'%')
            .and_then(|(digits, _)| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        if let (Some(value), Some((_, after))) = (value, digits) {
            bytes.push(value);
            rest = after;
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether the segments are those of the route: one in braces stands for any one segment.
pub(super) fn covers(route: &str, segments: &[String]) -> bool {
    let mut expected = route.split('/').skip(1);
    let mut given = segments.iter();
    loop {
        match (expected.next(), given.next()) {
            (None, None) => return true,
            (Some(segment), Some(given)) if segment.starts_with('{') || segment == given => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_stand_for_one_segment() {
        let route = "/v2/property-owners/{id}/properties";
        assert!(covers(route, &lenient("/v2/property-owners/1/properties")));
        assert!(covers(route, &lenient("/v2/property-owners/1/properties/")));
        assert!(!covers(route, &lenient("/v2/property-owners//properties")));
        assert!(!covers(route, &lenient("/v2/property-owners/1")));
        assert!(!covers(route, &lenient("/v2/property-owners/1/properties/2")));
    }

    #[test]
    fn spellings_of_one_path_are_one_path() {
        for path in [
            "/v2/contracts",
            "/V2/Contracts/",
            "//v2///contracts",
            "/v2/%63ontract%73",
            "/v2/x/../contracts",
            "/v2/x/%2e%2E/contracts",
            "/v2%2Fcontracts",
            "/v2\\contracts",
            "/v2/./contracts.",
            "/../v2/contracts%20",
        ] {
            assert_eq!(lenient(path), ["v2", "contracts"], "{path}");
        }
        assert_eq!(lenient("/v2/%zz/%4"), ["v2", "%zz", "%4"]);
    }
}
