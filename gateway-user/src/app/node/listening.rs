//! Ports that programs listen on: asked of the kernel's socket diagnostics, which looks at listening sockets only,
//! or, where the kernel has none, read from /proc, which lists every connection.

use std::{
    collections::BTreeSet,
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use gateway_model::key::Protocol;
use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::{
    SockDiagMessage,
    constants::{AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP},
    inet::{ExtensionFlags, InetRequest, SocketId, StateFlags},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_SOCK_DIAG};

/// A port that some program of this network namespace listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::app) struct Listening {
    /// Protocol.
    pub(in crate::app) protocol: Protocol,
    /// Address; an unspecified one stands for all of its family (and, for IPv6, mostly for IPv4 as well).
    pub(in crate::app) address: IpAddr,
    /// Port.
    pub(in crate::app) port: u16,
}

/// All ports that are listened on. A UDP socket without a peer counts as listening.
pub(in crate::app) fn listening() -> BTreeSet<Listening> {
    ask().unwrap_or_else(|error| {
        tracing::debug!(%error, "no socket diagnostics; reading /proc instead");
        read_proc()
    })
}

fn ask() -> io::Result<BTreeSet<Listening>> {
    let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut all = BTreeSet::new();
    for (protocol, number, states) in
        [(Protocol::Tcp, IPPROTO_TCP, StateFlags::LISTEN), (Protocol::Udp, IPPROTO_UDP, StateFlags::CLOSE)]
    {
        for (family, socket_id) in [(AF_INET, SocketId::new_v4()), (AF_INET6, SocketId::new_v6())] {
            let request = InetRequest {
                family,
                protocol: number,
                extensions: ExtensionFlags::empty(),
                states: states.clone(),
                socket_id,
            };
            let sockets = dump(&mut socket, request)?;
            all.extend(sockets.into_iter().map(|(address, port)| Listening { protocol, address, port }));
        }
    }
    Ok(all)
}

/// Local addresses and ports of the sockets asked for.
#[expect(clippy::wildcard_enum_match_arm, reason = "a dump is answered with these three only")]
fn dump(socket: &mut Socket, request: InetRequest) -> io::Result<Vec<(IpAddr, u16)>> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    let mut found = Vec::new();
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        let mut rest = &datagram[..];
        while !rest.is_empty() {
            let message: NetlinkMessage<SockDiagMessage> =
                NetlinkMessage::deserialize(rest).map_err(io::Error::other)?;
            let length = (message.header.length as usize).next_multiple_of(4);
            match message.payload {
                NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => {
                    let id = &response.header.socket_id;
                    found.push((id.source_address.to_canonical(), id.source_port));
                }
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                NetlinkPayload::Done(_) => return Ok(found),
                _ => {}
            }
            rest = rest.get(length..).unwrap_or_default();
        }
    }
}

fn read_proc() -> BTreeSet<Listening> {
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

    const WAYS: [fn() -> BTreeSet<Listening>; 2] = [|| ask().unwrap(), read_proc];

    #[test]
    fn sockets_of_both_families_and_protocols_are_found() {
        let tcp4 = TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp6 = TcpListener::bind("[::1]:0").unwrap();
        let udp4 = UdpSocket::bind("127.0.0.1:0").unwrap();
        for found in WAYS.map(|way| way()) {
            for (protocol, address) in [
                (Protocol::Tcp, tcp4.local_addr().unwrap()),
                (Protocol::Tcp, tcp6.local_addr().unwrap()),
                (Protocol::Udp, udp4.local_addr().unwrap()),
            ] {
                let expected = Listening { protocol, address: address.ip(), port: address.port() };
                assert!(found.contains(&expected), "{expected:?} is not among {found:?}");
            }
        }
    }

    #[test]
    fn an_established_connection_is_not_listening() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let port = client.local_addr().unwrap().port();
        for found in WAYS.map(|way| way()) {
            assert!(!found.iter().any(|socket| socket.protocol == Protocol::Tcp && socket.port == port));
        }
    }
}
