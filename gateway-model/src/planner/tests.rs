//! After any edits a planner has what working everything out from scratch would give.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;

use super::*;
use crate::{
    discovery::ConditionChange,
    gateway,
    key::{Protocol, RouteName},
    plan::{
        diff::{apply, diff},
        l4::{Access, Frontend, Frontends, L4Plan},
        plan,
    },
    resolve::resolve,
    snapshot::{External, Snapshot},
    weight::Weight,
    workload::{Workload, WorkloadPort},
};

/// Something that happens between two updates.
#[derive(Clone, Debug)]
enum Edit {
    /// Declares a gateway, at its place (alone, or with all others) or at the end.
    Declare(u8, String, bool),
    Withdraw(u8),
    /// Two gateways change places.
    Swap(usize, usize),
    Upsert(Box<Workload>),
    Remove(usize),
    /// Sets all workloads anew: some less, in another order.
    Replace(usize),
    Weight(usize, usize, u16, bool),
    RollBack(usize, usize),
    /// A change of weights that is taken back, before an update or after one.
    Undo(usize, usize, u16, bool),
    Condition(usize, usize, Option<u8>),
    /// What a restart reads: all that was stored, or all but one gateway's.
    Restore(Option<usize>),
    Node(u8, Vec<u16>, Vec<u8>),
    /// Gives a gateway frontends, or those of the shared ports.
    Frontends(u8, Vec<(u8, bool)>),
}

fn settings(given_frontends: bool) -> Settings {
    Settings { ring_size: 32, given_frontends, ..Settings::default() }
}

/// The bodies of artifacts; `@` stands for the name of some gateway.
const BODIES: &[&str] = &[
    "selector: label(app)(x) && label(version)((.*))",
    "selector: label(app)(y) && label(version)((.*))",
    "selector: label(version)((.*))",
    "selector: true",
    "selector: label(app)(x) && label(version)((.*))\nroutes: {(1): {weight: 30%}, (2): {}}",
    "selector: label(app)(x) && label(version)((.*))\nroutes: {(1): {weight: 0%}, (2): {weight: 0%}}",
    "selector: label(app)(x) && label(version)((.*))\nroutes: {(2): {condition: Has Header a}}",
    "routes: {stable: {selector: label(version)(1), weight: 90%}, next: {selector: label(app)(y)}}",
    "routes: {'[198.51.100.1:80]': {weight: 60%}, '[192.0.2.1:80]': {}}",
    "routes: {'[db.example.com:80]': {weight: 60%}, '[192.0.2.2:80]': {}}",
    "routes: '@'",
    "routes: {'@': {weight: 10%}, stable: {selector: label(app)(x)}}",
    "routes: {g1: {weight: 50%}, g2: {}}",
    "routes: {g0: {condition: Host is a, weight: 0%}, g3: {weight: 100%}}",
];
const FIELDS: &[&str] = &[
    "",
    "",
    "port: 7000/tcp\n",
    "port: 7001\n",
    "port: 7000/udp\n",
    "port: 7002\nlevel: request\n",
    "level: kernel\n",
    "virtual_hosts: [a.example.com]\n",
    "virtual_hosts: ['*.example.com', a.example.com]\n",
];

fn artifact() -> impl Strategy<Value = String> {
    let fields = prop::sample::select(FIELDS);
    let bodies = prop::sample::select(BODIES);
    (fields, bodies, 0_u8..6)
        .prop_map(|(fields, body, other)| format!("{fields}{}\n", body.replace('@', &format!("g{other}"))))
}

