//! Cookies of a `Cookie` field line (RFC 6265, section 4.2.1).

/// Name and value of each cookie of a field line, blanks around them dropped, in the order sent. Quotes around
/// a value belong to it. A part without `=` has an empty value.
pub fn cookies(line: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    line.split(|byte| *byte == b';').map(<[u8]>::trim_ascii).filter(|part| !part.is_empty()).map(|part| {
        match part.iter().position(|byte| *byte == b'=') {
            Some(at) => (part[..at].trim_ascii_end(), part[at + 1..].trim_ascii_start()),
            None => (part, &[][..]),
        }
    })
}
