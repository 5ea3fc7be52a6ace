//! The way from texts to plans.

use std::{collections::BTreeMap, net::IpAddr};

use proptest::prelude::*;

use super::{
    diff::{apply, diff},
    *,
};
use crate::{
    discovery::{ConditionChange, Kept, Origin},
    gateway,
    key::RouteName,
    resolve::{Resolved, resolve},
    snapshot::{Settings, Snapshot},
    weight::{self, Weight},
    workload,
};

const SEED: &str = "\
name: foo-ingress
kind: gateways
virtual_hosts:
- foo.bar.com
selector: label(app)(foo) && label(version)((.*))
";

const TCP: &str = "\
name: foo-tcp
port: 40001/tcp
selector: label(app)(foo) && label(version)((.*))
";

fn pod(name: &str, version: &str, address: &str) -> String {
    format!(
        "- {{name: {name}, labels: {{app: foo, version: {version}}}, addresses: [{address}], ports: [{{name: http, port: 8080}}], created: 100}}\n"
    )
}

fn two_pods() -> String {
    pod("a", "1.0.3", "10.0.0.1") + &pod("b", "1.0.3", "10.0.0.2")
}

/// A snapshot of these texts at second 1,000.
fn snapshot(gateways: &str, workloads: &str) -> Snapshot {
    let gateways = gateway::parse("g.yaml", gateways, "default");
    assert!(!gateways.has_errors(), "{:?}", gateways.findings);
    let workloads = workload::parse("w.yaml", workloads, "default");
    assert!(!workloads.has_errors(), "{:?}", workloads.findings);
    Snapshot {
        gateways: gateways.gateways,
        workloads: workloads.workloads,
        addresses: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
        now: 1_000,
        settings: Settings { ring_size: 256, ..Settings::default() },
        ..Snapshot::default()
    }
}

/// Follows a series of snapshots as an agent does.
struct Story {
    kept: Kept,
    now: u64,
    resolved: Resolved,
}

impl Story {
    fn new() -> Self {
        Self { kept: Kept::default(), now: 1_000, resolved: Resolved::default() }
    }

    fn step(&mut self, gateways: &str, workloads: &str) -> BTreeMap<String, String> {
        let snapshot = Snapshot { kept: self.kept.clone(), now: self.now, ..snapshot(gateways, workloads) };
        self.resolved = resolve(&snapshot);
        self.kept = self.resolved.kept.clone();
        let again = resolve(&Snapshot { kept: self.kept.clone(), ..snapshot });
        assert_eq!(again.kept, self.kept, "resolving again changes nothing");
        assert_eq!(again.gateways, self.resolved.gateways);
        let stored = serde_json::to_string(&self.kept).unwrap();
        assert_eq!(
            serde_json::from_str::<Kept>(&stored).unwrap(),
            self.kept,
            "what is stored reads the same"
        );
        self.weights()
    }

    fn weights(&self) -> BTreeMap<String, String> {
        for gateway in &self.resolved.gateways {
            let sum = weight::sum(gateway.routes.iter().map(|route| route.weight));
            assert!(matches!(sum, 0 | 10_000), "{sum}");
        }
        let routes = self.resolved.gateways.iter().flat_map(|gateway| &gateway.routes);
        routes.map(|route| (route.name.to_string(), route.weight.to_string())).collect()
    }

    fn set(&mut self, changes: &[(&str, &str)], rebalance: bool) -> Result<(), String> {
        let changes: Vec<_> = changes
            .iter()
            .map(|(name, weight)| (RouteName((*name).to_owned()), weight.parse().unwrap()))
            .collect();
        let key = self.resolved.gateways[0].key.clone();
        self.kept
            .set_weights(&self.resolved, &key, &changes, rebalance, self.now)
            .map_err(|error| error.to_string())
    }
}

fn weights(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, weight)| ((*name).to_owned(), (*weight).to_owned())).collect()
}

