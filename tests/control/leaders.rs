//! Of several controllers one leads; another goes on where it stopped, and so does all once the API server is back.

use gateway_tests::wait_until;
use serde_json::{Value, json};

use crate::{
    server::Server,
    shop::{self, SOON, SPEC},
};

fn holder(server: &Server) -> Value {
    server.get("lease", "weir-system", "weir-controller")["spec"]["holderIdentity"].clone()
}

fn weighted() -> Server {
    let server = shop::open();
    server.pod("foo-1", "1.0.3", &["10.244.0.5"], true);
    server.pod("foo-2", "2.0.1", &["10.244.0.6"], true);
    server.gateway("foo", SPEC);
    let weights =
        json!({ "spec": { "routes": { "(1.0.3)": { "weight": "60%" }, "(2.0.1)": { "weight": "40%" } } } });
    server.patch("wgw", "foo", None, &weights);
    server.wait_for_weights("foo", "(1.0.3)=60% (2.0.1)=40%");
    server
}

#[test]
fn a_killed_leader_is_succeeded_by_another_that_goes_on_from_what_is_in_force() {
    let mut server = weighted();
    server.start_controller("second");
    let before = server.status("foo")["routes"].clone();
    server.kill("first");
    server.pod("foo-3", "2.0.1", &["10.244.0.7"], true);
    wait_until(SOON * 2, "the other leads", || holder(&server) == "second");
    let expected =
        [("(1.0.3)", "10.244.0.5", true), ("(2.0.1)", "10.244.0.6", true), ("(2.0.1)", "10.244.0.7", true)];
    server.wait_for_published("foo", &expected);
    let told = |routes: &Value| -> Vec<Value> {
        let routes = routes.as_array().unwrap().iter();
        routes.map(|route| json!([route["name"], route["weight"], route["origin"], route["since"]])).collect()
    };
    assert_eq!(told(&server.status("foo")["routes"]), told(&before));
}

#[test]
fn an_api_server_that_was_away_finds_everything_followed_afterwards() {
    let mut server = weighted();
    server.stop_api();
    gateway_tests::let_pass(std::time::Duration::from_secs(9));
    server.start_api();
    server.pod("foo-2", "2.0.1", &["10.244.0.6"], false);
    server.wait_for_published("foo", &[("(1.0.3)", "10.244.0.5", true), ("(2.0.1)", "10.244.0.6", false)]);
    assert_eq!(server.status("foo")["weights"], "(1.0.3)=60% (2.0.1)=40%");
}

#[test]
fn acknowledgements_count_nodes_and_those_of_nodes_that_are_gone_are_removed() {
    let server = weighted();
    let node = |name: &str| {
        format!("{{apiVersion: weir.dev/v1, kind: WeirNode, metadata: {{name: {name}}}, spec: {{}}}}")
    };
    server.apply(&node("n1"));
    server.apply(&node("gone"));
    wait_until(SOON, "who is gone has nothing to say", || server.get("weirnode", "", "gone").is_null());
    server.wait_for_condition("foo", "Programmed", "False", "not yet on n1");
    let version = server.get("wgw", "shop", "foo")["metadata"]["resourceVersion"].clone();
    let patch = json!({ "status": { "programmed": version } }).to_string();
    server.kubectl(&["patch", "weirnode", "n1", "--subresource=status", "--type=merge", "-p", &patch]);
    server.wait_for_condition("foo", "Programmed", "True", "1 of 1 nodes");
}
