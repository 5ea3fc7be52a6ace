//! The way back: a pod's replies show the frontend.

use gateway_common::{
    abi::{backend, flow::state, frontend::flags},
    packet::{eth, tcp},
    verdict::Verdict,
};

use crate::{
    frame::{Frame, Transport},
    kernel::{Hook, PATHS, TCP, UDP},
    scene::{A, B, FAMILIES, Family, ISN, POD_ISN, Scene, settled},
};

#[test]
fn source_becomes_the_frontend_and_checksums_are_whole() {
    for family in FAMILIES {
        let mut scene = Scene::new(family, Hook::Xdp, TCP, settled(A));
        let (client, frontend) = (scene.client(40_000), scene.frontend());
        scene.connect(client, frontend);
        scene.kernel.frontend(frontend, UDP, 0, 0);
        scene.send(&Frame::udp(client, frontend)).unwrap();
        let data = scene.data(client, client);
        let udp = Frame::udp(client, client);
        let mut replies = vec![
            ("TCP", data.clone()),
            ("TCP, odd", data.clone().payload(b"odd")),
            ("TCP, empty", data.clone().payload(b"")),
            ("TCP in a VLAN", data.clone().tagged(&[eth::VLAN])),
            ("UDP", udp.clone()),
            ("UDP in QinQ", udp.clone().tagged(&[eth::QINQ, eth::VLAN])),
        ];
        if family == Family::V4 {
            replies.push((
                "UDP without checksum",
                Frame { transport: Transport::Udp { has_checksum: false }, ..udp },
            ));
            replies.push(("IP options", Frame { options: vec![1; 12], ..data }));
        } else {
            let extensions = vec![(60, vec![0, 1, 4, 0, 0, 0, 0])];
            replies.push(("extension header", Frame { extensions, ..data }));
        }
        for (name, reply) in replies {
            println!("{family:?} {name}");
            scene.reply(A, client, frontend, &reply);
        }
    }
}

#[test]
fn replies_of_a_handshake_are_turned_back_too() {
    for family in FAMILIES {
        let mut scene = Scene::new(family, Hook::Xdp, TCP, settled(A));
        let (client, frontend) = (scene.client(40_000), scene.frontend());
        scene.send(&Frame::syn(client, frontend, ISN)).unwrap();
        scene.answer(A, client, frontend);
        let rst = Frame::tcp(client, client, tcp::RST | tcp::ACK).numbers(0, ISN + 1);
        scene.reply(A, client, frontend, &rst);
        assert_eq!(scene.kernel.reply("REPLIES", client, scene.pod(A)), None, "a RST ends it");
        // Another SYN; what a pod sends after its SYN-ACK proves the handshake.
        scene.send(&Frame::syn(client, frontend, ISN + 4)).unwrap();
        scene.answer(A, client, frontend);
        scene.reply(A, client, frontend, &scene.data(client, client));
        let (id, _, state) = scene.kernel.reply("REPLIES", client, scene.pod(A)).expect("promoted");
        assert_eq!((id, state), (A, state::SERVER_ISN));
    }
}

#[test]
fn a_client_that_uses_its_port_again_for_the_pod_itself_hears_the_pod() {
    for family in FAMILIES {
        let mut scene = Scene::new(family, Hook::Xdp, TCP, settled(A));
        let (client, frontend, pod) = (scene.client(40_000), scene.frontend(), scene.pod(A));
        scene.connect(client, frontend);
        let syn_ack = Frame::tcp(pod, client, tcp::SYN | tcp::ACK).numbers(POD_ISN, ISN + 1);
        scene.reply(
            A,
            client,
            frontend,
            &Frame::tcp(client, client, tcp::SYN | tcp::ACK).numbers(POD_ISN, ISN + 1),
        );
        let fin = tcp::FIN | tcp::ACK;
        scene.send(&Frame::tcp(client, frontend, fin).numbers(ISN + 1, POD_ISN + 1)).unwrap();
        scene.reply(A, client, frontend, &Frame::tcp(client, client, fin).numbers(POD_ISN + 1, ISN + 2));
        // Its last one, that did not arrive.
        scene.reply(A, client, frontend, &Frame::tcp(client, client, fin).numbers(POD_ISN + 1, ISN + 2));
        for frame in [syn_ack, Frame::tcp(pod, client, tcp::ACK).numbers(POD_ISN + 1, ISN + 2)] {
            scene.kernel.expect(Hook::Egress, &frame.bytes(), Verdict::EgressNotOurs, &frame.bytes());
        }
        scene.connect(client, frontend);
        scene.reply(A, client, frontend, &scene.data(client, client));
    }
}

#[test]
fn a_client_that_uses_its_udp_port_again_for_the_pod_itself_hears_the_pod() {
    for family in FAMILIES {
        for hook in PATHS {
            let mut scene = Scene::new(family, hook, UDP, settled(A));
            let (client, frontend, pod) = (scene.client(40_000), scene.frontend(), scene.pod(A));
            let (request, answer) = (Frame::udp(client, frontend), Frame::udp(client, client));
            for times in 1..=2 {
                assert_eq!(scene.send(&request), Ok(A));
                scene.reply(A, client, frontend, &answer);
                assert_eq!(scene.kernel.route_stats(A).new_flows, times, "each time it is a flow anew");
                scene.kernel.later(2);
                // What the pod goes on to say does not make the client's last request any later.
                scene.reply(A, client, frontend, &answer);
                for (hook, frame, verdict) in [
                    (hook, Frame::udp(client, pod), Verdict::NotOurs),
                    (Hook::Egress, Frame::udp(pod, client), Verdict::EgressNotOurs),
                ] {
                    scene.kernel.expect(hook, &frame.bytes(), verdict, &frame.bytes());
                }
            }
        }
    }
}

