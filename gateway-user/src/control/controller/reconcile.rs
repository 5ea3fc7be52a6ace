//! What is to be written for a gateway: pure, from what is known.

use std::collections::HashSet;

use gateway_model::key::{GatewayKey, Protocol};
use k8s_openapi::{
    api::discovery::v1::EndpointSlice, apimachinery::pkg::apis::meta::v1::OwnerReference, jiff::Timestamp,
};
use kube::api::ObjectMeta;
use serde_json::Value;

use super::{
    cluster::{Cluster, Of, Stale},
    service,
    slices::{self, Told},
    status::{self, Known},
};
use crate::control::{
    resource::{ServiceStatus, WeirGatewayStatus},
    translate::{GatewayFacts, slice_content},
};

/// Everything that is to be written for one gateway, in this order.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// Slices that do not exist: first, so that an endpoint that moves is never in none.
    pub(super) create: Vec<EndpointSlice>,
    /// Slices that exist.
    pub(super) change: Vec<EndpointSlice>,
    /// Its status, with the version that it replaces.
    pub(super) status: Option<(String, WeirGatewayStatus)>,
    /// Its Service, and whether it exists.
    pub(super) service: Option<(Value, bool)>,
    /// Slices that are no longer needed, with what tells each from another of its name: last.
    pub(super) delete: Vec<(String, String)>,
}

impl Work {
    /// Whether there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.create.is_empty()
            && self.change.is_empty()
            && self.delete.is_empty()
            && self.status.is_none()
            && self.service.is_none()
    }
}

/// What was found about a gateway.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// What is to be written now.
    pub(super) work: Work,
    /// Whether a status is to be written later: only counts differ.
    pub(super) is_status_due: bool,
    /// Whether its Service is to be written later.
    pub(super) is_service_due: bool,
    /// What users are to be told: what, and whether it is a warning.
    pub(super) told: Vec<(&'static str, String, bool)>,
}

/// What may be written already.
#[derive(Clone, Copy, Debug)]
pub(super) struct May {
    /// A status of which only counts differ.
    pub(super) counts: bool,
    /// Its Service, which the API server may have refused just now.
    pub(super) service: bool,
}

/// Finds what is to be written. `trouble` is what the API server said against its Service.
pub(super) fn find(
    cluster: &Cluster,
    key: &GatewayKey,
    stale: Stale,
    trouble: Option<&str>,
    may: May,
) -> Found {
    let mut found = Found::default();
    let Some(of) = cluster.of(key) else { return found };
    let facts = of.facts;
    if stale.slices {
        find_slices(cluster, &of, &mut found.work);
    }
    let service = find_service(cluster, &of, trouble, &mut found.work);
    if !may.service {
        found.is_service_due = found.work.service.take().is_some();
    }
    // To the second, as the API server keeps it.
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
    let mut known = Known {
        facts,
        resolved: of.resolved,
        kept: of.kept,
        findings: of.findings,
        in_force: of.last_good.map(|good| good.spec.value()),
        service,
        nodes: cluster.nodes_with(key),
    };
    let mut fresh = status::status(&known, now);
    if status::differs_for_agents(&facts.status, &fresh)
        || facts.status.observed_generation != Some(facts.generation)
    {
        known.nodes = cluster.nodes_without(key);
        fresh = status::status(&known, now);
    }
    if fresh == facts.status {
        return found;
    }
    if !may.counts && !status::differs_in_what_is_in_force(&facts.status, &fresh) {
        found.is_status_due = true;
        return found;
    }
    found.told = status::news(&facts.status, &fresh);
    found.work.status = Some((facts.version.to_string(), fresh));
    found
}

fn find_slices(cluster: &Cluster, of: &Of<'_>, work: &mut Work) {
    // Of what is not in force nothing is known: what was published stays.
    let Some(resolved) = of.resolved else { return };
    let facts = of.facts;
    let namespace = &facts.key.namespace;
    let pod = |name: &str| {
        let (pod, zone) = cluster.pod(namespace, name)?;
        Some(Told {
            uid: &pod.uid,
            node: pod.node.as_deref(),
            zone,
            is_serving: pod.is_serving,
            is_terminating: pod.is_terminating,
        })
    };
    let owned = ObjectMeta {
        namespace: Some(namespace.clone()),
        owner_references: Some(vec![owner(facts)]),
        ..ObjectMeta::default()
    };
    let mut wanted: HashSet<String> = HashSet::new();
    for slice in slices::desired(resolved, &facts.service_name, &owned, pod) {
        let name = slice.metadata.name.clone().unwrap_or_default();
        match cluster.published(facts).find(|seen| seen.key.1 == name) {
            None => work.create.push(slice),
            Some(seen) if seen.content != slice_content(&slice) => work.change.push(slice),
            Some(_) => {}
        }
        wanted.insert(name);
    }
    let rest = cluster.published(facts).filter(|seen| !wanted.contains(&seen.key.1));
    work.delete = rest.map(|seen| (seen.key.1.clone(), seen.uid.clone())).collect();
}

fn owner(facts: &GatewayFacts) -> OwnerReference {
    serde_json::from_value(service::owner(facts)).expect("it was written as one")
}

/// The state of a gateway's Service; what is to be written goes to `work`.
fn find_service(
    cluster: &Cluster,
    of: &Of<'_>,
    trouble: Option<&str>,
    work: &mut Work,
) -> Result<ServiceStatus, String> {
    let facts = of.facts;
    let name = &facts.service_name;
    let there = cluster.service(&facts.key.namespace, name);
    let own = there.and_then(|seen| seen.service.as_deref()).filter(|found| service::is_ours(found, facts));
    if there.is_some() && own.is_none() {
        return Err(service::foreign(&facts.key, name));
    }
    let Some(resolved) = of.resolved else {
        return own.map(service::status).ok_or_else(|| "nothing of the gateway is in force".to_owned());
    };
    // While the declaration cannot be in force, so is not what it says of its Service.
    let declared = of.last_good.unwrap_or(facts);
    let asked = GatewayFacts { service: declared.service.clone(), ..facts.clone() };
    let protocol = match resolved.kind.protocol() {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
    };
    let desired = service::desired(&asked, name, resolved.port, resolved.kind.name(), protocol);
    match own {
        Some(found) if service::is_as_desired(found, &desired) => return Ok(service::status(found)),
        Some(_) => work.service = Some((desired, true)),
        None => work.service = Some((desired, false)),
    }
    match (trouble, own) {
        (Some(trouble), _) => Err(trouble.to_owned()),
        (None, Some(found)) => Ok(service::status(found)),
        (None, None) => Err(format!("Service {name} is not made yet")),
    }
}
