//! The custom resources: `WeirGateway`, `WeirNode`, `WeirAddressPool`. Their definitions in deploy/crd are generated
//! from these types.

#[expect(clippy::duplicated_attributes, reason = "each column says its type")]
mod gateway;
#[expect(clippy::duplicated_attributes, reason = "each column says its type")]
mod node;
mod pool;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;

pub use gateway::{
    NodesStatus, RouteSpec, RouteState, RouteStatus, ServiceSpec, ServiceStatus, WeirGateway,
    WeirGatewaySpec, WeirGatewayStatus,
};
pub use node::{NodeError, WeirNode, WeirNodeSpec, WeirNodeStatus};
pub use pool::{WeirAddressPool, WeirAddressPoolSpec};

/// Group of all of them.
pub const GROUP: &str = "weir.dev";
/// Field manager of the leader.
pub const CONTROLLER: &str = "weir-controller";
/// Label of slices and Services: the name of their gateway's Service.
pub const GATEWAY_LABEL: &str = "weir.dev/gateway";
/// Label (a hash) and annotation (the name) of slices: their route.
pub const ROUTE_LABEL: &str = "weir.dev/route";
/// Label of Leases that say which node answers for an address of a pool; its value is [`ANNOUNCES`].
pub const ANNOUNCES_LABEL: &str = "weir.dev/announces";
/// Its value.
pub const ANNOUNCES: &str = "true";
/// What selects those Leases.
pub fn announcing() -> String {
    format!("{ANNOUNCES_LABEL}={ANNOUNCES}")
}
/// Annotation of those Leases: the address.
pub const ADDRESS_ANNOTATION: &str = "weir.dev/address";
/// Label of Services that kube-proxy and its like leave to whom it names.
pub const SERVICE_PROXY_LABEL: &str = "service.kubernetes.io/service-proxy-name";
/// Its value for Weir.
pub const SERVICE_PROXY: &str = "weir";

/// The definitions, as they are installed.
pub fn definitions() -> Vec<CustomResourceDefinition> {
    let mut definitions = vec![WeirGateway::crd(), WeirNode::crd(), WeirAddressPool::crd()];
    for definition in &mut definitions {
        let labels = definition.metadata.labels.get_or_insert_default();
        labels.insert("app.kubernetes.io/name".to_owned(), "weir".to_owned());
        labels.insert("app.kubernetes.io/part-of".to_owned(), "weir".to_owned());
    }
    definitions
}

#[cfg(test)]
mod tests;
