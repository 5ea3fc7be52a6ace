//! Selectors: which workloads a gateway's routes are made of, and by capture groups which route each belongs to.
//!
//! `label(app)(foo) && label(version)((.*))`: the outer parentheses are syntax, the inner ones a capture group.

mod explain;
mod fact;
mod lint;
mod pattern;
mod spelling;
mod term;

use std::{collections::BTreeSet, fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Serialize};

pub use explain::{Explanation, TermVerdict};
pub use pattern::Pattern;
pub(crate) use pattern::reason as regex_reason;
pub use term::Term;

use crate::{
    expression::{self, Expression, Placed, Span, SyntaxError},
    workload::Workload,
};

/// A parsed selector. Displays in a normal form that parses to the same selector.
/// Two are equal however they are written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Selector {
    expression: Expression<Term>,
    source: String,
}

/// What a selector is asked about: a workload, and one of its addresses and ports.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The workload.
    pub workload: &'a Workload,
    /// One of its addresses; `None` for a workload without any.
    pub address: Option<IpAddr>,
    /// Index of one of its ports; `None` where it has none, or where the selector does not ask for one.
    pub port: Option<usize>,
}

impl Selector {
    /// Parses a selector.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        Self::parse_counted(text).0
    }

    /// Parses a selector; says also how many steps reading it took: bytes looked at, those looked at twice
    /// counted twice. At most [`expression::STEPS_PER_BYTE`] for each byte of the text and one more; compiling its
    /// regular expressions is not counted.
    pub fn parse_counted(text: &str) -> (Result<Self, SyntaxError>, usize) {
        let (parsed, steps) = expression::parse(text);
        (parsed.map(|expression| Self { expression, source: text.to_owned() }), steps)
    }

    /// As written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The selector that finds nothing.
    pub fn nothing() -> Self {
        let source = "false";
        let span = Span { column: 1, length: source.len() };
        let expression = Expression::Term(Placed { term: Term::Literal(false), span });
        Self { expression, source: source.to_owned() }
    }

    /// The expression.
    pub fn expression(&self) -> &Expression<Term> {
        &self.expression
    }

    /// Labels, with their values, that every workload which it matches must have: its terms `label(N)(V)` where V
    /// is plain text and nothing but other terms that must be true stands beside them.
    pub(crate) fn required_labels(&self) -> Vec<(&str, &str)> {
        let terms = match &self.expression {
            Expression::All(terms) => terms.as_slice(),
            one @ (Expression::Term(_) | Expression::Not(_) | Expression::Any(_)) => {
                std::slice::from_ref(one)
            }
        };
        let required = terms.iter().filter_map(|term| match term {
            Expression::Term(Placed { term: Term::Label(name, pattern), .. }) => {
                Some((name.as_str(), pattern.as_plain()?))
            }
            Expression::Term(_) | Expression::Not(_) | Expression::All(_) | Expression::Any(_) => None,
        });
        required.collect()
    }

    /// Whether it asks for a port (by `port` or `index`).
    pub fn asks_for_port(&self) -> bool {
        let mut asks = false;
        self.expression.visit(&mut |term| asks |= matches!(term, Term::Port(_) | Term::Index(_)));
        asks
    }

    /// Whether a term that is not negated has a capture group, so that routes can be told apart by what it captures.
    pub fn captures_a_group(&self) -> bool {
        captures_a_group(&self.expression)
    }

    /// The first label that must be there and whose value is matched by something repeated, with its span and
    /// pattern: where nothing captures a part of it, it was most likely meant to.
    pub(crate) fn open_label(&self) -> Option<(Span, &str, &Pattern)> {
        let mut found = None;
        self.expression.visit_placed(&mut |placed, negated| {
            if let Term::Label(name, pattern) = &placed.term
                && !negated
                && pattern.source().contains(['*', '+'])
                && found.is_none()
            {
                found = Some((placed.span, name.as_str(), pattern));
            }
        });
        found
    }

    /// What it captures of a candidate that it matches: the texts of the capture groups of all matching terms
    /// that are not negated. `None` where it does not match.
    pub fn captures(&self, candidate: &Candidate<'_>) -> Option<BTreeSet<String>> {
        let mut captured = BTreeSet::new();
        collect(&self.expression, candidate, &mut captured).then_some(captured)
    }
}

fn captures_a_group(expression: &Expression<Term>) -> bool {
    match expression {
        Expression::Term(term) => term.pattern().is_some_and(Pattern::captures_a_group),
        Expression::Not(_) => false,
        Expression::All(inner) | Expression::Any(inner) => inner.iter().any(captures_a_group),
    }
}

/// Whether the expression is true; if it is, adds what it captured. All alternatives of an `or` are asked: a
/// name must not depend on their order.
fn collect(
    expression: &Expression<Term>,
    candidate: &Candidate<'_>,
    captured: &mut BTreeSet<String>,
) -> bool {
    match expression {
        Expression::Term(term) => term.matches(candidate, captured),
        Expression::Not(inner) => !collect(inner, candidate, &mut BTreeSet::new()),
        Expression::All(inner) => {
            let mut all = BTreeSet::new();
            let matches = inner.iter().all(|one| collect(one, candidate, &mut all));
            if matches {
                captured.append(&mut all);
            }
            matches
        }
        Expression::Any(inner) => inner.iter().filter(|one| collect(one, candidate, captured)).count() > 0,
    }
}

impl PartialEq for Selector {
    fn eq(&self, other: &Self) -> bool {
        self.expression == other.expression
    }
}

impl Eq for Selector {}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expression.fmt(f)
    }
}

impl FromStr for Selector {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        Self::parse(text)
    }
}

impl From<Selector> for String {
    fn from(selector: Selector) -> Self {
        selector.source
    }
}

impl TryFrom<String> for Selector {
    type Error = SyntaxError;

    fn try_from(text: String) -> Result<Self, SyntaxError> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests;
