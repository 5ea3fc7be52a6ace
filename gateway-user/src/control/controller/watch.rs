//! The watches: objects are reduced to what counts of them as they arrive. Watches go on whatever happens to the API
//! server.

use std::{fmt::Debug, pin::pin, time::Instant};

use futures::{Stream, StreamExt as _};
use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet, StatefulSet},
    coordination::v1::Lease,
    core::v1::{Node, Pod},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, Client, Resource,
    core::DeserializeGuard,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    metrics::Metrics,
    slices::{MANAGED_BY, MANAGED_BY_LABEL},
};
use crate::{
    causes,
    control::{
        agent::{
            facts::{Fact, Key},
            store::Event,
        },
        pauses::{Pauses, WATCH_SECONDS},
        resource::{WeirAddressPool, WeirGateway, WeirNode, announcing},
        translate::{
            self, AgentSeen, GatewayFacts, LeaseFacts, NodeSeen, Owner, OwnerFacts, PodFacts, PoolSeen,
            ServiceSeen, SliceSeen,
        },
    },
};

/// Something that happened to an object.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "few wait at a time, and most are taken apart at once")]
pub(super) enum Change {
    /// To a gateway.
    Gateway(Event<GatewayFacts>),
    /// Its status was written by this controller.
    OwnStatus(Box<GatewayFacts>),
    /// To a pod.
    Pod(Event<PodFacts>),
    /// To something of this kind that makes pods.
    Owner(&'static str, Event<OwnerFacts>),
    /// To a slice that was published.
    Slice(Event<SliceSeen>),
    /// To a Service.
    Service(Event<ServiceSeen>),
    /// To a node.
    Node(Event<NodeSeen>),
    /// To a node's acknowledgement.
    Agent(Event<AgentSeen>),
    /// To a pool of addresses.
    Pool(Event<PoolSeen>),
    /// To the Lease of an address.
    Lease(Event<LeaseFacts>),
}

/// Tells of changes, each with when it arrived.
pub(super) type Teller = mpsc::Sender<(Instant, Change)>;

/// Begins to watch; ends where what is returned is dropped.
pub(super) fn start(client: &Client, namespace: &str, teller: &Teller, metrics: &Metrics) -> JoinSet<()> {
    let watches = &mut Watches { all: JoinSet::new(), client, teller, metrics };
    watches.watch("WeirGateways", gateway, Change::Gateway);
    watches.watch("Pods", |pod: Pod| translate::pod(&pod), Change::Pod);
    watches.watch_owners::<Deployment>();
    watches.watch_owners::<StatefulSet>();
    watches.watch_owners::<ReplicaSet>();
    let own = namespace.to_owned();
    let reduce = move |service| Some(translate::service(service, &own));
    watches.watch("Services", reduce, Change::Service);
    watches.watch("Nodes", |node: Node| Some(translate::node(node)), Change::Node);
    watches.watch("WeirNodes", |node: WeirNode| Some(translate::agent(node)), Change::Agent);
    watches.watch("WeirAddressPools", |pool: WeirAddressPool| Some(translate::pool(pool)), Change::Pool);
    let ours = all().labels(&format!("{MANAGED_BY_LABEL}={MANAGED_BY}"));
    let reduce = |slice: EndpointSlice| Some(translate::slice(slice));
    watches.watch_some("EndpointSlices", ours, reduce, Change::Slice);
    let which = all().labels(&announcing());
    let leases: Api<Lease> = Api::namespaced(client.clone(), namespace);
    watches.follow("Leases", watcher(leases, which), translate::lease, Change::Lease);
    std::mem::take(&mut watches.all)
}

fn all() -> watcher::Config {
    watcher::Config::default().timeout(WATCH_SECONDS)
}

/// An object that cannot be read is none, and stops nobody else's.
fn gateway(object: DeserializeGuard<WeirGateway>) -> Option<GatewayFacts> {
    match object.0 {
        Ok(object) => Some(translate::gateway(&object)),
        Err(error) => {
            tracing::error!(
                error = error.error,
                name = ?error.metadata.name,
                namespace = ?error.metadata.namespace,
                "this gateway is not what its definition says, and is left aside"
            );
            None
        }
    }
}

struct Watches<'a> {
    all: JoinSet<()>,
    client: &'a Client,
    teller: &'a Teller,
    metrics: &'a Metrics,
}

