use clap::Parser as _;

use super::*;
use crate::args::Args;

fn resolved(key: &'static str, value: &str) -> Settings {
    let args = Args::try_parse_from(["ficus", "serve"]).expect("a command");
    let mut settings = Settings::resolve(&args).expect("settings");
    settings.set(key, value, "the test");
    settings
}

#[test]
fn the_defaults_are_those_of_the_library() {
    let set = sessions(&resolved("auth.key", "k")).expect("settings");
    let own = sessions::Settings::with_key(b"k".to_vec());
    assert_eq!(
        (set.access_life, set.idle_life, set.session_life, set.refresh_grace, set.code_life),
        (own.access_life, own.idle_life, own.session_life, own.refresh_grace, own.code_life)
    );
    assert_eq!(
        (set.code_attempts_max, set.failures_max, set.lockout, set.hash_parallel),
        (own.code_attempts_max, own.failures_max, own.lockout, own.hash_parallel)
    );
    assert_eq!(set.legacy_hashes, own.legacy_hashes);
    assert_eq!((set.cookie_secure, set.cookie_same_site), (true, SameSite::Lax));
}

#[test]
fn a_mistake_is_one_sentence_with_its_key() {
    for (key, value, part) in [
        ("auth.legacy_hashes", "md5", "`md5` is none of pbkdf2-sha1-20000"),
        ("auth.phone_country", "+976", "must be one to three digits"),
        ("auth.origins", "https://app.mn/", "`https://app.mn/` is no origin"),
        ("auth.origins", "app.mn", "write it as https://"),
        ("api.trusted_proxies", "10.0.0.0/33", "neither an address nor a network"),
    ] {
        let settings = resolved(key, value);
        let error = sessions(&settings).err().or_else(|| limits(&settings).err());
        let text = error.expect("a mistake").to_string();
        assert!(text.starts_with(key) && text.contains(part), "{text}");
    }
}
