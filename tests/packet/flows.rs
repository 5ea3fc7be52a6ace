//! The state machine of TCP: who stays where while slots change.

use gateway_common::{
    abi::{
        backend,
        flow::{Flow, FlowKey4, FlowKey6, Reply4, Reply6, ReplyKey4, ReplyKey6, state},
        settings::Settings,
    },
    hash, limits,
    packet::tcp,
    verdict::Verdict,
};

use crate::{
    frame::Frame,
    kernel::{Hook, Kernel, PATHS, TCP},
    scene::{A, B, C, FAMILIES, Family, ISN, POD_ISN, Scene, asking, settled},
};

/// Every test below holds in both families and in both builds of the path.
fn everywhere(slot: gateway_common::abi::slot::Slot, test: impl Fn(Scene)) {
    for family in FAMILIES {
        for hook in PATHS {
            test(Scene::new(family, hook, TCP, slot));
        }
    }
}

fn count<K4: aya::Pod, K6: aya::Pod, V4: aya::Pod, V6: aya::Pod>(scene: &Scene, map: &str) -> usize {
    match scene.family {
        Family::V4 => scene.kernel.entries::<K4, V4>(&format!("{map}4")),
        Family::V6 => scene.kernel.entries::<K6, V6>(&format!("{map}6")),
    }
}

fn flows(scene: &Scene, map: &str) -> usize {
    count::<FlowKey4, FlowKey6, Flow, Flow>(scene, map)
}

fn replies(scene: &Scene, map: &str) -> usize {
    count::<ReplyKey4, ReplyKey6, Reply4, Reply6>(scene, map)
}

#[test]
fn settled_slot_touches_no_flow_map() {
    everywhere(settled(A), |mut scene| {
        let (client, frontend) = (scene.client(40_000), scene.frontend());
        assert_eq!(scene.connect(client, frontend), A);
        assert_eq!(scene.send(&scene.data(client, frontend)), Ok(A));
        assert_eq!([flows(&scene, "FLOWS"), flows(&scene, "EMBRYO"), flows(&scene, "OLD")], [0, 0, 0]);
        assert_eq!(replies(&scene, "REPLIES"), 1);
    });
}

#[test]
fn repeated_syn_keeps_its_backend_and_another_syn_opens_anew() {
    everywhere(asking(B, A), |mut scene| {
        let (client, frontend) = (scene.client(40_000), scene.frontend());
        assert_eq!(scene.send(&Frame::syn(client, frontend, ISN)), Ok(B));
        scene.set(asking(C, A));
        assert_eq!(scene.send(&Frame::syn(client, frontend, ISN)), Ok(B), "the same SYN");
        assert_eq!(scene.kernel.route_stats(B).new_flows, 1, "counted once");
        assert_eq!(scene.send(&Frame::syn(client, frontend, ISN + 77)), Ok(C), "another ISN");
    });
}

#[test]
fn syn_repeated_across_a_change_stays_where_it_went_first() {
    everywhere(settled(A), |mut scene| {
        let (client, frontend) = (scene.client(40_000), scene.frontend());
        assert_eq!(scene.send(&Frame::syn(client, frontend, ISN)), Ok(A));
        scene.set(asking(B, A));
        assert_eq!(scene.send(&Frame::syn(client, frontend, ISN)), Ok(A));
        scene.answer(A, client, frontend);
        assert_eq!(scene.send(&scene.ack(client, frontend)), Ok(A));
    });
}

