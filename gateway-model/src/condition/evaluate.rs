//! Asking a request whether it meets a term. Nothing here allocates.

use std::net::IpAddr;

use super::{Acl, AclTest, Carrier, Fetch, Position, Subject, Term, Test, cookies, term::without_port};
use crate::{matching::Request, weight::Weight};

/// Longest query parameter that is decoded for `has` and `matches`, in bytes; a longer one is compared as sent.
const QUERY_BUFFER: usize = 2048;

impl Term {
    /// Whether a request meets it.
    pub(super) fn matches(&self, request: &(impl Request + ?Sized)) -> bool {
        match self {
            Self::Text { subject, negated, test } => subject.passes(request, test) != *negated,
            Self::Present { carrier: Carrier::Header, name, wanted } => {
                request.any_header(name, &mut |_| true) == *wanted
            }
            Self::Present { carrier: Carrier::Cookie, name, wanted } => {
                any_cookie(request, name, &mut |_| true) == *wanted
            }
            Self::Client(network) => network.contains(&request.client().to_canonical()),
            Self::Percent(below) => client_share(request.client()) < *below,
            Self::Raw(acl) => acl.matches(request),
        }
    }
}

impl Subject {
    /// Whether one of its values passes.
    fn passes(&self, request: &(impl Request + ?Sized), test: &Test) -> bool {
        let ignores_case = self.ignores_case();
        let passes = |value: &[u8]| test.passes(value, ignores_case);
        match self {
            Self::Host => passes(without_port(request.host()).as_bytes()),
            Self::UserAgent => request.any_header("user-agent", &mut |value| passes(value)),
            Self::Header(name) => request.any_header(name, &mut |value| passes(value)),
            Self::Cookie(name) => any_cookie(request, name, &mut |value| passes(value)),
            Self::Path => passes(request.path().as_bytes()),
            Self::Method => passes(request.method().as_bytes()),
            Self::Query(name) => any_parameter(request.query().as_bytes(), name.as_bytes(), |value| {
                passes_decoded(value, &passes)
            }),
            Self::Sni => passes(request.sni().as_bytes()),
        }
    }
}

impl Test {
    fn passes(&self, value: &[u8], ignores_case: bool) -> bool {
        match self {
            Self::Equals(wanted) if ignores_case => value.eq_ignore_ascii_case(wanted.as_bytes()),
            Self::Equals(wanted) => value == wanted.as_bytes(),
            Self::Contains(wanted) if ignores_case => contains_ignoring_case(value, wanted.as_bytes()),
            Self::Contains(wanted) => contains(value, wanted.as_bytes()),
            Self::StartsWith(wanted) => value.starts_with(wanted.as_bytes()),
            Self::EndsWith(wanted) => value.ends_with(wanted.as_bytes()),
            Self::Matches(pattern) => pattern.is_match(value),
            Self::Known(agent) => agent.is_agent(value),
        }
    }
}

impl Acl {
    fn matches(&self, request: &(impl Request + ?Sized)) -> bool {
        match &self.fetch {
            Fetch::Path => self.test.passes(request.path().as_bytes()),
            Fetch::Method => self.test.passes(request.method().as_bytes()),
            Fetch::Source => self.test.contains_address(request.client()),
            Fetch::Header(name) => request.any_header(name, &mut |line| {
                line.split(|byte| *byte == b',').any(|part| self.test.passes(part.trim_ascii()))
            }),
            Fetch::HeaderCount(name) => {
                let mut count = 0;
                request.any_header(name, &mut |line| {
                    count += line.split(|byte| *byte == b',').count() as u64;
                    false
                });
                self.test.contains_count(count)
            }
            Fetch::Cookie(name) => any_cookie(request, name, &mut |value| self.test.passes(value)),
        }
    }
}

impl AclTest {
    fn passes(&self, value: &[u8]) -> bool {
        match self {
            Self::Text(position, ignores_case, wanted) => {
                wanted.iter().any(|wanted| position.passes(value, wanted.as_bytes(), *ignores_case))
            }
            Self::Regex(patterns, _) => patterns.iter().any(|pattern| pattern.is_match(value)),
            Self::Networks(_) | Self::Counts(_) => false,
        }
    }