fn workload() -> impl Strategy<Value = Workload> {
    let labels = (prop::sample::select(vec!["x", "y"]), prop::option::of(1_u8..4));
    let age = prop::option::of(0_u64..3);
    let shape = (any::<bool>(), any::<bool>(), 0_u8..4, 0_usize..3, prop::bool::weighted(0.9));
    (0_u8..8, labels, age, shape).prop_map(
        |(name, (app, version), created, (ready, v6, address, ports, here))| {
            let mut labels = BTreeMap::from([("app".to_owned(), app.to_owned())]);
            labels.extend(version.map(|version| ("version".to_owned(), version.to_string())));
            let v4 = std::net::IpAddr::from([10, 0, 0, address]);
            let v6 = v6.then(|| format!("fd00::{address}").parse().unwrap());
            Workload {
                namespace: if here { "default" } else { "other" }.to_owned(),
                kind: "pod".to_owned(),
                name: format!("p{name}"),
                labels: labels.into(),
                addresses: std::iter::once(v4).chain(v6).skip(usize::from(address == 0)).collect(),
                ports: (0..ports)
                    .map(|port| WorkloadPort { name: String::new(), port: 80 + port as u16 })
                    .collect(),
                ready,
                created,
                node: (address < 3).then(|| format!("n{}", address % 2)),
                ..Workload::default()
            }
        },
    )
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        4 => (0_u8..6, artifact(), any::<bool>())
            .prop_map(|(name, text, alone)| Edit::Declare(name, text, alone)),
        1 => (0_u8..6).prop_map(Edit::Withdraw),
        1 => (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Edit::Swap(a, b)),
        8 => workload().prop_map(|workload| Edit::Upsert(Box::new(workload))),
        3 => any::<usize>().prop_map(Edit::Remove),
        1 => any::<usize>().prop_map(Edit::Replace),
        3 => (any::<usize>(), any::<usize>(), 0_u16..=10_000, any::<bool>())
            .prop_map(|(gateway, route, weight, rebalance)| Edit::Weight(gateway, route, weight, rebalance)),
        1 => (any::<usize>(), any::<usize>()).prop_map(|(gateway, route)| Edit::RollBack(gateway, route)),
        1 => (any::<usize>(), any::<usize>(), 0_u16..=10_000, any::<bool>())
            .prop_map(|(gateway, route, weight, late)| Edit::Undo(gateway, route, weight, late)),
        2 => (any::<usize>(), any::<usize>(), prop::option::of(0_u8..3))
            .prop_map(|(gateway, route, condition)| Edit::Condition(gateway, route, condition)),
        1 => prop::option::of(any::<usize>()).prop_map(Edit::Restore),
        1 => (0_u8..3, prop::collection::vec(39_999_u16..40_003, 0..3), prop::collection::vec(0_u8..4, 0..3))
            .prop_map(|(address, ports, uplink)| Edit::Node(address, ports, uplink)),
        2 => (0_u8..7, prop::collection::vec((0_u8..4, any::<bool>()), 0..3))
            .prop_map(|(gateway, frontends)| Edit::Frontends(gateway, frontends)),
    ]
}

/// The inputs as a planner is told of them, kept a second time.
struct Twin {
    planner: Planner,
    gateways: Vec<Gateway>,
    /// The declarations that are in force.
    in_force: BTreeMap<GatewayKey, Gateway>,
    workloads: Vec<Workload>,
    node: Node,
    frontends: BTreeMap<GatewayKey, Frontends>,
    settings: Settings,
    now: u64,
}

impl Twin {
    fn new(settings: Settings) -> Self {
        let planner = Planner::new(settings, Kept::default());
        Self {
            planner,
            settings,
            frontends: BTreeMap::new(),
            gateways: Vec::new(),
            in_force: BTreeMap::new(),
            workloads: Vec::new(),
            node: Node::default(),
            now: 1_000,
        }
    }

