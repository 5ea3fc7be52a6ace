//! Connections of pods that leave by a frontend's address and port, as masquerading may have it.

use std::time::Duration;

use gateway_common::verdict::Verdict;
use gateway_model::key::Protocol;
use gateway_tests::{
    Lab, LabPlan,
    client::{ask_udp, connect_many, datagram::udp_socket, held::Held},
    lab::Pod,
};
use weir::dataplane::{IdleTimes, Options};

use crate::{
    node::Node,
    plan::{POD_PORT, PORT, Shop},
    shares::frontends,
};

/// What the client's host serves.
const FAR_PORT: u16 = 443;

/// Lets all that leaves for the client's host show the node's address, and the gateway's port.
fn masquerade(lab: &Lab) {
    let uplink = &lab.client().uplink;
    let rules = format!(
        "table inet shared {{
            chain out {{
                type nat hook postrouting priority srcnat;
                oifname \"{uplink}\" meta l4proto {{ tcp, udp }} th dport {FAR_PORT} masquerade to :{PORT}
            }}
        }}"
    );
    lab.node.nft(&rules).unwrap();
}

/// The client's host, as what pods connect to.
fn far_end(lab: &Lab) -> Pod {
    let client = lab.client();
    Pod { netns: client.netns.clone(), name: "far".to_owned(), v4: client.v4, v6: client.v6 }
}

fn answers(node: &mut Node) -> u64 {
    node.stats().verdicts.iter().find(|(of, _)| *of == Verdict::OutgoingReply).unwrap().1
}

#[test]
fn a_pods_connection_and_a_gateways_share_a_port() {
    let lab = LabPlan::new("outgoing").pods(2).build().unwrap();
    masquerade(&lab);
    let far = far_end(&lab);
    let _server = lab.pods[0].serve_tcp(POD_PORT, "1.0.3").unwrap();
    let _far_server = far.serve_tcp(FAR_PORT, "far").unwrap();
    let idle = IdleTimes { closing: 0, ..IdleTimes::default() };
    let mut node = Node::open_with(&lab, |options| Options { idle, ..options });
    node.apply(&Shop::new(&lab, Protocol::Tcp).route("1.0.3", 100, &lab.pods[..1]));
    let destinations = [(far.v4, FAR_PORT).into(), (far.v6, FAR_PORT).into()];
    let held: Vec<_> =
        destinations.iter().map(|to| Held::open(&lab.pods[1].netns, *to, 1, 0).unwrap()).collect();
    for (to, held) in frontends(&lab).into_iter().zip(&held) {
        for _ in 0..10 {
            held.speak().unwrap();
            let tally = connect_many(&lab.client().netns, to, 20, 4);
            assert_eq!((tally.version("1.0.3"), tally.failures), (20, Vec::new()), "{to}");
        }
        assert_eq!(held.broken(), Vec::<String>::new());
    }
    assert!(answers(&mut node) >= 20, "they did share it");
    let is_origin = |node: &mut Node| {
        let dump = node.with(|dataplane| dataplane.dump().unwrap());
        dump.frontends.iter().filter(|frontend| frontend.is_origin).count()
    };
    node.tick();
    assert_eq!(is_origin(&mut node), 2, "while there are connections");
    node.die();
    node.start();
    node.apply(&Shop::new(&lab, Protocol::Tcp).route("1.0.3", 100, &lab.pods[..1]));
    for held in &held {
        held.speak().unwrap();
    }
    assert_eq!(is_origin(&mut node), 2, "the next agent keeps it");
    drop(held);
    node.tick_until(Duration::from_secs(20), "packets are asked no more", |node, _| is_origin(node) == 0);
}

#[test]
fn a_pods_datagrams_and_a_gateways_share_a_port() {
    let lab = LabPlan::new("outgoingu").pods(2).build().unwrap();
    masquerade(&lab);
    let far = far_end(&lab);
    let _server = lab.pods[0].serve_udp(POD_PORT, "1.0.3").unwrap();
    let _far_server = far.serve_udp(FAR_PORT, "far").unwrap();
    let mut node = Node::open(&lab);
    node.apply(&Shop::new(&lab, Protocol::Udp).route("1.0.3", 100, &lab.pods[..1]));
    let destinations = [(far.v4, FAR_PORT).into(), (far.v6, FAR_PORT).into()];
    for (to, out) in frontends(&lab).into_iter().zip(destinations) {
        let outgoing = udp_socket(&lab.pods[1].netns, out).unwrap();
        for word in ["one", "two", "three"] {
            assert_eq!(ask_udp(&outgoing, word).unwrap().version, "far", "{out}");
            let incoming = udp_socket(&lab.client().netns, to).unwrap();
            assert_eq!(ask_udp(&incoming, word).unwrap().version, "1.0.3", "{to}");
        }
    }
    assert_eq!(answers(&mut node), 6, "they did share it");
}
