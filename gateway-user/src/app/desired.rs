//! What is to be in force: from what is declared, state and node to a plan.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use gateway_model::{
    discovery::{Kept, KeptRoute},
    finding::Finding,
    key::{GatewayKey, RouteName},
    plan::Plan,
    planner::{self, Planner},
    resolve::{self, Resolved},
    snapshot::External,
};

use super::{
    declared::{Declared, FreshGateways},
    node::{DeviceAddresses, Listening},
};

/// What the node says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    /// Addresses of the devices that clients come in through.
    pub(super) devices: DeviceAddresses,
    /// Ports that other programs listen on.
    pub(super) listening: BTreeSet<Listening>,
    /// Addresses of endpoints that are reached through one of the devices.
    pub(super) through_uplink: BTreeSet<IpAddr>,
}

/// What is to be in force, and what it is worked out from.
#[derive(Debug)]
pub(super) struct Desired {
    /// What is declared.
    pub(super) declared: Declared,
    /// What that means, and what is changed at run time.
    pub(super) planner: Planner,
    /// Gateways whose part for the kernel is not as it was put in force last.
    pub(super) fresh: BTreeSet<GatewayKey>,
    /// Counts changes of the plan.
    pub(super) generation: u64,
    /// Whether something else may be remembered than was stored last.
    pub(super) is_kept_new: bool,
    /// Whether something else may be wrong than was asked for last.
    pub(super) are_findings_new: bool,
    addresses: BTreeSet<IpAddr>,
}

impl Desired {
    /// Nothing yet, but for what is remembered; `addresses` are those besides the devices' own.
    pub(super) fn new(declared: Declared, kept: Kept, addresses: BTreeSet<IpAddr>) -> Self {
        let planner = Planner::new(declared.settings(), kept);
        let (is_kept_new, are_findings_new) = (false, false);
        let fresh = BTreeSet::new();
        Self { declared, planner, fresh, generation: 0, is_kept_new, are_findings_new, addresses }
    }

    /// What everything means.
    pub(super) fn resolved(&self) -> &Resolved {
        self.planner.resolved()
    }

    /// What is remembered.
    pub(super) fn kept(&self) -> &Kept {
        &self.resolved().kept
    }

    /// What is remembered of a gateway's routes.
    pub(super) fn kept_routes(&self, gateway: &GatewayKey) -> BTreeMap<RouteName, KeptRoute> {
        self.kept().gateways.get(gateway).map(|kept| kept.routes.clone()).unwrap_or_default()
    }

    /// What the kernel and the proxy are to do.
    pub(super) fn plan(&self) -> &Plan {
        self.planner.plan()
    }

    /// Works out what has changed. Level-triggered: what happened in the meantime does not matter.
    pub(super) fn work_out(&mut self, node: &Node) {
        self.take_gateways();
        for (identity, workload) in self.declared.take_workloads() {
            match workload {
                Some(workload) => self.planner.upsert_workload(workload),
                None => self.planner.remove_workload(&identity),
            }
        }
        for (key, frontends) in self.declared.take_frontends() {
            self.planner.set_frontends(&key, frontends);
        }
        self.planner.set_node(self.as_planned_for(node));
        let update = self.planner.update(now());
        for note in &update.notes {
            match &self.declared {
                Declared::Files(_) => tracing::info!(gateway = %note.gateway, "{}", note.message),
                // The leader told of it, to everyone.
                Declared::Cluster(_) => tracing::debug!(gateway = %note.gateway, "{}", note.message),
            }
        }
        self.fresh.extend(update.changes.iter().map(|change| change.gateway().clone()));
        let is_plan_new = self.generation == 0 || update.is_table_new || !update.changes.is_empty();
        self.generation += u64::from(is_plan_new);
        self.is_kept_new |= update.is_kept_new;
        self.are_findings_new |= update.are_findings_new;
    }

    fn take_gateways(&mut self) {
        match self.declared.take_gateways() {
            FreshGateways::All(gateways) => {
                self.are_findings_new = true;
                self.planner.set_gateways(gateways);
            }
            FreshGateways::Arranged(order, gateways) => {
                self.are_findings_new = true;
                self.planner.arrange_gateways(&order, gateways);
            }
            FreshGateways::Some(gateways) => {
                self.are_findings_new |= !gateways.is_empty();
                for gateway in gateways {
                    let is_known = self.planner.replace_gateway(gateway);
                    debug_assert!(is_known, "what has a place was declared before");
                }
            }
        }
    }

