//! Resolve, plan and diff, kept up to date: what a change does not touch is not worked out again.
//!
//! A [`Planner`] keeps everything that is declared and observed and what came of it. Changes are only noted until
//! [`Planner::update`] works out what they touch: gateways whose selectors find (or found) a workload that
//! changed, gateways that are declared otherwise or get other ports and hosts, those that chain to them, and those
//! whose routes expire. After each update everything is as [`resolve`](crate::resolve::resolve),
//! [`plan`](crate::plan::plan) and [`diff`](crate::plan::diff::diff) would have it from the same inputs.

mod change;
mod memory;
mod store;
mod touched;
mod watchers;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use self::{memory::Memory, store::Store, watchers::Watchers};
use crate::{
    discovery::Kept,
    finding,
    gateway::Gateway,
    key::GatewayKey,
    plan::{Plan, Touched, diff::Change},
    resolve::{
        Note, Outcome, Resolved,
        claims::{self, Claimed},
        declared::Declared,
        remember,
    },
    snapshot::Settings,
};

pub use change::Node;

/// Everything that is declared and observed, and what is to be in force.
#[derive(Debug)]
pub struct Planner {
    gateways: Vec<Gateway>,
    declared: Declared,
    watchers: Watchers,
    workloads: Store,
    node: Node,
    memory: Memory,
    claimed: Claimed,
    outcomes: HashMap<GatewayKey, Outcome>,
    resolved: Resolved,
    /// Where in `resolved` a gateway is.
    places: HashMap<GatewayKey, usize>,
    plan: Plan,
    news: News,
}

/// What has changed since the last update.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own")]
struct News {
    /// Gateways to resolve anew.
    gateways: HashSet<GatewayKey>,
    /// Identities of workloads that came, went, or changed.
    workloads: BTreeSet<String>,
    /// Other gateways are declared than before, or something else is remembered of them.
    declared: bool,
    /// Ports and hosts may belong to others.
    claims: bool,
    /// Gateways answer on other addresses.
    addresses: bool,
    /// Gateways are declared in another order, or others than before.
    order: bool,
    /// Something else may be wrong.
    findings: bool,
    /// Something else is to be stored.
    kept: bool,
}

/// What an update has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// Changes of the kernel's half of the plan, to be applied in this order.
    pub changes: Vec<Change>,
    /// What happened by itself and is worth a log line.
    pub notes: Vec<Note>,
    /// Whether the proxy's table is another one.
    pub is_table_new: bool,
    /// Whether something else is wrong than before.
    pub are_findings_new: bool,
    /// Whether something is to be stored anew.
    pub is_kept_new: bool,
}

impl Planner {
    /// Nothing is declared or observed yet; `kept` is what was stored.
    pub fn new(settings: Settings, kept: Kept) -> Self {
        Self {
            gateways: Vec::new(),
            declared: Declared::default(),
            watchers: Watchers::default(),
            workloads: Store::default(),
            node: Node::default(),
            memory: Memory::new(&kept, settings.route_ttl),
            claimed: Claimed::default(),
            outcomes: HashMap::new(),
            resolved: Resolved { kept, settings, ..Resolved::default() },
            places: HashMap::new(),
            plan: Plan::default(),
            news: News { declared: true, ..News::default() },
        }
    }

    /// What everything means, as of the last update; what is kept is as of the last change.
    pub fn resolved(&self) -> &Resolved {
        &self.resolved
    }

    /// What is to be in force, as of the last update.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Works out what the changes since the last update touch, and what time does; `now` in seconds since 1970.
    pub fn update(&mut self, now: u64) -> Update {
        self.remember(now);
        if std::mem::take(&mut self.news.claims) {
            self.settle_claims();
        }
        for (key, outcome) in &self.outcomes {
            if outcome.deadline.is_some_and(|deadline| deadline <= now) {
                self.news.gateways.insert(key.clone());
            }
        }
        let mut update = Update::default();
        let touched = self.resolve(now, &mut update);
        self.gather(&touched, &mut update);
        let table = self.plan.l7.clone();
        update.changes = self.replan(touched);
        update.is_table_new = !Arc::ptr_eq(&table, &self.plan.l7);
        update.is_kept_new = std::mem::take(&mut self.news.kept);
        update
    }

    /// Notes who came and went, and forgets who has been gone for too long.
    fn remember(&mut self, now: u64) {
        let kept = &mut self.resolved.kept;
        if std::mem::take(&mut self.news.declared) {
            self.news.kept |= self.memory.note_gateways(kept, &self.declared, now);
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

    /// Gives out ports and hosts anew; touches who gets others.
    fn settle_claims(&mut self) {
        let valid: Vec<&Gateway> = self.declared.valid().map(|index| &self.gateways[index]).collect();
        let new = claims::settle(&valid, &self.resolved.kept.gateways, &self.node.ports_in_use);
        let old = std::mem::replace(&mut self.claimed, new);
        let new = &self.claimed.claims;
        let gone = old.claims.keys().filter(|key| !new.contains_key(*key));
        let changed = new.iter().filter(|(key, claim)| old.claims.get(*key) != Some(claim));
        self.news.findings = true;
        self.news.gateways.extend(gone.chain(changed.map(|(key, _)| key)).cloned());
    }

    /// Brings what is told of all gateways up to date.
    fn gather(&mut self, touched: &Touched, update: &mut Update) {
        let is_in_place =
            |(key, gateway): (&GatewayKey, &Option<_>)| gateway.is_some() && self.places.contains_key(key);
        if std::mem::take(&mut self.news.order) || !touched.iter().all(is_in_place) {
            let in_force = self
                .declared
                .valid()
                .filter_map(|index| Some(self.outcomes.get(&self.gateways[index].key)?.gateway.clone()));
            self.resolved.gateways = in_force.collect();
            let keys = self.resolved.gateways.iter().map(|gateway| gateway.key.clone());
            self.places = keys.zip(0..).collect();
        } else {
            for (key, gateway) in touched {
                self.resolved.gateways[self.places[key]]
                    .clone_from(gateway.as_ref().expect("it is in place"));
            }
        }
        if std::mem::take(&mut self.news.findings) {
            let mut findings = [self.declared.findings.as_slice(), &self.claimed.findings].concat();
            for gateway in &self.resolved.gateways {
                findings.extend_from_slice(&self.outcomes[&gateway.key].findings);
            }
            finding::sort(&mut findings);
            update.are_findings_new = findings != self.resolved.findings;
            self.resolved.findings = findings;
        }
        let deadlines = self.outcomes.values().filter_map(|outcome| outcome.deadline);
        self.resolved.deadline = deadlines.chain(self.memory.deadline()).min();
        self.resolved.notes.clone_from(&update.notes);
    }

    fn replan(&mut self, mut touched: Touched) -> Vec<Change> {
        if std::mem::take(&mut self.news.addresses) {
            self.resolved.addresses.clone_from(&self.node.addresses);
            let all = self.resolved.gateways.iter();
            touched.extend(all.map(|gateway| (gateway.key.clone(), Some(gateway.clone()))));
        }
        self.plan.update(&touched, &self.node.addresses, self.resolved.settings)
    }
}

#[cfg(test)]
mod tests;