#[test]
fn only_a_client_that_has_seen_the_syn_ack_enters_flows() {
    everywhere(asking(B, A), |mut scene| {
        let (client, frontend) = (scene.client(40_000), scene.frontend());
        assert_eq!(scene.send(&Frame::syn(client, frontend, ISN)), Ok(B));
        assert_eq!(scene.send(&scene.ack(client, frontend)), Ok(B), "forwarded before the SYN-ACK was seen");
        assert_eq!(flows(&scene, "FLOWS") + replies(&scene, "REPLIES"), 0);
        scene.answer(B, client, frontend);
        assert_eq!(scene.send(&scene.ack(client, frontend).numbers(ISN + 1, POD_ISN + 2)), Ok(B), "a guess");
        assert_eq!(flows(&scene, "FLOWS") + replies(&scene, "REPLIES"), 0);
        assert_eq!(scene.send(&scene.ack(client, frontend)), Ok(B));
        let flow = scene.kernel.flow("FLOWS", client, frontend).expect("promoted");
        assert_eq!((flow.backend, flow.generation, flow.ring, flow.slot), (B, 1, scene.ring, 0));
        assert_eq!((flow.client_isn, flow.server_isn, flow.seen), (ISN, POD_ISN, scene.kernel.now()));
        assert_eq!(scene.kernel.reply("REPLIES", client, scene.pod(B)).unwrap().0, B);
    });
}

#[test]
fn reordered_first_segment_follows_its_handshake() {
    everywhere(asking(B, A), |mut scene| {
        let (client, frontend) = (scene.client(40_000), scene.frontend());
        assert_eq!(scene.send(&Frame::syn(client, frontend, ISN)), Ok(B));
        scene.answer(B, client, frontend);
        let second = scene.ack(client, frontend).numbers(ISN + 1461, POD_ISN + 1).payload(b"second segment");
        assert_eq!(scene.send(&second), Ok(B));
        assert_eq!(flows(&scene, "FLOWS"), 1);
    });
}

#[test]
fn flows_stay_through_changes_there_and_back() {
    everywhere(settled(A), |mut scene| {
        let frontend = scene.frontend();
        let [old, during, after] = [40_000, 40_001, 40_002].map(|port| scene.client(port));
        assert_eq!(scene.connect(old, frontend), A);
        scene.set(asking(B, A));
        assert_eq!(scene.send(&scene.data(old, frontend)), Ok(A), "unknown: previous");
        assert_eq!(scene.connect(during, frontend), B, "new: current");
        scene.set(asking(A, A));
        assert_eq!(scene.connect(after, frontend), A);
        scene.set(asking(C, A));
        for _ in 0..2 {
            assert_eq!(scene.send(&scene.data(old, frontend)), Ok(A));
            assert_eq!(scene.send(&scene.data(during, frontend)), Ok(B));
            assert_eq!(scene.send(&scene.data(after, frontend)), Ok(A));
        }
        let noted = scene.kernel.flow("OLD", old, frontend).expect("keeps the slot from settling");
        assert_eq!((noted.backend, noted.slot, noted.seen), (A, 0, scene.kernel.now()));
        assert_eq!(flows(&scene, "OLD"), 1, "flows that FLOWS knows are not old");
    });
}

#[test]
fn live_connection_is_not_moved_by_a_forged_syn() {
    everywhere(settled(A), |mut scene| {
        let (old, new, frontend) = (scene.client(40_000), scene.client(40_001), scene.frontend());
        assert_eq!(scene.connect(old, frontend), A);
        scene.set(asking(B, A));
        assert_eq!(scene.connect(new, frontend), B);
        scene.set(asking(C, A));
        assert_eq!(scene.send(&Frame::syn(old, frontend, 5)), Ok(A));
        assert_eq!(scene.send(&Frame::syn(new, frontend, 5)), Ok(B));
        assert_eq!(scene.send(&scene.data(old, frontend)), Ok(A));
        assert_eq!(scene.send(&scene.data(new, frontend)), Ok(B));
    });
}

#[test]
fn flow_of_a_dead_backend_is_reset_and_may_begin_anew() {
    everywhere(asking(B, A), |mut scene| {
        let (client, frontend) = (scene.client(40_000), scene.frontend());
        assert_eq!(scene.connect(client, frontend), B);
        let pod = scene.pod(B);
        scene.kernel.kill(B, pod, 1);
        scene.set(asking(C, A));
        assert_eq!(scene.send(&scene.data(client, frontend)), Err(Verdict::BackendDead));
        assert_eq!(scene.send(&Frame::syn(client, frontend, ISN + 9)), Ok(C));
    });
}

