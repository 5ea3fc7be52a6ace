//! A shop: pods of versions, and the gateway in front of them.

use std::time::Duration;

use gateway_tests::wait_until;
use serde_json::{Value, json};

use crate::server::Server;

/// How long the API server and a controller may take on a busy machine.
pub const SOON: Duration = Duration::from_secs(20);

/// The namespace `shop`, with a controller and a node.
pub fn open() -> Server {
    let mut server = Server::start();
    server.start_controller("first");
    server.apply("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}");
    server.apply("{apiVersion: v1, kind: ServiceAccount, metadata: {name: default, namespace: shop}}");
    server.apply(
        "{apiVersion: v1, kind: Node, metadata: {name: n1, labels: {topology.kubernetes.io/zone: z1}}}",
    );
    server
}

impl Server {
    /// Runs a pod of a version, as the kubelet would.
    #[track_caller]
    pub fn pod(&self, name: &str, version: &str, addresses: &[&str], is_ready: bool) {
        self.apply(&format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: shop, labels: {{app: foo, version: \
             '{version}'}}}}, spec: {{nodeName: n1, terminationGracePeriodSeconds: 0, \
             automountServiceAccountToken: false, containers: [{{name: a, image: foo, ports: [{{name: http, \
             containerPort: 8080}}]}}]}}}}"
        ));
        let ips: Vec<Value> = addresses.iter().map(|address| json!({ "ip": address })).collect();
        let ready = if is_ready { "True" } else { "False" };
        let condition =
            json!({ "type": "Ready", "status": ready, "lastTransitionTime": "2026-01-01T00:00:00Z" });
        let status = json!({ "status": { "phase": "Running", "podIP": addresses[0], "podIPs": ips,
                                         "conditions": [condition] } });
        self.patch("pod", name, Some("status"), &status);
    }

    /// Merges something into an object of the shop.
    #[track_caller]
    pub fn patch(&self, kind: &str, name: &str, subresource: Option<&str>, patch: &Value) {
        let patch = patch.to_string();
        let mut arguments = vec!["patch", kind, "-n", "shop", name, "--type=merge", "-p", &patch];
        let subresource = subresource.map(|name| format!("--subresource={name}"));
        arguments.extend(subresource.as_deref());
        self.kubectl(&arguments);
    }

    /// Declares a gateway.
    #[track_caller]
    pub fn gateway(&self, name: &str, spec: &str) {
        self.apply(&format!(
            "{{apiVersion: weir.dev/v1, kind: WeirGateway, metadata: {{name: {name}, namespace: shop}}, spec: {spec}}}"
        ));
    }

    /// The status of a gateway.
    pub fn status(&self, name: &str) -> Value {
        self.get("wgw", "shop", name)["status"].clone()
    }

    /// Waits until a gateway has these weights.
    #[track_caller]
    pub fn wait_for_weights(&self, name: &str, weights: &str) {
        let mut last = Value::Null;
        wait_until(SOON, &format!("{name} has {weights}"), || {
            last = self.status(name);
            last["weights"] == weights
        });
    }

    /// Waits until a condition of a gateway is so, and its message says this.
    #[track_caller]
    pub fn wait_for_condition(&self, name: &str, type_: &str, status: &str, says: &str) {
        wait_until(SOON, &format!("{type_} of {name} is {status} and says {says:?}"), || {
            let found = self.status(name);
            let conditions = found["conditions"].as_array().cloned().unwrap_or_default();
            let said = |one: &Value| one["message"].as_str().is_some_and(|message| message.contains(says));
            conditions.iter().any(|one| one["type"] == type_ && one["status"] == status && said(one))
        });
    }

    /// What is published of a gateway: route, address, ready, terminating; in order.
    pub fn published(&self, service: &str) -> Vec<(String, String, bool)> {
        let label = format!("weir.dev/gateway={service}");
        let text = self.kubectl(&["get", "endpointslices", "-n", "shop", "-l", &label, "-o", "json"]);
        let list: Value = serde_json::from_str(&text).unwrap();
        let mut all = Vec::new();
        for slice in list["items"].as_array().unwrap() {
            let route = slice["metadata"]["annotations"]["weir.dev/route"].as_str().unwrap();
            for endpoint in slice["endpoints"].as_array().into_iter().flatten() {
                let address = endpoint["addresses"][0].as_str().unwrap().to_owned();
                all.push((route.to_owned(), address, endpoint["conditions"]["ready"] == true));
            }
        }
        all.sort();
        all
    }

    /// Waits until this is published.
    #[track_caller]
    pub fn wait_for_published(&self, service: &str, expected: &[(&str, &str, bool)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|&(route, address, ready)| (route.to_owned(), address.to_owned(), ready))
            .collect();
        wait_until(SOON, &format!("{service} is published as {expected:?}"), || {
            self.published(service) == expected
        });
    }
}

/// The gateway of product.md, as a spec.
pub const SPEC: &str = "{virtualHosts: [foo.bar.com], selector: label(app)(foo) && label(version)((.*))}";
