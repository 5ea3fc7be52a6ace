//! The bytes of an HTTP/1 client on their way to the library, past the framing check and under its time-outs.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context as TaskContext, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::link::Link;
use crate::proxy::{
    clock::Timer,
    error::Refusal,
    framing::{Place, Refused, Scanner},
    worker::Context,
};

/// What the library reads in place of a head that was refused. Its answer, in order after those of the requests
/// before it, is ours.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost:\r\nconnection: close\r\n\r\n";

/// Held bytes are kept in a buffer of at most this size between two requests.
const KEPT: usize = 2048;

/// A client's connection.
pub(super) struct ClientIo {
    stream: TcpStream,
    context: Rc<Context>,
    link: Rc<Link>,
    scanner: Scanner,
    /// Bytes that were read and not given on; of these, `passed` may be.
    held: Vec<u8>,
    passed: usize,
    end: End,
    read_timer: Timer,
    write_timer: Timer,
    /// The read timer runs for a drain.
    draining: bool,
}

/// How reading ends.
#[derive(Clone, Copy, Debug)]
enum End {
    NotYet,
    /// The client sends no more, or we want no more, between two requests.
    Closed,
    /// A head was refused: that much of the stand-in is due, and then nothing, ever.
    StandIn(&'static [u8]),
    /// A body was refused.
    Broken(Refusal),
}

impl ClientIo {
    /// A connection on which `first` was read already.
    pub fn new(context: &Rc<Context>, link: Rc<Link>, stream: TcpStream, first: Vec<u8>) -> Self {
        let mut io = Self {
            stream,
            context: Rc::clone(context),
            link,
            scanner: Scanner::new(&context.shared.config.limits),
            held: first,
            passed: 0,
            end: End::NotYet,
            read_timer: context.clock.timer(),
            write_timer: context.clock.timer(),
            draining: false,
        };
        io.read_timer.set(context.shared.config.timeouts.head);
        io.scan_held();
        io
    }

    /// The connection itself, and what was read and not given on.
    pub fn into_inner(self) -> (TcpStream, Vec<u8>) {
        (self.stream, self.held)
    }

    /// Whether the client may have sent what nobody has read.
    pub fn has_unread(&self) -> bool {
        !matches!((self.scanner.place(), self.end), (Place::Between, End::NotYet | End::Closed))
    }

    /// Looks at what is held, of which nothing has passed.
    fn scan_held(&mut self) {
        let scan = self.scanner.scan(&self.held);
        self.passed = scan.passed;
        self.after_scan(scan.passed, scan.refused);
    }

    fn after_scan(&mut self, passed: usize, refused: Option<Refused>) {
        if passed > 0 {
            self.read_timer.clear();
        }
        self.link.set_passed(self.scanner.heads());
        if let Some(refused) = refused {
            self.refuse(refused);
        }
    }

    fn refuse(&mut self, refused: Refused) {
        let (Refused::Head(refusal) | Refused::Body(refusal)) = refused;
        self.context.counters.refuse(refusal);
        self.held.truncate(self.passed);
        self.end = match refused {
            Refused::Head(Refusal::NotHttp) => End::Closed,
            Refused::Head(_) => {
                self.link.refuse(refusal);
                End::StandIn(STAND_IN)
            }
            Refused::Body(_) => {
                self.link.refuse_body(refusal);
                End::Broken(refusal)
            }
        };
    }

    /// Gives on what is held and may pass; whether there was any.
    fn give_held(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let give = self.passed.min(buffer.remaining());
        buffer.put_slice(&self.held[..give]);
        self.held.drain(..give);
        self.passed -= give;
        if self.held.is_empty() && self.held.capacity() > KEPT {
            self.held = Vec::new();
        }
        give > 0
    }

    /// What reading has ended with, where it has.
    fn give_end(&mut self, buffer: &mut ReadBuf<'_>) -> Poll<Option<io::Result<()>>> {
        match &mut self.end {
            End::NotYet => Poll::Ready(None),
            End::Closed => Poll::Ready(Some(Ok(()))),
            // The end of the connection is not to be seen before the stand-in is answered.
            End::StandIn([]) => Poll::Pending,
            End::StandIn(due) => {
                let (now, later) = due.split_at(due.len().min(buffer.remaining()));
                buffer.put_slice(now);
                *due = later;
                Poll::Ready(Some(Ok(())))
            }
            End::Broken(refusal) => {
                Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::InvalidData, *refusal))))
            }
        }
    }

    /// Reads once, where there is something; whether bytes were given on.
    fn poll_stream(
        &mut self,
        task: &mut TaskContext<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<bool>> {
        if self.held.is_empty() {
            self.poll_direct(task, buffer)
        } else {
            self.poll_into_held(task).map_ok(|()| false)
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
        let read = &buffer.filled()[before..];
        if read.is_empty() {
            self.at_end();
            return Poll::Ready(Ok(false));
        }
        let began = self.scanner.place();
        let scan = self.scanner.scan(read);
        self.held.extend_from_slice(&read[scan.passed..]);
        buffer.set_filled(before + scan.passed);
        self.after_scan(scan.passed, scan.refused);
        if began == Place::Between && scan.passed == 0 && self.scanner.heads() > 0 {
            // From the first byte of a request, not from the last of the one before.
            self.read_timer.clear();
        }
        Poll::Ready(Ok(scan.passed > 0))
    }

    /// Reads behind what is held.
    fn poll_into_held(&mut self, task: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [std::mem::MaybeUninit::uninit(); 4096];
        let mut buffer = ReadBuf::uninit(&mut bytes);
        ready!(Pin::new(&mut self.stream).poll_read(task, &mut buffer))?;
        if buffer.filled().is_empty() {
            self.at_end();
        } else {
            self.held.extend_from_slice(buffer.filled());
            self.scan_held();
        }
        Poll::Ready(Ok(()))
    }

    /// The client sends no more.
    fn at_end(&mut self) {
        self.end = End::Closed;
        if let Some(refused) = self.scanner.end() {
            self.refuse(refused);
        }
    }

    /// Waits for bytes; ready where the wait is over without any.
    fn poll_wait(&mut self, task: &TaskContext<'_>) -> Poll<()> {
        let timeouts = &self.context.shared.config.timeouts;
        match self.scanner.place() {
            Place::Between if !self.link.is_idle() => self.read_timer.clear(),
            Place::Between if self.context.draining.get().is_some() => {
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
        if self.scanner.place() == Place::Head {
            self.refuse(Refused::Head(Refusal::HeadTimeout));
        } else {
            self.end = End::Closed;
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
            if self.give_held(buffer) {
                return Poll::Ready(Ok(()));
            }
            if let Some(end) = ready!(self.give_end(buffer)) {
                return Poll::Ready(end);
            }
            if self.scanner.place() == Place::Held {
                ready!(self.link.poll_declined(task));
                self.scanner.resume();
                self.scan_held();
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
        if self.link.is_idle() {
            self.link.settle();
            if self.scanner.place() == Place::Between && matches!(self.end, End::NotYet) {
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
