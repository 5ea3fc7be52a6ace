//! Mode `nat`: pods of another node, which knows no way to the clients.

use std::time::Duration;

use aya::{
    Pod,
    maps::{HashMap, Map, MapData},
};
use gateway_common::{
    abi::flow::{Nat4, Nat6, NatKey4, NatKey6, Reply4, ReplyKey4},
    verdict::Verdict,
};
use gateway_model::key::Protocol;
use gateway_tests::{
    LabPlan,
    client::{
        ask_udp,
        bulk::{Direction, bulk},
        connect_many,
        datagram::udp_socket,
    },
};
use weir::dataplane::{IdleTimes, Reach};

use crate::{
    bulk::DROP_INVALID,
    node::Node,
    plan::{POD_PORT, Shop},
    shares::{assert_within_chance, frontends},
};

const CONNECTIONS: usize = 10_000;

#[test]
fn ten_thousand_connections_are_shared_between_a_pod_here_and_one_elsewhere() {
    let lab = LabPlan::new("natshare").pods(1).far_pods(1).build().unwrap();
    lab.node.nft(DROP_INVALID).unwrap();
    let _here = lab.pods[0].serve_tcp(POD_PORT, "1.0.3").unwrap();
    let _there = lab.far_pods()[0].serve_tcp(POD_PORT, "2.0.1").unwrap();
    let mut node = Node::open(&lab);
    let shop =
        Shop::new(&lab, Protocol::Tcp).route("1.0.3", 50, &lab.pods).route("2.0.1", 50, lab.far_pods());
    let applied = node.apply(&shop);
    assert_eq!(applied.unreachable, []);
    for frontend in frontends(&lab) {
        let tally = connect_many(&lab.client().netns, frontend, CONNECTIONS, 32);
        assert_eq!(tally.failures, Vec::<String>::new(), "{frontend}");
        assert_within_chance(tally.version("1.0.3"), CONNECTIONS as u64, 0.5);
        assert_within_chance(tally.version("2.0.1"), CONNECTIONS as u64, 0.5);
    }
    let stats = node.stats();
    for route in &stats.routes {
        let traffic = &route.traffic;
        assert_within_chance(traffic.new_flows, 2 * CONNECTIONS as u64, 0.5);
        assert!(traffic.reply_packets > 2 * traffic.new_flows, "{traffic:?}");
    }
    assert_nothing_invalid(&lab);
}

#[test]
fn a_hundred_megabytes_each_way_pass_through_another_node() {
    let lab = LabPlan::new("natbulk").far_pods(1).build().unwrap();
    lab.node.nft(DROP_INVALID).unwrap();
    let _server = lab.far_pods()[0].serve_tcp(POD_PORT, "1.0.3").unwrap();
    let mut node = Node::open(&lab);
    node.apply(&Shop::new(&lab, Protocol::Tcp).route("1.0.3", 100, lab.far_pods()));
    for to in frontends(&lab) {
        for direction in [Direction::Up, Direction::Down] {
            bulk(&lab.client().netns, to, 100_000_000, direction).unwrap();
        }
    }
    assert_nothing_invalid(&lab);
}

#[test]
fn datagrams_are_answered_by_a_pod_elsewhere() {
    let lab = LabPlan::new("natudp").far_pods(1).build().unwrap();
    let _server = lab.far_pods()[0].serve_udp(POD_PORT, "1.0.3").unwrap();
    let mut node = Node::open(&lab);
    node.apply(&Shop::new(&lab, Protocol::Udp).route("1.0.3", 100, lab.far_pods()));
    for to in frontends(&lab) {
        for _ in 0..20 {
            let socket = udp_socket(&lab.client().netns, to).unwrap();
            for word in ["one", "two"] {
                assert_eq!(ask_udp(&socket, word).unwrap().version, "1.0.3");
            }
        }
    }
    let route = &node.stats().routes[0].traffic;
    assert_eq!((route.packets, route.reply_packets, route.new_flows), (80, 80, 40));
}

#[test]
fn ports_are_given_back_when_connections_are_over() {
    let lab = LabPlan::new("natend").far_pods(1).build().unwrap();
    let _server = lab.far_pods()[0].serve_tcp(POD_PORT, "1.0.3").unwrap();
    let idle = IdleTimes { closing: 0, handshake: 0, ..IdleTimes::default() };
    let mut node = Node::open_with(&lab, |options| weir::dataplane::Options { idle, ..options });
    node.apply(&Shop::new(&lab, Protocol::Tcp).route("1.0.3", 100, lab.far_pods()));
    for to in frontends(&lab) {
        let tally = connect_many(&lab.client().netns, to, 50, 8);
        assert_eq!((tally.answered(), tally.failures), (50, Vec::new()));
    }
    node.tick_until(Duration::from_secs(20), "no port is left in use", |node, _| {
        let flows = node.with(|dataplane| dataplane.dump().unwrap().flows);
        flows.iter().filter(|(name, _)| name.contains("NAT")).all(|(_, count)| *count == 0)
    });
}