#[test]
fn the_seed_example_becomes_a_shared_port_and_a_port_of_its_own() {
    let resolved = resolve(&snapshot(SEED, &two_pods()));
    assert!(resolved.findings.is_empty(), "{:?}", resolved.findings);
    let plan = plan(&resolved, None);
    let shared = &plan.l4.gateways[&GatewayKey::shared()];
    assert_eq!((shared.target, shared.frontends.len()), (Target::Agent, 2));
    let own = &plan.l4.gateways[&GatewayKey::new("default", "foo-ingress")];
    assert_eq!(own.target, Target::Ring);
    assert!(own.frontends.iter().all(|frontend| frontend.address.port() == 40_000));
    assert_eq!(own.ring4.shares().into_iter().collect::<Vec<_>>(), [(&RouteName("(1.0.3)".to_owned()), 256)]);
    assert_eq!(own.ring6, Ring::nobody(256), "no endpoint of that family");
    let gateway = plan.l7.find_host("FOO.bar.com:80").expect("the host is known");
    assert_eq!(gateway.key.name, "foo-ingress");
    assert!(matches!(plan.l7.find_frontend(&"192.0.2.1:80".parse().unwrap()), Some(Entry::Shared)));
    assert!(plan.l7.find_frontend(&"192.0.2.1:40000".parse().unwrap()).is_none());
}

#[test]
fn the_first_route_gets_everything_and_later_ones_nothing() {
    let mut story = Story::new();
    assert_eq!(story.step(TCP, &two_pods()), weights(&[("(1.0.3)", "100%")]));
    let both = two_pods() + &pod("c", "2.0.1", "10.0.0.3");
    assert_eq!(story.step(TCP, &both), weights(&[("(1.0.3)", "100%"), ("(2.0.1)", "0%")]));
    let route = &story.resolved.gateways[0].routes[1];
    assert_eq!((route.origin, route.endpoints.len()), (Origin::Discovery, 1));
}

#[test]
fn of_several_first_routes_the_oldest_then_the_lowest_version_gets_everything() {
    let same_age = pod("a", "10.0.0", "10.0.0.1") + &pod("b", "9.0.0", "10.0.0.2");
    assert_eq!(
        Story::new().step(TCP, &same_age),
        weights(
            &[("(10.0.0)", "100%"), ("(9.0.0)", "0%")]
                .map(|(n, _)| (n, if n == "(9.0.0)" { "100%" } else { "0%" }))
        )
    );
    let older = same_age.replacen("created: 100", "created: 99", 1);
    assert_eq!(Story::new().step(TCP, &older), weights(&[("(10.0.0)", "100%"), ("(9.0.0)", "0%")]));
}

#[test]
fn a_weight_given_at_run_time_holds_until_the_file_says_something_new() {
    let file =
        |a: &str, b: &str| format!("{TCP}routes:\n  (1.0.3): {{weight: {a}}}\n  (2.0.1): {{weight: {b}}}\n");
    let both = two_pods() + &pod("c", "2.0.1", "10.0.0.3");
    let mut story = Story::new();
    assert_eq!(story.step(&file("90%", "10%"), &both), weights(&[("(1.0.3)", "90%"), ("(2.0.1)", "10%")]));
    story.set(&[("(1.0.3)", "50%"), ("(2.0.1)", "50%")], false).unwrap();
    assert_eq!(story.step(&file("90%", "10%"), &both), weights(&[("(1.0.3)", "50%"), ("(2.0.1)", "50%")]));
    assert_eq!(story.resolved.gateways[0].routes[0].origin, Origin::Cli);
    assert_eq!(
        story.step(&file("90%", "10%"), &(two_pods() + &pod("d", "2.0.1", "10.0.0.4"))),
        weights(&[("(1.0.3)", "50%"), ("(2.0.1)", "50%")])
    );
    assert_eq!(story.step(&file("80%", "20%"), &both), weights(&[("(1.0.3)", "80%"), ("(2.0.1)", "20%")]));
    assert!(
        story.resolved.notes.iter().any(|note| note.message.contains("the file now says 80%")),
        "{:?}",
        story.resolved.notes
    );
    assert_eq!(story.resolved.gateways[0].routes[0].origin, Origin::File);
}

