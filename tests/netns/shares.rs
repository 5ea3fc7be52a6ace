//! Who gets new connections.

use std::net::SocketAddr;

use gateway_model::key::Protocol;
use gateway_tests::{Lab, LabPlan, client::connect_many};

use crate::{
    node::Node,
    plan::{POD_PORT, PORT, SLOTS, Shop},
};

const CONNECTIONS: u64 = 10_000;

#[test]
fn ten_thousand_connections_split_90_to_10_within_chance_and_none_reach_a_version_at_0() {
    let lab = LabPlan::new("shares").pods(5).build().unwrap();
    let versions = ["1.0.3", "1.0.3", "2.0.1", "2.0.1", "3.0.0"];
    let servers: Vec<_> = lab
        .pods
        .iter()
        .zip(versions)
        .map(|(pod, version)| pod.serve_tcp(POD_PORT, version).unwrap())
        .collect();
    let mut node = Node::open(&lab);
    let shop = Shop::new(&lab, Protocol::Tcp)
        .route("1.0.3", 90, &lab.pods[..2])
        .route("2.0.1", 10, &lab.pods[2..4])
        .route("3.0.0", 0, &lab.pods[4..]);
    node.apply(&shop);
    for frontend in frontends(&lab) {
        let tally = connect_many(&lab.client().netns, frontend, CONNECTIONS as usize, 32);
        assert_eq!(tally.failures, Vec::<String>::new(), "{frontend}");
        assert_within_chance(tally.version("1.0.3"), CONNECTIONS, 0.9);
        assert_within_chance(tally.version("2.0.1"), CONNECTIONS, 0.1);
        assert_eq!(tally.version("3.0.0"), 0);
    }
    assert_eq!(servers[4].served(), 0, "a version at 0 % sees nothing");
    let stats = node.stats();
    for route in &stats.routes {
        assert_eq!(route.traffic.packets > 0, route.route.0 != "(3.0.0)", "{}", route.route);
    }
    let counted: u64 = stats.routes.iter().map(|route| route.traffic.new_flows).sum();
    assert_eq!(counted, 2 * CONNECTIONS, "every connection is counted once");
}

#[test]
fn rings_are_exact_within_one_slot_per_route() {
    let lab = LabPlan::new("exact").pods(3).build().unwrap();
    let mut node = Node::open(&lab);
    let shop = Shop::new(&lab, Protocol::Tcp)
        .route("1.0.3", 90, &lab.pods[..1])
        .route("2.0.1", 7, &lab.pods[1..2])
        .route("3.0.0", 3, &lab.pods[2..]);
    for weights in [[90, 7, 3], [0, 100, 0], [33, 33, 34], [1, 1, 98]] {
        node.apply(&shop.weights(&weights));
        let dump = node.with(|dataplane| dataplane.dump().unwrap());
        assert_eq!(dump.rings.len(), 2, "one for each family");
        for (ring, (route, weight)) in dump.rings.iter().flat_map(|ring| {
            ["(1.0.3)", "(2.0.1)", "(3.0.0)"].into_iter().zip(weights).map(move |r| (ring, r))
        }) {
            let slots = ring.current.get(route).copied().unwrap_or(0);
            let exact = weight as f64 * SLOTS as f64 / 100.0;
            assert!((slots as f64 - exact).abs() <= 1.0, "{route} at {weight} %: {slots} slots");
        }
    }
}

#[test]
fn new_connections_follow_a_change_at_once() {
    let lab = LabPlan::new("follow").pods(2).build().unwrap();
    let _servers: Vec<_> = lab
        .pods
        .iter()
        .zip(["1.0.3", "2.0.1"])
        .map(|(pod, version)| pod.serve_tcp(POD_PORT, version).unwrap())
        .collect();
    let mut node = Node::open(&lab);
    let shop =
        Shop::new(&lab, Protocol::Tcp).route("1.0.3", 100, &lab.pods[..1]).route("2.0.1", 0, &lab.pods[1..]);
    for round in 0..10 {
        let (weights, version) = if round % 2 == 0 { ([100, 0], "1.0.3") } else { ([0, 100], "2.0.1") };
        node.apply(&shop.weights(&weights));
        for frontend in frontends(&lab) {
            let tally = connect_many(&lab.client().netns, frontend, 50, 8);
            assert_eq!((tally.version(version), tally.failures), (50, Vec::new()), "round {round}");
        }
    }
}

/// Both families of the gateway.
pub fn frontends(lab: &Lab) -> [SocketAddr; 2] {
    [lab.node4(PORT), lab.node6(PORT)]
}

/// |k − n·w| ≤ 4·√(n·w·(1−w)).
#[track_caller]
pub fn assert_within_chance(count: u64, of: u64, share: f64) {
    let (count, of) = (count as f64, of as f64);
    let sigma = (of * share * (1.0 - share)).sqrt();
    let off = (count - of * share).abs() / sigma;
    assert!(off <= 4.0, "{count} of {of} at {share}: {off:.1} sigma");
}
