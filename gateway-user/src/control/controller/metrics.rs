//! What the controller counts.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicI64},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

/// Counters; clones count together.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    is_ready: Gauge<i64, AtomicI64>,
    is_leader: Gauge<i64, AtomicI64>,
    gateways: Gauge<i64, AtomicI64>,
    pods: Gauge<i64, AtomicI64>,
    writes: Family<Write, Counter>,
    watch_errors: Family<Watch, Counter>,
    settling: Histogram,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Write {
    object: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Watch {
    kind: &'static str,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let bounds = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
        let mut registry = Registry::with_prefix("weir_controller");
        let is_ready = Gauge::default();
        registry.register("ready", "Whether all objects are known", is_ready.clone());
        let is_leader = Gauge::default();
        registry.register("leader", "Whether it is this one that writes", is_leader.clone());
        let gateways = Gauge::default();
        registry.register("gateways", "Gateways that are declared", gateways.clone());
        let pods = Gauge::default();
        registry.register("pods", "Pods that are known", pods.clone());
        let writes = Family::default();
        registry.register("writes", "Writes to the API server", writes.clone());
        let watch_errors = Family::default();
        registry.register("watch_errors", "Watches that broke and were begun again", watch_errors.clone());
        let settling = Histogram::new(bounds);
        let help = "Time from an event of the API server to the last write that it brings about";
        registry.register_with_unit("settling", help, Unit::Seconds, settling.clone());
        let inner = Inner { registry, is_ready, is_leader, gateways, pods, writes, watch_errors, settling };
        Self(Arc::new(inner))
    }
}

impl Metrics {
    /// All of them, as `OpenMetrics` text.
    ///
    /// # Panics
    /// Never: writing to a text does not fail.
    pub fn text(&self) -> String {
        let mut shown = String::new();
        text::encode(&mut shown, &self.0.registry).expect("writing to a String does not fail");
        shown
    }

    /// Whether all objects are known.
    pub fn is_ready(&self) -> bool {
        self.0.is_ready.get() == 1
    }

    pub(super) fn set_ready(&self, is_ready: bool) {
        self.0.is_ready.set(i64::from(is_ready));
    }

    pub(super) fn set_leader(&self, is_leader: bool) {
        self.0.is_leader.set(i64::from(is_leader));
    }

    pub(super) fn set_known(&self, gateways: usize, pods: usize) {
        self.0.gateways.set(gateways.try_into().unwrap_or(i64::MAX));
        self.0.pods.set(pods.try_into().unwrap_or(i64::MAX));
    }

    pub(super) fn count_write(&self, object: &'static str, result: &'static str) {
        self.0.writes.get_or_create(&Write { object, result }).inc();
    }

    pub(super) fn count_watch_error(&self, kind: &'static str) {
        self.0.watch_errors.get_or_create(&Watch { kind }).inc();
    }

    pub(super) fn note_settled(&self, took: Duration) {
        self.0.settling.observe(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_told() {
        let metrics = Metrics::default();
        metrics.count_write("slice", "done");
        metrics.set_leader(true);
        let text = metrics.text();
        assert!(text.contains("weir_controller_leader 1"), "{text}");
        assert!(text.contains(r#"weir_controller_writes_total{object="slice",result="done"} 1"#), "{text}");
    }
}