#[test]
fn weights_that_do_not_add_up_change_nothing_and_say_why() {
    let both = two_pods() + &pod("c", "2.0.1", "10.0.0.3");
    let mut story = Story::new();
    story.step(TCP, &both);
    let error = story.set(&[("(2.0.1)", "5%")], false).unwrap_err();
    assert!(
        error.contains("105%") && error.contains("(1.0.3)=100%") && error.contains("--rebalance"),
        "{error}"
    );
    assert!(story.set(&[("(3)", "5%")], false).unwrap_err().contains("it has: (1.0.3), (2.0.1)"));
    assert!(story.set(&[("(2.0.1)", "5%"), ("(2.0.1)", "6%")], true).is_err());
    assert_eq!(story.step(TCP, &both), weights(&[("(1.0.3)", "100%"), ("(2.0.1)", "0%")]));
    story.set(&[("(2.0.1)", "5%")], true).unwrap();
    assert_eq!(story.step(TCP, &both), weights(&[("(1.0.3)", "95%"), ("(2.0.1)", "5%")]));
}

#[test]
fn a_route_whose_workloads_are_gone_keeps_its_settings_for_an_hour() {
    let both = two_pods() + &pod("c", "2.0.1", "10.0.0.3");
    let mut story = Story::new();
    story.step(TCP, &both);
    story.set(&[("(1.0.3)", "60%"), ("(2.0.1)", "40%")], false).unwrap();
    story.step(TCP, &two_pods());
    assert_eq!(story.weights(), weights(&[("(1.0.3)", "60%"), ("(2.0.1)", "40%")]));
    let lent: Vec<_> = story.resolved.gateways[0].routes.iter().map(|route| route.lent).collect();
    assert_eq!(lent, [Weight::FULL, Weight::ZERO], "lent, not given away");
    assert_eq!(story.resolved.deadline, Some(1_000 + 3_600));
    story.now = 4_599;
    assert_eq!(story.step(TCP, &both), weights(&[("(1.0.3)", "60%"), ("(2.0.1)", "40%")]), "back in time");
    assert_eq!(story.resolved.deadline, None);
    story.step(TCP, &two_pods());
    story.now += 3_600;
    assert_eq!(story.step(TCP, &two_pods()), weights(&[("(1.0.3)", "100%")]), "the others get exactly 100 %");
    assert_eq!(
        story.step(TCP, &both),
        weights(&[("(1.0.3)", "100%"), ("(2.0.1)", "0%")]),
        "new again: nothing"
    );
}

#[test]
fn expiry_never_gives_a_route_of_nothing_anything() {
    let both = two_pods() + &pod("c", "2.0.1", "10.0.0.3");
    let mut story = Story::new();
    story.step(TCP, &both);
    story.step(TCP, &pod("c", "2.0.1", "10.0.0.3"));
    assert!(
        plan(&story.resolved, None).l4.gateways.values().all(|gateway| gateway.ring4 == Ring::nobody(256)),
        "not lent to 0 %"
    );
    story.now += 3_600;
    assert_eq!(story.step(TCP, &pod("c", "2.0.1", "10.0.0.3")), weights(&[("(2.0.1)", "0%")]));
}

#[test]
fn readiness_scaling_and_zero_replicas_change_endpoints_and_no_weight() {
    let mut story = Story::new();
    story.step(TCP, &two_pods());
    let half = two_pods().replacen("created", "ready: false, created", 1);
    assert_eq!(story.step(TCP, &half), weights(&[("(1.0.3)", "100%")]));
    let made = plan(&story.resolved, None);
    let gateway = &made.l4.gateways[&GatewayKey::new("default", "foo-tcp")];
    assert_eq!(gateway.routes[&RouteName("(1.0.3)".to_owned())].endpoints.len(), 2, "not ready is not dead");
    assert_eq!(gateway.ring4.members.len(), 1);
    let none = "- {name: a, kind: deployment, labels: {app: foo, version: 1.0.3}}\n";
    assert_eq!(story.step(TCP, none), weights(&[("(1.0.3)", "100%")]));
    assert_eq!(story.resolved.deadline, None, "it exists, at zero replicas");
}