    fn edit(&mut self, edit: Edit) {
        let (before, arranges) = (self.gateways.clone(), self.now.is_multiple_of(2));
        match edit {
            Edit::Declare(name, text, alone) => self.declare(name, &text, alone),
            Edit::Withdraw(name) => self.gateways.retain(|gateway| gateway.key.name != format!("g{name}")),
            Edit::Swap(a, b) if !self.gateways.is_empty() => {
                let count = self.gateways.len();
                self.gateways.swap(a % count, b % count);
            }
            Edit::Upsert(workload) => {
                self.workloads.retain(|other| other.identity() != workload.identity());
                self.workloads.push((*workload).clone());
                self.planner.upsert_workload(*workload);
            }
            Edit::Remove(index) if !self.workloads.is_empty() => {
                let gone = self.workloads.remove(index % self.workloads.len());
                self.planner.remove_workload(&gone.identity());
            }
            Edit::Replace(turn) if !self.workloads.is_empty() => {
                let turn = turn % self.workloads.len();
                self.workloads.rotate_left(turn);
                self.workloads.truncate(self.workloads.len() - turn / 2);
                self.planner.set_workloads(self.workloads.clone());
            }
            Edit::Weight(gateway, route, weight, rebalance) => {
                if let Some((key, route)) = self.route(gateway, route) {
                    let change = [(route, Weight::from_hundredths(weight).unwrap())];
                    let _ = self.planner.set_weights(&key, &change, rebalance, self.now);
                }
            }
            Edit::RollBack(gateway, route) => {
                if let Some((key, route)) = self.route(gateway, route) {
                    self.planner.roll_back(&key, &route, self.now).unwrap();
                }
            }
            Edit::Undo(gateway, route, weight, late) => {
                if let Some((key, route)) = self.route(gateway, route) {
                    let change = [(route, Weight::from_hundredths(weight).unwrap())];
                    let kept = self.planner.resolved().kept.gateways.get(&key);
                    let before = kept.map(|kept| kept.routes.clone()).unwrap_or_default();
                    let _ = self.planner.set_weights(&key, &change, true, self.now);
                    if late {
                        self.check();
                    }
                    self.planner.restore(&key, before);
                }
            }
            Edit::Condition(gateway, route, condition) => {
                if let Some((key, route)) = self.route(gateway, route) {
                    let condition = condition.map(|text| format!("Has Header h{text}").parse().unwrap());
                    let change = ConditionChange::Set(condition);
                    let _ = self.planner.set_condition(&key, &route, change, None, self.now);
                }
            }
            Edit::Restore(gateway) => {
                let stored = serde_json::to_string(&self.planner.resolved().kept).unwrap();
                let mut kept: Kept = serde_json::from_str(&stored).unwrap();
                if let Some(key) = gateway.and_then(|at| kept.gateways.keys().nth(at % 6).cloned()) {
                    kept.gateways.remove(&key);
                    kept.workloads.pop_first();
                }
                self.planner.set_kept(kept);
            }
            Edit::Node(address, ports, uplink) => self.set_node(address, ports, uplink),
            Edit::Frontends(name, frontends) => self.give_frontends(name, frontends),
            Edit::Swap(..) | Edit::Remove(_) | Edit::Replace(_) => {}
        }
        if arranges {
            let order: Vec<GatewayKey> = self.gateways.iter().map(|gateway| gateway.key.clone()).collect();
            let fresh = self.gateways.iter().filter(|gateway| !before.contains(gateway)).cloned().collect();
            self.planner.arrange_gateways(&order, fresh);
        }
        self.planner.set_gateways(self.gateways.clone());
    }

    fn set_node(&mut self, address: u8, ports: Vec<u16>, uplink: Vec<u8>) {
        self.node = Node {
            addresses: (1..=address).map(|last| [192, 0, 2, last].into()).collect(),
            ports_in_use: ports.into_iter().map(|port| (Protocol::Tcp, port)).collect(),
            external: External {
                names: [("db.example.com".to_owned(), vec![[198, 51, 100, address].into()])].into(),
                allowed: vec![format!("192.0.2.{address}/32").parse().unwrap()],
            },
            name: (address > 0).then(|| format!("n{address}")),
            through_uplink: uplink.into_iter().map(|last| [10, 0, 0, last].into()).collect(),
        };
        self.planner.set_node(self.node.clone());
    }

    fn give_frontends(&mut self, name: u8, frontends: Vec<(u8, bool)>) {
        let key =
            if name == 6 { GatewayKey::shared() } else { GatewayKey::new("default", format!("g{name}")) };
        let given = frontends.into_iter().map(|(last, local_only)| {
            let address = ([10, 96, name, last], 80).into();
            let access = Access { local_only, ..Access::default() };
            (Frontend { address, protocol: Protocol::Tcp }, access)
        });
        let given: Frontends = given.collect();
        self.planner.set_frontends(&key, given.clone());
        self.frontends.insert(key, given);
        self.frontends.retain(|_, given| !given.is_empty());
    }

    /// What does not read as a gateway is not declared.
    fn declare(&mut self, name: u8, text: &str, alone: bool) {
        let parsed = gateway::parse(&format!("g{name}.yaml"), &format!("name: g{name}\n{text}"), "default");
        for gateway in parsed.gateways {
            match self.gateways.iter_mut().find(|other| other.key == gateway.key) {
                Some(place) => {
                    *place = gateway.clone();
                    assert!(!alone || self.planner.replace_gateway(gateway), "it is declared");
                }
                None => self.gateways.push(gateway),
            }
        }
    }

