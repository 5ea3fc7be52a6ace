//! A gateway as it is in force: what its spec declares, with the routes and weights of its status.

use std::{collections::HashSet, fmt::Write as _};

use gateway_model::{
    finding::Finding,
    gateway::{self, Gateway, Route},
    key::RouteName,
    selector::Selector,
};

use super::facts::{GatewayFacts, SliceFacts};

/// The label by which a route finds its endpoints; one for both, so that no other route's are looked at.
pub(super) const LABEL: &str = "weir.dev/route";

/// Its value for the endpoints of a route, given the name of the gateway's Service: the route's name in hexadecimal
/// digits, since selectors give meaning to most other characters.
pub(super) fn label_value(service: &str, route: &str) -> String {
    let mut value = String::with_capacity(2 * route.len() + 1 + service.len());
    for byte in route.bytes() {
        write!(value, "{byte:02x}").expect("writing to a String does not fail");
    }
    value + "_" + service
}

/// Reads what is declared.
pub(super) fn read(facts: &GatewayFacts) -> Result<(Gateway, Vec<Finding>), Vec<Finding>> {
    let file = format!("wgw/{}/{}", facts.namespace, facts.name);
    let mut parsed = gateway::parse(&file, &facts.document, &facts.namespace);
    match parsed.gateways.pop() {
        Some(gateway) => Ok((gateway, parsed.findings)),
        None => Err(parsed.findings),
    }
}

/// What is in force of a gateway that is declared; `None` before its leader has put any route in force.
pub(super) fn in_force(declared: &Gateway, facts: &GatewayFacts) -> Option<Gateway> {
    let routes = facts.routes.as_ref()?;
    let service = declared.service_name();
    let mut gateway = declared.clone();
    let mut known = HashSet::new();
    gateway.selector = None;
    gateway.routes = Vec::new();
    // Conditions are tried in the order written, so those that are written come first.
    let written = declared.routes.iter().filter_map(|route| {
        let of = routes.iter().find(|of| of.name == route.name.0)?;
        Some((route.clone(), of))
    });
    let found = routes.iter().filter(|of| declared.routes.iter().all(|route| route.name.0 != of.name));
    let found = found.map(|of| {
        let mut route = Route::named(RouteName(of.name.clone()), declared.place.clone());
        // No spec says that it leads to another gateway.
        route.selector = Some(Selector::nothing());
        (route, of)
    });
    for (mut route, of) in written.chain(found) {
        if !known.insert(route.name.clone()) {
            continue;
        }
        route.weight = Some(of.weight);
        if !route.is_chained() && route.external().is_none() {
            route.selector = Some(finds(&service, &route.name));
        }
        gateway.routes.push(route);
    }
    gateway.routes.shrink_to_fit();
    if let (None, Some(number)) = (declared.port, facts.port) {
        gateway.port = Some(gateway::PortSpec { number, kind: declared.kind() });
    }
    Some(gateway)
}

/// What finds the endpoints that were published for a route.
fn finds(service: &str, route: &RouteName) -> Selector {
    let text = format!("label({LABEL})({})", label_value(service, &route.0));
    Selector::parse(&text).expect("the label's value has no character that means something")
}

/// Whether a slice is of a route that new connections may go to.
pub(super) fn is_used(gateway: &Gateway, slice: &SliceFacts) -> bool {
    gateway.routes.iter().any(|route| {
        let gets_any = route.weight.is_some_and(|weight| !weight.is_zero()) || route.condition.is_some();
        gets_any && route.name.0 == slice.route
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::agent::facts::RouteFacts;

    fn facts(spec: &str, routes: &[(&str, &str)]) -> GatewayFacts {
        let routes = routes
            .iter()
            .map(|(name, weight)| RouteFacts { name: (*name).to_owned(), weight: weight.parse().unwrap() });
        GatewayFacts {
            namespace: "shop".to_owned(),
            name: "foo".to_owned(),
            document: format!(
                r#"{{"apiVersion":"weir.dev/v1","kind":"WeirGateway","metadata":{{"name":"foo","namespace":"shop"}},"spec":{spec}}}"#
            ),
            routes: Some(routes.collect()),
            port: Some(40_001),
            ..GatewayFacts::default()
        }
    }

    #[test]
    fn routes_are_those_of_the_status_and_each_finds_its_own_endpoints() {
        let facts = facts(
            r#"{"selector":"label(app)(foo) && label(version)((.*))","routes":{"(2.0.1)":{"condition":"User-Agent = Firefox"},"[203.0.113.1:80]":{},"inner":{}}}"#,
            &[("(1.0.3)", "95%"), ("(2.0.1)", "5%"), ("[203.0.113.1:80]", "0%"), ("inner", "0%")],
        );
        let (declared, findings) = read(&facts).unwrap();
        assert_eq!(findings, []);
        let gateway = in_force(&declared, &facts).unwrap();
        assert_eq!(gateway.selector, None);
        assert_eq!(gateway.port.map(|port| port.number), Some(40_001));
        let shown = |route: &Route| {
            let selector = route.selector.as_ref().map(ToString::to_string);
            (route.name.0.clone(), route.weight.unwrap().to_string(), selector, route.condition.is_some())
        };
        let selector = |name: &str| Some(format!("label({LABEL})({})", label_value("foo", name)));
        let expected = [
            ("(2.0.1)", "5%", selector("(2.0.1)"), true),
            ("[203.0.113.1:80]", "0%", None, false),
            ("inner", "0%", None, false),
            ("(1.0.3)", "95%", selector("(1.0.3)"), false),
        ];
        let expected = expected
            .map(|(name, weight, selector, asks)| (name.to_owned(), weight.to_owned(), selector, asks));
        assert_eq!(gateway.routes.iter().map(shown).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_route_that_is_declared_and_not_in_force_is_left_out() {
        let facts = facts(r#"{"selector":"label(a)((.*))","routes":{"(9)":{}}}"#, &[("(1)", "100%")]);
        let (declared, _) = read(&facts).unwrap();
        let names: Vec<_> =
            in_force(&declared, &facts).unwrap().routes.into_iter().map(|route| route.name.0).collect();
        assert_eq!(names, ["(1)"]);
        assert_eq!(in_force(&declared, &GatewayFacts { routes: None, ..facts }), None);
    }

    #[test]
    fn a_plain_route_with_a_selector_finds_published_endpoints_only() {
        let facts = facts(r#"{"routes":{"stable":{"selector":"label(a)(b)"}}}"#, &[("stable", "100%")]);
        let (declared, _) = read(&facts).unwrap();
        let gateway = in_force(&declared, &facts).unwrap();
        let selector = gateway.routes[0].selector.as_ref().unwrap().to_string();
        assert!(selector.starts_with(&format!("label({LABEL})(")), "{selector}");
    }

    #[test]
    fn what_does_not_parse_says_where() {
        let findings = read(&facts(r#"{"selektor":"true"}"#, &[])).unwrap_err();
        let place = findings[0].place.as_ref().unwrap();
        assert_eq!(place.file, "wgw/shop/foo");
        assert!(findings.iter().any(|finding| finding.code == "unknown-field"), "{findings:?}");
    }
}
