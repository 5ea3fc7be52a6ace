//! Waiting until a change is in force on every node.

use std::{collections::BTreeSet, time::Duration};

use gateway_model::key::GatewayKey;
use k8s_openapi::api::core::v1::Node;
use kube::{Api, ResourceExt as _, api::ListParams};
use tokio::time::{Instant, sleep};

use super::{Cluster, refused, world::list};
use crate::control::{
    resource::{WeirGateway, WeirNode},
    translate::version,
};

/// Between two looks; each is twice as long as the one before, up to the longest.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// Who has a change and who has not.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Settled {
    /// How many nodes have it.
    pub(super) programmed: usize,
    /// Names of those that have not, each with the version that it has.
    pub(super) lagging: Vec<(String, u64)>,
}

impl Cluster {
    /// Waits until the leader has put this generation in force and every node has acknowledged it; then, or when
    /// the time is over, tells who has.
    ///
    /// # Errors
    /// Where the leader refuses it, or says nothing.
    pub(super) async fn settle(
        &self,
        key: &GatewayKey,
        generation: i64,
        timeout: Duration,
    ) -> anyhow::Result<Settled> {
        let deadline = Instant::now() + timeout;
        let version = self.wait_for_leader(key, generation, deadline).await?;
        // A node that is gone leaves its acknowledgement for a moment; not everyone may list nodes.
        let nodes: Api<Node> = Api::all(self.client.clone());
        let existing = nodes.list_metadata(&ListParams::default()).await.ok();
        let existing: Option<BTreeSet<String>> =
            existing.map(|nodes| nodes.items.iter().map(kube::ResourceExt::name_any).collect());
        let mut pause = PAUSE;
        loop {
            let settled = self.who_has(version, existing.as_ref()).await?;
            if settled.lagging.is_empty() || Instant::now() >= deadline {
                return Ok(settled);
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The version of the gateway at which the leader has put a generation in force.
    async fn wait_for_leader(
        &self,
        key: &GatewayKey,
        generation: i64,
        deadline: Instant,
    ) -> anyhow::Result<u64> {
        let api: Api<WeirGateway> = Api::namespaced(self.client.clone(), &key.namespace);
        loop {
            let gateway =
                api.get(&key.name).await.map_err(|error| refused(error, &format!("gateway {key}")))?;
            let status = gateway.status.as_ref();
            if status
                .and_then(|status| status.observed_generation)
                .is_some_and(|observed| observed >= generation)
            {
                let conditions = status.map(|status| status.conditions.as_slice()).unwrap_or_default();
                let refused = conditions.iter().find(|one| one.type_ == "Accepted" && one.status == "False");
                if let Some(refused) = refused {
                    anyhow::bail!("gateway {key} is not accepted ({}): {}", refused.reason, refused.message);
                }
                return Ok(version(&gateway.metadata));
            }
            if Instant::now() >= deadline {
                anyhow::bail!(
                    "it is written, and the leader has not put it in force yet; see whether the controller runs: \
                     `kubectl -n {} get pods,leases`",
                    self.system_namespace
                );
            }
            sleep(PAUSE).await;
        }
    }

    async fn who_has(&self, version: u64, existing: Option<&BTreeSet<String>>) -> anyhow::Result<Settled> {
        let nodes: Api<WeirNode> = Api::all(self.client.clone());
        let acknowledged = list(&nodes, ListParams::default(), "acknowledgements cannot be listed").await?;
        let known = acknowledged.into_iter().filter_map(|node| {
            let name = node.name_any();
            let exists = existing.is_none_or(|existing| existing.contains(&name));
            exists
                .then(|| (name, node.status.and_then(|status| status.programmed?.parse().ok()).unwrap_or(0)))
        });
        Ok(compare(known, version))
    }
}

fn compare(nodes: impl Iterator<Item = (String, u64)>, version: u64) -> Settled {
    let mut settled = Settled::default();
    for (name, programmed) in nodes {
        if programmed >= version {
            settled.programmed += 1;
        } else {
            settled.lagging.push((name, programmed));
        }
    }
    settled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_has_an_older_version_lags() {
        let nodes = [("n1", 12), ("n2", 9), ("n3", 10)].map(|(name, has)| (name.to_owned(), has));
        let settled = compare(nodes.into_iter(), 10);
        assert_eq!(settled, Settled { programmed: 2, lagging: vec![("n2".to_owned(), 9)] });
    }
}
