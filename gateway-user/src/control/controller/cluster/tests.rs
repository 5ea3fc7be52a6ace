//! What is written because of what: from changes to work, without an API server.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod, discovery::v1::EndpointSlice};
use serde_json::{Value, json};

use super::*;
use crate::control::{
    agent::store::Event,
    controller::{
        reconcile::{self, Found, May},
        watch::Change,
    },
    resource::WeirGateway,
    translate,
};

const NOW: u64 = 1_800_000_000;

/// A cluster as the API server would tell of it: what is written comes back as an event.
struct Story {
    cluster: Cluster,
    version: u64,
    gateway: Value,
    now: u64,
}

impl Story {
    /// Everything is known; nothing is there but pods of these versions.
    fn begin(versions: &[&str]) -> Self {
        let mut cluster = Cluster::new("weir-system", Duration::from_hours(1));
        for change in vec![
            Change::Gateway(Event::Begin),
            Change::Gateway(Event::End),
            Change::Pod(Event::Begin),
            Change::Pod(Event::End),
            Change::Slice(Event::Begin),
            Change::Slice(Event::End),
            Change::Service(Event::Begin),
            Change::Service(Event::End),
            Change::Node(Event::Begin),
            Change::Node(Event::End),
            Change::Agent(Event::Begin),
            Change::Agent(Event::End),
            Change::Pool(Event::Begin),
            Change::Pool(Event::End),
        ] {
            cluster.handle(change);
        }
        for kind in OWNERS {
            cluster.handle(Change::Owner(kind, Event::Begin));
            cluster.handle(Change::Owner(kind, Event::End));
        }
        assert_eq!(cluster.unknown(), [""; 0]);
        cluster.begin(NOW);
        let gateway = json!({
            "apiVersion": "weir.dev/v1", "kind": "WeirGateway",
            "metadata": { "name": "foo", "namespace": "shop", "uid": "u", "generation": 1,
                          "creationTimestamp": "2026-01-01T00:00:00Z" },
            "spec": { "selector": "label(app)(foo) && label(version)((.*))" },
        });
        let mut story = Self { cluster, version: 1, gateway, now: NOW };
        for version in versions {
            story.pod(version, true);
        }
        story
    }

    fn pod(&mut self, version: &str, is_ready: bool) {
        self.pod_that_says(version, is_ready, is_ready);
    }

    /// A pod, as its kubelet has it, and as Kubernetes does.
    fn pod_that_says(&mut self, version: &str, says_ready: bool, is_ready: bool) {
        let at = version.bytes().map(u32::from).sum::<u32>() % 250 + 1;
        let [said, ready] = [says_ready, is_ready].map(|is| if is { "True" } else { "False" });
        let pod: Pod = serde_json::from_value(json!({
            "metadata": { "name": format!("foo-{version}"), "namespace": "shop", "uid": version,
                          "labels": { "app": "foo", "version": version },
                          "creationTimestamp": "2026-01-01T00:00:00Z" },
            "spec": { "nodeName": "n1", "containers":
                [{ "name": "a", "ports": [{ "name": "http", "containerPort": 8080 }] }] },
            "status": { "phase": "Running", "podIPs": [{ "ip": format!("10.0.0.{at}") }],
                        "conditions": [{ "type": "Ready", "status": ready },
                                       { "type": "ContainersReady", "status": said }] },
        }))
        .unwrap();
        self.cluster.handle(Change::Pod(Event::Applied(translate::pod(&pod).unwrap())));
    }

    fn deployment(&mut self, version: &str) {
        let object: Deployment = serde_json::from_value(json!({
            "metadata": { "name": format!("foo-{version}"), "namespace": "shop",
                          "creationTimestamp": "2026-01-01T00:00:00Z" },
            "spec": { "replicas": 0, "selector": {}, "template": {
                "metadata": { "labels": { "app": "foo", "version": version } },
                "spec": { "containers": [{ "name": "a" }] } } },
        }))
        .unwrap();
        let facts = translate::owner(&object).unwrap();
        self.cluster.handle(Change::Owner("deployment", Event::Applied(facts)));
    }