#[test]
fn id_that_was_given_to_another_endpoint_is_a_dead_backend_to_older_flows() {
    everywhere(asking(B, A), |mut scene| {
        let (client, frontend) = (scene.client(40_000), scene.frontend());
        assert_eq!(scene.connect(client, frontend), B);
        let other = scene.pod(C);
        scene.kernel.backend(B, other, 2);
        assert_eq!(scene.send(&scene.data(client, frontend)), Err(Verdict::BackendDead));
    });
}

#[test]
fn settled_slot_whose_backend_is_dead_refuses() {
    everywhere(settled(A), |mut scene| {
        let (client, frontend) = (scene.client(40_000), scene.frontend());
        assert_eq!(scene.connect(client, frontend), A);
        let pod = scene.pod(A);
        scene.kernel.kill(A, pod, 1);
        assert_eq!(scene.send(&scene.data(client, frontend)), Err(Verdict::BackendDead));
        assert_eq!(scene.send(&Frame::syn(client, frontend, 1)), Err(Verdict::BackendDead));
    });
}

#[test]
fn stray_segment_is_reset_and_leaves_nothing() {
    for slot in [settled(A), asking(B, A)] {
        everywhere(slot, |mut scene| {
            let (client, frontend) = (scene.client(40_000), scene.frontend());
            assert_eq!(scene.send(&scene.data(client, frontend)), Err(Verdict::NoState));
            assert_eq!(replies(&scene, "REPLIES") + replies(&scene, "REPLY_EMBRYO"), 0);
            assert_eq!(flows(&scene, "FLOWS") + flows(&scene, "EMBRYO") + flows(&scene, "OLD"), 0);
        });
    }
}

#[test]
fn flood_of_syns_and_stray_acks_evicts_no_established_flow() {
    for family in FAMILIES {
        let mut scene = Scene::new(family, Hook::Xdp, TCP, settled(A));
        let frontend = scene.frontend();
        let clients: Vec<_> = (0..50).map(|n| scene.client(40_000 + n)).collect();
        for client in &clients[..25] {
            assert_eq!(scene.connect(*client, frontend), A);
        }
        scene.set(asking(B, A));
        for client in &clients[25..] {
            assert_eq!(scene.connect(*client, frontend), B);
        }
        // The LRU maps of this suite hold 4,096.
        for number in 0..20_000 {
            let stranger = scene.stranger(number);
            assert_eq!(scene.send(&Frame::syn(stranger, frontend, number)), Ok(B));
            let ack = Frame::tcp(stranger, frontend, tcp::ACK).numbers(number + 1, number);
            assert_eq!(scene.send(&ack), Ok(B), "the right sequence number, a guessed acknowledgement");
        }
        assert_eq!((flows(&scene, "FLOWS"), replies(&scene, "REPLIES")), (25, 50));
        for client in &clients[..25] {
            assert_eq!(scene.send(&scene.data(*client, frontend)), Ok(A));
        }
        for client in &clients[25..] {
            assert_eq!(scene.send(&scene.data(*client, frontend)), Ok(B));
        }
    }
}

#[test]
fn full_maps_refuse_what_they_could_not_keep() {
    for family in FAMILIES {
        for (map, verdict) in [("FLOWS", Verdict::FlowsFull), ("REPLIES", Verdict::RepliesFull)] {
            let name: &'static str = format!("{map}{}", if family == Family::V4 { 4 } else { 6 }).leak();
            let kernel = Kernel::with_maps(&[(name, 1)]);
            let mut scene = Scene::with_kernel(kernel, family, Hook::Xdp, TCP, asking(B, A));
            let (first, second, frontend) = (scene.client(40_000), scene.client(40_001), scene.frontend());
            assert_eq!(scene.connect(first, frontend), B);
            assert_eq!(scene.send(&Frame::syn(second, frontend, ISN)), Ok(B));
            scene.answer(B, second, frontend);
            assert_eq!(scene.send(&scene.ack(second, frontend)), Err(verdict));
            assert_eq!(scene.send(&scene.data(first, frontend)), Ok(B));
        }
    }
}

