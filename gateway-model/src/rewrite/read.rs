//! Reading rewrites: values, `to`, `if`, a condition.

use super::{Change, RewriteKind};
use crate::{
    condition::Condition,
    expression::{Cursor, MAX_LENGTH, Mark, SyntaxError},
};

/// Longest host (RFC 1035, without the dot at the end).
const LONGEST_HOST: usize = 253;

const PATH: &str = "a path, which begins with `/`";
const HOST: &str = "a host name or address, with or without `:port`";
const TEMPLATE: &str = "a fixed text: HAProxy's templates such as %[path] are not known, but \
     `prefix: \"/old to /new\"` keeps the rest of a path";

/// Reads the change and the condition.
pub(super) fn read(kind: RewriteKind, text: &str) -> Result<(Change, Option<Condition>), SyntaxError> {
    let mut cursor = Cursor::new(text);
    if text.len() > MAX_LENGTH {
        return Err(cursor.expected(&format!("at most {MAX_LENGTH} bytes")));
    }
    let change = match kind {
        RewriteKind::Path => Change::Path(path(&mut cursor)?),
        RewriteKind::Prefix => {
            let old = path(&mut cursor)?;
            cursor.skip_blanks();
            if !cursor.take_word("to") || !cursor.skip_blanks() {
                return Err(cursor.expected("`to` and the new beginning, as in `/old to /new`"));
            }
            let without_slash = |path: String| path.trim_end_matches('/').to_owned();
            Change::Prefix { old: without_slash(old), new: without_slash(path(&mut cursor)?) }
        }
        RewriteKind::Host => Change::Host(host(&mut cursor)?),
    };
    Ok((change, condition(cursor, text)?))
}

fn condition(mut cursor: Cursor<'_>, text: &str) -> Result<Option<Condition>, SyntaxError> {
    cursor.skip_blanks();
    if cursor.is_at_end() {
        return Ok(None);
    }
    if !cursor.take_word("if") {
        return Err(cursor.expected("`if` and a condition, or the end"));
    }
    let rest = cursor.rest();
    Condition::parse(rest).map(Some).map_err(|mut error| {
        error.column += text[..text.len() - rest.len()].chars().count();
        error
    })
}

/// A value, and where it begins: quoted, or bare up to a blank.
fn value(cursor: &mut Cursor<'_>, what: &str) -> Result<(Mark, String), SyntaxError> {
    cursor.skip_blanks();
    let start = cursor.mark();
    let value = match cursor.peek() {
        Some(mark @ ('\'' | '"')) => cursor.quoted(mark)?,
        _ => cursor.take_while(|c| !c.is_whitespace()).to_owned(),
    };
    if value.is_empty() { Err(cursor.expected_at(start, what)) } else { Ok((start, value)) }
}

/// An error at the character of a value that begins at byte `at`; it is told as it is written.
fn wrong(cursor: &Cursor<'_>, start: Mark, value: &str, at: usize, what: &str) -> SyntaxError {
    let mut cursor = cursor.back_at(start);
    let mark = cursor.peek().filter(|c| matches!(c, '\'' | '"'));
    if mark.is_some() {
        cursor.advance();
    }
    for c in value[..at].chars() {
        cursor.advance();
        if Some(c) == mark {
            // Doubled.
            cursor.advance();
        }
    }
    cursor.expected(what)
}

fn path(cursor: &mut Cursor<'_>) -> Result<String, SyntaxError> {
    let (start, value) = value(cursor, PATH)?;
    let wrong = |at: usize, what: &str| Err(wrong(cursor, start, &value, at, what));
    if let Some(at) = template(&value) {
        return wrong(at, TEMPLATE);
    }
    if !value.starts_with('/') {
        return wrong(0, PATH);
    }
    for (at, c) in value.char_indices() {
        if c == '?' || c == '#' {
            return wrong(at, "a path without query and fragment: the query of the request stays");
        }
        if c == '%' && byte_of(&value[at..]).is_none_or(|byte| byte.is_ascii_control()) {
            return wrong(at, "% and two hexadecimal digits of a byte that is no control byte");
        }
        // RFC 3986, section 3.3.
        if !(c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/%".contains(c)) {
            return wrong(at, "letters, digits and any of -._~!$&'()*+,;=:@/ in a path, others as %XX");
        }
    }
    if value.starts_with("//") {
        return wrong(1, "one slash at the beginning: two read like a host");
    }
    match dot_segment(&value) {
        Some(at) => wrong(at, "a path without `.` and `..` elements"),
        None => Ok(value),
    }
}

fn host(cursor: &mut Cursor<'_>) -> Result<String, SyntaxError> {
    let (start, value) = value(cursor, HOST)?;
    let wrong = |at: usize, what: &str| Err(wrong(cursor, start, &value, at, what));
    if let Some(at) = template(&value) {
        return wrong(at, TEMPLATE);
    }
    let (name, port) = split_port(&value);
    if let Some(port) = port
        && !(port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0))
    {
        return wrong(name.len() + 1, "a port, from 1 to 65535");
    }
    if let Some(address) = name.strip_prefix('[') {
        let address =
            address.strip_suffix(']').and_then(|address| address.parse::<std::net::Ipv6Addr>().ok());
        return if address.is_some() { Ok(value.to_ascii_lowercase()) } else { wrong(0, HOST) };
    }
    if let Some((at, _)) =
        name.char_indices().find(|(_, c)| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')))
    {
        return wrong(at, "letters, digits, `-`, `_` and `.` in a host name");
    }
    let mut at = 0;
    for label in name.split('.') {
        if label.is_empty() || label.len() > 63 || label.starts_with('-') || label.ends_with('-') {
            return wrong(at, "labels of 1 to 63 characters that neither begin nor end with `-`");
        }
        at += label.len() + 1;
    }
    if name.len() > LONGEST_HOST {
        return wrong(0, &format!("at most {LONGEST_HOST} characters"));
    }
    Ok(value.to_ascii_lowercase())
}

/// A host and its port, if it has one.
fn split_port(value: &str) -> (&str, Option<&str>) {
    match value.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        Some(_) | None => (value, None),
    }
}

/// Where something stands that `HAProxy` would fill in.
fn template(value: &str) -> Option<usize> {
    value.find("%[").into_iter().chain(value.find("%{")).min()
}

/// The byte that `%XX` at the beginning stands for.
fn byte_of(text: &str) -> Option<u8> {
    let digits = text.strip_prefix('%')?.get(..2)?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u8::from_str_radix(digits, 16).ok().filter(|_| is_number)
}

/// Where an element `.` or `..` begins, whether or not it or the slashes around it are encoded.
fn dot_segment(path: &str) -> Option<usize> {
    let (mut at, mut begins, mut segment) = (0, 0, (0, true));
    loop {
        let byte = path.as_bytes().get(at).copied();
        let decoded = if byte == Some(b'%') { byte_of(&path[at..]) } else { byte };
        let length = if byte == Some(b'%') { 3 } else { 1 };
        match decoded {
            Some(b'/' | b'\\') | None => {
                if segment.1 && matches!(segment.0, 1 | 2) {
                    return Some(begins);
                }
                byte?;
                (begins, segment) = (at + length, (0, true));
            }
            Some(byte) => segment = (segment.0 + 1, segment.1 && byte == b'.'),
        }
        at += length;
    }
}
