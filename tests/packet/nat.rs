//! Mode `nat`: the pod is elsewhere and sees the node; to the kernel, client and pod talk to each other.

use std::net::{IpAddr, SocketAddr};

use gateway_common::{
    abi::flow::{Nat4, Nat6, NatKey4, NatKey6, state},
    packet::{ip, tcp},
    verdict::Verdict,
};

use crate::{
    frame::Frame,
    kernel::{Hook, Outcome, PATHS, TCP, UDP},
    scene::{A, B, FAMILIES, Family, ISN, POD_ISN, Scene, settled},
};

const FIRST: u16 = 61_000;
/// The device by which clients come in.
const UPLINK: u32 = 7;

/// A scene whose pod A is elsewhere, with so many ports towards it.
fn scene(family: Family, hook: Hook, protocol: u8, ports: u32) -> Scene {
    let mut scene = Scene::new(family, hook, protocol, settled(A));
    give_out(&mut scene, ports);
    let (pod, node) = (scene.pod(A), node(family));
    scene.kernel.backend_elsewhere(A, pod, node);
    scene
}

fn give_out(scene: &mut Scene, ports: u32) {
    let settings = scene.kernel.current_settings();
    scene.kernel.settings(gateway_common::abi::settings::Settings {
        nat_first: u32::from(FIRST),
        nat_ports: ports,
        ..settings
    });
}

/// The node's address towards the pod.
fn node(family: Family) -> IpAddr {
    match family {
        Family::V4 => "203.0.113.9".parse().unwrap(),
        Family::V6 => "2001:db8:9::9".parse().unwrap(),
    }
}

/// Sends a client's frame in; it comes out with the pod as its destination.
fn enter(scene: &mut Scene, frame: &Frame) -> Result<Frame, Verdict> {
    let Outcome { verdict, bytes } = scene.kernel.run(scene.hook, &frame.bytes());
    let inside = frame.clone().to(scene.pod(A));
    if verdict != Verdict::Nat {
        return Err(verdict);
    }
    assert_eq!(bytes, inside.bytes());
    Ok(inside)
}

/// Sends it out to the pod; the address that the pod sees.
fn leave(scene: &mut Scene, inside: &Frame) -> SocketAddr {
    let Outcome { verdict, bytes } = scene.kernel.run_forwarded(Hook::Egress, &inside.bytes(), UPLINK);
    assert_eq!(verdict, Verdict::Masqueraded);
    let l4 = inside.l4();
    let port = u16::from_be_bytes([bytes[l4], bytes[l4 + 1]]);
    let seen = SocketAddr::new(node(scene.family), port);
    assert_eq!(bytes, inside.clone().from(seen).bytes(), "only the source changes, and checksums with it");
    seen
}

/// The pod's answer: in to the client's address, out from the frontend.
fn come_back(scene: &mut Scene, answer: &Frame, client: SocketAddr, frontend: SocketAddr) {
    let inside = answer.clone().to(client).bytes();
    scene.kernel.expect(scene.hook, &answer.bytes(), Verdict::NatReply, &inside);
    let outside = answer.clone().from(frontend).to(client).bytes();
    let outcome = scene.kernel.run_forwarded(Hook::Egress, &inside, UPLINK);
    assert_eq!((outcome.verdict, outcome.bytes), (Verdict::Reply, outside));
}

/// A handshake; the address that the pod sees.
fn connect(scene: &mut Scene, client: SocketAddr, frontend: SocketAddr) -> Result<SocketAddr, Verdict> {
    let inside = enter(scene, &Frame::syn(client, frontend, ISN))?;
    let seen = leave(scene, &inside);
    let syn_ack = Frame::tcp(scene.pod(A), seen, tcp::SYN | tcp::ACK).numbers(POD_ISN, ISN + 1);
    come_back(scene, &syn_ack, client, frontend);
    let inside = enter(scene, &scene.ack(client, frontend))?;
    assert_eq!(leave(scene, &inside), seen);
    Ok(seen)
}

