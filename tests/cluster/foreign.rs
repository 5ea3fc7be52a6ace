//! What is not Weir's is left alone, and what would break nobody is told.

use gateway_tests::cluster::Asker;
use serde_json::{Value, json};

use crate::scene::{OLD, SELECTOR, Scene, condition, url};

#[test]
fn a_service_of_the_same_name_is_left_alone_and_told_of() {
    let scene = Scene::new("foreign");
    scene.deploy(OLD, 1);
    let kubectl = scene.cluster.kubectl();
    let theirs = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "namespace": scene.namespace, "name": "in" },
        "spec": { "selector": { "app": "other" }, "ports": [{ "port": 1234 }] },
    });
    kubectl.apply(&[theirs]).unwrap();
    let read = || kubectl.json(&["-n", &scene.namespace, "get", "service", "in"]).unwrap();
    let before = read();
    let spec = json!({ "port": 8000, "selector": SELECTOR });
    scene.apply("in", &spec).unwrap();
    let told = scene.wait_for("in", "told that the Service is another's", |gateway| {
        condition(gateway, "ServiceReady")["status"] == "False"
    });
    let message = condition(&told, "ServiceReady")["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("`in`") && message.contains("left alone"), "{message}");
    assert!(message.contains("rename") || message.contains("delete"), "no advice: {message}");
    // The gateway is changed, and the Service still is not.
    scene.apply("in", &json!({ "port": 8001, "selector": SELECTOR })).unwrap();
    scene.wait_for("in", "seen again", |gateway| {
        gateway["status"]["observedGeneration"] == gateway["metadata"]["generation"]
    });
    assert_eq!(read(), before);
    // As soon as it is gone the gateway gets its own.
    kubectl.run(&["-n", &scene.namespace, "delete", "service", "in"]).unwrap();
    scene.wait_for("in", "with its own Service", |gateway| {
        condition(gateway, "ServiceReady")["status"] == "True"
    });
    let entry = scene.settled("in");
    let to = url(entry.at_node(scene.nodes()[0].addresses[0]));
    scene.answers(&Asker::Outside, &["--url", &to]);
}

#[test]
fn services_and_slices_go_with_their_gateway() {
    let scene = Scene::new("orphans");
    scene.deploy(OLD, 1);
    let entry = scene.gateway("in", &json!({ "port": 8000, "selector": SELECTOR }));
    let to = url(entry.at_node(scene.nodes()[0].addresses[0]));
    scene.answers(&Asker::Outside, &["--url", &to]);
    let kubectl = scene.cluster.kubectl();
    kubectl.run(&["-n", &scene.namespace, "delete", "wgw", "in"]).unwrap();
    scene.comes_to_be_refused(&Asker::Outside, &["--url", &to]);
    let left = || kubectl.list(&["-n", &scene.namespace, "get", "services,endpointslices"]);
    let gone = gateway_tests::came_true(gateway_tests::cluster::PATIENCE, || {
        left().is_ok_and(|left| left.is_empty())
    });
    assert!(gone, "{:?}", left().map(|left| left.iter().map(name).collect::<Vec<_>>()));
}

fn name(object: &Value) -> String {
    format!("{}/{}", object["kind"], object["metadata"]["name"])
}
