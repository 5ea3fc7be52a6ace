//! UDP: one question, one answer, as [`Pod::serve_udp`](crate::lab::Pod::serve_udp) gives it.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use super::journal::Answer;
use crate::netns::Netns;

/// A socket in `from`, connected to `to`, so that answers from elsewhere are not taken and an ICMP refusal is
/// an error.
pub fn udp_socket(from: &Netns, to: SocketAddr) -> io::Result<UdpSocket> {
    from.run(|| {
        let any: IpAddr =
            if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0))?;
        socket.set_read_timeout(Some(Duration::from_secs(2)))?;
        socket.connect(to)?;
        Ok(socket)
    })
}

/// Sends `word` on `socket` and reads who answers; an answer to another word is an error.
pub fn ask_udp(socket: &UdpSocket, word: &str) -> io::Result<Answer> {
    socket.send(word.as_bytes())?;
    let mut buffer = [0; 2048];
    let length = socket.recv(&mut buffer)?;
    let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
    match text.splitn(3, ' ').collect::<Vec<_>>()[..] {
        [pod, version, echoed] if echoed == word => {
            Ok(Answer { pod: pod.to_owned(), version: version.to_owned() })
        }
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, format!("asked {word:?}, got {text:?}"))),
    }
}
