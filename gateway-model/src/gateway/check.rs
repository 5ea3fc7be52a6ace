//! What makes a gateway wrong although each of its fields reads well.

use super::{Gateway, Level, PortType};
use crate::{
    finding::{Finding, Place},
    weight::{self, ShareError},
};

/// Adds a finding for each contradiction, and for each part of the language that is not built yet.
pub(super) fn check(gateway: &Gateway, findings: &mut Vec<Finding>) {
    let kind = gateway.port.map(|port| port.kind).unwrap_or_default();
    if gateway.routes.is_empty() && gateway.selector.is_none() {
        findings.push(
            Finding::error(
                "no-routes",
                "it has neither a selector nor routes",
                "add `selector: …` or `routes: …`",
            )
            .at(&gateway.place),
        );
    }
    for (used, what) in [
        (gateway.sticky.is_some(), "sticky"),
        (!gateway.tls.is_empty(), "tls"),
        (kind == PortType::Https, "a port of type https"),
        (kind == PortType::Tls, "a port of type tls"),
    ] {
        if used {
            findings.push(unsupported(what, &gateway.place));
        }
    }
    check_weights(gateway, findings);
    check_level(gateway, kind, findings);
    for route in &gateway.routes {
        check_route(gateway, route, findings);
    }
}

/// The finding for what is part of the language and not built yet.
pub(super) fn unsupported(what: &str, place: &Place) -> Finding {
    Finding::error("unsupported", format!("{what} is not supported yet"), "leave it out").at(place)
}

fn check_weights(gateway: &Gateway, findings: &mut Vec<Finding>) {
    let given: Vec<_> = gateway.routes.iter().map(|route| route.weight).collect();
    let (code, error) = match weight::fill(&given) {
        Ok(_) => return,
        Err(error @ ShareError::Over(_)) => ("weights-over-100", error),
        Err(error @ ShareError::Short(_)) => ("weights-under-100", error),
    };
    let place =
        gateway.routes.iter().find(|route| route.weight.is_some()).map_or(&gateway.place, |r| &r.place);
    let advice = "change weights so that they add up to 100%, or leave one out: it gets the rest";
    findings.push(Finding::error(code, error.to_string(), advice).at(place));
}

fn check_level(gateway: &Gateway, kind: PortType, findings: &mut Vec<Finding>) {
    let speaks_http = matches!(kind, PortType::Http | PortType::Https);
    let asking = gateway.routes.iter().find(|route| route.condition.is_some());
    if let Some(route) = asking
        && !speaks_http
    {
        findings.push(
            Finding::error(
                "condition-needs-http",
                format!("route `{}` has a condition, and a {kind} port has no requests to ask", route.name),
                "make it an http port, or remove the condition",
            )
            .at(&route.place),
        );
    }
    if let Some(route) = asking
        && gateway.level == Level::Kernel
    {
        findings.push(
            Finding::error(
                "level-kernel",
                format!(
                    "route `{}` has a condition, and `level: kernel` never looks at a request",
                    route.name
                ),
                "remove the condition, or write `level: auto`",
            )
            .at(&route.place),
        );
    }
    if gateway.level == Level::Request && !speaks_http {
        findings.push(
            Finding::error(
                "level-request",
                format!("`level: request` on a {kind} port, which has no requests"),
                "make it an http port, or remove `level`",
            )
            .at(&gateway.place),
        );
    }
    if let Some((host, place)) = gateway.virtual_hosts.first()
        && !speaks_http
    {
        findings.push(
            Finding::error(
                "host-needs-http",
                format!("virtual host `{host}` on a gateway whose port is {kind}"),
                "make it an http port, or declare a second gateway for the host",
            )
            .at(place),
        );
    }
    if let Some((host, place)) = gateway.virtual_hosts.first()
        && gateway.level == Level::Kernel
    {
        findings.push(
            Finding::error(
                "level-kernel",
                format!(
                    "virtual host `{host}` is found by a request, and `level: kernel` never looks at one"
                ),
                "remove the host, or write `level: auto`",
            )
            .at(place),
        );
    }
}

fn check_route(gateway: &Gateway, route: &super::Route, findings: &mut Vec<Finding>) {
    let plain = !route.name.is_group() && route.external().is_none();
    if plain && route.selector.is_none() {
        let message = format!("route `{}` names another gateway; chaining is not supported yet", route.name);
        let advice = "give the route a `selector` of its own, or write `(version)` or `[host:port]`";
        findings.push(Finding::error("unsupported", message, advice).at(&route.place));
    }
    if !plain && route.selector.is_some() {
        let message =
            format!("route `{}` has a selector, which only a route with a plain name has", route.name);
        findings.push(
            Finding::error("misplaced-selector", message, "remove it, or rename the route").at(&route.place),
        );
    }
    if route.name.is_group() && gateway.selector.is_none() {
        let message =
            format!("route `{}` is one that a selector finds, and the gateway has none", route.name);
        findings.push(
            Finding::error("no-selector", message, "add `selector: …` to the gateway").at(&route.place),
        );
    }
    if let Some((host, _)) = route.external()
        && host.parse::<std::net::IpAddr>().is_err()
    {
        let message = format!("route `{}` is a host name; only addresses are supported yet", route.name);
        findings.push(Finding::error("unsupported", message, "write the address").at(&route.place));
    }
    if route.condition_strength.is_some() && route.condition.is_none() {
        let message = format!("route `{}` has a condition_strength and no condition", route.name);
        findings.push(
            Finding::warning("strength-without-condition", message, "add a condition, or remove it")
                .at(&route.place),
        );
    }
}
