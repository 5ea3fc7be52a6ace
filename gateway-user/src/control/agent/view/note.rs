//! Setting objects: what each changes is worked out at once.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use gateway_model::{gateway::Gateway, key::GatewayKey, plan::l4::Frontends, workload::Workload};

use super::{
    super::{
        facts::{EndpointFacts, GatewayFacts, Key, NodeFacts, PodFacts, ServiceFacts, SliceFacts},
        in_force,
        store::Fresh,
    },
    Known, View,
};

impl View {
    pub(super) fn set_gateways(&mut self, fresh: Vec<Fresh<GatewayFacts>>) {
        for (key, facts) in fresh {
            self.is_news = true;
            match facts {
                Some(facts) => self.set_gateway(&key, facts),
                None => self.drop_gateway(&key),
            }
        }
    }

    fn drop_gateway(&mut self, key: &Key) {
        let gateway_key = GatewayKey::new(key.0.clone(), key.1.clone());
        self.gateways.set(key, None);
        if let Some(declared) = self.known.remove(&gateway_key).and_then(|known| known.declared) {
            self.by_service.remove(&(key.0.clone(), declared.service_name()));
        }
        self.delta.gateways.insert(gateway_key.clone(), None);
        self.delta.findings.insert(gateway_key.clone(), Vec::new());
        self.delta.frontends.insert(gateway_key, Frontends::new());
        (self.stale.shared, self.stale.health) = (true, true);
    }

    fn set_gateway(&mut self, key: &Key, mut facts: GatewayFacts) {
        let gateway_key = GatewayKey::new(key.0.clone(), key.1.clone());
        self.delta.resource_version = self.delta.resource_version.max(facts.resource_version);
        let old = self.gateways.get(key).cloned();
        let is_same = |old: &Arc<GatewayFacts>| {
            (&old.document, &old.routes, old.port) == (&facts.document, &facts.routes, facts.port)
        };
        if !old.as_ref().is_some_and(is_same) {
            let before = self.known.remove(&gateway_key).and_then(|known| known.declared);
            let declared = self.declared(&gateway_key, before.as_ref(), old.as_deref(), &mut facts);
            let in_force = declared.as_ref().and_then(|declared| in_force::in_force(declared, &facts));
            let is_shared = |gateway: &Gateway| !gateway.virtual_hosts.is_empty();
            self.stale.shared |= before.iter().chain(&declared).any(is_shared);
            self.stale.health = true;
            if let Some(declared) = &declared {
                self.by_service.insert((key.0.clone(), declared.service_name()), gateway_key.clone());
            }
            let told = in_force.clone().map(|gateway| (facts.created, gateway));
            self.delta.gateways.insert(gateway_key.clone(), told);
            self.known.insert(gateway_key.clone(), Known { declared, in_force });
            self.set_frontends(&gateway_key);
        }
        self.gateways.set(key, Some(Arc::new(facts)));
    }

    /// What is declared; where that has an error the last spec without one stays, here and in what is kept.
    fn declared(
        &mut self,
        key: &GatewayKey,
        before: Option<&Gateway>,
        old: Option<&GatewayFacts>,
        facts: &mut GatewayFacts,
    ) -> Option<Gateway> {
        if let (Some(before), Some(old)) = (before, old)
            && old.document == facts.document
        {
            return Some(before.clone());
        }
        let (gateway, findings) = match in_force::read(facts) {
            Ok((gateway, warnings)) => (Some(gateway), warnings),
            Err(errors) => {
                if let Some(old) = old.filter(|_| before.is_some()) {
                    facts.document.clone_from(&old.document);
                }
                (before.cloned(), errors)
            }
        };
        self.delta.findings.insert(key.clone(), findings);
        gateway
    }

    pub(super) fn set_slices(&mut self, fresh: Vec<Fresh<SliceFacts>>) {
        for (key, facts) in fresh {
            let facts = facts.map(Arc::new);
            let old = self.slices.set(&key, facts.clone());
            if old == facts {
                continue;
            }
            let before = old.as_deref().map(|slice| self.workloads(slice)).unwrap_or_default();
            let after = facts.as_deref().map(|slice| self.workloads(slice)).unwrap_or_default();
            self.tell(before, after);
            self.index_slice(&key, old.as_deref(), facts.as_deref());
        }
    }

