//! What the kernel's routing knows: interfaces, addresses, the device towards an endpoint, local routes of ours.
//!
//! Synchronous: the data plane runs on a thread of its own, and each request is one or two system calls.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressMessage},
    link::{InfoKind, LinkAttribute, LinkInfo, LinkMessage},
    route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

/// Routes that we add carry this protocol number, by which they are found again.
const PROTOCOL: u8 = 87;
/// Table of local routes, `RT_TABLE_LOCAL`.
const TABLE_LOCAL: u8 = 255;
/// Index of `lo` in every network namespace.
pub(super) const LOOPBACK: u32 = 1;
mod watch;

pub(super) use watch::{Changes, Watch};

/// A connection to the kernel's routing, in the network namespace of the thread that opened it.
#[derive(Debug)]
pub(super) struct Netlink {
    socket: Socket,
    sequence: u32,
}

/// The device towards an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RouteTo {
    /// Its interface index; that of `lo` for an address of this node.
    pub(super) device: u32,
    /// The address of this node that the kernel would send from.
    pub(super) source: Option<IpAddr>,
}

impl Netlink {
    /// Connects.
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        // Dumps are filtered by the kernel: a node may hold a million routes that are not ours.
        socket.set_netlink_get_strict_chk(true)?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Index of an interface by name; `None` where there is none.
    pub(super) fn interface_index(&mut self, name: &str) -> io::Result<Option<u32>> {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::IfName(name.to_owned()));
        let answers = match self.request(RouteNetlinkMessage::GetLink(message), NLM_F_REQUEST) {
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => return Ok(None),
            answers => answers?,
        };
        Ok(answers.into_iter().find_map(|answer| {
            let RouteNetlinkMessage::NewLink(link) = answer else { return None };
            Some(link.header.index)
        }))
    }

    /// Names of all interfaces by index.
    pub(super) fn interface_names(&mut self) -> io::Result<BTreeMap<u32, String>> {
        let message = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let answers = self.request(message, NLM_F_REQUEST | NLM_F_DUMP)?;
        Ok(answers.into_iter().filter_map(interface_name).collect())
    }

    /// MAC addresses of the interfaces with these indices; those without Ethernet are left out.
    pub(super) fn macs(&mut self, interfaces: &BTreeSet<u32>) -> io::Result<BTreeMap<u32, [u8; 6]>> {
        if interfaces.is_empty() {
            return Ok(BTreeMap::new());
        }
        let message = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let answers = self.request(message, NLM_F_REQUEST | NLM_F_DUMP)?;
        let macs = answers.into_iter().filter_map(mac);
        Ok(macs.filter(|(index, _)| interfaces.contains(index)).collect())
    }

    /// Devices stacked on others (VLAN on its parent, a member of a bond or bridge on its master): what each
    /// one's packets also pass.
    pub(super) fn vlan_parents(&mut self) -> io::Result<BTreeMap<u32, u32>> {
        let message = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let answers = self.request(message, NLM_F_REQUEST | NLM_F_DUMP)?;
        Ok(answers.into_iter().filter_map(vlan_parent).collect())
    }

    /// Addresses of the interfaces with these indices, link-local ones left out.
    pub(super) fn addresses(&mut self, interfaces: &BTreeSet<u32>) -> io::Result<BTreeSet<IpAddr>> {
        let message = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        let answers = self.request(message, NLM_F_REQUEST | NLM_F_DUMP)?;
        Ok(answers
            .into_iter()
            .filter_map(|answer| {
                let RouteNetlinkMessage::NewAddress(address) = answer else { return None };
                interfaces.contains(&address.header.index).then(|| own_address(&address))?
            })
            .filter(|address| !is_link_local(*address))
            .collect())
    }

    /// The device that the kernel would send packets for `address` to; `None` where it has no route.
    pub(super) fn route_to(&mut self, address: IpAddr) -> io::Result<Option<RouteTo>> {
        let mut message = RouteMessage::default();
        message.header = host_route(address);
        message.attributes.push(RouteAttribute::Destination(address.into()));
        let answers = match self.request(RouteNetlinkMessage::GetRoute(message), NLM_F_REQUEST) {
            Err(error) if is_unroutable(&error) => return Ok(None),
            answers => answers?,
        };
        Ok(answers.into_iter().find_map(|answer| {
            let RouteNetlinkMessage::NewRoute(route) = answer else { return None };
            route_device(&route)
        }))
    }

    /// Makes the kernel answer for `address`: a local route of ours, unless it is local already.
    pub(super) fn ensure_local_route(&mut self, address: IpAddr) -> io::Result<()> {
        let mut message = RouteMessage::default();
        message.header = RouteHeader {
            table: TABLE_LOCAL,
            protocol: RouteProtocol::from(PROTOCOL),
            scope: if address.is_ipv4() { RouteScope::Host } else { RouteScope::Universe },
            kind: RouteType::Local,
            ..host_route(address)
        };
        message.attributes = vec![RouteAttribute::Destination(address.into()), RouteAttribute::Oif(LOOPBACK)];
        let flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
        match self.request(RouteNetlinkMessage::NewRoute(message), flags) {
            Err(error) if error.raw_os_error() != Some(libc::EEXIST) => Err(error),
            _ => Ok(()),
        }
    }

    /// Addresses with a local route of ours.
    pub(super) fn local_routes(&mut self) -> io::Result<BTreeSet<IpAddr>> {
        Ok(self.own_routes()?.iter().filter_map(destination).collect())
    }

    /// Removes our local routes for these addresses.
    pub(super) fn remove_local_routes(&mut self, addresses: &BTreeSet<IpAddr>) -> io::Result<()> {
        for route in self.own_routes()? {
            if destination(&route).is_some_and(|address| addresses.contains(&address)) {
                self.request(RouteNetlinkMessage::DelRoute(route), NLM_F_REQUEST | NLM_F_ACK)?;
            }
        }
        Ok(())
    }

    fn own_routes(&mut self) -> io::Result<Vec<RouteMessage>> {
        let mut routes = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut message = RouteMessage::default();
            message.header.address_family = family;
            message.header.table = TABLE_LOCAL;
            message.header.protocol = RouteProtocol::from(PROTOCOL);
            message.header.kind = RouteType::Local;
            let request = RouteNetlinkMessage::GetRoute(message);
            let answers = match self.request(request, NLM_F_REQUEST | NLM_F_DUMP) {
                // A kernel without that family.
                Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => continue,
                answers => answers?,
            };
            routes.extend(answers.into_iter().filter_map(|answer| {
                let RouteNetlinkMessage::NewRoute(route) = answer else { return None };
                let ours = route.header.protocol == RouteProtocol::from(PROTOCOL);
                (ours && route.header.kind == RouteType::Local).then_some(route)
            }));
        }
        Ok(routes)
    }

    /// Sends one request and collects its answers.
    fn request(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.sequence += 1;
        let mut packet = NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::from(message));
        packet.header.flags = flags;
        packet.header.sequence_number = self.sequence;
        packet.finalize();
        let mut buffer = vec![0; packet.buffer_len()];
        packet.serialize(&mut buffer);
        self.socket.send(&buffer, 0)?;
        let more = flags & (NLM_F_DUMP | NLM_F_ACK) != 0;
        let mut answers = Vec::new();
        while !self.receive(&mut answers)? && (more || answers.is_empty()) {}
        Ok(answers)
    }

    /// Receives one datagram of answers; true after the last.
    fn receive(&mut self, answers: &mut Vec<RouteNetlinkMessage>) -> io::Result<bool> {
        let (datagram, _) = self.socket.recv_from_full()?;
        let mut rest = &datagram[..];
        while !rest.is_empty() {
            let packet = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
            let length = (packet.header.length as usize).next_multiple_of(4).min(rest.len());
            rest = &rest[length..];
            if packet.header.sequence_number != self.sequence || length == 0 {
                continue;
            }
            if let NetlinkPayload::InnerMessage(message) = packet.payload {
                answers.push(message);
            } else if let NetlinkPayload::Error(error) = packet.payload {
                // Code 0 acknowledges.
                return if error.code.is_some() { Err(error.to_io()) } else { Ok(true) };
            } else if matches!(packet.payload, NetlinkPayload::Done(_)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn host_route(address: IpAddr) -> RouteHeader {
    let (family, bits) =
        if address.is_ipv4() { (AddressFamily::Inet, 32) } else { (AddressFamily::Inet6, 128) };
    RouteHeader { address_family: family, destination_prefix_length: bits, ..Default::default() }
}

fn is_unroutable(error: &io::Error) -> bool {
    // What "unreachable", "prohibit", "blackhole" and "no route" answer.
    matches!(
        error.raw_os_error(),
        Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EACCES | libc::EINVAL | libc::EAGAIN)
    )
}

fn route_device(route: &RouteMessage) -> Option<RouteTo> {
    if matches!(route.header.kind, RouteType::BlackHole | RouteType::Unreachable | RouteType::Prohibit) {
        return None;
    }
    let source = route.attributes.iter().find_map(|attribute| {
        let RouteAttribute::PrefSource(address) = attribute else { return None };
        ip(address)
    });
    route.attributes.iter().find_map(|attribute| {
        let RouteAttribute::Oif(device) = attribute else { return None };
        Some(RouteTo { device: *device, source })
    })
}

fn destination(route: &RouteMessage) -> Option<IpAddr> {
    route.attributes.iter().find_map(|attribute| {
        let RouteAttribute::Destination(address) = attribute else { return None };
        ip(address)
    })
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    if let RouteAddress::Inet(address) = address {
        Some(IpAddr::V4(*address))
    } else if let RouteAddress::Inet6(address) = address {
        Some(IpAddr::V6(*address))
    } else {
        None
    }
}

/// The interface's own end: `Local` where there is one (point-to-point), else `Address`.
fn own_address(message: &AddressMessage) -> Option<IpAddr> {
    let local = message.attributes.iter().find_map(|attribute| {
        let AddressAttribute::Local(address) = attribute else { return None };
        Some(*address)
    });
    let prefix = || {
        message.attributes.iter().find_map(|attribute| {
            let AddressAttribute::Address(address) = attribute else { return None };
            Some(*address)
        })
    };
    local.or_else(prefix)
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

fn interface_name(answer: RouteNetlinkMessage) -> Option<(u32, String)> {
    let RouteNetlinkMessage::NewLink(link) = answer else { return None };
    let index = link.header.index;
    link.attributes.into_iter().find_map(|attribute| {
        let LinkAttribute::IfName(name) = attribute else { return None };
        Some((index, name))
    })
}

fn mac(answer: RouteNetlinkMessage) -> Option<(u32, [u8; 6])> {
    let RouteNetlinkMessage::NewLink(link) = answer else { return None };
    let index = link.header.index;
    link.attributes.into_iter().find_map(|attribute| {
        let LinkAttribute::Address(bytes) = attribute else { return None };
        Some((index, bytes.try_into().ok()?))
    })
}

fn vlan_parent(answer: RouteNetlinkMessage) -> Option<(u32, u32)> {
    let RouteNetlinkMessage::NewLink(link) = answer else { return None };
    let is_vlan = link.attributes.iter().any(|attribute| {
        let LinkAttribute::LinkInfo(infos) = attribute else { return false };
        infos.iter().any(|info| matches!(info, LinkInfo::Kind(InfoKind::Vlan)))
    });
    let parent = link.attributes.iter().find_map(|attribute| {
        let LinkAttribute::Link(parent) = attribute else { return None };
        Some(*parent)
    })?;
    is_vlan.then_some((link.header.index, parent))
}
