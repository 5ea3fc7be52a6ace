//! What the terms of a selector say of a candidate, as facts that can exclude each other.

use super::{Pattern, Term};
use crate::expression::refute::{self, Budget, Formula};

/// Longest text that is tried on a pattern for a proof, in bytes.
const LONGEST_TRIED: usize = 256;
/// What trying a text on a pattern costs a proof.
const TRYING: usize = 4_096;

/// One fact about a candidate: the term that states it.
#[derive(Debug)]
pub(super) struct Fact<'a>(&'a Term);

/// What a term, or where `truth` is false its negation, says.
pub(super) fn meaning(term: &Term, truth: bool) -> Formula<Fact<'_>> {
    let Term::Literal(value) = term else { return Formula::Fact(Fact(term), truth) };
    if *value == truth { Formula::All(Vec::new()) } else { Formula::Any(Vec::new()) }
}

/// What of a candidate a pattern is tried on.
#[derive(PartialEq)]
enum Value<'a> {
    /// There is one, or none.
    Single(&'static str, Option<&'a str>),
    /// A pod goes by the kind `container` too.
    Kind,
    /// There may be several.
    Several(&'static str),
}

fn parts(term: &Term) -> Option<(Value<'_>, &Pattern)> {
    Some(match term {
        Term::Namespace(pattern) => (Value::Single("namespace", None), pattern),
        Term::Name(pattern) => (Value::Single("name", None), pattern),
        Term::Label(name, pattern) => (Value::Single("label", Some(name)), pattern),
        Term::Ip(pattern) => (Value::Single("ip", None), pattern),
        Term::Kind(pattern) => (Value::Kind, pattern),
        Term::Image(pattern) => (Value::Several("image"), pattern),
        Term::Port(pattern) => (Value::Several("port"), pattern),
        Term::Index(_) | Term::Literal(_) => return None,
    })
}

impl refute::Fact for Fact<'_> {
    fn is_never(&self, _: bool) -> bool {
        false
    }

    fn excludes(&self, truth: bool, other: &Self, other_truth: bool, budget: &mut Budget) -> bool {
        if let (Term::Index(one), Term::Index(other)) = (self.0, other.0) {
            return if truth && other_truth { one != other } else { one == other && truth != other_truth };
        }
        let (Some((one, pattern)), Some((value, other))) = (parts(self.0), parts(other.0)) else {
            return false;
        };
        one == value
            && match (truth, other_truth) {
                (true, true) => are_disjoint(&value, pattern, other, budget),
                (true, false) => implies(&value, pattern, other, budget),
                (false, true) => implies(&value, other, pattern, budget),
                (false, false) => false,
            }
    }
}

/// Whether no candidate has a value for each.
fn are_disjoint(value: &Value<'_>, one: &Pattern, other: &Pattern, budget: &mut Budget) -> bool {
    match (value, one.only_text(), other.only_text()) {
        (Value::Kind, Some(one), Some(other)) => {
            let are_pod = [one, other].iter().all(|kind| matches!(*kind, "pod" | "container"));
            one != other && !are_pod
        }
        (Value::Single(..), Some(text), _) => is_tried(text, other, budget) == Some(false),
        (Value::Single(..), None, Some(text)) => is_tried(text, one, budget) == Some(false),
        (Value::Kind | Value::Several(_) | Value::Single(..), ..) => false,
    }
}

/// Whether every candidate that has a value for `one` has one for `other`.
fn implies(value: &Value<'_>, one: &Pattern, other: &Pattern, budget: &mut Budget) -> bool {
    if one == other {
        return true;
    }
    let Some(text) = one.only_text() else { return false };
    let is_pod = *value == Value::Kind && text == "pod";
    is_tried(text, other, budget) == Some(true) || is_pod && other.is_match("container")
}

/// Whether the pattern matches the text; `None` where that is too much work.
fn is_tried(text: &str, pattern: &Pattern, budget: &mut Budget) -> Option<bool> {
    (text.len() <= LONGEST_TRIED && budget.spend(TRYING)).then(|| pattern.is_match(text))
}
