//! Lines of bytes that arrive in pieces.

use memchr::memchr;

use crate::proxy::error::Refusal;

/// Where the search for lines stands, in bytes from the beginning of what is held back.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The line under way.
    start: usize,
    /// Up to here there is no line end in it.
    searched: usize,
}

impl Lines {
    /// Where the line under way begins.
    pub fn start(&self) -> usize {
        self.start
    }

    /// The next line, without its CRLF; `None` where it has not arrived. A line longer than `longest`, or that
    /// makes all lines longer than `all` with their line ends, is refused as soon as that is certain.
    pub fn next<'a>(
        &mut self,
        bytes: &'a [u8],
        longest: Limit,
        all: Limit,
    ) -> Result<Option<&'a [u8]>, Refusal> {
        let end = memchr(b'\n', &bytes[self.searched..]).map(|at| self.searched + at);
        // One more than the limit is for the CR. Both tests hold for the whole line where they hold for a part.
        let so_far = end.unwrap_or(bytes.len());
        if so_far - self.start > longest.bytes.saturating_add(1) {
            return Err(longest.refusal);
        }
        if so_far >= all.bytes {
            return Err(all.refusal);
        }
        let Some(end) = end else {
            self.searched = bytes.len();
            return Ok(None);
        };
        let line = &bytes[self.start..end];
        self.start = end + 1;
        self.searched = end + 1;
        line.strip_suffix(b"\r").map(Some).ok_or(Refusal::BareLf)
    }
}

/// A limit, and what it is to exceed it.
#[derive(Clone, Copy)]
pub(super) struct Limit {
    pub bytes: usize,
    pub refusal: Refusal,
}
