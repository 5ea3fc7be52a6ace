//! Taking note of changes.

use std::sync::Arc;

use gateway_model::key::GatewayKey;

use super::{Cluster, OWNERS, PodSeen};
use crate::control::{
    agent::{
        facts::Key,
        store::{Event, Fresh},
    },
    controller::{status, watch::Change},
    translate::{
        AgentSeen, GatewayFacts, LeaseFacts, NodeSeen, OwnerFacts, PodFacts, PoolSeen, SHARED_SERVICE,
        ServiceSeen, SliceSeen,
    },
};

impl Cluster {
    /// Takes note of a change.
    pub(in crate::control::controller) fn handle(&mut self, change: Change) {
        match change {
            Change::Gateway(event) => {
                let fresh = self.gateways.note(event);
                self.set_gateways(fresh, false);
            }
            Change::OwnStatus(facts) => {
                let key = (facts.key.namespace.clone(), facts.key.name.clone());
                self.set_gateways(vec![(key, Some(*facts))], true);
            }
            Change::Pod(event) => {
                let fresh = self.pods.note(event);
                self.set_pods(fresh);
            }
            Change::Owner(kind, event) => {
                let Some(of_kind) = OWNERS.iter().position(|known| *known == kind) else { return };
                let fresh = self.owners[of_kind].note(event);
                self.set_owners(of_kind, fresh);
            }
            Change::Slice(event) => {
                let fresh = self.slices.note(event);
                self.set_slices(fresh);
            }
            Change::Service(event) => {
                let fresh = self.services.note(event);
                self.set_services(fresh);
            }
            Change::Node(event) => {
                if matches!(event, Event::Begin) && self.nodes.is_known() {
                    self.silence.note_gap();
                }
                let fresh = self.nodes.note(event);
                self.set_nodes(fresh);
            }
            Change::Agent(event) => {
                let fresh = self.acks.agents.note(event);
                self.set_agents(fresh);
            }
            Change::Lease(event) => {
                // Once they are known is news as well.
                self.news.addresses |= matches!(event, Event::End);
                let fresh = self.leases.note(event);
                self.set_leases(fresh);
            }
            Change::Pool(event) => {
                let fresh = self.pools.note(event);
                self.set_pools(fresh);
            }
        }
    }

    /// Takes it that what empty lists left out is gone.
    pub(in crate::control::controller) fn believe(&mut self) {
        let gone = self.gateways.believe();
        self.set_gateways(gone, false);
        let gone = self.pods.believe();
        self.set_pods(gone);
        for of_kind in 0..OWNERS.len() {
            let gone = self.owners[of_kind].believe();
            self.set_owners(of_kind, gone);
        }
        let gone = self.slices.believe();
        self.set_slices(gone);
        let gone = self.services.believe();
        self.set_services(gone);
        let gone = self.nodes.believe();
        self.set_nodes(gone);
        let gone = self.acks.agents.believe();
        self.set_agents(gone);
        let gone = self.pools.believe();
        self.set_pools(gone);
        let gone = self.leases.believe();
        self.set_leases(gone);
    }

    fn set_gateways(&mut self, fresh: Vec<Fresh<GatewayFacts>>, is_own: bool) {
        for (key, facts) in fresh {
            let gateway = GatewayKey::new(key.0.clone(), key.1.clone());
            let old = self.gateways.get(&key).cloned();
            let Some(facts) = facts else {
                let Some(old) = old else { continue };
                self.gateways.set(&key, None);
                self.forget(&gateway, &old);
                self.news.gone.push(gateway);
                continue;
            };
            if old.as_ref().is_some_and(|old| old.uid == facts.uid && old.version > facts.version) {
                continue;
            }
            if let Some(old) = old.as_ref().filter(|old| old.uid != facts.uid) {
                self.forget(&gateway, old);
                self.news.reborn.insert(gateway.clone());
            }
            let same = old.as_ref().filter(|old| old.uid == facts.uid);
            let is_new_to_agents = same.is_none_or(|old| {
                old.generation != facts.generation || status::differs_for_agents(&old.status, &facts.status)
            });
            if is_new_to_agents {
                self.acks.versions.insert(gateway.clone(), facts.version);
            }
            if same.is_some_and(|old| status::differs_for_agents(&old.status, &facts.status)) && !is_own {
                self.news.overwritten.insert(gateway.clone());
            }
            self.news.declared |= same.is_none_or(|old| old.spec != facts.spec);
            self.news.addresses |= same.is_none_or(|old| old.service != facts.service);
            self.by_service.insert((key.0.clone(), facts.service_name.clone()), gateway.clone());
            if same.is_none_or(|old| old.generation != facts.generation || old.status != facts.status) {
                self.news.stale.entry(gateway).or_default();
            }
            self.gateways.set(&key, Some(Arc::new(facts)));
        }
    }

    fn forget(&mut self, gateway: &GatewayKey, old: &GatewayFacts) {
        self.by_service.remove(&(gateway.namespace.clone(), old.service_name.clone()));
        self.acks.versions.remove(gateway);
        self.last_good.remove(gateway);
        (self.news.declared, self.news.addresses) = (true, true);
    }

