//! Refusals: what is sent back, read by an independent parser.

use etherparse::{Icmpv4Slice, Icmpv6Slice, InternetSlice, SlicedPacket, TcpSlice, TransportSlice};
use gateway_common::{
    abi::{backend, settings::Settings},
    packet::{eth, tcp},
    verdict::Verdict,
};

use crate::{
    frame::{CLIENT_MAC, Frame, NODE_MAC, Transport},
    kernel::{Hook, PATHS, TCP, UDP},
    scene::{FAMILIES, Family, ISN, Scene, settled},
};

/// Parses a frame and verifies every checksum in it.
pub fn check(frame: &[u8]) -> SlicedPacket<'_> {
    let packet = SlicedPacket::from_ethernet(frame).expect("a frame");
    let (source, destination) = match packet.net.as_ref().expect("IP") {
        InternetSlice::Ipv4(ip) => {
            let header = ip.header().to_header();
            assert_eq!(header.header_checksum, header.calc_header_checksum(), "IPv4 header");
            (ip.header().source_addr().into(), ip.header().destination_addr().into())
        }
        InternetSlice::Ipv6(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        InternetSlice::Arp(_) => panic!("not IP"),
    };
    let sum =
        |protocol: u8, bytes: &[u8]| crate::frame::pseudo_checksum(source, destination, protocol, bytes);
    match packet.transport.as_ref().expect("a transport header") {
        TransportSlice::Tcp(tcp) => {
            let header = tcp.to_header();
            let expected = match (source, destination) {
                (std::net::IpAddr::V4(s), std::net::IpAddr::V4(d)) => {
                    header.calc_checksum_ipv4_raw(s.octets(), d.octets(), tcp.payload())
                }
                (std::net::IpAddr::V6(s), std::net::IpAddr::V6(d)) => {
                    header.calc_checksum_ipv6_raw(s.octets(), d.octets(), tcp.payload())
                }
                _ => panic!("one family per packet"),
            };
            assert_eq!(Ok(tcp.checksum()), expected, "TCP");
        }
        TransportSlice::Udp(udp) => {
            let header = udp.to_header();
            let expected = match (source, destination) {
                (std::net::IpAddr::V4(s), std::net::IpAddr::V4(d)) => {
                    header.calc_checksum_ipv4_raw(s.octets(), d.octets(), udp.payload())
                }
                (std::net::IpAddr::V6(s), std::net::IpAddr::V6(d)) => {
                    header.calc_checksum_ipv6_raw(s.octets(), d.octets(), udp.payload())
                }
                _ => panic!("one family per packet"),
            };
            assert!(udp.checksum() == 0 || Ok(udp.checksum()) == expected, "UDP");
        }
        TransportSlice::Icmpv4(icmp) => assert_eq!(crate::frame::checksum(icmp.slice()), 0, "ICMP"),
        TransportSlice::Icmpv6(icmp) => assert_eq!(sum(58, icmp.slice()), 0, "ICMPv6"),
        TransportSlice::Igmp(_) => panic!("nothing of ours"),
    }
    packet
}

/// Checks that a frame is an answer to `frame`: addresses and MAC addresses swapped, tags kept, nothing left over.
fn check_answer<'a>(frame: &Frame, answer: &'a [u8]) -> SlicedPacket<'a> {
    assert_eq!((&answer[..6], &answer[6..12]), (&CLIENT_MAC[..], &NODE_MAC[..]));
    assert_eq!(answer[12..frame.l3()], frame.bytes()[12..frame.l3()], "ethertype and tags");
    let packet = check(answer);
    let (source, destination, length) = match packet.net.as_ref().unwrap() {
        InternetSlice::Ipv4(ip) => {
            let header = ip.header();
            (header.source_addr().into(), header.destination_addr().into(), usize::from(header.total_len()))
        }
        InternetSlice::Ipv6(ip) => {
            let header = ip.header();
            (
                std::net::IpAddr::from(header.source_addr()),
                std::net::IpAddr::from(header.destination_addr()),
                40 + usize::from(header.payload_length()),
            )
        }
        InternetSlice::Arp(_) => panic!("not IP"),
    };
    assert_eq!((source, destination), (frame.destination.ip(), frame.source.ip()));
    assert_eq!(frame.l3() + length, answer.len(), "no bytes after the packet");
    packet
}

fn reset<'a>(frame: &Frame, answer: &'a [u8]) -> TcpSlice<'a> {
    let packet = check_answer(frame, answer);
    let Some(TransportSlice::Tcp(tcp)) = packet.transport else { panic!("TCP") };
    assert_eq!((tcp.source_port(), tcp.destination_port()), (frame.destination.port(), frame.source.port()));
    assert!(tcp.rst() && !tcp.syn() && !tcp.fin() && tcp.payload().is_empty());
    tcp
}