impl Watches<'_> {
    fn watch_owners<K>(&mut self)
    where
        K: Owner + Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
    {
        self.watch(K::KIND, |object: K| translate::owner(&object), |event| Change::Owner(K::KIND, event));
    }

    fn watch<K, F>(
        &mut self,
        kind: &'static str,
        reduce: impl Fn(K) -> Option<F> + Send + 'static,
        change: impl Fn(Event<F>) -> Change + Send + 'static,
    ) where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
        F: Fact + Send + 'static,
    {
        self.watch_some(kind, all(), reduce, change);
    }

    fn watch_some<K, F>(
        &mut self,
        kind: &'static str,
        which: watcher::Config,
        reduce: impl Fn(K) -> Option<F> + Send + 'static,
        change: impl Fn(Event<F>) -> Change + Send + 'static,
    ) where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
        F: Fact + Send + 'static,
    {
        self.follow(kind, watcher(Api::all(self.client.clone()), which), reduce, change);
    }

    fn follow<K, F>(
        &mut self,
        kind: &'static str,
        stream: impl Stream<Item = Result<watcher::Event<K>, watcher::Error>> + Send + 'static,
        reduce: impl Fn(K) -> Option<F> + Send + 'static,
        change: impl Fn(Event<F>) -> Change + Send + 'static,
    ) where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
        F: Fact + Send + 'static,
    {
        self.all.spawn(tell(kind, stream, self.teller.clone(), self.metrics.clone(), reduce, change));
    }
}

/// Tells what one watch says. Ends with the receiver.
async fn tell<K, F: Fact>(
    kind: &'static str,
    stream: impl Stream<Item = Result<watcher::Event<K>, watcher::Error>>,
    teller: Teller,
    metrics: Metrics,
    reduce: impl Fn(K) -> Option<F>,
    change: impl Fn(Event<F>) -> Change,
) where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut stream = pin!(stream.backoff(Pauses::default()));
    let mut trouble: Option<String> = None;
    while let Some(event) = stream.next().await {
        let arrived = Instant::now();
        let event = match event {
            Ok(event) => match reduced(event, &reduce) {
                Some(event) => event,
                None => continue,
            },
            Err(error) => {
                metrics.count_watch_error(kind);
                let error = causes::text_of_std(&error);
                if trouble.as_ref() != Some(&error) {
                    tracing::warn!(kind, error, "what is known stays; the watch is tried again");
                    trouble = Some(error);
                }
                continue;
            }
        };
        if trouble.is_some() && matches!(event, Event::End | Event::Applied(_) | Event::Deleted(..)) {
            tracing::info!(kind, "watched again");
            trouble = None;
        }
        if teller.send((arrived, change(event))).await.is_err() {
            return;
        }
    }
}

/// What does not count any more is as good as gone.
fn reduced<K: Resource, F: Fact>(
    event: watcher::Event<K>,
    reduce: impl Fn(K) -> Option<F>,
) -> Option<Event<F>> {
    let key = |object: &K| -> Key {
        let meta = object.meta();
        (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
    };
    Some(match event {
        watcher::Event::Init => Event::Begin,
        watcher::Event::InitApply(object) => Event::Listed(reduce(object)?),
        watcher::Event::InitDone => Event::End,
        watcher::Event::Apply(object) => {
            let (key, version) = (key(&object), translate::version(object.meta()));
            reduce(object).map_or(Event::Deleted(key, version), Event::Applied)
        }
        watcher::Event::Delete(object) => Event::Deleted(key(&object), translate::version(object.meta())),
    })
}
