//! Accepting: a connection's local address is the frontend, which says who answers.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    rc::Rc,
    sync::atomic::Ordering::Relaxed,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};

use super::{clock::Timer, error::Refusal, serve, worker::Context};

/// How long accepting pauses when the system has no descriptor or memory for one more connection.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// Accepts until the worker drains, then what is in the queue, and stops listening.
pub(super) async fn run(context: Rc<Context>, listener: TcpListener) {
    let stop = context.clock.timer();
    while let Some(accepted) = poll_fn(|task| poll_accept(&context, &listener, &stop, task)).await {
        match accepted {
            Ok((stream, peer)) => begin(&context, stream, peer),
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                pause(&context).await;
            }
        }
    }
    // Closing would not do: the proxy's owner holds the socket too.
    if let Err(error) = SockRef::from(&listener).shutdown(std::net::Shutdown::Read) {
        tracing::warn!(%error, "cannot stop listening");
    }
}

/// The next connection; `None` once the time to accept has passed and the queue is empty.
fn poll_accept(
    context: &Context,
    listener: &TcpListener,
    stop: &Timer,
    task: &mut TaskContext<'_>,
) -> Poll<Option<io::Result<(TcpStream, SocketAddr)>>> {
    if context.draining.get() {
        stop.arm(context.shared.config.timeouts.drain_accept);
    }
    match listener.poll_accept(task) {
        Poll::Ready(accepted) => Poll::Ready(Some(accepted)),
        Poll::Pending => stop.poll(task).map(|()| None),
    }
}

/// Whether the connection failed before it was accepted, which says nothing about the listener.
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

async fn pause(context: &Context) {
    let timer = context.clock.timer();
    timer.set(EXHAUSTED_PAUSE);
    timer.expired().await;
}

/// Serves a connection, where it may be served.
fn begin(context: &Rc<Context>, stream: TcpStream, peer: SocketAddr) {
    context.counters.accepted.fetch_add(1, Relaxed);
    let Some(open) = Open::count(context) else {
        context.counters.refuse(Refusal::TooManyConnections);
        return;
    };
    // Gone already, where the address is not to be had.
    let Ok(frontend) = stream.local_addr() else { return };
    if context.shared.table.load().find_frontend(&frontend).is_none() {
        context.counters.refuse(Refusal::UnknownFrontend);
        return;
    }
    tokio::task::spawn_local(serve::connection(open, stream, Ends { client: peer, frontend }));
}

/// Both ends of a client's connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    /// The client.
    pub client: SocketAddr,
    /// The address that the client connected to.
    pub frontend: SocketAddr,
}

/// An open connection: counted until it is dropped.
pub(super) struct Open(pub Rc<Context>);

impl Open {
    /// Counts one more connection; `None` where there are too many.
    fn count(context: &Rc<Context>) -> Option<Self> {
        let all = &context.shared.connections;
        if all.fetch_add(1, Relaxed) >= context.shared.config.limits.connections {
            all.fetch_sub(1, Relaxed);
            return None;
        }
        context.open.set(context.open.get() + 1);
        context.counters.connections.fetch_add(1, Relaxed);
        Some(Self(Rc::clone(context)))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.shared.connections.fetch_sub(1, Relaxed);
        self.0.open.set(self.0.open.get() - 1);
        self.0.counters.connections.fetch_sub(1, Relaxed);
    }
}