#[test]
fn a_condition_moves_the_own_port_to_the_proxy_and_back() {
    let http = TCP.replace("/tcp", "/http");
    let mut story = Story::new();
    story.step(&http, &two_pods());
    let key = story.resolved.gateways[0].key.clone();
    let route = RouteName("(1.0.3)".to_owned());
    let target = |story: &Story| plan(&story.resolved, None).l4.gateways[&key].target;
    assert_eq!(target(&story), Target::Ring);
    let condition = ConditionChange::Set(Some("User-Agent is Firefox".parse().unwrap()));
    story.kept.set_condition(&story.resolved, &key, &route, condition, None, 1_000).unwrap();
    story.step(&http, &two_pods());
    assert_eq!(target(&story), Target::Agent);
    let given = &story.resolved.gateways[0].routes[0];
    assert_eq!((given.strength, given.condition_origin), (Weight::FULL, Origin::Cli));
    let made = plan(&story.resolved, None);
    assert!(matches!(made.l7.find_frontend(&"192.0.2.1:40001".parse().unwrap()), Some(Entry::Gateway(_))));
    story
        .kept
        .set_condition(
            &story.resolved,
            &key,
            &route,
            ConditionChange::Keep,
            Some("20%".parse().unwrap()),
            1_000,
        )
        .unwrap();
    story.step(&http, &two_pods());
    assert_eq!(story.resolved.gateways[0].routes[0].strength.to_string(), "20%");
    let listed = format!("{http}routes: {{(1.0.3): {{condition: Host is a}}}}\n");
    story.step(&listed, &two_pods());
    let replaced = &story.resolved.gateways[0].routes[0];
    assert_eq!(
        replaced.condition.as_ref().map(ToString::to_string).as_deref(),
        Some("Host == a"),
        "the file's changed"
    );
    story.kept.set_condition(&story.resolved, &key, &route, ConditionChange::Set(None), None, 1_000).unwrap();
    story.step(&listed, &two_pods());
    assert_eq!(target(&story), Target::Ring);
}

#[test]
fn conditions_are_refused_where_there_are_no_requests() {
    let mut story = Story::new();
    story.step(TCP, &two_pods());
    let key = story.resolved.gateways[0].key.clone();
    let condition = ConditionChange::Set(Some("Host is a".parse().unwrap()));
    let route = RouteName("(1.0.3)".to_owned());
    let error = story.kept.set_condition(&story.resolved, &key, &route, condition, None, 1).unwrap_err();
    assert!(error.to_string().contains("tcp port"), "{error}");
    let error =
        story.kept.set_condition(&story.resolved, &key, &route, ConditionChange::Keep, Some(Weight::FULL), 1);
    assert!(error.unwrap_err().to_string().contains("no condition"));
}

#[test]
fn conditions_are_tried_by_priority_then_as_written() {
    let file = format!(
        "{SEED}routes:\n  (3): {{condition: Host is c}}\n  (1): {{condition: Host is a, weight: 100%}}\n  (2): {{condition: Host is b, priority: 5}}\n"
    );
    let made = plan(&resolve(&snapshot(&file, &two_pods())), None);
    let gateway = made.l7.find_host("foo.bar.com").unwrap();
    let order: Vec<String> =
        gateway.conditions.iter().map(|one| gateway.routes[one.route].name.to_string()).collect();
    assert_eq!(order, ["(2)", "(3)", "(1)"]);
}

#[test]
fn hosts_and_ports_belong_to_the_oldest_gateway() {
    let second = SEED.replace("foo-ingress", "bar") + "port: 40001/http\n";
    let gateways = format!("{TCP}---\n{SEED}---\n{second}");
    let mut story = Story::new();
    story.step(&gateways, &two_pods());
    let codes: Vec<_> = story
        .resolved
        .findings
        .iter()
        .map(|finding| (finding.code, finding.place.clone().unwrap().line))
        .collect();
    assert_eq!(codes, [("port-conflict", 11)]);
    assert_eq!(story.resolved.gateways.len(), 2);
    let gateways = format!("{}---\n{SEED}---\n{TCP}", SEED.replace("foo-ingress", "baz"));
    story.now += 1;
    story.step(&gateways, &two_pods());
    let conflict = &story.resolved.findings[0];
    assert_eq!(
        (conflict.code, conflict.gateway.as_ref().unwrap().name.as_str()),
        ("conflicted", "baz"),
        "the newer one, though it is written first"
    );
    let hosts: Vec<usize> = story.resolved.gateways.iter().map(|gateway| gateway.hosts.len()).collect();
    assert_eq!(hosts, [0, 1, 0], "it keeps its port");
}

