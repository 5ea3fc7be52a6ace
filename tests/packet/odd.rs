//! Packets that are cut off, split, or not what they seem: never misread, never touched.

use gateway_common::{
    packet::{eth, ip, tcp},
    verdict::{Action, Verdict},
};

use crate::{
    frame::Frame,
    kernel::{Hook, PATHS, TCP, UDP},
    scene::{A, FAMILIES, Family, ISN, Scene, settled},
};

/// The shortest packet that the kernel's test run takes: an Ethernet header; for a socket buffer also the fixed part
/// of the IP header that it announces.
fn shortest(hook: Hook, frame: &Frame) -> usize {
    match (hook, frame.source.is_ipv4()) {
        (Hook::Xdp, _) => eth::HEADER,
        (Hook::Ingress | Hook::Egress | Hook::PodOut, true) => frame.l3() + ip::HEADER4,
        (Hook::Ingress | Hook::Egress | Hook::PodOut, false) => frame.l3() + ip::HEADER6,
    }
}

fn scene(family: Family, hook: Hook) -> Scene {
    let mut scene = Scene::new(family, hook, TCP, settled(A));
    let frontend = scene.frontend();
    scene.kernel.frontend(frontend, UDP, 0, 0);
    scene
}

/// One of each shape, for a client port of its own.
fn shapes(scene: &Scene) -> Vec<Frame> {
    let frontend = scene.frontend();
    let mut frames = vec![
        Frame::syn(scene.client(40_000), frontend, ISN).payload(b"data"),
        Frame::udp(scene.client(40_001), frontend),
        Frame::syn(scene.client(40_002), frontend, ISN).tagged(&[eth::QINQ, eth::VLAN]),
    ];
    let (tcp, udp) =
        (Frame::syn(scene.client(40_003), frontend, ISN), Frame::udp(scene.client(40_004), frontend));
    match scene.family {
        Family::V4 => {
            frames.push(Frame { options: vec![1; 8], ..tcp });
            frames.push(Frame { options: vec![1; 40], ..udp });
        }
        Family::V6 => {
            let extension = (ip::DESTINATION, vec![0, 1, 4, 0, 0, 0, 0]);
            frames.push(Frame { extensions: vec![extension.clone(); 4], ..tcp });
            frames.push(Frame { extensions: vec![extension], ..udp });
        }
    }
    frames
}

#[test]
fn packet_cut_off_at_any_length_passes_untouched() {
    for family in FAMILIES {
        for hook in PATHS {
            let mut scene = scene(family, hook);
            for frame in shapes(&scene) {
                let whole = frame.bytes();
                for length in shortest(hook, &frame)..whole.len() {
                    scene.kernel.expect(hook, &whole[..length], Verdict::Truncated, &whole[..length]);
                }
                assert_eq!(scene.kernel.run(hook, &whole).verdict, Verdict::Local, "the whole packet goes");
            }
        }
    }
}

#[test]
fn reply_cut_off_at_any_length_passes_untouched() {
    for family in FAMILIES {
        let mut scene = scene(family, Hook::Xdp);
        let (client, frontend, pod) = (scene.client(40_000), scene.frontend(), scene.pod(A));
        scene.connect(client, frontend);
        let frame = scene.data(client, client).from(pod);
        let whole = frame.bytes();
        for length in shortest(Hook::Egress, &frame)..whole.len() {
            scene.kernel.expect(Hook::Egress, &whole[..length], Verdict::Truncated, &whole[..length]);
        }
    }
}

#[test]
fn frame_that_is_longer_than_its_packet_is_served() {
    for family in FAMILIES {
        for hook in PATHS {
            let mut scene = scene(family, hook);
            let frame = Frame::syn(scene.client(40_000), scene.frontend(), ISN);
            let padded = |frame: &Frame| [frame.bytes(), vec![0; 6]].concat();
            let expected = padded(&frame.clone().to(scene.pod(A)));
            scene.kernel.expect(hook, &padded(&frame), Verdict::Local, &expected);
            assert_eq!(scene.kernel.route_stats(A).bytes, frame.ip_len(), "padding is not counted");
        }
    }
}

