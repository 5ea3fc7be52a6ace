//! The measurements.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::{core::v1::Pod, discovery::v1::EndpointSlice};
use kube::{
    Api,
    api::{Patch, PatchParams},
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::{
    cluster::Cluster,
    scene::{NAMESPACE, Scene, gateways_api, pod_name},
};

/// Nothing more comes of a change once nothing came for so long.
const QUIET: Duration = Duration::from_secs(2);

/// Times of changes, in milliseconds.
#[derive(Debug, Default)]
pub struct Times {
    pub weir: Vec<f64>,
    pub kube_proxy: Vec<f64>,
}

/// One endpoint after the other stops being ready, or is ready again.
pub async fn singles(cluster: &Cluster, scene: &Scene, changes: usize) -> Result<Times> {
    let mut times = Times::default();
    let observer = (!scene.alone).then(|| Observer::start(cluster)).transpose()?;
    let log = Log::begin(cluster)?;
    for at in 0..changes {
        let service = (at / 2 * 7) % scene.services;
        let pod = pod_name(service, 0);
        let began = Instant::now();
        set_ready(cluster, &pod, at % 2 == 1).await?;
        if let Some(observer) = &observer {
            let owner = format!("service-{service}");
            if let Some(took) = observer.follow(&[owner], began).await {
                times.kube_proxy.push(took);
            }
        } else {
            sleep(Duration::from_millis(500)).await;
        }
    }
    times.weir = log.end(cluster)?;
    ensure!(times.weir.len() >= changes / 2, "the agent told of {} changes only", times.weir.len());
    Ok(times)
}

/// One endpoint of each service stops being ready at once, then all are back.
pub async fn many(cluster: &Cluster, scene: &Scene) -> Result<Times> {
    let mut times = Times::default();
    let observer = (!scene.alone).then(|| Observer::start(cluster)).transpose()?;
    until_quiet(cluster, observer.as_ref()).await?;
    let log = Log::begin(cluster)?;
    for is_ready in [false, true] {
        let began = Instant::now();
        let pods: Vec<String> = (0..scene.services).map(|service| pod_name(service, 1)).collect();
        stream::iter(pods.iter().map(|pod| set_ready(cluster, pod, is_ready)))
            .buffer_unordered(64)
            .try_collect::<Vec<_>>()
            .await?;
        if let Some(observer) = &observer {
            let owners: Vec<String> =
                (0..scene.services).map(|service| format!("service-{service}")).collect();
            times.kube_proxy.extend(observer.follow(&owners, began).await);
        }
        sleep(QUIET).await;
    }
    times.weir = log.end(cluster)?;
    Ok(times)
}

/// Waits until neither has anything left to do of what was before.
pub async fn until_all_is_done(cluster: &Cluster, scene: &Scene) -> Result<()> {
    let observer = (!scene.alone).then(|| Observer::start(cluster)).transpose()?;
    until_quiet(cluster, observer.as_ref()).await
}

/// The same, with an observer at hand: what is measured after it is what is changed.
async fn until_quiet(cluster: &Cluster, observer: Option<&Observer>) -> Result<()> {
    let began = Instant::now();
    let (mut lines, mut since) = (followed(cluster)?.len(), Instant::now());
    while since.elapsed() < QUIET * 3 {
        ensure!(began.elapsed() < Duration::from_mins(10), "there is always something that changes");
        sleep(QUIET / 2).await;
        let now = followed(cluster)?.len();
        let are_rules_new = observer.is_some_and(Observer::have_rules_changed);
        if now != lines || are_rules_new {
            (lines, since) = (now, Instant::now());
        }
    }
    Ok(())
}

/// From the patch of a weight to the acknowledgement of the node.
pub async fn weights(cluster: &Cluster) -> Result<Vec<f64>> {
    let gateways = gateways_api(&cluster.client);
    let mut times = Vec::new();
    for at in 0..20 {
        let (one, other) = (format!("{}%", 50 + at), format!("{}%", 50 - at));
        let spec =
            json!({ "spec": { "routes": { "(1.0.0)": { "weight": one }, "(2.0.0)": { "weight": other } } } });
        let began = Instant::now();
        let patched = gateways.patch("gateway-0", &PatchParams::default(), &Patch::Merge(&spec)).await?;
        let generation = patched.metadata.generation;
        loop {
            let now = gateways.get("gateway-0").await?;
            let status = &now.data["status"];
            let conditions = status["conditions"].as_array().into_iter().flatten();
            let mut programmed =
                conditions.filter(|one| one["type"] == "Programmed" && one["status"] == "True");
            let is_observed = status["observedGeneration"].as_i64() == generation;
            if is_observed && status["routes"][0]["weight"] == one && programmed.next().is_some() {
                break;
            }
            ensure!(began.elapsed() < Duration::from_secs(30), "the weight is not acknowledged");
            sleep(Duration::from_millis(2)).await;
        }
        times.push(milliseconds(began));
        sleep(Duration::from_millis(1_100)).await;
    }
    Ok(times)
}

/// From the start of an agent to everything in force, by its log.
pub async fn starts(cluster: &Cluster) -> Result<Vec<f64>> {
    let mut times = Vec::new();
    for _ in 0..3 {
        let pids = cluster.processes("weir", "agent")?;
        let [pid] = pids[..] else { bail!("expected one agent, found {}", pids.len()) };
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid)?).context("a process has a number")?;
        rustix::process::kill_process(pid, rustix::process::Signal::KILL)?;
        let began = Instant::now();
        loop {
            sleep(Duration::from_millis(500)).await;
            ensure!(began.elapsed() < Duration::from_mins(2), "the agent does not come back");
            if cluster.processes("weir", "agent")?.is_empty() {
                continue;
            }
            let log = agent_log(cluster, &["--tail=-1"]).unwrap_or_default();
            let stamp = |text: &str| {
                let line = log.lines().find(|line| line.contains(text))?;
                line.split_whitespace().next()?.parse::<k8s_openapi::jiff::Timestamp>().ok()
            };
            if let (Some(first), Some(done)) = (stamp("INFO"), stamp("serving; `weir get`")) {
                times.push(done.duration_since(first).as_secs_f64() * 1_000.0);
                break;
            }
        }
        sleep(QUIET).await;
    }
    Ok(times)
}

