//! What the agent decides about the data plane.

use std::{path::PathBuf, time::Duration};

use super::expiry::IdleTimes;

/// How the data plane is to be set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Uplinks by name.
    pub interfaces: Vec<String>,
    /// cgroup2 folder that this process is moved into, so that its upstream packets are counted; `None`: they
    /// are not.
    pub cgroup: Option<PathBuf>,
    /// Root of the node's cgroup2 tree, whose processes' sockets reach frontends at once, wherever the endpoints are;
    /// `None`: their packets are met on uplinks only.
    pub services_cgroup: Option<PathBuf>,
    /// How long a changed slot keeps live connections at its previous backend.
    pub drain_window: Duration,
    /// When entries of flow tables are removed.
    pub idle: IdleTimes,
    /// How often the flow tables are gone through.
    pub scan_interval: Duration,
    /// Without a heartbeat for this long new connections go to the kernel; zero: never.
    pub stale_after: Duration,
    /// Seed of the flow hash where none is in force yet; `None`: a random one.
    pub hash_seed: Option<u32>,
    /// Refusals (RST, ICMP) allowed per second and CPU.
    pub refusals_per_second: u32,
}

impl Options {
    /// With Weir's defaults.
    pub fn new(interfaces: Vec<String>) -> Self {
        Self {
            interfaces,
            cgroup: None,
            services_cgroup: None,
            drain_window: Duration::from_secs(8_000),
            idle: IdleTimes::default(),
            scan_interval: Duration::from_secs(5),
            stale_after: Duration::from_mins(15),
            hash_seed: None,
            refusals_per_second: 10_000,
        }
    }
}
