//! How numbers and words are written.

use show::thousands;

use crate::assessment::Severity;

const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];

/// `1288490188` as `1.2 GiB`.
pub(super) fn bytes(bytes: u64) -> String {
    let mut unit = "B";
    let (mut whole, mut rest) = (bytes, 0);
    for next in UNITS {
        if whole < 1024 {
            break;
        }
        rest = whole % 1024;
        whole /= 1024;
        unit = next;
    }
    if unit == "B" || whole >= 100 {
        return format!("{} {unit}", thousands(whole));
    }
    let tenths = whole * 10 + (rest * 10 + 512) / 1024;
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// The word for a severity.
pub(super) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Blocking => "blocking",
        Severity::Decide => "decide",
        Severity::Note => "note",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        for (size, written) in [
            (0, "0 B"),
            (1023, "1,023 B"),
            (1024, "1.0 KiB"),
            (1_288_490_189, "1.2 GiB"),
            (200 * 1024 * 1024, "200 MiB"),
            (u64::MAX, "16,383 PiB"),
        ] {
            assert_eq!(bytes(size), written);
        }
    }
}
