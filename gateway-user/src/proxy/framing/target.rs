//! A request's target (RFC 9112, section 3.2).

use super::{
    chars::{PATH, QUERY},
    field::is_host,
};
use crate::proxy::error::Refusal;

/// Checks the target of a request with `method`.
pub(super) fn check(method: &[u8], target: &[u8]) -> Result<(), Refusal> {
    if method == b"CONNECT" {
        return Err(Refusal::Connect);
    }
    let query = target.iter().position(|byte| *byte == b'?').unwrap_or(target.len());
    if !PATH.has_all(&target[..query]) || !QUERY.has_all(&target[query..]) {
        return Err(Refusal::Target);
    }
    let path = match target {
        [b'/', ..] => target,
        b"*" if method == b"OPTIONS" => return Ok(()),
        _ => path_of_absolute(target)?,
    };
    let end = path.iter().position(|byte| *byte == b'?').unwrap_or(path.len());
    if escapes_root(&path[..end]) { Err(Refusal::PathEscape) } else { Ok(()) }
}

/// The path of `http://host[:port]path`; empty where there is none.
fn path_of_absolute(target: &[u8]) -> Result<&[u8], Refusal> {
    let after = |scheme: &[u8]| {
        let start = target.get(..scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then(|| &target[scheme.len()..])
    };
    let rest = after(b"http://").or_else(|| after(b"https://")).ok_or(Refusal::Target)?;
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    if is_host(&rest[..end]) { Ok(&rest[end..]) } else { Err(Refusal::Target) }
}

/// Whether the `..` of a path climb above where it begins, at any point: `/a/../../b`. Backslashes separate too, and
/// escapes count as what they stand for, since some endpoint will read them so.
pub(in crate::proxy) fn escapes_root(path: &[u8]) -> bool {
    // Most paths have neither.
    if !path.windows(2).any(|pair| pair == b".." || pair == b"%2") {
        return false;
    }
    let mut depth = 0_i32;
    let mut segment = Segment::Empty;
    let mut rest = path;
    while let Some((byte, after)) = next_byte(rest) {
        rest = after;
        if !matches!(byte, b'/' | b'\\') {
            segment = segment.with(byte);
            continue;
        }
        depth += segment.depth();
        if depth < 0 {
            return true;
        }
        segment = Segment::Empty;
    }
    depth + segment.depth() < 0
}

/// The first byte, unescaped where it stands for a dot or a separator.
fn next_byte(path: &[u8]) -> Option<(u8, &[u8])> {
    match path {
        [b'%', b'2', b'e' | b'E', rest @ ..] => Some((b'.', rest)),
        [b'%', b'2', b'f' | b'F', rest @ ..] => Some((b'/', rest)),
        [b'%', b'5', b'c' | b'C', rest @ ..] => Some((b'\\', rest)),
        [byte, rest @ ..] => Some((*byte, rest)),
        [] => None,
    }
}

/// What a path's segment is, as far as dots go.
#[derive(Clone, Copy)]
enum Segment {
    Empty,
    Dot,
    Dots,
    Name,
}

impl Segment {
    fn with(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Empty, b'.') => Self::Dot,
            (Self::Dot, b'.') => Self::Dots,
            _ => Self::Name,
        }
    }

    fn depth(self) -> i32 {
        match self {
            Self::Empty | Self::Dot => 0,
            Self::Dots => -1,
            Self::Name => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_passes_where_the_http_library_takes_it_and_no_further() {
        for byte in b'!'..=b'~' {
            for target in [format!("/a{}b", char::from(byte)), format!("/a?b{}", char::from(byte))] {
                let taken = target.parse::<http::Uri>().is_ok() && byte != b'#';
                assert_eq!(check(b"GET", target.as_bytes()).is_ok(), taken, "{target}");
            }
        }
    }
}
