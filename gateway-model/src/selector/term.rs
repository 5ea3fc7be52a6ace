//! The terms of selectors.

use std::{collections::BTreeSet, fmt};

use super::{Candidate, Pattern};
use crate::expression::{Cursor, Operand, SyntaxError};

/// One term of a selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// `namespace(V)` or `group(V)`.
    Namespace(Pattern),
    /// `name(V)` or `id(V)`.
    Name(Pattern),
    /// `kind(V)` or `type(V)`: `pod` (also called `container`), `service`, `deployment`.
    Kind(Pattern),
    /// `image(V)`: one of the images.
    Image(Pattern),
    /// `label(N)(V)`; a missing label never matches.
    Label(String, Pattern),
    /// `ip(V)` or `host(V)`: the endpoint's address.
    Ip(Pattern),
    /// `port(V)`: the port's number or name.
    Port(Pattern),
    /// `port_index(n)` or `index(n)`: the n-th port, from 0.
    Index(usize),
    /// `true` or `false`.
    Literal(bool),
}

const OPERANDS: &str = "a selector term: namespace(…), name(…), kind(…), image(…), label(…)(…), ip(…), port(…), \
     index(…), true or false";

impl Term {
    /// Its pattern, where it has one.
    pub(super) fn pattern(&self) -> Option<&Pattern> {
        match self {
            Self::Namespace(pattern)
            | Self::Name(pattern)
            | Self::Kind(pattern)
            | Self::Image(pattern)
            | Self::Label(_, pattern)
            | Self::Ip(pattern)
            | Self::Port(pattern) => Some(pattern),
            Self::Index(_) | Self::Literal(_) => None,
        }
    }

    /// Whether it matches; if it does, adds what it captured.
    pub(super) fn matches(&self, candidate: &Candidate<'_>, captured: &mut BTreeSet<String>) -> bool {
        let workload = candidate.workload;
        let mut one = |pattern: &Pattern, value: &str| match pattern.capture(value) {
            Some(Some(group)) => {
                captured.insert(group.to_owned());
                true
            }
            Some(None) => true,
            None => false,
        };
        match self {
            Self::Namespace(pattern) => one(pattern, &workload.namespace),
            Self::Name(pattern) => one(pattern, &workload.name),
            Self::Kind(pattern) => {
                one(pattern, &workload.kind) || (workload.kind == "pod" && one(pattern, "container"))
            }
            Self::Image(pattern) => {
                // All are asked: what is captured must not depend on their order.
                workload.images.iter().filter(|image| one(pattern, image)).count() > 0
            }
            Self::Label(name, pattern) => workload.labels.get(name).is_some_and(|value| one(pattern, value)),
            Self::Ip(pattern) => candidate.address.is_some_and(|ip| one(pattern, &ip.to_string())),
            Self::Port(pattern) => {
                let port = candidate.port.and_then(|index| workload.ports.get(index));
                port.is_some_and(|port| {
                    one(pattern, &port.port.to_string())
                        || (!port.name.is_empty() && one(pattern, &port.name))
                })
            }
            Self::Index(index) => candidate.port == Some(*index),
            Self::Literal(value) => *value,
        }
    }
}

impl Operand for Term {
    const EXPECTED: &'static str = OPERANDS;

    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        let start = cursor.mark();
        let name = cursor.take_while(|c| c.is_ascii_alphanumeric() || c == '_').to_ascii_lowercase();
        let term = match name.as_str() {
            "true" => Self::Literal(true),
            "false" => Self::Literal(false),
            "namespace" | "group" => Self::Namespace(pattern(cursor)?),
            "name" | "id" => Self::Name(pattern(cursor)?),
            "kind" | "type" => Self::Kind(pattern(cursor)?),
            "image" => Self::Image(pattern(cursor)?),
            "ip" | "host" => Self::Ip(pattern(cursor)?),
            "port" => Self::Port(pattern(cursor)?),
            "label" => {
                let label = argument(cursor)?;
                if label.is_empty() {
                    return Err(cursor.wrong_since(start, "the name of a label in label(…)(…)"));
                }
                Self::Label(label.to_owned(), pattern(cursor)?)
            }
            "port_index" | "index" => {
                let at = cursor.mark();
                let number = argument(cursor)?.parse();
                Self::Index(number.map_err(|_| cursor.wrong_since(at, "a number from 0 in parentheses"))?)
            }
            _ => return Err(cursor.expected_at(start, OPERANDS)),
        };
        Ok(term)
    }
}

fn pattern(cursor: &mut Cursor<'_>) -> Result<Pattern, SyntaxError> {
    let start = cursor.mark();
    let source = argument(cursor)?;
    let pattern = Pattern::new(source).map_err(|reason| cursor.wrong_since(start, &reason))?;
    cursor.weigh(cursor.span_since(start), pattern.weight())?;
    Ok(pattern)
}

/// Text between parentheses that balance; those escaped, or in a class `[…]`, are not counted. Blanks around
/// it are dropped, an escaped one is not.
fn argument<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, SyntaxError> {
    cursor.skip_blanks();
    let start = cursor.mark();
    if !cursor.take("(") {
        return Err(cursor.expected("`(`"));
    }
    let inside = cursor.mark();
    let (mut depth, mut classes) = (1_usize, 0_usize);
    loop {
        let argument = cursor.text_since(inside);
        match cursor.advance() {
            Some('\\') => {
                cursor.advance();
            }
            Some('[') => {
                classes += 1;
                // A bracket that comes first in a class stands for itself.
                cursor.take("^");
                cursor.take("]");
            }
            Some(']') => classes = classes.saturating_sub(1),
            Some('(') if classes == 0 => depth += 1,
            Some(')') if classes == 0 => {
                depth -= 1;
                if depth == 0 {
                    return Ok(without_blanks(argument));
                }
            }
            Some(_) => {}
            None => return Err(Cursor::unclosed(start, "a closing `)` for this one")),
        }
    }
}

/// Drops the blanks around a text, but for one at its end that a backslash escapes.
fn without_blanks(text: &str) -> &str {
    let text = text.trim_start();
    let inner = text.trim_end();
    let backslashes = inner.bytes().rev().take_while(|byte| *byte == b'\\').count();
    let escaped = if backslashes % 2 == 1 { text[inner.len()..].chars().next() } else { None };
    &text[..inner.len() + escaped.map_or(0, char::len_utf8)]
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace(pattern) => write!(f, "namespace({pattern})"),
            Self::Name(pattern) => write!(f, "name({pattern})"),
            Self::Kind(pattern) => write!(f, "kind({pattern})"),
            Self::Image(pattern) => write!(f, "image({pattern})"),
            Self::Label(name, pattern) => write!(f, "label({name})({pattern})"),
            Self::Ip(pattern) => write!(f, "ip({pattern})"),
            Self::Port(pattern) => write!(f, "port({pattern})"),
            Self::Index(index) => write!(f, "index({index})"),
            Self::Literal(value) => value.fmt(f),
        }
    }
}
