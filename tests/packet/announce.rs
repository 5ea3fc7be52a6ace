//! Addresses that every node serves: the one that announces an address answers for it on the link.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use gateway_common::{
    abi::{announce::answers, settings::Settings},
    verdict::Verdict,
};

use crate::{
    frame::{CLIENT_MAC, checksum},
    kernel::{Hook, Kernel, PATHS},
};

const UPLINK_MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];
const EVERYBODY: [u8; 6] = [0xff; 6];
const VIP4: Ipv4Addr = Ipv4Addr::new(10, 200, 0, 1);
const VIP6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x200, 0, 0, 0, 0, 0, 1);
const CLIENT4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 77);
const CLIENT6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0xff, 77);
/// Test runs come in by `lo`.
const DEVICE: u32 = 1;

/// Seconds of the clock that the programs read.
fn uptime() -> u32 {
    let text = std::fs::read_to_string("/proc/uptime").unwrap();
    text.split('.').next().unwrap().parse().unwrap()
}

fn kernel() -> Kernel {
    let mut kernel = Kernel::new();
    let settings = Settings { now: uptime(), ..kernel.current_settings() };
    kernel.settings(settings);
    kernel.uplink_mac(DEVICE, UPLINK_MAC);
    kernel
}

/// A question by ARP, padded as it is on the wire, or the answer to it.
fn arp(
    to: [u8; 6],
    from: [u8; 6],
    tags: &[u8],
    operation: u8,
    sender: ([u8; 6], Ipv4Addr),
    target: ([u8; 6], Ipv4Addr),
) -> Vec<u8> {
    let mut bytes = [&to[..], &from, tags, &[8, 6, 0, 1, 8, 0, 6, 4, 0, operation]].concat();
    for (mac, address) in [sender, target] {
        bytes.extend(mac);
        bytes.extend(address.octets());
    }
    bytes
}

/// A neighbour solicitation or advertisement.
fn neighbour(to: [u8; 6], from: [u8; 6], tags: &[u8], addresses: [Ipv6Addr; 2], icmp: &[u8]) -> Vec<u8> {
    let [source, destination] = addresses;
    let mut icmp = icmp.to_vec();
    let pseudo =
        [&source.octets()[..], &destination.octets(), &[0, 0, 0, icmp.len() as u8, 0, 0, 0, 58], &icmp];
    let sum = checksum(&pseudo.concat());
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    let ip = [0x60, 0, 0, 0, 0, icmp.len() as u8, 58, 255];
    [&to[..], &from, tags, &[0x86, 0xdd], &ip, &source.octets(), &destination.octets(), &icmp].concat()
}

fn solicited_node() -> ([u8; 6], Ipv6Addr) {
    let [.., a, b, c] = VIP6.octets();
    ([0x33, 0x33, 0xff, a, b, c], format!("ff02::1:ff{a:02x}:{b:02x}{c:02x}").parse().unwrap())
}

/// The question, and the answer.
fn questions(tags: &[u8]) -> [(IpAddr, Vec<u8>, Vec<u8>); 3] {
    let request = arp(EVERYBODY, CLIENT_MAC, tags, 1, (CLIENT_MAC, CLIENT4), ([0; 6], VIP4));
    let padded = [&request[..], &[0; 18]].concat();
    let reply = arp(CLIENT_MAC, UPLINK_MAC, tags, 2, (UPLINK_MAC, VIP4), (CLIENT_MAC, CLIENT4));
    let (group_mac, group) = solicited_node();
    let ask = [&[135, 0, 0, 0, 0, 0, 0, 0], &VIP6.octets()[..]].concat();
    let with_option = [&ask[..], &[1, 1], &CLIENT_MAC].concat();
    let tell = [&[136, 0, 0, 0, 0x60, 0, 0, 0], &VIP6.octets()[..], &[2, 1], &UPLINK_MAC].concat();
    let answer = neighbour(CLIENT_MAC, UPLINK_MAC, tags, [VIP6, CLIENT6], &tell);
    [
        (VIP4.into(), padded, reply),
        (VIP6.into(), neighbour(group_mac, CLIENT_MAC, tags, [CLIENT6, group], &with_option), answer.clone()),
        // Whether it is still there.
        (VIP6.into(), neighbour(UPLINK_MAC, CLIENT_MAC, tags, [CLIENT6, VIP6], &ask), answer),
    ]
}

const TAG: [u8; 4] = [0x81, 0, 0, 10];

fn everywhere(test: impl Fn(&mut Kernel, Hook, IpAddr, &[u8], &[u8])) {
    for hook in PATHS {
        for tags in [&[][..], &TAG] {
            for (vip, question, answer) in questions(tags) {
                println!("{hook:?} {vip}, {} bytes of tags", tags.len());
                test(&mut kernel(), hook, vip, &question, &answer);
            }
        }
    }
}

#[test]
fn the_node_that_announces_an_address_answers_for_it() {
    everywhere(|kernel, hook, vip, question, answer| {
        kernel.announced(vip, answers::HERE);
        kernel.expect(hook, question, Verdict::Announced, answer);
    });
}

#[test]
fn other_nodes_are_silent() {
    everywhere(|kernel, hook, vip, question, _| {
        kernel.announced(vip, answers::ELSEWHERE);
        kernel.expect(hook, question, Verdict::AnnouncedElsewhere, question);
    });
}

#[test]
fn a_node_whose_agent_has_died_is_silent_soon() {
    everywhere(|kernel, hook, vip, question, answer| {
        kernel.announced(vip, answers::HERE);
        let settings = kernel.current_settings();
        kernel.settings(Settings { now: settings.now - 10, ..settings });
        kernel.expect(hook, question, Verdict::Announced, answer);
        kernel.settings(Settings { now: settings.now - 20, ..settings });
        kernel.expect(hook, question, Verdict::AnnouncedElsewhere, question);
    });
}

#[test]
fn other_addresses_and_other_devices_are_the_kernels() {
    everywhere(|kernel, hook, vip, question, _| {
        let otherwise = if vip.is_ipv4() { Verdict::NotIp } else { Verdict::OtherProtocol };
        kernel.expect(hook, question, otherwise, question);
        kernel.announced(vip, answers::ELSEWHERE);
        kernel.forget_uplink(DEVICE);
        kernel.expect(hook, question, otherwise, question);
    });
}

#[test]
fn what_is_no_question_passes() {
    for hook in PATHS {
        let mut kernel = kernel();
        kernel.announced(VIP4.into(), answers::HERE);
        kernel.announced(VIP6.into(), answers::HERE);
        let reply = arp(UPLINK_MAC, CLIENT_MAC, &[], 2, (CLIENT_MAC, VIP4), (UPLINK_MAC, VIP4));
        kernel.expect(hook, &reply, Verdict::NotIp, &reply);
        let [_, (_, solicitation, _), _] = questions(&[]);
        let mut routed = solicitation.clone();
        routed[21] = 64;
        kernel.expect(hook, &routed, Verdict::OtherProtocol, &routed);
        let ask = [&[135, 0, 0, 0, 0, 0, 0, 0], &VIP6.octets()[..]].concat();
        let (mac, group) = solicited_node();
        let duplicate = neighbour(mac, CLIENT_MAC, &[], [Ipv6Addr::UNSPECIFIED, group], &ask);
        kernel.expect(hook, &duplicate, Verdict::OtherProtocol, &duplicate);
        for length in 54..solicitation.len() - 8 {
            let outcome = kernel.run(hook, &solicitation[..length]);
            assert_ne!(outcome.verdict, Verdict::Announced, "{length} bytes");
        }
    }
}
