//! The UDP server of a pod.

use std::{
    io,
    net::{Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::{net::UdpSocket, sync::watch};

use super::{Identity, stopped};

/// A socket for both families.
pub(super) fn bind(port: u16) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_only_v6(false)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into())?;
    Ok(socket.into())
}

pub(super) async fn serve(
    socket: std::net::UdpSocket,
    identity: Identity,
    served: Arc<AtomicU64>,
    mut stop: watch::Receiver<bool>,
) {
    let socket = UdpSocket::from_std(socket).expect("the socket is non-blocking");
    let greeting = format!("{} {} ", identity.pod, identity.version);
    let mut buffer = vec![0; 65_536];
    loop {
        tokio::select! {
            received = socket.recv_from(&mut buffer) => {
                // An error here is an ICMP answer to an earlier datagram.
                let Ok((length, from)) = received else { continue };
                served.fetch_add(1, Ordering::Relaxed);
                let answer = [greeting.as_bytes(), &buffer[..length]].concat();
                let _ = socket.send_to(&answer, from).await;
            }
            () = stopped(&mut stop) => return,
        }
    }
}