/// Both ends close, the client or the server first.
fn close(scene: &mut Scene, client: SocketAddr, frontend: SocketAddr, seen: SocketAddr, server_first: bool) {
    let request = Frame::tcp(client, frontend, tcp::FIN | tcp::ACK).numbers(ISN + 1, POD_ISN + 1);
    let answer = Frame::tcp(scene.pod(A), seen, tcp::FIN | tcp::ACK).numbers(POD_ISN + 1, ISN + 1);
    if server_first {
        come_back(scene, &answer, client, frontend);
    }
    enter(scene, &request).unwrap();
    if !server_first {
        come_back(scene, &answer, client, frontend);
    }
}

fn ports(scene: &Scene, map: &str) -> usize {
    match scene.family {
        Family::V4 => scene.kernel.entries::<NatKey4, Nat4>(&format!("{map}4")),
        Family::V6 => scene.kernel.entries::<NatKey6, Nat6>(&format!("{map}6")),
    }
}

#[test]
fn a_connection_shows_the_node_to_the_pod_and_the_frontend_to_the_client() {
    for family in FAMILIES {
        for hook in PATHS {
            let mut scene = scene(family, hook, TCP, 4_536);
            let (client, frontend) = (scene.client(40_000), scene.frontend());
            let seen = connect(&mut scene, client, frontend).unwrap();
            assert!((FIRST..=65_535).contains(&seen.port()), "{seen}");
            assert_eq!((ports(&scene, "NAT"), ports(&scene, "NAT_EMBRYO")), (1, 0));
            let before = scene.kernel.route_stats(A);
            for payload in [&b""[..], b"odd", b"even"] {
                let data = scene.data(client, frontend).payload(payload);
                let inside = enter(&mut scene, &data).unwrap();
                assert_eq!(leave(&mut scene, &inside), seen);
                let answer = Frame::tcp(scene.pod(A), seen, tcp::ACK).numbers(7, 8).payload(payload);
                come_back(&mut scene, &answer, client, frontend);
            }
            let after = scene.kernel.route_stats(A);
            assert_eq!((after.packets - before.packets, after.reply_packets - before.reply_packets), (3, 3));
            assert_eq!(after.bytes - before.bytes, after.reply_bytes - before.reply_bytes);
        }
    }
}

#[test]
fn datagrams_keep_their_port_for_as_long_as_they_flow() {
    for family in FAMILIES {
        for hook in PATHS {
            let mut scene = scene(family, hook, UDP, 4_536);
            let (client, frontend) = (scene.client(40_000), scene.frontend());
            let mut seen = None;
            for _ in 0..3 {
                let inside = enter(&mut scene, &Frame::udp(client, frontend)).unwrap();
                let now = leave(&mut scene, &inside);
                assert_eq!(*seen.get_or_insert(now), now);
                let answer = Frame::udp(scene.pod(A), now);
                come_back(&mut scene, &answer, client, frontend);
            }
            assert_eq!(ports(&scene, "UDP_NAT"), 1);
        }
    }
}

#[test]
fn a_client_that_uses_its_udp_port_again_for_the_pod_itself_is_no_longer_hidden() {
    for family in FAMILIES {
        for hook in PATHS {
            let mut scene = scene(family, hook, UDP, 4_536);
            let (client, frontend) = (scene.client(40_000), scene.frontend());
            let mut seen = Vec::new();
            for _ in 0..2 {
                let inside = enter(&mut scene, &Frame::udp(client, frontend)).unwrap();
                seen.push(leave(&mut scene, &inside));
                // What another device of the node has rewritten is still part of the flow.
                scene.kernel.expect(Hook::Ingress, &inside.bytes(), Verdict::NotOurs, &inside.bytes());
                assert_eq!(leave(&mut scene, &inside), seen[0]);
                scene.kernel.later(2);
                let direct = inside.bytes();
                scene.kernel.expect(hook, &direct, Verdict::NotOurs, &direct);
                let outcome = scene.kernel.run_forwarded(Hook::Egress, &direct, UPLINK);
                assert_eq!((outcome.verdict, outcome.bytes), (Verdict::EgressNotOurs, direct));
                let answer = Frame::udp(scene.pod(A), client).bytes();
                let outcome = scene.kernel.run_forwarded(Hook::Egress, &answer, UPLINK);
                assert_eq!((outcome.verdict, outcome.bytes), (Verdict::EgressNotOurs, answer));
            }
            assert_eq!(seen[1], seen[0], "its port is its own until the scan");
        }
    }
}

