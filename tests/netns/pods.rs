//! Pods of the node as clients: what their packets meet on their own devices.

use std::{
    io,
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use gateway_model::key::Protocol;
use gateway_tests::{
    Capture, Lab, LabPlan,
    client::{
        Held, ask_udp,
        bulk::{Direction, bulk},
        connect_many,
        datagram::udp_socket,
    },
    lab::Pod,
    wait_until,
};

use crate::{
    bulk::DROP_INVALID,
    nat::assert_nothing_invalid,
    node::Node,
    plan::{POD_PORT, PORT, Shop},
};

/// A Service's addresses: nobody's, so packets to them get no further than the node.
fn service() -> [SocketAddr; 2] {
    [format!("10.99.0.1:{PORT}").parse().unwrap(), format!("[fd00:99::1]:{PORT}").parse().unwrap()]
}

fn shop(lab: &Lab, protocol: Protocol) -> Shop {
    service().into_iter().fold(Shop::new(lab, protocol), Shop::also_on)
}

/// All ways to the gateway from a pod.
fn ways(lab: &Lab) -> Vec<SocketAddr> {
    service().into_iter().chain([lab.node4(PORT), lab.node6(PORT)]).collect()
}

#[test]
fn a_pod_reaches_pods_here_and_elsewhere_which_see_its_address() {
    let lab = LabPlan::new("podway").pods(2).far_pods(1).build().unwrap();
    lab.node.nft(DROP_INVALID).unwrap();
    let _near = lab.pods[1].serve_tcp(POD_PORT, "1.0.3").unwrap();
    let _far = lab.far_pods()[0].serve_tcp(POD_PORT, "2.0.1").unwrap();
    let wire = Capture::start(&lab.far_pods()[0].netns, "eth0").unwrap();
    let mut node = Node::open(&lab);
    node.own(&lab.pods);
    node.apply(&shop(&lab, Protocol::Tcp).route("1.0.3", 50, &lab.pods[1..]).route(
        "2.0.1",
        50,
        lab.far_pods(),
    ));
    for to in ways(&lab) {
        let tally = connect_many(&lab.pods[0].netns, to, 100, 8);
        assert_eq!((tally.answered(), tally.failures), (100, Vec::new()), "{to}");
        assert!(tally.pods.values().all(|count| *count > 20), "{to}: {:?}", tally.pods);
    }
    let client = &lab.pods[0];
    let seen = wire.stop().unwrap();
    let of_client = |address: std::net::IpAddr| address == client.v4 || address == client.v6;
    assert!(seen.keys().any(|flow| flow.to.port() == POD_PORT));
    for flow in seen.keys().filter(|flow| flow.to.port() == POD_PORT) {
        assert!(of_client(flow.from.ip()), "{flow:?}");
    }
    assert_nothing_invalid(&lab);
}

#[test]
fn a_pod_reaches_itself() {
    let lab = LabPlan::new("hairpin").pods(1).build().unwrap();
    lab.node.nft(DROP_INVALID).unwrap();
    let pod = &lab.pods[0];
    let _tcp = pod.serve_tcp(POD_PORT, "1.0.3").unwrap();
    let _udp = pod.serve_udp(POD_PORT, "1.0.3").unwrap();
    let mut node = Node::open(&lab);
    node.own(&lab.pods);
    node.apply(&shop(&lab, Protocol::Tcp).route("1.0.3", 100, &lab.pods));
    for to in ways(&lab) {
        let tally = connect_many(&pod.netns, to, 100, 8);
        assert_eq!((tally.answered(), tally.failures), (100, Vec::new()), "{to}");
        for direction in [Direction::Up, Direction::Down] {
            bulk(&pod.netns, to, 50_000_000, direction).unwrap();
        }
    }
    // Others are served as before.
    let tally = connect_many(&lab.client().netns, lab.node4(PORT), 50, 8);
    assert_eq!((tally.answered(), tally.failures), (50, Vec::new()));
    node.apply(&shop(&lab, Protocol::Udp).route("1.0.3", 100, &lab.pods));
    for to in ways(&lab) {
        let socket = udp_socket(&pod.netns, to).unwrap();
        for word in ["one", "two"] {
            assert_eq!(ask_udp(&socket, word).unwrap().version, "1.0.3", "{to}");
        }
    }
    assert_nothing_invalid(&lab);
}

#[test]
fn a_pod_reaches_its_neighbour_on_a_bridge_and_itself() {
    let lab = LabPlan::new("podbridge").pods(2).bridge().build().unwrap();
    // A pod on a bridge that is to reach itself needs its port to send packets back.
    for pod in &lab.pods {
        lab.node.exec(&format!("ip link set {} type bridge_slave hairpin on", pod.name)).unwrap();
    }
    let _servers: Vec<_> = lab.pods.iter().map(|pod| pod.serve_tcp(POD_PORT, "1.0.3").unwrap()).collect();
    let mut node = Node::open(&lab);
    node.own(&lab.pods);
    node.apply(&shop(&lab, Protocol::Tcp).route("1.0.3", 100, &lab.pods));
    for to in ways(&lab) {
        let tally = connect_many(&lab.pods[0].netns, to, 100, 8);
        assert_eq!((tally.answered(), tally.failures), (100, Vec::new()), "{to}");
        assert_eq!(tally.pods.len(), 2);
    }
}

#[test]
fn a_pod_is_refused_at_once_also_where_its_checksums_are_left_to_a_device() {
    let lab = LabPlan::new("podrst").pods(1).build().unwrap();
    let pod = &lab.pods[0];
    // The refusal leaves by this device, which completes no checksum: the kernel does, in software.
    lab.node.exec(&format!("ethtool -K {} tx off", pod.name)).unwrap();
    let mut node = Node::open(&lab);
    node.own(&lab.pods);
    node.apply(&shop(&lab, Protocol::Tcp).route("1.0.3", 100, &lab.pods).not_ready(pod));
    for to in ways(&lab) {
        let began = Instant::now();
        let connect = || TcpStream::connect_timeout(&to, Duration::from_secs(5));
        let error = pod.netns.run(connect).expect_err("nobody serves");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "{to}: {error}");
        assert!(began.elapsed() < Duration::from_secs(1), "at once");
    }
    node.apply(&shop(&lab, Protocol::Udp).route("1.0.3", 100, &lab.pods).not_ready(pod));
    for to in ways(&lab) {
        let socket = udp_socket(&pod.netns, to).unwrap();
        let error = ask_udp(&socket, "anyone").expect_err("nobody serves");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "{to}: {error}");
    }
}

