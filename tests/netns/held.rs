//! Live connections: nothing an operator does moves or cuts one.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    time::{Duration, Instant},
};

use gateway_model::key::Protocol;
use gateway_tests::{
    Lab, LabPlan,
    client::{
        ConnectLoad, Dialect, Flood, FloodKind, Held, ask_udp, connect_many, datagram::udp_socket, flood,
    },
    pod::Server,
    wait::Beat,
};

use crate::{
    node::Node,
    plan::{POD_PORT, SLOTS, Shop},
    shares::frontends,
};

/// Between two changes.
pub const PAUSE: Duration = Duration::from_millis(50);

/// Two versions with two pods each.
fn lab(tag: &str) -> (Lab, Vec<Server>, Shop) {
    let lab = LabPlan::new(tag).pods(4).build().unwrap();
    let versions = ["1.0.3", "1.0.3", "2.0.1", "2.0.1"];
    let servers = lab
        .pods
        .iter()
        .zip(versions)
        .map(|(pod, version)| pod.serve_tcp(POD_PORT, version).unwrap())
        .collect();
    let shop =
        Shop::new(&lab, Protocol::Tcp).route("1.0.3", 100, &lab.pods[..2]).route("2.0.1", 0, &lab.pods[2..]);
    (lab, servers, shop)
}

#[test]
fn held_connections_stay_through_weights_a_flap_a_new_agent_and_a_flood() {
    let (lab, _servers, shop) = lab("held");
    let mut node = Node::open(&lab);
    node.apply(&shop.weights(&[50, 50]));
    let client = &lab.client().netns;
    // What is there before the first change, and what comes while slots ask.
    let mut held: Vec<Held> =
        frontends(&lab).iter().map(|to| Held::open(client, *to, 100, 50).unwrap()).collect();
    let mut beat = Beat::new(PAUSE);
    for percent in [0, 50, 0, 50, 100] {
        walk(&mut node, &shop, &mut beat, percent);
        held.extend(frontends(&lab).iter().map(|to| Held::open(client, *to, 10, 5).unwrap()));
    }
    assert_unbroken(&held, "after the weights");
    node.apply(&shop.weights(&[50, 50]).not_ready(&lab.pods[0]));
    for to in frontends(&lab) {
        let tally = connect_many(client, to, 100, 8);
        assert_eq!(tally.pods.get("pod0"), None, "not ready: no new connection");
        assert_eq!(tally.failures, Vec::<String>::new());
    }
    node.apply(&shop.weights(&[50, 50]));
    assert_unbroken(&held, "after the readiness flap");
    node.die();
    assert_unbroken(&held, "without an agent");
    node.start();
    node.tick();
    node.apply(&shop.weights(&[0, 100]));
    assert_unbroken(&held, "with the next agent");
    for to in frontends(&lab) {
        for kind in [FloodKind::Syn, FloodKind::Ack] {
            flood(client, Flood { kind, to, count: 50_000 }).unwrap();
        }
    }
    node.tick();
    node.apply(&shop.weights(&[100, 0]));
    assert_unbroken(&held, "after the flood");
    for to in frontends(&lab) {
        let tally = connect_many(client, to, 100, 8);
        assert_eq!((tally.version("1.0.3"), tally.failures), (100, Vec::new()), "new ones follow at once");
    }
}

/// Moves the second version to `percent` in steps, with a change every 50 ms.
fn walk(node: &mut Node, shop: &Shop, beat: &mut Beat, percent: usize) {
    for step in steps_to(percent) {
        beat.wait();
        node.apply(&shop.weights(&[100 - step, step]));
    }
}

/// A wavering way to `percent`.
pub fn steps_to(percent: usize) -> [usize; 3] {
    [percent.abs_diff(30), percent.abs_diff(10), percent]
}

/// Every held connection, the silent ones too, is answered by its pod.
#[track_caller]
pub fn assert_unbroken(held: &[Held], when: &str) {
    for held in held {
        held.speak().unwrap_or_else(|error| panic!("{when}: {error}"));
    }
}

