//! To which domain a path belongs, also when it is written in another way.
//!
//! Our router takes paths literally. The legacy application does not: IIS ignores case, decodes
//! `%63`, resolves `..` and takes `\` for `/`. A path that *it* would read as one of a domain of
//! ours must not reach it by a spelling that we do not know, or a write would be split off. So
//! the domain is decided on the path as the most lenient reader sees it.

/// The segments as a lenient reader sees them: decoded, lower case, without `.` and `..`. Readers
/// do not agree on what a `..` takes away, so a path that has one may be read in several ways.
pub(super) fn readings(path: &str) -> Vec<Vec<String>> {
    let decoded = decode(path).to_lowercase();
    if !decoded.contains("..") {
        return vec![read(&decoded, Reader { counts_empty: false, knows_more_dots: true })];
    }
    let both = [false, true];
    let readers = both.into_iter().flat_map(|counts_empty| {
        both.map(|knows_more_dots| Reader { counts_empty, knows_more_dots })
    });
    readers.map(|reader| read(&decoded, reader)).collect()
}

#[derive(Clone, Copy)]
struct Reader {
    /// `..` takes away an empty segment: `/a//..` is `/a/`, not `/`.
    counts_empty: bool,
    /// `...` is `..`, as IIS drops trailing dots and blanks of a segment.
    knows_more_dots: bool,
}

fn read(decoded: &str, reader: Reader) -> Vec<String> {
    let mut segments: Vec<&str> = Vec::new();
    for segment in decoded.split(['/', '\\']).skip_while(|segment| segment.is_empty()) {
        let kept = segment.trim_end_matches(['.', ' ']);
        let is_up = segment == ".."
            || (reader.knows_more_dots && kept.is_empty() && segment.starts_with(".."));
        match kept {
            _ if is_up => drop(segments.pop()),
            "" if segment.starts_with("..") => segments.push(segment),
            "" if segment.is_empty() && reader.counts_empty => segments.push(""),
            "" => {}
            kept => segments.push(kept),
        }
    }
    segments.into_iter().filter(|segment| !segment.is_empty()).map(str::to_owned).collect()
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

    /// Of a path that has one reading.
    fn lenient(path: &str) -> Vec<String> {
        let mut readings = readings(path);
        readings.dedup();
        assert_eq!(readings.len(), 1, "{path}: {readings:?}");
        readings.remove(0)
    }

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

    #[test]
    fn where_readers_differ_each_reading_counts() {
        for path in [
            "/v2/contracts//..",
            "/v2/contracts//../",
            "/v2/contracts/%2f..",
            "/v2/contracts/...",
            "/v2/x/.../contracts",
            "/v2/contracts/.. /",
        ] {
            let contracts = |segments: &Vec<String>| {
                segments.starts_with(&["v2".to_owned(), "contracts".to_owned()])
            };
            assert!(readings(path).iter().any(contracts), "{path}: {:?}", readings(path));
        }
    }
}
