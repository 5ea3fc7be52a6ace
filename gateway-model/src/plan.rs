//! What is to be in force: [`l4`] for the kernel, [`l7`] for the proxy. A pure function of what was resolved.

pub mod diff;
pub mod l4;
pub mod l7;
mod rings;
mod table;

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use self::{
    diff::Change,
    l4::{Access, Frontend, Frontends, L4Gateway, L4Plan, L4Route, LocalRings, Ring, Target},
    l7::{L7Condition, L7Gateway, L7Route, RouteTable},
    rings::Rings,
};
use crate::{
    key::{GatewayKey, Protocol},
    resolve::{Layer, Resolved, ResolvedGateway, ResolvedRoute},
    snapshot::Settings,
};

/// Both halves of what is to be in force.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// For the kernel.
    pub l4: L4Plan,
    /// For the proxy.
    pub l7: Arc<RouteTable>,
    parts: HashMap<GatewayKey, Part>,
    /// Gateways as the proxy needs them, with what they were made from.
    made: HashMap<GatewayKey, (Arc<ResolvedGateway>, Arc<L7Gateway>)>,
    nobody: Option<Ring>,
}

/// What a gateway's part of the plan was made from.
#[derive(Clone, Debug)]
struct Part {
    gateway: Arc<ResolvedGateway>,
    rings: Rings,
    /// Its entry in the proxy's table.
    entry: Option<Arc<L7Gateway>>,
}

/// What has changed: gateways as they are now, or that they are gone.
pub(crate) type Touched = BTreeMap<GatewayKey, Option<Arc<ResolvedGateway>>>;

