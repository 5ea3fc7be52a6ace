//! What may change.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    net::IpAddr,
};

use super::{Memory, Planner};
use crate::{
    discovery::{ChangeError, ConditionChange, Kept, KeptGateway, KeptRoute},
    gateway::{Gateway, Route},
    key::{GatewayKey, Protocol, RouteName},
    plan::l4::Frontends,
    snapshot::External,
    weight::Weight,
    workload::Workload,
};

/// What the node says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Addresses that gateways answer on.
    pub addresses: Vec<IpAddr>,
    /// Ports that something else on this machine listens on.
    pub ports_in_use: BTreeSet<(Protocol, u16)>,
    /// Its name, where workloads say on which node they run.
    pub name: Option<String>,
    /// Endpoint addresses that are reached through an uplink.
    pub through_uplink: BTreeSet<IpAddr>,
    /// What is known of external addresses.
    pub external: External,
}

impl Planner {
    /// Sets all declared gateways, in the order declared. Costs no more than comparing where they are as before. One
    /// that was in force and cannot be as it is declared now stays as it was.
    pub fn set_gateways(&mut self, gateways: Vec<Gateway>) {
        if gateways == self.asked {
            return;
        }
        self.asked = gateways;
        self.news.declared = true;
    }

    /// The same where only `fresh` ones are declared otherwise than before: `order` names all. Costs less where the
    /// others are many.
    pub fn arrange_gateways(&mut self, order: &[GatewayKey], fresh: Vec<Gateway>) {
        let asked = std::mem::take(&mut self.asked).into_iter().rev();
        let mut known: HashMap<GatewayKey, Gateway> =
            asked.chain(fresh).map(|gateway| (gateway.key.clone(), gateway)).collect();
        self.asked = order.iter().filter_map(|key| known.remove(key)).collect();
        self.news.declared = true;
    }

    /// Declares a gateway otherwise, in its place; false, and nothing done, where none of its name is declared. Costs
    /// what this gateway costs while its ports, hosts and chains are as they were.
    pub fn replace_gateway(&mut self, gateway: Gateway) -> bool {
        let is_own = |index: &usize| self.asked.get(*index).is_some_and(|known| known.key == gateway.key);
        let known = self.declared.get(&gateway.key).filter(is_own);
        let find = || self.asked.iter().position(|known| known.key == gateway.key);
        let Some(index) = known.or_else(find) else { return false };
        if self.asked[index] != gateway {
            self.asked[index] = gateway;
            self.news.replaced.insert(index);
        }
        true
    }

    /// Says since when a gateway exists, seconds since 1970, where nothing is remembered of it yet; to be said before it
    /// is declared.
    pub fn introduce(&mut self, gateway: &GatewayKey, since: u64) {
        let fresh = || KeptGateway { since, ..KeptGateway::default() };
        self.resolved.kept.gateways.entry(gateway.clone()).or_insert_with(fresh);
    }

    /// Forgets a gateway that is not declared any more at once: one of its name that comes later is another.
    pub fn forget(&mut self, gateway: &GatewayKey) {
        if self.resolved.kept.gateways.remove(gateway).is_some() {
            (self.news.declared, self.news.kept) = (true, true);
        }
    }

    /// Sets all workloads, each of an identity of its own, in any order. Costs no more than comparing where they are
    /// as before.
    pub fn set_workloads(&mut self, workloads: Vec<Workload>) {
        let identities: HashSet<String> = workloads.iter().map(Workload::identity).collect();
        let gone = self.workloads.identities().filter(|identity| !identities.contains(*identity));
        for identity in gone.cloned().collect::<Vec<_>>() {
            self.remove_workload(&identity);
        }
        for workload in workloads {
            self.upsert_workload(workload);
        }
    }

    /// Adds a workload, or replaces the one of its identity.
    pub fn upsert_workload(&mut self, workload: Workload) {
        let identity = workload.identity();
        if self.workloads.get(&identity) == Some(&workload) {
            return;
        }
        self.remove_workload(&identity);
        self.touch_watchers(&workload);
        self.workloads.insert(identity.clone(), workload);
        self.news.workloads.insert(identity);
    }

    /// Removes the workload of this [identity](Workload::identity); nothing where there is none.
    pub fn remove_workload(&mut self, identity: &str) {
        if let Some(workload) = self.workloads.remove(identity) {
            self.touch_watchers(&workload);
            self.news.workloads.insert(identity.to_owned());
        }
    }

