//! Resolve, plan and diff, kept up to date: what a change does not touch is not worked out again.
//!
//! A [`Planner`] keeps everything that is declared and observed and what came of it. Changes are only noted until
//! [`Planner::update`] works out what they touch: gateways whose selectors find (or found) a workload that
//! changed, gateways that are declared otherwise or get other ports and hosts, those that chain to them, and those
//! whose routes expire. After each update everything is as [`resolve`](crate::resolve::resolve),
//! [`plan`](crate::plan::plan) and [`diff`](crate::plan::diff::diff) would have it from the same inputs.

mod change;
mod declare;
mod memory;
mod store;
mod touched;
mod watchers;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use self::{memory::Memory, store::Store, watchers::Watchers};
use crate::{
    discovery::Kept,
    finding::{self, Finding},
    gateway::Gateway,
    key::GatewayKey,
    plan::{Answering, Plan, Touched, diff::Change},
    resolve::{Note, Outcome, Resolved, ResolvedGateway, claims::Claim, declared::Declared},
    snapshot::Settings,
};

pub use change::Node;

/// Everything that is declared and observed, and what is to be in force.
#[derive(Debug)]
pub struct Planner {
    /// As they are declared.
    asked: Vec<Gateway>,
    /// As of the last update: as they were those that stay so, the others as they are declared.
    gateways: Vec<Gateway>,
    declared: Declared,
    claims: BTreeMap<GatewayKey, Claim>,
    /// What is wrong with what is declared, whatever there is of workloads.
    declared_findings: Vec<Finding>,
    watchers: Watchers,
    workloads: Store,
    node: Node,
    memory: Memory,
    outcomes: HashMap<GatewayKey, Outcome>,
    /// When those outcomes that change by themselves do so.
    deadlines: HashMap<GatewayKey, u64>,
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
    /// Places of gateways that are declared otherwise, while no others are declared.
    replaced: BTreeSet<usize>,
    /// Gateways that answer elsewhere.
    frontends: HashSet<GatewayKey>,
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
            asked: Vec::new(),
            gateways: Vec::new(),
            declared: Declared::default(),
            claims: BTreeMap::new(),
            declared_findings: Vec::new(),
            watchers: Watchers::default(),
            workloads: Store::default(),
            node: Node::default(),
            memory: Memory::new(&kept, settings.route_ttl),
            outcomes: HashMap::new(),
            deadlines: HashMap::new(),
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

    /// Whether anything has changed since the last update.
    pub fn has_news(&self) -> bool {
        let News { gateways, replaced, frontends, workloads, .. } = &self.news;
        let News { declared, claims, addresses, order, findings, kept, .. } = &self.news;
        *declared
            || *claims
            || *addresses
            || *order
            || *findings
            || *kept
            || !(gateways.is_empty() && frontends.is_empty() && workloads.is_empty() && replaced.is_empty())
    }

    /// Works out what the changes since the last update touch, and what time does; `now` in seconds since 1970.
    pub fn update(&mut self, now: u64) -> Update {
        self.remember(now);
        self.replace();
        if std::mem::take(&mut self.news.claims) {
            self.settle();
        }
        let due = self.deadlines.iter().filter(|(_, deadline)| **deadline <= now);
        self.news.gateways.extend(due.map(|(key, _)| key.clone()));
        let mut update = Update::default();
        let touched = self.resolve(now, &mut update);
        self.gather(&touched, &mut update);
        let table = self.plan.l7.clone();
        update.changes = self.replan(touched);
        update.is_table_new = !Arc::ptr_eq(&table, &self.plan.l7);
        update.is_kept_new = std::mem::take(&mut self.news.kept);
        update
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
            let mut findings = self.declared_findings.clone();
            let as_declared = |gateway: &&Arc<ResolvedGateway>| !self.resolved.stayed.contains(&gateway.key);
            for gateway in self.resolved.gateways.iter().filter(as_declared) {
                findings.extend_from_slice(&self.outcomes[&gateway.key].findings);
            }
            finding::sort(&mut findings);
            update.are_findings_new = findings != self.resolved.findings;
            self.resolved.findings = findings;
        }
        self.resolved.deadline = self.deadlines.values().copied().chain(self.memory.deadline()).min();
        self.resolved.notes.clone_from(&update.notes);
    }

    fn replan(&mut self, mut touched: Touched) -> Vec<Change> {
        if std::mem::take(&mut self.news.addresses) {
            self.resolved.addresses.clone_from(&self.node.addresses);
            let all = self.resolved.gateways.iter();
            touched.extend(all.map(|gateway| (gateway.key.clone(), Some(gateway.clone()))));
        }
        for key in std::mem::take(&mut self.news.frontends) {
            if let Some(place) = self.places.get(&key) {
                let gateway = self.resolved.gateways[*place].clone();
                touched.entry(key).or_insert(Some(gateway));
            }
        }
        let Resolved { addresses, frontends, settings, .. } = &self.resolved;
        self.plan.update(&touched, Answering::new(addresses, frontends, *settings), *settings)
    }
}

#[cfg(test)]
mod tests;
