//! Which nodes have which gateways as they are.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use gateway_model::key::GatewayKey;

use super::Cluster;
use crate::control::{
    agent::{facts::Key, store::Store},
    controller::status::count,
    resource::NodesStatus,
    translate::AgentSeen,
};

/// How many nodes are named.
const NAMED: usize = 10;

/// What nodes acknowledge, and what they are to.
#[derive(Debug, Default)]
pub(super) struct Acks {
    pub(super) agents: Store<AgentSeen>,
    /// By pod of an agent the node that it runs on.
    pub(super) pods: HashMap<Key, Arc<str>>,
    /// The version in which what agents act on last changed.
    pub(super) versions: HashMap<GatewayKey, u64>,
}

impl Cluster {
    /// Which nodes have a gateway as it is.
    pub(in crate::control::controller) fn nodes_with(&self, key: &GatewayKey) -> NodesStatus {
        self.nodes_from(key, self.acks.versions.get(key).copied().unwrap_or(u64::MAX))
    }

    /// Nobody has it yet: it was just written.
    pub(in crate::control::controller) fn nodes_without(&self, key: &GatewayKey) -> NodesStatus {
        self.nodes_from(key, u64::MAX)
    }

    fn nodes_from(&self, key: &GatewayKey, version: u64) -> NodesStatus {
        let expected = self.expected();
        let shown = key.to_string();
        let has = |node: &str| {
            let agent = self.acks.agents.get(&(String::new(), node.to_owned()));
            agent.is_some_and(|agent| agent.programmed >= version && !agent.failed.contains(&shown))
        };
        let lagging: Vec<&str> = expected.iter().map(AsRef::as_ref).filter(|node| !has(node)).collect();
        NodesStatus {
            programmed: count(expected.len() - lagging.len()),
            total: count(expected.len()),
            lagging: lagging.into_iter().take(NAMED).map(str::to_owned).collect(),
        }
    }

    /// Nodes that are to have an agent: where its pods are; where there are none, where one has said something.
    fn expected(&self) -> BTreeSet<Arc<str>> {
        let exists = |node: &Arc<str>| self.nodes.get(&(String::new(), node.to_string())).is_some();
        let mut expected: BTreeSet<Arc<str>> =
            self.acks.pods.values().filter(|node| exists(node)).cloned().collect();
        if expected.is_empty() {
            let said = self.acks.agents.iter().map(|(key, _)| Arc::<str>::from(key.1.as_str()));
            expected.extend(said.filter(exists));
        }
        expected
    }

    /// Marks gateways of which other nodes have what is in force than their status says.
    pub(super) fn compare_acks(&mut self) {
        for facts in self.gateways.values() {
            if facts.status.nodes.as_ref() != Some(&self.nodes_with(&facts.key)) {
                self.news.stale.entry(facts.key.clone()).or_default();
            }
        }
    }
}