#[test]
fn end_of_a_connection_is_marked_by_either_side() {
    everywhere(asking(B, A), |mut scene| {
        let (client, frontend, pod) = (scene.client(40_000), scene.frontend(), scene.pod(B));
        scene.connect(client, frontend);
        let fin = scene.data(client, frontend);
        let from_client = Frame { transport: with_flags(&fin, tcp::FIN | tcp::ACK), ..fin.clone() };
        assert_eq!(scene.send(&from_client), Ok(B));
        let states = |scene: &Scene| {
            let reply = scene.kernel.reply("REPLIES", client, pod).unwrap().2;
            (
                scene.kernel.flow("FLOWS", client, frontend).unwrap().state & !state::SERVER_ISN,
                reply & !state::SERVER_ISN,
            )
        };
        assert_eq!(states(&scene), (state::CLIENT_FIN, state::CLIENT_FIN));
        let from_pod = Frame { transport: with_flags(&fin, tcp::FIN | tcp::ACK), ..fin.clone().reversed() };
        scene.reply(B, client, frontend, &from_pod);
        assert_eq!(
            states(&scene),
            (state::CLIENT_FIN | state::SERVER_FIN, state::CLIENT_FIN | state::SERVER_FIN)
        );
        scene.set(asking(C, A));
        assert_eq!(scene.send(&Frame::syn(client, frontend, ISN + 5)), Ok(C), "a closing flow holds nobody");
    });
}

#[test]
fn rst_that_the_ends_do_not_believe_ends_nothing() {
    for slot in [settled(B), asking(B, A)] {
        everywhere(slot, |mut scene| {
            let (client, frontend, pod) = (scene.client(40_000), scene.frontend(), scene.pod(B));
            scene.connect(client, frontend);
            let data = scene.data(client, frontend);
            let rst = Frame { transport: with_flags(&data, tcp::RST), ..data.clone() };
            let states = |scene: &Scene| {
                let flow = scene.kernel.flow("FLOWS", client, frontend).map_or(0, |flow| flow.state);
                [scene.kernel.reply("REPLIES", client, pod).unwrap().2, flow].map(|s| s & state::RST != 0)
            };
            let is_asking = slot.previous != backend::NONE;
            assert_eq!(scene.send(&rst), Ok(B));
            assert_eq!(states(&scene), [true, is_asking]);
            assert_eq!(scene.send(&data), Ok(B));
            assert_eq!(states(&scene), [false, false], "the client goes on");
            assert_eq!(scene.send(&rst), Ok(B));
            scene.reply(B, client, frontend, &data.clone().reversed());
            assert_eq!(states(&scene), [false, false], "the pod goes on");
        });
    }
}

fn with_flags(frame: &Frame, to: u8) -> crate::frame::Transport {
    let mut transport = frame.transport.clone();
    if let crate::frame::Transport::Tcp { flags, .. } = &mut transport {
        *flags = to;
    }
    transport
}

#[test]
fn same_client_port_to_two_frontends_takes_another_pod_and_is_found_again() {
    for family in FAMILIES {
        let mut scene = Scene::new(family, Hook::Xdp, TCP, settled(A));
        let second_ring = scene.kernel.ring(&[settled(A), settled(B)]);
        let (first, second) = (scene.frontend(), scene.other_frontend());
        scene.kernel.frontend(second, TCP, second_ring, 0);
        // A port whose own slot on the second ring is A's.
        let client =
            (40_000..50_000).map(|port| scene.client(port)).find(|c| slot_of(*c, second) & 1 == 0).unwrap();
        assert_eq!(scene.connect(client, first), A);
        assert_eq!(scene.connect(client, second), B, "A is taken by the other frontend");
        for _ in 0..2 {
            assert_eq!(scene.send(&scene.data(client, first)), Ok(A));
            assert_eq!(scene.send(&scene.data(client, second)), Ok(B));
            scene.reply(A, client, first, &scene.data(client, client));
            scene.reply(B, client, second, &scene.data(client, client));
        }
        let rst = scene.data(client, first);
        let rst = Frame { transport: with_flags(&rst, tcp::RST), ..rst };
        assert_eq!(scene.send(&rst), Ok(A));
        assert_eq!(scene.send(&scene.data(client, second)), Ok(B), "live ones stay");
        let second_syn = Frame::syn(client, second, ISN + 50);
        assert_eq!(scene.send(&second_syn), Ok(A), "the claim of a connection that is over gives way");
    }
}

