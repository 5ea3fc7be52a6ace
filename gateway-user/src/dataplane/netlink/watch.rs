//! What has changed of interfaces, addresses and routes, and whose ways that may concern.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    io,
    net::IpAddr,
};

use ipnet::IpNet;
use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    link::{LinkFlags, LinkMessage},
    route::RouteMessage,
};
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};

use super::{destination, is_link_local, own_address};

/// Multicast groups that tell of changes: link, IPv4 address and route, IPv6 address and route.
const GROUPS: [u32; 5] = [1, 5, 7, 9, 11];

/// What has changed.
#[derive(Debug, Default)]
pub(in super::super) struct Changes {
    /// Anything at all.
    pub(in super::super) is_any: bool,
    /// Devices came, went or changed.
    pub(in super::super) are_links_new: bool,
    /// Something may have changed that nothing here tells of.
    pub(in super::super) is_unclear: bool,
    /// Destinations of routes that came or went: single addresses, and networks.
    hosts: HashSet<IpAddr>,
    nets: BTreeSet<IpNet>,
    /// Devices that changed.
    devices: BTreeSet<u32>,
}

/// Of more networks it is not looked at each for itself what it contains.
const NETS: usize = 64;

impl Changes {
    /// Whether the way to `address`, which leads through `device`, may be another one now.
    pub(in super::super) fn concern(&self, address: IpAddr, device: u32) -> bool {
        self.devices.contains(&device)
            || self.hosts.contains(&address)
            || self.nets.iter().any(|net| net.contains(&address))
    }

    fn add_destination(&mut self, net: IpNet) {
        if net.prefix_len() == net.max_prefix_len() {
            self.hosts.insert(net.addr());
        } else if self.nets.len() < NETS {
            self.nets.insert(net);
        } else {
            self.is_unclear = true;
        }
    }

    /// Everything may have changed.
    fn lose_track(&mut self) {
        (self.is_any, self.are_links_new, self.is_unclear) = (true, true, true);
    }
}

/// Tells what has changed of interfaces, addresses and routes since it was last asked.
#[derive(Debug)]
pub(in super::super) struct Watch {
    socket: Socket,
    links: HashMap<u32, State>,
}

/// What is known of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It came while it was watched, and no packet could pass it yet: it can have no route.
    New,
    /// No packet can pass it, or that is not known.
    Down,
    /// Packets can.
    Up,
}

impl Watch {
    /// Subscribes, in the network namespace of this thread.
    pub(in super::super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        for group in GROUPS {
            socket.add_membership(group)?;
        }
        socket.set_non_blocking(true)?;
        Ok(Self { socket, links: HashMap::new() })
    }

    /// These devices were there before.
    pub(in super::super) fn set_links(&mut self, indices: impl Iterator<Item = u32>) {
        self.links = indices.map(|index| (index, State::Down)).collect();
    }

