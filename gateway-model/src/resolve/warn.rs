//! Findings about what is legal and does not do what it says.

use std::collections::{BTreeMap, HashMap};

use super::{Layer, ResolvedGateway, ResolvedRoute};
use crate::{
    condition::Condition,
    finding::Finding,
    gateway::{Balance, Gateway, PortType},
    key::RouteName,
    weight::Weight,
};

/// How many of the conditions tried before it a condition is compared with.
const COMPARED: usize = 64;

/// Adds them for one gateway, each at the place of its route, or of the field of it that it is about.
/// `found` are the routes that exist because workloads (or external addresses) do.
pub(super) fn warn(
    gateway: &Gateway,
    resolved: &ResolvedGateway,
    found: &BTreeMap<RouteName, u64>,
    findings: &mut Vec<Finding>,
) {
    let mut shadowed = shadowed(resolved);
    for (index, route) in resolved.routes.iter().enumerate() {
        let warnings = [
            ("", through_uplink(route, resolved)),
            ("balance", balance_at_l4(route, resolved)),
            ("condition", shadowed.remove(&index)),
            ("condition", without_effect(route, resolved)),
            ("", without_endpoints(route, resolved, found)),
        ];
        for (field, warning) in warnings {
            let place = route.declared.as_ref().map_or(&gateway.place, |declared| declared.place_of(field));
            findings.extend(warning.map(|finding| finding.at(place).of(&gateway.key)));
        }
    }
    if gateway.preserve_client_ip && (resolved.layer == Layer::Request || !resolved.hosts.is_empty()) {
        let message = "`preserve_client_ip` holds for connections that the kernel forwards; where the proxy serves, endpoints see its address and an X-Forwarded-For header";
        let advice = "leave it out, or remove what asks for a request";
        let warning = Finding::warning("client-address-not-kept", message, advice);
        findings.push(warning.at(gateway.place_of("preserve_client_ip")).of(&gateway.key));
    }
}

fn through_uplink(route: &ResolvedRoute, resolved: &ResolvedGateway) -> Option<Finding> {
    let unusable: Vec<String> = route
        .endpoints
        .iter()
        .filter(|endpoint| !endpoint.usable_at_l4)
        .map(|endpoint| endpoint.address.to_string())
        .collect();
    if resolved.layer == Layer::Request || unusable.is_empty() || route.chained.is_some() {
        return None;
    }
    let message = format!(
        "route {} has endpoints on other nodes, which would see the address of this node, and `preserve_client_ip` \
         asks for the client's: {}",
        route.name,
        unusable.join(", ")
    );
    let advice = "run them on this node, or leave `preserve_client_ip` out";
    Some(Finding::warning("endpoint-through-uplink", message, advice))
}

fn balance_at_l4(route: &ResolvedRoute, resolved: &ResolvedGateway) -> Option<Finding> {
    let balance = route.declared.as_ref()?.balance.filter(|balance| *balance != Balance::Maglev)?;
    if resolved.layer == Layer::Request || !resolved.hosts.is_empty() {
        return None;
    }
    let message =
        format!("route {} asks for {balance:?}; the kernel only knows maglev", route.name).to_lowercase();
    let advice =
        if has_requests(resolved) { "write `level: request`, or leave it out" } else { "leave it out" };
    Some(Finding::warning("balance-at-l4", message, advice))
}

/// Whether `level: request` is possible.
fn has_requests(resolved: &ResolvedGateway) -> bool {
    matches!(resolved.kind, PortType::Http | PortType::Https)
}