#[test]
fn programs_follow_pods_and_outlive_the_agent() {
    let lab = LabPlan::new("podgo").pods(2).far_pods(1).build().unwrap();
    let _server = lab.far_pods()[0].serve_tcp(POD_PORT, "1.0.3").unwrap();
    let mut node = Node::open(&lab);
    assert_eq!(pins(&lab), Vec::<String>::new());
    node.own(&lab.pods[..1]);
    assert_eq!(pins(&lab), ["dev-in-pod0", "dev-out-pod0"]);
    node.own(&lab.pods);
    node.apply(&shop(&lab, Protocol::Tcp).route("1.0.3", 100, lab.far_pods()));
    assert_eq!(pins(&lab), ["dev-in-pod0", "dev-in-pod1", "dev-out-pod0", "dev-out-pod1"]);
    let held: Vec<Held> =
        ways(&lab).iter().map(|to| Held::open(&lab.pods[0].netns, *to, 5, 0).unwrap()).collect();
    node.die();
    node.start();
    assert_eq!(pins(&lab).len(), 4, "they are there before anybody says whose pods they are");
    node.own(&lab.pods[..1]);
    assert_eq!(pins(&lab), ["dev-in-pod0", "dev-out-pod0"]);
    let pings = || -> u64 { held.iter().flat_map(Held::connections).map(|one| one.pings).sum() };
    let before = pings();
    wait_until(Duration::from_secs(10), "connections go on", || pings() > before + 40);
    assert!(held.iter().all(|held| held.broken().is_empty()));
    drop(held);
    // A pod's device goes, and another of the same name comes.
    lab.node.ip("link del pod0\n").unwrap();
    node.tick_until(Duration::from_secs(10), "it is noticed", |_, _| pins(&lab).is_empty());
    lab.node
        .ip("link add pod0 type veth peer name other\nlink set pod0 up\nlink set other up\n\
             addr add 10.77.0.1/24 dev pod0\naddr add fd00:77:0::1/64 dev pod0 nodad\n")
        .unwrap();
    node.tick_until(Duration::from_secs(10), "it is attached", |_, _| pins(&lab).len() == 2);
}

/// Pins of devices that are no uplinks.
fn pins(lab: &Lab) -> Vec<String> {
    let folder = lab.name().pin_dir().join("v1/link");
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.filter_map(|name| name.into_string().ok()).collect();
    names.retain(|name| name.starts_with("dev-"));
    names.sort_unstable();
    names
}

#[test]
fn an_endpoint_is_local_if_it_is_one_of_the_nodes_pods() {
    use weir::dataplane::Reach;
    let lab = LabPlan::new("podown").pods(2).build().unwrap();
    let mut node = Node::open(&lab);
    let reach = |node: &mut Node, pod: &Pod| {
        let address = pod.v4.into();
        node.with(move |dataplane| dataplane.endpoint_reach(address).unwrap())
    };
    assert_eq!(reach(&mut node, &lab.pods[1]), Reach::Local);
    node.own(&lab.pods[..1]);
    assert_eq!(reach(&mut node, &lab.pods[0]), Reach::Local);
    assert_eq!(reach(&mut node, &lab.pods[1]), Reach::Remote { source: "10.77.1.1".parse().unwrap() });
}