    fn route(&self, gateway: usize, route: usize) -> Option<(GatewayKey, RouteName)> {
        let all = &self.planner.resolved().gateways;
        let gateway = all.get(gateway % all.len().max(1))?;
        let route = gateway.routes.get(route % gateway.routes.len().max(1))?;
        Some((gateway.key.clone(), route.name.clone()))
    }

    /// Updates, and compares everything with what comes of it from scratch.
    fn check(&mut self) {
        let before = self.planner.plan().clone();
        let findings = self.planner.resolved().findings.clone();
        let kept = self.planner.resolved().kept.clone();
        let scratch = resolve(&Snapshot {
            gateways: self.gateways.clone(),
            in_force: self.in_force.values().cloned().collect(),
            workloads: self.workloads.clone(),
            kept: kept.clone(),
            addresses: self.node.addresses.clone(),
            ports_in_use: self.node.ports_in_use.clone(),
            frontends: self.frontends.clone(),
            node: self.node.name.clone(),
            through_uplink: self.node.through_uplink.clone(),
            external: self.node.external.clone(),
            now: self.now,
            settings: self.settings,
        });
        let update = self.planner.update(self.now);
        let resolved = self.planner.resolved();
        assert_eq!(resolved.gateways, scratch.gateways);
        assert_eq!(resolved.stayed, scratch.stayed);
        assert_eq!(resolved.findings, scratch.findings);
        assert_eq!(resolved.kept, scratch.kept);
        assert_eq!(resolved.deadline, scratch.deadline);
        assert_eq!(resolved.addresses, scratch.addresses);
        assert_eq!(update.notes, scratch.notes);
        assert_eq!(update.are_findings_new, findings != scratch.findings);
        assert!(update.is_kept_new || kept == scratch.kept);
        for gateway in &resolved.gateways {
            let sum = crate::weight::sum(gateway.routes.iter().map(|route| route.weight));
            assert!(matches!(sum, 0 | 10_000), "{sum} in {}", gateway.key);
        }
        let expected = plan(&scratch, None);
        let made = self.planner.plan();
        assert_eq!(made.l4, expected.l4);
        assert_eq!(made.l7, expected.l7);
        assert_eq!(update.is_table_new, !Arc::ptr_eq(&made.l7, &before.l7));
        assert!(update.is_table_new || made.l7 == before.l7);
        assert_eq!(update.changes, diff(&before.l4, &made.l4));
        let mut patched = before.l4;
        apply(&mut patched, update.changes);
        assert_eq!(patched, made.l4);
        assert_eq!(self.planner.update(self.now), Update::default(), "nothing is left to do");
        self.note_in_force(&scratch);
    }

    /// Notes which declarations are in force.
    fn note_in_force(&mut self, resolved: &Resolved) {
        let mut old = std::mem::take(&mut self.in_force);
        for ResolvedGateway { key, .. } in resolved.gateways.iter().map(Arc::as_ref) {
            let asked = || self.gateways.iter().find(|gateway| gateway.key == *key).cloned();
            let declaration = if resolved.stayed.contains(key) { old.remove(key) } else { asked() };
            self.in_force.insert(key.clone(), declaration.expect("what is in force is declared, or was"));
        }
    }
}

proptest! {
    #![proptest_config(crate::tests::cases(256))]

    #[test]
    fn whatever_happens_a_planner_has_what_working_it_out_from_scratch_gives(
        given_frontends in any::<bool>(),
        steps in prop::collection::vec((prop::collection::vec(edit(), 1..4), 0_u64..2_000), 1..24),
    ) {
        let mut twin = Twin::new(settings(given_frontends));
        for (edits, pause) in steps {
            twin.now += pause;
            for edit in edits {
                twin.edit(edit);
            }
            twin.check();
        }
    }
}

fn declared(text: &str) -> Vec<Gateway> {
    let parsed = gateway::parse("g.yaml", text, "default");
    assert!(!parsed.has_errors(), "{:?}", parsed.findings);
    parsed.gateways
}

fn pod(name: &str, app: &str, address: u8) -> Workload {
    Workload {
        namespace: "default".to_owned(),
        kind: "pod".to_owned(),
        name: name.to_owned(),
        labels: [("app".to_owned(), app.to_owned()), ("version".to_owned(), "1".to_owned())].into(),
        addresses: vec![[10, 0, 0, address].into()],
        ports: vec![WorkloadPort { name: String::new(), port: 80 }],
        ready: true,
        created: Some(0),
        ..Workload::default()
    }
}

