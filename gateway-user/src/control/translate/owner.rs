//! What makes pods: as long as it exists, so does the version that its template says, at any number of replicas.

use gateway_model::workload::Workload;
use k8s_openapi::{
    api::{
        apps::v1::{Deployment, ReplicaSet, StatefulSet},
        core::v1::PodTemplateSpec,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::{created, pod};
use crate::control::agent::facts::{Fact, Key};

/// Something that makes pods of a template.
pub trait Owner {
    /// Its kind, lower case, as selectors know it.
    const KIND: &'static str;

    /// The object's metadata.
    fn metadata(&self) -> &ObjectMeta;

    /// What its pods are made of; `None` where it stands for nothing of its own.
    fn template(&self) -> Option<&PodTemplateSpec>;
}

impl Owner for Deployment {
    const KIND: &'static str = "deployment";

    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn template(&self) -> Option<&PodTemplateSpec> {
        Some(&self.spec.template)
    }
}

impl Owner for StatefulSet {
    const KIND: &'static str = "statefulset";

    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn template(&self) -> Option<&PodTemplateSpec> {
        Some(&self.spec.template)
    }
}

impl Owner for ReplicaSet {
    const KIND: &'static str = "replicaset";

    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    /// A Deployment keeps `ReplicaSet`s of earlier templates for its history: they are no versions that exist.
    fn template(&self) -> Option<&PodTemplateSpec> {
        let owners = self.metadata.owner_references.iter().flatten();
        let is_history = owners.into_iter().any(|owner| owner.kind == "Deployment");
        self.spec.template.as_ref().filter(|_| !is_history)
    }
}

/// The workload that an owner is: without addresses, and so never an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerFacts(pub Workload);

impl Fact for OwnerFacts {
    fn key(&self) -> Key {
        (self.0.namespace.clone(), self.0.name.clone())
    }
}

/// Reads an owner; `None` for one that stands for nothing of its own.
pub fn owner<O: Owner>(object: &O) -> Option<OwnerFacts> {
    let metadata = object.metadata();
    let template = object.template()?;
    let containers = template.spec.as_ref().map_or(&[][..], |spec| &spec.containers);
    Some(OwnerFacts(Workload {
        namespace: metadata.namespace.clone().unwrap_or_default(),
        kind: O::KIND.to_owned(),
        name: metadata.name.clone().unwrap_or_default(),
        labels: template.metadata.as_ref().and_then(|meta| meta.labels.clone()).unwrap_or_default().into(),
        images: pod::images(containers),
        addresses: Vec::new(),
        ports: pod::ports(containers),
        ready: false,
        created: Some(created(metadata)),
        node: None,
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(owner: &str) -> serde_json::Value {
        json!({
            "metadata": { "name": "foo", "namespace": "shop", "ownerReferences":
                [{ "apiVersion": "apps/v1", "kind": owner, "name": "x", "uid": "u" }] },
            "spec": { "replicas": 0, "selector": {}, "template": {
                "metadata": { "labels": { "version": "1" } }, "spec": { "containers": [{ "name": "a" }] } } }
        })
    }

    #[test]
    fn a_deployment_without_replicas_is_a_workload_without_addresses() {
        let deployment: Deployment = serde_json::from_value(object("Thing")).unwrap();
        let OwnerFacts(workload) = owner(&deployment).unwrap();
        assert_eq!((workload.identity().as_str(), workload.addresses.len()), ("shop/deployment/foo", 0));
        assert_eq!(workload.labels["version"], "1");
    }

    #[test]
    fn a_replica_set_of_a_deployment_s_history_is_none() {
        let set = |owner: &str| serde_json::from_value::<ReplicaSet>(object(owner)).unwrap();
        assert_eq!(owner(&set("Deployment")), None);
        assert!(owner(&set("Rollout")).is_some());
    }
}
