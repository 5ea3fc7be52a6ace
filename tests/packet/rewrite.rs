//! The way there: name, bytes in, verdict, bytes out.

use gateway_common::{
    packet::{eth, ip, tcp},
    verdict::Verdict,
};

use crate::{
    frame::{Frame, Transport},
    kernel::{PATHS, TCP, UDP},
    scene::{A, FAMILIES, Family, ISN, Scene, settled},
};

/// Frames to the frontend that go to the pod, with the protocol's number.
fn forwarded(scene: &Scene) -> Vec<(&'static str, Frame)> {
    let frontend = scene.frontend();
    let mut port = 40_000;
    let mut client = || {
        port += 1;
        scene.client(port)
    };
    let mut frames = vec![
        ("TCP SYN", Frame::syn(client(), frontend, ISN)),
        ("TCP SYN with an even payload", Frame::syn(client(), frontend, ISN).payload(b"fast open!")),
        ("TCP SYN with an odd payload", Frame::syn(client(), frontend, ISN).payload(b"odd")),
        ("TCP SYN in a VLAN", Frame::syn(client(), frontend, ISN).tagged(&[eth::VLAN])),
        ("TCP SYN in QinQ", Frame::syn(client(), frontend, ISN).tagged(&[eth::QINQ, eth::VLAN])),
        ("UDP", Frame::udp(client(), frontend)),
        ("UDP without payload", Frame::udp(client(), frontend).payload(b"")),
        ("UDP in a VLAN", Frame::udp(client(), frontend).tagged(&[eth::VLAN])),
        ("UDP as large as a frame", Frame::udp(client(), frontend).payload(&[0xa5; 1400])),
    ];
    let options = vec![2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 3, 3, 7];
    let transport = Transport::Tcp { sequence: ISN, acknowledged: 0, flags: tcp::SYN, options };
    frames.push(("TCP SYN with options", Frame { transport, ..Frame::syn(client(), frontend, ISN) }));
    match scene.family {
        Family::V4 => {
            let without = Transport::Udp { has_checksum: false };
            frames.push((
                "UDP without checksum",
                Frame { transport: without, ..Frame::udp(client(), frontend) },
            ));
            // Router alert, and the longest possible.
            let alert = vec![0x94, 4, 0, 0];
            frames.push(("IP option", Frame { options: alert, ..Frame::syn(client(), frontend, ISN) }));
            let most = vec![1; 40];
            frames.push((
                "40 bytes of IP options",
                Frame { options: most.clone(), ..Frame::udp(client(), frontend) },
            ));
            let tagged = Frame::syn(client(), frontend, ISN).tagged(&[eth::QINQ, eth::VLAN]);
            frames.push(("40 bytes of IP options in QinQ", Frame { options: most, ..tagged }));
        }
        Family::V6 => {
            // Padding; then a list of several kinds, the authentication header's length being in words.
            let padding = |kind| (kind, vec![0, 1, 4, 0, 0, 0, 0]);
            let hop = vec![padding(ip::HOP_BY_HOP)];
            frames.push((
                "hop-by-hop header",
                Frame { extensions: hop, ..Frame::syn(client(), frontend, ISN) },
            ));
            let several = vec![
                padding(ip::HOP_BY_HOP),
                padding(ip::DESTINATION),
                (ip::ROUTING, vec![0, 0, 0, 0, 0, 0, 0]),
                (ip::AUTHENTICATION, [vec![4], vec![0; 22]].concat()),
            ];
            frames.push((
                "four extension headers",
                Frame { extensions: several, ..Frame::udp(client(), frontend) },
            ));
            let long = vec![(ip::DESTINATION, [vec![22], vec![0; 182]].concat())];
            let tagged = Frame::udp(client(), frontend).tagged(&[eth::QINQ, eth::VLAN]);
            frames.push(("a long extension header in QinQ", Frame { extensions: long, ..tagged }));
        }
    }
    frames
}

/// A scene whose frontends answer both protocols.
fn scene(family: Family, hook: crate::kernel::Hook) -> Scene {
    let mut scene = Scene::new(family, hook, TCP, settled(A));
    let frontend = scene.frontend();
    scene.kernel.frontend(frontend, UDP, 0, 0);
    scene
}

