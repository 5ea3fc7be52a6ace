//! The terms of conditions: what they are, how they are read and written.

use std::{fmt, net::IpAddr};

use ipnet::IpNet;

use super::{Acl, Agent, Pattern};
use crate::{
    expression::{Cursor, Operand, SyntaxError, Value, quote, slash},
    weight::Weight,
};

/// One term of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// A text of the request, and how it is compared.
    Text {
        /// Which text.
        subject: Subject,
        /// True where no value passes the test; an absent header or cookie passes none.
        negated: bool,
        /// How it is compared.
        test: Test,
    },
    /// `Has Header N`, `Misses Cookie N`.
    Present {
        /// Header or cookie.
        carrier: Carrier,
        /// Its name.
        name: String,
        /// Whether it must be there, or must not.
        wanted: bool,
    },
    /// `IP in CIDR`.
    Client(IpNet),
    /// `Percent < N`: a fixed share of the clients, by hash of the address.
    Percent(Weight),
    /// `< … >`.
    Raw(Acl),
}

/// What carries named values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// A header field; its name in any case.
    Header,
    /// A cookie; its name in exact case.
    Cookie,
}

/// A text of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The host without port; compared without regard to case.
    Host,
    /// The `User-Agent` header; compared without regard to case.
    UserAgent,
    /// A header field's values, one by one.
    Header(String),
    /// A cookie's values, one by one.
    Cookie(String),
    /// The path without query, as received.
    Path,
    /// The method.
    Method,
    /// A query parameter's values, one by one, `%XX` and `+` undone.
    Query(String),
    /// The TLS server name; compared without regard to case.
    Sni,
}

/// How a text is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// Equal.
    Equals(String),
    /// Part of it.
    Contains(String),
    /// Its beginning.
    StartsWith(String),
    /// Its end.
    EndsWith(String),
    /// A regular expression is found in it.
    Matches(Pattern),
    /// A known browser or system.
    Known(Agent),
}

const TERMS: &str = "a condition: Host, User-Agent, Header, Cookie, Has, Contains, Misses, Path, Method, Query, \
     IP, SNI, Percent or `< … >`";

/// What a comparison word asks for.
#[derive(Clone, Copy, PartialEq)]
enum Comparison {
    Equals,
    Contains,
    StartsWith,
    EndsWith,
    Matches,
}

impl Subject {
    /// Whether its values are compared without regard to case.
    pub(super) fn ignores_case(&self) -> bool {
        matches!(self, Self::Host | Self::UserAgent | Self::Method | Self::Sni)
    }

    /// Whether it can be compared so.
    fn allows(&self, comparison: Comparison) -> bool {
        match comparison {
            Comparison::Equals | Comparison::Matches => true,
            Comparison::Contains => !matches!(self, Self::Sni | Self::Method),
            Comparison::StartsWith | Comparison::EndsWith => matches!(self, Self::Path),
        }
    }

    fn test(&self, comparison: Comparison, value: Value) -> Result<Test, String> {
        let pattern = |source: &str| Pattern::new(source, self.ignores_case()).map(Test::Matches);
        let value = match (value, comparison) {
            (Value::Regex(source), _) => return pattern(&source),
            (Value::Text(source), Comparison::Matches) => return pattern(&unslash(&source)),
            (Value::Text(value), _) => value,
        };
        Ok(match (self, comparison) {
            (Self::UserAgent, _) => Agent::by_name(&value).map_or(Test::Contains(value), Test::Known),
            (Self::Host, _) => Test::Equals(without_port(&value).to_owned()),
            (_, Comparison::StartsWith) => Test::StartsWith(value),
            (_, Comparison::EndsWith) => Test::EndsWith(value),
            (_, Comparison::Contains) => Test::Contains(value),
            (_, Comparison::Equals | Comparison::Matches) => Test::Equals(value),
        })
    }

    fn comparisons(&self) -> &'static str {
        match self {
            Self::Host | Self::UserAgent => {
                "a comparison: =, ==, is, has, contains, !=, !, not, misses or matches"
            }
            Self::Header(_) | Self::Cookie(_) => "a comparison: has, contains, misses, ==, != or matches",
            Self::Path => "a comparison: is, starts with, ends with, has, misses, matches or !=",
            Self::Method => "a comparison: is, == or !=",
            Self::Query(_) => "a comparison: is, ==, !=, has, misses or matches",
            Self::Sni => "a comparison: is, ==, != or matches",
        }
    }
}

/// A regular expression with `\/` undone, as between slashes: so that it is one and the same when printed.
fn unslash(regex: &str) -> String {
    let mut out = String::new();
    let mut chars = regex.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            (_, Some('/')) => out.push('/'),
            (_, Some(next)) => out.extend([c, next]),
            (_, None) => out.push(c),
        }
    }
    out
}

