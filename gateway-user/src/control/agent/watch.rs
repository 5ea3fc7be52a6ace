//! The watches. They go on whatever happens to the API server, and what was known before stays.

use std::{collections::BTreeSet, fmt::Debug, net::IpAddr, pin::pin, time::Instant};

use futures::{Stream, StreamExt as _};
use k8s_openapi::api::{
    core::v1::{Node, Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, Client, Resource,
    core::{ApiResource, DynamicObject},
    runtime::{
        WatchStreamExt as _,
        watcher::{self, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::{
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
};

use super::{
    super::{
        pauses::{Pauses, WATCH_SECONDS},
        resource::{GATEWAY_LABEL, SERVICE_PROXY, SERVICE_PROXY_LABEL, WeirGateway},
        translate::version,
    },
    facts::Fact,
    follow::Follower,
    kept::Places,
    translate,
    view::{Change, Delta, Event, View},
};

/// What is to be watched.
#[derive(Clone, Debug)]
pub struct Scope {
    /// This node's name.
    pub node: String,
    /// Weir's own namespace.
    pub namespace: String,
    /// Where the last good plan is kept.
    pub places: Places,
}

/// What the cluster says, followed. Dropping it ends the watches.
#[derive(Debug)]
pub struct Source {
    deltas: mpsc::Receiver<Delta>,
    addresses: watch::Sender<BTreeSet<IpAddr>>,
    task: JoinHandle<()>,
}

impl Drop for Source {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Source {
    /// Begins to watch, in tasks of the current runtime; `addresses` are those of the node's devices. What was kept
    /// is told at once, before the API server answers.
    pub fn follow(client: &Client, scope: Scope, addresses: BTreeSet<IpAddr>) -> Self {
        let mut view = View::new(&scope.node, &scope.namespace);
        if let Some(kept) = scope.places.load(&scope.node) {
            tracing::info!(
                gateways = kept.gateways.len(),
                services = kept.services.len(),
                "the last good plan serves until the API server has told all"
            );
            view.restore(kept);
        }
        view.set_addresses(addresses.clone());
        let (addresses, changed_addresses) = watch::channel(addresses);
        let (told, deltas) = mpsc::channel(1);
        let (changes, events) = mpsc::channel(1024);
        let watches = start(client, &scope, &changes);
        let follower = Follower { view, events, addresses: changed_addresses, told, places: scope.places };
        let task = tokio::spawn(async move {
            // They end with this task.
            let _watches = watches;
            follower.follow().await;
        });
        Self { deltas, addresses, task }
    }

    /// Waits until something has changed. May be dropped and called again.
    pub async fn changed(&mut self) -> Delta {
        match self.deltas.recv().await {
            Some(delta) => delta,
            // The task ends with this value only.
            None => std::future::pending().await,
        }
    }

    /// Tells what addresses the node's devices have.
    pub fn set_addresses(&self, addresses: BTreeSet<IpAddr>) {
        self.addresses.send_if_modified(|known| {
            let is_new = *known != addresses;
            *known = addresses;
            is_new
        });
    }
}

fn start(client: &Client, scope: &Scope, changes: &mpsc::Sender<News<Change>>) -> JoinSet<()> {
    let own = || watcher::Config::default().timeout(WATCH_SECONDS);
    // Of what each node lists whole the API server has a copy at hand: with a thousand nodes that begin at once, its
    // storage would be read a thousand times over. What changed in the last moment, the watch tells.
    let all = || own().any_semantic();
    let mut watches = JoinSet::new();
    let resource = ApiResource::erase::<WeirGateway>(&());
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let stream = watcher(api, all());
    watches.spawn(tell("WeirGateways", stream, changes.clone(), translate::gateway, Change::Gateway));
    let api: Api<EndpointSlice> = Api::all(client.clone());
    let stream = watcher(api, all().labels(GATEWAY_LABEL));
    watches.spawn(tell("EndpointSlices", stream, changes.clone(), translate::slice, Change::Slice));
    let api: Api<Service> = Api::all(client.clone());
    let stream = watcher(api, all().labels(&format!("{SERVICE_PROXY_LABEL}={SERVICE_PROXY}")));
    watches.spawn(tell("Services", stream, changes.clone(), translate::service, Change::Service));
    let api: Api<Pod> = Api::all(client.clone());
    let stream = watcher(api, own().fields(&format!("spec.nodeName={}", scope.node)));
    watches.spawn(tell("Pods", stream, changes.clone(), |pod| Some(translate::pod(&pod)), Change::Pod));
    let api: Api<Node> = Api::all(client.clone());
    let stream = watcher(api, own().fields(&format!("metadata.name={}", scope.node)));
    watches.spawn(tell("Nodes", stream, changes.clone(), |node| Some(translate::node(&node)), Change::Node));
    watches
}

/// Tells what one watch says, reduced to facts. Ends with the receiver.
pub(super) async fn tell<K, T: Fact, C>(
    kind: &'static str,
    stream: impl Stream<Item = Result<watcher::Event<K>, watcher::Error>>,
    changes: mpsc::Sender<News<C>>,
    reduce: impl Fn(K) -> Option<T>,
    change: impl Fn(Event<T>) -> C,
) where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut stream = pin!(stream.backoff(Pauses::default()));
    let mut trouble: Option<String> = None;
    while let Some(event) = stream.next().await {
        let arrived = Instant::now();
        let event = match event {
            Ok(watcher::Event::Init) => Event::Begin,
            Ok(watcher::Event::InitApply(object)) => {
                let Some(facts) = reduce(object) else { continue };
                Event::Listed(facts)
            }
            Ok(watcher::Event::InitDone) => Event::End,
            Ok(watcher::Event::Apply(object)) => {
                let Some(facts) = reduce(object) else { continue };
                Event::Applied(facts)
            }
            Ok(watcher::Event::Delete(object)) => {
                Event::Deleted(translate::key(object.meta()), version(object.meta()))
            }
            Err(error) => {
                let error = error.to_string();
                if trouble.as_ref() != Some(&error) {
                    tracing::warn!(kind, error, "what is known stays; the watch is tried again");
                    trouble = Some(error);
                }
                if changes.send(News::Failed).await.is_err() {
                    return;
                }
                continue;
            }
        };
        if trouble.is_some() && matches!(event, Event::End | Event::Applied(_) | Event::Deleted(..)) {
            tracing::info!(kind, "watched again");
            trouble = None;
        }
        if changes.send(News::Change(arrived, Box::new(change(event)))).await.is_err() {
            return;
        }
    }
}

/// What comes of a watch.
pub(super) enum News<C> {
    /// Something, and when it arrived.
    Change(Instant, Box<C>),
    /// An error: the API server is away, or lets us not watch.
    Failed,
}
