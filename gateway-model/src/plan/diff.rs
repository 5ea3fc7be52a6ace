//! What changes from one plan to the next, as data: for logs, and for `weir plan`.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
};

use super::l4::{Access, Frontend, L4Gateway, L4Plan, L4Route, LocalRings, Ring, Target};
use crate::key::{GatewayKey, RouteName};

/// One change of the kernel's half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A gateway that was not there, whole.
    AddGateway(GatewayKey, Arc<L4Gateway>),
    /// A gateway that is no more.
    RemoveGateway(GatewayKey),
    /// A gateway answers on one address more, or otherwise than before.
    AddFrontend(GatewayKey, Frontend, Access),
    /// A gateway answers on one address less.
    RemoveFrontend(GatewayKey, Frontend),
    /// New connections go elsewhere.
    SetTarget(GatewayKey, Target),
    /// A route that was not there, without endpoints.
    AddRoute(GatewayKey, RouteName),
    /// A route that is no more.
    RemoveRoute(GatewayKey, RouteName),
    /// An endpoint that was not there.
    AddEndpoint(GatewayKey, RouteName, SocketAddr),
    /// An endpoint that is dead.
    RemoveEndpoint(GatewayKey, RouteName, SocketAddr),
    /// Another ring.
    SetRing {
        /// Of which gateway.
        gateway: GatewayKey,
        /// For IPv6 frontends, else IPv4.
        v6: bool,
        /// The new ring.
        ring: Ring,
        /// How many slots lead to another endpoint than before.
        moved: usize,
    },
    /// Other rings of the endpoints on this node.
    SetLocalRings(GatewayKey, Option<LocalRings>),
}

impl Change {
    /// The gateway that changes.
    pub fn gateway(&self) -> &GatewayKey {
        match self {
            Self::AddGateway(gateway, _)
            | Self::RemoveGateway(gateway)
            | Self::AddFrontend(gateway, ..)
            | Self::RemoveFrontend(gateway, _)
            | Self::SetTarget(gateway, _)
            | Self::AddRoute(gateway, _)
            | Self::RemoveRoute(gateway, _)
            | Self::AddEndpoint(gateway, ..)
            | Self::RemoveEndpoint(gateway, ..)
            | Self::SetRing { gateway, .. }
            | Self::SetLocalRings(gateway, _) => gateway,
        }
    }
}

/// A gateway before and after.
type Pair<'a> = (&'a GatewayKey, Option<&'a Arc<L4Gateway>>, Option<&'a Arc<L4Gateway>>);

/// What turns `old` into `new`. Empty where nothing changes. What both share is not looked into.
pub fn diff(old: &L4Plan, new: &L4Plan) -> Vec<Change> {
    let mut pairs: BTreeMap<&GatewayKey, Pair<'_>> =
        old.gateways.iter().map(|(key, gateway)| (key, (key, Some(gateway), None))).collect();
    for (key, gateway) in &new.gateways {
        pairs.entry(key).or_insert((key, None, None)).2 = Some(gateway);
    }
    diff_pairs(&pairs.into_values().collect::<Vec<_>>())
}

