//! Leases of addresses: which node answers on its network for an address of a pool.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::ResourceExt as _;

use super::version;
use crate::control::{
    agent::facts::{Fact, Key},
    resource::{ADDRESS_ANNOTATION, ANNOUNCES, ANNOUNCES_LABEL},
};

/// How long such a Lease lasts without being renewed.
pub const LASTS: Duration = Duration::from_secs(15);

/// The Lease of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseFacts {
    /// Namespace and name.
    pub key: Key,
    /// What tells it from another of its name.
    pub uid: String,
    /// Its version.
    pub version: u64,
    /// The address.
    pub address: IpAddr,
    /// The node that answers for it; `None` where it is free.
    pub holder: Option<String>,
    /// When the holder says that it renewed it: only ever compared for being the same.
    pub renewed: Option<MicroTime>,
    /// How often it went to another holder.
    pub transitions: i32,
    /// How long it lasts without being renewed.
    pub lasts: Duration,
}

impl Fact for LeaseFacts {
    fn key(&self) -> Key {
        self.key.clone()
    }
}

/// The name of an address's Lease: an address has only one, whoever makes it.
pub fn lease_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("weir-l2-{address}").replace('.', "-"),
        IpAddr::V6(address) => {
            let groups = address.segments().map(|group| format!("{group:04x}"));
            format!("weir-l2-{}", groups.join("-"))
        }
    }
}

/// The Lease of an address, held by nobody.
pub fn free_lease(address: IpAddr) -> Lease {
    let pair = |name: &str, value: String| BTreeMap::from([(name.to_owned(), value)]);
    let mut labels = pair(ANNOUNCES_LABEL, ANNOUNCES.to_owned());
    labels.insert("app.kubernetes.io/managed-by".to_owned(), "weir".to_owned());
    Lease {
        metadata: ObjectMeta {
            name: Some(lease_name(address)),
            labels: Some(labels),
            annotations: Some(pair(ADDRESS_ANNOTATION, address.to_string())),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec::default()),
    }
}

/// Reads a Lease; `None` for one that is of no address.
#[expect(clippy::needless_pass_by_value, reason = "what arrives is not kept")]
pub fn lease(lease: Lease) -> Option<LeaseFacts> {
    let address = lease.annotations().get(ADDRESS_ANNOTATION)?.parse().ok()?;
    if lease.name_any() != lease_name(address) {
        return None;
    }
    let spec = lease.spec.clone().unwrap_or_default();
    let lasts = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    Some(LeaseFacts {
        key: (lease.namespace().unwrap_or_default(), lease.name_any()),
        uid: lease.uid().unwrap_or_default(),
        version: version(&lease.metadata),
        address,
        holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
        renewed: spec.renew_time,
        transitions: spec.lease_transitions.unwrap_or(0),
        lasts: lasts.map_or(LASTS, Duration::from_secs),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_address_has_one_name_and_it_is_one_that_objects_may_have() {
        let name = |address: &str| lease_name(address.parse().unwrap());
        assert_eq!(name("10.200.0.1"), "weir-l2-10-200-0-1");
        assert_eq!(name("fd00:200::A"), "weir-l2-fd00-0200-0000-0000-0000-0000-0000-000a");
    }

    #[test]
    fn a_lease_without_holder_is_free_and_one_of_another_name_is_no_address_s() {
        let read = |name: &str, holder: &str| {
            let object = json!({
                "metadata": { "name": name, "namespace": "weir-system", "resourceVersion": "7",
                              "annotations": { ADDRESS_ANNOTATION: "10.200.0.1" } },
                "spec": { "holderIdentity": holder, "leaseDurationSeconds": 20 },
            });
            lease(serde_json::from_value(object).unwrap())
        };
        let free = read("weir-l2-10-200-0-1", "").unwrap();
        assert_eq!((free.holder, free.version, free.lasts), (None, 7, Duration::from_secs(20)));
        assert_eq!(read("weir-l2-10-200-0-1", "n1").unwrap().holder.as_deref(), Some("n1"));
        assert_eq!(read("weir-l2-10-200-0-2", "n1"), None);
    }
}
