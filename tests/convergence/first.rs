//! From a pod that turns ready to the first connection that it gets.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use futures::StreamExt as _;
use gateway_tests::{Netns, cluster::app::App};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api, Client,
    api::{ListParams, Patch, PatchParams},
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::{Value, json};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::{sleep, timeout},
};

use crate::{
    cluster::Cluster,
    scene::{NAMESPACE, gateways_api},
};

const APP: App<'static> = App { namespace: NAMESPACE, app: "first", version: "1.0.0", replicas: 1 };
const PATIENCE: Duration = Duration::from_mins(2);

/// A pod, and when something was heard of it.
type Seen = (String, Instant);

/// A second pod comes, gets a connection, and goes, so many times; in milliseconds. Clients outside open one connection
/// after the other, so that every second one is the new pod's.
pub async fn connections(cluster: &Cluster, rounds: usize) -> Result<Vec<f64>> {
    let deployments = Api::<Deployment>::namespaced(cluster.client.clone(), NAMESPACE);
    let params = PatchParams::apply("convergence").force();
    deployments.patch(&APP.name(), &params, &Patch::Apply(APP.deployment())).await?;
    let spec = json!({ "port": "9000/tcp", "selector": "label(app)(first) && label(version)((.*))" });
    let gateway = json!({
        "apiVersion": "weir.dev/v1", "kind": "WeirGateway", "metadata": { "name": "first" }, "spec": spec,
    });
    gateways_api(&cluster.client).patch("first", &params, &Patch::Apply(&gateway)).await?;
    let to = SocketAddr::new(cluster.node_address()?, node_port(&cluster.client).await?);
    let mut ready = watch(&cluster.client);
    let mut answers = Asker::start(&cluster.client_netns, to)?;
    next(&mut answers.heard, |_| true).await.context("the first pod never answered")?;
    let (mut times, mut known) = (Vec::new(), BTreeSet::new());
    for _ in 0..rounds {
        // Of those that went something may still be heard.
        known.extend(pods(&cluster.client).await?.into_keys());
        scale(&deployments, 2).await?;
        let (pod, at) = next(&mut ready, |pod| !known.contains(pod)).await.context("no pod turned ready")?;
        let (_, answered) =
            next(&mut answers.heard, |one| one == pod).await.context("the pod never answered")?;
        known.insert(pod);
        // Who is told of the pod later than the node is that may see it answer before it is ready.
        times.push(answered.saturating_duration_since(at).as_secs_f64() * 1_000.0);
        scale(&deployments, 1).await?;
        let began = Instant::now();
        while pods(&cluster.client).await?.len() > 1 {
            ensure!(began.elapsed() < PATIENCE, "the second pod does not go");
            sleep(Duration::from_millis(200)).await;
        }
    }
    Ok(times)
}

async fn scale(deployments: &Api<Deployment>, replicas: u32) -> Result<()> {
    let patch = json!({ "spec": { "replicas": replicas } });
    deployments.patch(&APP.name(), &PatchParams::default(), &Patch::Merge(&patch)).await?;
    Ok(())
}

/// The pods there are, and whether each is ready.
async fn pods(client: &Client) -> Result<BTreeMap<String, bool>> {
    let api = Api::<Pod>::namespaced(client.clone(), NAMESPACE);
    let all = api.list(&ListParams::default().labels("app=first")).await?;
    Ok(all.items.into_iter().filter_map(named).collect())
}

fn named(pod: Pod) -> Option<(String, bool)> {
    let conditions = pod.status.and_then(|status| status.conditions).unwrap_or_default();
    let is_ready = conditions.iter().any(|one| one.type_ == "Ready" && one.status == "True");
    Some((pod.metadata.name?, is_ready))
}

async fn node_port(client: &Client) -> Result<u16> {
    let began = Instant::now();
    loop {
        let gateway = gateways_api(client).get("first").await?;
        let port = gateway.data["status"]["service"]["nodePort"].as_u64();
        if let Some(port) = port.and_then(|port| u16::try_from(port).ok()) {
            return Ok(port);
        }
        let status: &Value = &gateway.data["status"];
        ensure!(began.elapsed() < PATIENCE, "the gateway has no node port: {status}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// Tells of pods that turn ready.
fn watch(client: &Client) -> UnboundedReceiver<Seen> {
    let (tell, seen) = unbounded_channel();
    let api = Api::<Pod>::namespaced(client.clone(), NAMESPACE);
    tokio::spawn(async move {
        let config = watcher::Config::default().labels("app=first");
        let mut changes = Box::pin(watcher(api, config).default_backoff().touched_objects());
        while let Some(change) = changes.next().await {
            let Some((name, true)) = change.ok().and_then(named) else { continue };
            if tell.send((name, Instant::now())).is_err() {
                return;
            }
        }
    });
    seen
}

/// The first that is wanted.
async fn next(seen: &mut UnboundedReceiver<Seen>, wanted: impl Fn(&str) -> bool) -> Option<Seen> {
    timeout(PATIENCE, async {
        loop {
            let (pod, at) = seen.recv().await?;
            if wanted(&pod) {
                return Some((pod, at));
            }
        }
    })
    .await
    .ok()?
}

/// A client outside the cluster who opens one connection after the other.
struct Asker {
    heard: UnboundedReceiver<Seen>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Asker {
    fn start(netns: &str, to: SocketAddr) -> Result<Self> {
        let (tell, heard) = unbounded_channel();
        let is_over = Arc::new(AtomicBool::new(false));
        let netns = Netns::existing(netns)?;
        let over = Arc::clone(&is_over);
        let thread = thread::spawn(move || netns.run(|| ask(to, &over, &tell)));
        Ok(Self { heard, is_over, thread: Some(thread) })
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn ask(to: SocketAddr, is_over: &AtomicBool, tell: &UnboundedSender<Seen>) {
    while !is_over.load(Ordering::Relaxed) {
        if let Ok(pod) = greeted(to) {
            drop(tell.send((pod, Instant::now())));
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Which pod answers a new connection.
fn greeted(to: SocketAddr) -> Result<String> {
    let stream = TcpStream::connect_timeout(&to, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let said: Value = serde_json::from_str(&line)?;
    said["pod"].as_str().map(str::to_owned).context("a greeting without a pod")
}
