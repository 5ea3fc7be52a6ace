//! Versions become routes; what people declare moves weights, and mistakes disturb nobody.

use serde_json::json;

use crate::shop::{self, SPEC};

#[test]
fn a_version_becomes_a_route_and_its_pods_are_followed() {
    let server = shop::open();
    server.pod("foo-1", "1.0.3", &["10.244.0.5", "fd44::5"], true);
    server.gateway("foo-ingress", SPEC);
    server.wait_for_weights("foo-ingress", "(1.0.3)=100%");
    server
        .wait_for_published("foo-ingress", &[("(1.0.3)", "10.244.0.5", true), ("(1.0.3)", "fd44::5", true)]);
    server.pod("foo-2", "2.0.1", &["10.244.0.6"], true);
    server.wait_for_weights("foo-ingress", "(1.0.3)=100% (2.0.1)=0%");
    server.pod("foo-1", "1.0.3", &["10.244.0.5", "fd44::5"], false);
    let expected =
        [("(1.0.3)", "10.244.0.5", false), ("(1.0.3)", "fd44::5", false), ("(2.0.1)", "10.244.0.6", true)];
    server.wait_for_published("foo-ingress", &expected);
    server.kubectl(&["delete", "pod", "-n", "shop", "foo-1", "--grace-period=0", "--force"]);
    server.wait_for_published("foo-ingress", &[("(2.0.1)", "10.244.0.6", true)]);
    // Nothing automatic turns 0 into more, and after its time what is gone is gone.
    server.wait_for_weights("foo-ingress", "(2.0.1)=0%");
}

#[test]
fn weights_follow_the_spec_and_a_mistake_keeps_what_was_in_force() {
    let server = shop::open();
    server.pod("foo-1", "1.0.3", &["10.244.0.5"], true);
    server.pod("foo-2", "2.0.1", &["10.244.0.6"], true);
    server.gateway("foo-ingress", SPEC);
    let weights =
        json!({ "spec": { "routes": { "(1.0.3)": { "weight": "95%" }, "(2.0.1)": { "weight": "5%" } } } });
    server.patch("wgw", "foo-ingress", None, &weights);
    server.wait_for_weights("foo-ingress", "(1.0.3)=95% (2.0.1)=5%");
    server.patch("wgw", "foo-ingress", None, &json!({ "spec": { "selector": "label(app)(foo" } }));
    server.wait_for_condition(
        "foo-ingress",
        "Accepted",
        "False",
        "spec.selector: the selector is wrong at its column 11",
    );
    server.pod("foo-3", "2.0.1", &["10.244.0.7"], true);
    let expected =
        [("(1.0.3)", "10.244.0.5", true), ("(2.0.1)", "10.244.0.6", true), ("(2.0.1)", "10.244.0.7", true)];
    server.wait_for_published("foo-ingress", &expected);
    assert_eq!(server.status("foo-ingress")["weights"], "(1.0.3)=95% (2.0.1)=5%");
    let events = server.kubectl(&["get", "events.events.k8s.io", "-n", "shop", "-o", "wide"]);
    assert!(events.contains("NotAccepted"), "{events}");
}

#[test]
fn the_definition_refuses_what_cannot_be_meant() {
    let server = shop::open();
    let refused = |spec: &str, says: &str| {
        let object = format!(
            "{{apiVersion: weir.dev/v1, kind: WeirGateway, metadata: {{name: bad, namespace: shop}}, spec: {spec}}}"
        );
        let error = server.try_apply(&object).expect_err(spec);
        assert!(error.contains(says), "{spec}: {error}");
    };
    refused("{selector: 'true', port: 99999/tcp}", "expected a port from 1 to 65535");
    refused("{selector: 'true', port: 70000}", "expected a port from 1 to 65535");
    refused("{selector: 'true', port: 80/sctp}", "types are http, https, tcp, udp and tls");
    refused("{selector: 'true', routes: {'(1)': {weight: '5'}}}", "weight");
    refused("{selector: 'true', hostPort: true}", "hostPort needs a port");
    refused("{port: 80}", "leads nowhere");
    refused("{selector: 'true', sorcery: 1}", "sorcery");
    refused("{selector: 'true', service: {type: ClusterIP, nodePort: 30080}}", "nodePort");
    let pool =
        "{apiVersion: weir.dev/v1, kind: WeirAddressPool, metadata: {name: p}, spec: {addresses: [10.0.0]}}";
    let error = server.try_apply(pool).expect_err("no address");
    assert!(error.contains("expected networks"), "{error}");
}
