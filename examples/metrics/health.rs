//! How this machine fares.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use sysinfo::System;

/// What is asked again and again.
pub struct Machine(System);

/// What is published. Sizes are in bytes, times in seconds.
#[derive(Serialize)]
pub struct Health<'a> {
    server: &'a str,
    /// Since 1970.
    time: u64,
    uptime: u64,
    processor: Processor,
    memory: Memory,
    swap: Swap,
    /// More is to be done than there are processors for, or hardly any memory is left.
    saturated: bool,
}

#[derive(Serialize)]
struct Processor {
    cores: usize,
    /// In percent of all cores, since the last time.
    usage: f64,
    /// How much was to be done in the last 1, 5 and 15 minutes, in processors.
    load: [f64; 3],
}

#[derive(Serialize)]
struct Memory {
    total: u64,
    used: u64,
    available: u64,
}

#[derive(Serialize)]
struct Swap {
    total: u64,
    used: u64,
}

impl Machine {
    /// A shorter time tells nothing about processors.
    pub const SHORTEST: Duration = sysinfo::MINIMUM_CPU_UPDATE_INTERVAL;

    pub fn new() -> Self {
        let mut system = System::new();
        system.refresh_cpu_usage();
        Self(system)
    }

    pub fn health<'a>(&mut self, server: &'a str) -> Health<'a> {
        let Self(system) = self;
        system.refresh_cpu_usage();
        system.refresh_memory();
        let load = System::load_average();
        let cores = system.cpus().len();
        let memory =
            Memory { total: system.total_memory(), used: system.used_memory(), available: system.available_memory() };
        Health {
            server,
            time: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            uptime: System::uptime(),
            saturated: load.one > cores as f64 || memory.available < memory.total / 20,
            processor: Processor {
                cores,
                usage: (f64::from(system.global_cpu_usage()) * 10.0).round() / 10.0,
                load: [load.one, load.five, load.fifteen],
            },
            memory,
            swap: Swap { total: system.total_swap(), used: system.used_swap() },
        }
    }
}
