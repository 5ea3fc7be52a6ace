//! Classes of bytes.

/// A set of bytes.
pub(super) struct Set([bool; 256]);

impl Set {
    const fn of(bytes: &[u8]) -> Self {
        let mut set = [false; 256];
        let mut at = 0;
        while at < bytes.len() {
            set[bytes[at] as usize] = true;
            at += 1;
        }
        Self(set)
    }

    const fn range(mut self, from: u8, to: u8) -> Self {
        let mut byte = from as usize;
        while byte <= to as usize {
            self.0[byte] = true;
            byte += 1;
        }
        self
    }

    const fn alphanumeric(self) -> Self {
        self.range(b'0', b'9').range(b'A', b'Z').range(b'a', b'z')
    }

    /// Whether `byte` is in the set.
    #[inline]
    pub fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte)]
    }

    /// Whether all of `bytes` are in the set.
    #[inline]
    pub fn has_all(&self, bytes: &[u8]) -> bool {
        bytes.iter().all(|byte| self.has(*byte))
    }
}

/// `token` (RFC 9110, 5.6.2): methods and field names.
pub(super) static TOKEN: Set = Set::of(b"!#$%&'*+-.^_`|~").alphanumeric();

/// What a field's value may hold: visible ASCII, blank, tab, and bytes from 0x80 (`obs-text`).
pub(super) static VALUE: Set = Set::of(b"\t").range(b' ', b'~').range(0x80, 0xFF);

/// What a target may hold before its `?`: visible ASCII that the HTTP library takes there, which is all that
/// RFC 3986 allows and some that clients send all the same. No `#`: a fragment is never sent.
pub(super) static PATH: Set = Set::of(b"!\"=").range(b'$', b';').range(b'?', b'_').range(b'a', b'~');

/// What a target may hold behind its `?`; as above.
pub(super) static QUERY: Set = Set::of(b"!=").range(b'$', b';').range(b'?', b'~');

/// What a host may hold beside brackets and the port's colon: `reg-name` (RFC 3986, 3.2.2) without the comma, which
/// a list would be read from.
pub(super) static HOST: Set = Set::of(b"-._~%!$&'()*+;=").alphanumeric();

/// What a bracketed address may hold, zone excluded.
pub(super) static ADDRESS: Set = Set::of(b":.").range(b'0', b'9').range(b'A', b'F').range(b'a', b'f');
