//! Why a selector matches a workload or not, term by term, and which workloads it nearly matches.

use serde::Serialize;

use super::{Candidate, Pattern, Selector, Term, spelling::is_slip};
use crate::{
    expression::{Expression, Span, shape::must_contain, texts},
    workload::{Workload, WorkloadPort},
};

/// Most terms that a near miss misses.
const MOST_MISSED: usize = 2;

/// What a selector makes of one candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Whether it matches.
    pub matches: bool,
    /// Its terms, in the order written; all are asked, also those that no longer matter.
    pub terms: Vec<TermVerdict>,
    /// Whether it does not match, and is likely meant to: all but one or two of the terms that must be true are,
    /// and these look misspelt, or as many others name this very application.
    pub is_near_miss: bool,
    /// Where it does not match: the fewest terms (by index) that had to come out otherwise for it to match.
    /// Empty where it matches, and where nothing could make it match.
    pub missed: Vec<usize>,
}

/// What came of one term of a selector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TermVerdict {
    /// The term as written.
    pub text: String,
    /// Where it is written.
    pub span: Span,
    /// Whether the term, without any `!` before it or around it, is true.
    pub is_true: bool,
    /// Whether an odd number of `!` stands before it or around it.
    pub negated: bool,
    /// What the workload has instead, where the term is not as it must be: ``label `app` is `bar` ``.
    pub reason: Option<String>,
}

impl Explanation {
    /// Why it does not match: what the workload has in place of what the missed terms ask for.
    pub fn reasons(&self) -> impl Iterator<Item = &str> {
        self.missed.iter().filter_map(|index| self.terms[*index].reason.as_deref())
    }

    /// Orders what is worth telling: matches first, then near misses, then those that miss least.
    fn rank(&self) -> (bool, bool, usize) {
        (
            !self.matches,
            !self.is_near_miss,
            if self.missed.is_empty() { usize::MAX } else { self.missed.len() },
        )
    }
}

impl Selector {
    /// What it makes of a candidate, term by term.
    pub fn explain(&self, candidate: &Candidate<'_>) -> Explanation {
        let (mut terms, mut clues) = (Vec::new(), Vec::new());
        self.expression.visit_placed(&mut |term, negated| {
            let is_true = term.matches(candidate, &mut std::collections::BTreeSet::new());
            let fits = is_true != negated;
            let reason = (!fits).then(|| term.observed(candidate));
            clues.push(Clue::new(&term.term, candidate, fits, negated));
            terms.push(TermVerdict { text: String::new(), span: term.span, is_true, negated, reason });
        });
        let spans: Vec<Span> = terms.iter().map(|term| term.span).collect();
        for (term, text) in terms.iter_mut().zip(texts(&self.source, spans.into_iter())) {
            text.clone_into(&mut term.text);
        }
        let missed = missed(&self.expression, true, &mut clues.iter().copied().enumerate());
        let matches = missed.as_ref().is_some_and(Vec::is_empty);
        let missed = missed.unwrap_or_default();
        let naming = clues.iter().filter(|clue| **clue == Clue::Names).count();
        let is_near_miss = (1..=MOST_MISSED).contains(&missed.len())
            && (naming >= missed.len() || missed.iter().all(|index| clues[*index] == Clue::Slip));
        Explanation { matches, terms, is_near_miss, missed }
    }

    /// What it makes of a workload: of that one of its addresses and ports which fits best.
    pub fn explain_workload(&self, workload: &Workload) -> Explanation {
        let addresses = choices(workload.addresses.iter().copied());
        let asked = if self.asks_for_port() { workload.ports.len() } else { 0 };
        let ports = choices(0..asked);
        let mut best: Option<Explanation> = None;
        for (address, port) in
            addresses.iter().flat_map(|address| ports.iter().map(move |port| (address, port)))
        {
            let explanation = self.explain(&Candidate { workload, address: *address, port: *port });
            if best.as_ref().is_none_or(|best| explanation.rank() < best.rank()) {
                best = Some(explanation);
            }
        }
        best.unwrap_or_else(|| self.explain(&Candidate { workload, address: None, port: None }))
    }
}

/// What there is, or that there is nothing.
fn choices<T>(all: impl Iterator<Item = T>) -> Vec<Option<T>> {
    let choices: Vec<Option<T>> = all.map(Some).collect();
    if choices.is_empty() { vec![None] } else { choices }
}

/// What one term tells about whether the workload was meant.
#[derive(Clone, Copy, PartialEq)]
enum Clue {
    /// It is as it must be.
    Fits,
    /// It is, and names something of this application.
    Names,
    /// It is not.
    Missed,
    /// It is not, and looks misspelt.
    Slip,
    /// It is not, and never will be.
    Fixed,
}

impl Clue {
    fn new(term: &Term, candidate: &Candidate<'_>, fits: bool, negated: bool) -> Self {
        match (fits, negated) {
            (true, false) if term.names_something() => Self::Names,
            (true, _) => Self::Fits,
            (false, _) if matches!(term, Term::Literal(_)) => Self::Fixed,
            (false, false) if term.is_misspelt(candidate.workload) => Self::Slip,
            (false, _) => Self::Missed,
        }
    }
}

