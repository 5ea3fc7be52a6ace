//! The definitions are what the API server takes, and the types are what gateway-model reads.

use gateway_model::gateway;
use serde_json::{Value, json};

use super::*;

#[test]
fn generated_definitions_are_those_of_the_repository() {
    for definition in definitions() {
        let name = definition.metadata.name.clone().unwrap();
        let path = format!("{}/../deploy/crd/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        let fresh = serde_saphyr::to_string(&definition).unwrap();
        assert_eq!(kept.trim(), fresh.trim(), "{path} is not what the code says: run `cargo xtask codegen`");
    }
}

#[test]
fn a_resource_with_every_field_is_read_by_the_model() {
    let document = json!({
        "apiVersion": "weir.dev/v1",
        "kind": "WeirGateway",
        "metadata": { "name": "foo", "namespace": "shop" },
        "spec": {
            "port": "9050/http", "hostPort": true, "virtualHosts": ["foo.bar.com"],
            "selector": "label(app)(foo) && label(version)((.*))",
            "routes": { "(1)": { "weight": "95%" }, "(2)": {
                "weight": "5%", "condition": "Has Header x", "conditionStrength": "50%", "priority": 1,
                "rewrites": [{ "path": "/a if Path is /b" }], "balance": "random", "metadata": { "a": 1 } } },
            "sticky": "route", "preserveClientIp": false, "level": "auto", "metadata": { "owner": "me" },
            "service": { "type": "LoadBalancer", "externalTrafficPolicy": "Local" },
        }
    });
    let resource: WeirGateway = serde_json::from_value(document.clone()).unwrap();
    let mut back: Value = serde_json::to_value(&resource).unwrap();
    back.as_object_mut().unwrap().retain(|key, _| key != "status");
    assert_eq!(back, document, "nothing is lost");
    let parsed = gateway::parse("f", &back.to_string(), "default");
    assert!(parsed.findings.iter().all(|finding| !finding.is_error()), "{:?}", parsed.findings);
    assert_eq!(parsed.gateways[0].routes.len(), 2);
}