#[test]
fn destination_becomes_the_pod_and_checksums_are_whole() {
    for family in FAMILIES {
        for hook in PATHS {
            let mut scene = scene(family, hook);
            let pod = scene.pod(A);
            for (name, frame) in forwarded(&scene) {
                println!("{hook:?} {family:?} {name}");
                scene.kernel.expect(hook, &frame.bytes(), Verdict::Local, &frame.clone().to(pod).bytes());
            }
        }
    }
}

#[test]
fn frames_of_this_suite_have_checksums_that_etherparse_agrees_with() {
    for family in FAMILIES {
        let scene = scene(family, PATHS[0]);
        for (name, frame) in forwarded(&scene) {
            println!("{family:?} {name}");
            crate::refuse::check(&frame.bytes());
        }
    }
}

#[test]
fn sum_that_comes_to_zero_is_sent_as_all_ones_by_udp() {
    for family in FAMILIES {
        for hook in PATHS {
            let mut scene = scene(family, hook);
            let (client, frontend, pod) = (scene.client(40_000), scene.frontend(), scene.pod(A));
            // Two bytes of payload for which the rewritten checksum is what zero stands for.
            let found = (0..=u16::MAX)
                .map(|word| Frame::udp(client, frontend).payload(&word.to_be_bytes()))
                .find(|frame| {
                    let bytes = frame.clone().to(pod).bytes();
                    bytes[frame.l4() + 6..frame.l4() + 8] == [0xff, 0xff]
                })
                .expect("one of 65,536");
            scene.kernel.expect(hook, &found.bytes(), Verdict::Local, &found.clone().to(pod).bytes());
        }
    }
}

#[test]
fn packets_that_are_not_ours_pass_untouched() {
    for family in FAMILIES {
        for hook in PATHS {
            let mut scene = Scene::new(family, hook, TCP, settled(A));
            let (client, frontend) = (scene.client(40_000), scene.frontend());
            let mut elsewhere = frontend;
            elsewhere.set_port(81);
            let frames = [
                ("another port", Frame::syn(client, elsewhere, ISN)),
                ("another protocol", Frame::udp(client, frontend)),
                ("another address", Frame::syn(client, scene.pod(A), ISN)),
                ("from the frontend", Frame::syn(frontend, client, ISN)),
            ];
            for (name, frame) in frames {
                println!("{hook:?} {family:?} {name}");
                scene.kernel.expect(hook, &frame.bytes(), Verdict::NotOurs, &frame.bytes());
            }
        }
    }
}

#[test]
fn packets_and_bytes_are_counted_per_route_and_endpoint() {
    for family in FAMILIES {
        for hook in PATHS {
            let mut scene = scene(family, hook);
            let (client, frontend) = (scene.client(40_000), scene.frontend());
            scene.connect(client, frontend);
            let data = scene.data(client, frontend).tagged(&[eth::VLAN]);
            scene.send(&data).unwrap();
            let udp = Frame::udp(client, frontend);
            scene.send(&udp).unwrap();
            let bytes = Frame::syn(client, frontend, ISN).ip_len()
                + scene.ack(client, frontend).ip_len()
                + data.ip_len()
                + udp.ip_len();
            let route = scene.kernel.route_stats(A);
            assert_eq!((route.packets, route.bytes, route.new_flows), (4, bytes, 2));
            let syn_ack = Frame::tcp(client, client, 0).ip_len();
            assert_eq!((route.reply_packets, route.reply_bytes), (1, syn_ack));
            let backend = scene.kernel.traffic("BACKEND_STATS", A);
            assert_eq!((backend.packets, backend.bytes), (4, bytes));
            assert_eq!((backend.reply_packets, backend.reply_bytes), (1, syn_ack));
        }
    }
}

#[test]
fn buffer_of_several_segments_counts_as_its_segments() {
    for family in FAMILIES {
        let mut scene = scene(family, crate::kernel::Hook::Ingress);
        let (client, frontend) = (scene.client(40_000), scene.frontend());
        let frame = Frame::syn(client, frontend, ISN).payload(&[7; 3000]);
        let outcome = scene.kernel.run_gso(scene.hook, &frame.bytes(), 3, 1000);
        assert_eq!(outcome.verdict, Verdict::Local);
        let headers = frame.ip_len() - 3000;
        let route = scene.kernel.route_stats(A);
        assert_eq!((route.packets, route.bytes), (3, 3000 + 3 * headers));
    }
}
