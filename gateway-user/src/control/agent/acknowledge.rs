//! What this node acknowledges: the status of its own `WeirNode`, the only thing that an agent writes.

use std::{collections::BTreeMap, future::Future, pin::pin, time::Duration};

use futures::StreamExt as _;
use kube::{
    Api, Client,
    api::{PartialObjectMeta, Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt as _, watcher::watch_object},
};
use tokio::{select, sync::watch, task::JoinSet, time};

use crate::control::{
    pauses::Pauses,
    resource::{NodeError, WeirNode, WeirNodeSpec, WeirNodeStatus},
};

/// Field manager of agents.
const AGENT: &str = "weir-agent";
/// Between two writes: counters of changes are told no more often.
const PAUSE: Duration = Duration::from_secs(1);
/// Between tries while the API server does not take it; each doubles it up to the longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Mistakes are told up to this number.
const MOST_ERRORS: usize = 16;

/// What there is to say of an agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Acknowledgement {
    /// The highest version of a gateway that the maps hold; 0: none yet.
    pub programmed: u64,
    /// What the agent does.
    pub phase: String,
    /// What is wrong, with the gateway that it is about.
    pub errors: Vec<(Option<String>, String)>,
    /// Devices, each with how the program is attached.
    pub interfaces: BTreeMap<String, String>,
    /// Kernel features that were looked for.
    pub features: BTreeMap<String, String>,
}

/// Writes acknowledgements of a node, in tasks of its own. Dropping it ends them.
#[derive(Debug)]
pub struct Acknowledger {
    latest: watch::Sender<Option<Acknowledgement>>,
    _tasks: JoinSet<()>,
}

impl Acknowledger {
    /// Of the node with this name, by the agent in this pod.
    pub fn start(client: Client, node: String, pod: Option<String>) -> Self {
        let (latest, receiver) = watch::channel(None);
        let (missed, missing) = watch::channel(());
        let mut tasks = JoinSet::new();
        tasks.spawn(look(Api::all(client.clone()), node.clone(), missed));
        let api = Api::all(client);
        let put = move |said| {
            let (api, node, status) = (api.clone(), node.clone(), status(said, pod.as_deref()));
            async move { put(&api, &node, &status).await }
        };
        tasks.spawn(write(receiver, missing, put));
        Self { latest, _tasks: tasks }
    }

    /// Says this from now on; what is the same as before is not written.
    pub fn say(&self, said: Acknowledgement) {
        self.latest.send_if_modified(|known| {
            let is_new = known.as_ref() != Some(&said);
            *known = Some(said);
            is_new
        });
    }
}

/// Tells when the object is missing: somebody has deleted it. Only its metadata is asked for.
async fn look(api: Api<PartialObjectMeta<WeirNode>>, node: String, missed: watch::Sender<()>) {
    let mut seen = pin!(watch_object(api, &node).backoff(Pauses::default()));
    while let Some(seen) = seen.next().await {
        match seen {
            Ok(Some(_)) => {}
            Ok(None) => missed.send_replace(()),
            Err(error) => {
                tracing::debug!(%error, "whether this node's acknowledgement is there is not known");
            }
        }
    }
}