    /// What has changed; where messages were lost, that may be anything.
    pub(in super::super) fn take_changes(&mut self) -> io::Result<Changes> {
        let mut changes = Changes::default();
        loop {
            match self.socket.recv_from_full() {
                Ok((datagram, _)) => self.read(&datagram, &mut changes),
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => changes.lose_track(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(changes),
                Err(error) => return Err(error),
            }
        }
    }

    fn read(&mut self, datagram: &[u8], changes: &mut Changes) {
        changes.is_any = true;
        let mut rest = datagram;
        while !rest.is_empty() {
            let Ok(packet) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest) else {
                return changes.lose_track();
            };
            let length = (packet.header.length as usize).next_multiple_of(4).min(rest.len());
            if length == 0 {
                return changes.lose_track();
            }
            rest = &rest[length..];
            if let NetlinkPayload::InnerMessage(message) = packet.payload {
                self.note(&message, changes);
            } else {
                changes.lose_track();
            }
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the groups tell of these only")]
    fn note(&mut self, message: &RouteNetlinkMessage, changes: &mut Changes) {
        match message {
            RouteNetlinkMessage::NewRoute(route) | RouteNetlinkMessage::DelRoute(route) => {
                match destination_net(route) {
                    Some(net) => changes.add_destination(net),
                    None => changes.is_unclear = true,
                }
            }
            RouteNetlinkMessage::NewAddress(address) | RouteNetlinkMessage::DelAddress(address) => {
                changes.devices.insert(address.header.index);
                // The node may send from another address now, wherever that is.
                changes.is_unclear |= own_address(address).is_none_or(|address| !is_link_local(address));
            }
            RouteNetlinkMessage::NewLink(link) => self.note_link(link, changes),
            RouteNetlinkMessage::DelLink(link) => {
                let index = link.header.index;
                self.links.remove(&index);
                changes.are_links_new = true;
                changes.devices.insert(index);
            }
            _ => changes.is_unclear = true,
        }
    }

    /// A device that begins to pass packets again may bring routes back without a word.
    fn note_link(&mut self, link: &LinkMessage, changes: &mut Changes) {
        let index = link.header.index;
        let old = self.links.get(&index).copied();
        let new = match (link.header.flags.contains(LinkFlags::LowerUp), old) {
            (true, _) => State::Up,
            (false, None | Some(State::New)) => State::New,
            (false, Some(State::Down | State::Up)) => State::Down,
        };
        self.links.insert(index, new);
        changes.are_links_new = true;
        changes.is_unclear |= (old, new) == (Some(State::Down), State::Up);
        if old != Some(new) {
            changes.devices.insert(index);
        }
    }
}

/// The destination of a route; that of a default route is everything.
fn destination_net(route: &RouteMessage) -> Option<IpNet> {
    let bits = route.header.destination_prefix_length;
    let address = match (destination(route), route.header.address_family) {
        (Some(address), _) => address,
        (None, AddressFamily::Inet) if bits == 0 => IpAddr::from([0, 0, 0, 0]),
        (None, AddressFamily::Inet6) if bits == 0 => IpAddr::from([0; 16]),
        _ => return None,
    };
    IpNet::new(address, bits).ok()
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::route::{RouteAttribute, RouteHeader};

    use super::*;

    fn route(address: Option<[u8; 4]>, bits: u8) -> RouteNetlinkMessage {
        let mut message = RouteMessage::default();
        message.header = RouteHeader {
            address_family: AddressFamily::Inet,
            destination_prefix_length: bits,
            ..Default::default()
        };
        message
            .attributes
            .extend(address.map(|address| RouteAttribute::Destination(IpAddr::from(address).into())));
        RouteNetlinkMessage::NewRoute(message)
    }

    fn link(index: u32, is_up: bool) -> RouteNetlinkMessage {
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.header.flags = if is_up { LinkFlags::LowerUp } else { LinkFlags::empty() };
        RouteNetlinkMessage::NewLink(message)
    }

    fn note(watch: &mut Watch, message: &RouteNetlinkMessage) -> Changes {
        let mut changes = Changes::default();
        watch.note(message, &mut changes);
        changes
    }

    #[test]
    fn a_route_concerns_what_it_leads_to() {
        let mut watch = Watch::open().unwrap();
        let [inside, outside] = [IpAddr::from([10, 1, 2, 3]), IpAddr::from([10, 2, 2, 3])];
        let changes = note(&mut watch, &route(Some([10, 1, 0, 0]), 16));
        assert_eq!([inside, outside].map(|address| changes.concern(address, 2)), [true, false]);
        assert!(!changes.is_unclear);
        let changes = note(&mut watch, &route(None, 0));
        assert!(changes.concern(outside, 2) && !changes.concern("fd00::1".parse().unwrap(), 2));
    }

    #[test]
    fn a_device_that_comes_back_may_bring_anything_and_a_new_one_nothing() {
        let mut watch = Watch::open().unwrap();
        watch.set_links([6].into_iter());
        let mut unclear = |index: u32, is_up: bool| note(&mut watch, &link(index, is_up)).is_unclear;
        assert!(unclear(6, true), "nobody knows what it was");
        assert_eq!(
            [false, true, true, false, true].map(|is_up| unclear(7, is_up)),
            [false, false, false, false, true]
        );
        assert!(!unclear(8, true), "it was not there before");
        let changes = note(&mut watch, &link(8, false));
        assert!(changes.concern([10, 0, 0, 1].into(), 8) && !changes.concern([10, 0, 0, 1].into(), 9));
        assert!(!note(&mut watch, &link(7, true)).concern([10, 0, 0, 1].into(), 7), "it is as it was");
    }
}
