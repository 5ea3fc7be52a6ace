//! Names of gateways, routes and endpoints: the identities that every stage of the configuration uses.

use std::{fmt, net::SocketAddr};

use serde::{Deserialize, Serialize};

/// A gateway: namespace and name. Displays as `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GatewayKey {
    /// Namespace; standalone: `default` or what `-n` says.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl fmt::Display for GatewayKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A route's name as users see it: `(2.0.1)`, `[host:port]`, or a plain name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RouteName(pub String);

impl fmt::Display for RouteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An endpoint: one address and port of a route of a gateway. In kernel maps it is a *backend* with an id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointKey {
    /// The gateway.
    pub gateway: GatewayKey,
    /// The route.
    pub route: RouteName,
    /// Where it listens.
    pub address: SocketAddr,
}

/// Transport protocol of a frontend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP, IP protocol 6.
    Tcp,
    /// UDP, IP protocol 17.
    Udp,
}
