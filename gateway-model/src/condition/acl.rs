//! The subset of `HAProxy` ACLs that Vamp's users wrote: `< hdr_sub(user-agent) -i chrome firefox >`.
//!
//! One criterion, its flags, and one value or more; several values are alternatives. As in `HAProxy`, `hdr`
//! values are the comma-separated parts of a field, and `hdr_cnt` counts them.

use std::fmt;

use ipnet::IpNet;

use super::{Pattern, term::network};
use crate::expression::{Cursor, Mark, Span, SyntaxError};

/// One ACL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acl {
    /// What is looked at.
    pub fetch: Fetch,
    /// How.
    pub test: AclTest,
}

/// What an ACL looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetch {
    /// `path`: the path without query.
    Path,
    /// `method`.
    Method,
    /// `src`: the client's address.
    Source,
    /// `hdr(N)`, `req.hdr(N)`: the comma-separated parts of a header; name in lower case.
    Header(String),
    /// `hdr_cnt(N)`: how many parts there are.
    HeaderCount(String),
    /// `cook(N)`, `req.cook(N)`: a cookie.
    Cookie(String),
}

/// How an ACL compares; several values are alternatives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AclTest {
    /// Texts, compared at a place, with or without regard to case.
    Text(Position, bool, Vec<String>),
    /// Regular expressions, found anywhere.
    Regex(Vec<Pattern>, bool),
    /// Networks.
    Networks(Vec<IpNet>),
    /// A count within one of the ranges, both ends included.
    Counts(Vec<(u64, u64)>),
}

/// Where a text is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Equal.
    Whole,
    /// Anywhere in it.
    Sub,
    /// At its beginning.
    Beg,
    /// At its end.
    End,
}

const CRITERIA: &str = "one of path, path_beg, path_end, path_sub, path_reg, method, src, hdr(N), hdr_sub(N), \
     hdr_beg(N), hdr_end(N), hdr_reg(N), hdr_cnt(N), cook(N), cook_sub(N), cook_beg(N), cook_end(N), cook_reg(N)";

/// Largest count that may be written.
const MOST: u64 = u32::MAX as u64;

/// How values are matched, before they are read.
#[derive(Clone, Copy, PartialEq)]
enum Method {
    Text(Position),
    Regex,
    Network,
    Count,
}

impl Acl {
    /// Parses `< … >`; the cursor stands at `<`.
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        let start = cursor.mark();
        cursor.take("<");
        cursor.skip_blanks();
        let at = cursor.mark();
        let (fetch, mut method) = criterion(cursor)?;
        if cursor.peek().is_some_and(|c| !c.is_whitespace() && c != '>') {
            return Err(cursor.expected_at(at, CRITERIA));
        }
        let mut ignores_case = false;
        loop {
            cursor.skip_blanks();
            if cursor.take("--") {
                cursor.skip_blanks();
                break;
            } else if cursor.take_word("-i") {
                ignores_case = true;
            } else if cursor.take_word("-m") {
                cursor.skip_blanks();
                method = match_method(cursor, method)?;
            } else if cursor.peek() == Some('-') {
                return Err(cursor.expected("a flag (-i, -m sub, -m beg, -m end, -m reg, --) or a value"));
            } else {
                break;
            }
        }
        let values = values(cursor, start)?;
        Ok(Self { fetch, test: test(cursor, method, ignores_case, values)? })
    }
}

