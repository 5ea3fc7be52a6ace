//! Counters: by name for people with bpftool, and equal to what was on the wire.

use std::time::Duration;

use gateway_model::key::Protocol;
use gateway_tests::{
    Capture, Lab, LabPlan,
    capture::Seen,
    client::{
        ask_udp,
        bulk::{Direction, bulk},
        connect_many,
        datagram::udp_socket,
    },
    wait_until,
};
use serde_json::Value;

use crate::{
    node::Node,
    plan::{POD_PORT, PORT, Shop},
    shares::frontends,
};

#[test]
fn route_stats_read_with_names_and_equal_what_was_on_the_wire() {
    let lab = LabPlan::new("stats").pods(2).build().unwrap();
    let _tcp: Vec<_> = lab
        .pods
        .iter()
        .zip(["1.0.3", "2.0.1"])
        .map(|(pod, version)| pod.serve_tcp(POD_PORT, version).unwrap())
        .collect();
    let mut node = Node::open(&lab);
    node.apply(&Shop::new(&lab, Protocol::Tcp).route("1.0.3", 60, &lab.pods[..1]).route(
        "2.0.1",
        40,
        &lab.pods[1..],
    ));
    let wires = lab.pods.iter().map(|pod| Capture::start(&pod.netns, "eth0").unwrap()).collect::<Vec<_>>();
    for to in frontends(&lab) {
        assert_eq!(connect_many(&lab.client().netns, to, 200, 8).failures, Vec::<String>::new());
        bulk(&lab.client().netns, to, 20_000_000, Direction::Up).unwrap();
        bulk(&lab.client().netns, to, 20_000_000, Direction::Down).unwrap();
    }
    for (wire, route) in wires.iter().zip(["(1.0.3)", "(2.0.1)"]) {
        let to_pod = || wire.sum(|flow| flow.to.port() == POD_PORT);
        let from_pod = || wire.sum(|flow| flow.from.port() == POD_PORT);
        // Last acknowledgements are still on their way when the client has its data.
        wait_until(Duration::from_secs(10), &format!("{route}: counters equal the capture"), || {
            let (up, down) = bpftool_route(&lab, route);
            (up, down) == (to_pod(), from_pod())
        });
        assert!(to_pod().packets > 400 && from_pod().packets > 400);
    }
}

#[test]
fn datagrams_are_counted_per_route_and_endpoint() {
    let lab = LabPlan::new("ustats").pods(1).build().unwrap();
    let _server = lab.pods[0].serve_udp(POD_PORT, "1.0.3").unwrap();
    let mut node = Node::open(&lab);
    node.apply(&Shop::new(&lab, Protocol::Udp).route("1.0.3", 100, &lab.pods));
    let wire = Capture::start(&lab.client().netns, "eth0").unwrap();
    for to in frontends(&lab) {
        let socket = udp_socket(&lab.client().netns, to).unwrap();
        for word in ["one", "two", "three"] {
            ask_udp(&socket, word).unwrap();
        }
    }
    let up = || wire.sum(|flow| flow.to.port() == PORT);
    let down = || wire.sum(|flow| flow.from.port() == PORT);
    // An answer may reach its socket before the capture has read it.
    wait_until(Duration::from_secs(10), "the capture has seen all datagrams", || {
        (up().packets, down().packets) == (6, 6)
    });
    let (up, down) = (up(), down());
    let stats = node.stats();
    let route = &stats.routes[0].traffic;
    assert_eq!((route.packets, route.bytes, route.new_flows), (up.packets, up.bytes, 2));
    assert_eq!((route.reply_packets, route.reply_bytes), (down.packets, down.bytes));
    let endpoints: u64 = stats.endpoints.iter().map(|endpoint| endpoint.traffic.packets).sum();
    assert_eq!((stats.endpoints.len(), endpoints), (2, up.packets));
}

/// What `bpftool map dump` says about a route: towards the pod, and back. Fields are found by their names.
fn bpftool_route(lab: &Lab, route: &str) -> (Seen, Seen) {
    let names = dump(lab, "ROUTE_NAMES");
    let index = names
        .iter()
        .find(|entry| text(&entry["formatted"]["value"]["route"]) == route)
        .and_then(|entry| entry["formatted"]["key"].as_u64())
        .unwrap_or_else(|| panic!("{route} is not in ROUTE_NAMES: {names:?}"));
    let stats = dump(lab, "ROUTE_STATS");
    let entry = stats.iter().find(|entry| entry["formatted"]["key"].as_u64() == Some(index)).unwrap();
    let per_cpu = entry["formatted"]["values"].as_array().unwrap();
    let sum = |field: &str| -> u64 { per_cpu.iter().map(|cpu| cpu["value"][field].as_u64().unwrap()).sum() };
    (
        Seen { packets: sum("packets"), bytes: sum("bytes") },
        Seen { packets: sum("reply_packets"), bytes: sum("reply_bytes") },
    )
}

fn dump(lab: &Lab, map: &str) -> Vec<Value> {
    let pin = lab.name().pin_dir().join("v1").join(map);
    let json = lab.node.exec(&format!("bpftool --json map dump pinned {}", pin.display())).unwrap();
    serde_json::from_str(&json).unwrap()
}

fn text(bytes: &Value) -> String {
    let bytes: Vec<u8> = bytes
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_u64)
        .map(|byte| byte as u8)
        .take_while(|byte| *byte != 0)
        .collect();
    String::from_utf8(bytes).unwrap()
}
