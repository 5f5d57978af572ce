use clap::Parser;

use super::*;

fn resolve(file: &str, environment: &[(&str, &str)], flags: &[&str]) -> anyhow::Result<Settings> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("ficus.toml");
    std::fs::write(&path, file)?;
    let mut line = vec!["ficus", "--config", path.to_str().expect("a temporary path is UTF-8")];
    line.extend(flags);
    line.push("status");
    let args = Args::try_parse_from(line)?;
    let environment = environment.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
    Settings::from_layers(Layers::collect(&args, environment)?)
}

#[test]
fn environment_over_file_and_flags_over_both() {
    let file = "[kafka]\nbootstrap = \"file:1\"\ngroup = \"file\"\ntopic_prefix = \"file\"";
    let environment = [
        ("FICUS_KAFKA_BOOTSTRAP", "env:1"),
        ("FICUS_KAFKA_GROUP", "env"),
        ("FICUS_KAFKA_TOPIC_PREFIX", ""),
    ];
    let settings = resolve(file, &environment, &["--kafka", "flag:1"]).expect("valid");
    assert_eq!(settings.text("kafka.bootstrap").as_deref(), Some("flag:1"));
    assert_eq!(settings.text("kafka.group").as_deref(), Some("env"));
    assert_eq!(settings.text("kafka.topic_prefix").as_deref(), Some("file"));
    assert_eq!(settings.number("backfill.readers"), 2);
}

#[test]
fn every_mistake_of_the_file_is_told_with_a_suggestion() {
    let error = resolve("[kafka]\nbootstap = \"x\"\n[backfill]\nreaders = 0", &[], &[]);
    let text = error.expect_err("two mistakes").to_string();
    assert!(
        text.contains("unknown key `kafka.bootstap`, did you mean `kafka.bootstrap`?"),
        "{text}"
    );
    assert!(
        text.contains("`backfill.readers` must be a whole number from 1 to 64, not `0`"),
        "{text}"
    );
}

#[test]
fn secrets_come_from_files_too() {
    let secret = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(secret.path(), "hush\n").expect("written");
    let file = format!("[legacy]\npassword_file = \"{}\"", secret.path().display());
    let settings = resolve(&file, &[], &[]).expect("valid");
    assert_eq!(settings.text("legacy.password").as_deref(), Some("hush"));
}
