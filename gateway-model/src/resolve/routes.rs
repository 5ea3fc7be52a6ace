//! One gateway, resolved.

use std::{collections::BTreeMap, net::SocketAddr};

use super::{
    Endpoint, Layer, Resolved, ResolvedGateway, ResolvedRoute,
    claims::Claim,
    endpoints::{self, Found},
    index::Workloads,
    life::Life,
    note,
};
use crate::{
    discovery::{KeptGateway, KeptRoute, Origin, Override},
    finding::Finding,
    gateway::{Balance, Gateway, Level, PortType, Route},
    key::RouteName,
    snapshot::Snapshot,
    weight::{self, Weight},
};

/// Resolves a gateway that has its port; brings what is kept of it up to date.
pub(super) fn resolve(
    gateway: &Gateway,
    claim: Claim,
    workloads: &Workloads<'_>,
    snapshot: &Snapshot,
    kept: &mut KeptGateway,
    out: &mut Resolved,
) -> ResolvedGateway {
    let mut found = find_all(gateway, workloads, snapshot, out);
    let life = Life {
        listed: &gateway.routes,
        found: found.iter().map(|(name, found)| (name.clone(), found.oldest)).collect(),
        now: snapshot.now,
        ttl: snapshot.settings.route_ttl,
    };
    let mut notes = life.settle(&mut kept.routes);
    let mut routes: Vec<ResolvedRoute> = Vec::new();
    for (name, route) in &mut kept.routes {
        let listed = gateway.routes.iter().find(|listed| listed.name == *name);
        follow_file(name, listed, route, &mut notes);
        let endpoints = found.remove(name).map(|found| found.endpoints).unwrap_or_default();
        routes.push(describe(name, listed, route, endpoints));
    }
    out.notes.extend(notes.into_iter().map(|message| note(gateway, message)));
    let weights: Vec<Weight> = routes.iter().map(|route| route.weight).collect();
    let serves: Vec<bool> =
        routes.iter().map(|route| route.endpoints.iter().any(|endpoint| endpoint.ready)).collect();
    for (route, lent) in routes.iter_mut().zip(weight::lend(&weights, &serves)) {
        route.lent = lent;
    }
    let kind = gateway.port.map(|port| port.kind).unwrap_or_default();
    let layer = layer(gateway, kind, &routes);
    let order = condition_order(gateway, &routes);
    let resolved = ResolvedGateway {
        key: gateway.key.clone(),
        port: claim.port,
        kind,
        hosts: claim.hosts,
        level: gateway.level,
        layer,
        routes,
        order,
    };
    warn(gateway, &resolved, out);
    resolved
}

/// What exists now: what the gateway's selector finds, what routes of their own find, external addresses.
fn find_all(
    gateway: &Gateway,
    workloads: &Workloads<'_>,
    snapshot: &Snapshot,
    out: &mut Resolved,
) -> BTreeMap<RouteName, Found> {
    let mut all = BTreeMap::new();
    if let Some(selector) = &gateway.selector {
        all = endpoints::find(gateway, selector, workloads, snapshot, out);
        if all.is_empty() {
            let message = format!("the selector of `{}` finds nothing", gateway.key.name);
            let advice = "compare it with the labels of the workloads in its namespace";
            out.findings.push(
                Finding::warning("selector-finds-nothing", message, advice)
                    .at(&gateway.place)
                    .of(&gateway.key),
            );
        }
    }
    for route in &gateway.routes {
        if let Some(selector) = &route.selector {
            let mut merged = Found { oldest: u64::MAX, ..Found::default() };
            for found in endpoints::find(gateway, selector, workloads, snapshot, out).into_values() {
                merged.oldest = merged.oldest.min(found.oldest);
                merged.endpoints.extend(found.endpoints);
            }
            all.insert(route.name.clone(), merged);
        }
        match endpoints::external(route, snapshot) {
            Some(Ok(endpoint)) => {
                let endpoints = BTreeMap::from([(endpoint.address, endpoint)]);
                all.insert(route.name.clone(), Found { oldest: 0, endpoints });
            }
            Some(Err(finding)) => out.findings.push(finding.of(&gateway.key)),
            None => {}
        }
    }
    all
}