#[test]
fn every_connection_has_a_port_of_its_own_and_none_is_dropped_while_one_is_free() {
    for family in FAMILIES {
        let mut scene = scene(family, Hook::Xdp, TCP, 300);
        let frontend = scene.frontend();
        let mut seen = Vec::new();
        for port in 40_000..40_200 {
            let client = scene.client(port);
            seen.push(connect(&mut scene, client, frontend).unwrap());
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 200);
    }
}

#[test]
fn without_a_free_port_a_connection_is_dropped_and_counted() {
    for family in FAMILIES {
        for protocol in [ip::TCP, ip::UDP] {
            let mut scene = scene(family, Hook::Xdp, protocol, 1);
            let frontend = scene.frontend();
            let frame = |client| match protocol {
                ip::TCP => Frame::syn(client, frontend, ISN),
                _ => Frame::udp(client, frontend),
            };
            let (first, second) = (frame(scene.client(40_000)), frame(scene.client(40_001)));
            enter(&mut scene, &first).unwrap();
            assert_eq!(enter(&mut scene, &second).err(), Some(Verdict::NoNatPort));
            enter(&mut scene, &first).expect("it has its port");
        }
    }
}

#[test]
fn a_port_is_free_again_once_neither_end_remembers_its_connection() {
    for family in FAMILIES {
        let mut scene = scene(family, Hook::Xdp, TCP, 1);
        let frontend = scene.frontend();
        let clients = [40_000, 40_001, 40_002].map(|port| scene.client(port));
        let seen = connect(&mut scene, clients[0], frontend).unwrap();
        close(&mut scene, clients[0], frontend, seen, false);
        // The client remembers; the pod does not.
        assert_eq!(connect(&mut scene, clients[1], frontend), Ok(seen));
        assert_eq!(scene.kernel.reply("REPLIES", clients[0], scene.pod(A)), None);
        close(&mut scene, clients[1], frontend, seen, true);
        let (_, _, state) = scene.kernel.reply("REPLIES", clients[1], scene.pod(A)).unwrap();
        assert!(state & state::SERVER_FIRST != 0);
        // The pod remembers.
        assert_eq!(connect(&mut scene, clients[2], frontend), Err(Verdict::NoNatPort));
        scene.kernel.later(60);
        assert_eq!(connect(&mut scene, clients[2], frontend), Ok(seen));
    }
}

#[test]
fn a_syn_that_is_repeated_keeps_its_port_and_an_unfinished_one_loses_it_in_time() {
    for family in FAMILIES {
        let mut scene = scene(family, Hook::Xdp, TCP, 1);
        let frontend = scene.frontend();
        let syn = Frame::syn(scene.client(40_000), frontend, ISN);
        for _ in 0..3 {
            enter(&mut scene, &syn).unwrap();
        }
        assert_eq!((ports(&scene, "NAT"), ports(&scene, "NAT_EMBRYO")), (0, 1));
        let other = Frame::syn(scene.client(40_001), frontend, ISN);
        assert_eq!(enter(&mut scene, &other).err(), Some(Verdict::NoNatPort));
        scene.kernel.later(10);
        enter(&mut scene, &other).unwrap();
    }
}

#[test]
fn other_packets_from_a_pod_to_the_nodes_ports_pass_untouched() {
    for family in FAMILIES {
        for hook in PATHS {
            let mut scene = scene(family, hook, TCP, 4_536);
            let (client, frontend) = (scene.client(40_000), scene.frontend());
            let seen = connect(&mut scene, client, frontend).unwrap();
            let next = SocketAddr::new(seen.ip(), seen.port() ^ 1);
            let outside = SocketAddr::new(seen.ip(), FIRST - 1);
            for (from, to) in [(scene.pod(B), seen), (scene.pod(A), next), (scene.pod(A), outside)] {
                let frame = Frame::tcp(from, to, tcp::ACK).bytes();
                scene.kernel.expect(hook, &frame, Verdict::NotOurs, &frame);
            }
            let udp = Frame::udp(scene.pod(A), seen).bytes();
            scene.kernel.expect(hook, &udp, Verdict::NotOurs, &udp);
        }
    }
}