    /// Sets what the node says.
    pub fn set_node(&mut self, node: Node) {
        let old = std::mem::replace(&mut self.node, node);
        let node = &self.node;
        self.news.addresses |= old.addresses != node.addresses;
        self.news.claims |= old.ports_in_use != node.ports_in_use;
        let moved: Vec<IpAddr> = if old.through_uplink == node.through_uplink {
            Vec::new()
        } else {
            old.through_uplink.symmetric_difference(&node.through_uplink).copied().collect()
        };
        if old.name != node.name {
            self.news.gateways.extend(self.declared.keys().cloned());
        }
        if old.addresses != node.addresses || old.external != node.external || !moved.is_empty() {
            let external = |route: &Route| route.external().is_some();
            let touched = self.gateways.iter().filter(|gateway| gateway.routes.iter().any(external));
            self.news.gateways.extend(touched.map(|gateway| gateway.key.clone()));
        }
        for address in moved {
            let there: Vec<Workload> = self.workloads.at(address).cloned().collect();
            for workload in there {
                self.touch_watchers(&workload);
            }
        }
    }

    /// Sets the frontends of a gateway; they count where [`Settings::given_frontends`](crate::snapshot::Settings)
    /// says so. Costs no more than comparing where they are as before.
    pub fn set_frontends(&mut self, gateway: &GatewayKey, frontends: Frontends) {
        let known = &mut self.resolved.frontends;
        if known.get(gateway).map_or(frontends.is_empty(), |old| *old == frontends) {
            return;
        }
        if frontends.is_empty() {
            known.remove(gateway);
        } else {
            known.insert(gateway.clone(), frontends);
        }
        self.news.frontends.insert(gateway.clone());
    }

    /// Sets what is remembered to something else than what came of the last update.
    pub fn set_kept(&mut self, kept: Kept) {
        let old = &self.resolved.kept;
        let all = kept.gateways.keys().chain(old.gateways.keys());
        let changed = all.filter(|key| kept.gateways.get(key) != old.gateways.get(key));
        self.news.gateways.extend(changed.cloned());
        if kept.workloads != old.workloads {
            self.news.gateways.extend(self.declared.keys().cloned());
            let present = self.workloads.identities();
            let remembered = kept.workloads.keys().chain(old.workloads.keys()).chain(present);
            self.news.workloads.extend(remembered.cloned());
        }
        self.memory = Memory::new(&kept, self.resolved.settings.route_ttl);
        self.resolved.kept = kept;
        (self.news.declared, self.news.kept) = (true, true);
    }

    /// [`Kept::set_weights`], in force with the next update.
    pub fn set_weights(
        &mut self,
        gateway: &GatewayKey,
        changes: &[(RouteName, Weight)],
        rebalance: bool,
        now: u64,
    ) -> Result<(), ChangeError> {
        self.edit(gateway, |kept, planner| {
            kept.set_weights(&planner.resolved, gateway, changes, rebalance, now)
        })
    }

    /// [`Kept::set_condition`], in force with the next update.
    pub fn set_condition(
        &mut self,
        gateway: &GatewayKey,
        route: &RouteName,
        condition: ConditionChange,
        strength: Option<Weight>,
        now: u64,
    ) -> Result<(), ChangeError> {
        self.edit(gateway, |kept, planner| {
            kept.set_condition(&planner.resolved, gateway, route, condition, strength, now)
        })
    }

    /// [`Kept::roll_back`], in force with the next update.
    pub fn roll_back(
        &mut self,
        gateway: &GatewayKey,
        route: &RouteName,
        now: u64,
    ) -> Result<(), ChangeError> {
        self.edit(gateway, |kept, planner| kept.roll_back(&planner.resolved, gateway, route, now))
    }

    /// Takes changes back: sets what is remembered of a gateway's routes to what it was before them.
    pub fn restore(&mut self, gateway: &GatewayKey, routes: BTreeMap<RouteName, KeptRoute>) {
        if let Some(kept) = self.resolved.kept.gateways.get_mut(gateway) {
            kept.routes = routes;
            self.news.gateways.insert(gateway.clone());
            self.news.kept = true;
        }
    }

    /// Edits what is remembered of one gateway's routes.
    fn edit(
        &mut self,
        gateway: &GatewayKey,
        edit: impl FnOnce(&mut Kept, &Self) -> Result<(), ChangeError>,
    ) -> Result<(), ChangeError> {
        let mut kept = std::mem::take(&mut self.resolved.kept);
        let result = edit(&mut kept, self);
        self.resolved.kept = kept;
        if result.is_ok() {
            self.news.gateways.insert(gateway.clone());
            self.news.kept = true;
        }
        result
    }

    /// Touches the gateways that a workload matters to.
    fn touch_watchers(&mut self, workload: &Workload) {
        let mut touched: Vec<GatewayKey> = Vec::new();
        let is_known = |gateway: &Gateway| self.news.gateways.contains(&gateway.key);
        self.watchers.touched_by(workload, &self.gateways, is_known, |gateway| {
            touched.push(gateway.key.clone());
        });
        self.news.gateways.extend(touched);
    }
}