    fn contains_address(&self, address: IpAddr) -> bool {
        matches!(self, Self::Networks(networks)
            if networks.iter().any(|network| network.contains(&address.to_canonical())))
    }

    fn contains_count(&self, count: u64) -> bool {
        matches!(self, Self::Counts(ranges)
            if ranges.iter().any(|(low, high)| (*low..=*high).contains(&count)))
    }
}

impl Position {
    fn passes(self, value: &[u8], wanted: &[u8], ignores_case: bool) -> bool {
        let equal = |a: &[u8]| if ignores_case { a.eq_ignore_ascii_case(wanted) } else { a == wanted };
        match self {
            Self::Whole => equal(value),
            Self::Sub if ignores_case => contains_ignoring_case(value, wanted),
            Self::Sub => contains(value, wanted),
            Self::Beg => value.get(..wanted.len()).is_some_and(equal),
            Self::End => {
                value.len().checked_sub(wanted.len()).and_then(|at| value.get(at..)).is_some_and(equal)
            }
        }
    }
}

fn any_cookie(request: &(impl Request + ?Sized), name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    request.any_header("cookie", &mut |line| {
        cookies(line).any(|(found, value)| found == name.as_bytes() && test(value))
    })
}

/// Whether a parameter of that name has a value that `test` accepts; names are compared decoded.
fn any_parameter(query: &[u8], name: &[u8], test: impl Fn(&[u8]) -> bool) -> bool {
    query.split(|byte| *byte == b'&').filter(|part| !part.is_empty()).any(|part| {
        let at = part.iter().position(|byte| *byte == b'=').unwrap_or(part.len());
        decoded(&part[..at]).eq(name.iter().copied()) && test(part.get(at + 1..).unwrap_or_default())
    })
}

fn passes_decoded(value: &[u8], passes: &impl Fn(&[u8]) -> bool) -> bool {
    if value.len() > QUERY_BUFFER || !value.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return passes(value);
    }
    let mut buffer = [0; QUERY_BUFFER];
    let mut length = 0;
    for byte in decoded(value) {
        buffer[length] = byte;
        length += 1;
    }
    passes(&buffer[..length])
}

/// `%XX` and `+` undone; a `%` that two hexadecimal digits don't follow stands for itself.
fn decoded(text: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut at = 0;
    std::iter::from_fn(move || {
        let byte = *text.get(at)?;
        at += 1;
        match (byte, digit(text.get(at)), digit(text.get(at + 1))) {
            (b'%', Some(high), Some(low)) => {
                at += 2;
                Some((high * 16 + low) as u8)
            }
            (b'+', ..) => Some(b' '),
            _ => Some(byte),
        }
    })
}

pub(super) fn contains(value: &[u8], part: &[u8]) -> bool {
    part.is_empty() || value.windows(part.len()).any(|window| window == part)
}

/// Whether `part` is in `value`, ASCII letters compared without regard to case.
pub(super) fn contains_ignoring_case(value: &[u8], part: &[u8]) -> bool {
    let Some((first, rest)) = part.split_first() else { return true };
    let Some(last) = value.len().checked_sub(part.len()) else { return false };
    (0..=last).any(|at| {
        value[at].eq_ignore_ascii_case(first) && value[at + 1..at + part.len()].eq_ignore_ascii_case(rest)
    })
}

/// Where in 0 to 99.99 % a client stands: evenly spread over addresses, the same on every node and for ever.
pub fn client_share(client: IpAddr) -> Weight {
    let bits = match client.to_canonical() {
        IpAddr::V4(address) => u128::from(address.to_bits()) | 1 << 127,
        IpAddr::V6(address) => address.to_bits(),
    };
    let hash = crate::hash::mix(crate::hash::mix(0x5765_6972, bits as u64), (bits >> 64) as u64);
    // A product with 10,000, shifted down: below it.
    Weight::from_hundredths(((u128::from(hash) * 10_000) >> 64) as u16).unwrap_or(Weight::FULL)
}