#[test]
fn a_port_whose_flow_is_not_there_yet_outlives_a_scan() {
    let lab = LabPlan::new("natclaim").build().unwrap();
    let mut node = Node::open(&lab);
    let mut scan = || {
        node.with(|dataplane| {
            let mut ticked = dataplane.beat().unwrap();
            while dataplane.is_at_work() {
                dataplane.work(&mut ticked).unwrap();
            }
            ticked.expired
        })
    };
    let (port, owner) = (NatKey4 { node_port: [0xee, 0x48], ..NatKey4::default() }, Nat4::default());
    // As if the packet path had just claimed it, and were about to note its flow.
    let mut ports = pinned::<NatKey4, Nat4>(&lab, "UDP_NAT4");
    let mut flows = pinned::<ReplyKey4, Reply4>(&lab, "UDP_REPLIES4");
    let mut embryos = pinned::<NatKey6, Nat6>(&lab, "NAT_EMBRYO6");
    embryos.insert(NatKey6::default(), Nat6::default(), 0).unwrap();
    ports.insert(port, owner, 0).unwrap();
    assert_eq!(scan(), 0);
    flows
        .insert(
            ReplyKey4::default(),
            Reply4 { node_port: port.node_port, seen: u32::MAX, ..Reply4::default() },
            0,
        )
        .unwrap();
    assert_eq!(scan(), 1, "the one that has no flow still");
    assert!(embryos.get(&NatKey6::default(), 0).is_err());
    flows.remove(&ReplyKey4::default()).unwrap();
    assert_eq!(scan(), 0, "the first look that finds it unused since");
    // Another flow has taken it meanwhile.
    ports.insert(port, Nat4 { client_port: [0x9c, 0x40], ..owner }, 0).unwrap();
    assert_eq!(scan(), 0);
    assert_eq!(scan(), 1);
    assert!(ports.get(&port, 0).is_err());
}

/// A map of the lab's node whose oldest entries give way.
fn pinned<K: Pod, V: Pod>(lab: &gateway_tests::Lab, name: &str) -> HashMap<MapData, K, V> {
    let map = MapData::from_pin(lab.name().pin_dir().join("v1").join(name)).unwrap();
    Map::LruHashMap(map).try_into().unwrap()
}

#[test]
fn a_pod_elsewhere_is_told_from_one_here() {
    let lab = LabPlan::new("natreach").pods(1).far_pods(1).build().unwrap();
    let mut node = Node::open(&lab);
    let mut reach = |address| node.with(move |dataplane| dataplane.endpoint_reach(address).unwrap());
    let [near, far] = [&lab.pods[0], &lab.far_pods()[0]];
    assert_eq!((reach(near.v4.into()), reach(near.v6.into())), (Reach::Local, Reach::Local));
    assert_eq!(reach(far.v4.into()), Reach::Remote { source: "172.30.0.1".parse().unwrap() });
    assert_eq!(reach(far.v6.into()), Reach::Remote { source: "fd00:172::1".parse().unwrap() });
    assert_eq!(reach("203.0.113.1".parse().unwrap()), Reach::None);
}

#[test]
fn a_pod_behind_the_clients_own_uplink_is_served_through_it() {
    let lab = LabPlan::new("natsame").build().unwrap();
    lab.node.nft(DROP_INVALID).unwrap();
    // The client's host has a pod of its own, as another node in the client's network has.
    lab.client().netns.ip("addr add 10.200.0.9/32 dev lo\naddr add fd00:200::9/128 dev lo nodad\n").unwrap();
    let host = gateway_tests::lab::Pod {
        netns: lab.client().netns.clone(),
        name: "host".to_owned(),
        v4: "10.200.0.9".parse().unwrap(),
        v6: "fd00:200::9".parse().unwrap(),
    };
    let _server = host.serve_tcp(POD_PORT, "1.0.3").unwrap();
    let mut node = Node::open(&lab);
    node.apply(&Shop::new(&lab, Protocol::Tcp).route("1.0.3", 100, std::slice::from_ref(&host)));
    for to in frontends(&lab) {
        let tally = connect_many(&lab.client().netns, to, 100, 8);
        assert_eq!((tally.answered(), tally.failures), (100, Vec::new()), "{to}");
    }
    let verdicts = node.stats().verdicts;
    let masqueraded = verdicts.iter().find(|(verdict, _)| *verdict == Verdict::Masqueraded).unwrap().1;
    assert!(masqueraded > 400, "{masqueraded}");
    assert_nothing_invalid(&lab);
}

/// Nothing that conntrack could not follow.
#[track_caller]
pub fn assert_nothing_invalid(lab: &gateway_tests::Lab) {
    let rules = lab.node.exec("nft list table inet strict").unwrap();
    assert!(rules.contains("counter packets 0 "), "conntrack found packets invalid: {rules}");
}