#[test]
fn what_nobody_rewrote_leaves_as_it_is() {
    for family in FAMILIES {
        let mut scene = scene(family, Hook::Xdp, TCP, 4_536);
        let (client, frontend) = (scene.client(40_000), scene.frontend());
        connect(&mut scene, client, frontend).unwrap();
        // Another connection of the client's to the pod itself, and packets of the node's own.
        let direct = Frame::tcp(scene.client(40_001), scene.pod(A), tcp::ACK).bytes();
        let outcome = scene.kernel.run_forwarded(Hook::Egress, &direct, UPLINK);
        assert_eq!((outcome.verdict, outcome.bytes), (Verdict::EgressNotOurs, direct));
    }
}

/// The device that test runs come in by, where nothing else is said: `lo`.
const LO: u32 = 1;

#[test]
fn a_pod_of_this_node_keeps_its_address_towards_a_pod_elsewhere() {
    for family in FAMILIES {
        let mut scene = scene(family, Hook::Ingress, TCP, 4_536);
        scene.kernel.pod_device(LO);
        let (client, frontend) = (scene.client(40_000), scene.frontend());
        let inside = enter(&mut scene, &Frame::syn(client, frontend, ISN)).unwrap().bytes();
        let outcome = scene.kernel.run_forwarded(Hook::Egress, &inside, LO);
        assert_eq!((outcome.verdict, outcome.bytes), (Verdict::EgressNotOurs, inside));
        assert_eq!((ports(&scene, "NAT"), ports(&scene, "NAT_EMBRYO")), (0, 0));
        let syn_ack = Frame::tcp(scene.pod(A), client, tcp::SYN | tcp::ACK).numbers(POD_ISN, ISN + 1);
        let expected = syn_ack.clone().from(frontend).bytes();
        let outcome = scene.kernel.run_forwarded(Hook::PodOut, &syn_ack.bytes(), UPLINK);
        assert_eq!((outcome.verdict, outcome.bytes), (Verdict::Reply, expected));
    }
}

#[test]
fn a_pod_that_is_sent_to_itself_sees_the_node() {
    for family in FAMILIES {
        for protocol in [TCP, UDP] {
            let mut scene = Scene::new(family, Hook::Ingress, protocol, settled(A));
            give_out(&mut scene, 4_536);
            scene.kernel.pod_device(LO);
            let (pod, frontend) = (scene.pod(A), scene.frontend());
            scene.kernel.backend_behind(A, pod, node(family), LO);
            let client = SocketAddr::new(pod.ip(), 40_000);
            let (request, answer) = match protocol {
                TCP => (Frame::syn(client, frontend, ISN), Frame::tcp(pod, pod, tcp::SYN | tcp::ACK)),
                _ => (Frame::udp(client, frontend), Frame::udp(pod, pod)),
            };
            let inside = request.clone().to(pod);
            scene.kernel.expect(Hook::Ingress, &request.bytes(), Verdict::Local, &inside.bytes());
            let Outcome { verdict, bytes } = scene.kernel.run_forwarded(Hook::PodOut, &inside.bytes(), LO);
            assert_eq!(verdict, Verdict::Masqueraded);
            let l4 = inside.l4();
            let seen = SocketAddr::new(node(family), u16::from_be_bytes([bytes[l4], bytes[l4 + 1]]));
            assert_eq!(bytes, inside.from(seen).bytes());
            let inside = answer.clone().to(client).bytes();
            scene.kernel.expect(Hook::Ingress, &answer.clone().to(seen).bytes(), Verdict::NatReply, &inside);
            let outcome = scene.kernel.run_forwarded(Hook::PodOut, &inside, LO);
            let outside = answer.from(frontend).to(client).bytes();
            assert_eq!((outcome.verdict, outcome.bytes), (Verdict::Reply, outside));
        }
    }
}

#[test]
fn a_pod_sees_other_clients_as_they_are() {
    for family in FAMILIES {
        let mut scene = scene(family, Hook::Xdp, TCP, 4_536);
        let (client, frontend) = (scene.client(40_000), scene.frontend());
        let inside = enter(&mut scene, &Frame::syn(client, frontend, ISN)).unwrap().bytes();
        // The same packet, should its pod turn out to be here.
        let outcome = scene.kernel.run_forwarded(Hook::PodOut, &inside, UPLINK);
        assert_eq!((outcome.verdict, outcome.bytes), (Verdict::EgressNotOurs, inside));
    }
}
