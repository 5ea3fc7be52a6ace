//! What a client has sent and the library has not read: checked, held back, or replaced.

use std::{io, rc::Rc, task::Poll};

use tokio::io::ReadBuf;

use super::link::Link;
use crate::proxy::{
    error::Refusal,
    framing::{Place, Refused, Scan, Scanner},
    worker::Context,
};

/// What the library reads in place of a head that was refused. Its answer, in order after those of the requests
/// before it, is ours.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost:\r\nconnection: close\r\n\r\n";

/// Held bytes are kept in a buffer of at most this size between two requests.
const KEPT: usize = 2048;

/// One connection's.
pub(super) struct Intake {
    context: Rc<Context>,
    link: Rc<Link>,
    scanner: Scanner,
    /// Bytes that were read and not given on; of these, `passed` may be.
    held: Vec<u8>,
    passed: usize,
    end: End,
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

impl Intake {
    /// Of a connection on which `first` was read.
    pub fn new(context: &Rc<Context>, link: &Rc<Link>, first: Vec<u8>) -> Self {
        let scanner = Scanner::new(&context.shared.config.limits);
        let (context, link) = (Rc::clone(context), Rc::clone(link));
        let mut intake = Self { context, link, scanner, held: first, passed: 0, end: End::NotYet };
        intake.scan_held();
        intake
    }

    /// Where the connection stands.
    pub fn place(&self) -> Place {
        self.scanner.place()
    }

    /// Requests whose heads have passed.
    pub fn heads(&self) -> u64 {
        self.scanner.heads()
    }

    /// Whether more may be read.
    pub fn is_open(&self) -> bool {
        matches!(self.end, End::NotYet)
    }

    /// Whether there are bytes that were not given on.
    pub fn holds_any(&self) -> bool {
        !self.held.is_empty()
    }

    /// Whether the client may have sent what nobody has read.
    pub fn has_unread(&self) -> bool {
        !self.link.is_idle()
            || !matches!((self.place(), self.end), (Place::Between, End::NotYet | End::Closed))
    }

    /// What was not given on.
    pub fn into_held(self) -> Vec<u8> {
        self.held
    }

    /// Takes back what may not pass of what was read into the library's buffer behind the first `before` bytes; how
    /// much may. Nothing is held.
    pub fn check(&mut self, buffer: &mut ReadBuf<'_>, before: usize) -> usize {
        let read = &buffer.filled()[before..];
        let scan = self.scanner.scan(read);
        self.held.extend_from_slice(&read[scan.passed..]);
        buffer.set_filled(before + scan.passed);
        self.note(scan);
        scan.passed
    }

    /// Puts bytes behind what is held, of which nothing may pass; how much may now.
    pub fn hold(&mut self, bytes: &[u8]) -> usize {
        self.held.extend_from_slice(bytes);
        self.scan_held();
        self.passed
    }

    /// The upgrade that was asked for is not to be: looks at what is held.
    pub fn resume(&mut self) {
        self.scanner.resume();
        self.scan_held();
    }

    /// The client sends no more.
    pub fn end(&mut self) {
        self.end = End::Closed;
        if let Some(refused) = self.scanner.end() {
            self.refuse(refused);
        }
    }

    /// Nothing more is wanted.
    pub fn close(&mut self) {
        self.end = End::Closed;
    }

    /// Refuses what is under way.
    pub fn refuse(&mut self, refused: Refused) {
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
    pub fn give(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
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
    pub fn give_end(&mut self, buffer: &mut ReadBuf<'_>) -> Poll<Option<io::Result<()>>> {
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

    /// Looks at what is held, of which nothing has passed.
    fn scan_held(&mut self) {
        let scan = self.scanner.scan(&self.held);
        self.passed = scan.passed;
        self.note(scan);
    }

    fn note(&mut self, scan: Scan) {
        self.link.set_passed(self.scanner.heads());
        if let Some(refused) = scan.refused {
            self.refuse(refused);
        }
    }
}
