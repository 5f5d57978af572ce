//! Which files are taken: what offices exchange, and nothing that a browser would run.

/// A type and how its files begin.
#[derive(Debug)]
struct Kind {
    media_type: &'static str,
    begins: fn(&[u8]) -> bool,
}

/// So many first bytes tell the type.
pub(super) const TELLING_BYTES: usize = 12;

const KINDS: &[Kind] = &[
    Kind { media_type: "application/pdf", begins: |head| head.starts_with(b"%PDF-") },
    Kind { media_type: "image/png", begins: |head| head.starts_with(b"\x89PNG\r\n\x1a\n") },
    Kind { media_type: "image/jpeg", begins: |head| head.starts_with(b"\xff\xd8\xff") },
    Kind {
        media_type: "image/webp",
        begins: |head| head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP"),
    },
    Kind { media_type: "application/msword", begins: is_ole },
    Kind { media_type: "application/vnd.ms-excel", begins: is_ole },
    Kind {
        media_type: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        begins: is_zip,
    },
    Kind {
        media_type: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        begins: is_zip,
    },
];

fn is_ole(head: &[u8]) -> bool {
    head.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
}

fn is_zip(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04")
}

/// The type that a `Content-Type` names, if it is one of ours.
pub(super) fn named(content_type: &str) -> Option<&'static str> {
    let name = content_type.split(';').next().unwrap_or_default().trim();
    let kind = KINDS.iter().find(|kind| kind.media_type.eq_ignore_ascii_case(name));
    kind.map(|kind| kind.media_type)
}

/// Whether a file that begins so can be of the type.
pub(super) fn is_borne_out(media_type: &str, head: &[u8]) -> bool {
    let kind = KINDS.iter().find(|kind| kind.media_type == media_type);
    kind.is_some_and(|kind| (kind.begins)(head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_named_and_borne_out() {
        assert_eq!(named("Application/PDF; x=y"), Some("application/pdf"));
        for other in
            ["", "text/html", "image/svg+xml", "application/octet-stream", "application/zip"]
        {
            assert_eq!(named(other), None, "{other}");
        }
        assert!(is_borne_out("application/pdf", b"%PDF-1.7"));
        assert!(is_borne_out("image/webp", b"RIFF\0\0\0\0WEBPVP8 "));
        for (kind, head) in [
            ("application/pdf", &b"<html><script>"[..]),
            ("application/pdf", b""),
            ("image/webp", b"RIFF\0\0\0\0WAVE"),
            ("image/png", b"\x89PNG"),
            ("text/html", b"<html>"),
        ] {
            assert!(!is_borne_out(kind, head), "{kind} {head:?}");
        }
    }
}
