//! Sockets of the node's own processes, in pods or not: served where they connect.

use std::net::{IpAddr, SocketAddr};

use aya::maps::{HashMap, Map, MapData};
use gateway_common::{
    abi::frontend::{Frontend, FrontendKey4, flags::BY_CLIENT},
    verdict::Verdict,
};
use gateway_model::key::Protocol;
use gateway_tests::{Lab, LabPlan, Netns, Process, Said, pod::Server};

use weir::dataplane::{Dataplane, Options};

use crate::{
    node::Node,
    plan::{POD_PORT, PORT, Shop},
};

/// Pod 0 asks, the others serve: two of 1.0.3, one of 2.0.1.
struct East {
    client: Process,
    node: Node,
    shop: Shop,
    servers: Vec<Server>,
    lab: Lab,
}

impl East {
    fn open(tag: &str, protocol: Protocol) -> Self {
        Self::open_in(LabPlan::new(tag).pods(4).build().unwrap(), protocol, &[])
    }

    /// With programs on more devices than the uplink.
    fn open_in(lab: Lab, protocol: Protocol, devices: &[&str]) -> Self {
        let serve = |(pod, version)| match protocol {
            Protocol::Tcp => gateway_tests::lab::Pod::serve_tcp(pod, POD_PORT, version).unwrap(),
            Protocol::Udp => gateway_tests::lab::Pod::serve_udp(pod, POD_PORT, version).unwrap(),
        };
        let servers = lab.pods[1..].iter().zip(["1.0.3", "1.0.3", "2.0.1"]).map(serve).collect();
        let root = lab.cgroup().unwrap();
        let mut node = Node::open_with(&lab, |options| Options {
            services_cgroup: Some(root),
            interfaces: [
                &options.interfaces[..],
                &devices.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ]
            .concat(),
            ..options
        });
        let shop = virtual_addresses().iter().fold(Shop::new(&lab, protocol), |shop, to| shop.also_on(*to));
        let shop = shop.route("1.0.3", 90, &lab.pods[1..3]).route("2.0.1", 10, &lab.pods[3..]);
        node.apply(&shop);
        let client = process(&lab, &lab.pods[0].netns, "pod0");
        Self { client, node, shop, servers, lab }
    }

    /// Node addresses, addresses that nobody has, and IPv4 as IPv6 sockets name it.
    fn frontends(&self) -> Vec<SocketAddr> {
        let mut all = vec![self.lab.node4(PORT), self.lab.node6(PORT)];
        all.extend(virtual_addresses());
        let mapped = all.iter().filter_map(|to| match to.ip() {
            IpAddr::V4(address) => Some(SocketAddr::new(address.to_ipv6_mapped().into(), to.port())),
            IpAddr::V6(_) => None,
        });
        let mapped: Vec<_> = mapped.collect();
        all.extend(mapped);
        all
    }
}

fn virtual_addresses() -> [SocketAddr; 2] {
    [format!("10.99.0.1:{PORT}").parse().unwrap(), format!("[fd00:99::1]:{PORT}").parse().unwrap()]
}

/// A process whose control group is called `cgroup`.
pub fn process(lab: &Lab, inside: &Netns, cgroup: &str) -> Process {
    Process::start(env!("CARGO_BIN_EXE_weir-sockets"), lab, inside, cgroup).unwrap()
}

/// All were answered, 90 to 10 give or take one in a hundred, and the frontend was shown.
#[track_caller]
fn assert_served(said: &Said, to: SocketAddr, count: u64) {
    assert_eq!(said.errors.len(), 0, "{to}: {said:?}");
    assert_eq!(said.answered(), count, "{to}");
    let exact = count / 10;
    assert!(said.version("2.0.1").abs_diff(exact) <= count / 100, "{to}: {said:?}");
    assert_eq!(said.peers.keys().collect::<Vec<_>>(), [&to.to_string()], "the frontend is what is shown");
}

#[test]
fn connections_of_a_pod_split_exactly_and_show_the_frontend() {
    let mut east = East::open("eastsplit", Protocol::Tcp);
    let mut made = 0;
    for to in east.frontends() {
        for count in [100, 1_000] {
            assert_served(&east.client.tcp(to, count).unwrap(), to, count as u64);
            made += count as u64;
        }
    }
    let stats = east.node.stats();
    let counted: u64 = stats.routes.iter().map(|route| route.traffic.new_flows).sum();
    assert_eq!(counted, made, "every connection is counted once");
    let calls = |wanted| stats.verdicts.iter().find(|(verdict, _)| *verdict == wanted).unwrap().1;
    assert_eq!((calls(Verdict::Connected), calls(Verdict::ConnectRefused)), (made, 0));
    assert_eq!(east.servers.iter().map(Server::served).sum::<u64>(), made);
}

