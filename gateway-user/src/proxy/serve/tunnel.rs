//! An upgraded connection: bytes both ways, whatever they mean.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context as TaskContext, Poll, ready},
};

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::{io::AsyncWrite, net::TcpStream};

use crate::proxy::worker::Context;

/// A direction's buffer in bytes, held only while there are bytes in it.
const BUFFER: usize = 64 << 10;

/// Carries bytes between the client and where `upgrade` leads, until both ways have ended, one is broken, or neither
/// has carried a byte for too long. `early` was read from the client already.
pub(super) async fn run(context: &Rc<Context>, mut client: TcpStream, early: &[&[u8]], upgrade: OnUpgrade) {
    let Ok(upgraded) = upgrade.await else { return };
    let Ok(parts) = upgraded.downcast::<TokioIo<TcpStream>>() else { return };
    let mut endpoint = parts.io.into_inner();
    let mut up = Way::holding(early.concat());
    let mut down = Way::holding(parts.read_buf.to_vec());
    let timer = context.clock.timer();
    let idle = context.shared.config.timeouts.upgrade_idle;
    timer.set(idle);
    let carried = poll_fn(|task| {
        let before = up.carried + down.carried;
        let up_done = up.poll(task, &mut client, &mut endpoint)?;
        let down_done = down.poll(task, &mut endpoint, &mut client)?;
        if up_done.is_ready() && down_done.is_ready() {
            return Poll::Ready(Ok(()));
        }
        if up.carried + down.carried != before {
            timer.set(idle);
        }
        timer.poll(task).map(|()| Err(io::Error::from(io::ErrorKind::TimedOut)))
    });
    if let Err(error) = carried.await {
        tracing::trace!(%error, "tunnel broke");
    }
}

/// One direction.
struct Way {
    buffer: Vec<u8>,
    written: usize,
    read_ended: bool,
    shut: bool,
    carried: u64,
}

impl Way {
    fn holding(buffer: Vec<u8>) -> Self {
        Self { buffer, written: 0, read_ended: false, shut: false, carried: 0 }
    }

    /// Carries what it can; ready once the end was carried too.
    fn poll(
        &mut self,
        task: &mut TaskContext<'_>,
        from: &mut TcpStream,
        to: &mut TcpStream,
    ) -> io::Result<Poll<()>> {
        loop {
            let step = if self.shut {
                return Ok(Poll::Ready(()));
            } else if self.written < self.buffer.len() {
                self.poll_write(task, to)
            } else if self.read_ended {
                Pin::new(&mut *to).poll_shutdown(task).map_ok(|()| self.shut = true)
            } else {
                self.poll_read(task, from)
            };
            match step {
                Poll::Ready(done) => done?,
                Poll::Pending => return Ok(Poll::Pending),
            }
        }
    }

    fn poll_write(&mut self, task: &mut TaskContext<'_>, to: &mut TcpStream) -> Poll<io::Result<()>> {
        let written = ready!(Pin::new(to).poll_write(task, &self.buffer[self.written..]))?;
        self.written += written;
        self.carried += written as u64;
        if self.written == self.buffer.len() {
            self.written = 0;
            self.buffer.clear();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read(&mut self, task: &mut TaskContext<'_>, from: &mut TcpStream) -> Poll<io::Result<()>> {
        if from.poll_read_ready(task)?.is_pending() {
            // An idle tunnel holds no buffer.
            self.buffer = Vec::new();
            return Poll::Pending;
        }
        self.buffer.reserve(BUFFER);
        match from.try_read_buf(&mut self.buffer) {
            Ok(read) => self.read_ended = read == 0,
            // Not ready after all: the next turn waits.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Poll::Ready(Err(error)),
        }
        Poll::Ready(Ok(()))
    }
}
