//! Plans for tests: one gateway on the node's addresses, its routes and their pods.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use gateway_model::{
    key::{GatewayKey, Protocol, RouteName},
    plan::l4::{Access, Frontend, L4Gateway, L4Plan, L4Route, LocalRings, Ring, Slots, Target},
};
use gateway_tests::{Lab, lab::Pod};

/// The gateway's port on the node.
pub const PORT: u16 = 40_001;
/// The pods' port.
pub const POD_PORT: u16 = 7_000;
/// Slots of each ring, where nothing else is said.
pub const SLOTS: usize = 4_096;

/// One gateway: `default/shop`.
#[derive(Clone, Debug)]
pub struct Shop {
    frontends: Vec<SocketAddr>,
    protocol: Protocol,
    /// Route, per cent, pods.
    routes: Vec<(String, usize, Vec<SocketAddr>)>,
    not_ready: Vec<SocketAddr>,
    target: Target,
    slots: usize,
    access: Access,
    /// Endpoints on this node, where frontends ask for them.
    local: Vec<SocketAddr>,
}

impl Shop {
    /// On the node's addresses of the first uplink.
    pub fn new(lab: &Lab, protocol: Protocol) -> Self {
        Self {
            frontends: vec![lab.node4(PORT), lab.node6(PORT)],
            protocol,
            routes: Vec::new(),
            not_ready: Vec::new(),
            target: Target::Ring,
            slots: SLOTS,
            access: Access::default(),
            local: Vec::new(),
        }
    }

    /// With a version, its share and its pods, both families.
    pub fn route(self, version: &str, percent: usize, pods: &[Pod]) -> Self {
        let both = |pod: &Pod| [SocketAddr::from((pod.v4, POD_PORT)), SocketAddr::from((pod.v6, POD_PORT))];
        self.route_to(version, percent, pods.iter().flat_map(both).collect())
    }

    /// With a version whose endpoints are these.
    pub fn route_to(mut self, version: &str, percent: usize, endpoints: Vec<SocketAddr>) -> Self {
        self.routes.push((format!("({version})"), percent, endpoints));
        self
    }

    /// On one more address.
    pub fn also_on(mut self, address: SocketAddr) -> Self {
        self.frontends.push(address);
        self
    }

    /// The same with other shares, in the order of the routes.
    pub fn weights(&self, percents: &[usize]) -> Self {
        let mut shop = self.clone();
        for (route, percent) in shop.routes.iter_mut().zip(percents) {
            route.1 = *percent;
        }
        shop
    }

    /// The same with this pod not ready.
    pub fn not_ready(&self, pod: &Pod) -> Self {
        let mut shop = self.clone();
        shop.not_ready.extend([SocketAddr::from((pod.v4, POD_PORT)), SocketAddr::from((pod.v6, POD_PORT))]);
        shop
    }

    /// The same without this pod.
    pub fn without(&self, pod: &Pod) -> Self {
        let mut shop = self.clone();
        for (_, _, endpoints) in &mut shop.routes {
            endpoints.retain(|endpoint| endpoint.ip() != pod.v4 && endpoint.ip() != pod.v6);
        }
        shop
    }

    /// The same with every new connection for the agent.
    pub fn with_condition(&self) -> Self {
        Self { target: Target::Agent, ..self.clone() }
    }

    /// The same for those that may come in.
    pub fn access(&self, access: Access) -> Self {
        Self { access, ..self.clone() }
    }

    /// The same for endpoints on this node only, which are these pods.
    pub fn local_only(&self, pods: &[Pod]) -> Self {
        let both = |pod: &Pod| [SocketAddr::from((pod.v4, POD_PORT)), SocketAddr::from((pod.v6, POD_PORT))];
        let access = Access { local_only: true, ..self.access.clone() };
        Self { access, local: pods.iter().flat_map(both).collect(), ..self.clone() }
    }

    /// The same with rings of so many slots.
    pub fn slots(&self, slots: usize) -> Self {
        Self { slots, ..self.clone() }
    }

    /// The plan.
    pub fn plan(&self) -> L4Plan {
        let frontend = |&address| Frontend { address, protocol: self.protocol };
        let routes = self.routes.iter().map(|(name, _, endpoints)| {
            (RouteName(name.clone()), L4Route { endpoints: endpoints.iter().copied().collect() })
        });
        let gateway = L4Gateway {
            frontends: self.frontends.iter().map(frontend).map(|at| (at, self.access.clone())).collect(),
            target: self.target,
            routes: routes.collect::<BTreeMap<_, _>>(),
            ring4: self.ring(SocketAddr::is_ipv4),
            ring6: self.ring(SocketAddr::is_ipv6),
            local: self.access.local_only.then(|| LocalRings {
                ring4: self.ring(|endpoint| endpoint.is_ipv4() && self.local.contains(endpoint)),
                ring6: self.ring(|endpoint| endpoint.is_ipv6() && self.local.contains(endpoint)),
            }),
        };
        L4Plan { gateways: BTreeMap::from([(key(), Arc::new(gateway))]) }
    }

    /// Route after route in as many slots as its share asks for; the flow hash spreads connections over them.
    fn ring(&self, family: impl Fn(&SocketAddr) -> bool) -> Ring {
        let (mut members, mut slots) = (Vec::new(), Vec::new());
        let total: usize = self.routes.iter().map(|(_, percent, _)| percent).sum();
        let mut share = 0;
        for (name, percent, endpoints) in &self.routes {
            let usable = |endpoint: &&SocketAddr| family(endpoint) && !self.not_ready.contains(endpoint);
            let usable: Vec<_> = endpoints.iter().filter(usable).copied().collect();
            let first = members.len();
            members.extend(usable.iter().map(|&endpoint| (RouteName(name.clone()), endpoint)));
            share += percent;
            let end = (share * self.slots).checked_div(total).unwrap_or(0);
            while slots.len() < end {
                let member = if usable.is_empty() { None } else { Some(first + slots.len() % usable.len()) };
                slots.push(member.map_or(Slots::NOBODY, |member| member as u16));
            }
        }
        slots.resize(self.slots, Slots::NOBODY);
        Ring { members: members.into(), slots: slots.into() }
    }
}

/// The gateway's name.
pub fn key() -> GatewayKey {
    GatewayKey { namespace: "default".into(), name: "shop".into() }
}
