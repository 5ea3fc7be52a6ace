//! Endpoints that are gone, gateways without any: an answer at once, never silence.

use std::{
    io,
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use gateway_model::key::Protocol;
use gateway_tests::{
    LabPlan,
    client::{Held, ask_udp, connect_many, datagram::udp_socket},
    wait_until,
};
use weir::dataplane::Reach;

use crate::{
    node::Node,
    plan::{POD_PORT, Shop},
    shares::frontends,
};

#[test]
fn connections_to_a_dead_endpoint_are_reset_and_the_others_stay() {
    let lab = LabPlan::new("dead").pods(2).build().unwrap();
    let _servers: Vec<_> = lab.pods.iter().map(|pod| pod.serve_tcp(POD_PORT, "1.0.3").unwrap()).collect();
    let mut node = Node::open(&lab);
    let shop = Shop::new(&lab, Protocol::Tcp).route("1.0.3", 100, &lab.pods);
    node.apply(&shop);
    let client = &lab.client().netns;
    let held: Vec<Held> = frontends(&lab).iter().map(|to| Held::open(client, *to, 30, 0).unwrap()).collect();
    let on_pod = |held: &Held, pod: &str| held.connections().iter().filter(|c| c.peer.pod == pod).count();
    let doomed: usize = held.iter().map(|held| on_pod(held, "pod0")).sum();
    assert!(doomed > 5, "some on each pod");
    node.apply(&shop.without(&lab.pods[0]));
    wait_until(Duration::from_secs(10), "connections to the dead pod are reset", || {
        held.iter().map(|held| held.broken().len()).sum::<usize>() == doomed
    });
    for held in &held {
        for broken in held.broken() {
            assert!(broken.starts_with("pod0") && broken.contains("reset"), "{broken}");
        }
        let pings = || -> Vec<u64> {
            held.connections().iter().filter(|c| c.peer.pod == "pod1").map(|c| c.pings).collect()
        };
        let before = pings();
        wait_until(Duration::from_secs(5), "the others go on", || {
            pings().iter().zip(&before).all(|(now, before)| now > before)
        });
    }
    for to in frontends(&lab) {
        let tally = connect_many(client, to, 50, 8);
        assert_eq!((tally.pods.get("pod1"), tally.failures), (Some(&50), Vec::new()));
    }
}

#[test]
fn slots_of_a_dead_endpoint_settle_and_its_id_is_freed() {
    let lab = LabPlan::new("free").pods(2).build().unwrap();
    let mut node = Node::open(&lab);
    let shop = Shop::new(&lab, Protocol::Tcp).route("1.0.3", 100, &lab.pods);
    node.apply(&shop);
    let ids = |node: &mut Node| node.with(|dataplane| dataplane.dump().unwrap().backends.len());
    assert_eq!(ids(&mut node), 4);
    node.apply(&shop.without(&lab.pods[0]));
    node.tick_until(Duration::from_secs(10), "two ids are freed", |node, _| ids(node) == 2);
    node.apply(&shop);
    let dump = node.with(|dataplane| dataplane.dump().unwrap());
    let raised = dump.backends.iter().filter(|backend| backend.generation == 2).count();
    assert_eq!((dump.backends.len(), raised), (4, 2), "whoever gets an id next has another generation");
}

#[test]
fn a_gateway_without_endpoints_refuses_tcp_with_a_reset_and_udp_with_icmp() {
    let lab = LabPlan::new("refuse").pods(1).build().unwrap();
    let mut node = Node::open(&lab);
    node.apply(&Shop::new(&lab, Protocol::Tcp).route("1.0.3", 100, &lab.pods).not_ready(&lab.pods[0]));
    for to in frontends(&lab) {
        let began = Instant::now();
        let error = lab
            .client()
            .netns
            .run(|| TcpStream::connect_timeout(&to, Duration::from_secs(5)))
            .expect_err("nobody serves");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "{to}: {error}");
        assert!(began.elapsed() < Duration::from_secs(1), "at once");
    }
    node.apply(&Shop::new(&lab, Protocol::Udp).route("1.0.3", 100, &lab.pods).not_ready(&lab.pods[0]));
    for to in frontends(&lab) {
        let socket = udp_socket(&lab.client().netns, to).unwrap();
        let error = ask_udp(&socket, "anyone").expect_err("nobody serves");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "{to}: {error}");
    }
}

#[test]
fn an_endpoint_without_a_route_is_reported_and_gets_nothing() {
    let lab = LabPlan::new("noroute").build().unwrap();
    let mut node = Node::open(&lab);
    let away: SocketAddr = ([203, 0, 113, 1], POD_PORT).into();
    let applied = node.apply(&Shop::new(&lab, Protocol::Tcp).route_to("1.0.3", 100, vec![away]));
    let reported: Vec<_> =
        applied.unreachable.iter().map(|(endpoint, reach)| (endpoint.address, *reach)).collect();
    assert_eq!(reported, [(away, Reach::None)]);
    let refused = connect_many(&lab.client().netns, frontends(&lab)[0], 1, 1);
    assert!(refused.failures[0].contains("refused"), "{:?}", refused.failures);
}
