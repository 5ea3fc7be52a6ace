//! From what is declared to what is to be in force.

use std::collections::HashSet;

use super::{Planner, Watchers};
use crate::{
    gateway::Gateway,
    key::GatewayKey,
    resolve::{
        claims::PortSpace,
        declared::Declared,
        remember,
        settle::{self, Settled},
    },
};

impl Planner {
    /// Notes who came and went, and forgets who has been gone for too long.
    pub(super) fn remember(&mut self, now: u64) {
        let kept = &mut self.resolved.kept;
        if std::mem::take(&mut self.news.declared) {
            let names: HashSet<&GatewayKey> = self.asked.iter().map(|gateway| &gateway.key).collect();
            self.news.kept |= self.memory.note_gateways(kept, &names, now);
            self.news.claims = true;
        }
        for identity in std::mem::take(&mut self.news.workloads) {
            let is_there = self.workloads.get(&identity).is_some_and(remember::is_remembered);
            self.news.kept |= self.memory.note_workload(kept, identity, is_there, now);
        }
        let (gateway, any) = self.memory.forget(kept, now);
        self.news.kept |= any;
        self.news.claims |= gateway;
    }

    /// Takes over gateways that are declared otherwise in their places. Where one of them may change what others have,
    /// all is settled anew.
    pub(super) fn replace(&mut self) {
        let replaced = std::mem::take(&mut self.news.replaced);
        if self.news.claims || !replaced.iter().all(|index| self.keeps_its_claims(*index)) {
            self.news.claims |= !replaced.is_empty();
            return;
        }
        for index in replaced {
            let fresh = self.asked[index].clone();
            self.watchers.replace(index, &self.gateways[index], &fresh);
            self.workloads.learn(fresh.selectors());
            self.news.gateways.insert(fresh.key.clone());
            self.gateways[index] = fresh;
        }
    }

    /// Whether the gateway at this place is in force, and asks others for what it has anyway.
    fn keeps_its_claims(&self, index: usize) -> bool {
        let (Some(old), Some(new)) = (self.gateways.get(index), self.asked.get(index)) else { return false };
        let chains = |gateway: &Gateway| gateway.chained().map(|(inner, _)| inner).collect::<Vec<_>>();
        self.declared.get(&new.key) == Some(index)
            && self.claims.contains_key(&new.key)
            && !self.resolved.stayed.contains(&new.key)
            && (&old.key, &old.place, old.port) == (&new.key, &new.place, new.port)
            && (&old.virtual_hosts, old.shared_ports()) == (&new.virtual_hosts, new.shared_ports())
            && chains(old) == chains(new)
    }

    /// Settles anew which declarations are to be in force and who has which ports and hosts; touches those that
    /// this changes.
    pub(super) fn settle(&mut self) {
        let was = |key: &GatewayKey| {
            let index = self.declared.get(key).filter(|_| self.claims.contains_key(key))?;
            self.gateways.get(index)
        };
        let kept = &self.resolved.kept.gateways;
        let settled = settle::settle(
            &self.asked,
            was,
            kept,
            PortSpace::new(&self.node.ports_in_use, self.resolved.settings),
        );
        let Settled { gateways, declared, claims, findings, stayed } = settled;
        if *gateways != *self.gateways {
            let old = std::mem::take(&mut self.gateways);
            let gateways = take_over(old, &self.declared, &gateways, &declared, &mut self.news.gateways);
            self.adopt(gateways, declared);
        }
        let old = std::mem::replace(&mut self.claims, claims);
        let gone = old.keys().filter(|key| !self.claims.contains_key(*key));
        let changed = self.claims.iter().filter(|(key, claim)| old.get(*key) != Some(claim));
        self.news.gateways.extend(gone.chain(changed.map(|(key, _)| key)).cloned());
        (self.declared_findings, self.resolved.stayed) = (findings, stayed);
        self.news.findings = true;
    }

    /// Takes over other declarations, of which those that are not as they were are touched already.
    fn adopt(&mut self, gateways: Vec<Gateway>, declared: Declared) {
        let are_names_new = self.declared.keys().count() != declared.keys().count()
            || declared.keys().any(|key| !self.declared.contains(key));
        let is_valid =
            |key: &GatewayKey| declared.get(key).is_some_and(|index| declared.rank(index).is_some());
        self.news.gateways.extend(self.outcomes.keys().filter(|key| !is_valid(key)).cloned());
        let valid = declared.valid().map(|index| &gateways[index]);
        let is_touched = |gateway: &&Gateway| {
            !self.outcomes.contains_key(&gateway.key) || (are_names_new && gateway.chained().next().is_some())
        };
        self.news.gateways.extend(valid.filter(is_touched).map(|gateway| gateway.key.clone()));
        self.watchers = Watchers::new(&gateways);
        self.workloads.learn(gateways.iter().flat_map(Gateway::selectors));
        (self.gateways, self.declared) = (gateways, declared);
        self.news.order = true;
    }
}

/// Other declarations, with those that are as they were moved to their places; touches the others.
fn take_over(
    old: Vec<Gateway>,
    was_declared: &Declared,
    gateways: &[Gateway],
    declared: &Declared,
    touched: &mut HashSet<GatewayKey>,
) -> Vec<Gateway> {
    let mut old: Vec<Option<Gateway>> = old.into_iter().map(Some).collect();
    let take = |(index, gateway): (usize, &Gateway)| {
        let place = was_declared.get(&gateway.key);
        let known = place.and_then(|place| old[place].take_if(|old| *old == *gateway));
        if known.is_none() && declared.get(&gateway.key) == Some(index) {
            touched.insert(gateway.key.clone());
        }
        known.unwrap_or_else(|| gateway.clone())
    };
    gateways.iter().enumerate().map(take).collect()
}
