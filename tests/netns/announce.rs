//! Addresses that every node serves: the one that announces an address answers for it on the link.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use gateway_common::verdict::Verdict;
use gateway_model::key::Protocol;
use gateway_tests::{Lab, LabPlan, client::connect_many, wait_until};

use crate::{
    node::Node,
    plan::{POD_PORT, PORT, Shop},
};

const VIPS: [&str; 2] = ["10.200.0.1", "fd00:200::1"];

fn vips() -> impl Iterator<Item = IpAddr> {
    VIPS.iter().map(|vip| vip.parse().unwrap())
}

fn say(node: &mut Node, is_here: bool) {
    let addresses: BTreeMap<_, _> = vips().map(|vip| (vip, is_here)).collect();
    node.with(|dataplane| dataplane.set_announced(&addresses).unwrap());
}

fn count(node: &mut Node, verdict: Verdict) -> u64 {
    node.stats().verdicts.iter().find(|(of, _)| *of == verdict).unwrap().1
}

/// The client asks the link for these addresses, and forgets what it heard.
fn forget(lab: &Lab) {
    lab.client().netns.ip("neigh flush dev eth0\n").unwrap();
}

/// What the client knows of an address on its link.
fn neighbour(lab: &Lab, address: IpAddr) -> String {
    lab.client().netns.exec(&format!("ip neigh show to {address} dev eth0")).unwrap()
}

#[test]
fn clients_on_the_link_find_the_node_that_announces_an_address() {
    let lab = LabPlan::new("announce").pods(1).build().unwrap();
    lab.client().netns.ip("route add 10.200.0.0/24 dev eth0\nroute add fd00:200::/112 dev eth0\n").unwrap();
    let _server = lab.pods[0].serve_tcp(POD_PORT, "1.0.3").unwrap();
    let mut node = Node::open(&lab);
    let mut shop = Shop::new(&lab, Protocol::Tcp).route("1.0.3", 100, &lab.pods);
    for vip in vips() {
        shop = shop.also_on(SocketAddr::new(vip, PORT));
    }
    node.apply(&shop);
    node.with(|dataplane| dataplane.ensure_local_routes(&vips().collect()).unwrap());
    let tally = |vip| connect_many(&lab.client().netns, SocketAddr::new(vip, PORT), 20, 4);

    say(&mut node, true);
    for vip in vips() {
        let tally = tally(vip);
        assert_eq!((tally.answered(), tally.failures), (20, Vec::new()), "{vip}");
    }
    assert!(count(&mut node, Verdict::Announced) >= 2);

    say(&mut node, false);
    forget(&lab);
    for vip in vips() {
        let tally = connect_many(&lab.client().netns, SocketAddr::new(vip, PORT), 1, 1);
        assert_eq!(tally.answered(), 0, "{vip}");
    }
    assert!(count(&mut node, Verdict::AnnouncedElsewhere) >= 2);

    // The next agent goes on as this one did, until it is told otherwise.
    say(&mut node, true);
    node.die();
    node.start();
    forget(&lab);
    for vip in vips() {
        assert_eq!(tally(vip).failures, Vec::<String>::new(), "{vip}");
    }
    node.with(|dataplane| dataplane.set_announced(&BTreeMap::new()).unwrap());
    node.with(|dataplane| dataplane.ensure_local_routes(&std::collections::BTreeSet::new()).unwrap());
    forget(&lab);
    for vip in vips() {
        let tally = connect_many(&lab.client().netns, SocketAddr::new(vip, PORT), 1, 1);
        assert_eq!(tally.answered(), 0, "{vip} is nobody's");
    }
}

#[test]
fn the_link_is_told_when_an_address_comes_to_another_node() {
    let lab = LabPlan::new("moves").pods(1).build().unwrap();
    let client = &lab.client().netns;
    client.ip("route add 10.200.0.0/24 dev eth0\nroute add fd00:200::/112 dev eth0\n").unwrap();
    for vip in vips() {
        client.ip(&format!("neigh replace {vip} lladdr 02:00:00:00:00:99 dev eth0 nud reachable\n")).unwrap();
    }
    let mut node = Node::open(&lab);
    node.apply(&Shop::new(&lab, Protocol::Tcp).route("1.0.3", 100, &lab.pods));
    let shown = lab.node.exec(&format!("ip -o link show {}", lab.client().uplink)).unwrap();
    let mac = shown.split("link/ether ").nth(1).unwrap().split(' ').next().unwrap();
    say(&mut node, true);
    wait_until(Duration::from_secs(10), "the client knows the new MAC address", || {
        node.tick();
        vips().all(|vip| neighbour(&lab, vip).contains(mac))
    });
}
