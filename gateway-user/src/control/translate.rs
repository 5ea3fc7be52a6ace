//! From objects of Kubernetes to the model's terms: what is kept of each is little, and plain.

mod gateway;
mod lease;
mod owner;
mod pod;
mod seen;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

pub use gateway::{GatewayFacts, Spec, gateway};
pub use lease::{LASTS, LeaseFacts, free_lease, lease, lease_name};
pub use owner::{Owner, OwnerFacts, owner};
pub use pod::{PodFacts, pod, would_be_ready};
pub use seen::{
    AgentSeen, NodeSeen, PoolSeen, SHARED_SERVICE, ServiceSeen, SliceSeen, agent, load_balancer_addresses,
    node, pool, service, slice, slice_content,
};

/// When an object was made, seconds since 1970; 0 where it does not say.
pub(crate) fn created(metadata: &ObjectMeta) -> u64 {
    metadata.creation_timestamp.as_ref().map_or(0, seconds)
}

/// Seconds since 1970.
pub(crate) fn seconds(time: &Time) -> u64 {
    u64::try_from(time.0.as_second()).unwrap_or(0)
}

/// The version of an object, which has been a number since Kubernetes 1.35; 0 where it is none.
pub(crate) fn version(metadata: &ObjectMeta) -> u64 {
    metadata.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or(0)
}
