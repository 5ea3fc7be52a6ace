//! Who may come in through a frontend, and where they may go.

use std::collections::BTreeSet;

use gateway_common::verdict::Verdict;
use gateway_model::{key::Protocol, plan::l4::Access};
use gateway_tests::{Lab, LabPlan, client::connect_many, pod::Server};

use crate::{
    node::Node,
    plan::{POD_PORT, Shop},
    shares::frontends,
};

fn serve(lab: &Lab) -> Vec<Server> {
    let here = lab.pods.iter().zip(["1.0.3", "2.0.1"]);
    here.map(|(pod, version)| pod.serve_tcp(POD_PORT, version).unwrap()).collect()
}

fn shop(lab: &Lab) -> Shop {
    Shop::new(lab, Protocol::Tcp).route("1.0.3", 50, &lab.pods[..1]).route("2.0.1", 50, &lab.pods[1..])
}

fn count(node: &mut Node, verdict: Verdict) -> u64 {
    node.stats().verdicts.iter().find(|(of, _)| *of == verdict).unwrap().1
}

#[test]
fn a_frontend_for_this_node_s_endpoints_uses_no_other_and_drops_without_any() {
    let lab = LabPlan::new("local").pods(2).build().unwrap();
    let _servers = serve(&lab);
    let mut node = Node::open(&lab);
    node.apply(&shop(&lab).local_only(&lab.pods[..1]));
    // Slots of the other route have nobody here, and drop: half of the ring.
    for to in frontends(&lab) {
        let tally = connect_many(&lab.client().netns, to, 20, 20);
        assert_eq!(tally.version("2.0.1"), 0, "{to}");
        assert!(tally.version("1.0.3") > 0, "{to}");
    }
    node.die();
    node.start();
    node.apply(&shop(&lab).local_only(&lab.pods));
    let both = Shop::new(&lab, Protocol::Tcp).route("1.0.3", 100, &lab.pods[..1]);
    node.apply(&both.local_only(&lab.pods[..1]));
    for to in frontends(&lab) {
        let tally = connect_many(&lab.client().netns, to, 50, 8);
        assert_eq!((tally.version("1.0.3"), tally.failures), (50, Vec::new()), "{to}");
    }
    let before = count(&mut node, Verdict::Dropped);
    node.apply(&both.local_only(&[]));
    for to in frontends(&lab) {
        let tally = connect_many(&lab.client().netns, to, 1, 1);
        assert!(!tally.failures[0].contains("refused"), "{:?}", tally.failures);
    }
    assert!(count(&mut node, Verdict::Dropped) >= before + 2, "counted");
}

#[test]
fn only_clients_from_given_prefixes_are_let_in() {
    let lab = LabPlan::new("sources").pods(2).build().unwrap();
    let _servers = serve(&lab);
    let mut node = Node::open(&lab);
    let from = |prefixes: &[&str]| Access {
        sources: prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect(),
        ..Access::default()
    };
    node.apply(&shop(&lab).access(from(&["192.168.0.0/24", "fd00:192::/64"])));
    for to in frontends(&lab) {
        let tally = connect_many(&lab.client().netns, to, 50, 8);
        assert_eq!((tally.answered(), tally.failures), (50, Vec::new()), "{to}");
    }
    node.apply(&shop(&lab).access(from(&["10.0.0.0/8", "fd00:10::/32"])));
    for to in frontends(&lab) {
        let tally = connect_many(&lab.client().netns, to, 1, 1);
        assert_eq!(tally.answered(), 0, "{to}");
    }
    assert!(count(&mut node, Verdict::SourceDenied) >= 2, "counted");
    // The next agent takes the prefixes over, and lets everybody in again.
    node.die();
    node.start();
    node.apply(&shop(&lab));
    for to in frontends(&lab) {
        assert_eq!(connect_many(&lab.client().netns, to, 50, 8).failures, Vec::<String>::new(), "{to}");
    }
}

#[test]
fn all_connections_of_a_client_go_to_one_pod() {
    let lab = LabPlan::new("affinity").pods(2).build().unwrap();
    let _servers = serve(&lab);
    let mut node = Node::open(&lab);
    node.apply(&shop(&lab).access(Access { by_client: true, ..Access::default() }));
    for to in frontends(&lab) {
        let tally = connect_many(&lab.client().netns, to, 100, 8);
        assert_eq!(tally.failures, Vec::<String>::new(), "{to}");
        let versions = BTreeSet::from([tally.version("1.0.3"), tally.version("2.0.1")]);
        assert_eq!(versions, BTreeSet::from([0, 100]), "{to}");
    }
}
