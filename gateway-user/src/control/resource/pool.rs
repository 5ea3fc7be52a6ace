//! `WeirAddressPool`: addresses for Services of type `LoadBalancer` where nobody else gives any.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// Addresses that gateways' Services of type `LoadBalancer` may get.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "weir.dev",
    version = "v1",
    kind = "WeirAddressPool",
    plural = "weiraddresspools",
    shortname = "wpool",
    category = "weir",
    derive = "PartialEq",
    derive = "Default",
    doc = "Addresses that Weir gives to Services of type LoadBalancer.",
    printcolumn(name = "Addresses", type_ = "string", json_path = ".spec.addresses"),
    printcolumn(name = "Auto", type_ = "boolean", json_path = ".spec.autoAssign"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct WeirAddressPoolSpec {
    /// Networks (`10.200.0.0/24`), ranges (`10.200.0.10-10.200.0.20`) or addresses, of both families.
    #[schemars(length(min = 1, max = 256), inner(length(max = 128)))]
    #[x_kube(validation = Rule::new("self.all(one, isIP(one) || isCIDR(one) || (one.split('-').size() == 2 && one.split('-').all(end, isIP(end))))")
        .message("expected networks like 10.200.0.0/24, ranges like 10.200.0.10-10.200.0.20, or addresses"))]
    pub addresses: Vec<String>,
    /// Whether Services without `loadBalancerClass` get addresses of it as well.
    #[serde(default = "yes")]
    #[schemars(default = "yes")]
    pub auto_assign: bool,
}

fn yes() -> bool {
    true
}
