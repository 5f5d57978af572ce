use std::time::{Duration, Instant};

use super::*;

// Made with Python's hashlib from the documented algorithms: the salt is 00 01 … 0f.
const PASSWORD: &str = "Нууц үг 1";
const SHA1: &str = "AAABAgMEBQYHCAkKCwwNDg9KOAbRHFYXlo+G4gunacdSGjPqwDPMAWPdqI5aEm/dQA==";
const SHA512: &str = "AAABAgMEBQYHCAkKCwwNDg+dNHlUmZOdmVoXnP/G/D3vuLNYfsb/sjyhUYfKTQOOLQ==";
const SALTED: &str = "AAECAwQF*UU0DaquGPnie1+aM9OPqA5HrSPqJ1xOzAwEV/WxlJoikT2iIfgANjwBStsnVhyGGtbfVWQcirXb8pAyH6POYTA==";

fn legacy(text: &str) -> Stored {
    Stored { legacy: Some(text.to_owned()), own: None }
}

#[test]
fn each_of_the_legacy_formats_is_verified_and_replaced() {
    let cases = [
        (Scheme::Sha1Rounds20k, SHA1),
        (Scheme::Sha512Rounds600k, SHA512),
        (Scheme::SaltedSha512, SALTED),
    ];
    for (scheme, text) in cases {
        let Verdict::Rehashed(own) = verify(&[scheme], &legacy(text), PASSWORD) else {
            panic!("{scheme:?} was not verified");
        };
        assert!(own.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{own}");
        assert_eq!(verify(&[scheme], &legacy(text), "Нууц үг 2"), Verdict::Wrong);
        let own = Stored { legacy: Some(text.to_owned()), own: Some(own) };
        assert_eq!(verify(&[], &own, PASSWORD), Verdict::Right);
        assert_eq!(verify(&[scheme], &own, "Нууц үг 2"), Verdict::Wrong);
    }
}

#[test]
fn a_format_that_is_not_taken_lets_nobody_in() {
    assert_eq!(verify(&[Scheme::Sha1Rounds20k], &legacy(SHA512), PASSWORD), Verdict::Wrong);
    assert_eq!(verify(&[Scheme::Sha1Rounds20k], &legacy(SALTED), PASSWORD), Verdict::Wrong);
    assert_eq!(verify(&[], &legacy(SHA1), PASSWORD), Verdict::Wrong);
}

#[test]
fn what_is_in_no_format_lets_nobody_in() {
    let all = [Scheme::Sha1Rounds20k, Scheme::SaltedSha512];
    let plain = "plain";
    let short = SHA1.trim_end_matches("dQ==");
    let marked = SHA1.replacen("AA", "AQ", 1);
    for text in ["", plain, "*", "salt*", "AAAA*", short, &marked, "\u{0}", "====", "AA=="] {
        for password in [text, plain, ""] {
            assert_eq!(verify(&all, &legacy(text), password), Verdict::Wrong, "{text:?}");
        }
    }
    assert_eq!(verify(&all, &Stored::default(), ""), Verdict::Wrong);
}

/// The time of a stranger's attempt is that of anybody's. Wide bounds: other processes run, too.
#[test]
fn a_stranger_takes_as_long_as_a_user() {
    let schemes = [Scheme::Sha1Rounds20k];
    let Verdict::Rehashed(own) = verify(&schemes, &legacy(SHA1), PASSWORD) else {
        panic!("not verified");
    };
    let own = Stored { legacy: Some(SHA1.to_owned()), own: Some(own) };
    let time = |stored: &Stored| {
        let begun = Instant::now();
        assert_eq!(verify(&schemes, stored, "wrong"), Verdict::Wrong);
        begun.elapsed()
    };
    // In turn, and until it is so: what else the machine does must not hit one of them alone.
    let attempts = [Stored::default(), legacy(SHA1), own];
    let mut fastest = [Duration::MAX; 3];
    for round in 0..40 {
        for (fastest, attempt) in fastest.iter_mut().zip(&attempts) {
            *fastest = time(attempt).min(*fastest);
        }
        let [stranger, known @ ..] = fastest;
        if round >= 4 && known.iter().all(|known| stranger * 2 > *known && *known * 2 > stranger) {
            return;
        }
    }
    panic!("{fastest:?}");
}

#[test]
fn ours_is_broken_and_lets_nobody_in() {
    for own in ["", "plain", "$argon2id$", "$argon2id$v=19$m=1,t=1,p=1$AAAA$AAAA"] {
        let stored = Stored { legacy: Some(SHA1.to_owned()), own: Some(own.to_owned()) };
        assert_eq!(verify(&[Scheme::Sha1Rounds20k], &stored, PASSWORD), Verdict::Wrong, "{own}");
    }
}
