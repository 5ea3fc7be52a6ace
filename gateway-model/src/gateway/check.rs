//! What makes a gateway wrong although each of its fields reads well.

use std::collections::BTreeSet;

use super::{Gateway, Level, PortType, Route};
use crate::{
    condition::{Condition, Fetch, Subject, Term},
    document::Written,
    finding::{Finding, Place},
    key::RouteName,
    selector::Selector,
    weight::{self, ShareError},
};

/// Adds a finding for each contradiction.
pub(super) fn check(gateway: &Gateway, findings: &mut Vec<Finding>) {
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
    check_weights(gateway, findings);
    check_selector(gateway, findings);
    check_port(gateway, findings);
    check_tls(gateway, findings);
    for demand in demands(gateway) {
        demand.check(gateway, findings);
    }
    for route in &gateway.routes {
        check_route(gateway, route, findings);
    }
}

fn check_selector(gateway: &Gateway, findings: &mut Vec<Finding>) {
    let Some((selector, written)) = gateway.selector.as_ref().zip(gateway.places.of("selector")) else {
        return;
    };
    // Where the one route of a selector without a group is listed, it is meant.
    let is_meant =
        gateway.routes.iter().any(|route| route.name == RouteName::from_captured(&BTreeSet::new()));
    let warnings = lint_selector(selector, written).into_iter();
    findings.extend(warnings.filter(|finding| !(is_meant && finding.code == "selector-without-group")));
}

/// What is legal in a gateway's selector and surely wrong.
pub fn lint_selector(selector: &Selector, written: &Written) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        selector.lint().into_iter().map(|warning| Finding::warned(written, warning)).collect();
    if !selector.captures_a_group()
        && let Some((span, name, pattern)) = selector.open_label()
    {
        let message = format!(
            "no term captures a part of what it matches: all workloads are one route, `()`, whatever their `{name}`"
        );
        let advice = format!("write label({name})(({pattern})): the inner parentheses name the routes");
        findings.push(
            Finding::warning("selector-without-group", message, advice)
                .at(&written.part(span.column, span.length)),
        );
    }
    findings
}

fn check_weights(gateway: &Gateway, findings: &mut Vec<Finding>) {
    let given: Vec<_> = gateway.routes.iter().map(|route| route.weight).collect();
    let (code, error) = match weight::fill(&given) {
        Ok(_) => return,
        Err(error @ ShareError::Over(_)) => ("weights-over-100", error),
        Err(error @ ShareError::Short(_)) => ("weights-under-100", error),
    };
    // The weight that goes past 100 %, or the last one, after which something is missing.
    let mut sum = 0;
    let weighted = gateway.routes.iter().filter_map(|route| Some((route, route.weight?)));
    let mut at = None;
    for (route, weight) in weighted {
        sum += u32::from(weight.hundredths());
        at = Some(route);
        if sum > 10_000 {
            break;
        }
    }
    let place = at.map_or(&gateway.place, |route| route.place_of("weight"));
    let advice = "change weights so that they add up to 100%, or leave one out: it gets the rest";
    findings.push(Finding::error(code, error.to_string(), advice).at(place));
}

fn check_port(gateway: &Gateway, findings: &mut Vec<Finding>) {
    let kind = gateway.kind();
    if gateway.level == Level::Request && !speaks_http(kind) {
        findings.push(
            Finding::error(
                "level-request",
                format!("`level: request` on a {kind} port, which has no requests"),
                "make it an http port, or remove `level`",
            )
            .at(gateway.place_of("level")),
        );
    }
    if gateway.host_port && gateway.port.is_none() {
        findings.push(
            Finding::warning(
                "host-port-without-port",
                "`host_port` answers `port` on node addresses, and there is no `port`",
                "add `port: …`, or remove `host_port`",
            )
            .at(gateway.place_of("host_port")),
        );
    }
}

fn check_tls(gateway: &Gateway, findings: &mut Vec<Finding>) {
    let kind = gateway.kind();
    if kind == PortType::Https && gateway.tls.is_empty() {
        findings.push(
            Finding::error(
                "tls-missing",
                "an https port needs a certificate, and `tls` names none",
                "add `tls: …` with the name of a secret, or make it a `tls` port to pass TLS through",
            )
            .at(gateway.place_of("port")),
        );
    }
    if !gateway.tls.is_empty() && !speaks_http(kind) {
        let message = format!("`tls` names a certificate, and a {kind} port does not use one");
        let advice = "remove it, or make it an https port";
        findings.push(Finding::error("tls-needs-http", message, advice).at(gateway.place_of("tls")));
    }
    if !gateway.tls.is_empty() && speaks_http(kind) && gateway.level == Level::Kernel {
        let message = "`tls` is ended by the proxy, and `level: kernel` never leads to it";
        let advice = "remove this, or write `level: auto`";
        findings.push(Finding::error("level-kernel", message, advice).at(gateway.place_of("tls")));
    }
    if !gateway.tls.is_empty() && kind == PortType::Http && gateway.virtual_hosts.is_empty() {
        let message = "`tls` is for port 443, which only gateways with `virtual_hosts` share";
        let advice = "add `virtual_hosts`, or make it an https port";
        findings.push(Finding::warning("tls-unused", message, advice).at(gateway.place_of("tls")));
    }
}

