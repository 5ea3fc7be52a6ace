//! One field line (RFC 9112, section 5).

use super::chars::{ADDRESS, HOST, TOKEN, VALUE};
use crate::proxy::error::Refusal;

/// A field line that is well-formed; the value with the white space around it.
pub(super) struct Field<'a> {
    pub name: &'a [u8],
    pub value: &'a [u8],
}

impl<'a> Field<'a> {
    /// Reads a line without its CRLF.
    pub fn read(line: &'a [u8]) -> Result<Self, Refusal> {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return Err(Refusal::ObsFold);
        }
        let colon = line.iter().position(|byte| !TOKEN.has(*byte)).ok_or(Refusal::FieldName)?;
        match line[colon] {
            b':' if colon > 0 => {}
            b' ' | b'\t' => return Err(Refusal::BlankBeforeColon),
            b'\r' => return Err(Refusal::BareCr),
            _ => return Err(Refusal::FieldName),
        }
        let value = &line[colon + 1..];
        match value.iter().find(|byte| !VALUE.has(**byte)) {
            None => Ok(Self { name: &line[..colon], value }),
            Some(b'\r') => Err(Refusal::BareCr),
            Some(_) => Err(Refusal::ControlByte),
        }
    }

    /// The value without the white space around it.
    pub fn trimmed(&self) -> &'a [u8] {
        self.value.trim_ascii()
    }

    /// The value of a field that framing hangs on: one blank before it at most, and nothing after it.
    fn bare(&self) -> &'a [u8] {
        self.value.strip_prefix(b" ").unwrap_or(self.value)
    }

    /// The value as Content-Length: digits only.
    pub fn content_length(&self) -> Result<u64, Refusal> {
        let digits = self.bare();
        if digits.is_empty() || digits.len() > 19 || !digits.iter().all(u8::is_ascii_digit) {
            return Err(Refusal::ContentLength);
        }
        // 19 digits fit 64 bits; what would not fit a signed length is refused.
        let length = digits.iter().fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        if i64::try_from(length).is_ok() { Ok(length) } else { Err(Refusal::ContentLength) }
    }

    /// Whether the value as Transfer-Encoding is one that we take.
    pub fn check_transfer_encoding(&self) -> Result<(), Refusal> {
        self.bare().eq_ignore_ascii_case(b"chunked").then_some(()).ok_or(Refusal::TransferEncoding)
    }

    /// Whether the value is a Host.
    pub fn check_host(&self) -> Result<(), Refusal> {
        if self.value.contains(&b'\t') {
            return Err(Refusal::Host);
        }
        let host = self.trimmed();
        (host.is_empty() || is_host(host)).then_some(()).ok_or(Refusal::Host)
    }
}

/// Whether `bytes` are `name`, `name:port`, `[address]` or `[address]:port`.
pub(in crate::proxy) fn is_host(bytes: &[u8]) -> bool {
    let (is_name, rest) = if let Some(bracketed) = bytes.strip_prefix(b"[") {
        let Some(end) = bracketed.iter().position(|byte| *byte == b']') else { return false };
        (end > 0 && ADDRESS.has_all(&bracketed[..end]), &bracketed[end + 1..])
    } else {
        let end = bytes.iter().position(|byte| *byte == b':').unwrap_or(bytes.len());
        (end > 0 && HOST.has_all(&bytes[..end]), &bytes[end..])
    };
    let is_port = |digits: &[u8]| digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit);
    is_name && (rest.is_empty() || rest.strip_prefix(b":").is_some_and(is_port))
}
