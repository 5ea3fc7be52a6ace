//! What an agent may not do though it writes such objects: speak for other nodes.

use gateway_tests::{
    Cluster, came_true,
    cluster::{PATIENCE, SYSTEM},
};
use kube::{
    Api, Client, Config, Error,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};

use crate::scene::{SELECTOR, Scene};

/// Who asks with the token that the agent of a node has.
struct Agent(Kubeconfig);

impl Agent {
    fn of(cluster: &Cluster, node: &str) -> Self {
        let kubectl = cluster.kubectl();
        let on_node = format!("spec.nodeName={node}");
        let label = "app.kubernetes.io/component=agent";
        let pods = ["-n", SYSTEM, "get", "pods", "--selector", label, "--field-selector", &on_node];
        let pods = kubectl.list(&pods).unwrap();
        let pod = pods[0]["metadata"]["name"].as_str().unwrap();
        let bound = ["--bound-object-kind", "Pod", "--bound-object-name", pod];
        let token = kubectl.run(&[&["-n", SYSTEM, "create", "token", "weir-agent"][..], &bound].concat());
        let server = "jsonpath={.clusters[0].cluster.server}";
        let server = kubectl.run(&["config", "view", "--minify", "--output", server]).unwrap();
        let config = json!({
            "clusters": [{ "name": "c", "cluster": { "server": server, "insecure-skip-tls-verify": true } }],
            "users": [{ "name": "u", "user": { "token": token.unwrap().trim() } }],
            "contexts": [{ "name": "x", "context": { "cluster": "c", "user": "u" } }],
            "current-context": "x",
        });
        Self(serde_json::from_value(config).unwrap())
    }

    /// Writes a change; what the API server says where it refuses.
    fn patch(&self, object: &Object<'_>, change: &Value) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let written = runtime.block_on(async {
            let options = KubeConfigOptions::default();
            let config = Config::from_custom_kubeconfig(self.0.clone(), &options).await.unwrap();
            let client = Client::try_from(config).unwrap();
            let (params, change) = (PatchParams::default(), Patch::Merge(change));
            match *object {
                Object::WeirNode(name) => {
                    api(client, "weir.dev", "WeirNode", None).patch_status(name, &params, &change).await
                }
                Object::Lease(name) => {
                    api(client, "coordination.k8s.io", "Lease", Some(SYSTEM))
                        .patch(name, &params, &change)
                        .await
                }
            }
        });
        match written {
            Ok(_) => Ok(()),
            Err(Error::Api(status)) => Err(status.message),
            Err(error) => panic!("{error}"),
        }
    }
}

enum Object<'a> {
    WeirNode(&'a str),
    Lease(&'a str),
}

fn api(client: Client, group: &str, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
    match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &kind),
        None => Api::all_with(client, &kind),
    }
}

#[test]
fn an_agent_acknowledges_for_its_own_node_only() {
    let scene = Scene::new("rights");
    let nodes = scene.nodes();
    let (own, other) = (&nodes[0].name, &nodes[1].name);
    let agent = Agent::of(&scene.cluster, own);
    let change = json!({ "status": { "programmed": "1" } });
    let write = |node: &str| agent.patch(&Object::WeirNode(node), &change);
    let refused = write(other).unwrap_err();
    let expected = format!("the agent of node {own} may write the WeirNode of that name only, not {other}");
    assert!(refused.contains(&expected), "{refused}");
    write(own).unwrap();
}

#[test]
fn an_agent_takes_no_lease_of_the_leaders_and_none_for_another_node() {
    let scene = Scene::new("leases");
    let kubectl = scene.cluster.kubectl();
    let nodes = scene.nodes();
    let agent = Agent::of(&scene.cluster, &nodes[0].name);
    let hold = |node: &str| json!({ "spec": { "holderIdentity": node } });
    let leader = kubectl.list(&["-n", SYSTEM, "get", "leases", "--selector", "!weir.dev/announces"]).unwrap();
    let leader = leader[0]["metadata"]["name"].as_str().unwrap();
    let refused = agent.patch(&Object::Lease(leader), &hold(&nodes[0].name)).unwrap_err();
    assert!(refused.contains("an agent may write Leases of addresses only"), "{refused}");
    scene
        .apply("in", &json!({ "port": 8000, "selector": SELECTOR, "service": { "type": "LoadBalancer" } }))
        .unwrap();
    let mut addresses = Vec::new();
    let are_there = came_true(PATIENCE, || {
        let of_addresses = ["-n", SYSTEM, "get", "leases", "--selector", "weir.dev/announces=true"];
        addresses = kubectl.list(&of_addresses).unwrap_or_default();
        !addresses.is_empty()
    });
    assert!(are_there, "no Lease for the address of a load balancer");
    let address = addresses[0]["metadata"]["name"].as_str().unwrap();
    let refused = agent.patch(&Object::Lease(address), &hold(&nodes[1].name)).unwrap_err();
    assert!(refused.contains("may hold a Lease for that node only"), "{refused}");
}