#[test]
fn one_percent_of_a_hundred_connections_is_one() {
    let mut east = East::open("eastone", Protocol::Tcp);
    let shop = east.shop.weights(&[99, 1]);
    east.node.apply(&shop);
    for to in [east.lab.node4(PORT), east.lab.node6(PORT)] {
        // 41 slots of 4,096: a little more than 1 %.
        let few: Vec<_> = (0..5).map(|_| east.client.tcp(to, 100).unwrap().version("2.0.1")).collect();
        assert!(few.iter().all(|few| (1..=2).contains(few)) && few.iter().sum::<u64>() <= 6, "{few:?}");
    }
}

#[test]
fn connected_and_other_udp_sockets_split_exactly_and_show_the_frontend() {
    let east = East::open("eastudp", Protocol::Udp);
    for to in east.frontends() {
        assert_served(&east.client.udp(to, 1_000).unwrap(), to, 1_000);
        assert_served(&east.client.datagrams(to, 1_000).unwrap(), to, 1_000);
    }
}

#[test]
fn a_udp_socket_keeps_its_endpoint_while_that_lives() {
    let mut east = East::open("eaststay", Protocol::Udp);
    for to in [east.lab.node4(PORT), east.lab.node6(PORT)] {
        let first = east.client.one_socket(to, 50).unwrap();
        assert_eq!((first.pods.len(), first.answered()), (1, 50), "{first:?}");
        let pod = first.pods.keys().next().unwrap().clone();
        let other = if first.version("2.0.1") > 0 { [100, 0] } else { [0, 100] };
        let shop = east.shop.weights(&other);
        east.node.apply(&shop);
        let same = east.client.one_socket(to, 50).unwrap();
        assert_eq!(same.pods.keys().collect::<Vec<_>>(), [&pod], "weights move new flows only");
        let gone = east.lab.pods.iter().find(|candidate| candidate.name == pod).unwrap().clone();
        east.node.apply(&shop.without(&gone));
        let moved = east.client.one_socket(to, 50).unwrap();
        assert!(!moved.pods.contains_key(&pod) && moved.answered() == 50, "{moved:?}");
        let shop = east.shop.clone();
        east.node.apply(&shop);
    }
}

#[test]
fn a_changed_weight_holds_from_the_next_connection_on_and_moves_no_other() {
    let mut east = East::open("eastfollow", Protocol::Tcp);
    let tos = [east.lab.node4(PORT), east.lab.node6(PORT)];
    for to in tos {
        east.client.hold(to, 20).unwrap();
    }
    for round in 0..10 {
        let (weights, version) = if round % 2 == 0 { ([0, 100], "2.0.1") } else { ([100, 0], "1.0.3") };
        let shop = east.shop.weights(&weights);
        east.node.apply(&shop);
        for to in tos {
            let said = east.client.tcp(to, 20).unwrap();
            assert_eq!(said.version(version), 20, "{said:?}");
        }
    }
    let held = east.client.ping().unwrap();
    assert_eq!((held.answered(), held.errors.len()), (40, 0), "{held:?}");
}

#[test]
fn what_nobody_serves_is_refused_at_once_and_what_is_no_frontend_is_left_alone() {
    let mut east = East::open("eastrefuse", Protocol::Tcp);
    let shop =
        east.shop.not_ready(&east.lab.pods[1]).not_ready(&east.lab.pods[2]).not_ready(&east.lab.pods[3]);
    east.node.apply(&shop);
    for to in east.frontends() {
        let said = east.client.tcp(to, 10).unwrap();
        assert_eq!(said.errors.get("connection refused"), Some(&10), "{to}: {said:?}");
    }
    // The pods themselves, by their own addresses.
    for to in [SocketAddr::from((east.lab.pods[1].v4, POD_PORT)), (east.lab.pods[1].v6, POD_PORT).into()] {
        let said = east.client.tcp(to, 10).unwrap();
        assert_eq!((said.version("1.0.3"), said.peers.get(&to.to_string())), (10, Some(&10)), "{said:?}");
    }
}

