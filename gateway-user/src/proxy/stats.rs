//! What the proxy counts. Each worker writes its own counters, without a lock; a reader adds them up.

mod counters;

use std::{net::SocketAddr, time::Duration};

use gateway_model::key::{GatewayKey, RouteName};

pub(in crate::proxy) use counters::{EndpointCounters, RouteCounters, WorkerCounters};

/// Upper bounds of the latency buckets, inclusive; a last bucket without a bound follows.
pub const LATENCY_BOUNDS: [Duration; 14] = [
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2_500),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// All counters of a proxy, summed over its workers; they only grow, but for the gauges named so.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Per route, sorted by gateway and name. A route that leaves the table is kept for an hour.
    pub routes: Vec<RouteStats>,
    /// Answers that no route had a part in, by gateway (`None`: a host that nobody has) and reason.
    pub unrouted: Vec<UnroutedStats>,
    /// Requests refused for what they are, and connections refused for their number, by reason; reasons that
    /// never occurred are listed with 0.
    pub refused: Vec<(&'static str, u64)>,
    /// Client connections accepted.
    pub accepted: u64,
    /// Gauge: open client connections.
    pub connections: u64,
}

/// Counters of a route.
#[derive(Clone, Debug)]
pub struct RouteStats {
    /// Its gateway.
    pub gateway: GatewayKey,
    /// Its name.
    pub route: RouteName,
    /// Answers by status class: `responses[1]` counts 2xx. The proxy's own 502, 503 and 504 are among them.
    pub responses: [u64; 5],
    /// Answers that the proxy made itself because the route failed, by reason; only reasons that occurred.
    pub failures: Vec<(&'static str, u64)>,
    /// From a request's head to its response's head.
    pub latency: Latency,
    /// Per endpoint, sorted by address.
    pub endpoints: Vec<EndpointStats>,
}

impl RouteStats {
    /// Answers of every class.
    pub fn requests(&self) -> u64 {
        self.responses.iter().sum()
    }
}

/// Answers that no route had a part in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnroutedStats {
    /// The gateway, where one was found.
    pub gateway: Option<GatewayKey>,
    /// Why: `unknown-host`, `no-route`.
    pub reason: &'static str,
    /// The status answered.
    pub status: u16,
    /// How often.
    pub count: u64,
}

/// A histogram of times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// Per bound of [`LATENCY_BOUNDS`] and one past them; not cumulative.
    pub buckets: [u64; LATENCY_BOUNDS.len() + 1],
    /// The sum of all times.
    pub sum: Duration,
}

/// Counters of an endpoint of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointStats {
    /// Where it listens.
    pub address: SocketAddr,
    /// Requests sent to it.
    pub requests: u64,
    /// Attempts to connect that failed.
    pub connect_failures: u64,
    /// Gauge: requests that it has not answered to the end.
    pub in_flight: u64,
}