    /// What the node says to gateways: of ports only those that others have on an address of theirs.
    fn as_planned_for(&self, node: &Node) -> planner::Node {
        let addresses: BTreeSet<IpAddr> =
            node.devices.values().flatten().chain(&self.addresses).copied().collect();
        let is_ours = |address: IpAddr| address.is_unspecified() || addresses.contains(&address);
        let in_use = node.listening.iter().filter(|socket| is_ours(socket.address));
        planner::Node {
            name: self.declared.node().map(str::to_owned),
            ports_in_use: in_use.map(|socket| (socket.protocol, socket.port)).collect(),
            through_uplink: node.through_uplink.clone(),
            external: External::default(),
            addresses: addresses.into_iter().collect(),
        }
    }

    /// Whether it is time to work it out though nothing changed.
    pub(super) fn is_due(&self) -> bool {
        self.resolved().deadline.is_some_and(|deadline| deadline <= now())
    }

    /// What is wrong with what is declared.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let mut findings = self.declared.findings();
        // What comes of endpoints that come and go is the leader's to tell.
        let is_ours = |finding: &&Finding| {
            matches!(self.declared, Declared::Files(_))
                || !resolve::ABOUT_SURROUNDINGS.contains(&finding.code)
        };
        findings.extend(self.resolved().findings.iter().filter(is_ours).cloned());
        gateway_model::finding::sort(&mut findings);
        findings
    }
}

/// What is wrong now, by what is logged of it: each is logged when it appears, and when it is gone.
#[derive(Debug, Default)]
pub(super) struct FindingLog(BTreeMap<String, bool>);

impl FindingLog {
    /// Logs what differs from the last time.
    pub(super) fn update(&mut self, findings: &[Finding]) {
        let now: BTreeMap<String, bool> = findings.iter().map(|f| (f.to_string(), f.is_error())).collect();
        for (text, is_error) in &now {
            match (self.0.contains_key(text), is_error) {
                (true, _) => {}
                (false, true) => tracing::error!("{text}"),
                (false, false) => tracing::warn!("{text}"),
            }
        }
        for text in self.0.keys().filter(|text| !now.contains_key(*text)) {
            tracing::info!("no longer: {text}");
        }
        self.0 = now;
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, path::PathBuf};

    use gateway_model::key::Protocol;

    use super::{super::sources::Sources, *};
    use crate::watch::Texts;

    fn gateways(ports: &[(&str, u16)]) -> Texts {
        let text = |(name, port): &(&str, u16)| {
            format!(
                "---\nname: {name}\nport: {port}/tcp\nselector: label(app)(foo) && label(version)((.*))\n"
            )
        };
        let text: String = ports.iter().map(text).collect();
        Texts::from([(PathBuf::from("/a.yaml"), Ok(text.into()))])
    }