#[test]
fn client_port_without_a_free_pod_is_dropped_and_counted() {
    everywhere(settled(A), |mut scene| {
        let (client, first, second) = (scene.client(40_000), scene.frontend(), scene.other_frontend());
        assert_eq!(scene.connect(client, first), A);
        assert_eq!(scene.send(&Frame::syn(client, second, ISN)), Err(Verdict::NoCandidate));
        assert_eq!(scene.send(&scene.data(client, second)), Err(Verdict::NoState));
        assert_eq!(scene.send(&scene.data(client, first)), Ok(A));
    });
}

#[test]
fn unfinished_handshake_of_another_frontend_gives_way_in_time() {
    everywhere(settled(A), |mut scene| {
        let (client, first, second) = (scene.client(40_000), scene.frontend(), scene.other_frontend());
        assert_eq!(scene.send(&Frame::syn(client, first, ISN)), Ok(A));
        assert_eq!(scene.send(&Frame::syn(client, second, ISN)), Err(Verdict::NoCandidate));
        scene.kernel.later(limits::EMBRYO_SECONDS);
        assert_eq!(scene.send(&Frame::syn(client, second, ISN)), Ok(A));
    });
}

/// The flow hash, from the outside.
fn slot_of(client: std::net::SocketAddr, frontend: std::net::SocketAddr) -> u32 {
    use std::net::IpAddr;
    let seed = 7;
    match (client.ip(), frontend.ip()) {
        (IpAddr::V4(c), IpAddr::V4(f)) => {
            let word = |ip: std::net::Ipv4Addr| u32::from_le_bytes(ip.octets());
            hash::flow4(word(c), word(f), client.port(), frontend.port(), TCP, seed)
        }
        (IpAddr::V6(c), IpAddr::V6(f)) => {
            let words = |ip: std::net::Ipv6Addr| {
                let bytes = ip.octets();
                [0, 4, 8, 12].map(|at| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()))
            };
            hash::flow6(words(c), words(f), client.port(), frontend.port(), TCP, seed)
        }
        _ => panic!("one family per packet"),
    }
}

#[test]
fn pseudo_backends_decide_by_their_verdict() {
    let pseudo = [
        (backend::KERNEL, Verdict::Kernel),
        (backend::AGENT, Verdict::Agent),
        (backend::REFUSE, Verdict::Refused),
        (backend::DROP, Verdict::Dropped),
        (7, Verdict::RingMissing),
    ];
    for (id, verdict) in pseudo {
        everywhere(settled(id), |mut scene| {
            let (client, frontend) = (scene.client(40_000), scene.frontend());
            assert_eq!(scene.send(&Frame::syn(client, frontend, ISN)), Err(verdict));
            assert_eq!(scene.send(&scene.data(client, frontend)), Err(verdict));
        });
    }
}

#[test]
fn syn_that_was_turned_away_is_a_new_one_when_it_comes_again() {
    for id in [backend::REFUSE, backend::DROP] {
        everywhere(asking(id, A), |mut scene| {
            let syn = Frame::syn(scene.client(40_000), scene.frontend(), ISN);
            assert!(scene.send(&syn).is_err());
            scene.set(asking(B, A));
            assert_eq!(scene.send(&syn), Ok(B));
        });
    }
}