/// `foo.bar.com:8080` without `:8080`.
pub fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if !port.is_empty()
                && port.bytes().all(|byte| byte.is_ascii_digit())
                && (!name.contains(':') || name.ends_with(']')) =>
        {
            name
        }
        _ => host,
    }
}

impl Operand for Term {
    const EXPECTED: &'static str = TERMS;

    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        if cursor.peek() == Some('<') {
            return Acl::parse(cursor).map(Self::Raw);
        }
        let start = cursor.mark();
        let word = keyword(cursor);
        let subject = match word.as_str() {
            "has" | "contains" | "misses" => return present(cursor, word != "misses"),
            "ip" => return client(cursor),
            "percent" => return percent(cursor),
            "host" => Subject::Host,
            "user-agent" => Subject::UserAgent,
            "path" => Subject::Path,
            "method" => Subject::Method,
            "sni" => Subject::Sni,
            "header" => Subject::Header(name(cursor, "the name of a header")?.to_ascii_lowercase()),
            "cookie" => Subject::Cookie(name(cursor, "the name of a cookie")?),
            "query" => Subject::Query(name(cursor, "the name of a query parameter")?),
            _ => return Err(cursor.expected_at(start, TERMS)),
        };
        text(cursor, subject)
    }
}

/// A word of the language in lower case, whole: what is stuck to it makes it another one.
fn keyword(cursor: &mut Cursor<'_>) -> String {
    cursor.take_while(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.')).to_ascii_lowercase()
}

fn text(cursor: &mut Cursor<'_>, subject: Subject) -> Result<Term, SyntaxError> {
    cursor.skip_blanks();
    let start = cursor.mark();
    let Some((comparison, negated)) = comparison(cursor) else {
        return Err(cursor.expected_at(start, subject.comparisons()));
    };
    if !subject.allows(comparison) {
        return Err(cursor.wrong_since(start, subject.comparisons()));
    }
    cursor.skip_blanks();
    let at = cursor.mark();
    // A path begins with a slash: only after `matches` is it the beginning of a regular expression.
    let slashes = comparison == Comparison::Matches || subject != Subject::Path;
    let what = if comparison == Comparison::Matches { "a regular expression, /…/" } else { "a value" };
    let value = cursor.value(what, slashes)?;
    let test = subject.test(comparison, value).map_err(|reason| cursor.wrong_since(at, &reason))?;
    if let Test::Matches(pattern) = &test {
        cursor.weigh(cursor.span_since(at), pattern.weight())?;
    }
    Ok(Term::Text { subject, negated, test })
}

/// A comparison, and whether it is negated.
fn comparison(cursor: &mut Cursor<'_>) -> Option<(Comparison, bool)> {
    for (symbol, negated) in [("==", false), ("=", false), ("!=", true), ("!", true)] {
        if cursor.take(symbol) {
            return Some((Comparison::Equals, negated));
        }
    }
    let word = keyword(cursor);
    Some(match word.as_str() {
        "is" => (Comparison::Equals, false),
        "not" => (Comparison::Equals, true),
        "has" | "contains" => (Comparison::Contains, false),
        "misses" => (Comparison::Contains, true),
        "matches" => (Comparison::Matches, false),
        "starts" | "ends" => {
            cursor.skip_blanks();
            if !cursor.take_word("with") {
                return None;
            }
            (if word == "starts" { Comparison::StartsWith } else { Comparison::EndsWith }, false)
        }
        _ => return None,
    })
}

fn present(cursor: &mut Cursor<'_>, wanted: bool) -> Result<Term, SyntaxError> {
    cursor.skip_blanks();
    let carrier = if cursor.take_word("header") {
        Carrier::Header
    } else if cursor.take_word("cookie") {
        Carrier::Cookie
    } else {
        return Err(cursor.expected("`Header` or `Cookie`"));
    };
    let name = match carrier {
        Carrier::Header => name(cursor, "the name of a header")?.to_ascii_lowercase(),
        Carrier::Cookie => name(cursor, "the name of a cookie")?,
    };
    Ok(Term::Present { carrier, name, wanted })
}

fn client(cursor: &mut Cursor<'_>) -> Result<Term, SyntaxError> {
    cursor.skip_blanks();
    if !cursor.take_word("in") {
        return Err(cursor.expected("`in`"));
    }
    cursor.skip_blanks();
    let start = cursor.mark();
    let what = "an address or network, like 10.0.0.0/8 or 2001:db8::/32";
    let network = match cursor.value(what, false)? {
        Value::Text(text) => network(&text),
        Value::Regex(_) => None,
    };
    network.map(Term::Client).ok_or_else(|| cursor.wrong_since(start, what))
}

/// A network, or an address as the network of it alone. Clients that IPv6 sockets show as `::ffff:a.b.c.d` are
/// IPv4 clients; so are networks written in that way.
pub(super) fn network(text: &str) -> Option<IpNet> {
    let network = text
        .parse::<IpNet>()
        .ok()
        .or_else(|| text.parse().ok().map(|address: IpAddr| address.into()))
        .map(|network| network.trunc())?;
    let mapped = match network.addr().to_canonical() {
        IpAddr::V4(address) => network.prefix_len().checked_sub(96).map(|length| (address, length)),
        IpAddr::V6(_) => None,
    };
    match (network, mapped) {
        (IpNet::V6(_), Some((address, length))) => IpNet::new(address.into(), length).ok(),
        _ => Some(network),
    }
}

fn percent(cursor: &mut Cursor<'_>) -> Result<Term, SyntaxError> {
    cursor.skip_blanks();
    if !cursor.take("<") {
        return Err(cursor.expected("`<`"));
    }
    cursor.skip_blanks();
    let start = cursor.mark();
    let what = "a number from 0 to 100, with at most two decimals";
    let digits = cursor.take_while(|c| !c.is_whitespace() && !matches!(c, '(' | ')'));
    let digits = digits.strip_suffix('%').unwrap_or(digits);
    format!("{digits}%").parse().map(Term::Percent).map_err(|_| cursor.wrong_since(start, what))
}

/// A name: bare up to a blank, parenthesis, quote, `=` or `!`, or quoted.
fn name(cursor: &mut Cursor<'_>, what: &str) -> Result<String, SyntaxError> {
    cursor.skip_blanks();
    if let Some(mark @ ('\'' | '"')) = cursor.peek() {
        let start = cursor.mark();
        let name = cursor.quoted(mark)?;
        return if name.is_empty() { Err(cursor.wrong_since(start, what)) } else { Ok(name) };
    }
    let name = cursor
        .take_while(|c| !c.is_whitespace() && !matches!(c, '(' | ')' | '\'' | '"' | '=' | '!' | '<' | '>'));
    if name.is_empty() { Err(cursor.expected(what)) } else { Ok(name.to_owned()) }
}

/// Writes a name so that it is read as the same.
fn write_name(name: &str) -> String {
    let bare = quote(name);
    if bare.starts_with('\'') || !name.contains(['=', '!']) { bare } else { format!("'{name}'") }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { subject, negated, test } => write_text(f, subject, *negated, test),
            Self::Present { carrier, name, wanted } => {
                let verb = if *wanted { "Has" } else { "Misses" };
                let carrier = match carrier {
                    Carrier::Header => "Header",
                    Carrier::Cookie => "Cookie",
                };
                write!(f, "{verb} {carrier} {}", write_name(name))
            }
            Self::Client(network) => write!(f, "IP in {network}"),
            Self::Percent(below) => write!(f, "Percent < {below}"),
            Self::Raw(acl) => acl.fmt(f),
        }
    }
}

