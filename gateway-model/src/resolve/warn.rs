//! Findings about what is legal and does not do what it says.

use super::{Layer, ResolvedGateway, ResolvedRoute};
use crate::{
    finding::Finding,
    gateway::{Balance, Gateway},
};

/// Adds them for one gateway, each at the place of its route.
pub(super) fn warn(gateway: &Gateway, resolved: &ResolvedGateway, findings: &mut Vec<Finding>) {
    for route in &resolved.routes {
        let place = route.declared.as_ref().map_or(&gateway.place, |declared| &declared.place);
        let warnings =
            [through_uplink(route, resolved), balance_at_l4(route, resolved), shadowed(route, resolved)];
        findings.extend(warnings.into_iter().flatten().map(|finding| finding.at(place).of(&gateway.key)));
    }
    if gateway.preserve_client_ip && (resolved.layer == Layer::Request || !resolved.hosts.is_empty()) {
        let message = "`preserve_client_ip` holds for connections that the kernel forwards; where the proxy serves, endpoints see its address and an X-Forwarded-For header";
        let advice = "leave it out, or remove what asks for a request";
        let warning = Finding::warning("client-address-not-kept", message, advice);
        findings.push(warning.at(&gateway.place).of(&gateway.key));
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
        "route {} has endpoints that are reached through an uplink, which the kernel cannot forward to yet: {}",
        route.name,
        unusable.join(", ")
    );
    let advice = "run them on this node, or let the proxy serve the gateway with `level: request`";
    Some(Finding::warning("endpoint-through-uplink", message, advice))
}

fn balance_at_l4(route: &ResolvedRoute, resolved: &ResolvedGateway) -> Option<Finding> {
    let balance = route.declared.as_ref()?.balance.filter(|balance| *balance != Balance::Maglev)?;
    if resolved.layer == Layer::Request || !resolved.hosts.is_empty() {
        return None;
    }
    let message =
        format!("route {} asks for {balance:?}; the kernel only knows maglev", route.name).to_lowercase();
    Some(Finding::warning("balance-at-l4", message, "write `level: request`, or leave it out"))
}

/// An earlier route captures exactly the same requests, all of them.
fn shadowed(route: &ResolvedRoute, resolved: &ResolvedGateway) -> Option<Finding> {
    let condition = route.condition.as_ref()?;
    let mut tried = resolved.order.iter().filter_map(|index| resolved.routes.get(*index));
    let first = tried.find(|other| other.condition.as_ref() == Some(condition))?;
    (first.name != route.name).then(|| {
        let message =
            format!("the condition of route {} is never asked: an earlier route has the same", route.name);
        Finding::warning("condition-shadowed", message, "remove one of them")
    })
}
