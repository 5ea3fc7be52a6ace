//! What the proxy is to do: which gateway a request belongs to, and its routes and conditions.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use crate::{
    key::{GatewayKey, RouteName},
    weight::Weight,
};

/// The proxy's table, swapped as a whole; a request takes it once.
#[derive(Clone, Debug, Default)]
pub struct RouteTable {
    /// Who answers on an address and port that the kernel hands to the agent.
    pub frontends: HashMap<SocketAddr, Entry>,
    /// Gateways by exact virtual host, lower case.
    pub hosts: HashMap<String, Arc<L7Gateway>>,
    /// Gateways by `*.example.com`, keyed by `example.com`, lower case; the longest match wins.
    pub wildcards: HashMap<String, Arc<L7Gateway>>,
}

/// Who answers on a frontend.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A shared port: the request's host decides; an unknown one is answered 404.
    Shared,
    /// A gateway's own port: it answers every host.
    Gateway(Arc<L7Gateway>),
}

/// A gateway as the proxy needs it.
#[derive(Debug)]
pub struct L7Gateway {
    /// Its name.
    pub key: GatewayKey,
    /// Its routes, in the order of their names; weights are those in force (lending applied) and add up to
    /// 100 % or to 0.
    pub routes: Vec<L7Route>,
    /// Conditions in the order in which they are tried.
    pub conditions: Vec<L7Condition>,
}

/// A route as the proxy needs it.
#[derive(Debug)]
pub struct L7Route {
    /// Its name.
    pub name: RouteName,
    /// The weight in force.
    pub weight: Weight,
    /// Ready endpoints; a route without any is never picked.
    pub endpoints: Arc<[SocketAddr]>,
}

/// A condition that captures requests for a route.
#[derive(Debug)]
pub struct L7Condition {
    /// Index into [`L7Gateway::routes`].
    pub route: usize,
    /// Share of the matching requests that it captures; the others take the weighted pick over all routes.
    pub strength: Weight,
}
