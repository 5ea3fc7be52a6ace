//! The counters behind [`Stats`]: atomics of one writer, so relaxed order is enough.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use gateway_model::key::{GatewayKey, RouteName};
use http::StatusCode;

use super::{EndpointStats, LATENCY_BOUNDS, Latency, RouteStats, Stats, UnroutedStats};
use crate::proxy::error::{Failure, Refusal};

/// What one worker counts.
#[derive(Debug)]
pub(in crate::proxy) struct WorkerCounters {
    pub accepted: AtomicU64,
    pub connections: AtomicU64,
    refused: [AtomicU64; Refusal::ALL.len()],
    routes: Mutex<HashMap<(GatewayKey, RouteName), Arc<RouteCounters>>>,
    unrouted: Mutex<HashMap<(Option<GatewayKey>, Failure), u64>>,
}

impl WorkerCounters {
    pub fn new() -> Self {
        Self {
            accepted: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            refused: std::array::from_fn(|_| AtomicU64::new(0)),
            routes: Mutex::default(),
            unrouted: Mutex::default(),
        }
    }

    /// Counts a request or connection refused.
    pub fn refuse(&self, refusal: Refusal) {
        self.refused[refusal as usize].fetch_add(1, Relaxed);
    }

    /// Counts an answer that no route had a part in.
    pub fn count_unrouted(&self, gateway: Option<&GatewayKey>, failure: Failure) {
        *lock(&self.unrouted).entry((gateway.cloned(), failure)).or_default() += 1;
    }

    /// The counters of a route, made where there are none.
    pub fn route(&self, gateway: &GatewayKey, route: &RouteName) -> Arc<RouteCounters> {
        let mut routes = lock(&self.routes);
        Arc::clone(
            routes
                .entry((gateway.clone(), route.clone()))
                .or_insert_with(|| Arc::new(RouteCounters::new(gateway.clone(), route.clone()))),
        )
    }

    /// Forgets a route that left the table.
    pub fn forget(&self, gateway: &GatewayKey, route: &RouteName) {
        lock(&self.routes).remove(&(gateway.clone(), route.clone()));
    }

    /// Sums up what `workers` counted.
    pub fn sum<'a>(workers: impl Iterator<Item = &'a WorkerCounters>) -> Stats {
        let mut stats = Stats::default();
        let mut routes = BTreeMap::new();
        let mut unrouted = BTreeMap::new();
        let mut refused = [0; Refusal::ALL.len()];
        for worker in workers {
            stats.accepted += worker.accepted.load(Relaxed);
            stats.connections += worker.connections.load(Relaxed);
            for (sum, count) in refused.iter_mut().zip(&worker.refused) {
                *sum += count.load(Relaxed);
            }
            for (key, count) in lock(&worker.unrouted).iter() {
                *unrouted.entry(key.clone()).or_default() += count;
            }
            for (key, counters) in lock(&worker.routes).iter() {
                counters.add_to(routes.entry(key.clone()).or_insert_with(|| RouteSum::new(counters)));
            }
        }
        stats.refused = Refusal::ALL.iter().map(|refusal| refusal.label()).zip(refused).collect();
        stats.unrouted = unrouted
            .into_iter()
            .map(|((gateway, failure), count)| of_unrouted(gateway, failure, count))
            .collect();
        stats.routes = routes.into_values().map(RouteSum::finish).collect();
        stats
    }
}

fn of_unrouted(gateway: Option<GatewayKey>, failure: Failure, count: u64) -> UnroutedStats {
    UnroutedStats { gateway, reason: failure.label(), status: failure.status().as_u16(), count }
}

/// What one worker counts for a route.
#[derive(Debug)]
pub(in crate::proxy) struct RouteCounters {
    pub gateway: GatewayKey,
    pub route: RouteName,
    responses: [AtomicU64; 5],
    failures: [AtomicU64; Failure::ALL.len()],
    buckets: [AtomicU64; LATENCY_BOUNDS.len() + 1],
    sum_us: AtomicU64,
    endpoints: Mutex<HashMap<SocketAddr, Arc<EndpointCounters>>>,
}

impl RouteCounters {
    fn new(gateway: GatewayKey, route: RouteName) -> Self {
        Self {
            gateway,
            route,
            responses: Default::default(),
            failures: std::array::from_fn(|_| AtomicU64::new(0)),
            buckets: Default::default(),
            sum_us: AtomicU64::new(0),
            endpoints: Mutex::default(),
        }
    }

    /// Counts an answer with `status`, `took` after the request's head.
    pub fn count(&self, status: StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.responses[class].fetch_add(1, Relaxed);
        let bucket = LATENCY_BOUNDS.partition_point(|bound| *bound < took);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum_us.fetch_add(took.as_micros() as u64, Relaxed);
    }

    /// Counts that the route failed a request; [`Self::count`] counts its answer.
    pub fn count_failure(&self, failure: Failure) {
        self.failures[failure as usize].fetch_add(1, Relaxed);
    }

    /// The counters of an endpoint, made where there are none.
    pub fn endpoint(&self, address: SocketAddr) -> Arc<EndpointCounters> {
        Arc::clone(lock(&self.endpoints).entry(address).or_default())
    }

    /// Forgets an endpoint that left the route.
    pub fn forget(&self, address: SocketAddr) {
        lock(&self.endpoints).remove(&address);
    }

    fn add_to(&self, sum: &mut RouteSum) {
        for (sum, count) in sum.stats.responses.iter_mut().zip(&self.responses) {
            *sum += count.load(Relaxed);
        }
        for (sum, count) in sum.failures.iter_mut().zip(&self.failures) {
            *sum += count.load(Relaxed);
        }
        for (sum, count) in sum.stats.latency.buckets.iter_mut().zip(&self.buckets) {
            *sum += count.load(Relaxed);
        }
        sum.stats.latency.sum += Duration::from_micros(self.sum_us.load(Relaxed));
        for (address, counters) in lock(&self.endpoints).iter() {
            let endpoint = sum.endpoints.entry(*address).or_insert(EndpointStats {
                address: *address,
                requests: 0,
                connect_failures: 0,
                in_flight: 0,
            });
            endpoint.requests += counters.requests.load(Relaxed);
            endpoint.connect_failures += counters.connect_failures.load(Relaxed);
            endpoint.in_flight += counters.in_flight.load(Relaxed);
        }
    }
}

/// What one worker counts for an endpoint of a route.
#[derive(Debug, Default)]
pub(in crate::proxy) struct EndpointCounters {
    pub requests: AtomicU64,
    pub connect_failures: AtomicU64,
    pub in_flight: AtomicU64,
}

/// The sum over workers of a route's counters.
struct RouteSum {
    stats: RouteStats,
    failures: [u64; Failure::ALL.len()],
    endpoints: BTreeMap<SocketAddr, EndpointStats>,
}

impl RouteSum {
    fn new(of: &RouteCounters) -> Self {
        let stats = RouteStats {
            gateway: of.gateway.clone(),
            route: of.route.clone(),
            responses: [0; 5],
            failures: Vec::new(),
            latency: Latency::default(),
            endpoints: Vec::new(),
        };
        Self { stats, failures: [0; Failure::ALL.len()], endpoints: BTreeMap::new() }
    }

    fn finish(self) -> RouteStats {
        let failures = Failure::ALL.iter().map(|failure| failure.label()).zip(self.failures);
        RouteStats {
            failures: failures.filter(|(_, count)| *count > 0).collect(),
            endpoints: self.endpoints.into_values().collect(),
            ..self.stats
        }
    }
}

/// A counter is valid whatever its writer was doing when it panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
