//! HTTP/2 with a client.

use std::{
    cell::Cell,
    convert::Infallible,
    future::{Future, poll_fn},
    rc::Rc,
    task::{Context as TaskContext, Poll},
};

use hyper::{
    rt::Executor,
    server::conn::http2::{self, Builder},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;

use super::{Peer, rewound::Rewound};
use crate::proxy::{
    clock::Timer,
    request::{self, Origin},
    worker::Context,
};

/// Window of a stream and of a connection: what a client may send ahead, in bytes.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;

/// Response bytes that a stream may have waiting for its client.
const SEND_BUFFER: usize = 256 << 10;

/// Serves a connection of which `first` was read.
pub(super) async fn serve(context: &Rc<Context>, peer: Rc<Peer>, stream: TcpStream, first: Vec<u8>) {
    let streams = Rc::new(Cell::new(0));
    let service = service_fn(|request| {
        let open = OpenStream::count(&streams);
        let origin = Origin { context: Rc::clone(context), peer: Rc::clone(&peer), link: None };
        async move {
            let mut response = request::handle(origin, request).await;
            response.body_mut().keep(open);
            Ok::<_, Infallible>(response)
        }
    });
    let returned = Rc::default();
    let io = TokioIo::new(Rewound::new(first, stream, &returned));
    let mut connection = Box::pin(builder(context).serve_connection(io, service));
    let mut stopping = Stopping::new(context);
    let ended = poll_fn(|task| {
        match stopping.poll(context, streams.get(), task) {
            Stop::Not => {}
            Stop::Graceful => connection.as_mut().graceful_shutdown(),
            Stop::Now => return Poll::Ready(Ok(())),
        }
        connection.as_mut().poll(task)
    });
    if let Err(error) = ended.await {
        tracing::trace!(%error, client = %peer.ends.client, "connection ended");
    }
    drop(connection);
    if let Some(stream) = returned.take() {
        super::close(context, &stream).await;
    }
}

fn builder(context: &Context) -> Builder<Local> {
    let limits = &context.shared.config.limits;
    let mut builder = http2::Builder::new(Local);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.h2_streams)
        .max_pending_accept_reset_streams(limits.h2_resets)
        .max_header_list_size(u32::try_from(limits.head).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(context.shared.config.timeouts.idle)
        .keep_alive_timeout(context.shared.config.timeouts.head);
    builder
}

/// Runs the library's tasks on this thread.
#[derive(Clone, Copy)]
struct Local;

impl<F: Future<Output = ()> + 'static> Executor<F> for Local {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// A stream with a request under way: counted until it is dropped.
pub(in crate::proxy) struct OpenStream(Rc<Cell<usize>>);

impl OpenStream {
    fn count(streams: &Rc<Cell<usize>>) -> Self {
        streams.set(streams.get() + 1);
        Self(Rc::clone(streams))
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// When the connection is to end: on a drain, and after a time without a stream.
struct Stopping {
    timer: Timer,
    told: bool,
}

enum Stop {
    Not,
    /// GOAWAY: what has begun ends.
    Graceful,
    /// The client was told and had time.
    Now,
}

impl Stopping {
    fn new(context: &Rc<Context>) -> Self {
        Self { timer: context.clock.timer(), told: false }
    }

    fn poll(&mut self, context: &Context, streams: usize, task: &TaskContext<'_>) -> Stop {
        let timeouts = &context.shared.config.timeouts;
        if streams > 0 {
            self.timer.clear();
        } else {
            self.timer.arm(if self.told { timeouts.drain_idle } else { timeouts.idle });
        }
        let expired = self.timer.poll(task).is_ready();
        if self.told {
            return if expired { Stop::Now } else { Stop::Not };
        }
        self.told = expired || context.draining.get();
        if !self.told {
            return Stop::Not;
        }
        self.timer.clear();
        Stop::Graceful
    }
}
