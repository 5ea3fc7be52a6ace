//! The stage: a cluster with Weir on it, a namespace, an application without any Service, and its gateway.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, ensure};
use gateway_tests::{
    Cluster, came_true,
    cluster::{App, Asker, Node, PATIENCE, SYSTEM, app},
    netns::run,
};
use serde_json::{Value, json};

/// Where the application is.
pub const NAMESPACE: &str = "demo";
/// The version that everyone uses at first.
pub const OLD: &str = "1.0.3";
/// The version that is rolled out.
pub const NEW: &str = "2.0.1";
/// The gateway.
pub const GATEWAY: &str = "foo-ingress";
/// The host name that it serves on the shared port.
pub const HOST: &str = "foo.bar.com";
/// What changes is in force on every node within milliseconds; pods take longer, and a busy machine too.
const SOON: Duration = Duration::from_mins(1);
/// Addresses are given to a load balancer within this time.
const GIVEN: Duration = Duration::from_secs(30);
/// It, as a user writes it.
pub const ARTIFACT: &str = include_str!("../../deploy/examples/foo-ingress.yaml");

/// Everything that is up.
#[derive(Debug)]
pub struct Stage {
    pub cluster: Cluster,
}

/// A route in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub name: String,
    pub weight: String,
    pub endpoints: u64,
    pub total: u64,
    pub state: String,
}

impl Stage {
    /// Installs Weir, and what the story needs around the application.
    pub fn build(cluster: Cluster) -> Result<Self> {
        cluster.install()?;
        let pool = json!({
            "apiVersion": "weir.dev/v1", "kind": "WeirAddressPool",
            "metadata": { "name": "demo" },
            "spec": { "addresses": [cluster.pool4()?, cluster.pool6()?] },
        });
        // Of an earlier story.
        cluster.kubectl().run(&["delete", "namespace", NAMESPACE, "--ignore-not-found"])?;
        cluster.kubectl().apply(&[app::namespace(NAMESPACE), pool])?;
        Ok(Self { cluster })
    }

    /// Deploys a version, and waits until it is ready.
    pub fn deploy(&self, version: &str, replicas: u32) -> Result<()> {
        let app = App { namespace: NAMESPACE, app: "foo", version, replicas };
        self.cluster.kubectl().apply(&[app.deployment()])?;
        self.cluster.rolled_out(NAMESPACE, &app.reference())
    }

    /// Removes it.
    pub fn remove(&self, version: &str) -> Result<()> {
        let what = format!("deployment/foo-{version}");
        self.cluster.kubectl().run(&["-n", NAMESPACE, "delete", &what]).map(drop)
    }

    /// Runs `weir` with these arguments, in the namespace.
    pub fn weir(&self, arguments: &[&str]) -> Result<String> {
        let arguments: Vec<_> = arguments.iter().copied().chain(["--namespace", NAMESPACE]).collect();
        self.cluster.weir(&arguments)
    }

    /// The gateway, as it is.
    pub fn gateway(&self) -> Result<Value> {
        self.cluster.kubectl().json(&["-n", NAMESPACE, "get", &format!("wgw/{GATEWAY}")])
    }

    /// Its routes in force.
    pub fn routes(&self) -> Result<Vec<Route>> {
        Ok(routes(&self.gateway()?))
    }

    /// Waits until `promise` holds of the gateway's routes, and every node has them.
    pub fn wait_for_routes(&self, said: &str, promise: impl Fn(&[Route]) -> bool) -> Result<()> {
        let holds = |gateway: &Value| promise(&routes(gateway)) && is_everywhere(gateway);
        self.cluster.wait_for(NAMESPACE, &format!("wgw/{GATEWAY}"), said, SOON, holds).map(drop)
    }

    /// Waits until the route of a version has this weight and so many pods, all of them ready.
    pub fn wait_for_route(&self, version: &str, weight: &str, pods: u64) -> Result<()> {
        let wanted = route(version);
        self.wait_for_routes(&format!("{wanted} at {weight} with {pods} pods"), |routes| {
            let of = |route: &Route| {
                let counts = [route.endpoints, route.total];
                route.name == wanted && route.weight == weight && counts == [pods; 2]
            };
            routes.iter().any(of)
        })
    }

    /// The addresses of `node` at which the gateway's Service answers from outside.
    pub fn node_ports(&self, node: usize) -> Result<Vec<SocketAddr>> {
        let gateway = self.gateway()?;
        let service = &gateway["status"]["service"];
        let port = service["nodePort"].as_u64().and_then(|port| port.try_into().ok());
        let port = port.with_context(|| format!("the gateway's Service has no node port: {service}"))?;
        let has_v6 = service["clusterIPs"].as_array().is_some_and(|ips| ips.len() > 1);
        let nodes = self.cluster.nodes()?;
        let node = &nodes[node % nodes.len()];
        let addresses = node.addresses.iter().filter(|address| address.is_ipv4() || has_v6);
        Ok(addresses.map(|address| SocketAddr::new(*address, port)).collect())
    }

    /// What the gateway is called within the cluster, and its port there.
    pub fn in_cluster(&self) -> Result<String> {
        let gateway = self.gateway()?;
        let name = gateway["status"]["service"]["name"].as_str().context("the gateway has no Service")?;
        let port = gateway["status"]["port"].as_u64().context("the gateway has no port")?;
        Ok(format!("{name}.{NAMESPACE}.svc.cluster.local:{port}"))
    }

