//! Artifacts: YAML and JSON, and the gateways in them.

use gateway_model::{
    document,
    gateway::{self, Gateway, PortSpec, Route, VirtualHost},
    weight::Weight,
};

use crate::{
    condition, format,
    place::{FILE, assert_within},
    selector,
};

const NAMESPACE: &str = "default";

/// Every mistake has its place; what is read is the same each time and with any line ends, prints as what it is, and
/// has a normal form.
pub(crate) fn keep_promises(text: &str) {
    let parsed = gateway::parse(FILE, text, NAMESPACE);
    assert_within(text, &parsed.findings);
    let again = gateway::parse(FILE, text, NAMESPACE);
    assert_eq!((&parsed.gateways, &parsed.findings), (&again.gateways, &again.findings), "read twice");
    if !text.contains('\r') {
        let other = gateway::parse(FILE, &text.replace('\n', "\r\n"), NAMESPACE);
        assert_eq!((&parsed.gateways, &parsed.findings), (&other.gateways, &other.findings), "with CRLF");
    }
    for (index, gateway) in parsed.gateways.iter().enumerate() {
        let is_new = parsed.gateways[..index].iter().all(|other| other.key != gateway.key);
        assert!(is_new, "two gateways are called {}", gateway.key);
        assert_gateway_prints(gateway);
    }
    assert_documents_print(text);
    format::assert_formats(text, &parsed);
}

fn assert_gateway_prints(gateway: &Gateway) {
    assert!(!gateway.key.name.is_empty() && gateway.key.namespace == NAMESPACE, "{}", gateway.key);
    if let Some(port) = gateway.port {
        assert_eq!(port.to_string().parse(), Ok::<PortSpec, _>(port));
    }
    for (host, _) in &gateway.virtual_hosts {
        assert_eq!(host.to_string().parse::<VirtualHost>().as_ref(), Ok(host));
    }
    gateway.selectors().for_each(selector::assert_prints);
    gateway.routes.iter().for_each(assert_route_prints);
}

fn assert_route_prints(route: &Route) {
    for weight in [route.weight, route.condition_strength].into_iter().flatten() {
        assert_eq!(weight.to_string().parse(), Ok::<Weight, _>(weight));
    }
    route.condition.iter().for_each(condition::assert_prints);
}

/// What a document says is the same in JSON.
fn assert_documents_print(text: &str) {
    let (documents, _) = document::parse(FILE, text);
    for value in documents.iter().map(document::Node::to_json).filter(|value| !value.is_null()) {
        let printed = value.to_string();
        let (again, findings) = document::parse(FILE, &printed);
        assert_eq!(findings, [], "printed: {printed}");
        let again: Vec<_> = again.iter().map(document::Node::to_json).collect();
        assert_eq!(again, [value], "printed: {printed}");
    }
}