fn two_apps() -> Planner {
    let mut planner = Planner::new(settings(false), Kept::default());
    let of = |name: &str, port: u16| {
        format!("name: {name}\nport: {port}/tcp\nselector: label(app)({name}) && label(version)((.*))\n")
    };
    planner.set_gateways(declared(&format!("{}---\n{}", of("a", 7001), of("b", 7002))));
    planner.set_workloads(vec![pod("1", "a", 1), pod("2", "b", 2)]);
    planner.set_node(Node { addresses: vec![[192, 0, 2, 1].into()], ..Node::default() });
    planner.update(1_000);
    planner
}

fn part<'a>(plan: &'a L4Plan, name: &str) -> &'a Arc<crate::plan::l4::L4Gateway> {
    &plan.gateways[&GatewayKey::new("default", name)]
}

#[test]
fn a_changed_workload_leaves_the_gateways_that_it_does_not_concern_alone() {
    let mut planner = two_apps();
    let before = planner.plan().clone();
    planner.upsert_workload(pod("3", "a", 3));
    let update = planner.update(1_001);
    let concerned = |change: &Change| {
        let (Change::AddEndpoint(key, ..) | Change::SetRing { gateway: key, .. }) = change else {
            return false;
        };
        key.name == "a"
    };
    assert!(update.changes.len() == 2 && update.changes.iter().all(concerned), "{:?}", update.changes);
    assert!(!update.is_table_new && !update.is_kept_new);
    assert!(Arc::ptr_eq(part(&before.l4, "b"), part(&planner.plan().l4, "b")));
    planner.upsert_workload(pod("3", "a", 3));
    planner.set_gateways(planner.gateways.clone());
    assert_eq!(planner.update(1_002), Update::default(), "the same again is no change");
}

#[test]
fn a_gateway_that_is_declared_otherwise_is_resolved_alone() {
    let mut planner = two_apps();
    let before = planner.plan().clone();
    let other =
        declared("name: a\nport: 7001/tcp\nselector: label(app)(b) && label(version)((.*))\n").remove(0);
    assert!(planner.replace_gateway(other.clone()));
    planner.update(1_001);
    assert_eq!(part(&planner.plan().l4, "a").ring4.members, part(&planner.plan().l4, "b").ring4.members);
    assert!(Arc::ptr_eq(part(&before.l4, "b"), part(&planner.plan().l4, "b")));
    planner.upsert_workload(pod("1", "a", 3));
    assert_eq!(planner.update(1_002), Update::default(), "nobody looks for that one any more");
    planner.upsert_workload(pod("3", "b", 3));
    assert_eq!(planner.update(1_003).changes.len(), 4, "both look for this one");
    assert!(!planner.replace_gateway(Gateway { key: GatewayKey::new("default", "c"), ..other }));
}

#[test]
fn a_change_behind_a_chained_route_changes_the_gateways_in_front_of_it() {
    let mut planner = two_apps();
    let outer = declared("name: outer\nport: 7003/tcp\nroutes: a\n");
    planner.set_gateways([outer, planner.gateways.clone()].concat());
    planner.update(1_001);
    let before = planner.plan().clone();
    planner.upsert_workload(pod("3", "a", 3));
    planner.update(1_002);
    assert_eq!(part(&planner.plan().l4, "outer").ring4.members.len(), 2);
    assert!(Arc::ptr_eq(part(&before.l4, "b"), part(&planner.plan().l4, "b")));
}

#[test]
fn a_gateway_that_was_forgotten_begins_anew() {
    let mut planner = two_apps();
    let key = GatewayKey::new("default", "a");
    let route = RouteName("(1)".to_owned());
    planner.set_weights(&key, &[(route.clone(), Weight::ZERO)], false, 1_000).unwrap();
    let declared = planner.gateways.clone();
    planner.set_gateways(declared[1..].to_vec());
    planner.update(1_001);
    assert!(planner.resolved().kept.gateways[&key].gone_since.is_some());
    planner.forget(&key);
    planner.update(1_002);
    assert!(!planner.resolved().kept.gateways.contains_key(&key));
    planner.introduce(&key, 7);
    planner.set_gateways(declared);
    planner.update(1_003);
    let kept = &planner.resolved().kept.gateways[&key];
    assert_eq!((kept.since, kept.routes[&route].weight), (7, Weight::FULL));
}
