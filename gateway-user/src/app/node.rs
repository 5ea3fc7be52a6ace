//! What the node itself says: addresses of its devices, and ports that other programs listen on.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use gateway_model::key::Protocol;

/// A device that does not exist, or addresses that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum NodeError {
    /// No such device.
    #[error("--interface {name}: there is no such network device; there are: {existing}")]
    NoSuchInterface {
        /// Its name.
        name: String,
        /// Those that exist.
        existing: String,
    },
    /// The system does not tell.
    #[error("the addresses of network devices cannot be read: {0}")]
    Unreadable(#[from] nix::Error),
}

/// Addresses of devices by name, those that clients can reach.
pub(super) type DeviceAddresses = BTreeMap<String, BTreeSet<IpAddr>>;

/// Addresses of the devices called `names`; a device without an address has an empty set.
pub(super) fn device_addresses(names: &[String]) -> Result<DeviceAddresses, NodeError> {
    let mut all = DeviceAddresses::new();
    for entry in nix::ifaddrs::getifaddrs()? {
        let addresses = all.entry(entry.interface_name).or_default();
        let Some(address) = entry.address else { continue };
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        let v6 = address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip()));
        addresses.extend(v4.or(v6).filter(is_reachable));
    }
    if let Some(missing) = names.iter().find(|name| !all.contains_key(*name)) {
        let existing = all.keys().cloned().collect::<Vec<_>>().join(", ");
        return Err(NodeError::NoSuchInterface { name: missing.clone(), existing });
    }
    all.retain(|name, _| names.contains(name));
    Ok(all)
}

/// A link-local address means something on one link only, and a client would have to name the link.
fn is_reachable(address: &IpAddr) -> bool {
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !address.is_loopback() && !address.is_unspecified() && !is_link_local
}

/// A port that some program of this network namespace listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Listening {
    /// Protocol.
    pub(super) protocol: Protocol,
    /// Address; an unspecified one stands for all of its family (and, for IPv6, mostly for IPv4 as well).
    pub(super) address: IpAddr,
    /// Port.
    pub(super) port: u16,
}

/// All ports that are listened on.
pub(super) fn listening() -> BTreeSet<Listening> {
    // State 0A is LISTEN; a UDP socket without a peer is in state 07 (net/tcp_states.h).
    let tables = [
        ("tcp", Protocol::Tcp, "0A"),
        ("tcp6", Protocol::Tcp, "0A"),
        ("udp", Protocol::Udp, "07"),
        ("udp6", Protocol::Udp, "07"),
    ];
    let mut all = BTreeSet::new();
    for (name, protocol, state) in tables {
        // A kernel without IPv6 has no such file.
        let table = fs::read_to_string(format!("/proc/thread-self/net/{name}")).unwrap_or_default();
        let sockets = table.lines().skip(1).filter_map(|line| parse_socket(line, state));
        all.extend(sockets.map(|(address, port)| Listening { protocol, address, port }));
    }
    all
}

/// `  0: 0100007F:1F90 00000000:0000 0A …`: the local address of a socket in `state`.
fn parse_socket(line: &str, state: &str) -> Option<(IpAddr, u16)> {
    let mut fields = line.split_ascii_whitespace();
    let local = fields.nth(1)?;
    if fields.nth(1)? != state {
        return None;
    }
    let (address, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok().filter(|port| *port != 0)?;
    // Groups of 32 bits, each in the byte order of the machine.
    let words =
        (0..address.len() / 8).map(|word| u32::from_str_radix(address.get(word * 8..word * 8 + 8)?, 16).ok());
    let bytes: Vec<u8> = words.collect::<Option<Vec<_>>>()?.into_iter().flat_map(u32::to_ne_bytes).collect();
    let address = match bytes.len() {
        4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        16 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
        _ => return None,
    };
    Some((address.to_canonical(), port))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    #[test]
    fn sockets_of_both_families_and_protocols_are_found() {
        let tcp4 = TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp6 = TcpListener::bind("[::1]:0").unwrap();
        let udp4 = UdpSocket::bind("127.0.0.1:0").unwrap();
        let found = listening();
        for (protocol, address) in [
            (Protocol::Tcp, tcp4.local_addr().unwrap()),
            (Protocol::Tcp, tcp6.local_addr().unwrap()),
            (Protocol::Udp, udp4.local_addr().unwrap()),
        ] {
            let expected = Listening { protocol, address: address.ip(), port: address.port() };
            assert!(found.contains(&expected), "{expected:?} is not among {found:?}");
        }
    }

    #[test]
    fn an_established_connection_is_not_listening() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let port = client.local_addr().unwrap().port();
        assert!(!listening().iter().any(|socket| socket.protocol == Protocol::Tcp && socket.port == port));
    }

    #[test]
    fn a_device_that_does_not_exist_is_named_with_those_that_do() {
        let error = device_addresses(&["weir-none".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("--interface weir-none") && error.contains("lo"), "{error}");
        assert!(device_addresses(&["lo".to_owned()]).unwrap()["lo"].is_empty(), "loopback is no frontend");
    }
}
