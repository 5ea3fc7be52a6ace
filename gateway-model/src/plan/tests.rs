//! From what texts mean to plans.

mod shares;

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{
    diff::{apply, diff},
    l7::Entry,
    *,
};
use crate::{
    key::RouteName,
    resolve::{
        resolve,
        tests::{SEED, Story, TCP, pod, snapshot, two_pods},
    },
    snapshot::Snapshot,
    weight::Weight,
};

#[test]
fn the_seed_example_becomes_a_shared_port_and_a_port_of_its_own() {
    let resolved = resolve(&snapshot(SEED, &two_pods()));
    assert!(resolved.findings.is_empty(), "{:?}", resolved.findings);
    let plan = plan(&resolved, None);
    let shared = &plan.l4.gateways[&GatewayKey::shared()];
    assert_eq!((shared.target, shared.frontends.len()), (Target::Agent, 2));
    let own = &plan.l4.gateways[&GatewayKey::new("default", "foo-ingress")];
    assert_eq!(own.target, Target::Ring);
    assert!(own.frontends.keys().all(|frontend| frontend.address.port() == 40_000));
    assert_eq!(own.ring4.shares().into_iter().collect::<Vec<_>>(), [(&RouteName("(1.0.3)".to_owned()), 256)]);
    assert_eq!(own.ring6, Ring::nobody(256), "no endpoint of that family");
    let gateway = plan.l7.find_host("FOO.bar.com:80").expect("the host is known");
    assert_eq!(gateway.key.name, "foo-ingress");
    assert!(matches!(plan.l7.find_frontend(&"192.0.2.1:80".parse().unwrap()), Some(Entry::Shared)));
    let own = plan.l7.find_frontend(&"192.0.2.1:40000".parse().unwrap());
    assert!(own == Some(Entry::Gateway(gateway)), "the kernel has it, until a request is needed");
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
    assert!(first.l4.gateways[&key].ring4.slots.is_shared_with(&second.l4.gateways[&key].ring4.slots));
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
    #![proptest_config(crate::tests::cases(64))]

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

#[test]
fn given_frontends_are_answered_and_no_others() {
    let mut snapshot = snapshot(TCP, &two_pods());
    snapshot.settings.given_frontends = true;
    snapshot.workloads[0].node = Some("n1".to_owned());
    snapshot.workloads[1].node = Some("n2".to_owned());
    snapshot.node = Some("n1".to_owned());
    let key = GatewayKey::new("default", "foo-tcp");
    let of = |snapshot: &Snapshot| plan(&resolve(snapshot), None).l4.gateways[&key].clone();
    assert!(of(&snapshot).frontends.is_empty(), "its Service is not there yet");
    let frontend = |address: &str| Frontend { address: address.parse().unwrap(), protocol: Protocol::Tcp };
    let frontends = |local_only| {
        let access = Access { local_only, ..Access::default() };
        Frontends::from([
            (frontend("10.96.0.7:80"), Access::default()),
            (frontend("192.0.2.1:30080"), access),
        ])
    };
    snapshot.frontends = [(key.clone(), frontends(false))].into();
    let gateway = of(&snapshot);
    assert_eq!((&gateway.frontends, &gateway.local), (&frontends(false), &None));
    snapshot.frontends = [(key.clone(), frontends(true))].into();
    let gateway = of(&snapshot);
    assert_eq!((gateway.ring4.members.len(), gateway.local.as_ref().unwrap().ring4.members.len()), (2, 1));
}
