//! What this node acknowledges: the status of its own `WeirNode`, the only thing that an agent writes.

use std::{collections::BTreeMap, time::Duration};

use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use tokio::{sync::watch, task::JoinHandle, time};

use crate::control::resource::{NodeError, WeirNode, WeirNodeSpec, WeirNodeStatus};

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

/// Writes acknowledgements of a node, in a task of its own. Dropping it ends the task.
#[derive(Debug)]
pub struct Acknowledger {
    latest: watch::Sender<Option<Acknowledgement>>,
    task: JoinHandle<()>,
}

impl Drop for Acknowledger {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Acknowledger {
    /// Of the node with this name, by the agent in this pod.
    pub fn start(client: Client, node: String, pod: Option<String>) -> Self {
        let (latest, receiver) = watch::channel(None);
        let task = tokio::spawn(write(Api::all(client), node, pod, receiver));
        Self { latest, task }
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

async fn write(
    api: Api<WeirNode>,
    node: String,
    pod: Option<String>,
    mut latest: watch::Receiver<Option<Acknowledgement>>,
) {
    let mut pause = PAUSE;
    let mut trouble: Option<String> = None;
    while latest.changed().await.is_ok() {
        loop {
            let Some(said) = latest.borrow_and_update().clone() else { break };
            match put(&api, &node, &status(said, pod.as_deref())).await {
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
    use super::*;

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