#[test]
fn reset_of_a_syn_acknowledges_what_came() {
    for family in FAMILIES {
        for hook in PATHS {
            let mut scene = Scene::new(family, hook, TCP, settled(backend::REFUSE));
            let (client, frontend) = (scene.client(40_000), scene.frontend());
            let options = vec![2, 4, 5, 0xb4, 1, 1, 4, 2];
            let with_options = Transport::Tcp { sequence: ISN, acknowledged: 0, flags: tcp::SYN, options };
            let mut frames = vec![
                (1, Frame::syn(client, frontend, ISN)),
                (5, Frame::syn(client, frontend, ISN).payload(b"data")),
                (1, Frame { transport: with_options, ..Frame::syn(client, frontend, ISN) }),
                (1, Frame::syn(client, frontend, ISN).tagged(&[eth::QINQ, eth::VLAN])),
                (3, Frame::tcp(client, frontend, tcp::FIN).payload(b"ab")),
            ];
            match family {
                Family::V4 => {
                    frames.push((1, Frame { options: vec![1; 40], ..Frame::syn(client, frontend, ISN) }));
                }
                Family::V6 => {
                    let extensions = vec![(60, vec![0, 1, 4, 0, 0, 0, 0]); 3];
                    frames.push((1, Frame { extensions, ..Frame::syn(client, frontend, ISN) }));
                }
            }
            for (length, frame) in frames {
                let outcome = scene.kernel.run(hook, &frame.bytes());
                assert_eq!(outcome.verdict, Verdict::Refused);
                let tcp = reset(&frame, &outcome.bytes);
                assert!(tcp.ack());
                assert_eq!((tcp.sequence_number(), tcp.acknowledgment_number()), (0, ISN + length));
            }
        }
    }
}

#[test]
fn reset_of_an_acknowledgement_takes_its_number() {
    for family in FAMILIES {
        for hook in PATHS {
            let mut scene = Scene::new(family, hook, TCP, settled(backend::REFUSE));
            let frame = scene.data(scene.client(40_000), scene.frontend()).payload(&[1; 1200]);
            let Transport::Tcp { acknowledged, .. } = frame.transport else { panic!("TCP") };
            let outcome = scene.kernel.run(hook, &frame.bytes());
            assert_eq!(outcome.verdict, Verdict::Refused);
            let tcp = reset(&frame, &outcome.bytes);
            assert!(!tcp.ack());
            assert_eq!((tcp.sequence_number(), tcp.acknowledgment_number()), (acknowledged, 0));
        }
    }
}

#[test]
fn reset_is_never_answered_by_a_reset() {
    for family in FAMILIES {
        for hook in PATHS {
            let mut scene = Scene::new(family, hook, TCP, settled(backend::REFUSE));
            for flags in [tcp::RST, tcp::RST | tcp::ACK] {
                let frame = Frame::tcp(scene.client(40_000), scene.frontend(), flags).bytes();
                scene.kernel.expect(hook, &frame, Verdict::RefusedSilently, &frame);
            }
        }
    }
}

#[test]
fn datagram_is_refused_by_port_unreachable_that_quotes_it() {
    for family in FAMILIES {
        for hook in PATHS {
            let mut scene = Scene::new(family, hook, UDP, settled(backend::REFUSE));
            let (client, frontend) = (scene.client(40_000), scene.frontend());
            let mut frames = vec![
                Frame::udp(client, frontend),
                Frame::udp(client, frontend).payload(b""),
                Frame::udp(client, frontend).payload(&[3; 1400]),
                Frame::udp(client, frontend).tagged(&[eth::VLAN]),
                Frame::udp(client, frontend).tagged(&[eth::QINQ, eth::VLAN]),
            ];
            match family {
                Family::V4 => frames.push(Frame { options: vec![1; 40], ..Frame::udp(client, frontend) }),
                Family::V6 => {
                    let extensions = vec![(60, vec![0, 1, 4, 0, 0, 0, 0]); 4];
                    frames.push(Frame { extensions, ..Frame::udp(client, frontend) });
                }
            }
            for frame in frames {
                if hook == Hook::Ingress && !frame.tags.is_empty() {
                    // Inserting room needs a frame whose tag the kernel has taken off, as it does on devices.
                    continue;
                }
                let bytes = frame.bytes();
                let outcome = scene.kernel.run(hook, &bytes);
                assert_eq!(outcome.verdict, Verdict::Refused, "{frame:?}");
                let packet = check_answer(&frame, &outcome.bytes);
                let quoted = match packet.transport {
                    Some(TransportSlice::Icmpv4(icmp)) => port_unreachable4(&icmp),
                    Some(TransportSlice::Icmpv6(icmp)) => port_unreachable6(&icmp),
                    _ => panic!("ICMP"),
                };
                assert_eq!(quoted, &bytes[frame.l3()..frame.l4() + 8], "headers up to the ports and lengths");
            }
        }
    }
}

fn port_unreachable4<'a>(icmp: &Icmpv4Slice<'a>) -> &'a [u8] {
    assert_eq!((icmp.type_u8(), icmp.code_u8()), (3, 3));
    icmp.payload()
}

fn port_unreachable6<'a>(icmp: &Icmpv6Slice<'a>) -> &'a [u8] {
    assert_eq!((icmp.type_u8(), icmp.code_u8()), (1, 4));
    icmp.payload()
}

#[test]
fn refusals_are_limited_per_second() {
    for hook in PATHS {
        let mut scene = Scene::new(Family::V4, hook, TCP, settled(backend::REFUSE));
        scene.kernel.settings(Settings { refusals: 0, ..Settings::default() });
        let frame = Frame::syn(scene.client(40_000), scene.frontend(), ISN).bytes();
        scene.kernel.expect(hook, &frame, Verdict::RefusalLimited, &frame);
        scene.kernel.settings(Settings { refusals: 2, ..Settings::default() });
        let verdicts: Vec<_> = (0..200).map(|_| scene.kernel.run(hook, &frame).verdict).collect();
        let limited = verdicts.iter().filter(|verdict| **verdict == Verdict::RefusalLimited).count();
        // 200 runs take far less than the seconds, and the CPUs, that would allow more than a few.
        assert!(limited > 100, "{limited} of 200");
        assert!(verdicts.contains(&Verdict::Refused));
    }
}