#[test]
fn connections_made_while_an_agent_dies_and_another_adopts_all_succeed() {
    let (lab, _servers, shop) = lab("adopt");
    let mut node = Node::open(&lab);
    let shop = shop.weights(&[50, 50]);
    node.apply(&shop);
    let loads = frontends(&lab).map(|to| ConnectLoad::start(&lab.client().netns, to, Dialect::Lines, 300));
    for _ in 0..5 {
        node.die();
        node.start();
        let applied = node.apply(&shop);
        assert_eq!((applied.backends, applied.slots, applied.frontends), (0, 0, 0), "nothing to repair");
    }
    for load in loads {
        let tally = load.stop().tally(|_| true);
        assert_eq!(tally.failures, Vec::<String>::new());
        assert!(tally.answered() > 100);
    }
}

#[test]
fn a_ring_that_grows_keeps_its_connections_and_its_shares() {
    let (lab, _servers, shop) = lab("grow");
    let mut node = Node::open(&lab);
    node.apply(&shop.weights(&[50, 50]));
    let client = &lab.client().netns;
    let held: Vec<Held> = frontends(&lab).iter().map(|to| Held::open(client, *to, 40, 20).unwrap()).collect();
    let loads = frontends(&lab).map(|to| ConnectLoad::start(client, to, Dialect::Lines, 200));
    node.apply(&shop.weights(&[50, 50]).slots(4 * SLOTS));
    node.apply(&shop.weights(&[0, 100]).slots(4 * SLOTS));
    assert_unbroken(&held, "in the larger ring");
    // A smaller plan repeats itself in the larger ring.
    node.apply(&shop.weights(&[100, 0]));
    assert_unbroken(&held, "with a smaller plan");
    for load in loads {
        assert_eq!(load.stop().tally(|_| true).failures, Vec::<String>::new());
    }
    for to in frontends(&lab) {
        let tally = connect_many(client, to, 100, 8);
        assert_eq!((tally.version("1.0.3"), tally.failures), (100, Vec::new()));
    }
}

#[test]
fn what_was_changed_behind_an_agents_back_the_next_one_repairs() {
    let (lab, _servers, shop) = lab("repair");
    let mut node = Node::open(&lab);
    node.apply(&shop.weights(&[100, 0]));
    node.die();
    node.start();
    let applied = node.apply(&shop.weights(&[50, 50]));
    assert!(applied.slots > 0);
    assert_eq!(applied.backends, 0, "ids are those of the last agent");
}

#[test]
fn the_first_condition_moves_no_open_connection_and_takes_the_new_ones() {
    let (lab, _servers, shop) = lab("cond");
    let mut node = Node::open(&lab);
    node.apply(&shop);
    let client = &lab.client().netns;
    let held: Vec<Held> = frontends(&lab).iter().map(|to| Held::open(client, *to, 20, 10).unwrap()).collect();
    let v4 = listener(&lab, "127.0.0.1:0");
    let v6 = listener(&lab, "[::1]:0");
    node.with(|dataplane| dataplane.set_listeners(&[&v4], &[&v6]).unwrap());
    node.apply(&shop.with_condition());
    for (to, listener) in frontends(&lab).into_iter().zip([&v4, &v6]) {
        let stream =
            client.run(|| std::net::TcpStream::connect_timeout(&to, Duration::from_secs(5))).unwrap();
        let (accepted, from) = accept(listener);
        assert_eq!(from, stream.local_addr().unwrap(), "the agent sees the client's address");
        assert_eq!(accepted.local_addr().unwrap(), to, "and the frontend as its own");
    }
    assert_unbroken(&held, "after the first condition");
    node.apply(&shop);
    for to in frontends(&lab) {
        let tally = connect_many(client, to, 50, 8);
        assert_eq!((tally.version("1.0.3"), tally.failures), (50, Vec::new()), "without it, pods again");
    }
    assert_unbroken(&held, "after the last condition");
}

fn listener(lab: &Lab, address: &str) -> TcpListener {
    let listener = lab.node.run(|| TcpListener::bind(address)).unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

fn accept(listener: &TcpListener) -> (std::net::TcpStream, SocketAddr) {
    let mut accepted = None;
    gateway_tests::wait_until(Duration::from_secs(5), "a connection reaches the agent", || {
        match listener.accept() {
            Ok(connection) => accepted = Some(connection),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}"),
        }
        accepted.is_some()
    });
    accepted.expect("waited for")
}