    /// Where the shared port 80 is, from outside: at the load balancer's addresses, which some node answers for.
    pub fn shared(&self) -> Result<Vec<SocketAddr>> {
        let mut service = Value::Null;
        let mut found = Vec::new();
        came_true(GIVEN, || {
            let look = ["-n", SYSTEM, "get", "service/weir-agent"];
            service = self.cluster.kubectl().json(&look).unwrap_or_default();
            let given = service["status"]["loadBalancer"]["ingress"].as_array().into_iter().flatten();
            let given = given.filter_map(|one| one["ip"].as_str()?.parse().ok());
            found = given.map(|ip| SocketAddr::new(ip, 80)).collect();
            let wanted = service["spec"]["clusterIPs"].as_array().map_or(1, Vec::len);
            found.len() == wanted
        });
        ensure!(!found.is_empty(), "the shared Service has no address: {service}");
        for address in &found {
            let url = format!("http://{address}/");
            let answers = || {
                let tally = self.cluster.ask(&Asker::Outside, 1, &["--url", &url, "--host-header", HOST]);
                tally.is_ok_and(|tally| tally.check_none_failed().is_ok())
            };
            ensure!(came_true(GIVEN, answers), "no node answers for {address}");
        }
        Ok(found)
    }

    /// The node that is never drained: where the cluster's DNS is, as there is but one.
    pub fn home(&self) -> Result<String> {
        let pods = ["-n", "kube-system", "get", "pods", "--selector", "k8s-app=kube-dns"];
        let pods = self.cluster.kubectl().list(&pods)?;
        let node = pods.first().and_then(|pod| pod["spec"]["nodeName"].as_str());
        node.map(str::to_owned).context("the cluster has no DNS")
    }

    /// Removes the gateway; nothing of its own may be left.
    pub fn clear(&self) -> Result<()> {
        let kubectl = self.cluster.kubectl();
        kubectl.run(&["-n", NAMESPACE, "delete", &format!("wgw/{GATEWAY}")])?;
        let gone = came_true(PATIENCE, || {
            let left = kubectl.list(&["-n", NAMESPACE, "get", "services,endpointslices"]);
            left.is_ok_and(|left| left.is_empty())
        });
        ensure!(gone, "{}", kubectl.run(&["-n", NAMESPACE, "get", "services,endpointslices"])?);
        kubectl.run(&["delete", "namespace", NAMESPACE, "--wait=false"]).map(drop)
    }

    /// Takes Weir off the cluster; nothing of it may be left, in the API or on a node.
    pub fn uninstall(&self) -> Result<()> {
        self.cluster.uninstall()?;
        let kubectl = self.cluster.kubectl();
        let kinds = kubectl.run(&["api-resources", "--verbs=list", "--output=name"])?;
        let kinds = kinds.lines().filter(|kind| !kind.starts_with("events")).collect::<Vec<_>>().join(",");
        let look = ["get", &kinds, "--all-namespaces", "--selector", "app.kubernetes.io/part-of=weir"];
        let left = kubectl.run(&[&look[..], &["--output=name"]].concat())?;
        ensure!(left.trim().is_empty(), "left in the API: {left}");
        self.cluster.nodes()?.iter().try_for_each(check_nothing_left)
    }
}

/// What agents leave in a node's kernel and files must be gone.
fn check_nothing_left(node: &Node) -> Result<()> {
    let said = |program: &str, arguments: &[&str]| run(node.command(program)?.args(arguments));
    for (program, arguments) in [
        ("bpftool", &["net", "show"][..]),
        ("bpftool", &["cgroup", "tree"]),
        ("ip", &["route", "show", "table", "all", "proto", "87"]),
        ("ip", &["-6", "route", "show", "table", "all", "proto", "87"]),
        ("find", &["/sys/fs/bpf", "/run", "/var/lib", "-maxdepth", "1", "-name", "weir*"]),
    ] {
        let shown = said(program, arguments)?;
        let is_left = shown.contains("weir_") || (program != "bpftool" && !shown.trim().is_empty());
        ensure!(!is_left, "left on {}: {program} {}: {shown}", node.name, arguments.join(" "));
    }
    Ok(())
}

/// Name of the route of `version`.
pub fn route(version: &str) -> String {
    format!("({version})")
}

fn routes(gateway: &Value) -> Vec<Route> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let each = gateway["status"]["routes"].as_array().into_iter().flatten();
    each.map(|route| Route {
        name: text(&route["name"]),
        weight: text(&route["weight"]),
        endpoints: route["endpoints"].as_u64().unwrap_or(0),
        total: route["total"].as_u64().unwrap_or(0),
        state: text(&route["state"]),
    })
    .collect()
}

/// Whether the controller has seen the gateway as it is, and every node has it.
fn is_everywhere(gateway: &Value) -> bool {
    let (status, nodes) = (&gateway["status"], &gateway["status"]["nodes"]);
    status["observedGeneration"] == gateway["metadata"]["generation"]
        && nodes["total"].as_u64().is_some_and(|total| total > 0)
        && nodes["programmed"] == nodes["total"]
}

/// Prints what one would look at after a failure.
pub fn say_how_it_is(cluster: &Cluster) {
    let look = |arguments: &[&str]| match cluster.kubectl().run(arguments) {
        Ok(said) => eprintln!("$ kubectl {}\n{said}", arguments.join(" ")),
        Err(error) => eprintln!("$ kubectl {}\n{error:#}", arguments.join(" ")),
    };
    look(&["get", "pods", "-A", "-o", "wide"]);
    look(&["get", "weirnodes,services", "-A", "-o", "wide"]);
    look(&["get", "wgw", "-A", "-o", "yaml"]);
    look(&["get", "events.v1.events.k8s.io", "-n", NAMESPACE]);
    for component in ["agent", "controller"] {
        let label = format!("app.kubernetes.io/component={component}");
        look(&["-n", SYSTEM, "logs", "--selector", &label, "--prefix", "--tail", "15"]);
    }
}
