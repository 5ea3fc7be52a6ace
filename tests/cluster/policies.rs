//! What Services promise beyond answering: policies, affinity, ranges, health, families.

use std::{collections::BTreeSet, net::IpAddr};

use gateway_tests::{
    came_true,
    cluster::{Asker, PATIENCE},
    netns::run,
};
use serde_json::{Value, json};

use crate::scene::{Entry, NEW, OLD, SELECTOR, Scene, check_three_to_one, three_to_one, url};

fn spec(service: &Value) -> Value {
    json!({ "port": 8000, "selector": SELECTOR, "routes": three_to_one(), "service": service })
}

/// Waits until the load balancer has an address; where the gateway answers.
fn balanced(scene: &Scene) -> Entry {
    let has = |gateway: &Value| gateway["status"]["service"]["addresses"][0].is_string();
    scene.wait_for("in", "given an address", has);
    scene.settled("in")
}

fn v4(addresses: &[IpAddr]) -> IpAddr {
    *addresses.iter().find(|address| address.is_ipv4()).unwrap()
}

#[test]
fn external_policy_local_keeps_the_client_and_stays_on_the_node() {
    let scene = Scene::new("external-local");
    let nodes = scene.nodes();
    scene.deploy_on(&nodes[0].name, OLD, 2);
    scene.deploy_on(&nodes[0].name, NEW, 2);
    let entry = scene.gateway("in", &spec(&json!({ "externalTrafficPolicy": "Local" })));
    let here = url(entry.at_node(v4(&nodes[0].addresses)));
    scene.answers(&Asker::Outside, &["--url", &here]);
    let tally = scene.cluster.ask(&Asker::Outside, 200, &["--url", &here]).unwrap();
    check_three_to_one(&tally).unwrap();
    let client = v4(&scene.cluster.client_addresses()).to_string();
    assert_eq!(tally.by_client.keys().collect::<Vec<_>>(), [&client]);
    let elsewhere = url(entry.at_node(v4(&nodes[1].addresses)));
    scene.is_refused(&Asker::Outside, &["--url", &elsewhere]).unwrap();
    // Within the cluster the policy does not count.
    let pod = scene.asker(&nodes[1].name);
    let inside = url(entry.at(v4(&entry.cluster_ips)));
    check_three_to_one(&scene.cluster.ask(&pod, 100, &["--url", &inside]).unwrap()).unwrap();
}

