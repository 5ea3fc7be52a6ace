//! Cutting connections to endpoints that are gone: what a RST would do, were there somebody to send it. Sockets of the
//! agent's own network namespace only, which are the node's; those of pods get a RST at their next packet.
//!
//! The kernel's socket diagnostics (`sock_diag(7)`) say of each socket what `SERVICE_PEER` holds, so that none is cut
//! that reached the same address by itself.

use std::{
    collections::{BTreeSet, HashSet},
    io,
    mem::offset_of,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::Path,
};

use gateway_common::abi::{backend::Backend, socket::ServicePeer};
use netlink_packet_core::{
    DecodeError, Emitable, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, NetlinkSerializable, Nla as _, NlasIterator, ParseableParametrized,
};
use netlink_packet_sock_diag::{
    SOCK_DESTROY, SOCK_DIAG_BY_FAMILY, SockDiagMessage,
    constants::{AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP},
    inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags, nlas::Nla},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_SOCK_DIAG};

use super::super::{error::Error, sys};

/// How often sockets are looked through for one endpoint: a socket that was just connecting to it is found the second
/// time.
const ROUNDS: u32 = 2;
/// Ports that are asked for one by one; of more, all sockets are looked at.
const PORTS: usize = 8;
/// Numbers of `linux/inet_diag.h` and `linux/sock_diag.h`.
const REQUEST_STORAGES: u16 = 2;
const REQUEST_MAP_FD: u16 = 1;
const STORAGES: u16 = 20;
const STORAGE: u16 = 1;
const STORAGE_VALUE: u16 = 3;
/// Without the bit that says that there are attributes inside.
const KIND: u16 = 0x3fff;

/// Endpoints that are gone, and whose connections may not be.
#[derive(Debug)]
pub(in super::super) struct Cuts {
    storage: OwnedFd,
    dead: Vec<Dead>,
    /// It did not work, which was said.
    is_broken: bool,
}

#[derive(Debug)]
struct Dead {
    id: u32,
    generation: u32,
    port: u16,
    rounds: u32,
}

impl Cuts {
    pub(super) fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join("SERVICE_PEER");
        let storage = sys::open_pin(&path).map_err(Error::pin("open", &path))?;
        Ok(Self { storage, dead: Vec::new(), is_broken: false })
    }

    /// This endpoint is gone.
    pub(in super::super) fn add(&mut self, id: u32, backend: &Backend) {
        let (generation, port) = (backend.generation, u16::from_be_bytes(backend.port));
        self.dead.push(Dead { id, generation, port, rounds: ROUNDS });
    }

    /// Cuts what is to be cut.
    pub(in super::super) fn make(&mut self) {
        if self.dead.is_empty() {
            return;
        }
        match self.try_make() {
            Ok(0) => {}
            Ok(cut) => tracing::info!(cut, "cut connections of this node to endpoints that are gone"),
            Err(error) if !std::mem::replace(&mut self.is_broken, true) => {
                tracing::warn!(%error, "connections of this node to endpoints that are gone are not cut");
            }
            Err(_) => {}
        }
        self.dead.retain_mut(|dead| {
            dead.rounds -= 1;
            dead.rounds > 0
        });
    }

    fn try_make(&self) -> io::Result<usize> {
        let mut ports: BTreeSet<u16> = self.dead.iter().map(|dead| dead.port).collect();
        if ports.len() > PORTS {
            ports = BTreeSet::from([0]);
        }
        let dead: HashSet<(u32, u32)> = self.dead.iter().map(|dead| (dead.id, dead.generation)).collect();
        let mut diagnostics = Diagnostics::open()?;
        let mut cut = 0;
        for protocol in [IPPROTO_TCP, IPPROTO_UDP] {
            for family in [AF_INET, AF_INET6] {
                for &port in &ports {
                    let connected = diagnostics.connected(family, protocol, port, &self.storage)?;
                    for (id, _) in connected.into_iter().filter(|(_, peer)| dead.contains(peer)) {
                        cut += usize::from(diagnostics.destroy(family, protocol, id)?);
                    }
                }
            }
        }
        Ok(cut)
    }
}

/// The kernel's socket diagnostics, of the network namespace of this thread.
struct Diagnostics(Socket);