    /// Enters a slice where it is looked for.
    fn index_slice(&mut self, key: &Key, old: Option<&SliceFacts>, new: Option<&SliceFacts>) {
        let own = |slice: &SliceFacts| -> HashSet<String> {
            let here = |one: &&EndpointFacts| one.node.as_ref() == Some(&self.node);
            slice.endpoints.iter().filter(here).map(|one| one.uid.clone()).collect()
        };
        let (before, after) = (old.map(own).unwrap_or_default(), new.map(own).unwrap_or_default());
        for uid in before.difference(&after) {
            remove(&mut self.of_pod, uid, key);
            if !self.of_pod.contains_key(uid) && self.pods.values().all(|pod| pod.uid != *uid) {
                self.unready.remove(uid);
            }
        }
        for uid in after {
            self.of_pod.entry(uid).or_default().insert(key.clone());
        }
        let service = |slice: &SliceFacts| (slice.namespace.clone(), slice.gateway.clone());
        let (before, after) = (old.map(service), new.map(service));
        if before != after {
            if let Some(service) = before {
                remove(&mut self.of_gateway, &service, key);
            }
            if let Some(service) = after {
                self.of_gateway.entry(service).or_default().insert(key.clone());
            }
        }
        let owner = new.or(old).map(service);
        let asked = owner.and_then(|owner| self.services.get(&owner)).map(|one| one.health_check_node_port);
        self.stale.health |= asked.flatten().is_some();
    }

    pub(super) fn set_services(&mut self, fresh: Vec<Fresh<ServiceFacts>>) {
        for (key, facts) in fresh {
            let facts = facts.map(Arc::new);
            let old = self.services.set(&key, facts.clone());
            if old == facts {
                continue;
            }
            (self.stale.addresses, self.is_news) = (true, true);
            let has_health = |service: &Arc<ServiceFacts>| service.health_check_node_port.is_some();
            self.stale.health |= old.iter().chain(&facts).any(has_health);
            self.stale.shared |= self.is_shared(&key);
            if let Some(gateway) = self.by_service.get(&key).cloned() {
                self.set_frontends(&gateway);
            }
        }
    }

    pub(super) fn set_pods(&mut self, fresh: Vec<Fresh<PodFacts>>) {
        for (key, facts) in fresh {
            let facts = facts.map(Arc::new);
            let old = self.pods.set(&key, facts.clone());
            if old == facts {
                continue;
            }
            let addresses = |pod: &Option<Arc<PodFacts>>| {
                pod.as_ref().map(|pod| pod.addresses.clone()).unwrap_or_default()
            };
            if addresses(&old) != addresses(&facts) {
                (self.stale.pods, self.is_news) = (true, true);
            }
            if let Some(old) = old.filter(|old| facts.as_ref().is_none_or(|new| new.uid != old.uid)) {
                self.set_unready(&old.uid, true);
                // Nothing asks for it any more.
                if !self.of_pod.contains_key(&old.uid) {
                    self.unready.remove(&old.uid);
                }
            }
            if let Some(new) = facts {
                self.set_unready(&new.uid, !new.is_ready);
            }
        }
    }

    /// The kubelet may only take away: what the leader says is not ready stays so.
    fn set_unready(&mut self, uid: &str, is_unready: bool) {
        if self.unready.contains(uid) == is_unready {
            return;
        }
        let slices: Vec<Arc<SliceFacts>> = self
            .of_pod
            .get(uid)
            .into_iter()
            .flatten()
            .filter_map(|key| self.slices.get(key))
            .cloned()
            .collect();
        let all = |view: &Self| -> HashMap<String, Workload> {
            slices.iter().flat_map(|slice| view.workloads(slice)).collect()
        };
        let before = all(self);
        if is_unready {
            self.unready.insert(uid.to_owned());
        } else {
            self.unready.remove(uid);
        }
        let after = all(self);
        self.stale.health |= !slices.is_empty();
        self.tell(before, after);
    }

    pub(super) fn set_nodes(&mut self, fresh: Vec<Fresh<NodeFacts>>) {
        for (key, facts) in fresh {
            let facts = facts.map(Arc::new);
            if let Some(facts) = facts.as_ref().filter(|facts| self.nodes.get(&key) != Some(*facts)) {
                self.delta.internal_ips = Some(facts.internal_ips.clone());
                self.is_news = true;
            }
            self.nodes.set(&key, facts);
        }
    }
}

/// Takes a key out of the set of an owner.
fn remove<K: std::hash::Hash + Eq>(sets: &mut HashMap<K, HashSet<Key>>, owner: &K, key: &Key) {
    if let Some(set) = sets.get_mut(owner) {
        set.remove(key);
        if set.is_empty() {
            sets.remove(owner);
        }
    }
}