fn write_text(f: &mut fmt::Formatter<'_>, subject: &Subject, negated: bool, test: &Test) -> fmt::Result {
    match subject {
        Subject::Host => f.write_str("Host"),
        Subject::UserAgent => f.write_str("User-Agent"),
        Subject::Header(name) => write!(f, "Header {}", write_name(name)),
        Subject::Cookie(name) => write!(f, "Cookie {}", write_name(name)),
        Subject::Path => f.write_str("Path"),
        Subject::Method => f.write_str("Method"),
        Subject::Query(name) => write!(f, "Query {}", write_name(name)),
        Subject::Sni => f.write_str("SNI"),
    }?;
    match (test, negated) {
        (Test::Equals(value), false) => write!(f, " == {}", quote(value)),
        (Test::Equals(value), true) => write!(f, " != {}", quote(value)),
        (Test::Contains(value), false) => write!(f, " has {}", quote(value)),
        (Test::Contains(value), true) => write!(f, " misses {}", quote(value)),
        (Test::StartsWith(value), _) => write!(f, " starts with {}", quote(value)),
        (Test::EndsWith(value), _) => write!(f, " ends with {}", quote(value)),
        (Test::Matches(pattern), false) => write!(f, " matches {}", slash(pattern.source())),
        // A negated comparison with a regular expression; a path's slash would be read as its beginning.
        (Test::Matches(pattern), true) => write!(f, " != {}", slash(pattern.source())),
        (Test::Known(agent), false) => write!(f, " is {agent}"),
        (Test::Known(agent), true) => write!(f, " != {agent}"),
    }
}