fn criterion(cursor: &mut Cursor<'_>) -> Result<(Fetch, Method), SyntaxError> {
    let start = cursor.mark();
    let word = cursor.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
    let plain = word.strip_prefix("req.").unwrap_or(word);
    let (base, suffix) = plain.split_once('_').unwrap_or((plain, ""));
    let method = match suffix {
        "" => Method::Text(Position::Whole),
        "sub" => Method::Text(Position::Sub),
        "beg" => Method::Text(Position::Beg),
        "end" => Method::Text(Position::End),
        "reg" => Method::Regex,
        "cnt" => Method::Count,
        _ => return Err(cursor.expected_at(start, CRITERIA)),
    };
    let counts = method == Method::Count;
    Ok(match base {
        "path" if !counts && plain == word => (Fetch::Path, method),
        "method" if suffix.is_empty() && plain == word => (Fetch::Method, method),
        "src" if suffix.is_empty() && plain == word => (Fetch::Source, Method::Network),
        "hdr" if counts => (Fetch::HeaderCount(name(cursor)?.to_ascii_lowercase()), method),
        "hdr" => (Fetch::Header(name(cursor)?.to_ascii_lowercase()), method),
        "cook" if !counts => (Fetch::Cookie(name(cursor)?), method),
        _ => return Err(cursor.expected_at(start, CRITERIA)),
    })
}

fn name(cursor: &mut Cursor<'_>) -> Result<String, SyntaxError> {
    if !cursor.take("(") {
        return Err(cursor.expected("`(` and a name"));
    }
    let name = cursor.take_while(|c| !c.is_whitespace() && !matches!(c, '(' | ')' | ',' | '<' | '>'));
    if name.is_empty() {
        return Err(cursor.expected("a name"));
    }
    if cursor.take(")") { Ok(name.to_owned()) } else { Err(cursor.expected("`)`")) }
}

fn match_method(cursor: &mut Cursor<'_>, current: Method) -> Result<Method, SyntaxError> {
    let start = cursor.mark();
    let word = cursor.take_while(|c| c.is_ascii_alphabetic());
    let wanted = match word {
        "str" => Method::Text(Position::Whole),
        "sub" => Method::Text(Position::Sub),
        "beg" => Method::Text(Position::Beg),
        "end" => Method::Text(Position::End),
        "reg" => Method::Regex,
        _ => return Err(cursor.expected_at(start, "str, sub, beg, end or reg")),
    };
    if matches!(current, Method::Network | Method::Count) {
        return Err(cursor.wrong_since(start, "no -m flag with this criterion"));
    }
    Ok(wanted)
}

/// A value, and where it is written.
struct Word {
    text: String,
    span: Span,
}

impl Word {
    fn wrong(&self, expected: &str) -> SyntaxError {
        SyntaxError::at(self.span, expected, &self.text)
    }
}

/// The values up to `>`.
fn values(cursor: &mut Cursor<'_>, start: Mark) -> Result<Vec<Word>, SyntaxError> {
    let mut values = Vec::new();
    loop {
        cursor.skip_blanks();
        if cursor.take(">") {
            break;
        }
        let at = cursor.mark();
        let text = match cursor.peek() {
            Some(mark @ ('\'' | '"')) => cursor.quoted(mark)?,
            Some('<') => return Err(cursor.expected("a value or `>`; a value with < or > is quoted")),
            Some(_) => cursor.take_while(|c| !c.is_whitespace() && !matches!(c, '<' | '>')).to_owned(),
            None => return Err(Cursor::unclosed(start, "a closing > for this <")),
        };
        values.push(Word { text, span: cursor.span_since(at) });
    }
    if values.is_empty() {
        return Err(cursor.wrong_since(start, "one value or more before the `>`"));
    }
    Ok(values)
}

fn test(
    cursor: &mut Cursor<'_>,
    method: Method,
    ignores_case: bool,
    values: Vec<Word>,
) -> Result<AclTest, SyntaxError> {
    Ok(match method {
        Method::Text(position) => {
            AclTest::Text(position, ignores_case, values.into_iter().map(|value| value.text).collect())
        }
        Method::Regex => {
            let mut compile = |value: &Word| {
                let compiled = Pattern::new(&value.text, ignores_case);
                let pattern = compiled.map_err(|reason| value.wrong(&reason))?;
                cursor.weigh(value.span, pattern.weight())?;
                Ok(pattern)
            };
            AclTest::Regex(values.iter().map(&mut compile).collect::<Result<_, _>>()?, ignores_case)
        }
        Method::Network => {
            let read = |value: &Word| {
                network(&value.text).ok_or_else(|| value.wrong("an address or network, like 10.0.0.0/8"))
            };
            AclTest::Networks(values.iter().map(read).collect::<Result<_, _>>()?)
        }
        Method::Count => AclTest::Counts(counts(&values)?),
    })
}

