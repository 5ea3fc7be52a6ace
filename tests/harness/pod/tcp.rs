//! The TCP server of a pod.

use std::{
    io,
    net::{Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use super::{Identity, stopped};
use crate::pattern::{PIECE, Pattern};

/// A listener for both families.
pub(super) fn listen(port: u16) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_only_v6(false)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}

pub(super) async fn serve(
    listener: std::net::TcpListener,
    identity: Identity,
    served: Arc<AtomicU64>,
    mut stop: watch::Receiver<bool>,
) {
    let listener = TcpListener::from_std(listener).expect("the listener is non-blocking");
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                served.fetch_add(1, Ordering::Relaxed);
                // Its error is the client's business: it sees the connection end.
                connections.spawn(converse(stream, identity.clone()));
            }
            Some(_) = connections.join_next() => {}
            () = stopped(&mut stop) => return,
        }
    }
}

async fn converse(stream: TcpStream, identity: Identity) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::with_capacity(PIECE, stream);
    let Identity { pod, version } = &identity;
    stream.write_all(format!("{pod} {version}\n").as_bytes()).await?;
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let answer = match line.trim_end().split_once(' ') {
            Some(("ping", word)) => format!("{pod} {word}\n"),
            Some(("give", count)) => {
                give(&mut stream, count.parse().unwrap_or(0)).await?;
                continue;
            }
            Some(("take", count)) => take(&mut stream, count.parse().unwrap_or(0)).await?,
            _ => format!("what is {line:?}?\n"),
        };
        stream.write_all(answer.as_bytes()).await?;
    }
}

async fn give(stream: &mut BufReader<TcpStream>, count: u64) -> io::Result<()> {
    let mut pattern = Pattern::default();
    let mut left = count;
    while left > 0 {
        let piece = pattern.piece(usize::try_from(left).unwrap_or(PIECE));
        stream.write_all(piece).await?;
        pattern.advance(piece.len());
        left -= piece.len() as u64;
    }
    Ok(())
}

async fn take(stream: &mut BufReader<TcpStream>, count: u64) -> io::Result<String> {
    let mut pattern = Pattern::default();
    let mut buffer = vec![0; PIECE];
    let mut left = count;
    let mut verdict = format!("ok {count}\n");
    while left > 0 {
        let room = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        let got = stream.read(&mut buffer[..room]).await?;
        if got == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        left -= got as u64;
        if let Err(offset) = pattern.accept(&buffer[..got]) {
            verdict = format!("bad at {offset}\n");
        }
    }
    Ok(verdict)
}