#[test]
fn ports_are_given_out_once_kept_and_never_those_in_use() {
    let one =
        |name: &str| SEED.replace("foo-ingress", name).replace("foo.bar.com", &format!("{name}.bar.com"));
    let mut story = Story::new();
    story.step(&format!("{}---\n{}", one("a"), one("b")), &two_pods());
    let ports = |story: &Story| {
        story
            .resolved
            .gateways
            .iter()
            .map(|gateway| (gateway.key.name.clone(), gateway.port))
            .collect::<BTreeMap<_, _>>()
    };
    assert_eq!(ports(&story), [("a".to_owned(), 40_000), ("b".to_owned(), 40_001)].into());
    story.step(&one("b"), &two_pods());
    assert_eq!(ports(&story)["b"], 40_001);
    story.step(&format!("{}---\n{}", one("c"), one("b")), &two_pods());
    assert_eq!(ports(&story)["c"], 40_002, "a's is kept for it");
    let mut used = snapshot(&one("a"), &two_pods());
    used.ports_in_use = [(Protocol::Tcp, 40_000), (Protocol::Udp, 40_001)].into();
    assert_eq!(resolve(&used).gateways[0].port, 40_002);
    let mut named = snapshot(TCP, &two_pods());
    named.ports_in_use = [(Protocol::Tcp, 40_001)].into();
    let resolved = resolve(&named);
    assert_eq!((resolved.findings[0].code, resolved.gateways.len()), ("port-in-use", 0));
    named.ports_in_use.clear();
    named.kept = resolve(&named).kept;
    named.ports_in_use = [(Protocol::Tcp, 40_001)].into();
    assert_eq!(resolve(&named).gateways.len(), 1, "not taken away afterwards");
}

#[test]
fn a_port_of_its_own_cannot_be_the_shared_one() {
    let resolved = resolve(&snapshot(&format!("{SEED}---\n{}", TCP.replace("40001/tcp", "80")), &two_pods()));
    assert_eq!((resolved.findings[0].code, resolved.gateways.len()), ("port-shared", 1));
    let alone = resolve(&snapshot(&TCP.replace("40001/tcp", "80"), &two_pods()));
    assert_eq!((alone.findings.len(), alone.gateways.len()), (0, 1), "without virtual hosts it is free");
}

#[test]
fn endpoints_through_an_uplink_serve_requests_only() {
    let mut snapshot = snapshot(TCP, &two_pods());
    snapshot.through_uplink = ["10.0.0.2".parse::<IpAddr>().unwrap()].into();
    let resolved = resolve(&snapshot);
    assert_eq!(resolved.findings[0].code, "endpoint-through-uplink");
    let made = plan(&resolved, None);
    let gateway = &made.l4.gateways[&GatewayKey::new("default", "foo-tcp")];
    assert_eq!(gateway.ring4.members.len(), 1);
    snapshot.gateways =
        gateway::parse("g", &TCP.replace("40001/tcp", "40001\nlevel: request"), "default").gateways;
    let resolved = resolve(&snapshot);
    assert!(resolved.findings.is_empty(), "{:?}", resolved.findings);
    let made = plan(&resolved, None);
    let Some(Entry::Gateway(gateway)) = made.l7.find_frontend(&"192.0.2.1:40001".parse().unwrap()) else {
        panic!()
    };
    assert_eq!(gateway.routes[0].endpoints.len(), 2);
}

#[test]
fn ports_of_workloads_are_chosen_or_asked_for_never_guessed() {
    let ports = |ports: &str| {
        format!(
            "- {{name: a, labels: {{app: foo, version: '1'}}, addresses: [10.0.0.1], ports: [{ports}]}}\n"
        )
    };
    let chosen = |selector: &str, workload: String| {
        let file = TCP.replace("label(version)((.*))", &format!("label(version)((.*)){selector}"));
        let resolved = resolve(&snapshot(&file, &workload));
        let codes: Vec<&str> = resolved.findings.iter().map(|finding| finding.code).collect();
        let ports: Vec<u16> = resolved.gateways[0]
            .routes
            .iter()
            .flat_map(|route| &route.endpoints)
            .map(|one| one.address.port())
            .collect();
        (ports, codes)
    };
    assert_eq!(chosen("", ports("81")), (vec![81], vec![]));
    assert_eq!(chosen("", ports("{name: tcp, port: 80}, {name: metrics, port: 81}")), (vec![80], vec![]));
    assert_eq!(chosen("", ports("80, 81")), (vec![], vec!["ambiguous-port", "selector-finds-nothing"]));
    assert_eq!(chosen(" && port(81)", ports("80, 81")), (vec![81], vec![]));
    assert_eq!(chosen(" && index(0)", ports("80, 81")), (vec![80], vec![]));
    assert_eq!(
        chosen(" && port(8.)", ports("80, 81")),
        (vec![], vec!["ambiguous-port", "selector-finds-nothing"])
    );
    assert_eq!(chosen("", ports("")), (vec![], vec!["no-port", "selector-finds-nothing"]));
}