#[test]
fn a_client_that_asks_the_pod_itself_each_second_hears_it_soon() {
    for family in FAMILIES {
        for hook in PATHS {
            let mut scene = Scene::new(family, hook, UDP, settled(A));
            let (client, pod) = (scene.client(40_000), scene.pod(A));
            assert_eq!(scene.send(&Frame::udp(client, scene.frontend())), Ok(A));
            let (request, answer) = (Frame::udp(client, pod).bytes(), Frame::udp(pod, client).bytes());
            let heard: Vec<Verdict> = (0..4)
                .map(|_| {
                    scene.kernel.expect(hook, &request, Verdict::NotOurs, &request);
                    let verdict = scene.kernel.run(Hook::Egress, &answer).verdict;
                    scene.kernel.later(1);
                    verdict
                })
                .collect();
            assert_eq!(heard[2..], [Verdict::EgressNotOurs; 2], "{heard:?}");
        }
    }
}

#[test]
fn a_datagram_that_two_devices_of_the_node_see_keeps_its_flow() {
    for family in FAMILIES {
        for hook in PATHS {
            let mut scene = Scene::new(family, hook, UDP, settled(A));
            let (client, frontend) = (scene.client(40_000), scene.frontend());
            // The VLAN device besides its parent; the agent's heartbeat may fall in between.
            for (pause, between) in [(0, 0), (0, 1), (100, 0), (100, 1)] {
                scene.kernel.later(pause);
                assert_eq!(scene.send(&Frame::udp(client, frontend)), Ok(A));
                scene.kernel.later(between);
                let inside = Frame::udp(client, scene.pod(A)).bytes();
                scene.kernel.expect(Hook::Ingress, &inside, Verdict::NotOurs, &inside);
                scene.reply(A, client, frontend, &Frame::udp(client, client));
            }
            assert_eq!(scene.kernel.route_stats(A).new_flows, 1);
        }
    }
}

#[test]
fn packets_of_pods_that_answer_nobody_pass_untouched() {
    for family in FAMILIES {
        let mut scene = Scene::new(family, Hook::Xdp, TCP, settled(A));
        let (client, frontend) = (scene.client(40_000), scene.frontend());
        scene.connect(client, frontend);
        let elsewhere = [
            scene.data(scene.client(40_001), frontend).reversed().from(scene.pod(A)),
            scene.data(client, frontend).reversed().from(scene.pod(B)),
            Frame::udp(scene.pod(A), client),
        ];
        for frame in elsewhere {
            scene.kernel.expect(Hook::Egress, &frame.bytes(), Verdict::EgressNotOurs, &frame.bytes());
        }
    }
}

#[test]
fn client_leg_of_the_agent_is_counted_per_gateway() {
    for family in FAMILIES {
        for hook in crate::kernel::PATHS {
            let mut scene = Scene::new(family, hook, TCP, settled(backend::AGENT));
            let (client, frontend) = (scene.client(40_000), scene.frontend());
            scene.kernel.frontend(frontend, TCP, scene.ring, flags::AGENT_LISTENS);
            let request = scene.data(client, frontend).payload(b"GET / HTTP/1.1\r\n\r\n");
            let reply = request.clone().reversed().payload(b"HTTP/1.1 200 OK\r\n\r\n");
            scene.kernel.expect(hook, &request.bytes(), Verdict::Agent, &request.bytes());
            scene.kernel.expect(Hook::Egress, &reply.bytes(), Verdict::AgentReply, &reply.bytes());
            let stats = scene.kernel.traffic("GATEWAY_STATS", 3);
            assert_eq!((stats.packets, stats.bytes), (1, request.ip_len()));
            assert_eq!((stats.reply_packets, stats.reply_bytes), (1, reply.ip_len()));
        }
    }
}

#[test]
fn buffer_of_several_segments_counts_as_its_segments() {
    for family in FAMILIES {
        let mut scene = Scene::new(family, Hook::Xdp, TCP, settled(A));
        let (client, frontend) = (scene.client(40_000), scene.frontend());
        scene.connect(client, frontend);
        let before = scene.kernel.route_stats(A);
        let frame = scene.data(client, client).from(scene.pod(A)).payload(&[7; 3000]);
        let outcome = scene.kernel.run_gso(Hook::Egress, &frame.bytes(), 3, 1000);
        assert_eq!(outcome.verdict, Verdict::Reply);
        let headers = frame.ip_len() - 3000;
        let after = scene.kernel.route_stats(A);
        assert_eq!(after.reply_packets - before.reply_packets, 3);
        assert_eq!(after.reply_bytes - before.reply_bytes, 3000 + 3 * headers);
    }
}

#[test]
fn last_seen_follows_both_directions() {
    for family in FAMILIES {
        let mut scene = Scene::new(family, Hook::Xdp, TCP, settled(A));
        let (client, frontend) = (scene.client(40_000), scene.frontend());
        scene.connect(client, frontend);
        let seen = |scene: &Scene| scene.kernel.reply("REPLIES", client, scene.pod(A)).unwrap().1;
        scene.kernel.later(100);
        scene.send(&scene.data(client, frontend)).unwrap();
        assert_eq!(seen(&scene), scene.kernel.now());
        scene.kernel.later(100);
        scene.reply(A, client, frontend, &scene.data(client, client).numbers(POD_ISN + 1, ISN + 1));
        assert_eq!(seen(&scene), scene.kernel.now());
    }
}
