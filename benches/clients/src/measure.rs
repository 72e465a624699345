//! What is measured, and how it is written down.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// One measurement.
#[derive(Clone, Debug)]
pub struct Task {
    pub port: u16,
    pub qos: u8,
    /// Bytes of payload.
    pub payload: usize,
    /// Messages, round trips or clients.
    pub count: usize,
}

/// How many messages are under way at once at QoS 1 and 2: the server's Receive Maximum too.
pub const WINDOW: usize = 1_024;

/// The topic of messages that the server counts.
pub const COUNT: &str = "count";

/// The topic of messages that the server sends back.
pub const ECHO: &str = "echo";

impl Task {
    /// A subscription to this filter makes the server send the messages.
    pub fn flood(&self) -> String {
        format!("flood/{}/{}/{}", self.qos, self.payload, self.count)
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Measure {
    Publish,
    Receive,
    RoundTrip,
    Idle,
    /// Clients that have sent and received something before they are idle.
    IdleUsed,
}

impl Measure {
    pub const ALL: [Self; 5] = [Self::Publish, Self::Receive, Self::RoundTrip, Self::Idle, Self::IdleUsed];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Receive => "receive",
            Self::RoundTrip => "round-trip",
            Self::Idle => "idle",
            Self::IdleUsed => "idle-used",
        }
    }
}

impl FromStr for Measure {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|measure| measure.name() == name).ok_or_else(|| format!("no measure {name}"))
    }
}

/// What came out. Times are nanoseconds; each is per message, round trip or client, except the percentiles.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    pub cpu: f64,
    pub wall: f64,
    pub p50: f64,
    pub p99: f64,
    /// Bytes of resident memory a client.
    pub memory: f64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1}\t{:.1}\t{:.0}\t{:.0}\t{:.0}", self.cpu, self.wall, self.p50, self.p99, self.memory)
    }
}

impl FromStr for Figures {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let numbers: Result<Vec<f64>, _> = line.trim().split('\t').map(str::parse).collect();
        match numbers.as_deref() {
            Ok(&[cpu, wall, p50, p99, memory]) => Ok(Self { cpu, wall, p50, p99, memory }),
            _ => Err(format!("no figures: {line}")),
        }
    }
}

/// The CPU time of this process, all threads, user and system.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Bytes of this process that are in memory.
pub fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: usize = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * rustix::param::page_size()
}

pub struct Stopwatch {
    wall: Instant,
    cpu: Duration,
}

impl Stopwatch {
    pub fn start() -> Self {
        Self { wall: Instant::now(), cpu: cpu_time() }
    }

    pub fn stop(&self, count: usize) -> Figures {
        let (cpu, wall) = (cpu_time() - self.cpu, self.wall.elapsed());
        let each = |time: Duration| time.as_nanos() as f64 / count.max(1) as f64;
        Figures { cpu: each(cpu), wall: each(wall), ..Figures::default() }
    }
}

/// The times of round trips.
pub struct RoundTrips {
    watch: Stopwatch,
    times: Vec<u64>,
    since: Instant,
}

impl RoundTrips {
    pub fn start(count: usize) -> Self {
        Self { times: Vec::with_capacity(count), watch: Stopwatch::start(), since: Instant::now() }
    }

    /// One is done, the next begins.
    pub fn lap(&mut self) {
        let now = Instant::now();
        self.times.push(u64::try_from((now - self.since).as_nanos()).unwrap_or(u64::MAX));
        self.since = now;
    }

    pub fn stop(mut self) -> Figures {
        let figures = self.watch.stop(self.times.len());
        self.times.sort_unstable();
        let at = |percent: usize| self.times.get(self.times.len() * percent / 100).map_or(0.0, |time| *time as f64);
        Figures { p50: at(50), p99: at(99), ..figures }
    }
}

/// What clients added to the memory of the process.
pub struct Memory(usize);

impl Memory {
    pub fn before() -> Self {
        Self(resident())
    }

    pub fn after(&self, clients: usize) -> Figures {
        let added = resident().saturating_sub(self.0);
        Figures { memory: added as f64 / clients.max(1) as f64, ..Figures::default() }
    }
}
