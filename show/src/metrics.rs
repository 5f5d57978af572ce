//! A page of metrics, in Prometheus's text format.
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>

use std::fmt::{Arguments, Display, Formatter, Write as _};

/// The page as far as it is written: families, each followed by its samples.
#[derive(Debug, Default)]
pub struct Page(String);

impl Page {
    /// Begins a family: its name, its kind (`counter`, `gauge`, `histogram`) and a line for people.
    pub fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// Adds a sample.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            self.write(format_args!("{before}{label}=\"{}\"", escaped(text)));
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        self.write(format_args!(" {value}\n"));
    }

    /// All of it.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }

    fn write(&mut self, text: Arguments<'_>) {
        // Writing to a String can't fail.
        let _written = self.0.write_fmt(text).is_ok();
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Milliseconds, written in Prometheus's base unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seconds(pub i64);

impl Display for Seconds {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1_000, (self.0 % 1_000).abs())
    }
}

/// The process's resident memory in bytes, where the system tells it (Linux).
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut page = Page::default();
        page.sample("a", &[("b", "x\"y\\z\n"), ("c", "")], 1);
        page.sample("a", &[], 2);
        assert_eq!(page.into_string(), "a{b=\"x\\\"y\\\\z\\n\",c=\"\"} 1\na 2\n");
    }
}