/// What changes of some gateways, which are in the order of their names.
pub(super) fn diff_pairs(pairs: &[Pair<'_>]) -> Vec<Change> {
    let gone = pairs.iter().filter(|(_, old, new)| old.is_some() && new.is_none());
    let mut changes: Vec<Change> = gone.map(|(key, ..)| Change::RemoveGateway((*key).clone())).collect();
    for (key, old, new) in pairs {
        match (old, new) {
            (Some(old), Some(new)) if Arc::ptr_eq(old, new) => {}
            (Some(old), Some(new)) => diff_gateway(key, old, new, &mut changes),
            (None, Some(new)) => changes.push(Change::AddGateway((*key).clone(), (*new).clone())),
            (_, None) => {}
        }
    }
    changes
}

fn diff_gateway(key: &GatewayKey, old: &L4Gateway, new: &L4Gateway, changes: &mut Vec<Change>) {
    let removed = old.frontends.keys().filter(|frontend| !new.frontends.contains_key(frontend));
    changes.extend(removed.map(|frontend| Change::RemoveFrontend(key.clone(), *frontend)));
    let added = new.frontends.iter().filter(|(frontend, access)| old.frontends.get(frontend) != Some(access));
    changes
        .extend(added.map(|(frontend, access)| Change::AddFrontend(key.clone(), *frontend, access.clone())));
    if old.target != new.target {
        changes.push(Change::SetTarget(key.clone(), new.target));
    }
    for name in old.routes.keys().filter(|name| !new.routes.contains_key(name)) {
        changes.push(Change::RemoveRoute(key.clone(), name.clone()));
    }
    let none = L4Route::default();
    for (name, route) in &new.routes {
        let before = old.routes.get(name).unwrap_or_else(|| {
            changes.push(Change::AddRoute(key.clone(), name.clone()));
            &none
        });
        diff_endpoints(key, name, &before.endpoints, &route.endpoints, changes);
    }
    for (v6, before, after) in [(false, &old.ring4, &new.ring4), (true, &old.ring6, &new.ring6)] {
        if before != after {
            let moved = count_moved(before, after);
            changes.push(Change::SetRing { gateway: key.clone(), v6, ring: after.clone(), moved });
        }
    }
    if old.local != new.local {
        changes.push(Change::SetLocalRings(key.clone(), new.local.clone()));
    }
}

fn diff_endpoints(
    key: &GatewayKey,
    name: &RouteName,
    old: &BTreeSet<SocketAddr>,
    new: &BTreeSet<SocketAddr>,
    changes: &mut Vec<Change>,
) {
    let removed = old.difference(new);
    changes.extend(removed.map(|address| Change::RemoveEndpoint(key.clone(), name.clone(), *address)));
    let added = new.difference(old);
    changes.extend(added.map(|address| Change::AddEndpoint(key.clone(), name.clone(), *address)));
}

/// How many slots lead to another endpoint; all of them where the sizes differ.
pub fn count_moved(old: &Ring, new: &Ring) -> usize {
    if old.slots.len() != new.slots.len() {
        return new.slots.len();
    }
    (0..new.slots.len()).filter(|slot| old.endpoint(*slot) != new.endpoint(*slot)).count()
}

/// Applies changes, in their order, to the plan that they were made for.
pub fn apply(plan: &mut L4Plan, changes: Vec<Change>) {
    for change in changes {
        let mut at = |key: &GatewayKey, edit: &mut dyn FnMut(&mut L4Gateway)| {
            if let Some(gateway) = plan.gateways.get_mut(key) {
                edit(Arc::make_mut(gateway));
            }
        };
        match change {
            Change::AddGateway(key, gateway) => {
                plan.gateways.insert(key, gateway);
            }
            Change::RemoveGateway(key) => {
                plan.gateways.remove(&key);
            }
            Change::AddFrontend(key, frontend, access) => at(&key, &mut |gateway| {
                gateway.frontends.insert(frontend, access.clone());
            }),
            Change::RemoveFrontend(key, frontend) => at(&key, &mut |gateway| {
                gateway.frontends.remove(&frontend);
            }),
            Change::SetTarget(key, target) => at(&key, &mut |gateway| gateway.target = target),
            Change::AddRoute(key, name) => at(&key, &mut |gateway| {
                gateway.routes.insert(name.clone(), L4Route::default());
            }),
            Change::RemoveRoute(key, name) => at(&key, &mut |gateway| {
                gateway.routes.remove(&name);
            }),
            Change::AddEndpoint(key, name, address) => at(&key, &mut |gateway| {
                gateway.routes.entry(name.clone()).or_default().endpoints.insert(address);
            }),
            Change::RemoveEndpoint(key, name, address) => at(&key, &mut |gateway| {
                gateway.routes.entry(name.clone()).or_default().endpoints.remove(&address);
            }),
            Change::SetRing { gateway: key, v6, ring, .. } => at(&key, &mut |gateway| {
                *(if v6 { &mut gateway.ring6 } else { &mut gateway.ring4 }) = ring.clone();
            }),
            Change::SetLocalRings(key, rings) => at(&key, &mut |gateway| gateway.local.clone_from(&rings)),
        }
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let of = |frontend: &Frontend| format!("{}/{}", frontend.address, frontend.protocol);
        match self {
            Self::AddGateway(key, _) => write!(f, "gateway {key} is new"),
            Self::RemoveGateway(key) => write!(f, "gateway {key} is gone"),
            Self::AddFrontend(key, frontend, _) => write!(f, "gateway {key} answers on {}", of(frontend)),
            Self::RemoveFrontend(key, frontend) => {
                write!(f, "gateway {key} answers no more on {}", of(frontend))
            }
            Self::SetTarget(key, Target::Ring) => write!(f, "gateway {key} is served in the kernel"),
            Self::SetTarget(key, Target::Agent) => write!(f, "gateway {key} is served by the proxy"),
            Self::AddRoute(key, name) => write!(f, "gateway {key}: route {name} is new"),
            Self::RemoveRoute(key, name) => write!(f, "gateway {key}: route {name} is gone"),
            Self::AddEndpoint(key, name, address) => {
                write!(f, "gateway {key}: route {name} has a new endpoint {address}")
            }
            Self::RemoveEndpoint(key, name, address) => {
                write!(f, "gateway {key}: endpoint {address} of route {name} is gone")
            }
            Self::SetLocalRings(key, Some(_)) => {
                write!(f, "gateway {key}: frontends for endpoints of this node alone have other endpoints")
            }
            Self::SetLocalRings(key, None) => {
                write!(f, "gateway {key} has no frontend for endpoints of this node alone")
            }
            Self::SetRing { gateway, v6, ring, moved } => {
                let family = if *v6 { "IPv6" } else { "IPv4" };
                let shares: Vec<String> =
                    ring.shares().into_iter().map(|(name, slots)| format!("{name} {slots}")).collect();
                write!(
                    f,
                    "gateway {gateway}: {moved} of {} {family} slots move; now: {}",
                    ring.slots.len(),
                    if shares.is_empty() { "nobody".to_owned() } else { shares.join(", ") }
                )
            }
        }
    }
}
