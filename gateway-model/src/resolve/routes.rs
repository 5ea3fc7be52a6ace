//! One gateway, resolved.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::Arc,
};

use super::{
    Endpoint, Layer, Note, Outcome, ResolvedGateway, ResolvedRoute, World,
    chain::{Chains, suggest},
    claims::Claim,
    endpoints::{self, Found},
    life::Life,
    warn,
};
use crate::{
    discovery::{KeptGateway, KeptRoute, Origin, Override},
    finding::Finding,
    gateway::{Balance, Gateway, Level, PortType, Route},
    key::RouteName,
    weight::{self, Weight},
};

/// Resolves a gateway that has its port; brings what is kept of it up to date.
pub(crate) fn resolve(
    gateway: &Gateway,
    claim: &Claim,
    chains: Chains,
    kept: &mut KeptGateway,
    world: &World<'_>,
) -> Outcome {
    kept.port = Some(claim.port);
    let mut findings = Vec::new();
    let mut found = find_all(gateway, world, &mut findings);
    let life = Life {
        listed: &gateway.routes,
        found: found.iter().map(|(name, found)| (name.clone(), found.oldest)).collect(),
        now: world.now,
        ttl: world.route_ttl,
    };
    let mut notes = life.settle(&mut kept.routes);
    let mut routes: Vec<ResolvedRoute> = Vec::with_capacity(kept.routes.len());
    let listed: HashMap<&RouteName, &Route> =
        gateway.routes.iter().map(|route| (&route.name, route)).collect();
    for (name, route) in &mut kept.routes {
        let listed = listed.get(name).copied();
        follow_file(name, listed, route, &mut notes);
        let endpoints = found.remove(name).map(|found| found.endpoints).unwrap_or_default();
        let is_gone = route.gone_since.is_some() && (listed.is_none() || life.is_over(route));
        routes.push(ResolvedRoute { is_gone, ..describe(name, listed, route, endpoints) });
    }
    let unchained = chain(&mut routes, chains);
    findings
        .extend(unchained.into_iter().map(|(name, finding)| suggest(finding, &name, gateway, &life.found)));
    lend(&mut routes);
    let is_used = |route: &ResolvedRoute| {
        !route.weight.is_zero() || (route.condition.is_some() && !route.strength.is_zero())
    };
    let inners = routes.iter().filter_map(|route| route.chained.as_deref());
    let resolved = ResolvedGateway {
        key: gateway.key.clone(),
        port: claim.port,
        kind: gateway.kind(),
        hosts: claim.hosts.clone(),
        shared_ports: if claim.hosts.is_empty() { &[] } else { gateway.shared_ports() },
        level: gateway.level,
        sticky: gateway.sticky.clone(),
        layer: layer(gateway, &routes),
        order: condition_order(gateway, &routes),
        serves: routes.iter().any(|route| is_used(route) && route.serves()),
        depth: 1 + inners.map(|inner| inner.depth).max().unwrap_or(0),
        routes,
    };
    warn::warn(gateway, &resolved, &life.found, &mut findings);
    let gone = kept.routes.values().filter_map(|route| route.gone_since);
    let ends = gone.map(|since| since.saturating_add(world.route_ttl));
    Outcome {
        gateway: Arc::new(resolved),
        findings,
        notes: notes.into_iter().map(|message| Note { gateway: gateway.key.clone(), message }).collect(),
        // Of those that are listed it may be over already.
        deadline: ends.filter(|end| *end > world.now).min(),
    }
}

/// What exists now: what the gateway's selector finds, what routes of their own find, external addresses.
fn find_all(gateway: &Gateway, world: &World<'_>, findings: &mut Vec<Finding>) -> BTreeMap<RouteName, Found> {
    let mut all = BTreeMap::new();
    if let Some(selector) = &gateway.selector {
        let told = findings.len();
        all = endpoints::find(gateway, selector, gateway.place_of("selector"), world, findings);
        // A complaint about ports is about workloads that it does match.
        if all.is_empty() && findings.len() == told {
            let message = format!("the selector of `{}` finds nothing", gateway.key.name);
            let advice = "compare it with the labels of the workloads in its namespace";
            findings.push(
                Finding::warning("selector-finds-nothing", message, advice)
                    .at(gateway.place_of("selector"))
                    .of(&gateway.key),
            );
        }
    }
    for route in &gateway.routes {
        if let Some(selector) = &route.selector {
            let mut merged = Found { oldest: u64::MAX, ..Found::default() };
            for found in
                endpoints::find(gateway, selector, route.place_of("selector"), world, findings).into_values()
            {
                merged.oldest = merged.oldest.min(found.oldest);
                merged.endpoints.extend(found.endpoints);
            }
            all.insert(route.name.clone(), merged);
        }
        match endpoints::external(gateway, route, world) {
            Some(Ok(endpoints)) => {
                let endpoints = endpoints.into_iter().map(|endpoint| (endpoint.address, endpoint)).collect();
                all.insert(route.name.clone(), Found { oldest: 0, endpoints });
            }
            Some(Err(finding)) => findings.push(finding.of(&gateway.key)),
            None => {}
        }
    }
    all
}

