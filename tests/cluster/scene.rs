//! What a test is about: a namespace of its own, an application without any Service, gateways in front of it.

use std::{
    env,
    net::{IpAddr, SocketAddr},
    sync::{Once, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use anyhow::{Context, Result, ensure};
use gateway_tests::{
    Cluster, came_true,
    cluster::{App, Asker, Node, PATIENCE, SYSTEM, Tally, app},
};
use serde_json::{Value, json};

/// What tests that disturb the cluster hold alone, and all others together.
static CALM: RwLock<()> = RwLock::new(());
static INSTALL: Once = Once::new();

/// The application: every gateway here leads to it.
pub const APP: &str = "foo";
/// Finds it, and names its routes.
pub const SELECTOR: &str = "label(app)(foo) && label(version)((.*))";
/// The version that is there first.
pub const OLD: &str = "1.0.3";
/// The version that comes later.
pub const NEW: &str = "2.0.1";

/// The scene of a test; it is cleared when dropped.
pub struct Scene {
    pub cluster: Cluster,
    pub namespace: String,
    alone: Option<RwLockWriteGuard<'static, ()>>,
    _together: Option<RwLockReadGuard<'static, ()>>,
}

/// Where a gateway answers.
#[derive(Clone, Debug)]
pub struct Entry {
    pub name: String,
    pub port: u16,
    pub node_port: Option<u16>,
    pub health_port: Option<u16>,
    pub cluster_ips: Vec<IpAddr>,
    pub balancer: Vec<IpAddr>,
}

impl Scene {
    /// A scene beside those of other tests; `tag` names its namespace.
    pub fn new(tag: &str) -> Self {
        let together = CALM.read().unwrap_or_else(PoisonError::into_inner);
        Self::open(tag, None, Some(together))
    }

    /// The only scene while it is there: it disturbs the cluster. What it leaves disturbed is put right in the end.
    pub fn alone(tag: &str) -> Self {
        let alone = CALM.write().unwrap_or_else(PoisonError::into_inner);
        Self::open(tag, Some(alone), None)
    }

    fn open(
        tag: &str,
        alone: Option<RwLockWriteGuard<'static, ()>>,
        together: Option<RwLockReadGuard<'static, ()>>,
    ) -> Self {
        let name = env::var("WEIR_CLUSTER")
            .expect("WEIR_CLUSTER names a cluster that is up: `cargo xtask cluster test` starts one");
        let cluster = Cluster::open(&name).unwrap();
        INSTALL.call_once(|| install(&cluster).unwrap());
        let scene = Self { cluster, namespace: format!("t-{tag}"), alone, _together: together };
        let kubectl = scene.cluster.kubectl();
        // What an earlier run that was killed has left.
        kubectl.run(&["delete", "namespace", &scene.namespace, "--ignore-not-found"]).unwrap();
        kubectl.apply(&[app::namespace(&scene.namespace)]).unwrap();
        scene
    }

    /// Deploys a version, one pod on each node where there are as many, and waits until it is ready.
    pub fn deploy(&self, version: &str, replicas: u32) -> App<'_> {
        self.deploy_with(version, replicas, |pod| {
            pod["topologySpreadConstraints"] = json!([{
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": { "matchLabels": { "app": APP, "version": version } },
            }]);
        })
    }

    /// Deploys a version on one node.
    pub fn deploy_on(&self, node: &str, version: &str, replicas: u32) -> App<'_> {
        self.deploy_with(version, replicas, |pod| {
            pod["nodeSelector"] = json!({ "kubernetes.io/hostname": node });
        })
    }

    fn deploy_with(&self, version: &str, replicas: u32, change: impl Fn(&mut Value)) -> App<'_> {
        let app = self.app(version, replicas);
        // The name of the version, also where it is not told.
        let mut deployment = app.deployment();
        change(&mut deployment["spec"]["template"]["spec"]);
        self.cluster.kubectl().apply(&[deployment]).unwrap();
        self.cluster.rolled_out(&self.namespace, &app.reference()).unwrap();
        app
    }

    /// A version of the application.
    pub fn app(&self, version: &str, replicas: u32) -> App<'_> {
        let version = if version == OLD { OLD } else { NEW };
        App { namespace: &self.namespace, app: APP, version, replicas }
    }

    /// Has a version this many pods, and waits until they are ready.
    pub fn scale(&self, version: &str, replicas: u32) {
        let what = self.app(version, replicas).reference();
        self.cluster.kubectl().scale(&self.namespace, &what, replicas).unwrap();
        self.cluster.rolled_out(&self.namespace, &what).unwrap();
    }

    /// Applies a gateway, and waits until every node has it.
    pub fn gateway(&self, name: &str, spec: &Value) -> Entry {
        self.apply(name, spec).unwrap();
        self.settled(name)
    }

    /// Applies a gateway.
    pub fn apply(&self, name: &str, spec: &Value) -> Result<()> {
        self.cluster.kubectl().apply(&[json!({
            "apiVersion": "weir.dev/v1",
            "kind": "WeirGateway",
            "metadata": { "namespace": self.namespace, "name": name },
            "spec": spec,
        })])
    }

    /// Waits until every node has the gateway as it is; where it answers.
    pub fn settled(&self, name: &str) -> Entry {
        let gateway = self.wait_for(name, "on every node", is_everywhere);
        Entry::read(&gateway).unwrap()
    }

    /// Waits until something holds of a gateway.
    pub fn wait_for(&self, name: &str, said: &str, promise: impl Fn(&Value) -> bool) -> Value {
        self.cluster.wait_for(&self.namespace, &format!("wgw/{name}"), said, PATIENCE, promise).unwrap()
    }

    /// Waits until the gateway's routes in force are these, as `weir get` shows them, on every node.
    pub fn wait_for_weights(&self, name: &str, weights: &str) {
        self.wait_for(name, weights, |gateway| {
            gateway["status"]["weights"] == weights && is_everywhere(gateway)
        });
    }

    /// Waits until somebody is answered.
    pub fn answers(&self, from: &Asker, target: &[&str]) {
        let mut last = String::new();
        let answered = came_true(PATIENCE, || match self.cluster.ask(from, 1, target) {
            Ok(tally) => {
                last = tally.failures.join("; ");
                tally.ok == 1
            }
            Err(error) => {
                last = format!("{error:#}");
                false
            }
        });
        assert!(answered, "{from} gets no answer of {target:?} in {PATIENCE:?}: {last}");
    }

    /// Fails where anybody who asks is answered.
    pub fn is_refused(&self, from: &Asker, target: &[&str]) -> Result<()> {
        let tally = self.cluster.ask(from, 4, target)?;
        ensure!(tally.ok == 0, "{from} is answered at {target:?}: {tally:?}");
        Ok(())
    }

    /// Waits until nobody who asks is answered.
    pub fn comes_to_be_refused(&self, from: &Asker, target: &[&str]) {
        let refused = came_true(PATIENCE, || self.is_refused(from, target).is_ok());
        assert!(refused, "{:?}", self.is_refused(from, target));
    }

    /// Pods of the application: name, node, addresses.
    pub fn pods(&self, version: Option<&str>) -> Vec<Pod> {
        let label = version.map_or_else(|| format!("app={APP}"), |version| format!("version={version}"));
        let arguments = ["-n", &self.namespace, "get", "pods", "--selector", &label];
        let pods = self.cluster.kubectl().list(&arguments).unwrap();
        pods.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()).map(Pod::read).collect()
    }

    /// A pod on `node` that does nothing but ask.
    pub fn asker(&self, node: &str) -> Asker {
        self.asker_with(node, &self.namespace, |_| {})
    }

    /// The same, in the node's network; it needs a namespace without restrictions.
    pub fn asker_on_host(&self, node: &str) -> Asker {
        let namespace = format!("{}-host", self.namespace);
        let kubectl = self.cluster.kubectl();
        kubectl.run(&["delete", "namespace", &namespace, "--ignore-not-found"]).unwrap();
        kubectl.run(&["create", "namespace", &namespace]).unwrap();
        self.asker_with(node, &namespace, |spec| {
            spec["hostNetwork"] = json!(true);
            spec["dnsPolicy"] = json!("ClusterFirstWithHostNet");
        })
    }

    fn asker_with(&self, node: &str, namespace: &str, change: impl Fn(&mut Value)) -> Asker {
        let name = format!("asker-{node}");
        let mut pod = app::load_pod(namespace, &name, Some(node), &[]);
        // It serves where nobody asks it, so that it is there to be told to ask.
        pod["spec"]["containers"][0]["args"] = json!(["serve", "--http", "0", "--tcp", "0", "--udp", "0"]);
        change(&mut pod["spec"]);
        self.cluster.kubectl().apply(&[pod]).unwrap();
        let runs = |pod: &Value| pod["status"]["phase"] == "Running";
        let pod = format!("pod/{name}");
        let pod = self.cluster.wait_for(namespace, &pod, "running", PATIENCE, runs).unwrap();
        self.meet(&Pod::read(&pod));
        Asker::Pod { namespace: namespace.to_owned(), name }
    }

    /// Lets a new pod and its node find each other, without Weir: a neighbour solicitation may go unheard for seconds on a
    /// device that has just come up, and a lone datagram is lost then.
    pub fn meet(&self, pod: &Pod) {
        let node = self.cluster.node(&pod.node).unwrap();
        for address in &pod.addresses {
            let address = address.to_string();
            let ping = ["-n", "-q", "-c", "1", "-W", "3", &address];
            let found = came_true(PATIENCE, || {
                let done = node.command("ping").unwrap().args(ping).output();
                done.is_ok_and(|done| done.status.success())
            });
            assert!(found, "{} does not hear from {address} of {}", pod.node, pod.name);
        }
    }

    /// The nodes as they are now.
    pub fn nodes(&self) -> Vec<Node> {
        self.cluster.nodes().unwrap()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let kubectl = self.cluster.kubectl();
        if self.alone.is_some()
            && let Err(error) = put_right(&self.cluster)
        {
            eprintln!("the cluster is not as it was: {error:#}");
        }
        for namespace in [self.namespace.clone(), format!("{}-host", self.namespace)] {
            let _ = kubectl.run(&["delete", "namespace", &namespace, "--ignore-not-found", "--wait=false"]);
        }
    }
}