/// Conditions, by the number of their route, of which an earlier one matches whatever they do. Of the first that
/// matches no later one is tried, whatever its strength. To compare all with all would take seconds where there are
/// thousands: one is compared with the [`COMPARED`] tried right before it, and of those further ahead only one that
/// reads the same is found.
fn shadowed(resolved: &ResolvedGateway) -> HashMap<usize, Finding> {
    let mut first: HashMap<String, usize> = HashMap::new();
    let tried: Vec<(usize, &ResolvedRoute, &Condition)> = resolved
        .order
        .iter()
        .filter_map(|index| resolved.routes.get(*index).map(|route| (*index, route)))
        .filter_map(|(index, route)| Some((index, route, route.condition.as_ref()?)))
        .collect();
    let findings = tried.iter().enumerate().filter_map(|(at, (index, route, condition))| {
        let same = *first.entry(condition.to_string()).or_insert(at);
        let mut near = at.saturating_sub(COMPARED)..at;
        let far = (same < near.start).then_some(same);
        let by = far.or_else(|| near.find(|by| same == *by || condition.implies(tried[*by].2)))?;
        Some((*index, never_asked(route, condition, tried[by].1, tried[by].2)))
    });
    findings.collect()
}

fn never_asked(
    route: &ResolvedRoute,
    condition: &Condition,
    first: &ResolvedRoute,
    known: &Condition,
) -> Finding {
    let message = if known == condition {
        format!("the condition of route {} is never asked: route {} has the same", route.name, first.name)
    } else {
        format!(
            "the condition of route {} is never asked: `{}` of route {} matches all of its requests before",
            route.name,
            known.source(),
            first.name
        )
    };
    let advice = "remove it, or have it asked first with a lower `priority`";
    Finding::warning("condition-shadowed", message, advice)
}

/// What the condition does not capture comes to the same route, and no other condition is kept from it.
fn without_effect(route: &ResolvedRoute, resolved: &ResolvedGateway) -> Option<Finding> {
    let condition = route.condition.as_ref()?;
    let last = resolved.order.last().and_then(|index| resolved.routes.get(*index));
    if route.weight != Weight::FULL || last.is_none_or(|last| last.name != route.name) {
        return None;
    }
    let message = format!(
        "the condition `{}` of route {} has no effect: the route has 100% of all other requests as well",
        condition.source(),
        route.name
    );
    let advice = "give the routes weights: this one 0%, for one, to let only matching requests come to it";
    Some(Finding::warning("condition-without-effect", message, advice))
}

fn without_endpoints(
    route: &ResolvedRoute,
    resolved: &ResolvedGateway,
    found: &BTreeMap<RouteName, u64>,
) -> Option<Finding> {
    // What is chained or external and leads nowhere has an error of its own.
    let leads_nowhere = route.declared.as_ref().is_some_and(|declared| {
        declared.external().is_some() || (declared.is_chained() && route.chained.is_none())
    });
    // A selector that finds nothing has a finding that says it all.
    let says_it_all = route.name.is_group() && !found.keys().any(RouteName::is_group);
    // Of a gateway that it leads to, that one tells.
    let is_quiet = !route.endpoints.is_empty() && (route.chained.is_some() || route.serves());
    if is_quiet || leads_nowhere || says_it_all {
        return None;
    }
    let is_missing = route.name.is_group() && route.declared.is_some() && !found.contains_key(&route.name);
    let (message, advice) = if is_missing {
        let message = format!("route {} is listed, and the selector finds no workload for it", route.name);
        (message, "start a workload that it finds, or remove the route")
    } else if route.weight.is_zero() {
        return None;
    } else {
        // A rollout does not bring this about: a new version begins with 0%, and of one that restarts some endpoints
        // stay ready. Where all are replaced at once nobody is served by it meanwhile, which is worth a warning.
        let others = resolved.routes.iter().any(|route| !route.lent.is_zero());
        let taken = if others { "other routes take its part" } else { "nobody takes its part" };
        let (missing, advice) = if route.endpoints.is_empty() {
            ("no endpoint", "start a workload of it, or give its weight to another route")
        } else {
            ("no ready endpoint", "see why its workloads are not ready, or give its weight to another route")
        };
        (format!("route {} has {} and {missing}; {taken}", route.name, route.weight), advice)
    };
    Some(Finding::warning("route-without-endpoints", message, advice))
}