#[test]
fn only_the_gateways_own_namespace_is_searched() {
    let foreign = two_pods().replace("name: a", "namespace: other, name: a");
    let resolved = resolve(&snapshot(TCP, &foreign));
    assert_eq!(resolved.gateways[0].routes[0].endpoints.len(), 1);
}

#[test]
fn external_addresses_are_endpoints_unless_they_are_of_this_node() {
    let file =
        |address: &str| format!("name: x\nport: 9000/tcp\nroutes: {{'[{address}]': {{weight: 100%}}}}\n");
    let resolved = resolve(&snapshot(&file("198.51.100.7:5432"), "[]"));
    assert_eq!(resolved.gateways[0].routes[0].endpoints[0].address, "198.51.100.7:5432".parse().unwrap());
    for refused in ["127.0.0.1:1", "169.254.1.1:1", "192.0.2.1:1", "[::1]:1", "[fe80::1]:1", "0.0.0.0:1"] {
        let resolved = resolve(&snapshot(&file(refused), "[]"));
        assert_eq!(resolved.findings[0].code, "external-refused", "{refused}");
        assert!(resolved.gateways[0].routes[0].endpoints.is_empty());
    }
}

#[test]
fn a_route_of_a_plain_name_has_its_own_selector() {
    let file = "name: x\nport: 9000/tcp\nroutes:\n  stable: {selector: label(version)(1.*), weight: 90%}\n  next: {selector: label(version)(2.*)}\n";
    let both = two_pods() + &pod("c", "2.0.1", "10.0.0.3");
    let mut story = Story::new();
    assert_eq!(story.step(file, &both), weights(&[("next", "10%"), ("stable", "90%")]));
    let counts: Vec<usize> =
        story.resolved.gateways[0].routes.iter().map(|route| route.endpoints.len()).collect();
    assert_eq!(counts, [1, 2]);
    assert_eq!(
        story.step(
            &file.replace("  next: {selector: label(version)(2.*)}\n", "").replace("90%", "100%"),
            &both
        ),
        weights(&[("stable", "100%")])
    );
}

#[test]
fn what_has_not_changed_is_shared_with_the_previous_plan() {
    let mut story = Story::new();
    let both = format!("{SEED}---\n{TCP}");
    story.step(&both, &two_pods());
    let first = plan(&story.resolved, None);
    story.step(&both, &two_pods());
    let second = plan(&story.resolved, Some(&first));
    let key = GatewayKey::new("default", "foo-tcp");
    assert!(Arc::ptr_eq(&first.l4.gateways[&key].ring4.slots, &second.l4.gateways[&key].ring4.slots));
    assert!(Arc::ptr_eq(
        first.l7.find_host("foo.bar.com").unwrap(),
        second.l7.find_host("foo.bar.com").unwrap()
    ));
    assert_eq!(diff(&first.l4, &second.l4), []);
    story.step(&both, &pod("a", "1.0.3", "10.0.0.1"));
    let third = plan(&story.resolved, Some(&second));
    assert_ne!(second.l4, third.l4);
    assert_eq!(third.l4, plan(&story.resolved, None).l4, "what came before does not matter");
    assert!(!Arc::ptr_eq(
        second.l7.find_host("foo.bar.com").unwrap(),
        third.l7.find_host("foo.bar.com").unwrap()
    ));
}