/// A pod of the application.
#[derive(Clone, Debug)]
pub struct Pod {
    pub name: String,
    pub node: String,
    pub addresses: Vec<IpAddr>,
}

impl Pod {
    fn read(pod: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let addresses = pod["status"]["podIPs"].as_array().into_iter().flatten();
        Self {
            name: text(&pod["metadata"]["name"]),
            node: text(&pod["spec"]["nodeName"]),
            addresses: addresses.filter_map(|one| one["ip"].as_str()?.parse().ok()).collect(),
        }
    }
}

impl Entry {
    fn read(gateway: &Value) -> Result<Self> {
        let (status, service) = (&gateway["status"], &gateway["status"]["service"]);
        let port = |value: &Value| value.as_u64().and_then(|port| u16::try_from(port).ok());
        let addresses = |list: &Value| {
            let texts = list.as_array().into_iter().flatten().filter_map(Value::as_str);
            texts.filter_map(|text| text.parse().ok()).collect()
        };
        Ok(Self {
            name: service["name"].as_str().context("the gateway has no Service")?.to_owned(),
            port: port(&status["port"]).context("the gateway has no port")?,
            node_port: port(&service["nodePort"]),
            health_port: port(&service["healthCheckNodePort"]),
            cluster_ips: addresses(&service["clusterIPs"]),
            balancer: addresses(&service["addresses"]),
        })
    }

