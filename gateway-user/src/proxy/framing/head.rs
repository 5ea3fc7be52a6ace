//! A request's head, or a chunked body's trailers: lines up to an empty one.

use super::{
    FramingLimits,
    chars::TOKEN,
    field::Field,
    lines::{Limit, Lines},
    target,
};
use crate::proxy::error::Refusal;

/// A head of which some lines may have arrived.
#[derive(Debug, Default)]
pub(super) struct HeadScan {
    lines: Lines,
    part: Part,
    version: Version,
    fields: usize,
    length: Option<u64>,
    chunked: bool,
    host: bool,
    upgrade: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    /// Nothing has arrived.
    #[default]
    Nothing,
    /// The first line is under way.
    FirstLine,
    /// After one empty line, which some clients send after a body (RFC 9112, 2.2).
    RequestLine,
    Fields,
    Trailers,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Version {
    Http10,
    #[default]
    Http11,
}

/// What a complete head says of framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Its bytes, the empty line included.
    pub length: usize,
    pub body: Body,
    /// Whether it asks for an upgrade.
    pub upgrade: bool,
}

/// How a body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    None,
    Length(u64),
    Chunked,
}

impl HeadScan {
    /// The part after a chunked body's last chunk.
    pub fn trailers() -> Self {
        Self { part: Part::Trailers, ..Self::default() }
    }

    /// Whether a byte of it has arrived.
    pub fn has_begun(&self) -> bool {
        self.part != Part::Nothing
    }

    /// Looks at `bytes`, which begin where the head begins; `None` where it has not arrived as a whole.
    pub fn scan(&mut self, bytes: &[u8], limits: &FramingLimits) -> Result<Option<Head>, Refusal> {
        if bytes.is_empty() {
            return Ok(None);
        }
        if self.part == Part::Nothing {
            self.part = Part::FirstLine;
        }
        let all = Limit { bytes: limits.head, refusal: Refusal::HeadTooLarge };
        loop {
            let longest = match self.part {
                Part::Nothing | Part::FirstLine | Part::RequestLine => {
                    check_first_byte(bytes, self.lines.start())?;
                    Limit { bytes: limits.request_line, refusal: Refusal::RequestLineTooLong }
                }
                Part::Fields | Part::Trailers => all,
            };
            let Some(line) = self.lines.next(bytes, longest, all)? else { return Ok(None) };
            match self.part {
                Part::Nothing | Part::FirstLine if line.is_empty() => self.part = Part::RequestLine,
                Part::Nothing | Part::FirstLine | Part::RequestLine => {
                    self.version = read_request_line(line).map_err(|refusal| not_http(line, refusal))?;
                    self.part = Part::Fields;
                }
                Part::Fields | Part::Trailers if line.is_empty() => return self.finish().map(Some),
                Part::Fields | Part::Trailers => self.read_field(line, limits)?,
            }
        }
    }

    fn finish(&self) -> Result<Head, Refusal> {
        if self.part == Part::Fields && self.version == Version::Http11 && !self.host {
            return Err(Refusal::HostMissing);
        }
        let body = match self.length {
            _ if self.chunked => Body::Chunked,
            None | Some(0) => Body::None,
            Some(length) => Body::Length(length),
        };
        let upgrade = self.upgrade && self.version == Version::Http11;
        Ok(Head { length: self.lines.start(), body, upgrade })
    }

    fn read_field(&mut self, line: &[u8], limits: &FramingLimits) -> Result<(), Refusal> {
        let field = Field::read(line)?;
        self.fields += 1;
        if self.fields > limits.fields {
            return Err(Refusal::TooManyFields);
        }
        // By length first: most names are none of these.
        match field.name.len() {
            4 if is(&field, b"host") => self.read_host(&field),
            14 if is(&field, b"content-length") => self.read_content_length(&field),
            17 if is(&field, b"transfer-encoding") => self.read_transfer_encoding(&field),
            6 if is(&field, b"expect") && !field.trimmed().eq_ignore_ascii_case(b"100-continue") => {
                Err(Refusal::Expect)
            }
            7 if is(&field, b"upgrade") => {
                self.upgrade = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn read_host(&mut self, field: &Field<'_>) -> Result<(), Refusal> {
        self.refuse_in_trailers()?;
        if std::mem::replace(&mut self.host, true) {
            return Err(Refusal::Hosts);
        }
        field.check_host()
    }

    fn read_content_length(&mut self, field: &Field<'_>) -> Result<(), Refusal> {
        self.refuse_in_trailers()?;
        if self.chunked {
            return Err(Refusal::LengthAndEncoding);
        }
        let length = field.content_length()?;
        // Equal ones too: an intermediary may have merged or dropped one.
        if self.length.replace(length).is_some() {
            return Err(Refusal::ContentLengths);
        }
        Ok(())
    }

    fn read_transfer_encoding(&mut self, field: &Field<'_>) -> Result<(), Refusal> {
        self.refuse_in_trailers()?;
        if self.length.is_some() {
            return Err(Refusal::LengthAndEncoding);
        }
        field.check_transfer_encoding()?;
        if self.version == Version::Http10 || std::mem::replace(&mut self.chunked, true) {
            return Err(Refusal::TransferEncoding);
        }
        Ok(())
    }

    fn refuse_in_trailers(&self) -> Result<(), Refusal> {
        if self.part == Part::Trailers { Err(Refusal::Trailer) } else { Ok(()) }
    }
}

fn is(field: &Field<'_>, name: &[u8]) -> bool {
    field.name.eq_ignore_ascii_case(name)
}

/// What cannot begin a request is refused without waiting for a line end: TLS on a plain port, for one.
fn check_first_byte(bytes: &[u8], start: usize) -> Result<(), Refusal> {
    match bytes.get(start) {
        Some(byte) if !TOKEN.has(*byte) && !matches!(byte, b'\r' | b'\n') => Err(Refusal::RequestLine),
        _ => Ok(()),
    }
}

/// Tells a malformed request from what is none: a wrong HTTP/2 preface, another protocol.
fn not_http(line: &[u8], refusal: Refusal) -> Refusal {
    let is_like_one =
        line.windows(5).any(|part| part == b"HTTP/") || line.windows(2).any(|part| part == b" /");
    if refusal == Refusal::RequestLine && !is_like_one && !line.is_empty() {
        Refusal::NotHttp
    } else {
        refusal
    }
}

/// Reads `METHOD SP target SP HTTP/1.x`.
fn read_request_line(line: &[u8]) -> Result<Version, Refusal> {
    if line.contains(&b'\r') {
        return Err(Refusal::BareCr);
    }
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Refusal::RequestLine);
    };
    if method.is_empty() || target.is_empty() || !TOKEN.has_all(method) {
        return Err(Refusal::RequestLine);
    }
    let version = match version {
        b"HTTP/1.1" => Version::Http11,
        b"HTTP/1.0" => Version::Http10,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            return Err(Refusal::Version);
        }
        _ => return Err(Refusal::RequestLine),
    };
    target::check(method, target)?;
    Ok(version)
}
