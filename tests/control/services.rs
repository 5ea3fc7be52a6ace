//! Each gateway is a Service.

use std::time::Duration;

use gateway_tests::wait_until;
use serde_json::json;

use crate::shop::{self, SOON, SPEC};

#[test]
fn a_gateway_is_a_service_without_selector_that_is_left_to_weir() {
    let server = shop::open();
    server.pod("foo-1", "1.0.3", &["10.244.0.5"], true);
    server.gateway("foo-ingress", SPEC);
    server.wait_for_condition("foo-ingress", "ServiceReady", "True", "is there");
    let service = server.get("service", "shop", "foo-ingress");
    assert_eq!(service["metadata"]["labels"]["service.kubernetes.io/service-proxy-name"], "weir");
    assert_eq!(service["metadata"]["ownerReferences"][0]["kind"], "WeirGateway");
    assert!(service["spec"].get("selector").is_none());
    assert_eq!(service["spec"]["type"], "NodePort");
    let told = server.status("foo-ingress");
    assert_eq!(told["service"]["nodePort"], service["spec"]["ports"][0]["nodePort"]);
    assert_eq!(told["service"]["clusterIPs"], service["spec"]["clusterIPs"]);
    assert_eq!(told["port"], service["spec"]["ports"][0]["port"]);
    let families = || server.get("service", "shop", "foo-ingress")["spec"]["ipFamilies"].clone();
    assert_eq!(families(), json!(["IPv4", "IPv6"]));
    server.patch("wgw", "foo-ingress", None, &json!({ "spec": { "service": { "ipFamilies": ["IPv4"] } } }));
    wait_until(SOON, "it has the family that the gateway names", || families() == json!(["IPv4"]));
    server.patch("wgw", "foo-ingress", None, &json!({ "spec": { "service": null } }));
    wait_until(SOON, "it has both again", || families() == json!(["IPv4", "IPv6"]));
    let shared = || server.get("service", "weir-system", "weir-agent");
    wait_until(SOON, "virtual hosts have their Service", || shared()["spec"]["type"] == "LoadBalancer");
    let ports: Vec<_> =
        shared()["spec"]["ports"].as_array().unwrap().iter().map(|port| port["port"].clone()).collect();
    assert_eq!(ports, [80, 443]);
    // Somebody's change to what was asked for does not last.
    server.patch("service", "foo-ingress", None, &json!({ "spec": { "type": "ClusterIP" } }));
    wait_until(SOON, "the Service is as the gateway asks for", || {
        server.get("service", "shop", "foo-ingress")["spec"]["type"] == "NodePort"
    });
}

#[test]
fn addresses_come_from_a_pool_and_go_with_the_wish_for_them() {
    let server = shop::open();
    server.apply(
        "{apiVersion: weir.dev/v1, kind: WeirAddressPool, metadata: {name: p}, spec: {addresses: [10.200.0.0/24, \
         'fd00:200::/120']}}",
    );
    server.gateway(
        "foo",
        "{selector: 'true', service: {type: LoadBalancer, ipFamilyPolicy: RequireDualStack, loadBalancerIPs: \
         [10.200.0.9, 'fd00:200::9'], externalTrafficPolicy: Local}}",
    );
    wait_until(SOON, "it has the addresses that it asks for", || {
        server.status("foo")["service"]["addresses"] == json!(["10.200.0.9", "fd00:200::9"])
    });
    server.gateway("bar", "{selector: 'true', service: {type: LoadBalancer, loadBalancerIPs: [10.200.0.9]}}");
    assert!(server.status("foo")["service"]["healthCheckNodePort"].is_number());
    let ingress = server.get("service", "shop", "foo")["status"]["loadBalancer"]["ingress"].clone();
    assert_eq!(ingress[0], json!({ "ip": "10.200.0.9", "ipMode": "VIP" }));
    server.wait_for_condition("bar", "ServiceReady", "True", "no");
    assert!(server.status("bar")["service"].get("addresses").is_none(), "it is another's");
    server.gateway("foo", "{selector: 'true', service: {type: ClusterIP}}");
    wait_until(SOON, "an address that is free again goes to who asks for it", || {
        server.status("bar")["service"]["addresses"] == json!(["10.200.0.9"])
    });
}

#[test]
fn another_s_service_is_left_alone_and_a_wish_that_cannot_be_is_told() {
    let server = shop::open();
    server.pod("foo-1", "1.0.3", &["10.244.0.5"], true);
    server.kubectl(&["create", "service", "clusterip", "foo", "-n", "shop", "--tcp=80"]);
    let before = server.get("service", "shop", "foo");
    server.gateway("foo", SPEC);
    server.wait_for_condition("foo", "ServiceReady", "False", "not this gateway's");
    assert_eq!(server.get("service", "shop", "foo"), before);
    server.kubectl(&["delete", "service", "-n", "shop", "foo"]);
    server.wait_for_condition("foo", "ServiceReady", "True", "is there");
    server.patch("wgw", "foo", None, &json!({ "spec": { "service": { "nodePort": 80 } } }));
    server.wait_for_condition("foo", "ServiceReady", "False", "30000-32767");
    // Its endpoints do not wait for that.
    server.pod("foo-2", "1.0.3", &["10.244.0.6"], true);
    server.wait_for_published("foo", &[("(1.0.3)", "10.244.0.5", true), ("(1.0.3)", "10.244.0.6", true)]);
}

#[test]
fn a_namespace_that_is_being_deleted_is_left_in_peace() {
    let server = shop::open();
    server.pod("foo-1", "1.0.3", &["10.244.0.5"], true);
    server.gateway("foo", SPEC);
    server.wait_for_condition("foo", "ServiceReady", "True", "is there");
    let before = server.log("first").len();
    server.kubectl(&["delete", "namespace", "shop", "--wait=false"]);
    server.kubectl(&["delete", "-n", "shop", "services,endpointslices", "--all"]);
    // What would be made again is refused; that is nothing to warn of.
    gateway_tests::let_pass(Duration::from_secs(3));
    assert!(server.get("service", "shop", "foo").is_null());
    let log = &server.log("first")[before..];
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
}