    pub(super) fn set_pods(&mut self, fresh: Vec<Fresh<PodFacts>>) {
        for (key, facts) in fresh {
            let Some(facts) = facts else {
                self.pods.set(&key, None);
                self.silence.forget(&key);
                self.planner.remove_workload(&format!("{}/pod/{}", key.0, key.1));
                self.news.acks |= self.acks.pods.remove(&key).is_some();
                continue;
            };
            let facts = self.silence.judged(&key, facts);
            let node = facts.workload.node.as_deref().map(|node| self.node_name(node));
            let label = |name: &str| facts.workload.labels.get(name).map(String::as_str);
            let seen = PodSeen {
                uid: facts.uid,
                is_agent: key.0 == self.namespace
                    && label("app.kubernetes.io/name") == Some("weir")
                    && label("app.kubernetes.io/component") == Some("agent"),
                node,
                is_serving: facts.is_serving,
                is_terminating: facts.is_terminating,
            };
            if let Some(node) = seen.node.as_ref().filter(|_| seen.is_agent) {
                self.news.acks |= self.acks.pods.insert(key.clone(), Arc::clone(node)).as_ref() != Some(node);
            }
            self.planner.upsert_workload(facts.workload);
            let old = self.pods.get(&key);
            if old.is_some_and(|old| **old != seen) {
                self.news.pods.insert(key.clone());
            }
            if old.is_none_or(|old| **old != seen) {
                self.pods.set(&key, Some(Arc::new(seen)));
            }
        }
    }

    fn node_name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.node_names.get(name) {
            return Arc::clone(known);
        }
        let fresh: Arc<str> = name.into();
        self.node_names.insert(Arc::clone(&fresh));
        fresh
    }

    fn set_owners(&mut self, of_kind: usize, fresh: Vec<Fresh<OwnerFacts>>) {
        let known = Arc::new(());
        for (key, facts) in fresh {
            if let Some(OwnerFacts(workload)) = facts {
                self.owners[of_kind].set(&key, Some(Arc::clone(&known)));
                self.planner.upsert_workload(workload);
            } else {
                self.owners[of_kind].set(&key, None);
                self.planner.remove_workload(&format!("{}/{}/{}", key.0, OWNERS[of_kind], key.1));
            }
        }
    }

    fn set_slices(&mut self, fresh: Vec<Fresh<SliceSeen>>) {
        for (key, seen) in fresh {
            let old = self.slices.get(&key).cloned();
            if let (Some(old), Some(seen)) = (&old, &seen)
                && old.uid == seen.uid
                && old.version >= seen.version
            {
                continue;
            }
            let is_changed = old.as_ref().map(|old| old.content) != seen.as_ref().map(|seen| seen.content);
            let of = |seen: &SliceSeen| (seen.key.0.clone(), seen.gateway.clone());
            if let Some(service) = old.as_deref().map(of)
                && let Some(names) = self.published.get_mut(&service)
            {
                names.remove(&key.1);
                if names.is_empty() {
                    self.published.remove(&service);
                }
                self.mark(&service, is_changed);
            }
            if let Some(service) = seen.as_ref().map(of) {
                self.published.entry(service.clone()).or_default().insert(key.1.clone());
                self.mark(&service, is_changed);
            }
            self.slices.set(&key, seen.map(Arc::new));
        }
    }

    /// Marks the gateway of a Service.
    fn mark(&mut self, service: &Key, slices: bool) {
        if let Some(gateway) = self.by_service.get(service) {
            self.news.stale.entry(gateway.clone()).or_default().slices |= slices;
        }
    }

    fn set_services(&mut self, fresh: Vec<Fresh<ServiceSeen>>) {
        for (key, seen) in fresh {
            let old = self.services.get(&key);
            if let (Some(old), Some(seen)) = (old, &seen)
                && old.version >= seen.version
            {
                continue;
            }
            let is_ours = |seen: &ServiceSeen| seen.service.is_some();
            let is_shared = key.0 == self.namespace && key.1 == SHARED_SERVICE;
            self.news.addresses |=
                is_shared || old.is_some_and(|old| is_ours(old)) || seen.as_ref().is_some_and(is_ours);
            self.mark(&key, false);
            self.services.set(&key, seen.map(Arc::new));
        }
    }

    fn set_nodes(&mut self, fresh: Vec<Fresh<NodeSeen>>) {
        for (key, seen) in fresh {
            // Nodes say all the time that they live.
            if self.nodes.get(&key).map(AsRef::as_ref) != seen.as_ref() {
                (self.news.acks, self.news.nodes) = (true, true);
                self.silence.mark();
                self.nodes.set(&key, seen.map(Arc::new));
            }
        }
    }

    fn set_agents(&mut self, fresh: Vec<Fresh<AgentSeen>>) {
        for (key, seen) in fresh {
            if self.acks.agents.get(&key).map(AsRef::as_ref) != seen.as_ref() {
                (self.news.acks, self.news.nodes) = (true, true);
                self.acks.agents.set(&key, seen.map(Arc::new));
            }
        }
    }

    fn set_leases(&mut self, fresh: Vec<Fresh<LeaseFacts>>) {
        for (key, facts) in fresh {
            // Holders renew them all the time.
            self.news.addresses |= self.leases.get(&key).is_some() != facts.is_some();
            self.leases.set(&key, facts.map(Arc::new));
        }
    }

    fn set_pools(&mut self, fresh: Vec<Fresh<PoolSeen>>) {
        for (key, seen) in fresh {
            self.news.addresses = true;
            self.pools.set(&key, seen.map(Arc::new));
        }
    }
}