/// `2`, `1:3`, `:3`, `2:`, and `eq|ge|gt|le|lt N`; an operator holds for the values after it.
fn counts(values: &[Word]) -> Result<Vec<(u64, u64)>, SyntaxError> {
    let mut operator = "eq";
    let mut ranges = Vec::new();
    for value in values {
        if matches!(value.text.as_str(), "eq" | "ge" | "gt" | "le" | "lt") {
            operator = &value.text;
            continue;
        }
        let wrong = || value.wrong("a count, like 0, 1:3 or gt 0");
        let number = |text: &str| text.parse().ok().filter(|count: &u64| *count <= MOST).ok_or_else(wrong);
        let range = match (operator, value.text.split_once(':')) {
            ("eq", Some(("", high))) => (0, number(high)?),
            ("eq", Some((low, ""))) => (number(low)?, u64::MAX),
            ("eq", Some((low, high))) => (number(low)?, number(high)?),
            (_, Some(_)) => return Err(wrong()),
            ("eq", None) => (number(&value.text)?, number(&value.text)?),
            ("ge", None) => (number(&value.text)?, u64::MAX),
            ("gt", None) => {
                (Some(number(&value.text)? + 1).filter(|least| *least <= MOST).ok_or_else(wrong)?, u64::MAX)
            }
            ("le", None) => (0, number(&value.text)?),
            (_, None) => (0, number(&value.text)?.checked_sub(1).ok_or_else(wrong)?),
        };
        ranges.push(range);
    }
    match values.last() {
        Some(last) if ranges.is_empty() => Err(last.wrong("a count after the operator")),
        _ => Ok(ranges),
    }
}

impl fmt::Display for Acl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("< ")?;
        match &self.fetch {
            Fetch::Path => f.write_str("path"),
            Fetch::Method => f.write_str("method"),
            Fetch::Source => f.write_str("src"),
            Fetch::Header(name) => write!(f, "hdr({name})"),
            Fetch::HeaderCount(name) => write!(f, "hdr_cnt({name})"),
            Fetch::Cookie(name) => write!(f, "cook({name})"),
        }?;
        match &self.test {
            AclTest::Text(position, ignores_case, values) => {
                f.write_str(match position {
                    Position::Whole => "",
                    Position::Sub => " -m sub",
                    Position::Beg => " -m beg",
                    Position::End => " -m end",
                })?;
                write_values(f, *ignores_case, values.iter().map(String::as_str))
            }
            AclTest::Regex(values, ignores_case) => {
                f.write_str(" -m reg")?;
                write_values(f, *ignores_case, values.iter().map(Pattern::source))
            }
            AclTest::Networks(networks) => networks.iter().try_for_each(|network| write!(f, " {network}")),
            AclTest::Counts(ranges) => ranges.iter().try_for_each(|(low, high)| match *high {
                u64::MAX => write!(f, " {low}:"),
                high => write!(f, " {low}:{high}"),
            }),
        }?;
        f.write_str(" >")
    }
}

fn write_values<'a>(
    f: &mut fmt::Formatter<'_>,
    ignores_case: bool,
    values: impl Iterator<Item = &'a str>,
) -> fmt::Result {
    if ignores_case {
        f.write_str(" -i")?;
    }
    for value in values {
        let bare = !value.is_empty()
            && !value.starts_with('-')
            && !value.contains(|c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '<' | '>'));
        if bare {
            write!(f, " {value}")?;
        } else {
            write!(f, " '{}'", value.replace('\'', "''"))?;
        }
    }
    Ok(())
}