/// Something that only a request can answer, or that is done to one.
struct Demand<'a> {
    what: String,
    place: &'a Place,
    /// The code of the finding where there are no requests.
    code: &'static str,
    /// Whether the beginning of a TLS connection is enough.
    is_met_by_tls: bool,
}

fn demands(gateway: &Gateway) -> Vec<Demand<'_>> {
    let mut demands = Vec::new();
    if let Some((host, place)) = gateway.virtual_hosts.first() {
        let what = format!("virtual host `{host}` is found by a request");
        demands.push(Demand { what, place, code: "host-needs-http", is_met_by_tls: true });
    }
    if gateway.sticky.is_some() {
        let (what, place) = ("`sticky` tells users by their requests".to_owned(), gateway.place_of("sticky"));
        demands.push(Demand { what, place, code: "sticky-needs-http", is_met_by_tls: false });
    }
    for route in &gateway.routes {
        if let Some(condition) = &route.condition {
            demands.push(Demand {
                what: format!("the condition of route `{}` asks for a request", route.name),
                place: route.place_of("condition"),
                code: "condition-needs-http",
                is_met_by_tls: asks_for_connection_only(condition),
            });
        }
        if !route.rewrites.is_empty() {
            demands.push(Demand {
                what: format!("the rewrites of route `{}` change requests", route.name),
                place: route.place_of("rewrites"),
                code: "rewrites-need-http",
                is_met_by_tls: false,
            });
        }
    }
    demands
}

impl Demand<'_> {
    fn check(&self, gateway: &Gateway, findings: &mut Vec<Finding>) {
        let kind = gateway.kind();
        let met = speaks_http(kind) || (kind == PortType::Tls && self.is_met_by_tls);
        if !met {
            let message = format!("{}, and a {kind} port has none to ask", self.what);
            let advice = "make it an http port, or remove this";
            findings.push(Finding::error(self.code, message, advice).at(self.place));
        } else if gateway.level == Level::Kernel {
            let message = format!("{}, and `level: kernel` never looks at one", self.what);
            let advice = "remove this, or write `level: auto`";
            findings.push(Finding::error("level-kernel", message, advice).at(self.place));
        }
    }
}

fn speaks_http(kind: PortType) -> bool {
    matches!(kind, PortType::Http | PortType::Https)
}

/// Whether it can be answered before the first request: from the client's address and the TLS server name.
pub(crate) fn asks_for_connection_only(condition: &Condition) -> bool {
    let mut only = true;
    condition.expression().visit(&mut |term| {
        only &= match term {
            Term::Client(_) | Term::Percent(_) | Term::Text { subject: Subject::Sni, .. } => true,
            Term::Raw(acl) => acl.fetch == Fetch::Source,
            Term::Text { .. } | Term::Present { .. } => false,
        };
    });
    only
}

fn check_route(gateway: &Gateway, route: &Route, findings: &mut Vec<Finding>) {
    let plain = !route.name.is_group() && route.external().is_none();
    if !plain && route.selector.is_some() {
        let message =
            format!("route `{}` has a selector, which only a route with a plain name has", route.name);
        findings.push(
            Finding::error("misplaced-selector", message, "remove it, or rename the route")
                .at(route.place_of("selector")),
        );
    }
    if route.name.is_group() && gateway.selector.is_none() {
        let message =
            format!("route `{}` is one that a selector finds, and the gateway has none", route.name);
        findings.push(
            Finding::error("no-selector", message, "add `selector: …` to the gateway").at(&route.place),
        );
    }
    if route.condition_strength.is_some() && route.condition.is_none() {
        let message = format!("route `{}` has a condition_strength and no condition", route.name);
        findings.push(
            Finding::warning("strength-without-condition", message, "add a condition, or remove it")
                .at(route.place_of("condition_strength")),
        );
    }
    if let Some((condition, written)) = route.condition.as_ref().zip(route.places.of("condition")) {
        findings.extend(condition.lint().into_iter().map(|warning| Finding::warned(written, warning)));
    }
    if let Some((selector, written)) = route.selector.as_ref().zip(route.places.of("selector")) {
        findings.extend(selector.lint().into_iter().map(|warning| Finding::warned(written, warning)));
    }
    if let Some(condition) = &route.condition
        && condition.asks_for_sni()
        && gateway.tls.is_empty()
        && gateway.kind() != PortType::Tls
    {
        let message = format!("the condition of route `{}` asks for the TLS server name", route.name);
        let message = format!("{message}, and nothing here speaks TLS: it is always empty");
        let advice = "add `tls: …`, or ask for `Host`";
        findings.push(Finding::warning("sni-without-tls", message, advice).at(route.place_of("condition")));
    }
}
