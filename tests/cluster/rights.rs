//! What an agent may not do though it writes such objects: speak for other nodes.

use anyhow::Result;
use gateway_tests::{Cluster, cluster::SYSTEM};

use crate::scene::Scene;

/// Who asks with the token that the agent of a node has.
struct Agent<'a> {
    cluster: &'a Cluster,
    server: String,
    token: String,
}

impl<'a> Agent<'a> {
    fn of(cluster: &'a Cluster, node: &str) -> Self {
        let kubectl = cluster.kubectl();
        let on_node = format!("spec.nodeName={node}");
        let label = "app.kubernetes.io/component=agent";
        let pods = ["-n", SYSTEM, "get", "pods", "--selector", label, "--field-selector", &on_node];
        let pods = kubectl.list(&pods).unwrap();
        let pod = pods[0]["metadata"]["name"].as_str().unwrap();
        let bound = ["--bound-object-kind", "Pod", "--bound-object-name", pod];
        let token = kubectl.run(&[&["-n", SYSTEM, "create", "token", "weir-agent"][..], &bound].concat());
        let server = "jsonpath={.clusters[0].cluster.server}";
        let server = kubectl.run(&["config", "view", "--minify", "--output", server]);
        Self { cluster, server: server.unwrap(), token: token.unwrap().trim().to_owned() }
    }

    /// Writes a change; what the API server says.
    fn patch(&self, object: &[&str], change: &str) -> Result<String> {
        let who = ["--kubeconfig", "/dev/null", "--insecure-skip-tls-verify", "--server", &self.server];
        let what = ["--token", &self.token, "-n", SYSTEM, "patch", "--type", "merge", "--patch", change];
        self.cluster.kubectl().run(&[&who[..], &what, object].concat())
    }
}

#[test]
fn an_agent_acknowledges_for_its_own_node_only() {
    let scene = Scene::new("rights");
    let nodes = scene.nodes();
    let (own, other) = (&nodes[0].name, &nodes[1].name);
    let agent = Agent::of(&scene.cluster, own);
    let change = r#"{"status": {"programmed": "1"}}"#;
    let write = |node: &str| agent.patch(&["--subresource", "status", "weirnode", node], change);
    let refused = write(other).unwrap_err().to_string();
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
    let hold = |node: &str| format!(r#"{{"spec": {{"holderIdentity": "{node}"}}}}"#);
    let leader = kubectl.list(&["-n", SYSTEM, "get", "leases", "--selector", "!weir.dev/announces"]).unwrap();
    let leader = leader[0]["metadata"]["name"].as_str().unwrap();
    let refused = agent.patch(&["lease", leader], &hold(&nodes[0].name)).unwrap_err().to_string();
    assert!(refused.contains("an agent may write Leases of addresses only"), "{refused}");
    let addresses = ["-n", SYSTEM, "get", "leases", "--selector", "weir.dev/announces=true"];
    let addresses = kubectl.list(&addresses).unwrap();
    let address = addresses[0]["metadata"]["name"].as_str().unwrap();
    let refused = agent.patch(&["lease", address], &hold(&nodes[1].name)).unwrap_err().to_string();
    assert!(refused.contains("may hold a Lease for that node only"), "{refused}");
}
