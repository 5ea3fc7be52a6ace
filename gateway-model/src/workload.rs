//! Workloads: what selectors find. Standalone they come from files, in Kubernetes from Pods.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

mod labels;
mod read;

pub use labels::Labels;
pub use read::{Parsed, parse};

/// Something that runs (or is meant to run) and may be an endpoint of routes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// Namespace.
    pub namespace: String,
    /// `pod`, `service` or `deployment`, lower case.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: Labels,
    /// Images of its containers.
    pub images: Vec<String>,
    /// Addresses; none for one that is declared and does not run.
    pub addresses: Vec<IpAddr>,
    /// Ports, in the order declared.
    pub ports: Vec<WorkloadPort>,
    /// Whether it takes new connections.
    pub ready: bool,
    /// When it was made, seconds since 1970; `None`: when it was first seen.
    pub created: Option<u64>,
    /// The node that it runs on, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

/// A port of a workload.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WorkloadPort {
    /// Name; empty where it has none.
    pub name: String,
    /// Number.
    pub port: u16,
}

impl Workload {
    /// `namespace/kind/name`: what first-seen times are kept by.
    pub fn identity(&self) -> String {
        format!("{}/{}/{}", self.namespace, self.kind, self.name)
    }
}
