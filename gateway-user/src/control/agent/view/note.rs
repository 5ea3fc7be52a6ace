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
            self.set_gateway(key, facts);
        }
    }

    fn set_gateway(&mut self, key: Key, facts: Option<GatewayFacts>) {
        let gateway_key = GatewayKey::new(key.0.clone(), key.1.clone());
        self.is_news = true;
        let Some(mut facts) = facts else {
            self.gateways.set(&key, None);
            if let Some(known) = self.known.remove(&gateway_key) {
                let service = known.declared.map(|gateway| (key.0.clone(), gateway.service_name()));
                service.map(|service| self.by_service.remove(&service));
                self.delta.gateways.insert(gateway_key.clone(), None);
            }
            self.delta.findings.insert(gateway_key.clone(), Vec::new());
            self.delta.frontends.insert(gateway_key, Frontends::new());
            (self.stale.shared, self.stale.health) = (true, true);
            return;
        };
        self.delta.resource_version = self.delta.resource_version.max(facts.resource_version);
        let old = self.gateways.get(&key);
        let is_same_spec = old.is_some_and(|old| old.document == facts.document);
        let known = self.known.get(&gateway_key);
        if is_same_spec && old.is_some_and(|old| old.routes == facts.routes && old.port == facts.port) {
            self.gateways.set(&key, Some(Arc::new(facts)));
            return;
        }
        let (declared, findings) = match known {
            Some(Known { declared: Some(declared), .. }) if is_same_spec => (Some(declared.clone()), None),
            Some(_) | None => match in_force::read(&facts) {
                Ok((gateway, warnings)) => (Some(gateway), Some(warnings)),
                Err(errors) => {
                    // The last spec without an error stays, here and in what is kept.
                    if let Some(old) = old {
                        facts.document.clone_from(&old.document);
                    }
                    (known.and_then(|known| known.declared.clone()), Some(errors))
                }
            },
        };
        if let Some(findings) = findings {
            self.delta.findings.insert(gateway_key.clone(), findings);
        }
        let in_force = declared.as_ref().and_then(|declared| in_force::in_force(declared, &facts));
        let is_shared =
            |gateway: &Option<Gateway>| gateway.as_ref().is_some_and(|g| !g.virtual_hosts.is_empty());
        self.stale.shared |= is_shared(&declared) || known.is_some_and(|known| is_shared(&known.declared));
        self.stale.health = true;
        if let Some(declared) = &declared {
            self.by_service.insert((key.0.clone(), declared.service_name()), gateway_key.clone());
        }
        let told = in_force.clone().map(|gateway| (facts.created, gateway));
        self.delta.gateways.insert(gateway_key.clone(), told);
        self.known.insert(gateway_key.clone(), Known { declared, in_force });
        self.gateways.set(&key, Some(Arc::new(facts)));
        self.set_frontends(&gateway_key);
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
            before.map(|service| remove(&mut self.of_gateway, &service, key));
            after.map(|service| self.of_gateway.entry(service).or_default().insert(key.clone()));
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