    /// Its node port at an address.
    pub fn at_node(&self, address: IpAddr) -> SocketAddr {
        SocketAddr::new(address, self.node_port.expect("the Service has a node port"))
    }

    /// Its port at an address that is its own.
    pub fn at(&self, address: IpAddr) -> SocketAddr {
        SocketAddr::new(address, self.port)
    }
}

/// `http://ADDRESS/`.
pub fn url(address: impl std::fmt::Display) -> String {
    format!("http://{address}/")
}

/// Whether the controller has seen the gateway as it is, and every node has it.
pub fn is_everywhere(gateway: &Value) -> bool {
    let (status, nodes) = (&gateway["status"], &gateway["status"]["nodes"]);
    status["observedGeneration"] == gateway["metadata"]["generation"]
        && nodes["total"].as_u64().is_some_and(|total| total > 0)
        && nodes["programmed"] == nodes["total"]
        && status["service"]["name"].is_string()
}

/// A condition of a gateway.
pub fn condition<'a>(gateway: &'a Value, kind: &str) -> &'a Value {
    let all = gateway["status"]["conditions"].as_array().into_iter().flatten();
    all.into_iter().find(|one| one["type"] == kind).unwrap_or(&Value::Null)
}

/// 75 % for the old version, 25 % for the new one.
pub fn three_to_one() -> Value {
    json!({ format!("({OLD})"): { "weight": "75%" }, format!("({NEW})"): { "weight": "25%" } })
}

/// Fails where anything of it failed, or the shares are not three to one.
pub fn check_three_to_one(tally: &Tally) -> Result<()> {
    tally.check_none_failed()?;
    tally.check_share(NEW, 0.25)
}

fn install(cluster: &Cluster) -> Result<()> {
    cluster.install()?;
    cluster.kubectl().apply(&[json!({
        "apiVersion": "weir.dev/v1", "kind": "WeirAddressPool",
        "metadata": { "name": "tests" },
        "spec": { "addresses": [cluster.pool4()?, cluster.pool6()?] },
    })])
}

/// Has the API answer, and all of Weir as deploy/ says.
fn put_right(cluster: &Cluster) -> Result<()> {
    if cluster.kubectl().run(&["get", "--raw", "/readyz"]).is_err() {
        cluster.start_api()?;
    }
    cluster.install()?;
    ensure!(cluster.kubectl().run(&["-n", SYSTEM, "get", "pods"]).is_ok(), "the API does not answer");
    Ok(())
}
