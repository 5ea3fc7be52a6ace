//! Pods: what may be an endpoint.

use k8s_openapi::api::core::v1::{Container, Pod};
use kube::ResourceExt as _;

use super::created;
use crate::control::agent::facts::{Fact, Key};
use gateway_model::workload::{Workload, WorkloadPort};

/// What is kept of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodFacts {
    /// As selectors see it.
    pub workload: Workload,
    /// What tells it from another of its name.
    pub uid: String,
    /// Whether it would answer, whether or not it is on its way out.
    pub is_serving: bool,
    /// Whether it is on its way out.
    pub is_terminating: bool,
    /// Whether it would be ready if its node were heard of: by all that its kubelet has said.
    pub is_unheard: bool,
}

impl Fact for PodFacts {
    fn key(&self) -> Key {
        (self.workload.namespace.clone(), self.workload.name.clone())
    }
}

/// Reads a pod; `None` for one that has ended.
pub fn pod(pod: &Pod) -> Option<PodFacts> {
    let status = pod.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref()).unwrap_or_default();
    if matches!(phase, "Succeeded" | "Failed") {
        return None;
    }
    let is_terminating = pod.metadata.deletion_timestamp.is_some();
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let says = |kind: &str| conditions.iter().any(|one| one.type_ == kind && one.status == "True");
    let is_serving = says("Ready");
    let is_unheard = !is_serving && !is_terminating && would_be_ready(pod);
    let addresses = status.and_then(|status| status.pod_ips.as_deref()).unwrap_or_default();
    let spec = pod.spec.as_ref();
    let containers = spec.map_or(&[][..], |spec| &spec.containers);
    let workload = Workload {
        namespace: pod.namespace().unwrap_or_default(),
        kind: "pod".to_owned(),
        name: pod.name_any(),
        labels: pod.labels().clone().into(),
        images: images(containers),
        addresses: addresses.iter().filter_map(|one| one.ip.parse().ok()).collect(),
        ports: ports(containers),
        ready: is_serving && !is_terminating,
        created: Some(created(&pod.metadata)),
        node: spec.and_then(|spec| spec.node_name.clone()),
    };
    Some(PodFacts { workload, uid: pod.uid().unwrap_or_default(), is_serving, is_terminating, is_unheard })
}

/// What a kubelet makes readiness of: containers and gates. Where nothing is heard of a node, others take readiness away
/// from its pods, and leave these.
pub fn would_be_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let says = |kind: &str| conditions.iter().any(|one| one.type_ == kind && one.status == "True");
    let mut gates = pod.spec.iter().flat_map(|spec| spec.readiness_gates.iter().flatten());
    says("ContainersReady") && gates.all(|gate| says(&gate.condition_type))
}

/// Images of the containers that run beside one another; those that only prepare are not what a pod is.
pub(super) fn images(containers: &[Container]) -> Vec<String> {
    containers.iter().filter_map(|container| container.image.clone()).collect()
}

/// Ports of those containers, in the order written.
pub(super) fn ports(containers: &[Container]) -> Vec<WorkloadPort> {
    let all = containers.iter().flat_map(|container| container.ports.iter().flatten());
    let usable = all.filter(|port| matches!(port.protocol.as_deref(), None | Some("TCP" | "UDP")));
    usable
        .filter_map(|port| {
            let number = u16::try_from(port.container_port).ok()?;
            Some(WorkloadPort { name: port.name.clone().unwrap_or_default(), port: number })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(status: &serde_json::Value, deleted: bool) -> Option<PodFacts> {
        let mut object = json!({
            "metadata": { "name": "foo-1", "namespace": "shop", "uid": "u", "labels": { "app": "foo" },
                          "creationTimestamp": "2026-01-01T00:00:00Z" },
            "spec": {
                "nodeName": "n1",
                "initContainers": [{ "name": "i", "image": "init", "ports": [{ "containerPort": 1 }] }],
                "containers": [
                    { "name": "a", "image": "foo:1", "ports": [{ "name": "http", "containerPort": 8080 },
                                                               { "containerPort": 9, "protocol": "SCTP" }] },
                    { "name": "b", "image": "side" }
                ]
            },
            "status": status
        });
        if deleted {
            object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:01Z");
        }
        pod(&serde_json::from_value(object).unwrap())
    }

    fn running(ready: &str) -> serde_json::Value {
        json!({ "phase": "Running", "podIPs": [{ "ip": "10.0.0.1" }, { "ip": "fd00::1" }],
                "conditions": [{ "type": "Ready", "status": ready }] })
    }

    #[test]
    fn a_ready_pod_is_an_endpoint_in_both_families() {
        let facts = read(&running("True"), false).unwrap();
        assert_eq!(facts.workload.addresses.len(), 2);
        assert_eq!(facts.workload.ports, [WorkloadPort { name: "http".into(), port: 8080 }]);
        assert_eq!(facts.workload.images, ["foo:1", "side"]);
        assert_eq!(facts.workload.node.as_deref(), Some("n1"));
        assert!(facts.workload.ready && facts.is_serving && !facts.is_terminating);
    }

    #[test]
    fn a_pod_on_its_way_out_serves_on_and_takes_nothing_new() {
        let facts = read(&running("True"), true).unwrap();
        assert!(!facts.workload.ready && facts.is_serving && facts.is_terminating);
    }

    #[test]
    fn a_pod_that_is_not_ready_or_has_no_address_is_no_place_to_go() {
        assert!(!read(&running("False"), false).unwrap().workload.ready);
        let pending = read(&json!({ "phase": "Pending" }), false).unwrap();
        assert!(!pending.workload.ready && pending.workload.addresses.is_empty());
    }

    #[test]
    fn a_pod_of_a_silent_node_is_told_from_one_that_is_not_ready() {
        let conditions = |containers: &str| {
            json!({ "phase": "Running", "conditions": [
                { "type": "Ready", "status": "False" }, { "type": "ContainersReady", "status": containers } ] })
        };
        let facts = read(&conditions("True"), false).unwrap();
        assert!(facts.is_unheard && !facts.is_serving && !facts.workload.ready);
        assert!(!read(&conditions("False"), false).unwrap().is_unheard);
        assert!(!read(&conditions("True"), true).unwrap().is_unheard, "on its way out");
    }

    #[test]
    fn a_pod_that_has_ended_is_none() {
        assert_eq!(read(&json!({ "phase": "Succeeded" }), false), None);
        assert_eq!(read(&json!({ "phase": "Failed" }), false), None);
    }
}