/// Drops what was given at run time where the file says something new.
fn follow_file(name: &RouteName, listed: Option<&Route>, route: &mut KeptRoute, notes: &mut Vec<String>) {
    let condition = listed.and_then(|listed| listed.condition.clone());
    if is_outdated(route.condition.as_ref(), &condition) {
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
        condition,
        condition_origin,
        strength,
        strength_origin,
        balance: listed.and_then(|listed| listed.balance).unwrap_or(Balance::P2c),
        endpoints: endpoints.into_values().collect(),
        declared: listed.cloned(),
        gone_since: route.gone_since,
    }
}

fn layer(gateway: &Gateway, kind: PortType, routes: &[ResolvedRoute]) -> Layer {
    let asks = gateway.level == Level::Request || routes.iter().any(|route| route.condition.is_some());
    if kind == PortType::Http && gateway.level != Level::Kernel && asks {
        Layer::Request
    } else {
        Layer::Kernel
    }
}

/// Findings about what is legal and does not do what it says.
fn warn(gateway: &Gateway, resolved: &ResolvedGateway, out: &mut Resolved) {
    let mut warnings = Vec::new();
    for route in &resolved.routes {
        let place = route.declared.as_ref().map_or(&gateway.place, |declared| &declared.place);
        let unusable: Vec<String> = route
            .endpoints
            .iter()
            .filter(|endpoint| !endpoint.usable_at_l4)
            .map(|endpoint| endpoint.address.to_string())
            .collect();
        if resolved.layer == Layer::Kernel && !unusable.is_empty() {
            let message = format!(
                "route {} has endpoints that are reached through an uplink, which the kernel cannot forward to yet: {}",
                route.name,
                unusable.join(", ")
            );
            let advice = "run them on this node, or let the proxy serve the gateway with `level: request`";
            warnings.push(Finding::warning("endpoint-through-uplink", message, advice).at(place));
        }
        let balance = route.declared.as_ref().and_then(|declared| declared.balance);
        if let Some(balance) = balance.filter(|balance| *balance != Balance::Maglev)
            && resolved.layer == Layer::Kernel
            && resolved.hosts.is_empty()
        {
            let message = format!("route {} asks for {balance:?}; the kernel only knows maglev", route.name)
                .to_lowercase();
            warnings.push(
                Finding::warning("balance-at-l4", message, "write `level: request`, or leave it out")
                    .at(place),
            );
        }
        if is_shadowed(route, resolved) {
            let message = format!(
                "the condition of route {} is never asked: an earlier route has the same",
                route.name
            );
            warnings.push(Finding::warning("condition-shadowed", message, "remove one of them").at(place));
        }
    }
    if gateway.preserve_client_ip && (resolved.layer == Layer::Request || !resolved.hosts.is_empty()) {
        let message = "`preserve_client_ip` holds for connections that the kernel forwards; where the proxy serves, endpoints see its address and an X-Forwarded-For header";
        let advice = "leave it out, or remove what asks for a request";
        warnings.push(Finding::warning("client-address-not-kept", message, advice).at(&gateway.place));
    }
    out.findings.extend(warnings.into_iter().map(|finding| finding.of(&gateway.key)));
}

/// Whether an earlier route captures exactly the same requests, all of them.
fn is_shadowed(route: &ResolvedRoute, resolved: &ResolvedGateway) -> bool {
    let Some(condition) = &route.condition else { return false };
    let same = |other: &&ResolvedRoute| other.condition.as_ref() == Some(condition);
    resolved
        .order
        .iter()
        .map(|index| &resolved.routes[*index])
        .find(same)
        .is_some_and(|first| first.name != route.name)
}

/// Routes with a condition, in the order in which they are tried: by priority, then as written, then by name.
fn condition_order(gateway: &Gateway, routes: &[ResolvedRoute]) -> Vec<usize> {
    let written = |name: &RouteName| {
        gateway.routes.iter().position(|listed| listed.name == *name).unwrap_or(usize::MAX)
    };
    let mut order: Vec<usize> =
        (0..routes.len()).filter(|index| routes[*index].condition.is_some()).collect();
    order.sort_by_key(|index| {
        let route = &routes[*index];
        let priority = route.declared.as_ref().and_then(|declared| declared.priority);
        (priority.is_none(), priority, written(&route.name), *index)
    });
    order
}