/// The fewest terms that must come out otherwise for the expression to be as it must be; `None` where nothing
/// can make it so. `clues` are those of its terms, in the order written.
fn missed(
    expression: &Expression<Term>,
    truth: bool,
    clues: &mut impl Iterator<Item = (usize, Clue)>,
) -> Option<Vec<usize>> {
    let mut parts = |inner: &[Expression<Term>]| -> Vec<Option<Vec<usize>>> {
        inner.iter().map(|one| missed(one, truth, clues)).collect()
    };
    match (expression, truth) {
        (Expression::Term(_), _) => {
            let (index, clue) = clues.next()?;
            match clue {
                Clue::Fits | Clue::Names => Some(Vec::new()),
                Clue::Missed | Clue::Slip => Some(vec![index]),
                Clue::Fixed => None,
            }
        }
        (Expression::Not(inner), _) => missed(inner, !truth, clues),
        (Expression::All(inner), true) | (Expression::Any(inner), false) => {
            parts(inner).into_iter().collect::<Option<Vec<_>>>().map(|parts| parts.concat())
        }
        (Expression::Any(inner), true) | (Expression::All(inner), false) => {
            parts(inner).into_iter().flatten().min_by_key(Vec::len)
        }
    }
}

impl Term {
    /// Whether it names something of an application: a text that others don't have by chance.
    fn names_something(&self) -> bool {
        let pattern = match self {
            Self::Name(pattern) | Self::Image(pattern) | Self::Label(_, pattern) | Self::Ip(pattern) => {
                pattern
            }
            Self::Namespace(_) | Self::Kind(_) | Self::Port(_) | Self::Index(_) | Self::Literal(_) => {
                return false;
            }
        };
        pattern.hir().is_some_and(|hir| must_contain(&hir, &|_| true))
    }

    /// Whether it does not match for a slip of the hand, here or in the workload.
    fn is_misspelt(&self, workload: &Workload) -> bool {
        let is_slip_of =
            |pattern: &Pattern, value: &str| pattern.only_text().is_some_and(|text| is_slip(text, value));
        match self {
            Self::Name(pattern) => is_slip_of(pattern, &workload.name),
            Self::Namespace(pattern) => is_slip_of(pattern, &workload.namespace),
            Self::Image(pattern) => workload.images.iter().any(|image| is_slip_of(pattern, image)),
            Self::Label(name, pattern) => match workload.labels.get(name) {
                Some(value) => is_slip_of(pattern, value),
                None => similar_label(name, workload)
                    .and_then(|name| workload.labels.get(name))
                    .is_some_and(|value| pattern.is_match(value)),
            },
            Self::Kind(_) | Self::Ip(_) | Self::Port(_) | Self::Index(_) | Self::Literal(_) => false,
        }
    }

    /// What a candidate has of what the term asks for, in words.
    fn observed(&self, candidate: &Candidate<'_>) -> String {
        let workload = candidate.workload;
        match self {
            Self::Namespace(_) => format!("namespace is `{}`", workload.namespace),
            Self::Name(_) => format!("name is `{}`", workload.name),
            Self::Kind(_) => format!("kind is `{}`", workload.kind),
            Self::Image(_) => match workload.images.as_slice() {
                [] => "it has no image".to_owned(),
                [image] => format!("image is `{image}`"),
                images => format!("images are `{}`", images.join("`, `")),
            },
            Self::Label(name, _) => observed_label(name, workload),
            Self::Ip(_) => match candidate.address {
                Some(address) => format!("address is `{address}`"),
                None => "it has no address".to_owned(),
            },
            Self::Port(pattern) => observed_port(pattern, candidate),
            Self::Index(index) => observed_index(*index, candidate),
            Self::Literal(value) => format!("`{value}` is what it says"),
        }
    }
}

fn observed_label(name: &str, workload: &Workload) -> String {
    match (workload.labels.get(name), similar_label(name, workload)) {
        (Some(value), _) => format!("label `{name}` is `{value}`"),
        (None, Some(similar)) => format!("label `{name}` is missing; there is `{similar}`"),
        (None, None) => format!("label `{name}` is missing"),
    }
}

fn similar_label<'a>(name: &str, workload: &'a Workload) -> Option<&'a str> {
    workload.labels.keys().map(String::as_str).find(|own| is_slip(own, name))
}

fn observed_port(pattern: &Pattern, candidate: &Candidate<'_>) -> String {
    let ports = &candidate.workload.ports;
    let has = |text: &str| ports.iter().any(|port| port.name == text || port.port.to_string() == text);
    let all = || ports.iter().map(port_in_words).collect::<Vec<_>>().join(", ");
    let chosen = candidate.port.and_then(|index| ports.get(index));
    match (chosen, pattern.only_text()) {
        _ if ports.is_empty() => "it has no port".to_owned(),
        (_, Some(text)) if !has(text) && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("no port has the number {text}; there is {}", all())
        }
        (_, Some(text)) if !has(text) => format!("no port is named `{text}`; there is {}", all()),
        (Some(port), _) => format!("port is {}", port_in_words(port)),
        (None, _) => format!("no port is chosen of {}", all()),
    }
}

fn port_in_words(port: &WorkloadPort) -> String {
    if port.name.is_empty() { port.port.to_string() } else { format!("`{}` ({})", port.name, port.port) }
}

fn observed_index(index: usize, candidate: &Candidate<'_>) -> String {
    match (candidate.workload.ports.len(), candidate.port) {
        (0, _) => "it has no port".to_owned(),
        (1, _) if index > 0 => format!("no port has the index {index}; it has one port"),
        (count, _) if index >= count => format!("no port has the index {index}; it has {count} ports"),
        (_, Some(own)) => format!("the port has the index {own}"),
        (_, None) => "no port is chosen".to_owned(),
    }
}