#[test]
fn first_condition_moves_new_connections_to_the_agent_and_no_live_one() {
    everywhere(settled(A), |mut scene| {
        let (old, new, frontend) = (scene.client(40_000), scene.client(40_001), scene.frontend());
        assert_eq!(scene.connect(old, frontend), A);
        scene.set(asking(backend::AGENT, A));
        assert_eq!(scene.send(&scene.data(old, frontend)), Ok(A));
        assert_eq!(scene.send(&Frame::syn(new, frontend, ISN)), Err(Verdict::Agent));
        let syn_ack = Frame::tcp(frontend, new, tcp::SYN | tcp::ACK).numbers(POD_ISN, ISN + 1).bytes();
        scene.kernel.expect(Hook::Egress, &syn_ack, Verdict::EgressNotOurs, &syn_ack);
        assert_eq!(scene.send(&scene.ack(new, frontend)), Err(Verdict::Agent));
        assert_eq!(scene.kernel.flow("FLOWS", new, frontend).expect("promoted").backend, backend::AGENT);
        // The last condition goes.
        scene.set(asking(B, A));
        assert_eq!(scene.send(&scene.data(new, frontend)), Err(Verdict::Agent));
        assert_eq!(scene.send(&scene.data(old, frontend)), Ok(A));
        assert_eq!(scene.connect(scene.client(40_002), frontend), B);
    });
}

#[test]
fn frontend_that_was_the_kernels_takes_new_connections_only() {
    everywhere(asking(A, backend::KERNEL), |mut scene| {
        let (old, new, frontend) = (scene.client(40_000), scene.client(40_001), scene.frontend());
        assert_eq!(scene.send(&scene.data(old, frontend)), Err(Verdict::Kernel));
        assert_eq!(scene.connect(new, frontend), A);
        assert_eq!(scene.kernel.flow("OLD", old, frontend).expect("noted").backend, backend::KERNEL);
    });
}

#[test]
fn without_heartbeat_new_connections_go_to_the_kernel_and_live_ones_stay() {
    everywhere(settled(A), |mut scene| {
        let (old, new, frontend) = (scene.client(40_000), scene.client(40_001), scene.frontend());
        let clock = Settings {
            refusals: 1000,
            hash_seed: 7,
            now: monotonic(),
            stale_after: 60,
            ..Settings::default()
        };
        scene.kernel.settings(clock);
        assert_eq!(scene.connect(old, frontend), A);
        scene.kernel.settings(Settings { now: monotonic().saturating_sub(62), ..clock });
        assert_eq!(scene.send(&scene.data(old, frontend)), Ok(A));
        assert_eq!(scene.send(&Frame::syn(new, frontend, ISN)), Err(Verdict::Stale));
        let syn_ack = Frame::tcp(frontend, new, tcp::SYN | tcp::ACK).numbers(POD_ISN, ISN + 1).bytes();
        scene.kernel.expect(Hook::Egress, &syn_ack, Verdict::EgressNotOurs, &syn_ack);
        assert_eq!(scene.send(&scene.ack(new, frontend)), Err(Verdict::Kernel));
        scene.kernel.settings(Settings { now: monotonic(), ..clock });
        assert_eq!(
            scene.send(&scene.data(new, frontend)),
            Err(Verdict::Kernel),
            "it is the kernel's for good"
        );
        assert_eq!(scene.connect(scene.client(40_002), frontend), A);
        scene.kernel.settings(Settings { now: monotonic().saturating_sub(1_000), paused: 1_000, ..clock });
        assert_eq!(
            scene.connect(scene.client(40_003), frontend),
            A,
            "the clock stood still, the agent is back"
        );
    });
}

fn monotonic() -> u32 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u32::try_from(time.tv_sec).unwrap()
}

#[test]
fn syn_ack_to_a_frontend_is_passed() {
    for slot in [settled(A), settled(backend::REFUSE), settled(backend::DROP)] {
        everywhere(slot, |mut scene| {
            let frame = Frame::tcp(scene.client(443), scene.frontend(), tcp::SYN | tcp::ACK);
            assert_eq!(scene.send(&frame), Err(Verdict::SynAck));
        });
    }
}
