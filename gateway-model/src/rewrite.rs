//! Rewrites: what a request is to ask of a route's endpoints instead of what the client asked of the gateway.
//!
//! * `path: "/new if Path is /old"`: another path. The query stays.
//! * `prefix: "/old to /new if …"`: other first elements of the path. `/old` is the beginning of `/old` and
//!   `/old/x`, but not of `/older`. The query stays.
//! * `host: "internal.example.com if …"`: another host.
//!
//! The condition is optional. What could change the meaning of a request that it is written into is refused:
//! blanks, control bytes, `?`, `#`, and `.` and `..` elements, encoded ones too. Paths are compared as received, and what
//! is left of one stays as received: that it has no `..` elements is to be seen to before.
//! Conditions are asked about the request as received, and of a list the first path or prefix and the first host
//! that apply do so: rewrites never see each other's results.

mod read;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{condition::Condition, expression::SyntaxError, matching::Request};

/// A parsed rewrite. Displays in a normal form that parses, for the same kind, to the same rewrite. Stored as a map of
/// kind to text: `{path: "/new if Path is /old"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
pub struct Rewrite {
    change: Change,
    condition: Option<Condition>,
}

/// What a rewrite changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RewriteKind {
    /// The whole path.
    Path,
    /// The first elements of the path.
    Prefix,
    /// The host.
    Host,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It has this path.
    Path(String),
    /// Its path begins otherwise. Neither text ends with a slash: `/` is the empty one.
    Prefix {
        /// How it begins.
        old: String,
        /// How it shall begin.
        new: String,
    },
    /// It has this host, lower case, with a port where one is written.
    Host(String),
}

/// What has become of a request; `None`: what it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewritten<'a> {
    /// Its path.
    pub path: Option<RewrittenPath<'a>>,
    /// Its host.
    pub host: Option<&'a str>,
}

/// A path in two parts, one after the other; displays as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RewrittenPath<'a> {
    /// What the rewrite says.
    pub head: &'a str,
    /// What is left of the path received.
    pub tail: &'a str,
}

impl Rewrite {
    /// Parses a rewrite. Columns of errors count from the beginning of `text`.
    pub fn parse(kind: RewriteKind, text: &str) -> Result<Self, SyntaxError> {
        let (change, condition) = read::read(kind, text)?;
        Ok(Self { change, condition })
    }

    /// What it changes.
    pub fn kind(&self) -> RewriteKind {
        match self.change {
            Change::Path(_) => RewriteKind::Path,
            Change::Prefix { .. } => RewriteKind::Prefix,
            Change::Host(_) => RewriteKind::Host,
        }
    }

    /// What becomes of a request that it applies to.
    pub fn change(&self) -> &Change {
        &self.change
    }

    /// Which requests it applies to; `None`: all.
    pub fn condition(&self) -> Option<&Condition> {
        self.condition.as_ref()
    }

    /// What becomes of a request; `None`: it does not apply. A path that does not begin with a slash (that of
    /// `OPTIONS *` and `CONNECT`) stays what it is. Does not allocate.
    pub fn apply<'a>(&'a self, request: &'a (impl Request + ?Sized)) -> Option<Rewritten<'a>> {
        let rewritten = match &self.change {
            Change::Host(host) => Rewritten { path: None, host: Some(host) },
            Change::Path(path) => {
                let path =
                    request.path().starts_with('/').then_some(RewrittenPath { head: path, tail: "" })?;
                Rewritten { path: Some(path), host: None }
            }
            Change::Prefix { old, new } => {
                Rewritten { path: Some(replace_prefix(old, new, request.path())?), host: None }
            }
        };
        let applies = self.condition.as_ref().is_none_or(|condition| condition.matches(request));
        applies.then_some(rewritten)
    }
}

/// What a list of rewrites makes of a request: the first path or prefix that applies, and the first host. Does
/// not allocate.
pub fn apply<'a>(list: &'a [Rewrite], request: &'a (impl Request + ?Sized)) -> Rewritten<'a> {
    let mut rewritten = Rewritten::default();
    for rewrite in list {
        let is_done = match rewrite.kind() {
            RewriteKind::Path | RewriteKind::Prefix => rewritten.path.is_some(),
            RewriteKind::Host => rewritten.host.is_some(),
        };
        if let Some(Rewritten { path, host }) = (!is_done).then(|| rewrite.apply(request)).flatten() {
            rewritten.path = rewritten.path.or(path);
            rewritten.host = rewritten.host.or(host);
        }
    }
    rewritten
}

/// A path of which whole elements at the beginning are others. `old` and `new` do not end with a slash.
fn replace_prefix<'a>(old: &str, new: &'a str, path: &'a str) -> Option<RewrittenPath<'a>> {
    let tail = path.strip_prefix(old)?;
    if !path.starts_with('/') || !(tail.is_empty() || tail.starts_with('/')) {
        return None;
    }
    if !new.is_empty() {
        return Some(RewrittenPath { head: new, tail });
    }
    // One slash and not more: a path that begins with two reads like a host.
    Some(RewrittenPath { head: "/", tail: tail.trim_start_matches('/') })
}

impl RewrittenPath<'_> {
    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// Never: it has a slash at least.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Display for RewrittenPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.head)?;
        f.write_str(self.tail)
    }
}

impl fmt::Display for Rewrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |prefix: &str| if prefix.is_empty() { "/".to_owned() } else { prefix.to_owned() };
        match &self.change {
            Change::Path(text) | Change::Host(text) => f.write_str(text),
            Change::Prefix { old, new } => write!(f, "{} to {}", whole(old), whole(new)),
        }?;
        self.condition.as_ref().map_or(Ok(()), |condition| write!(f, " if {condition}"))
    }
}

/// As people write it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Written {
    Path(String),
    Prefix(String),
    Host(String),
}

impl From<Rewrite> for Written {
    fn from(rewrite: Rewrite) -> Self {
        let text = rewrite.to_string();
        match rewrite.kind() {
            RewriteKind::Path => Self::Path(text),
            RewriteKind::Prefix => Self::Prefix(text),
            RewriteKind::Host => Self::Host(text),
        }
    }
}

impl TryFrom<Written> for Rewrite {
    type Error = SyntaxError;

    fn try_from(written: Written) -> Result<Self, SyntaxError> {
        match written {
            Written::Path(text) => Self::parse(RewriteKind::Path, &text),
            Written::Prefix(text) => Self::parse(RewriteKind::Prefix, &text),
            Written::Host(text) => Self::parse(RewriteKind::Host, &text),
        }
    }
}

#[cfg(test)]
mod tests;
