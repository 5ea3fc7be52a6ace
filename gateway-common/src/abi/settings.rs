//! SETTINGS: one entry; what the agent tells all programs.

use super::pod;

/// Value of SETTINGS (array of one).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Settings {
    /// The packet path's coarse clock for "last seen", written once a second: no clock is read per packet. It stands
    /// still while no agent runs, so that connections do not look idle for as long as the agent was away.
    pub now: u32,
    /// Without a heartbeat for this many seconds new connections go to the kernel; 0 switches that off.
    pub stale_after: u32,
    /// Seed of the flow hash; the same on every node of a cluster.
    pub hash_seed: u32,
    /// Number of L7 listeners per address family in `AGENT_SOCKETS`; 0 while no agent listens.
    pub listeners: u32,
    /// Refusals (RST, ICMP) allowed per second and CPU.
    pub refusals: u32,
    /// Seconds by which `now` is behind `CLOCK_MONOTONIC`: `now + paused` is the agent's last heartbeat.
    pub paused: u32,
    /// First of the ports that mode `nat` gives out, in host order.
    pub nat_first: u32,
    /// How many; 0 while there is nobody to give one to, and then nothing is looked up.
    pub nat_ports: u32,
}

const _: () = assert!(size_of::<Settings>() == 32);
pod!(Settings);
