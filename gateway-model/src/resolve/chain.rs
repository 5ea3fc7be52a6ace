//! Routes that lead to another gateway of the same namespace.

use std::{collections::BTreeMap, sync::Arc};

use super::{Layer, ResolvedGateway, declared::Declared};
use crate::{
    finding::Finding,
    gateway::{Gateway, Level, PortType, Route},
    key::{GatewayKey, RouteName},
};

/// Most gateways that a connection or request goes through.
pub const LONGEST: usize = 8;
/// Code of the finding about a route that leads to no gateway.
const UNKNOWN: &str = "unknown-gateway";
/// Most names of gateways that a finding lists.
const LISTED: usize = 10;

/// Where chained routes lead, by route; a finding for those that lead nowhere.
pub(crate) type Chains = BTreeMap<RouteName, Result<Arc<ResolvedGateway>, Finding>>;

/// Where a route of `gateway` that leads to no gateway reads like one of its selector, says which may be meant; `found`
/// are the routes that exist because workloads do.
pub(super) fn suggest(
    mut finding: Finding,
    route: &RouteName,
    gateway: &Gateway,
    found: &BTreeMap<RouteName, u64>,
) -> Finding {
    let group = RouteName(format!("({route})"));
    let is_likely = gateway.selector.is_some() && (found.contains_key(&group) || group.version().is_some());
    if finding.code == UNKNOWN && is_likely {
        finding.advice = format!("did you mean `{group}`, which the selector names? Else {}", finding.advice);
    }
    finding
}

/// Follows a gateway's chained routes; `find` knows the gateways in force.
pub(crate) fn follow(
    gateway: &Gateway,
    declared: &Declared,
    find: impl Fn(&GatewayKey) -> Option<Arc<ResolvedGateway>>,
) -> Chains {
    let chained = gateway.chained().map(|(key, route)| {
        let link = match find(&key) {
            Some(inner) => check(gateway, route, &inner).map_or(Ok(inner), Err),
            None if declared.contains(&key) => Err(not_in_force(route)),
            None => Err(unknown(gateway, route, declared)),
        };
        (route.name.clone(), link.map_err(|finding| finding.at(&route.place).of(&gateway.key)))
    });
    chained.collect()
}

fn unknown(gateway: &Gateway, route: &Route, declared: &Declared) -> Finding {
    let others = declared.keys().filter(|key| key.namespace == gateway.key.namespace && **key != gateway.key);
    let mut names: Vec<&str> = others.map(|key| key.name.as_str()).collect();
    names.sort_unstable();
    let known = match names.len() {
        0 => "there is no other".to_owned(),
        count if count > LISTED => {
            format!("there are {} and {} more", names[..LISTED].join(", "), count - LISTED)
        }
        _ => format!("there are: {}", names.join(", ")),
    };
    Finding::error(
        UNKNOWN,
        format!("route `{}` leads to a gateway that does not exist; {known}", route.name),
        "name one that exists, or give the route a `selector` of its own",
    )
}

fn not_in_force(route: &Route) -> Finding {
    Finding::error(
        "gateway-not-in-force",
        format!("route `{}` leads to a gateway that is not in force", route.name),
        "see what is wrong with that one",
    )
}

/// What speaks against leading `route` to `inner`.
fn check(gateway: &Gateway, route: &Route, inner: &ResolvedGateway) -> Option<Finding> {
    let kind = gateway.kind();
    if speaks(kind) != speaks(inner.kind) {
        return Some(Finding::error(
            "chain-type",
            format!("route `{}` leads from a {kind} port to one of type {}", route.name, inner.kind),
            "chain gateways of the same type: what is asked of one must make sense to the other",
        ));
    }
    if gateway.level == Level::Kernel && inner.layer == Layer::Request {
        return Some(Finding::error(
            "level-kernel",
            format!(
                "route `{}` leads to a gateway that asks for requests, and `level: kernel` never looks at one",
                route.name
            ),
            "write `level: auto`, or remove what asks for a request there",
        ));
    }
    (inner.depth >= LONGEST).then(|| {
        Finding::error(
            "chain-too-long",
            format!("route `{}` makes a chain of more than {LONGEST} gateways", route.name),
            "leave some of them out",
        )
    })
}

/// What a port type means to those who are chained: TLS in front of HTTP does not matter.
fn speaks(kind: PortType) -> PortType {
    if kind == PortType::Https { PortType::Http } else { kind }
}
