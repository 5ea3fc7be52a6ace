//! The figures, as a table of Markdown that docs/benchmarks.md takes as it is.

use std::fmt;

use anyhow::Result;

use crate::{
    cluster::{Cluster, memory},
    measure::Times,
    scene::Scene,
};

/// All figures.
pub struct Summary {
    title: String,
    rows: Vec<[String; 5]>,
}

impl Summary {
    pub fn new(scene: &Scene) -> Self {
        let Scene { services, endpoints, .. } = scene;
        let title = format!("{services} services of {endpoints} endpoints, one node");
        Self { title, rows: Vec::new() }
    }

    /// Times of both.
    pub fn add(&mut self, what: &str, times: &Times) {
        self.row(what, "weir", &times.weir);
        if !times.kube_proxy.is_empty() {
            self.row(what, "kube-proxy", &times.kube_proxy);
        }
    }

    /// Times of Weir alone.
    pub fn single(&mut self, what: &str, times: &[f64]) {
        self.row(what, "weir", times);
    }

    /// What the processes hold in memory.
    pub fn memory(&mut self, when: &str, cluster: &Cluster) -> Result<()> {
        for (argument, name) in [("agent", "agent"), ("controller", "controller")] {
            for pid in cluster.processes("weir", argument)? {
                let of = |line: &str| {
                    memory(pid, line).map_or_else(|| "-".to_owned(), |kib| format!("{} MiB", kib / 1_024))
                };
                let shown = format!("{} (of its own: {})", of("VmRSS"), of("RssAnon"));
                self.rows.push([
                    format!("memory of the {name}, {when}"),
                    "weir".into(),
                    shown,
                    String::new(),
                    String::new(),
                ]);
            }
        }
        Ok(())
    }

    fn row(&mut self, what: &str, who: &str, times: &[f64]) {
        let mut sorted = times.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |per_cent: usize| -> String {
            let place = (sorted.len() * per_cent).div_ceil(100).clamp(1, sorted.len().max(1)) - 1;
            sorted.get(place).map_or_else(|| "-".to_owned(), |time| format!("{time:.2} ms"))
        };
        self.rows.push([format!("{what} (n = {})", sorted.len()), who.into(), at(50), at(99), at(100)]);
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n\n| what | who | p50 | p99 | worst |\n|---|---|---|---|---|", self.title)?;
        for row in &self.rows {
            writeln!(f, "| {} |", row.join(" | "))?;
        }
        Ok(())
    }
}
