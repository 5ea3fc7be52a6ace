//! Who answers, on the link, for addresses that every node serves: the packet path does, as it is told here.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::OwnedFd,
};

use gateway_common::{
    abi::announce::{UplinkMac, answers},
    checksum::Sum,
    packet::{arp, eth, ip, ndp},
};
use rustix::net::{AddressFamily, SocketType, socket, sockopt};

use super::{Dataplane, error::Error, maps::Maps, sys::frame};

/// How often a node says that an address is with it now; once, and then at each tick.
const REPEATS: u8 = 3;
const EVERYBODY: [u8; 6] = [0xff; 6];

/// What was told last, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Announcer {
    /// `None`: nothing yet; the maps are as the last agent left them.
    told: Option<BTreeMap<IpAddr, bool>>,
    macs: BTreeMap<u32, [u8; 6]>,
    /// Holds the memberships below.
    socket: Option<OwnedFd>,
    /// Multicast groups of solicitations, by device.
    groups: BTreeSet<(Ipv6Addr, u32)>,
    /// Addresses that the link is still to hear about, and how often.
    news: BTreeMap<IpAddr, u8>,
}

impl Dataplane {
    /// Answers ARP requests and neighbour solicitations on the uplinks for the addresses that are `true`, and keeps
    /// silent for the others; for addresses that are not listed it is up to the kernel. What has come to this node is
    /// told to all hosts on the link.
    ///
    /// # Errors
    /// Where a map or the kernel's routing does not answer; the next call goes on from there.
    pub fn set_announced(&mut self, addresses: &BTreeMap<IpAddr, bool>) -> Result<(), Error> {
        let before = self.announcer.told.take();
        let was_here =
            |address: &IpAddr| before.as_ref().is_some_and(|told| told.get(address) == Some(&true));
        let here = addresses.iter().filter(|(_, is_here)| **is_here).map(|(address, _)| *address);
        let came: Vec<_> = here.filter(|address| !was_here(address)).collect();
        let is_told = |address: &IpAddr| addresses.get(address) == Some(&true);
        self.announcer.news.retain(|address, _| is_told(address));
        self.announcer.news.extend(came.into_iter().map(|address| (address, REPEATS)));
        write(&self.maps, addresses)?;
        self.follow_announced(addresses)?;
        self.announcer.told = Some(addresses.clone());
        self.tell_link();
        Ok(())
    }

    /// Uplinks come and go, and may get other MAC addresses.
    pub(super) fn follow_uplinks_announced(&mut self) -> Result<(), Error> {
        let Some(told) = self.announcer.told.clone() else { return Ok(()) };
        self.follow_announced(&told)
    }

    fn follow_announced(&mut self, addresses: &BTreeMap<IpAddr, bool>) -> Result<(), Error> {
        let uplinks = if addresses.is_empty() { BTreeSet::new() } else { self.links.indices().collect() };
        let macs = self.netlink.macs(&uplinks).map_err(Error::routing("list devices"))?;
        let failed = || Error::map("UPLINK_MACS", "write");
        let table = &self.maps.uplink_macs;
        for (index, _) in table.entries(u32::MAX).map_err(Error::map("UPLINK_MACS", "read"))? {
            if !macs.contains_key(&index) {
                table.remove(&index).map_err(failed())?;
            }
        }
        for (index, mac) in &macs {
            table.set(index, &UplinkMac { mac: *mac, pad: [0; 2] }).map_err(failed())?;
        }
        self.announcer.macs = macs;
        self.announcer.follow_groups(addresses)
    }

    /// Hosts that knew another node's MAC address for an address need not find out that it is wrong.
    pub(super) fn tell_link(&mut self) {
        let Announcer { macs, news, .. } = &mut self.announcer;
        for address in news.keys() {
            for (device, mac) in macs.iter() {
                let (to, kind, bytes) = match address {
                    IpAddr::V4(address) => (EVERYBODY, eth::ARP, gratuitous_arp(*mac, *address)),
                    IpAddr::V6(address) => (ALL_NODES_MAC, eth::IPV6, unsolicited(*mac, *address)),
                };
                if let Err(error) = frame::send(*device, to, *mac, kind, &bytes) {
                    tracing::debug!(%address, device, %error, "the link was not told that an address is here");
                }
            }
        }
        news.retain(|_, left| {
            *left -= 1;
            *left > 0
        });
    }
}