#[test]
fn datagrams_of_one_client_stay_with_their_pod_while_weights_change() {
    let lab = LabPlan::new("udp").pods(2).build().unwrap();
    let _servers: Vec<_> = lab
        .pods
        .iter()
        .zip(["1.0.3", "2.0.1"])
        .map(|(pod, version)| pod.serve_udp(POD_PORT, version).unwrap())
        .collect();
    let mut node = Node::open(&lab);
    let shop =
        Shop::new(&lab, Protocol::Udp).route("1.0.3", 100, &lab.pods[..1]).route("2.0.1", 0, &lab.pods[1..]);
    node.apply(&shop);
    for to in frontends(&lab) {
        node.apply(&shop);
        let early = udp_socket(&lab.client().netns, to).unwrap();
        assert_eq!(ask_udp(&early, "one").unwrap().version, "1.0.3");
        node.apply(&shop.weights(&[0, 100]));
        let late = udp_socket(&lab.client().netns, to).unwrap();
        assert_eq!(ask_udp(&late, "two").unwrap().version, "2.0.1");
        node.apply(&shop.weights(&[100, 0]));
        assert_eq!(ask_udp(&late, "three").unwrap().version, "2.0.1");
        assert_eq!(ask_udp(&early, "four").unwrap().version, "1.0.3");
    }
}

#[test]
fn slots_settle_once_the_window_is_over_and_nobody_lives_elsewhere() {
    let (lab, _servers, shop) = lab("settle");
    let window = Duration::from_secs(1);
    let mut node =
        Node::open_with(&lab, |options| weir::dataplane::Options { drain_window: window, ..options });
    node.apply(&shop);
    let asking = |node: &mut Node| -> usize {
        node.with(|dataplane| dataplane.dump().unwrap().rings.iter().map(|ring| ring.asking).sum())
    };
    assert!(asking(&mut node) > 0, "a frontend seen first leaves live connections to the kernel");
    node.tick_until(Duration::from_secs(10), "all slots settle", |node, _| asking(node) == 0);
    let held = Held::open(&lab.client().netns, frontends(&lab)[0], 20, 0).unwrap();
    node.apply(&shop.weights(&[0, 100]));
    // Each held connection shows itself to the packet path, and keeps its slot from settling.
    held.speak().unwrap();
    let settled_all_but_held = |node: &mut Node, _| (1..=20).contains(&asking(node));
    node.tick_until(Duration::from_secs(10), "the slots without connections settle", settled_all_but_held);
    node.tick();
    assert!(asking(&mut node) > 0);
    held.speak().unwrap();
}

#[test]
fn a_silent_connection_outlives_the_window_of_the_slot_that_it_fell_into() {
    let (lab, _servers, shop) = lab("silent");
    let window = Duration::from_secs(1);
    let mut node =
        Node::open_with(&lab, |options| weir::dataplane::Options { drain_window: window, ..options });
    node.apply(&shop);
    let asking = |node: &mut Node| -> usize {
        node.with(|dataplane| dataplane.dump().unwrap().rings.iter().map(|ring| ring.asking).sum())
    };
    node.tick_until(Duration::from_secs(20), "all slots settle", |node, _| asking(node) == 0);
    let held: Vec<Held> =
        frontends(&lab).iter().map(|to| Held::open(&lab.client().netns, *to, 20, 20).unwrap()).collect();
    node.apply(&shop.weights(&[0, 100]));
    let others_settle = |node: &mut Node, _| asking(node) <= 40;
    node.tick_until(Duration::from_secs(20), "the slots without connections settle", others_settle);
    node.tick();
    node.tick();
    assert_unbroken(&held, "after the window");
}

#[test]
fn an_agent_away_for_longer_than_the_idle_time_costs_no_connection() {
    let (lab, _servers, shop) = lab("away");
    let idle = weir::dataplane::IdleTimes { established: 5, ..weir::dataplane::IdleTimes::default() };
    let mut node = Node::open_with(&lab, |options| weir::dataplane::Options { idle, ..options });
    node.apply(&shop);
    let held: Vec<Held> =
        frontends(&lab).iter().map(|to| Held::open(&lab.client().netns, *to, 20, 10).unwrap()).collect();
    assert_unbroken(&held, "before");
    node.die();
    let died = Instant::now();
    gateway_tests::wait_until(Duration::from_secs(20), "nobody notes who still talks", || {
        died.elapsed() > Duration::from_secs(8)
    });
    node.start();
    node.apply(&shop);
    node.tick();
    node.tick();
    assert_unbroken(&held, "after the scan of the next agent");
}
