//! The harness itself: a lab whose figures other tests rely on. No agent runs here; clients talk to pods
//! through the node's routing.

use std::{
    env, fs,
    net::{IpAddr, SocketAddr},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use gateway_tests::{
    Capture, LabPlan,
    client::{
        Flood, FloodKind, Held, HttpLoad, ask_udp,
        bulk::{Direction, bulk},
        connect_many,
        datagram::udp_socket,
        flood,
        http::Asker,
    },
    lab::Pod,
    wait_until,
};

const BOTH: [fn(&Pod) -> IpAddr; 2] = [|pod| pod.v4.into(), |pod| pod.v6.into()];

#[test]
fn clients_reach_pods_over_both_families_routed_and_bridged() {
    for plan in [LabPlan::new("reach").pods(2), LabPlan::new("reach").pods(2).bridge()] {
        let lab = plan.build().unwrap();
        let _servers: Vec<_> = lab.pods.iter().map(|pod| pod.serve_tcp(7000, "1.0.3").unwrap()).collect();
        for pod in &lab.pods {
            for address in BOTH {
                let to = SocketAddr::new(address(pod), 7000);
                let tally = connect_many(&lab.client().netns, to, 20, 10);
                assert!(tally.failures.is_empty(), "{to}: {:?}", tally.failures);
                assert_eq!(tally.pods.get(&pod.name), Some(&20));
            }
        }
    }
}

#[test]
fn a_capture_counts_what_a_transfer_sent_segment_by_segment() {
    let lab = LabPlan::new("count").pods(1).build().unwrap();
    let pod = &lab.pods[0];
    let _server = pod.serve_tcp(7000, "1.0.3").unwrap();
    let to = SocketAddr::new(pod.v4.into(), 7000);
    // A queue between the two ends may overflow, and a buffer be sent again: that is seen at one end only. Captures
    // that count wrong differ each time.
    let equal = (0..5).any(|_| {
        let wire = Capture::start(&lab.client().netns, "eth0").unwrap();
        // The pod's side keeps its offloads: there a packet socket sees buffers of many segments.
        let offloaded = Capture::start(&pod.netns, "eth0").unwrap();
        bulk(&lab.client().netns, to, 20_000_000, Direction::Up).unwrap();
        bulk(&lab.client().netns, to, 20_000_000, Direction::Down).unwrap();
        let wire = wire.stop().unwrap();
        let up: u64 = wire.iter().filter(|(flow, _)| flow.to == to).map(|(_, seen)| seen.packets).sum();
        assert!(up > 20_000_000 / 1448, "{up} packets carried 20 MB upwards");
        wire == offloaded.stop().unwrap()
    });
    assert!(equal, "five transfers, each with other counts at its two ends");
}

#[test]
fn a_held_connection_that_is_reset_is_reported() {
    let lab = LabPlan::new("held").pods(1).build().unwrap();
    let pod = &lab.pods[0];
    let _server = pod.serve_tcp(7000, "1.0.3").unwrap();
    let held = Held::open(&lab.client().netns, SocketAddr::new(pod.v4.into(), 7000), 10, 5).unwrap();
    held.speak().unwrap();
    assert!(held.broken().is_empty());
    // Talking and silent ones alike: the next segment of each is answered by a RST.
    lab.node
        .nft(
            "table inet cut {\n chain f {\n type filter hook forward priority 0;\n \
             tcp dport 7000 reject with tcp reset\n }\n}\n",
        )
        .unwrap();
    held.speak().unwrap_err();
    wait_until(Duration::from_secs(15), "all ten are broken", || held.broken().len() == 10);
}

#[test]
fn held_connections_close_cleanly_by_version() {
    let lab = LabPlan::new("close").pods(1).build().unwrap();
    let pod = &lab.pods[0];
    let _server = pod.serve_tcp(7000, "1.0.3").unwrap();
    let held = Held::open(&lab.client().netns, SocketAddr::new(pod.v6.into(), 7000), 10, 5).unwrap();
    held.close("1.0.3").unwrap();
    assert!(held.connections().iter().all(|connection| connection.closed));
}

#[test]
fn requests_and_datagrams_are_answered_by_the_pod_asked() {
    let lab = LabPlan::new("ask").pods(1).build().unwrap();
    let pod = &lab.pods[0];
    let http = pod.serve_http(8080, "2.0.1").unwrap();
    let _udp = pod.serve_udp(5300, "2.0.1").unwrap();
    let asker = Asker { class: "chrome", host: "foo.bar.com", user_agent: "Chrome" };
    let load = HttpLoad::start(&lab.client().netns, SocketAddr::new(pod.v4.into(), 8080), &[asker], 2, 50);
    wait_until(Duration::from_secs(10), "100 requests", || load.journal().len() >= 100);
    let tally = load.stop().tally(|_| true);
    assert_eq!(tally.failures, Vec::<String>::new());
    assert_eq!(tally.version("2.0.1"), http.served());
    let socket = udp_socket(&lab.client().netns, SocketAddr::new(pod.v6.into(), 5300)).unwrap();
    assert_eq!(ask_udp(&socket, "hello").unwrap().pod, "pod0");
}

#[test]
fn a_flood_arrives_whole_with_sums_that_hold() {
    let lab = LabPlan::new("flood").pods(1).build().unwrap();
    let pod = &lab.pods[0];
    for address in BOTH {
        let to = SocketAddr::new(address(pod), 7000);
        // Neighbours are resolved first: a queue for an unknown one is short.
        let refused = connect_many(&lab.client().netns, to, 1, 1);
        assert_eq!(refused.failures.len(), 1);
        let capture = Capture::start(&pod.netns, "eth0").unwrap();
        flood(&lab.client().netns, Flood { kind: FloodKind::Syn, to, count: 2_000 }).unwrap();
        // A closed port answers a SYN whose checksum holds with a RST.
        wait_until(Duration::from_secs(10), "2,000 resets", || {
            capture.sum(|flow| flow.from == to).packets == 2_000
        });
        assert_eq!(capture.sum(|flow| flow.to == to).packets, 2_000);
    }
}

#[test]
fn nothing_is_left_of_a_dropped_lab() {
    let lab = LabPlan::new("gone").pods(1).build().unwrap();
    let namespace = lab.node.name().to_owned();
    let dir = lab.dir();
    assert!(exists(&namespace) && dir.exists());
    drop(lab);
    assert!(!exists(&namespace) && !dir.exists());
}

/// Set in the process that [`nothing_is_left_of_a_killed_process`] starts from its own binary, and kills.
const VICTIM: &str = "WEIR_LAB_VICTIM";

#[test]
fn nothing_is_left_of_a_killed_process() {
    if env::var_os(VICTIM).is_some() {
        let _lab = LabPlan::new("killed").pods(1).build().unwrap();
        loop {
            std::thread::park();
        }
    }
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "nothing_is_left_of_a_killed_process"])
        .env(VICTIM, "1")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let namespace = format!("weir-killed-{}-0-pod0", child.id());
    wait_until(Duration::from_secs(20), "the lab is up", || exists(&namespace));
    child.kill().unwrap();
    child.wait().unwrap();
    let dir = format!("/run/weir-killed-{}-0", child.id());
    wait_until(Duration::from_secs(10), "the lab is gone", || {
        !exists(&namespace) && !Path::new(&dir).exists()
    });
}

fn exists(namespace: &str) -> bool {
    fs::exists(format!("/run/netns/{namespace}")).expect("/run can be read")
}