impl Announcer {
    /// A network card may keep multicast of groups that nobody is in from the packet path.
    fn follow_groups(&mut self, addresses: &BTreeMap<IpAddr, bool>) -> Result<(), Error> {
        let here = addresses.iter().filter(|(_, is_here)| **is_here);
        let targets =
            here.filter_map(|(address, _)| if let IpAddr::V6(v6) = address { Some(*v6) } else { None });
        let groups: BTreeSet<_> = targets
            .flat_map(|target| self.macs.keys().map(move |device| (solicited_node(target), *device)))
            .collect();
        if groups == self.groups {
            return Ok(());
        }
        let failed = || Error::routing("join a group of neighbour solicitations");
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => socket(AddressFamily::INET6, SocketType::DGRAM, None)
                .map_err(|error| failed()(error.into()))?,
        };
        for (group, device) in self.groups.difference(&groups) {
            // The device may be gone, and its memberships with it.
            let _ = sockopt::set_ipv6_drop_membership(&socket, group, *device);
        }
        for (group, device) in groups.difference(&self.groups) {
            match sockopt::set_ipv6_add_membership(&socket, group, *device) {
                Ok(()) | Err(rustix::io::Errno::ADDRINUSE | rustix::io::Errno::NODEV) => {}
                Err(error) => return Err(failed()(error.into())),
            }
        }
        self.socket = Some(socket);
        self.groups = groups;
        Ok(())
    }
}

/// Makes the maps say this and nothing else.
fn write(maps: &Maps, addresses: &BTreeMap<IpAddr, bool>) -> Result<(), Error> {
    let (v4, v6) = (&maps.announced4, &maps.announced6);
    for (key, _) in v4.entries(u32::MAX).map_err(Error::map("ANNOUNCED4", "read"))? {
        if !addresses.contains_key(&IpAddr::from(key)) {
            v4.remove(&key).map_err(Error::map("ANNOUNCED4", "write"))?;
        }
    }
    for (key, _) in v6.entries(u32::MAX).map_err(Error::map("ANNOUNCED6", "read"))? {
        if !addresses.contains_key(&IpAddr::from(key)) {
            v6.remove(&key).map_err(Error::map("ANNOUNCED6", "write"))?;
        }
    }
    for (address, is_here) in addresses {
        let value = if *is_here { answers::HERE } else { answers::ELSEWHERE };
        match address {
            IpAddr::V4(address) => {
                v4.set(&address.octets(), &value).map_err(Error::map("ANNOUNCED4", "write"))?;
            }
            IpAddr::V6(address) => {
                v6.set(&address.octets(), &value).map_err(Error::map("ANNOUNCED6", "write"))?;
            }
        }
    }
    Ok(())
}

/// RFC 4291, 2.7.1.
fn solicited_node(target: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = target.octets();
    Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c])
}

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];

/// A question for an address by the one who has it (RFC 5227, 3).
fn gratuitous_arp(mac: [u8; 6], address: Ipv4Addr) -> Vec<u8> {
    let [ours, nobody] = [mac, [0; 6]];
    let address = address.octets();
    [&arp::ETHERNET_IPV4[..], &arp::REQUEST, &ours, &address, &nobody, &address].concat()
}

/// An advertisement that nobody asked for (RFC 4861, 7.2.6).
fn unsolicited(mac: [u8; 6], address: Ipv6Addr) -> Vec<u8> {
    let [kind, code] = ndp::ADVERTISEMENT;
    let head = |checksum: [u8; 2]| [kind, code, checksum[0], checksum[1], ndp::OVERRIDE, 0, 0, 0];
    let body = [&address.octets()[..], &ndp::TARGET_LINK_LAYER, &mac].concat();
    let length = (head([0; 2]).len() + body.len()) as u8;
    let ends = [address.octets(), ALL_NODES.octets()].concat();
    let pseudo = [0, 0, 0, length, 0, 0, 0, ip::ICMPV6];
    let summed = [&ends[..], &pseudo, &head([0; 2]), &body].concat();
    let sum = summed
        .chunks_exact(2)
        .fold(Sum::default(), |sum, pair| sum.half(u16::from_ne_bytes([pair[0], pair[1]])));
    let ip = [0x60, 0, 0, 0, 0, length, ip::ICMPV6, ndp::HOP_LIMIT];
    [&ip[..], &ends, &head(sum.checksum().to_ne_bytes()), &body].concat()
}
