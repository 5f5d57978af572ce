//! Who used how much CPU time and memory. Linux only; elsewhere there are zeros.
//!
//! Everything runs on the same cores, so a rate says little by itself. The CPU time for each row
//! says whose the time was, and stays about the same when other work disturbs the machine.

use std::{collections::BTreeMap, fs, time::Instant};

use crate::figure::real;

/// Whose time it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Party {
    /// What is measured: everything that is none of the others.
    Engine,
    /// The simulated SQL Server.
    Legacy,
    /// Kafka: the in-process broker, and all clients' own threads.
    Kafka,
    /// A real broker's process.
    Broker,
    /// What publishes the events.
    Producer,
    /// The HTTP server that is measured, a process of its own.
    Http,
    /// All processes of the server.
    Postgres,
}

impl Party {
    pub(crate) const ALL: [Self; 7] = [
        Self::Engine,
        Self::Legacy,
        Self::Kafka,
        Self::Broker,
        Self::Producer,
        Self::Http,
        Self::Postgres,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::Legacy => "legacy server",
            Self::Kafka => "kafka",
            Self::Broker => "broker",
            Self::Producer => "producer",
            Self::Http => "http server",
            Self::Postgres => "postgres",
        }
    }

    /// By the thread's name.
    fn of(thread: &str) -> Self {
        match thread {
            name if name.starts_with("legacy") => Self::Legacy,
            name if name.starts_with("rdk:") || name == "kafka" => Self::Kafka,
            name if name.starts_with("producer") => Self::Producer,
            _ => Self::Engine,
        }
    }
}

/// What a measured stretch cost.
#[derive(Debug, Clone)]
pub(crate) struct Cost {
    units: u64,
    cpu_ns: BTreeMap<Party, u64>,
    /// Cores that neither we nor Postgres used, but somebody else did.
    pub(crate) others_cores: Option<f64>,
    /// Peak of this process's resident memory.
    pub(crate) memory_peak: u64,
    /// By how much the peak was above what there was at the start.
    pub(crate) memory_growth: u64,
}

impl Cost {
    /// Microseconds for each unit.
    pub(crate) fn micros(&self, party: Party) -> f64 {
        let spent = self.cpu_ns.get(&party).copied().unwrap_or_default();
        real(spent) / 1000.0 / real(self.units.max(1))
    }

    pub(crate) fn text(&self) -> String {
        let spent = Party::ALL.iter().filter(|party| self.micros(**party) >= 0.01);
        let spent: Vec<String> =
            spent.map(|party| format!("{} {:.2}", party.name(), self.micros(*party))).collect();
        let mega = |bytes: u64| real(bytes) / 1_048_576.0;
        let mut text = format!(
            "µs of CPU each: {}; memory +{:.0} MiB (peak {:.0})",
            spent.join(", "),
            mega(self.memory_growth),
            mega(self.memory_peak)
        );
        if let Some(cores) = self.others_cores.filter(|cores| *cores >= 0.15) {
            text.push_str(&format!("; DISTURBED: others used {cores:.1} cores"));
        }
        text
    }
}

/// Processes that work for us, by their numbers.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Servers {
    pub(crate) postmaster: Option<u32>,
    pub(crate) broker: Option<u32>,
    pub(crate) http: Option<u32>,
}

/// Measures a stretch.
pub(crate) struct Meter {
    servers: Servers,
    started: Instant,
    cpu: Cpu,
    memory: u64,
}

impl Meter {
    pub(crate) fn start(servers: Servers) -> Self {
        // From here on the peak is this stretch's own. Where that is forbidden it is the
        // process's, which is an upper bound.
        let memory = memory("VmRSS:");
        drop(fs::write("/proc/self/clear_refs", "5"));
        Self { servers, cpu: Cpu::now(servers), started: Instant::now(), memory }
    }

    /// Ends it: how long it took, and its cost for each of so many units.
    pub(crate) fn stop(&self, units: u64) -> (f64, Cost) {
        let elapsed = self.started.elapsed();
        let cpu = Cpu::now(self.servers);
        let mut cpu_ns = BTreeMap::new();
        for party in Party::ALL {
            let spent = |cpu: &Cpu| cpu.by_party.get(&party).copied().unwrap_or_default();
            cpu_ns.insert(party, spent(&cpu).saturating_sub(spent(&self.cpu)));
        }
        let ours: u64 = cpu_ns.values().sum();
        let others_cores = match (cpu.machine, self.cpu.machine) {
            (Some(after), Some(before)) => {
                let busy = after.saturating_sub(before).saturating_sub(ours);
                Some(real(busy) / 1e9 / elapsed.as_secs_f64().max(1e-9))
            }
            _ => None,
        };
        let memory_peak = memory("VmHWM:");
        let memory_growth = memory_peak.saturating_sub(self.memory);
        let cost = Cost { units, cpu_ns, others_cores, memory_peak, memory_growth };
        (crate::figure::per_second(units, elapsed), cost)
    }
}

/// Nanoseconds of CPU time since the start of everything.
struct Cpu {
    by_party: BTreeMap<Party, u64>,
    machine: Option<u64>,
}

impl Cpu {
    fn now(servers: Servers) -> Self {
        let mut by_party = threads();
        for (party, process) in [
            (Party::Postgres, servers.postmaster),
            (Party::Broker, servers.broker),
            (Party::Http, servers.http),
        ] {
            if let Some(process) = process {
                by_party.insert(party, server(process));
            }
        }
        Self { by_party, machine: machine() }
    }
}

/// The kernel's unit in `/proc`; it is 100 Hz everywhere that counts.
const TICK_NS: u64 = 10_000_000;

fn threads() -> BTreeMap<Party, u64> {
    let mut spent = BTreeMap::new();
    for task in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let read = |file: &str| fs::read_to_string(task.path().join(file)).unwrap_or_default();
        let party = Party::of(read("comm").trim());
        let on_cpu = read("schedstat").split(' ').next().and_then(|ns| ns.parse::<u64>().ok());
        *spent.entry(party).or_default() += on_cpu.unwrap_or_default();
    }
    spent
}

/// A server, its children, and those of its children that have ended.
fn server(parent: u32) -> u64 {
    let mut ticks = 0;
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = process.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Some(stat) = Stat::of(pid) else { continue };
        if pid == parent {
            ticks += stat.own + stat.children;
        } else if stat.parent == parent {
            ticks += stat.own;
        }
    }
    ticks * TICK_NS
}

/// Of `/proc/<pid>/stat`.
pub(crate) struct Stat {
    pub(crate) parent: u32,
    own: u64,
    children: u64,
}

impl Stat {
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, in parentheses, may hold anything.
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Self {
            parent: u32::try_from(number(1)?).ok()?,
            own: number(11)? + number(12)?,
            children: number(13)? + number(14)?,
        })
    }
}

/// Busy time of all cores.
fn machine() -> Option<u64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let line = text.lines().next()?;
    let numbers: Vec<u64> = line.split_whitespace().skip(1).flat_map(str::parse).collect();
    let [user, nice, system, _idle, _io_wait, irq, soft_irq, ..] = numbers.as_slice() else {
        return None;
    };
    Some((user + nice + system + irq + soft_irq) * TICK_NS)
}

/// A field of this process's status, in bytes.
pub(crate) fn memory(field: &str) -> u64 {
    memory_of("self", field)
}

/// A field of a process's `/proc/…/status`, in bytes.
pub(crate) fn memory_of(process: &str, field: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    let kilobytes = line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1024
}
