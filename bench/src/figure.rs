//! A figure, its limits, and how both are shown.

use serde_json::{Value, json};

use crate::cost::{Cost, Party};

/// One measured thing.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    /// Which benchmark it belongs to.
    group: &'static str,
    /// What was measured.
    name: String,
    /// What a second is counted in.
    unit: &'static str,
    /// Units per second, of every run.
    rates: Vec<f64>,
    /// What the machine can't do faster, measured in the same run.
    limits: Vec<(String, f64)>,
    /// The least that is asked for.
    floor: Option<f64>,
    cost: Option<Cost>,
    /// What else there is to say.
    note: Option<String>,
    /// Peak of a measured process's resident memory, and the most that is allowed; bytes.
    process_peak: Option<(u64, Option<u64>)>,
}

impl Figure {
    pub(crate) fn new(group: &'static str, name: impl Into<String>, unit: &'static str) -> Self {
        let (name, rates, limits) = (name.into(), Vec::new(), Vec::new());
        let (floor, cost, note, process_peak) = (None, None, None, None);
        Self { group, name, unit, rates, limits, floor, cost, note, process_peak }
    }

    /// Something that was not measured, and why.
    pub(crate) fn skipped(group: &'static str, name: &str, why: &str) -> Self {
        Self::new(group, format!("{name} was skipped: {why}"), "none")
    }

    pub(crate) fn note(mut self, note: String) -> Self {
        self.note = Some(note);
        self
    }

    /// One run's rate. The last run's cost is kept.
    pub(crate) fn add(&mut self, rate: f64, cost: Cost) {
        self.rates.push(rate);
        self.cost = Some(cost);
    }

    /// One run's rate, of a process of its own.
    pub(crate) fn add_rate(&mut self, rate: f64) {
        self.rates.push(rate);
    }

    /// What a measured process took at most, and what it may take; bytes.
    pub(crate) fn process_peak(mut self, peak: u64, most: Option<u64>) -> Self {
        self.process_peak = Some((peak, most));
        self
    }

    pub(crate) fn limit(mut self, name: impl Into<String>, rate: f64) -> Self {
        self.limits.push((name.into(), rate));
        self
    }

    pub(crate) fn floor(mut self, rate: f64) -> Self {
        self.floor = Some(rate);
        self
    }

    pub(crate) fn rate(&self) -> f64 {
        median(&self.rates)
    }

    /// Whether it is at least the floor, in no more memory than is allowed.
    pub(crate) fn is_good(&self) -> bool {
        self.floor.is_none_or(|floor| self.rate() >= floor) && self.is_small()
    }

    fn is_small(&self) -> bool {
        self.process_peak.is_none_or(|(peak, most)| most.is_none_or(|most| peak <= most))
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        if self.rates.is_empty() {
            return format!("{:<10} {}", self.group, self.name);
        }
        let rate = format!("{} {}/s", thousands(self.rate()), self.unit);
        let mut text = format!("{:<10} {:<52} {rate:>20}", self.group, self.name);
        if let Some(floor) = self.floor {
            let verdict = if self.rate() >= floor { "" } else { "  MISSED" };
            text.push_str(&format!("   floor {}{verdict}", thousands(floor)));
        }
        if let [low, .., high] = sorted(&self.rates).as_slice() {
            text.push_str(&format!("   ({} – {})", thousands(*low), thousands(*high)));
        }
        for (name, limit) in &self.limits {
            let limit_text = format!("{} /s", thousands(*limit));
            let ratio = self.rate() / limit;
            text.push_str(&format!(
                "\n{:<10}   limit: {name:<43} {limit_text:>20}   ratio {ratio:.2}",
                ""
            ));
        }
        if let Some((peak, most)) = self.process_peak {
            text.push_str(&format!("\n{:<10}   peak of the process: {} MiB", "", mebibytes(peak)));
            if let Some(most) = most {
                let verdict = if self.is_small() { "" } else { "  MISSED" };
                text.push_str(&format!(", at most {}{verdict}", mebibytes(most)));
            }
        }
        if let Some(note) = &self.note {
            text.push_str(&format!("\n{:<10}   {note}", ""));
        }
        if let Some(cost) = &self.cost {
            text.push_str(&format!("\n{:<10}   {}", "", cost.text()));
        }
        text
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let limits = self.limits.iter().map(
            |(name, rate)| json!({ "name": name, "per_second": rate, "ratio": self.rate() / rate }),
        );
        json!({
            "group": self.group,
            "name": self.name,
            "unit": self.unit,
            "per_second": self.rate(),
            "runs": self.rates,
            "note": self.note,
            "floor": self.floor,
            "good": self.is_good(),
            "limits": limits.collect::<Vec<_>>(),
            "cpu_us": self.cost.as_ref().map(|cost| {
                Party::ALL.iter().map(|party| (party.name().to_owned(), json!(cost.micros(*party))))
                    .collect::<serde_json::Map<_, _>>()
            }),
            "others_cores": self.cost.as_ref().and_then(|cost| cost.others_cores),
            "process_peak_bytes": self.process_peak.map(|(peak, _)| peak),
            "memory_peak_bytes": self.cost.as_ref().map(|cost| cost.memory_peak),
            "memory_growth_bytes": self.cost.as_ref().map(|cost| cost.memory_growth),
        })
    }
}

fn sorted(rates: &[f64]) -> Vec<f64> {
    let mut rates = rates.to_vec();
    rates.sort_by(f64::total_cmp);
    rates
}

pub(crate) fn median(rates: &[f64]) -> f64 {
    let rates = sorted(rates);
    let at = |index: usize| rates.get(index).copied().unwrap_or_default();
    let middle = rates.len() / 2;
    if rates.len() % 2 == 1 {
        at(middle)
    } else {
        f64::midpoint(at(middle.saturating_sub(1)), at(middle))
    }
}

/// `1234567.8` as `1,234,568`.
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn mebibytes(bytes: u64) -> String {
    thousands(real(bytes) / 1_048_576.0)
}

/// Units in a time, per second.
pub(crate) fn per_second(units: u64, time: std::time::Duration) -> f64 {
    real(units) / time.as_secs_f64().max(1e-9)
}

/// Counts are far below 2^53.
#[expect(clippy::cast_precision_loss, reason = "counts of rows and bytes are below 2^53")]
pub(crate) fn real(count: u64) -> f64 {
    count as f64
}