async fn set_ready(cluster: &Cluster, pod: &str, is_ready: bool) -> Result<()> {
    let status = if is_ready { "True" } else { "False" };
    // As a kubelet does: a pod whose containers are ready and which is not was only not heard of.
    let conditions = ["ContainersReady", "Ready"].map(|kind| json!({ "type": kind, "status": status }));
    let patch = json!({ "status": { "conditions": conditions } });
    let api = Api::<Pod>::namespaced(cluster.client.clone(), NAMESPACE);
    api.patch_status(pod, &PatchParams::default(), &Patch::Strategic(&patch)).await?;
    Ok(())
}

/// What the agent logs of changes that it follows.
struct Log {
    lines: usize,
}

impl Log {
    fn begin(cluster: &Cluster) -> Result<Self> {
        Ok(Self { lines: followed(cluster)?.len() })
    }

    fn end(self, cluster: &Cluster) -> Result<Vec<f64>> {
        Ok(followed(cluster)?.split_off(self.lines))
    }
}

/// Times of all changes that the agent followed, in milliseconds.
fn followed(cluster: &Cluster) -> Result<Vec<f64>> {
    let log = agent_log(cluster, &["--tail=-1"])?;
    let micros = |line: &str| -> Option<f64> {
        let (_, rest) = line.split_once("followed micros=")?;
        rest.split_whitespace().next()?.parse().ok()
    };
    Ok(log.lines().filter_map(micros).map(|micros| micros / 1_000.0).collect())
}

fn agent_log(cluster: &Cluster, more: &[&str]) -> Result<String> {
    let of = ["logs", "-n", "weir-system", "daemonset/weir-agent"];
    cluster.kubectl(&[&of[..], more].concat())
}

/// Sees slices arrive, and kube-proxy's rules change.
struct Observer {
    slices: tokio::sync::Mutex<tokio::sync::mpsc::UnboundedReceiver<(String, Instant)>>,
    rules: std::sync::Mutex<mpsc::Receiver<Instant>>,
    monitor: std::process::Child,
}

impl Observer {
    fn start(cluster: &Cluster) -> Result<Self> {
        let (told, slices) = tokio::sync::mpsc::unbounded_channel();
        let api = Api::<EndpointSlice>::namespaced(cluster.client.clone(), NAMESPACE);
        let config = watcher::Config::default().labels("kubernetes.io/service-name");
        tokio::spawn(async move {
            let mut changes = Box::pin(watcher(api, config).default_backoff().touched_objects());
            while let Some(Ok(slice)) = changes.next().await {
                let labels: BTreeMap<String, String> = slice.metadata.labels.unwrap_or_default();
                let owner = labels.get("kubernetes.io/service-name").cloned().unwrap_or_default();
                if told.send((owner, Instant::now())).is_err() {
                    return;
                }
            }
        });
        let mut monitor = cluster.on_node("nft", &["monitor"])?;
        let lines = BufReader::new(monitor.stdout.take().context("its output is piped")?).lines();
        let (changed, rules) = mpsc::channel();
        thread::spawn(move || {
            for _ in lines.map_while(Result::ok) {
                if changed.send(Instant::now()).is_err() {
                    return;
                }
            }
        });
        Ok(Self { slices: tokio::sync::Mutex::new(slices), rules: std::sync::Mutex::new(rules), monitor })
    }

    /// Whether the rules have changed since this was asked.
    fn have_rules_changed(&self) -> bool {
        self.rules.lock().expect("nobody panics with it").try_iter().count() > 0
    }

    /// From the arrival of the first slice of `owners` after `began` to the last change of the rules, in
    /// milliseconds.
    async fn follow(&self, owners: &[String], began: Instant) -> Option<f64> {
        let mut slices = self.slices.lock().await;
        let arrived = timeout(QUIET * 5, async {
            loop {
                let (owner, at) = slices.recv().await?;
                if at >= began && owners.contains(&owner) {
                    return Some(at);
                }
            }
        })
        .await
        .ok()??;
        let mut last = None;
        let mut quiet_since = Instant::now();
        while quiet_since.elapsed() < QUIET {
            sleep(Duration::from_millis(20)).await;
            let rules = self.rules.lock().expect("nobody panics with it");
            while let Ok(at) = rules.try_recv() {
                if at >= arrived {
                    last = Some(at);
                    quiet_since = Instant::now();
                }
            }
        }
        last.map(|last| last.duration_since(arrived).as_secs_f64() * 1_000.0)
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        let _ = self.monitor.kill();
        let _ = self.monitor.wait();
    }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1_000.0
}