    /// The gateway as it is now, with a new version.
    fn facts(&mut self) -> GatewayFacts {
        self.version += 1;
        self.gateway["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let object: WeirGateway = serde_json::from_value(self.gateway.clone()).unwrap();
        translate::gateway(&object)
    }

    fn declare(&mut self, spec: Value) {
        self.gateway["spec"] = spec;
        self.gateway["metadata"]["generation"] =
            json!(self.gateway["metadata"]["generation"].as_i64().unwrap() + 1);
        let facts = self.facts();
        self.cluster.handle(Change::Gateway(Event::Applied(facts)));
    }

    /// Looks, and has written what is to be written; gives that.
    fn settle(&mut self) -> Found {
        let look = self.cluster.look(self.now);
        let key = GatewayKey::new("shop", "foo");
        let stale = look.stale.get(&key).copied().unwrap_or_default();
        let may = May { counts: true, service: true };
        let found = reconcile::find(&self.cluster, &key, stale, None, may);
        for slice in found.work.create.iter().chain(&found.work.change) {
            self.version += 1;
            let mut slice = slice.clone();
            slice.metadata.resource_version = Some(self.version.to_string());
            slice.metadata.uid.clone_from(&slice.metadata.name);
            self.cluster.handle(Change::Slice(Event::Applied(translate::slice(slice))));
        }
        for (name, _) in &found.work.delete {
            self.cluster.handle(Change::Slice(Event::Deleted(("shop".to_owned(), name.clone()), 0)));
        }
        if let Some((_, status)) = &found.work.status {
            self.gateway["status"] = json!(status);
            let facts = self.facts();
            self.cluster.handle(Change::OwnStatus(Box::new(facts)));
        }
        found
    }

    fn weights(&self) -> &str {
        self.gateway["status"]["weights"].as_str().unwrap_or_default()
    }

    fn accepted(&self) -> (&str, &str) {
        let condition = &self.gateway["status"]["conditions"][0];
        (condition["status"].as_str().unwrap(), condition["message"].as_str().unwrap())
    }
}

fn routes(slices: &[EndpointSlice]) -> Vec<&str> {
    let route = |slice: &EndpointSlice| slice.metadata.annotations.as_ref().unwrap()["weir.dev/route"].len();
    assert!(slices.iter().all(|slice| route(slice) > 0));
    slices
        .iter()
        .map(|slice| slice.metadata.annotations.as_ref().unwrap()["weir.dev/route"].as_str())
        .collect()
}

fn spec(extra: &Value) -> Value {
    let mut spec = json!({ "selector": "label(app)(foo) && label(version)((.*))" });
    for (name, value) in extra.as_object().unwrap() {
        spec[name] = value.clone();
    }
    spec
}

#[test]
fn a_gateway_gets_slices_a_service_and_a_status_and_then_nothing_more() {
    let mut story = Story::begin(&["1.0.3"]);
    story.declare(spec(&json!({})));
    let found = story.settle();
    assert_eq!(routes(&found.work.create), ["(1.0.3)"]);
    assert!(found.work.service.is_some_and(|(_, exists)| !exists));
    assert_eq!(story.weights(), "(1.0.3)=100%");
    let again = story.settle();
    assert!(again.work.create.is_empty() && again.work.change.is_empty() && again.work.status.is_none());
}

#[test]
fn a_new_version_gets_a_route_with_nothing_and_weights_move_by_the_spec() {
    let mut story = Story::begin(&["1.0.3"]);
    story.declare(spec(&json!({})));
    story.settle();
    story.pod("2.0.1", true);
    let found = story.settle();
    assert_eq!(routes(&found.work.create), ["(2.0.1)"]);
    assert_eq!(found.work.change.len(), 0, "the other version's slice is as it was");
    assert_eq!(story.weights(), "(1.0.3)=100% (2.0.1)=0%");
    story.declare(spec(
        &json!({ "routes": { "(1.0.3)": { "weight": "95%" }, "(2.0.1)": { "weight": "5%" } } }),
    ));
    story.settle();
    assert_eq!(story.weights(), "(1.0.3)=95% (2.0.1)=5%");
}

#[test]
fn a_spec_that_is_wrong_keeps_what_was_in_force_and_endpoints_are_followed_on() {
    let mut story = Story::begin(&["1.0.3"]);
    story.declare(spec(&json!({})));
    story.settle();
    story.declare(json!({ "selector": "label(app)(foo" }));
    let found = story.settle();
    assert_eq!(story.accepted().0, "False");
    assert!(story.accepted().1.contains("column"), "{}", story.accepted().1);
    assert_eq!(story.weights(), "(1.0.3)=100%");
    assert!(found.told.iter().any(|(reason, _, is_warning)| *reason == "NotAccepted" && *is_warning));
    story.pod("1.0.3", false);
    assert_eq!(routes(&story.settle().work.change), ["(1.0.3)"], "the last good spec is in force");
    // Another leader knows of it by the status alone.
    story.cluster.rest(NOW);
    story.cluster.begin(NOW);
    story.pod("1.0.3", true);
    assert_eq!(routes(&story.settle().work.change), ["(1.0.3)"]);
    assert_eq!(story.weights(), "(1.0.3)=100%");
}

#[test]
fn a_new_leader_goes_on_with_the_weights_that_are_in_force() {
    let mut story = Story::begin(&["1.0.3", "2.0.1"]);
    story.declare(spec(
        &json!({ "routes": { "(1.0.3)": { "weight": "60%" }, "(2.0.1)": { "weight": "40%" } } }),
    ));
    story.settle();
    let before = story.gateway["status"]["routes"].clone();
    story.cluster.rest(NOW + 5);
    story.cluster.begin(NOW + 5);
    story.now += 5;
    let found = story.settle();
    assert_eq!(story.gateway["status"]["routes"], before);
    assert!(found.work.create.is_empty() && found.work.change.is_empty() && found.work.delete.is_empty());
}

#[test]
fn what_another_leader_wrote_late_counts() {
    let mut story = Story::begin(&["1.0.3", "2.0.1"]);
    story.declare(spec(&json!({})));
    story.settle();
    story.gateway["status"]["routes"][0]["weight"] = json!("70%");
    story.gateway["status"]["routes"][1]["weight"] = json!("30%");
    let facts = story.facts();
    story.cluster.handle(Change::Gateway(Event::Applied(facts)));
    story.settle();
    assert_eq!(story.weights(), "(1.0.3)=70% (2.0.1)=30%");
}

#[test]
fn a_route_stays_as_long_as_its_deployment_does_and_for_a_while_longer() {
    let mut story = Story::begin(&["1.0.3", "2.0.1"]);
    story.deployment("2.0.1");
    story.declare(spec(
        &json!({ "routes": { "(1.0.3)": { "weight": "60%" }, "(2.0.1)": { "weight": "40%" } } }),
    ));
    story.settle();
    story.declare(spec(&json!({})));
    story.settle();
    let pod = ("shop".to_owned(), "foo-2.0.1".to_owned());
    story.cluster.handle(Change::Pod(Event::Deleted(pod.clone(), 0)));
    let found = story.settle();
    assert_eq!(found.work.delete.len(), 1, "its endpoints are gone");
    story.now += 7_200;
    story.settle();
    assert_eq!(story.gateway["status"]["routes"][1]["state"], "Waiting");
    story.cluster.handle(Change::Owner("deployment", Event::Deleted(pod, 0)));
    story.settle();
    assert_eq!(story.gateway["status"]["routes"][1]["state"], "Gone");
    story.now += 3_601;
    story.settle();
    assert_eq!(story.weights(), "(1.0.3)=100%");
}

#[test]
fn a_listed_route_is_gone_after_a_while_and_another_leader_knows() {
    let mut story = Story::begin(&["1.0.3", "2.0.1"]);
    let listed = json!({ "routes": { "(1.0.3)": { "weight": "60%" }, "(2.0.1)": { "weight": "40%" } } });
    story.declare(spec(&listed));
    story.settle();
    let pod = ("shop".to_owned(), "foo-2.0.1".to_owned());
    story.cluster.handle(Change::Pod(Event::Deleted(pod, 0)));
    story.settle();
    let state = |story: &Story| story.gateway["status"]["routes"][1]["state"].clone();
    assert_eq!((story.weights(), state(&story)), ("(1.0.3)=60% (2.0.1)=40%", json!("Waiting")));
    story.now += 3_600;
    assert_eq!(story.cluster.deadline(), Some(story.now));
    story.settle();
    assert_eq!((story.weights(), state(&story)), ("(1.0.3)=100% (2.0.1)=0%", json!("Gone")));
    assert_eq!(story.cluster.deadline(), None);
    story.cluster.rest(story.now);
    story.cluster.begin(story.now);
    assert!(story.settle().work.status.is_none(), "there is nothing new to say of it");
    story.pod("2.0.1", true);
    story.settle();
    assert_eq!((story.weights(), state(&story)), ("(1.0.3)=100% (2.0.1)=0%", json!("Serving")));
}

#[test]
fn a_gateway_made_again_under_its_name_is_another() {
    let mut story = Story::begin(&["1.0.3", "2.0.1"]);
    story.declare(spec(
        &json!({ "routes": { "(1.0.3)": { "weight": "60%" }, "(2.0.1)": { "weight": "40%" } } }),
    ));
    story.settle();
    story.gateway["metadata"]["uid"] = json!("v");
    story.gateway.as_object_mut().unwrap().remove("status");
    story.declare(spec(&json!({})));
    story.settle();
    assert_eq!(story.weights(), "(1.0.3)=100% (2.0.1)=0%");
}

#[test]
fn nodes_have_a_gateway_once_they_acknowledge_the_version_that_changed_it() {
    let mut story = Story::begin(&["1.0.3"]);
    let node = |name: &str| NodeSeen { key: (String::new(), name.to_owned()), zone: None, is_heard: true };
    let ack = |name: &str, programmed: u64| translate::AgentSeen {
        key: (String::new(), name.to_owned()),
        uid: String::new(),
        programmed,
        failed: Vec::new(),
    };
    for name in ["n1", "n2"] {
        story.cluster.handle(Change::Node(Event::Applied(node(name))));
        story.cluster.handle(Change::Agent(Event::Applied(ack(name, 1))));
    }
    story.cluster.handle(Change::Agent(Event::Applied(ack("gone", 1))));
    story.declare(spec(&json!({})));
    story.settle();
    assert_eq!(
        story.gateway["status"]["nodes"],
        json!({ "programmed": 0, "total": 2, "lagging": ["n1", "n2"] })
    );
    let version = story.version;
    story.cluster.handle(Change::Agent(Event::Applied(ack("n1", version))));
    story.settle();
    assert_eq!(story.gateway["status"]["nodes"], json!({ "programmed": 1, "total": 2, "lagging": ["n2"] }));
    story.cluster.handle(Change::Agent(Event::Applied(ack("n2", version))));
    story.settle();
    assert_eq!(story.gateway["status"]["conditions"][2]["status"], "True");
    let gone: Vec<String> = story.cluster.acks_of_nobody().into_iter().map(|(name, _)| name).collect();
    assert_eq!(gone, ["gone"]);
}

#[test]
fn an_empty_list_of_pods_beside_endpoints_is_doubted() {
    let mut cluster = Cluster::new("weir-system", Duration::from_hours(1));
    cluster.handle(Change::Pod(Event::Begin));
    cluster.handle(Change::Pod(Event::End));
    let slice: EndpointSlice = serde_json::from_value(json!({
        "metadata": { "name": "foo-1", "namespace": "shop", "labels": { "weir.dev/gateway": "foo" } },
        "addressType": "IPv4",
        "endpoints": [{ "addresses": ["10.0.0.1"], "conditions": { "ready": true } }],
    }))
    .unwrap();
    cluster.handle(Change::Slice(Event::Begin));
    cluster.handle(Change::Slice(Event::Listed(translate::slice(slice))));
    cluster.handle(Change::Slice(Event::End));
    assert!(cluster.is_doubtful());
}

#[test]
fn pods_that_are_taken_for_not_ready_after_an_outage_serve_on() {
    let mut story = Story::begin(&["1.0.3", "2.0.1"]);
    let node =
        |name: &str, is_heard| NodeSeen { key: (String::new(), name.to_owned()), zone: None, is_heard };
    let hear = |story: &mut Story, [one, other]: [bool; 2]| {
        story.cluster.handle(Change::Node(Event::Applied(node("n1", one))));
        story.settle();
        story.cluster.handle(Change::Node(Event::Applied(node("n2", other))));
        story.settle();
    };
    let state = |story: &Story| story.gateway["status"]["routes"][0]["state"].clone();
    story.declare(spec(&json!({})));
    hear(&mut story, [true, true]);
    // The API server was away: nobody is heard, and that is held against the pods.
    hear(&mut story, [false, false]);
    story.pod_that_says("1.0.3", true, false);
    story.settle();
    assert_eq!(state(&story), "Serving");
    story.now += 1_000;
    hear(&mut story, [false, true]);
    assert_eq!(state(&story), "Serving", "the nodes come back one by one");
    // This one does not.
    story.now = story.cluster.deadline().unwrap();
    story.settle();
    assert_eq!(state(&story), "Waiting");
    story.pod("1.0.3", true);
    hear(&mut story, [true, true]);
    assert_eq!(state(&story), "Serving");
    // A pod that says so itself is not ready at once.
    story.pod("1.0.3", false);
    story.settle();
    assert_eq!(state(&story), "Waiting");
}