#[test]
fn lengths_that_contradict_each_other_pass_untouched() {
    for family in FAMILIES {
        for hook in PATHS {
            let mut scene = scene(family, hook);
            let frame = Frame::syn(scene.client(40_000), scene.frontend(), ISN);
            let (l3, l4) = (frame.l3(), frame.l4());
            let mut broken =
                vec![("data offset below a header", l4 + 12, 0x40), ("data offset beyond", l4 + 12, 0x60)];
            match family {
                Family::V4 => broken.extend([
                    ("version 6 in an IPv4 frame", l3, 0x65),
                    ("header length below a header", l3, 0x44),
                    ("header length beyond", l3, 0x4f),
                    ("packet without its TCP header", l3 + 3, 30),
                ]),
                Family::V6 => broken.extend([
                    ("version 4 in an IPv6 frame", l3, 0x45),
                    ("payload without its TCP header", l3 + 5, 19),
                ]),
            }
            for (name, at, byte) in broken {
                println!("{hook:?} {family:?} {name}");
                let mut bytes = frame.bytes();
                bytes[at] = byte;
                scene.kernel.expect(hook, &bytes, Verdict::Truncated, &bytes);
            }
        }
    }
}

#[test]
fn fragments_pass_with_a_verdict_of_their_own() {
    for hook in PATHS {
        let mut scene = scene(Family::V4, hook);
        let frame = Frame::udp(scene.client(40_000), scene.frontend());
        for (name, fragment) in [("first", [0x20, 0]), ("middle", [0x20, 0x10]), ("last", [0, 0x10])] {
            println!("{hook:?} {name}");
            let mut bytes = frame.bytes();
            let l3 = frame.l3();
            bytes[l3 + 6..l3 + 8].copy_from_slice(&fragment);
            scene.kernel.expect(hook, &bytes, Verdict::Fragment, &bytes);
        }
        let mut scene = self::scene(Family::V6, hook);
        let fragment = (ip::FRAGMENT, vec![0, 0, 1, 0, 0, 0, 9]);
        let padding = (ip::HOP_BY_HOP, vec![0, 1, 4, 0, 0, 0, 0]);
        for extensions in [
            vec![fragment.clone()],
            vec![padding.clone(), fragment.clone()],
            vec![padding.clone(), padding.clone(), padding.clone(), padding, fragment],
        ] {
            let bytes = Frame { extensions, ..Frame::udp(scene.client(40_000), scene.frontend()) }.bytes();
            scene.kernel.expect(hook, &bytes, Verdict::Fragment, &bytes);
        }
    }
}

#[test]
fn extension_headers_that_are_not_followed_to_their_end_pass_untouched() {
    for hook in PATHS {
        let mut scene = scene(Family::V6, hook);
        let padding = (ip::DESTINATION, vec![0, 1, 4, 0, 0, 0, 0]);
        let lists = [
            ("five", vec![padding.clone(); 5]),
            ("a route that has another hop", vec![(ip::ROUTING, vec![0, 0, 1, 0, 0, 0, 0])]),
            ("too long", vec![(ip::DESTINATION, [vec![24], vec![0; 198]].concat())]),
        ];
        for (name, extensions) in lists {
            println!("{hook:?} {name}");
            let bytes = Frame { extensions, ..Frame::udp(scene.client(40_000), scene.frontend()) }.bytes();
            scene.kernel.expect(hook, &bytes, Verdict::ExtensionHeaders, &bytes);
        }
    }
}

#[test]
fn what_is_neither_ip_nor_tcp_nor_udp_passes_untouched() {
    for family in FAMILIES {
        for hook in [Hook::Xdp, Hook::Ingress, Hook::Egress] {
            let mut scene = scene(family, hook);
            let frame = Frame::syn(scene.client(40_000), scene.frontend(), ISN);
            let mut other = frame.bytes();
            other[frame.l3() + if family == Family::V4 { 9 } else { 6 }] = 132;
            scene.kernel.expect(hook, &other, Verdict::OtherProtocol, &other);
            let mut arp = frame.bytes();
            arp[12..14].copy_from_slice(&[8, 6]);
            scene.kernel.expect(hook, &arp, Verdict::NotIp, &arp);
            let tags = frame.tagged(&[eth::QINQ, eth::VLAN, eth::VLAN]).bytes();
            scene.kernel.expect(hook, &tags, Verdict::NotIp, &tags);
        }
    }
}

#[test]
fn any_byte_may_be_wrong() {
    for family in FAMILIES {
        for hook in PATHS {
            let mut scene = scene(family, hook);
            for frame in shapes(&scene) {
                let whole = frame.bytes();
                for at in 0..frame.l4() + tcp::HEADER.min(whole.len() - frame.l4()) {
                    for byte in [0, 1, 0x0f, 0x45, 0x60, 0xff] {
                        let mut bytes = whole.clone();
                        bytes[at] = byte;
                        let outcome = scene.kernel.run(hook, &bytes);
                        let is_served = outcome.verdict == Verdict::Local;
                        if outcome.verdict.action() == Action::Pass && !is_served {
                            assert_eq!(outcome.bytes, bytes, "{:?} touches nothing", outcome.verdict);
                        }
                        assert!(!is_served || outcome.bytes.len() == bytes.len());
                    }
                }
            }
        }
    }
}
