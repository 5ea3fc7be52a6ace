//! Conditions: predicates on a request, compiled when parsed and evaluated without allocation.
//!
//! `User-Agent is Firefox and not (Has Cookie beta or IP in 10.0.0.0/8)`, and between `<` and `>` the subset of
//! `HAProxy` ACLs that Vamp's users wrote. What does not parse is an error, never passed through.

mod acl;
mod agent;
mod compared;
mod cookie;
mod evaluate;
mod explain;
mod fact;
mod lint;
mod pattern;
mod term;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

pub use acl::{Acl, AclTest, Fetch, Position};
pub use agent::Agent;
pub use cookie::cookies;
pub use evaluate::client_share;
pub use explain::TermVerdict;
pub use pattern::Pattern;
pub use term::without_port;
pub use term::{Carrier, Subject, Term, Test};

use crate::{
    expression::{self, Expression, SyntaxError},
    matching::Request,
};

/// A parsed and compiled condition. Displays in a normal form that parses to the same condition.
/// Two are equal however they are written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Condition {
    expression: Expression<Term>,
    source: String,
}

impl Condition {
    /// Parses and compiles a condition.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        Self::parse_counted(text).0
    }

    /// Parses and compiles a condition; says also how many steps reading it took: bytes looked at, those looked
    /// at twice counted twice. At most [`expression::STEPS_PER_BYTE`] for each byte of the text and one more;
    /// compiling its regular expressions is not counted.
    pub fn parse_counted(text: &str) -> (Result<Self, SyntaxError>, usize) {
        let (parsed, steps) = expression::parse(text);
        (parsed.map(|expression| Self { expression, source: text.to_owned() }), steps)
    }

    /// As written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The expression.
    pub fn expression(&self) -> &Expression<Term> {
        &self.expression
    }

    /// Whether a request meets it. Does not allocate.
    pub fn matches(&self, request: &(impl Request + ?Sized)) -> bool {
        self.expression.is_true(&mut |term| term.matches(request))
    }

    /// Whether it asks for the client's address, which only forwarding that keeps it can tell.
    pub fn asks_for_client(&self) -> bool {
        let mut asks = false;
        self.expression.visit(&mut |term| {
            asks |= match term {
                Term::Client(_) | Term::Percent(_) => true,
                Term::Raw(acl) => acl.fetch == Fetch::Source,
                Term::Text { .. } | Term::Present { .. } => false,
            }
        });
        asks
    }

    /// Whether it asks for the TLS server name.
    pub fn asks_for_sni(&self) -> bool {
        let mut asks = false;
        self.expression.visit(&mut |term| asks |= matches!(term, Term::Text { subject: Subject::Sni, .. }));
        asks
    }
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.expression == other.expression
    }
}

impl Eq for Condition {}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expression.fmt(f)
    }
}

impl FromStr for Condition {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        Self::parse(text)
    }
}

impl From<Condition> for String {
    fn from(condition: Condition) -> Self {
        condition.source
    }
}

impl TryFrom<String> for Condition {
    type Error = SyntaxError;

    fn try_from(text: String) -> Result<Self, SyntaxError> {
        Self::parse(&text)
    }
}

#[cfg(test)]
pub(crate) mod tests;