#[test]
fn nodes_tell_load_balancers_whether_they_have_endpoints() {
    let scene = Scene::new("health");
    let nodes = scene.nodes();
    scene.deploy_on(&nodes[0].name, OLD, 1);
    let spec = json!({
        "port": 8000, "selector": SELECTOR,
        "service": { "type": "LoadBalancer", "externalTrafficPolicy": "Local" },
    });
    let entry = scene.gateway("in", &spec);
    let port = entry.health_port.expect("policy Local on a load balancer has a health port");
    let status = |node: usize| {
        let target = format!("http://{}:{port}/healthz", v4(&nodes[node].addresses));
        let mut curl = scene.cluster.client().unwrap().command("curl");
        run(curl.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", &target])).unwrap_or_default()
    };
    assert!(came_true(PATIENCE, || status(0) == "200"), "{}", status(0));
    assert!(came_true(PATIENCE, || status(1) == "503"), "{}", status(1));
    scene.cluster.kubectl().scale(&scene.namespace, &scene.app(OLD, 0).reference(), 0).unwrap();
    assert!(came_true(PATIENCE, || status(0) == "503"), "{} without a pod", status(0));
}

#[test]
fn internal_policy_local_stays_on_the_node() {
    let scene = Scene::new("internal-local");
    let nodes = scene.nodes();
    scene.deploy_on(&nodes[0].name, OLD, 2);
    scene.deploy_on(&nodes[0].name, NEW, 2);
    let entry = scene.gateway("in", &spec(&json!({ "internalTrafficPolicy": "Local" })));
    let inside = url(entry.at(v4(&entry.cluster_ips)));
    let near = scene.asker(&nodes[0].name);
    scene.answers(&near, &["--url", &inside]);
    check_three_to_one(&scene.cluster.ask(&near, 100, &["--url", &inside]).unwrap()).unwrap();
    let far = scene.asker(&nodes[1].name);
    scene.is_refused(&far, &["--url", &inside]).unwrap();
    // From outside the policy does not count.
    let outside = url(entry.at_node(v4(&nodes[1].addresses)));
    check_three_to_one(&scene.cluster.ask(&Asker::Outside, 200, &["--url", &outside]).unwrap()).unwrap();
}

#[test]
fn affinity_by_client_keeps_a_client_with_one_pod() {
    let scene = Scene::new("affinity");
    let nodes = scene.nodes();
    scene.deploy(OLD, 3);
    scene.deploy(NEW, 3);
    let entry = scene.gateway("in", &spec(&json!({ "sessionAffinity": "ClientIP" })));
    let outside = url(entry.at_node(v4(&nodes[0].addresses)));
    let inside = url(entry.at(v4(&entry.cluster_ips)));
    let pod = scene.asker(&nodes[0].name);
    let askers = [(&Asker::Outside, &outside), (&pod, &inside)];
    for (from, to) in askers {
        scene.answers(from, &["--url", to]);
        let tally = scene.cluster.ask(from, 60, &["--url", to]).unwrap();
        tally.check_none_failed().unwrap();
        assert_eq!(tally.by_pod.len(), 1, "{from}: {:?}", tally.by_pod);
    }
}

#[test]
fn source_ranges_keep_others_from_the_load_balancer_alone() {
    let scene = Scene::new("ranges");
    let nodes = scene.nodes();
    scene.deploy(OLD, 2);
    scene.deploy(NEW, 2);
    let ranges =
        |ranges: &[String]| spec(&json!({ "type": "LoadBalancer", "loadBalancerSourceRanges": ranges }));
    let client = v4(&scene.cluster.client_addresses());
    scene.gateway("in", &ranges(&[format!("{client}/32")]));
    let entry = balanced(&scene);
    let balancer = url(entry.at(v4(&entry.balancer)));
    scene.answers(&Asker::Outside, &["--url", &balancer]);
    scene.gateway("in", &ranges(&["192.0.2.0/24".to_owned()]));
    scene.comes_to_be_refused(&Asker::Outside, &["--url", &balancer]);
    let node = url(entry.at_node(v4(&nodes[0].addresses)));
    let tally = scene.cluster.ask(&Asker::Outside, 20, &["--url", &node]).unwrap();
    tally.check_none_failed().unwrap();
}

#[test]
fn families_are_those_that_are_asked_for() {
    let scene = Scene::new("families");
    let nodes = scene.nodes();
    scene.deploy(OLD, 2);
    scene.deploy(NEW, 2);
    for (policy, families, expected) in [
        ("SingleStack", json!(["IPv4"]), [true, false]),
        ("SingleStack", json!(["IPv6"]), [false, true]),
        ("RequireDualStack", json!(["IPv6", "IPv4"]), [true, true]),
    ] {
        let service = json!({ "ipFamilyPolicy": policy, "ipFamilies": families });
        // The first family of a Service cannot be changed.
        let kubectl = scene.cluster.kubectl();
        kubectl.run(&["-n", &scene.namespace, "delete", "wgw", "in", "--ignore-not-found"]).unwrap();
        let entry = scene.gateway("in", &spec(&service));
        let has: BTreeSet<bool> = entry.cluster_ips.iter().map(IpAddr::is_ipv4).collect();
        assert_eq!([has.contains(&true), has.contains(&false)], expected, "{policy} {families}");
        for (address, answers) in nodes[0].addresses.iter().zip(expected) {
            let to = url(entry.at_node(*address));
            if answers {
                scene.answers(&Asker::Outside, &["--url", &to]);
            } else {
                scene.is_refused(&Asker::Outside, &["--url", &to]).unwrap();
            }
        }
    }
}

#[test]
fn kube_proxy_leaves_gateways_alone_and_serves_the_rest() {
    let scene = Scene::new("beside");
    let nodes = scene.nodes();
    scene.deploy(OLD, 1);
    let entry = scene.gateway("in", &json!({ "port": 8000, "selector": SELECTOR }));
    let rules = run(nodes[0].command("nft").unwrap().args(["list", "table", "ip", "kube-proxy"])).unwrap();
    let ours = v4(&entry.cluster_ips).to_string();
    let kubernetes: Value =
        scene.cluster.kubectl().json(&["-n", "default", "get", "service", "kubernetes"]).unwrap();
    let theirs = kubernetes["spec"]["clusterIP"].as_str().unwrap();
    assert!(rules.contains(theirs), "kube-proxy has no rules for {theirs}");
    assert!(!rules.contains(&ours), "kube-proxy has rules for {ours}");
}