/// Where gateways answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answering<'a> {
    /// Each its port on all of these.
    Ports(&'a [IpAddr]),
    /// Where it is given.
    Given(&'a BTreeMap<GatewayKey, Frontends>),
}

impl<'a> Answering<'a> {
    /// As the settings have it.
    pub(crate) fn new(
        addresses: &'a [IpAddr],
        given: &'a BTreeMap<GatewayKey, Frontends>,
        settings: Settings,
    ) -> Self {
        if settings.given_frontends { Self::Given(given) } else { Self::Ports(addresses) }
    }

    /// The frontends of a gateway with these ports.
    fn of(self, key: &GatewayKey, ports: &[u16], protocol: Protocol) -> Frontends {
        match self {
            Self::Given(given) => given.get(key).cloned().unwrap_or_default(),
            Self::Ports(addresses) => {
                let pairs =
                    addresses.iter().flat_map(|address| ports.iter().map(move |port| (address, port)));
                let frontend = |(address, port): (&IpAddr, &u16)| {
                    let frontend =
                        Frontend { address: SocketAddr::new(address.to_canonical(), *port), protocol };
                    (frontend, Access::default())
                };
                pairs.map(frontend).collect()
            }
        }
    }
}

/// Makes the plan; what has not changed since `previous` is shared with it.
pub fn plan(resolved: &Resolved, previous: Option<&Plan>) -> Plan {
    let mut plan = previous.cloned().unwrap_or_default();
    let mut touched: Touched = plan.parts.keys().map(|key| (key.clone(), None)).collect();
    touched.extend(resolved.gateways.iter().map(|gateway| (gateway.key.clone(), Some(gateway.clone()))));
    let answering = Answering::new(&resolved.addresses, &resolved.frontends, resolved.settings);
    plan.update(&touched, answering, resolved.settings);
    plan
}

impl Plan {
    /// Makes the parts of some gateways anew: those that answer elsewhere than the last time are to be among them,
    /// and all when `settings` are others.
    pub(crate) fn update(
        &mut self,
        touched: &Touched,
        answering: Answering<'_>,
        settings: Settings,
    ) -> Vec<Change> {
        let mut before: BTreeMap<GatewayKey, Option<Arc<L4Gateway>>> = BTreeMap::new();
        let mut stale: Vec<Part> = Vec::new();
        let mut fresh: Vec<GatewayKey> = Vec::new();
        for (key, gateway) in touched {
            let old = self.l4.gateways.get(key).cloned();
            let part = self.parts.remove(key);
            if let Some(gateway) = gateway {
                let entry = table::serves(gateway).then(|| self.make(gateway));
                let rings = self.set_l4(gateway, part.as_ref(), answering, settings);
                self.parts.insert(key.clone(), Part { gateway: gateway.clone(), rings, entry });
                fresh.push(key.clone());
            } else {
                self.l4.gateways.remove(key);
                self.made.remove(key);
            }
            stale.extend(part);
            before.insert(key.clone(), old);
        }
        self.set_table(&stale, &fresh, &before);
        before.insert(GatewayKey::shared(), self.set_shared(answering, settings));
        let pairs = before.iter().map(|(key, old)| (key, old.as_ref(), self.l4.gateways.get(key)));
        diff::diff_pairs(&pairs.collect::<Vec<_>>())
    }

    /// Makes a gateway's part for the kernel.
    fn set_l4(
        &mut self,
        gateway: &Arc<ResolvedGateway>,
        part: Option<&Part>,
        answering: Answering<'_>,
        settings: Settings,
    ) -> Rings {
        let by_request = gateway.layer == Layer::Request;
        let frontends = answering.of(&gateway.key, &[gateway.port], gateway.kind.protocol());
        let wants_local = frontends.values().any(|access| access.local_only);
        let old = self.l4.gateways.get(&gateway.key);
        let known = part.zip(old).map(|(part, old)| (&part.rings, old));
        let made = if by_request { None } else { Some(rings::make(gateway, wants_local, settings, known)) };
        let nobody = self.nobody(settings.ring_size);
        let (inputs, [v4, v6], local) =
            made.unwrap_or_else(|| (Rings::default(), [nobody.clone(), nobody.clone()], None));
        // Families without endpoints are common: they share the ring of nobody.
        let [v4, v6] = [v4, v6].map(|ring| if ring.members.is_empty() { nobody.clone() } else { ring });
        let fresh = L4Gateway {
            frontends,
            target: if by_request { Target::Agent } else { Target::Ring },
            routes: gateway.routes.iter().map(|route| (route.name.clone(), plan_route(route))).collect(),
            ring4: v4,
            ring6: v6,
            local: local.map(|[v4, v6]| LocalRings { ring4: v4, ring6: v6 }),
        };
        set(&mut self.l4, &gateway.key, fresh);
        inputs
    }

    fn nobody(&mut self, size: u32) -> Ring {
        let known = self.nobody.take().filter(|ring| ring.slots.len() == size as usize);
        self.nobody.insert(known.unwrap_or_else(|| Ring::nobody(size))).clone()
    }

    /// A gateway as the proxy needs it; the same as before where it would come out equal.
    fn make(&mut self, gateway: &Arc<ResolvedGateway>) -> Arc<L7Gateway> {
        let known = self.made.get(&gateway.key);
        if let Some((_, made)) = known.filter(|(from, _)| Arc::ptr_eq(from, gateway)) {
            return made.clone();
        }
        let routes = gateway.routes.iter().map(|route| {
            let ready = route.endpoints.iter().filter(|one| one.ready && route.chained.is_none());
            L7Route {
                name: route.name.clone(),
                weight: route.lent,
                balance: route.balance,
                endpoints: ready.map(|one| one.address).collect(),
                chained: route.chained.as_ref().map(|inner| self.make(inner)),
            }
        });
        let routes = routes.collect();
        let conditions = gateway.order.iter().filter_map(|index| {
            let route = gateway.routes.get(*index)?;
            let condition = route.condition.clone()?;
            Some(L7Condition { route: *index, strength: route.strength, condition })
        });
        let fresh = L7Gateway::new(gateway.key.clone(), routes, conditions.collect());
        let known = self.made.get(&gateway.key).filter(|(_, made)| **made == fresh);
        let made = known.map_or_else(|| Arc::new(fresh), |(_, made)| made.clone());
        self.made.insert(gateway.key.clone(), (gateway.clone(), made.clone()));
        made
    }
}

/// Enters a gateway, unless it is there as it is.
fn set(plan: &mut L4Plan, key: &GatewayKey, fresh: L4Gateway) {
    if plan.gateways.get(key).is_none_or(|old| **old != fresh) {
        plan.gateways.insert(key.clone(), Arc::new(fresh));
    }
}

fn plan_route(route: &ResolvedRoute) -> L4Route {
    L4Route { endpoints: route.endpoints.iter().map(|endpoint| endpoint.address).collect() }
}

#[cfg(test)]
mod tests;
