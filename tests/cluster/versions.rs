//! Versions come, lose all their pods, and go: their routes keep what they are due, and 0 % is nothing.

use std::time::Duration;

use gateway_tests::{
    came_true,
    cluster::{Asker, Load, PATIENCE, SYSTEM},
    let_pass,
};
use serde_json::{Value, json};

use crate::scene::{NEW, OLD, SELECTOR, Scene, check_three_to_one, is_everywhere, three_to_one, url};

/// For how long a route without a workload is kept, where a test is about that.
const ROUTE_TTL: Duration = Duration::from_secs(10);

fn spec() -> Value {
    json!({ "port": 8000, "selector": SELECTOR })
}

#[test]
fn a_new_version_becomes_a_route_that_nobody_gets() {
    let scene = Scene::new("appears");
    scene.deploy(OLD, 2);
    let entry = scene.gateway("in", &spec());
    let to = url(entry.at_node(scene.nodes()[0].addresses[0]));
    scene.answers(&Asker::Outside, &["--url", &to]);
    let load = Load::outside(&scene.cluster, &["--url", &to, "--fresh", "--rate", "50/s"]).unwrap();
    scene.deploy(NEW, 2);
    scene.wait_for_weights("in", "(1.0.3)=100% (2.0.1)=0%");
    let from = load.from_now().unwrap();
    load.since(&from, 200).unwrap().check_share(NEW, 0.0).unwrap();
    let patch = json!({ "spec": { "routes": {
        format!("({OLD})"): { "weight": "75%" }, format!("({NEW})"): { "weight": "25%" },
    } } });
    scene.cluster.kubectl().patch(&scene.namespace, "wgw/in", &patch).unwrap();
    scene.wait_for_weights("in", "(1.0.3)=75% (2.0.1)=25%");
    let from = load.from_now().unwrap();
    load.since(&from, 200).unwrap().check_share(NEW, 0.25).unwrap();
    load.stop().unwrap().check_none_failed().unwrap();
}

#[test]
fn a_canary_at_nothing_gets_nothing_when_the_stable_version_loses_its_pods() {
    let scene = Scene::new("canary");
    scene.deploy(OLD, 2);
    let entry = scene.gateway("in", &spec());
    scene.deploy(NEW, 2);
    scene.wait_for_weights("in", "(1.0.3)=100% (2.0.1)=0%");
    let nodes = scene.nodes();
    let outside = url(entry.at_node(nodes[0].addresses[0]));
    let inside = url(entry.at(entry.cluster_ips[0]));
    let pod = scene.asker(&nodes[0].name);
    scene.answers(&Asker::Outside, &["--url", &outside]);
    let load = Load::outside(&scene.cluster, &["--url", &outside, "--fresh", "--rate", "50/s"]).unwrap();
    let old = scene.app(OLD, 0).reference();
    scene.cluster.kubectl().scale(&scene.namespace, &old, 0).unwrap();
    for (from, to) in [(&Asker::Outside, &outside), (&pod, &inside)] {
        scene.comes_to_be_refused(from, &["--url", to]);
        // Refused at once: nobody waits for an answer that does not come.
        let tally = scene.cluster.ask(from, 20, &["--url", to]).unwrap();
        assert_eq!((tally.ok, tally.failed), (0, 20), "{tally:?}");
        assert!(tally.failures[0].contains("refused"), "{:?}", tally.failures);
    }
    scene.scale(OLD, 2);
    scene.answers(&Asker::Outside, &["--url", &outside]);
    scene.answers(&pod, &["--url", &inside]);
    let seen = load.stop().unwrap();
    assert_eq!(seen.of(NEW), 0, "{seen:?}");
    assert!(seen.of(OLD) > 0 && seen.failed > 0, "{seen:?}");
}

