//! Workloads, as the agent reads them from `--workloads`.

use std::net::IpAddr;

use serde_json::{Value, json};

/// One entry of the list.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: Vec<(String, String)>,
    /// Addresses.
    pub addresses: Vec<IpAddr>,
    /// Named ports.
    pub ports: Vec<(String, u16)>,
    /// Whether it takes new connections.
    pub ready: bool,
}

impl Workload {
    /// The entry as JSON.
    pub fn to_json(&self) -> Value {
        let labels: serde_json::Map<_, _> = self.labels.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
        let ports: Vec<_> =
            self.ports.iter().map(|(name, port)| json!({"name": name, "port": port})).collect();
        json!({
            "namespace": self.namespace, "kind": "pod", "name": self.name, "labels": labels,
            "addresses": self.addresses, "ports": ports, "ready": self.ready,
        })
    }

    /// A whole list, ready to be written to a file.
    pub fn list(workloads: &[Self]) -> String {
        let list: Vec<_> = workloads.iter().map(Self::to_json).collect();
        serde_json::to_string_pretty(&list).expect("JSON of strings and numbers")
    }
}