    fn node() -> Node {
        let addresses = BTreeSet::from([IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))]);
        Node { devices: DeviceAddresses::from([("eth0".to_owned(), addresses)]), ..Node::default() }
    }

    fn desired(ports: &[(&str, u16)]) -> Desired {
        let mut sources = Sources::new("default");
        sources.set_artifacts(&gateways(ports));
        let mut desired = Desired::new(Declared::Files(sources), Kept::default(), BTreeSet::new());
        desired.work_out(&node());
        desired
    }

    fn sources(desired: &mut Desired) -> &mut Sources {
        let Declared::Files(sources) = &mut desired.declared else { panic!("made from files") };
        sources
    }

    fn ports(desired: &Desired) -> Vec<(String, u16)> {
        desired.resolved().gateways.iter().map(|gateway| (gateway.key.name.clone(), gateway.port)).collect()
    }

    fn errors(desired: &Desired) -> Vec<&'static str> {
        desired.findings().iter().filter(|finding| finding.is_error()).map(|finding| finding.code).collect()
    }

    #[test]
    fn a_gateway_that_asks_for_another_one_s_port_stays_where_it_is() {
        let mut desired = desired(&[("a", 1001), ("b", 1002)]);
        sources(&mut desired).set_artifacts(&gateways(&[("a", 1001), ("b", 1001)]));
        desired.work_out(&node());
        assert_eq!(ports(&desired), [("a".to_owned(), 1001), ("b".to_owned(), 1002)]);
        assert_eq!(errors(&desired), ["port-conflict"]);
        assert_eq!(desired.generation, 1, "nothing in force has changed");
        sources(&mut desired).set_artifacts(&gateways(&[("a", 1003), ("b", 1001)]));
        desired.work_out(&node());
        assert_eq!(ports(&desired), [("a".to_owned(), 1003), ("b".to_owned(), 1001)]);
        assert!(errors(&desired).is_empty());
    }

    #[test]
    fn a_gateway_that_asks_for_a_port_in_use_stays_where_it_is() {
        let mut desired = desired(&[("a", 1001)]);
        let socket = Listening { protocol: Protocol::Tcp, address: Ipv4Addr::UNSPECIFIED.into(), port: 1005 };
        let node = Node { listening: BTreeSet::from([socket]), ..node() };
        sources(&mut desired).set_artifacts(&gateways(&[("a", 1005)]));
        desired.work_out(&node);
        assert_eq!(ports(&desired), [("a".to_owned(), 1001)]);
        assert_eq!(errors(&desired), ["port-in-use"]);
    }

    #[test]
    fn the_same_again_is_no_new_generation_and_nothing_to_store() {
        let mut desired = desired(&[("a", 1001)]);
        assert!(std::mem::take(&mut desired.is_kept_new), "the gateway and its port");
        desired.work_out(&node());
        assert_eq!((desired.generation, desired.is_kept_new), (1, false));
    }

    #[test]
    fn what_is_new_of_workloads_and_node_is_worked_out() {
        let mut desired = desired(&[("a", 1001)]);
        let endpoints = |desired: &Desired| -> Vec<String> {
            let routes = desired.resolved().gateways.iter().flat_map(|gateway| &gateway.routes);
            routes.flat_map(|route| &route.endpoints).map(|one| one.address.to_string()).collect()
        };
        let pod = |address: &str| {
            let text = format!(
                "- {{name: a, labels: {{app: foo, version: 1}}, addresses: [{address}], ports: [{{port: 80}}], created: 1}}\n"
            );
            Texts::from([(PathBuf::from("/w.yaml"), Ok(text.into()))])
        };
        sources(&mut desired).set_workloads(&pod("10.0.0.1"));
        desired.work_out(&node());
        assert_eq!((endpoints(&desired), desired.generation), (vec!["10.0.0.1:80".to_owned()], 2));
        desired.is_kept_new = false;
        sources(&mut desired).set_workloads(&pod("10.0.0.2"));
        desired.work_out(&node());
        assert_eq!((endpoints(&desired), desired.generation), (vec!["10.0.0.2:80".to_owned()], 3));
        assert!(!desired.is_kept_new, "its route is what it was");
        sources(&mut desired).set_workloads(&Texts::new());
        desired.work_out(&Node::default());
        assert_eq!((endpoints(&desired), desired.generation), (Vec::new(), 4));
        assert!(desired.resolved().addresses.is_empty());
    }

    /// Not a measurement, but far from it if an event has everything looked at.
    #[test]
    fn one_endpoint_of_ten_thousand_is_worked_out_alone() {
        use gateway_model::{
            finding::Place,
            gateway::{Gateway, PortSpec, PortType, Route},
            selector::Selector,
            weight::Weight,
            workload::{Workload, WorkloadPort},
        };

        use crate::control::agent::view::Delta;

        let place = || Place { file: "f".to_owned(), line: 1, column: 1, length: 1 };
        let key = |number: u32| GatewayKey::new("default", format!("g{number}"));
        let gateway = |number: u32| Gateway {
            port: Some(PortSpec { number: 80, kind: PortType::Http }),
            routes: vec![Route {
                weight: Some(Weight::FULL),
                selector: Some(Selector::parse(&format!("label(of)(g{number})")).unwrap()),
                ..Route::named(RouteName("(1)".to_owned()), place())
            }],
            ..Gateway::new(key(number), place())
        };
        let pod = |number: u32, pod: u8, ready: bool| Workload {
            namespace: "default".to_owned(),
            kind: "pod".to_owned(),
            name: format!("g{number}-{pod}"),
            labels: [("of".to_owned(), format!("g{number}"))].into(),
            addresses: vec![IpAddr::from([10, (number >> 8) as u8, number as u8, pod])],
            ports: vec![WorkloadPort { name: String::new(), port: 80 }],
            ready,
            created: Some(1),
            node: Some("n1".to_owned()),
            ..Workload::default()
        };
        let all = (0..1000).flat_map(|number| (0..10).map(move |index| (number, index)));
        let workloads = all.map(|(number, index)| pod(number, index, true));
        let mut cluster = super::super::cluster::Cluster::new("n1");
        cluster.absorb(Delta {
            gateways: (0..1000).map(|number| (key(number), Some((1, gateway(number))))).collect(),
            workloads: workloads.map(|one| (one.identity(), Some(one))).collect(),
            ..Delta::default()
        });
        let mut desired = Desired::new(Declared::Cluster(cluster), Kept::default(), BTreeSet::new());
        desired.work_out(&node());
        let began = std::time::Instant::now();
        for round in 0..20_u8 {
            let Declared::Cluster(cluster) = &mut desired.declared else { panic!("made from a cluster") };
            let one = pod(500, 3, round % 2 == 1);
            let workloads = [(one.identity(), Some(one))].into();
            cluster.absorb(Delta { workloads, ..Delta::default() });
            desired.work_out(&node());
        }
        let took = began.elapsed() / 20;
        assert_eq!(desired.generation, 21, "each of them is seen");
        assert!(took < std::time::Duration::from_millis(50), "{took:?} for one event");
        println!("{took:?} for one event");
    }
}