impl Diagnostics {
    fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self(socket))
    }

    /// Sockets that are connected to this port (0: to any) of an endpoint, with its id and generation.
    fn connected(
        &mut self,
        family: u8,
        protocol: u8,
        port: u16,
        storage: &impl AsFd,
    ) -> io::Result<Vec<(SocketId, (u32, u32))>> {
        let any = if family == AF_INET { SocketId::new_v4() } else { SocketId::new_v6() };
        let states = StateFlags::all() - (StateFlags::LISTEN | StateFlags::TIME_WAIT | StateFlags::CLOSE);
        let request = InetRequest {
            family,
            protocol,
            extensions: ExtensionFlags::empty(),
            states,
            socket_id: SocketId { destination_port: port, ..any },
        };
        let storage = Some(storage.as_fd().as_raw_fd().cast_unsigned());
        let answers =
            self.ask(Order { kind: SOCK_DIAG_BY_FAMILY, request, storage }, NLM_F_REQUEST | NLM_F_DUMP)?;
        let peer = |answer: InetResponse| Some((answer.header.socket_id.clone(), peer(&answer)?));
        Ok(answers.into_iter().filter_map(peer).collect())
    }

    /// Ends a socket's connection; whether it was still there.
    fn destroy(&mut self, family: u8, protocol: u8, socket_id: SocketId) -> io::Result<bool> {
        let (extensions, states) = (ExtensionFlags::empty(), StateFlags::all());
        let request = InetRequest { family, protocol, extensions, states, socket_id };
        let order = Order { kind: SOCK_DESTROY, request, storage: None };
        match self.ask(order, NLM_F_REQUEST | NLM_F_ACK) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            answers => answers.map(|_| true),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the kernel answers with these three only")]
    fn ask(&mut self, order: Order, flags: u16) -> io::Result<Vec<InetResponse>> {
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(order));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.0.send(&bytes, 0)?;
        let mut answers = Vec::new();
        loop {
            let (datagram, _) = self.0.recv_from_full()?;
            let mut rest = &datagram[..];
            while !rest.is_empty() {
                let message: NetlinkMessage<Answer> =
                    NetlinkMessage::deserialize(rest).map_err(io::Error::other)?;
                let length = (message.header.length as usize).next_multiple_of(4);
                match message.payload {
                    NetlinkPayload::InnerMessage(Answer(SockDiagMessage::InetResponse(answer))) => {
                        answers.push(*answer);
                    }
                    NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
                    NetlinkPayload::Error(_) | NetlinkPayload::Done(_) => return Ok(answers),
                    _ => {}
                }
                rest = rest.get(length..).unwrap_or_default();
            }
        }
    }
}

/// What is asked of the kernel.
struct Order {
    kind: u16,
    request: InetRequest,
    /// Descriptor of the socket storage that is asked for as well.
    storage: Option<u32>,
}

impl NetlinkSerializable for Order {
    fn message_type(&self) -> u16 {
        self.kind
    }

    fn buffer_len(&self) -> usize {
        self.request.buffer_len() + if self.storage.is_some() { 12 } else { 0 }
    }

    fn serialize(&self, buffer: &mut [u8]) {
        let (request, storages) = buffer.split_at_mut(self.request.buffer_len());
        self.request.emit(request);
        if let Some(descriptor) = self.storage {
            // An attribute in an attribute, each with its length and number in front.
            let halves = [12, REQUEST_STORAGES, 8, REQUEST_MAP_FD].map(u16::to_ne_bytes);
            storages[..8].copy_from_slice(halves.as_flattened());
            storages[8..12].copy_from_slice(&descriptor.to_ne_bytes());
        }
    }
}

impl From<Order> for NetlinkPayload<Order> {
    fn from(order: Order) -> Self {
        Self::InnerMessage(order)
    }
}

/// What the kernel answers.
struct Answer(SockDiagMessage);

impl NetlinkDeserializable for Answer {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        SockDiagMessage::parse_with_param(payload, header.message_type).map(Self)
    }
}

/// Id and generation of the endpoint that the socket is connected to; `None` where it is to none.
fn peer(answer: &InetResponse) -> Option<(u32, u32)> {
    let storages = answer.nlas.iter().find_map(|attribute| {
        let Nla::Other(other) = attribute else { return None };
        (other.kind() & KIND == STORAGES).then(|| value(other))
    })?;
    let storage = inner(&storages, STORAGE)?;
    let value = inner(&storage, STORAGE_VALUE)?;
    let word = |at: usize| Some(u32::from_ne_bytes(value.get(at..at + 4)?.try_into().ok()?));
    let id = word(offset_of!(ServicePeer, id))?;
    let generation = word(offset_of!(ServicePeer, generation))?;
    (id != 0).then_some((id, generation))
}

fn value(attribute: &impl netlink_packet_core::Nla) -> Vec<u8> {
    let mut bytes = vec![0; attribute.value_len()];
    attribute.emit_value(&mut bytes);
    bytes
}

/// The value of an attribute in an attribute.
fn inner(attributes: &[u8], kind: u16) -> Option<Vec<u8>> {
    NlasIterator::new(attributes)
        .filter_map(Result::ok)
        .find_map(|attribute| (attribute.kind() & KIND == kind).then(|| attribute.value().to_vec()))
}
