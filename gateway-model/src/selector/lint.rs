//! What is legal in a selector and surely not what was meant. Never falsely: where there is doubt, nothing is
//! said.

use regex_syntax::hir::Hir;

use super::{Pattern, Selector, Term, fact::meaning};
use crate::expression::{
    Expression, Linter, Names, Placed, Warning,
    shape::{captures_only_emptiness, must_contain},
};

const KINDS: [&str; 4] = ["pod", "container", "service", "deployment"];
/// Longest name and value of a label, in characters (Kubernetes, "Labels and Selectors").
const LONGEST_LABEL: usize = 63;
/// Longest prefix of a label's name: a DNS subdomain.
const LONGEST_PREFIX: usize = 253;

impl Selector {
    /// What is legal here and surely wrong, in the order written. Each code says one thing:
    ///
    /// * `selector-never-matches`, `selector-always-matches`, and of a part of it `part-never-matches`,
    ///   `part-always-matches`; `true` and `false` are meant as they are;
    /// * `group-in-negation`: it captures nothing; `group-captures-nothing`: the empty text only;
    /// * `label-name-invalid`, `label-value-invalid`: Kubernetes allows no such label;
    /// * `unknown-kind`, `ip-invalid`, `port-invalid`: no workload has such a one.
    ///
    /// Whether a group should be there only the caller knows: see [`Self::captures_a_group`].
    pub fn lint(&self) -> Vec<Warning> {
        let linter = Linter {
            source: &self.source,
            meaning,
            is_deliberate: |term: &Term| matches!(term, Term::Literal(_)),
            names: Names {
                never: "selector-never-matches",
                always: "selector-always-matches",
                noun: "selector",
            },
        };
        let mut warnings = linter.warnings(&self.expression);
        add_of_terms(&self.expression, false, &mut warnings);
        warnings.sort_by_key(|warning| warning.span);
        warnings
    }
}

fn add_of_terms(expression: &Expression<Term>, is_under_not: bool, warnings: &mut Vec<Warning>) {
    match expression {
        Expression::Term(term) => warnings.extend(term_warnings(term, is_under_not).into_iter().flatten()),
        Expression::Not(inner) => add_of_terms(inner, true, warnings),
        Expression::All(inner) | Expression::Any(inner) => {
            for one in inner {
                add_of_terms(one, is_under_not, warnings);
            }
        }
    }
}

fn term_warnings(term: &Placed<Term>, is_under_not: bool) -> [Option<Warning>; 3] {
    let warning = |(code, message, advice): (&'static str, String, String)| {
        Warning::new(code, term.span, message, advice)
    };
    let Some(pattern) = term.term.pattern() else { return [None, None, None] };
    let Some(hir) = pattern.hir() else { return [None, None, None] };
    let name = if let Term::Label(name, _) = &term.term { wrong_label_name(name) } else { None };
    let group = wrong_group(pattern, &hir, is_under_not);
    [name.map(warning), wrong_value(&term.term, pattern, &hir).map(warning), group.map(warning)]
}

type Wrong = (&'static str, String, String);

fn wrong_group(pattern: &Pattern, hir: &Hir, is_under_not: bool) -> Option<Wrong> {
    if !pattern.captures_a_group() {
        return None;
    }
    if is_under_not {
        let message = "a group inside a negation captures nothing".to_owned();
        return Some(("group-in-negation", message, "write (?:…), or put the term outside `not`".to_owned()));
    }
    let message = "this group captures the empty text and nothing else".to_owned();
    let advice = "put into the group what is to name the route, like (.*)".to_owned();
    captures_only_emptiness(hir).then_some(("group-captures-nothing", message, advice))
}

fn wrong_label_name(name: &str) -> Option<Wrong> {
    let (prefix, own) = name.rsplit_once('/').map_or((None, name), |(prefix, own)| (Some(prefix), own));
    let prefix_is_right = prefix.is_none_or(|prefix| {
        prefix.len() <= LONGEST_PREFIX && prefix.split('.').all(|part| is_label_text(part, "-"))
    });
    if prefix_is_right && is_label_text(own, "-_.") {
        return None;
    }
    let message = format!("Kubernetes allows no label named `{name}`");
    let advice = "write up to 63 letters, digits, `-`, `_` and `.`, with a domain and `/` before it or not";
    Some(("label-name-invalid", message, advice.to_owned()))
}

/// Letters and digits, with `between` allowed between them; not empty.
fn is_label_text(text: &str, between: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric();
    text.len() <= LONGEST_LABEL
        && text.starts_with(is_plain)
        && text.ends_with(is_plain)
        && text.chars().all(|c| is_plain(c) || between.contains(c))
}

fn wrong_value(term: &Term, pattern: &Pattern, hir: &Hir) -> Option<Wrong> {
    let source = pattern.source();
    let (is_wrong, code, message, advice) = match term {
        Term::Kind(_) => (
            !KINDS.iter().any(|kind| pattern.is_match(kind)),
            "unknown-kind",
            format!("no workload is of the kind `{source}`"),
            "write pod (or container), service or deployment",
        ),
        Term::Ip(_) => (
            must_contain(hir, &|byte| !b"0123456789abcdef:.".contains(&byte)),
            "ip-invalid",
            format!("no address is written like `{source}`"),
            r"this is a regular expression for addresses like 10.0.0.1 or fd00::1: write 10\.0\..* for a network",
        ),
        Term::Port(_) => (
            is_no_port(pattern),
            "port-invalid",
            format!("no port has the number `{source}`"),
            "write a number from 1 to 65535, or a port's name",
        ),
        Term::Label(..) => (
            is_no_label_value(pattern, hir),
            "label-value-invalid",
            format!("Kubernetes allows no label with the value `{source}`"),
            "values have up to 63 letters, digits, `-`, `_` and `.`; correct the value",
        ),
        Term::Namespace(_) | Term::Name(_) | Term::Image(_) | Term::Index(_) | Term::Literal(_) => {
            return None;
        }
    };
    is_wrong.then(|| (code, message, advice.to_owned()))
}

/// Whether it is a number, but not a port's.
fn is_no_port(pattern: &Pattern) -> bool {
    pattern.only_text().is_some_and(|text| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && (text.starts_with('0') || text.parse::<u16>().is_err())
    })
}

fn is_no_label_value(pattern: &Pattern, hir: &Hir) -> bool {
    let is_foreign = |byte: u8| !(byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    must_contain(hir, &is_foreign)
        || pattern.only_text().is_some_and(|text| !text.is_empty() && !is_label_text(text, "-_."))
}