/// Writes what is new, and all of it again where it is missing.
async fn write<F: Future<Output = kube::Result<()>>>(
    mut latest: watch::Receiver<Option<Acknowledgement>>,
    mut missing: watch::Receiver<()>,
    put: impl Fn(Acknowledgement) -> F,
) {
    let mut pause = PAUSE;
    let mut trouble: Option<String> = None;
    // Where it is deleted again and again (the node is gone, say) it is made less often.
    let mut pauses = Pauses::default();
    loop {
        select! {
            changed = latest.changed() => if changed.is_err() { return },
            Ok(()) = missing.changed() => time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await,
        }
        loop {
            let Some(said) = latest.borrow_and_update().clone() else { break };
            // What was missing until now is there with this.
            missing.borrow_and_update();
            match put(said).await {
                Ok(()) => {
                    pause = PAUSE;
                    if trouble.take().is_some() {
                        tracing::info!("this node's acknowledgement is written again");
                    }
                    break;
                }
                Err(error) => {
                    let error = error.to_string();
                    if trouble.as_ref() != Some(&error) {
                        tracing::warn!(
                            error,
                            "this node's acknowledgement is not written; it is tried again"
                        );
                        trouble = Some(error);
                    }
                    time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
        time::sleep(PAUSE).await;
    }
}

/// Writes the status; makes the object where there is none.
async fn put(api: &Api<WeirNode>, node: &str, status: &WeirNodeStatus) -> kube::Result<()> {
    let object = WeirNode { status: Some(status.clone()), ..WeirNode::new(node, WeirNodeSpec {}) };
    let params = PatchParams::apply(AGENT).force();
    let patch = Patch::Apply(&object);
    match api.patch_status(node, &params, &patch).await {
        Err(kube::Error::Api(error)) if error.code == 404 => {}
        written => return written.map(drop),
    }
    let fresh = PostParams { field_manager: Some(AGENT.to_owned()), ..PostParams::default() };
    match api.create(&fresh, &WeirNode::new(node, WeirNodeSpec {})).await {
        // Another agent of this node was first.
        Err(kube::Error::Api(error)) if error.code == 409 => {}
        made => drop(made?),
    }
    api.patch_status(node, &params, &patch).await.map(drop)
}

fn status(said: Acknowledgement, pod: Option<&str>) -> WeirNodeStatus {
    let mut features = said.features;
    let errors = said.errors.into_iter().take(MOST_ERRORS);
    WeirNodeStatus {
        agent_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        pod: pod.map(str::to_owned),
        kernel: features.remove("release"),
        features,
        interfaces: said.interfaces,
        programmed: (said.programmed > 0).then(|| said.programmed.to_string()),
        phase: Some(said.phase),
        errors: errors.map(|(gateway, message)| NodeError { gateway, message }).collect(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[test]
    fn what_is_missing_is_written_again_as_it_was_said_last() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let said = |phase: &str| Acknowledgement { phase: phase.to_owned(), ..Acknowledgement::default() };
        let all = async {
            let (latest, receiver) = watch::channel(None);
            let (missed, missing) = watch::channel(());
            let (written, mut seen) = mpsc::unbounded_channel();
            let put = move |said: Acknowledgement| {
                written.send(said.phase).unwrap();
                async { Ok(()) }
            };
            let task = tokio::spawn(write(receiver, missing, put));
            missed.send_replace(());
            latest.send_replace(Some(said("Serving")));
            assert_eq!(seen.recv().await.as_deref(), Some("Serving"));
            missed.send_replace(());
            assert_eq!(seen.recv().await.as_deref(), Some("Serving"));
            drop(latest);
            task.await.unwrap();
            assert_eq!(seen.recv().await, None, "what is there is not written again");
        };
        let deadline = Duration::from_secs(20);
        runtime.block_on(async { time::timeout(deadline, all).await }).expect("within seconds");
    }

    #[test]
    fn nothing_seen_is_no_version() {
        let said = Acknowledgement { phase: "Serving".to_owned(), ..Acknowledgement::default() };
        let status = status(said, Some("weir-agent-x"));
        assert_eq!((status.programmed, status.pod.as_deref()), (None, Some("weir-agent-x")));
    }

    #[test]
    fn the_version_is_a_text_as_the_api_server_writes_it_and_errors_are_bounded() {
        let errors = vec![(Some("shop/foo".to_owned()), "broken".to_owned()); 40];
        let features = BTreeMap::from([("release".to_owned(), "6.18".to_owned())]);
        let said = Acknowledgement { programmed: 1234, errors, features, ..Acknowledgement::default() };
        let status = status(said, None);
        assert_eq!((status.programmed.as_deref(), status.kernel.as_deref()), (Some("1234"), Some("6.18")));
        assert_eq!((status.errors.len(), status.features.len()), (MOST_ERRORS, 0));
    }
}
