//! A client's connection: HTTP/1.1, or HTTP/2 with prior knowledge, on the same port.

mod client_io;
mod h1;
pub(super) mod h2;
mod intake;
pub(super) mod link;
mod rewound;
mod tunnel;

use std::{rc::Rc, time::Duration};

use http::HeaderValue;
use tokio::{
    io::{AsyncReadExt, Interest},
    net::TcpStream,
};

use super::{
    accept::{Ends, Open},
    error::Refusal,
    worker::Context,
};

/// What a client that speaks HTTP/2 sends first (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long and how much is read from a client that was told to go, so that what it was told is not lost to a reset.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 256 << 10;

/// What all requests of a connection share.
pub(super) struct Peer {
    pub ends: Ends,
    /// The client's address as a field value.
    pub address: HeaderValue,
    /// Whether what the client says of itself in `X-Forwarded-*` is kept.
    pub trusted: bool,
}

impl Peer {
    fn new(context: &Context, ends: Ends) -> Self {
        let address = ends.client.ip().to_canonical();
        let text =
            HeaderValue::try_from(address.to_string()).expect("an address has visible characters only");
        let trusted = context.shared.config.trusted.iter().any(|network| network.contains(address));
        Self { ends, address: text, trusted }
    }
}

/// Serves a connection to its end.
pub(super) async fn connection(open: Open, mut stream: TcpStream, ends: Ends) {
    let context = &open.0;
    let peer = Rc::new(Peer::new(context, ends));
    let Some((first, is_h2)) = read_first(context, &mut stream).await else { return };
    if is_h2 {
        h2::serve(context, peer, stream, first).await;
    } else {
        h1::serve(context, peer, stream, first).await;
    }
}

/// The first bytes, and whether they are HTTP/2's; `None` where there are none in time.
async fn read_first(context: &Rc<Context>, stream: &mut TcpStream) -> Option<(Vec<u8>, bool)> {
    let timer = context.clock.timer();
    timer.set(context.shared.config.timeouts.head);
    let mut first = Vec::with_capacity(1024);
    loop {
        tokio::select! {
            read = stream.read_buf(&mut first) => if !matches!(read, Ok(1..)) { return None },
            () = timer.expired() => {
                context.counters.refuse(Refusal::HeadTimeout);
                return None;
            }
        }
        let compared = first.len().min(PREFACE.len());
        if first[..compared] != PREFACE[..compared] {
            return Some((first, false));
        }
        if compared == PREFACE.len() {
            return Some((first, true));
        }
    }
}

/// Says that nothing more will come, then reads what the client still sends, for a while: closing with bytes unread
/// would send a reset, which can take the last response from the client.
async fn close(context: &Rc<Context>, stream: &TcpStream) {
    if socket2::SockRef::from(stream).shutdown(std::net::Shutdown::Write).is_err() {
        return;
    }
    let timer = context.clock.timer();
    timer.set(LINGER);
    let discard = async {
        let mut buffer = [0; 4096];
        let mut rest = LINGER_BYTES;
        while rest > 0 && stream.ready(Interest::READABLE).await.is_ok() {
            match stream.try_read(&mut buffer) {
                Ok(0) => return,
                Ok(read) => rest = rest.saturating_sub(read),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    };
    tokio::select! {
        () = discard => {}
        () = timer.expired() => {}
    }
}
