//! Gateways, Services and pods by the thousand.

use std::{
    collections::BTreeMap,
    io::{IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::cluster::Cluster;

/// Where everything is.
pub const NAMESPACE: &str = "convergence";
/// Nodes that kwok makes up.
const NODES: usize = 100;
/// Requests at a time.
const AT_ONCE: usize = 32;
const PATIENCE: Duration = Duration::from_mins(10);

/// How much of everything there is.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    pub services: usize,
    pub endpoints: usize,
    pub alone: bool,
}

impl Scene {
    /// Makes all of it, and waits until it is known everywhere.
    pub async fn set(&self, cluster: &Cluster) -> Result<()> {
        let client = &cluster.client;
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } });
        apply::<k8s_openapi::api::core::v1::Namespace>(&Api::all(client.clone()), &namespace).await?;
        let nodes: Vec<Value> = (0..NODES).map(node).collect();
        make("nodes", &Api::<Node>::all(client.clone()), nodes).await?;
        let gateways: Vec<Value> = (0..self.services).map(gateway).collect();
        make("gateways", &gateways_api(client), gateways).await?;
        if !self.alone {
            let services: Vec<Value> = (0..self.services).map(service).collect();
            make("services", &Api::<Service>::namespaced(client.clone(), NAMESPACE), services).await?;
        }
        let all = (0..self.services).flat_map(|of| (0..self.endpoints).map(move |at| pod(of, at)));
        make("pods", &Api::<Pod>::namespaced(client.clone(), NAMESPACE), all.collect()).await?;
        self.wait(cluster).await
    }

    /// Waits until every gateway is programmed with all its endpoints.
    async fn wait(&self, cluster: &Cluster) -> Result<()> {
        let api = gateways_api(&cluster.client);
        let began = Instant::now();
        loop {
            let all = api.list(&ListParams::default()).await?;
            let ready = all.items.iter().filter(|gateway| {
                let status = &gateway.data["status"];
                let endpoints = status["routes"][0]["endpoints"].as_i64();
                let conditions = status["conditions"].as_array();
                let is_programmed = conditions.is_some_and(|all| {
                    all.iter().any(|one| one["type"] == "Programmed" && one["status"] == "True")
                });
                is_programmed && endpoints == i64::try_from(self.endpoints).ok()
            });
            let ready = ready.count();
            progress("gateways programmed", ready, self.services);
            if ready == self.services {
                return Ok(());
            }
            ensure!(began.elapsed() < PATIENCE, "{ready} of {} gateways are programmed", self.services);
            sleep(Duration::from_secs(1)).await;
        }
    }
}

/// Gateways as the API server has them.
pub fn gateways_api(client: &Client) -> Api<DynamicObject> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("weir.dev", "v1", "WeirGateway"));
    Api::namespaced_with(client.clone(), NAMESPACE, &kind)
}

/// The name of a pod.
pub fn pod_name(service: usize, at: usize) -> String {
    format!("pod-{service}-{at}")
}

async fn make<K>(what: &str, api: &Api<K>, objects: Vec<Value>) -> Result<()>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let total = objects.len();
    let mut done = 0;
    let mut writes = stream::iter(objects.iter().map(|object| apply(api, object))).buffer_unordered(AT_ONCE);
    while writes.try_next().await?.is_some() {
        done += 1;
        if done % 100 == 0 || done == total {
            progress(what, done, total);
        }
    }
    Ok(())
}

async fn apply<K>(api: &Api<K>, object: &Value) -> Result<()>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    api.patch(name, &PatchParams::apply("convergence").force(), &Patch::Apply(object)).await?;
    Ok(())
}

fn progress(what: &str, done: usize, total: usize) {
    let end = if std::io::stderr().is_terminal() && done < total { "\r" } else { "\n" };
    if done == total || std::io::stderr().is_terminal() {
        eprint!("weir: {what}: {done} of {total}{end}");
        let _ = std::io::stderr().flush();
    }
}

fn node(at: usize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": format!("kwok-{at}"),
            "labels": { "type": "kwok" },
            "annotations": { "kwok.x-k8s.io/node": "fake" },
        },
        "spec": { "taints": [{ "key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule" }] },
    })
}

fn gateway(at: usize) -> Value {
    json!({
        "apiVersion": "weir.dev/v1", "kind": "WeirGateway",
        "metadata": { "name": format!("gateway-{at}") },
        "spec": {
            "port": "80/tcp",
            "selector": format!("label(app)(app-{at}) && label(version)((.*))"),
            "service": { "type": "ClusterIP" },
        },
    })
}

fn service(at: usize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": format!("service-{at}") },
        "spec": {
            "selector": { "app": format!("app-{at}") },
            "ports": [{ "name": "tcp", "port": 80, "targetPort": 8080 }],
        },
    })
}

fn pod(service: usize, at: usize) -> Value {
    let labels = BTreeMap::from([("app", format!("app-{service}")), ("version", "1.0.0".to_owned())]);
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": pod_name(service, at), "labels": labels },
        "spec": {
            "nodeName": format!("kwok-{}", (service + at) % NODES),
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "tolerations": [{ "operator": "Exists" }],
            "containers": [{ "name": "app", "image": "app", "ports": [{ "name": "tcp", "containerPort": 8080 }] }],
        },
    })
}