#[test]
fn datagrams_that_nobody_serves_are_refused_at_once() {
    let mut east = East::open("eastdumb", Protocol::Udp);
    let shop =
        east.shop.not_ready(&east.lab.pods[1]).not_ready(&east.lab.pods[2]).not_ready(&east.lab.pods[3]);
    east.node.apply(&shop);
    for to in east.frontends() {
        for said in [east.client.udp(to, 10).unwrap(), east.client.datagrams(to, 10).unwrap()] {
            assert_eq!(said.errors.get("connection refused"), Some(&10), "{to}: {said:?}");
        }
    }
}

#[test]
fn connections_of_the_node_itself_to_an_endpoint_that_is_gone_end_within_two_ticks() {
    let mut east = East::open("eastcut", Protocol::Tcp);
    let host = process(&east.lab, &east.lab.node, "host");
    let gone = east.lab.pods[1].clone();
    let mut there = 0;
    for to in east.frontends() {
        let held = host.hold(to, 20).unwrap();
        assert_served(&held, to, 20);
        there += held.pods.get(&gone.name).copied().unwrap_or(0);
    }
    // Somebody who knows the pod itself has nothing to do with gateways.
    host.hold((gone.v4, POD_PORT).into(), 1).unwrap();
    let shop = east.shop.without(&gone);
    east.node.apply(&shop);
    east.node.tick();
    east.node.tick();
    let held = host.ping().unwrap();
    assert_eq!(held.errors.values().sum::<u64>(), there, "{held:?}");
    assert_eq!(held.pods.get(&gone.name), Some(&1), "{held:?}");
    assert_eq!(held.answered(), 121 - there);
}

#[test]
fn a_pod_is_told_at_its_next_packet_that_an_endpoint_is_gone() {
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        let lab = LabPlan::new("easttold").pods(4).build().unwrap();
        // The programs of pods' devices are those of uplinks without native XDP, which veth has only where the other
        // end does not have more queues.
        lab.pods[0].netns.exec("ethtool -L eth0 tx 2").unwrap();
        let mut east = East::open_in(lab, protocol, &["pod0"]);
        let gone = east.lab.pods[1].clone();
        let mut there = 0;
        for to in east.frontends() {
            let hold = if protocol == Protocol::Tcp { Process::hold } else { Process::hold_udp };
            there += hold(&east.client, to, 20).unwrap().pods[&gone.name];
        }
        let shop = east.shop.without(&gone);
        east.node.apply(&shop);
        let held = east.client.ping().unwrap();
        let reason = if protocol == Protocol::Tcp { "connection reset" } else { "connection refused" };
        assert_eq!(held.errors.into_iter().collect::<Vec<_>>(), [(reason.to_owned(), there)]);
        assert_eq!(held.versions.values().sum::<u64>(), 120 - there);
        // Who uses the address without a frontend goes on.
        let direct = SocketAddr::from((gone.v4, POD_PORT));
        let said = match protocol {
            Protocol::Tcp => east.client.tcp(direct, 5),
            Protocol::Udp => east.client.udp(direct, 5),
        };
        assert_eq!(said.unwrap().answered(), 5);
    }
}

#[test]
fn all_connections_of_a_client_go_together_where_the_frontend_says_so() {
    let east = East::open("eastclient", Protocol::Tcp);
    let map = Map::HashMap(MapData::from_pin(east.lab.name().pin_dir().join("v1/FRONTENDS4")).unwrap());
    let mut frontends: HashMap<MapData, FrontendKey4, Frontend> = map.try_into().unwrap();
    for entry in frontends.iter().collect::<Result<Vec<_>, _>>().unwrap() {
        let (key, value) = entry;
        frontends.insert(key, Frontend { flags: value.flags | BY_CLIENT, ..value }, 0).unwrap();
    }
    let to = virtual_addresses()[0];
    let other = process(&east.lab, &east.lab.pods[0].netns, "container");
    let (one, same) = (east.client.tcp(to, 50).unwrap(), other.tcp(to, 50).unwrap());
    assert_eq!((one.pods.len(), &one.pods), (1, &same.pods), "two containers of a pod are one client");
}

#[test]
fn a_folder_that_is_no_control_group_is_an_error_that_names_it() {
    let lab = LabPlan::new("eastwrong").pods(0).build().unwrap();
    let options =
        Options { services_cgroup: Some(lab.dir()), ..Options::new(vec![lab.client().uplink.clone()]) };
    let error = lab.node.run(|| Dataplane::open(&lab.name().pin_dir(), options)).unwrap_err().to_string();
    assert!(error.contains(&lab.dir().display().to_string()) && error.contains("cgroup2"), "{error}");
}