/// Joins chained routes with the gateways that they lead to; a finding for those that lead nowhere.
fn chain(routes: &mut [ResolvedRoute], mut chains: Chains) -> Vec<(RouteName, Finding)> {
    let mut nowhere = Vec::new();
    for route in routes {
        match chains.remove(&route.name) {
            Some(Ok(inner)) => {
                let all = inner.routes.iter().flat_map(|route| &route.endpoints);
                let mut endpoints: BTreeMap<SocketAddr, &Endpoint> = BTreeMap::new();
                for endpoint in all {
                    let known = endpoints.entry(endpoint.address).or_insert(endpoint);
                    if endpoint.ready && !known.ready {
                        *known = endpoint;
                    }
                }
                route.endpoints = endpoints.into_values().cloned().collect();
                route.chained = Some(inner);
            }
            Some(Err(finding)) => nowhere.push((route.name.clone(), finding)),
            None => {}
        }
    }
    nowhere
}

/// Lends the weights of routes that cannot serve to those that can.
fn lend(routes: &mut [ResolvedRoute]) {
    let weights: Vec<Weight> = routes.iter().map(|route| route.weight).collect();
    let serves: Vec<bool> = routes.iter().map(ResolvedRoute::serves).collect();
    for (route, lent) in routes.iter_mut().zip(weight::lend(&weights, &serves)) {
        route.lent = lent;
    }
}

/// Drops what was given at run time where the file says something new.
fn follow_file(name: &RouteName, listed: Option<&Route>, route: &mut KeptRoute, notes: &mut Vec<String>) {
    let condition = listed.and_then(|listed| listed.condition.clone());
    if is_outdated(route.condition.as_deref(), &condition) {
        route.condition = None;
        let said = condition.map_or_else(|| "none".to_owned(), |condition| format!("`{condition}`"));
        notes.push(format!(
            "route {name}: the file's condition changed to {said}, which replaces the one given at run time"
        ));
    }
    let strength = listed.and_then(|listed| listed.condition_strength);
    if is_outdated(route.strength.as_ref(), &strength) {
        route.strength = None;
        notes.push(format!(
            "route {name}: the file's strength changed and replaces the one given at run time"
        ));
    }
}

fn is_outdated<T: PartialEq>(given: Option<&Override<T>>, file: &T) -> bool {
    given.is_some_and(|given| given.base != *file)
}

fn describe(
    name: &RouteName,
    listed: Option<&Route>,
    route: &KeptRoute,
    endpoints: BTreeMap<SocketAddr, Endpoint>,
) -> ResolvedRoute {
    let (condition, condition_origin) =
        match (&route.condition, listed.and_then(|listed| listed.condition.as_ref())) {
            (Some(given), _) => (given.value.clone(), Origin::Cli),
            (None, Some(condition)) => (Some(condition.clone()), Origin::File),
            (None, None) => (None, Origin::Discovery),
        };
    let given = route.strength.as_ref().and_then(|given| given.value);
    let (strength, strength_origin) = match (given, listed.and_then(|listed| listed.condition_strength)) {
        (Some(strength), _) => (strength, Origin::Cli),
        (None, Some(strength)) => (strength, Origin::File),
        (None, None) if condition.is_some() => (Weight::FULL, condition_origin),
        (None, None) => (Weight::ZERO, Origin::Discovery),
    };
    ResolvedRoute {
        name: name.clone(),
        weight: route.weight,
        lent: Weight::ZERO,
        origin: route.origin,
        since: route.since,
        rolled_back: route.rolled_back,
        condition,
        condition_origin,
        strength,
        strength_origin,
        balance: listed.and_then(|listed| listed.balance).unwrap_or(Balance::P2c),
        endpoints: endpoints.into_values().collect(),
        chained: None,
        declared: listed.cloned(),
        gone_since: route.gone_since,
        is_gone: false,
    }
}

/// Where it is served: by the proxy where something on the way asks for a request.
fn layer(gateway: &Gateway, routes: &[ResolvedRoute]) -> Layer {
    let is_asking = |route: &ResolvedRoute| {
        let inner = route.chained.as_ref().map(|inner| inner.layer);
        let rewrites = route.declared.as_ref().is_some_and(|declared| !declared.rewrites.is_empty());
        route.condition.is_some() || rewrites || inner == Some(Layer::Request)
    };
    let asks = match gateway.kind() {
        PortType::Https => true,
        PortType::Http => {
            let asks = gateway.level == Level::Request || gateway.sticky.is_some() || !gateway.tls.is_empty();
            asks || routes.iter().any(is_asking)
        }
        // The server name stands in the clear at the beginning of a connection.
        PortType::Tls => routes.iter().any(is_asking),
        PortType::Tcp | PortType::Udp => false,
    };
    if asks && gateway.level != Level::Kernel { Layer::Request } else { Layer::Kernel }
}

/// Routes with a condition, in the order in which they are tried: by priority, then as written, then by name.
fn condition_order(gateway: &Gateway, routes: &[ResolvedRoute]) -> Vec<usize> {
    let listed = gateway.routes.iter().enumerate();
    let written: HashMap<&RouteName, usize> = listed.map(|(at, route)| (&route.name, at)).collect();
    let mut order: Vec<usize> =
        (0..routes.len()).filter(|index| routes[*index].condition.is_some()).collect();
    order.sort_by_key(|index| {
        let route = &routes[*index];
        let priority = route.declared.as_ref().and_then(|declared| declared.priority);
        (priority.is_none(), priority, written.get(&route.name).copied().unwrap_or(usize::MAX), *index)
    });
    order
}