#[test]
fn hosts_are_found_exact_first_then_by_the_longest_wildcard() {
    let gateways: Vec<String> = ["a.example.com", "*.example.com", "*.b.example.com"]
        .iter()
        .enumerate()
        .map(|(index, host)| {
            SEED.replace("foo-ingress", &format!("g{index}")).replace("- foo.bar.com", &format!("- '{host}'"))
        })
        .collect();
    let made = plan(&resolve(&snapshot(&gateways.join("---\n"), &two_pods())), None);
    for (host, expected) in [
        ("a.example.com", Some("g0")),
        ("A.Example.COM:8080", Some("g0")),
        ("a.example.com.", Some("g0")),
        ("x.example.com", Some("g1")),
        ("x.y.example.com", Some("g1")),
        ("x.b.example.com", Some("g2")),
        ("b.example.com", Some("g1")),
        ("example.com", None),
        ("example.org", None),
        ("", None),
        ("xexample.com", None),
    ] {
        assert_eq!(made.l7.find_host(host).map(|gateway| gateway.key.name.as_str()), expected, "{host}");
    }
    assert!(made.l7.find_host(&"x".repeat(10_000)).is_none());
}

/// A small world: which pods exist, and how the gateway is declared.
fn world() -> impl Strategy<Value = (String, String)> {
    let pods = prop::collection::vec((0_u8..6, 0_u8..4, any::<bool>(), any::<bool>()), 0..10);
    let declared = prop::sample::select(vec![
        "",
        "port: 7000/tcp\n",
        "port: 7000\nlevel: request\n",
        "routes: {(1.0.0): {weight: 30%}, (2.0.0): {}}\n",
        "routes: {(1.0.0): {weight: 100%}, (3.0.0): {condition: Has Header a, condition_strength: 50%}}\n",
        "virtual_hosts: [x.example.com]\n",
        "routes: {(0.0.0): {weight: 0%}, (9.0.0): {weight: 0%}}\n",
        "routes: {'[198.51.100.1:1]': {weight: 10%}, (1.0.0): {}}\n",
    ]);
    (pods, declared).prop_map(|(pods, declared)| {
        let pods: BTreeMap<u8, _> =
            pods.into_iter().map(|(name, version, ready, v6)| (name, (version, ready, v6))).collect();
        let mut text = String::from("[]");
        if !pods.is_empty() {
            text = pods
                .into_iter()
                .map(|(name, (version, ready, v6))| {
                    let address = if v6 { format!("'fd00::{name}1'") } else { format!("10.0.0.{name}") };
                    pod(&format!("p{name}"), &format!("{version}.0.0"), &address)
                        .replace("created", &format!("ready: {ready}, created"))
                })
                .collect();
        }
        (format!("name: g\nselector: label(app)(foo) && label(version)((.*))\n{declared}"), text)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_happens_weights_add_up_and_diffs_lead_from_plan_to_plan(
        worlds in prop::collection::vec((world(), 0_u64..5_000, prop::option::of((0_u16..=10_000, any::<bool>()))), 1..8),
    ) {
        let mut story = Story::new();
        let mut last = Plan::default();
        for ((gateways, workloads), pause, change) in worlds {
            story.now += pause;
            let before: BTreeMap<_, _> = story.weights();
            let listed_before = gateways.contains("routes");
            story.step(&gateways, &workloads);
            if !listed_before {
                for (name, weight) in story.weights() {
                    let grew = before.get(&name).is_some_and(|old| old == "0%") && weight != "0%";
                    let only_file_changed = before.len() > 1;
                    prop_assert!(!grew || only_file_changed, "{} had 0%", name);
                }
            }
            if let Some((weight, rebalance)) = change {
                let names: Vec<String> = story.weights().into_keys().collect();
                if let Some(name) = names.first() {
                    let weight = Weight::from_hundredths(weight).unwrap().to_string();
                    if story.set(&[(name, &weight)], rebalance).is_ok() {
                        let after = story.step(&gateways, &workloads);
                        prop_assert_eq!(&after[name], &weight);
                    }
                }
            }
            let made = plan(&story.resolved, Some(&last));
            prop_assert_eq!(&made.l4, &plan(&story.resolved, None).l4);
            let mut patched = last.l4.clone();
            apply(&mut patched, diff(&last.l4, &made.l4));
            prop_assert_eq!(&patched, &made.l4);
            last = made;
        }
    }
}
