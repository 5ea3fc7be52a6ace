//! The bytes of an HTTP/1 client on their way to the library, past the framing check and under its time-outs.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    pin::Pin,
    rc::Rc,
    task::{Context as TaskContext, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{intake::Intake, link::Link};
use crate::proxy::{
    clock::Timer,
    error::Refusal,
    framing::{Place, Refused},
    worker::Context,
};

/// A client's connection.
pub(super) struct ClientIo {
    stream: TcpStream,
    context: Rc<Context>,
    link: Rc<Link>,
    intake: Intake,
    read_timer: Timer,
    write_timer: Timer,
    /// The read timer runs for a drain.
    draining: bool,
}

impl ClientIo {
    /// A connection on which `first` was read already.
    pub fn new(context: &Rc<Context>, link: Rc<Link>, stream: TcpStream, first: Vec<u8>) -> Self {
        let read_timer = context.clock.timer();
        read_timer.set(context.shared.config.timeouts.head);
        Self {
            stream,
            context: Rc::clone(context),
            intake: Intake::new(context, &link, first),
            link,
            read_timer,
            write_timer: context.clock.timer(),
            draining: false,
        }
    }

    /// Whether the client may have sent what nobody has read.
    pub fn has_unread(&self) -> bool {
        self.intake.has_unread()
    }

    /// The connection itself, and what was read and not given on.
    pub fn into_inner(self) -> (TcpStream, Vec<u8>) {
        (self.stream, self.intake.into_held())
    }

    /// Reads once, where there is something; whether bytes were given on.
    fn poll_stream(
        &mut self,
        task: &mut TaskContext<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<bool>> {
        if self.intake.holds_any() {
            self.poll_behind_held(task).map_ok(|()| false)
        } else {
            self.poll_direct(task, buffer)
        }
    }

    /// Reads into the library's buffer, and takes back what may not pass yet.
    fn poll_direct(
        &mut self,
        task: &mut TaskContext<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<bool>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(task, buffer))?;
        if buffer.filled().len() == before {
            self.intake.end();
            return Poll::Ready(Ok(false));
        }
        let was_between = self.intake.place() == Place::Between && self.intake.heads() > 0;
        let passed = self.intake.check(buffer, before);
        // A head's time runs from its first byte, not from the end of the request before it.
        if passed > 0 || was_between {
            self.read_timer.clear();
        }
        Poll::Ready(Ok(passed > 0))
    }

    /// Reads behind what is held.
    fn poll_behind_held(&mut self, task: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [MaybeUninit::uninit(); 4096];
        let mut buffer = ReadBuf::uninit(&mut bytes);
        ready!(Pin::new(&mut self.stream).poll_read(task, &mut buffer))?;
        if buffer.filled().is_empty() {
            self.intake.end();
        } else if self.intake.hold(buffer.filled()) > 0 {
            self.read_timer.clear();
        }
        Poll::Ready(Ok(()))
    }

    /// Waits for bytes; ready where the wait is over without any.
    fn poll_wait(&mut self, task: &TaskContext<'_>) -> Poll<()> {
        let timeouts = &self.context.shared.config.timeouts;
        match self.intake.place() {
            Place::Between if !self.link.is_idle() => self.read_timer.clear(),
            Place::Between if self.context.draining.get() => {
                if !std::mem::replace(&mut self.draining, true) {
                    self.read_timer.clear();
                }
                self.read_timer.arm(timeouts.drain_idle);
            }
            Place::Between => self.read_timer.arm(timeouts.idle),
            Place::Head => self.read_timer.arm(timeouts.head),
            // A body's wait is its reader's, who may not want to read.
            Place::Body | Place::Held | Place::Refused => self.read_timer.clear(),
        }
        ready!(self.read_timer.poll(task));
        if self.intake.place() == Place::Head {
            self.intake.refuse(Refused::Head(Refusal::HeadTimeout));
        } else {
            self.intake.close();
        }
        self.read_timer.clear();
        Poll::Ready(())
    }

    /// What writing came to, unless the client has taken nothing for too long.
    fn after_write<T>(&self, task: &TaskContext<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.write_timer.clear();
            return written;
        }
        self.write_timer.arm(self.context.shared.config.timeouts.write_idle);
        self.write_timer.poll(task).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.intake.give(buffer) {
                return Poll::Ready(Ok(()));
            }
            if let Some(end) = ready!(self.intake.give_end(buffer)) {
                return Poll::Ready(end);
            }
            if self.intake.place() == Place::Held {
                ready!(self.link.poll_declined(task));
                self.intake.resume();
                continue;
            }
            match self.poll_stream(task, buffer) {
                Poll::Ready(Ok(true)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(false)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => ready!(self.poll_wait(task)),
            }
        }
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(task, bytes);
        self.after_write(task, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(task, slices);
        self.after_write(task, written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        // The library flushes once a response is out, and need not read then: the wait for the next request
        // begins here.
        if self.link.is_answered() {
            self.link.settle();
            if self.link.is_idle() && self.intake.place() == Place::Between && self.intake.is_open() {
                // Where it is over at once, the next read will say so.
                let _ = self.poll_wait(task);
            }
        }
        Pin::new(&mut self.stream).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(task)
    }
}
