//! The strict check of HTTP/1 requests on the bytes before the HTTP library sees them.
//!
//! Two parsers that disagree on where a request ends are what request smuggling lives on, so what has two
//! readings is refused here, whichever one the library would take. Bytes are let through as they come, but for a
//! head and for trailers, which are let through as a whole. However the bytes are cut into pieces, the verdict is
//! the same.

mod chars;
mod chunk;
mod field;
mod head;
mod lines;
mod target;

use self::{
    chunk::Chunks,
    head::{Body, HeadScan},
};
pub(super) use self::{field::is_host, target::escapes_root};
use super::{config::Limits, error::Refusal};

/// Follows one connection's requests.
#[derive(Debug)]
pub(super) struct Scanner {
    limits: FramingLimits,
    state: State,
    /// The request under way asked for an upgrade: nothing after it is looked at until that is decided.
    upgrade: bool,
    heads: u64,
}

/// The limits that concern framing; in bytes, and a count of fields.
#[derive(Clone, Copy, Debug)]
struct FramingLimits {
    request_line: usize,
    head: usize,
    fields: usize,
    chunk_line: usize,
}

#[derive(Debug)]
enum State {
    Head(HeadScan),
    /// That many bytes of a body are due.
    Length(u64),
    Chunked(Chunks),
    Trailers(HeadScan),
    /// After a request that asked for an upgrade.
    Held,
    Refused,
}

/// What [`Scanner::scan`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scan {
    /// How many of the bytes may pass.
    pub passed: usize,
    /// Why nothing after them may, ever.
    pub refused: Option<Refused>,
}

/// A refusal, and whether the request's head has passed already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// In the head: nothing of the request has passed.
    Head(Refusal),
    /// In its body.
    Body(Refusal),
}

/// Where a connection stands between two reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Before a request.
    Between,
    /// Within a head.
    Head,
    /// Within a body.
    Body,
    /// After a request that asked for an upgrade.
    Held,
    /// After a refusal.
    Refused,
}

impl Scanner {
    /// A connection's beginning.
    pub fn new(limits: &Limits) -> Self {
        let limits = FramingLimits {
            // Below `head`, so that a request line that is over both is always over its own.
            request_line: limits.request_line.min(limits.head.saturating_sub(2)),
            head: limits.head,
            fields: limits.fields,
            chunk_line: limits.chunk_line,
        };
        Self { limits, state: State::Head(HeadScan::default()), upgrade: false, heads: 0 }
    }

    /// Requests whose heads have passed.
    pub fn heads(&self) -> u64 {
        self.heads
    }

    /// Where the connection stands.
    pub fn place(&self) -> Place {
        match &self.state {
            State::Head(head) if head.has_begun() => Place::Head,
            State::Head(_) => Place::Between,
            State::Length(_) | State::Chunked(_) | State::Trailers(_) => Place::Body,
            State::Held => Place::Held,
            State::Refused => Place::Refused,
        }
    }

    /// Looks at the bytes that follow those that have passed: `bytes` begins with what was held back last time.
    pub fn scan(&mut self, bytes: &[u8]) -> Scan {
        let mut passed = 0;
        loop {
            let rest = &bytes[passed..];
            match self.step(rest) {
                Ok(0) => return Scan { passed, refused: None },
                Ok(more) => passed += more,
                Err((more, refused)) => {
                    self.state = State::Refused;
                    return Scan { passed: passed + more, refused: Some(refused) };
                }
            }
        }
    }

    /// The upgrade that was asked for is not to be: what follows is the next request.
    pub fn resume(&mut self) {
        self.upgrade = false;
        if let State::Held = self.state {
            self.state = State::Head(HeadScan::default());
        }
    }

    /// The connection has ended. Where that is within a request, the refusal.
    pub fn end(&mut self) -> Option<Refused> {
        let refused = match self.place() {
            Place::Head => Refused::Head(Refusal::Incomplete),
            Place::Body => Refused::Body(Refusal::Incomplete),
            Place::Between | Place::Held | Place::Refused => return None,
        };
        self.state = State::Refused;
        Some(refused)
    }

    /// Passes up to the next change of state: how many bytes; 0 where more are needed first. An error says how
    /// many pass before it.
    fn step(&mut self, rest: &[u8]) -> Result<usize, (usize, Refused)> {
        match &mut self.state {
            State::Head(head) => {
                let is_first = self.heads == 0;
                let refused = |refusal| {
                    // After a request, its client does understand an answer.
                    let is_late = refusal == Refusal::NotHttp && !is_first;
                    (0, Refused::Head(if is_late { Refusal::RequestLine } else { refusal }))
                };
                let Some(found) = head.scan(rest, &self.limits).map_err(refused)? else { return Ok(0) };
                self.heads += 1;
                self.upgrade = found.upgrade;
                match found.body {
                    Body::None => self.end_request(),
                    Body::Length(length) => self.state = State::Length(length),
                    Body::Chunked => self.state = State::Chunked(Chunks::default()),
                }
                Ok(found.length)
            }
            State::Length(due) => {
                let take = (rest.len() as u64).min(*due);
                *due -= take;
                if *due == 0 {
                    self.end_request();
                }
                Ok(take as usize)
            }
            State::Chunked(chunks) => {
                let (taken, outcome) = chunks.scan(rest, self.limits.chunk_line);
                if outcome.map_err(|refusal| (taken, Refused::Body(refusal)))? {
                    self.state = State::Trailers(HeadScan::trailers());
                }
                Ok(taken)
            }
            State::Trailers(trailers) => {
                let found =
                    trailers.scan(rest, &self.limits).map_err(|refusal| (0, Refused::Body(refusal)))?;
                if found.is_some() {
                    self.end_request();
                }
                Ok(found.map_or(0, |found| found.length))
            }
            State::Held | State::Refused => Ok(0),
        }
    }

    fn end_request(&mut self) {
        self.state = if self.upgrade { State::Held } else { State::Head(HeadScan::default()) };
    }
}

#[cfg(test)]
mod tests;
