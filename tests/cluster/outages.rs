//! The API is away: traffic goes on, nothing is lost, and what has changed meanwhile is followed when it is back.

use std::time::Duration;

use gateway_tests::{
    came_true,
    cluster::{Asker, Load, PATIENCE, SYSTEM},
    let_pass,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::scene::{Entry, NEW, OLD, SELECTOR, Scene, check_three_to_one, three_to_one, url};

/// How long the API is away.
const OUTAGE: Duration = Duration::from_mins(1);

/// Two versions, a gateway, and loads that must not fail: from outside and from a pod, on fresh connections.
struct Shop {
    scene: Scene,
    entry: Entry,
    loads: Vec<Load>,
    pod: Asker,
}

impl Shop {
    fn open(tag: &str) -> Self {
        let scene = Scene::alone(tag);
        let home = scene.nodes()[0].name.clone();
        scene.deploy_on(&home, OLD, 2);
        scene.deploy_on(&home, NEW, 2);
        let spec = json!({ "port": 8000, "selector": SELECTOR, "routes": three_to_one() });
        let entry = scene.gateway("in", &spec);
        let pod = scene.asker(&home);
        let mut shop = Self { scene, entry, loads: Vec::new(), pod };
        let (outside, inside) = (shop.outside(), shop.inside());
        shop.scene.answers(&Asker::Outside, &["--url", &outside]);
        shop.scene.answers(&shop.pod, &["--url", &inside]);
        let arguments = |url| ["--url", url, "--fresh", "--rate", "30/s"];
        let cluster = &shop.scene.cluster;
        let loads = [
            Load::outside(cluster, &arguments(&outside)),
            // By a process in the pod's place: what a pod writes cannot be read without the API.
            Load::start(shop.scene.nodes()[0].command(weir_app()).unwrap(), &arguments(&inside)),
        ];
        shop.loads.extend(loads.map(Result::unwrap));
        shop
    }

    fn outside(&self) -> String {
        url(self.entry.at_node(self.scene.nodes()[0].addresses[0]))
    }

    fn inside(&self) -> String {
        url(self.entry.at(self.entry.cluster_ips[0]))
    }

    /// Everything goes on as before: three to one, nothing failed.
    fn goes_on(&self) {
        for load in &self.loads {
            let from = load.from_now().unwrap();
            check_three_to_one(&load.since(&from, 200).unwrap()).unwrap();
            load.tally().unwrap().check_none_failed().unwrap();
        }
    }

    fn close(mut self) {
        for load in self.loads.drain(..) {
            load.stop().unwrap().check_none_failed().unwrap();
        }
    }
}

fn weir_app() -> &'static str {
    gateway_tests::cluster::load::weir_app().unwrap().to_str().unwrap()
}

#[test]
fn the_api_is_away_for_a_minute_and_nobody_notices() {
    let shop = Shop::open("outage");
    shop.scene.cluster.stop_api().unwrap();
    // The time itself is what this is about: watches time out, leases run out.
    let_pass(OUTAGE);
    shop.goes_on();
    shop.scene.cluster.start_api().unwrap();
    shop.goes_on();
    // What comes after it is followed: weights, pods, versions.
    let half = json!({ format!("({OLD})"): { "weight": "50%" }, format!("({NEW})"): { "weight": "50%" } });
    let spec = json!({ "port": 8000, "selector": SELECTOR, "routes": half });
    shop.scene.gateway("in", &spec);
    shop.scene.wait_for_weights("in", "(1.0.3)=50% (2.0.1)=50%");
    for load in &shop.loads {
        let from = load.from_now().unwrap();
        load.since(&from, 200).unwrap().check_share(NEW, 0.5).unwrap();
    }
    shop.close();
}

#[test]
fn an_agent_that_starts_without_the_api_gives_the_same_answers() {
    let shop = Shop::open("orphan");
    let node = shop.scene.nodes()[0].clone();
    let agent = agent_of(&shop.scene, &node.name);
    let before = processes(&shop.scene, &agent);
    assert_eq!(before.len(), 1, "{agent} is one process: {before:?}");
    shop.scene.cluster.stop_api().unwrap();
    kill_process(Pid::from_raw(before[0]).unwrap(), Signal::KILL).unwrap();
    // The kubelet starts it again by itself.
    let again = came_true(PATIENCE, || {
        let now = processes(&shop.scene, &agent);
        !now.is_empty() && !now.contains(&before[0])
    });
    assert!(again, "{agent} is not started again");
    shop.goes_on();
    let_pass(Duration::from_secs(10));
    shop.goes_on();
    shop.scene.cluster.start_api().unwrap();
    shop.scene.cluster.rolled_out(SYSTEM, "daemonset/weir-agent").unwrap();
    shop.scene.settled("in");
    shop.goes_on();
    shop.close();
}

#[test]
fn an_agent_that_may_not_list_takes_nothing_for_nothing() {
    let shop = Shop::open("blind");
    let kubectl = shop.scene.cluster.kubectl();
    // Everything but slices is told: a gateway without endpoints is what a careless agent would make of that.
    let role = kubectl.json(&["get", "clusterrole", "weir-agent"]).unwrap();
    let rules = role["rules"].as_array().unwrap();
    let position = rules.iter().position(|rule| rule["apiGroups"][0] == "discovery.k8s.io").unwrap();
    let its_path = format!("/rules/{position}");
    let patch = json!([{ "op": "remove", "path": its_path }]).to_string();
    kubectl.run(&["patch", "clusterrole", "weir-agent", "--type", "json", "--patch", &patch]).unwrap();
    let node = shop.scene.nodes()[0].clone();
    let agent = agent_of(&shop.scene, &node.name);
    let before = processes(&shop.scene, &agent);
    kill_process(Pid::from_raw(before[0]).unwrap(), Signal::KILL).unwrap();
    let again = came_true(PATIENCE, || {
        let now = processes(&shop.scene, &agent);
        !now.is_empty() && !now.contains(&before[0])
    });
    assert!(again, "{agent} is not started again");
    let_pass(Duration::from_secs(10));
    shop.goes_on();
    // Allowed again, it is ready again; the scene's end applies deploy/ anew in any case.
    kubectl.apply(&[clean(&role)]).unwrap();
    shop.scene.cluster.rolled_out(SYSTEM, "daemonset/weir-agent").unwrap();
    shop.goes_on();
    shop.close();
}

/// An object as it can be applied.
fn clean(object: &Value) -> Value {
    let mut object = object.clone();
    for field in ["managedFields", "resourceVersion", "uid", "creationTimestamp"] {
        object["metadata"].as_object_mut().unwrap().remove(field);
    }
    object
}

/// Name of the agent's pod on a node.
pub fn agent_of(scene: &Scene, node: &str) -> String {
    let field = format!("spec.nodeName={node}");
    let label = "app.kubernetes.io/component=agent";
    let pods = ["-n", SYSTEM, "get", "pods", "--selector", label, "--field-selector", field.as_str()];
    let pods = scene.cluster.kubectl().list(&pods).unwrap();
    pods[0]["metadata"]["name"].as_str().unwrap().to_owned()
}

/// The long-running processes of a pod of Weir, whatever node it is on; probes come and go.
pub fn processes(scene: &Scene, pod: &str) -> Vec<i32> {
    let all = scene.nodes().into_iter().flat_map(|node| node.processes_of(SYSTEM, pod).unwrap_or_default());
    let is_probe = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        !line.split(|byte| *byte == 0).any(|word| word == b"agent" || word == b"controller")
    };
    all.filter(|pid| !is_probe(pid)).collect()
}
