//! Ways to and from pods: behind a bridge, through several uplinks; plans that the kernel cannot hold.

use std::{net::SocketAddr, time::Duration};

use gateway_common::limits;
use gateway_model::key::Protocol;
use gateway_tests::{
    LabPlan,
    client::{ask_udp, connect_many, datagram::udp_socket},
};
use weir::dataplane::Error;

use crate::{
    node::Node,
    plan::{POD_PORT, PORT, Shop, key},
    shares::frontends,
};

#[test]
fn pods_behind_a_bridge_are_local() {
    let lab = LabPlan::new("bridge").pods(2).bridge().build().unwrap();
    let _servers: Vec<_> = lab.pods.iter().map(|pod| pod.serve_tcp(POD_PORT, "1.0.3").unwrap()).collect();
    let mut node = Node::open(&lab);
    let applied = node.apply(&Shop::new(&lab, Protocol::Tcp).route("1.0.3", 100, &lab.pods));
    assert_eq!(applied.unreachable, []);
    for to in frontends(&lab) {
        let tally = connect_many(&lab.client().netns, to, 100, 8);
        assert_eq!((tally.answered(), tally.failures), (100, Vec::new()));
        assert_eq!(tally.pods.len(), 2);
    }
}

#[test]
fn every_uplink_takes_requests_and_turns_replies() {
    let lab = LabPlan::new("uplinks").clients(2).pods(1).build().unwrap();
    let _server = lab.pods[0].serve_tcp(POD_PORT, "1.0.3").unwrap();
    let mut node = Node::open(&lab);
    let second: [SocketAddr; 2] =
        [format!("192.168.1.1:{PORT}").parse().unwrap(), format!("[fd00:192:1::1]:{PORT}").parse().unwrap()];
    let shop = Shop::new(&lab, Protocol::Tcp).route("1.0.3", 100, &lab.pods);
    node.apply(&second.iter().fold(shop, |shop, address| shop.also_on(*address)));
    for (client, addresses) in [(&lab.clients[0], frontends(&lab)), (&lab.clients[1], second)] {
        for to in addresses {
            let tally = connect_many(&client.netns, to, 50, 8);
            assert_eq!((tally.answered(), tally.failures), (50, Vec::new()), "{to}");
        }
    }
    // In through one uplink for the address of the other.
    for to in second {
        let tally = connect_many(&lab.clients[0].netns, to, 50, 8);
        assert_eq!((tally.answered(), tally.failures), (50, Vec::new()), "{to} from the first client");
    }
}

#[test]
fn a_client_may_ask_a_pod_itself_from_the_udp_port_that_it_asked_a_gateway_from() {
    let lab = LabPlan::new("udpdirect").pods(1).build().unwrap();
    let (client, pod) = (&lab.client().netns, &lab.pods[0]);
    let _server = pod.serve_udp(POD_PORT, "1.0.3").unwrap();
    let mut node = Node::open(&lab);
    node.apply(&Shop::new(&lab, Protocol::Udp).route("1.0.3", 100, &lab.pods));
    let itself = [SocketAddr::from((pod.v4, POD_PORT)), SocketAddr::from((pod.v6, POD_PORT))];
    for (gateway, itself) in frontends(&lab).into_iter().zip(itself) {
        let socket = udp_socket(client, gateway).unwrap();
        for _ in 0..2 {
            socket.connect(gateway).unwrap();
            assert_eq!(ask_udp(&socket, "gateway").unwrap().version, "1.0.3", "{gateway}");
            socket.connect(itself).unwrap();
            node.tick_until(Duration::from_secs(15), "the pod's answer shows the pod", |_, _| {
                ask_udp(&socket, "pod").is_ok()
            });
        }
    }
}

#[test]
fn a_gateway_that_does_not_fit_stays_as_it_was() {
    let lab = LabPlan::new("full").pods(1).build().unwrap();
    let _server = lab.pods[0].serve_tcp(POD_PORT, "1.0.3").unwrap();
    let mut node = Node::open(&lab);
    let shop = Shop::new(&lab, Protocol::Tcp).route("1.0.3", 100, &lab.pods);
    node.apply(&shop);
    let routes = |shop: Shop, count| {
        (0..count).fold(shop, |shop, number| shop.route_to(&format!("{number}"), 0, Vec::new()))
    };
    let plan = routes(shop.clone(), limits::ROUTES).plan();
    let applied = node.with(|dataplane| dataplane.apply(&plan).unwrap());
    assert!(matches!(&applied.rejected[..], [(gateway, Error::Full { .. })] if *gateway == key()));
    assert_eq!((applied.backends, applied.slots, applied.frontends), (0, 0, 0), "what was in force still is");
    let tally = connect_many(&lab.client().netns, frontends(&lab)[0], 20, 4);
    assert_eq!((tally.answered(), tally.failures), (20, Vec::new()));
    // What the rejected plan was given is free again.
    let applied = node.apply(&routes(shop, limits::ROUTES - 100));
    assert!(applied.rejected.is_empty());
}