#[test]
fn a_version_without_pods_lends_its_weight_and_gets_it_back() {
    let scene = Scene::new("lends");
    scene.deploy(OLD, 2);
    scene.deploy(NEW, 2);
    let entry = scene.gateway("in", &json!({ "port": 8000, "selector": SELECTOR, "routes": three_to_one() }));
    let to = url(entry.at_node(scene.nodes()[0].addresses[0]));
    scene.answers(&Asker::Outside, &["--url", &to]);
    let load = Load::outside(&scene.cluster, &["--url", &to, "--fresh", "--rate", "50/s"]).unwrap();
    scene.scale(OLD, 0);
    scene.wait_for("in", "without endpoints of the old version", |gateway| {
        endpoints(gateway, OLD) == Some(0) && is_everywhere(gateway)
    });
    let from = load.from_now().unwrap();
    load.since(&from, 100).unwrap().check_share(NEW, 1.0).unwrap();
    scene.scale(OLD, 2);
    scene.wait_for("in", "with endpoints of the old version", |gateway| {
        endpoints(gateway, OLD).is_some_and(|count| count > 0) && is_everywhere(gateway)
    });
    let from = load.from_now().unwrap();
    load.since(&from, 300).unwrap().check_share(NEW, 0.25).unwrap();
    load.stop().unwrap().check_none_failed().unwrap();
}

#[test]
fn a_deployment_at_zero_keeps_its_route_for_longer_than_one_that_is_gone() {
    let scene = Scene::alone("zero");
    set_route_ttl(&scene);
    scene.deploy(OLD, 2);
    scene.deploy(NEW, 2);
    let entry = scene.gateway("in", &json!({ "port": 8000, "selector": SELECTOR, "routes": three_to_one() }));
    let to = url(entry.at_node(scene.nodes()[0].addresses[0]));
    scene.answers(&Asker::Outside, &["--url", &to]);
    let load = Load::outside(&scene.cluster, &["--url", &to, "--fresh", "--rate", "30/s"]).unwrap();
    scene.scale(NEW, 0);
    scene
        .wait_for("in", "without endpoints of the new version", |gateway| endpoints(gateway, NEW) == Some(0));
    // The time itself is what this is about.
    let_pass(3 * ROUTE_TTL);
    scene.wait_for_weights("in", "(1.0.3)=75% (2.0.1)=25%");
    scene.scale(NEW, 2);
    scene.wait_for("in", "with endpoints of the new version", |gateway| {
        endpoints(gateway, NEW).is_some_and(|count| count > 0) && is_everywhere(gateway)
    });
    let from = load.from_now().unwrap();
    check_three_to_one(&load.since(&from, 200).unwrap()).unwrap();
    // One that no workload is left of goes, and the others make up 100 % again.
    let new = scene.app(NEW, 0).reference();
    scene
        .cluster
        .kubectl()
        .patch(&scene.namespace, "wgw/in", &json!({ "spec": { "routes": null } }))
        .unwrap();
    scene.cluster.kubectl().run(&["-n", &scene.namespace, "delete", &new]).unwrap();
    scene.wait_for_weights("in", "(1.0.3)=100%");
    load.stop().unwrap().check_none_failed().unwrap();
}

/// Ready endpoints of a version's route, as the gateway's status has them.
fn endpoints(gateway: &Value, version: &str) -> Option<u64> {
    let routes = gateway["status"]["routes"].as_array()?;
    let route = routes.iter().find(|route| route["name"] == format!("({version})"))?;
    route["endpoints"].as_u64()
}

/// Has controllers forget routes without workloads soon; what deploy/ says is applied again when the scene ends.
fn set_route_ttl(scene: &Scene) {
    let ttl = format!("{}s", ROUTE_TTL.as_secs());
    let arguments = json!(["controller", "--route-ttl", ttl]);
    let patch =
        json!([{ "op": "replace", "path": "/spec/template/spec/containers/0/args", "value": arguments }]);
    let kubectl = scene.cluster.kubectl();
    let what = "deployment/weir-controller";
    kubectl.run(&["-n", SYSTEM, "patch", what, "--type", "json", "--patch", &patch.to_string()]).unwrap();
    scene.cluster.rolled_out(SYSTEM, what).unwrap();
    // Until the old leader is gone, it forgets later.
    let alone = came_true(PATIENCE, || {
        let pods = ["-n", SYSTEM, "get", "pods", "--selector", "app.kubernetes.io/component=controller"];
        kubectl.list(&pods).is_ok_and(|pods| pods.len() == 2)
    });
    assert!(alone, "old controllers do not end");
}
