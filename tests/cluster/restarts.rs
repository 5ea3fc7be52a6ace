//! Controllers, agents and nodes die and come back: traffic goes on, and what is in force converges.

use gateway_tests::{
    came_true,
    cluster::{Asker, Load, PATIENCE, SYSTEM},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::{
    outages::{agent_of, processes},
    scene::{Entry, NEW, OLD, SELECTOR, Scene, check_three_to_one, three_to_one, url},
};

/// The old version alone, on one node, and a load from outside that must not fail.
fn open(tag: &str) -> (Scene, Entry, Load) {
    let scene = Scene::alone(tag);
    let home = scene.nodes()[0].name.clone();
    scene.deploy_on(&home, OLD, 2);
    let entry = scene.gateway("in", &json!({ "port": 8000, "selector": SELECTOR }));
    let to = url(entry.at_node(scene.nodes()[0].addresses[0]));
    scene.answers(&Asker::Outside, &["--url", &to]);
    let load = Load::outside(&scene.cluster, &["--url", &to, "--fresh", "--rate", "50/s"]).unwrap();
    (scene, entry, load)
}

/// Pods of the controllers.
fn controllers(scene: &Scene) -> Vec<String> {
    let label = "app.kubernetes.io/component=controller";
    let pods = scene.cluster.kubectl().list(&["-n", SYSTEM, "get", "pods", "--selector", label]).unwrap();
    pods.iter().map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

/// The pod that leads, as the lease says.
fn leader(scene: &Scene) -> Option<String> {
    let lease = scene.cluster.kubectl().json(&["-n", SYSTEM, "get", "lease", "weir-controller"]).ok()?;
    let holder = lease["spec"]["holderIdentity"].as_str()?;
    controllers(scene).into_iter().find(|name| holder.contains(name.as_str()))
}

fn kill(scene: &Scene, pod: &str) {
    let processes = processes(scene, pod);
    assert!(!processes.is_empty(), "{pod} has no process");
    for process in processes {
        kill_process(Pid::from_raw(process).unwrap(), Signal::KILL).unwrap();
    }
}

/// A new version comes, and gets its route and its share.
fn follows(scene: &Scene, load: &Load) {
    scene.deploy_on(&scene.nodes()[0].name, NEW, 2);
    scene.wait_for_weights("in", "(1.0.3)=100% (2.0.1)=0%");
    let spec = json!({ "port": 8000, "selector": SELECTOR, "routes": three_to_one() });
    scene.gateway("in", &spec);
    scene.wait_for_weights("in", "(1.0.3)=75% (2.0.1)=25%");
    let from = load.from_now().unwrap();
    check_three_to_one(&load.since(&from, 200).unwrap()).unwrap();
}

#[test]
fn an_acknowledgement_that_somebody_deletes_is_written_again() {
    let scene = Scene::new("acknowledged");
    let kubectl = scene.cluster.kubectl();
    let what = format!("weirnode/{}", scene.nodes()[0].name);
    let uid = |node: &Value| node["metadata"]["uid"].clone();
    let before = uid(&kubectl.json(&["get", &what]).unwrap());
    kubectl.run(&["delete", &what]).unwrap();
    let again = came_true(PATIENCE, || {
        let now = kubectl.json(&["get", &what]).unwrap_or_default();
        now["status"]["phase"] == "Serving" && uid(&now) != before
    });
    assert!(again, "{what} is missing");
}

#[test]
fn the_leading_controller_is_killed_and_another_leads() {
    let (scene, _entry, load) = open("leader");
    let mut before = None;
    assert!(came_true(PATIENCE, || {
        before = leader(&scene);
        before.is_some()
    }));
    let before = before.unwrap();
    let kubectl = scene.cluster.kubectl();
    kubectl.run(&["-n", SYSTEM, "delete", "pod", &before, "--grace-period=0", "--force"]).unwrap();
    let another = came_true(PATIENCE, || leader(&scene).is_some_and(|now| now != before));
    assert!(another, "nobody leads after {before}");
    follows(&scene, &load);
    load.stop().unwrap().check_none_failed().unwrap();
}

#[test]
fn both_controllers_are_killed_at_once() {
    let (scene, _entry, load) = open("leaders");
    let both = controllers(&scene);
    assert_eq!(both.len(), 2, "{both:?}");
    for pod in &both {
        kill(&scene, pod);
    }
    follows(&scene, &load);
    load.stop().unwrap().check_none_failed().unwrap();
}

#[test]
fn an_agent_is_killed_and_its_node_serves_on() {
    let (scene, entry, load) = open("agent");
    let node = scene.nodes()[0].clone();
    let inside = url(entry.at(entry.cluster_ips[0]));
    let pod = scene.asker(&node.name);
    scene.answers(&pod, &["--url", &inside]);
    let agent = agent_of(&scene, &node.name);
    for _ in 0..3 {
        let before = processes(&scene, &agent);
        kill(&scene, &agent);
        // New connections, while nobody is there to write maps.
        scene.cluster.ask(&pod, 20, &["--url", &inside]).unwrap().check_none_failed().unwrap();
        let again = came_true(PATIENCE, || {
            let now = processes(&scene, &agent);
            !now.is_empty() && now.iter().all(|one| !before.contains(one))
        });
        assert!(again, "{agent} is not started again");
    }
    scene.cluster.rolled_out(SYSTEM, "daemonset/weir-agent").unwrap();
    follows(&scene, &load);
    load.stop().unwrap().check_none_failed().unwrap();
}

#[test]
fn agents_are_rolled_and_no_connection_is_lost() {
    let (scene, entry, load) = open("rolled");
    let to = url(entry.at_node(scene.nodes()[0].addresses[0]));
    let kept = Load::outside(&scene.cluster, &["--url", &to, "--rate", "50/s"]).unwrap();
    let kubectl = scene.cluster.kubectl();
    kubectl.run(&["-n", SYSTEM, "rollout", "restart", "daemonset/weir-agent"]).unwrap();
    scene.cluster.rolled_out(SYSTEM, "daemonset/weir-agent").unwrap();
    follows(&scene, &load);
    for load in [load, kept] {
        load.stop().unwrap().check_none_failed().unwrap();
    }
}

#[test]
fn a_node_reboots_and_answers_again() {
    let (mut scene, entry, load) = open("reboot");
    let node = scene.nodes().last().unwrap().name.clone();
    scene.cluster.reboot(&node).unwrap();
    let ready = |node: &Value| {
        let conditions = node["status"]["conditions"].as_array().into_iter().flatten();
        conditions.into_iter().any(|one| one["type"] == "Ready" && one["status"] == "True")
    };
    scene.cluster.wait_for("default", &format!("node/{node}"), "ready", PATIENCE, ready).unwrap();
    scene.cluster.rolled_out(SYSTEM, "daemonset/weir-agent").unwrap();
    follows(&scene, &load);
    let nodes = scene.nodes();
    let rebooted = nodes.iter().find(|one| one.name == node).unwrap();
    for address in &rebooted.addresses[..1] {
        let to = url(entry.at_node(*address));
        scene.answers(&Asker::Outside, &["--url", &to]);
        check_three_to_one(&scene.cluster.ask(&Asker::Outside, 200, &["--url", &to]).unwrap()).unwrap();
    }
    load.stop().unwrap().check_none_failed().unwrap();
}
