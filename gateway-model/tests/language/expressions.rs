//! Selectors and conditions of the page, and that it shows each word of theirs.

use std::collections::BTreeSet;

use gateway_model::{
    condition::{Condition, Term},
    expression::Span,
    finding::Finding,
    selector::{self, Selector},
};

use super::{
    artifacts::{resolved, workloads},
    page, request,
};

/// Subjects of conditions, and the comparisons that each takes.
const COMPARISONS: [(&str, &str); 8] = [
    ("host", "== = is has contains != ! not misses matches"),
    ("user-agent", "== = is has contains != ! not misses matches"),
    ("header", "== = is has contains != ! not misses matches"),
    ("cookie", "== = is has contains != ! not misses matches"),
    ("path", "== = is has contains != ! not misses matches starts-with ends-with"),
    ("method", "== = is != ! not matches"),
    ("query", "== = is has contains != ! not misses matches"),
    ("sni", "== = is != ! not matches"),
];
/// The words of comparisons; `-` stands for a blank.
const WORDS: &str = "== = is has contains != ! not misses matches starts-with ends-with";
/// Terms of conditions that compare nothing.
const OTHERS: [&str; 8] = [
    "has header",
    "contains header",
    "misses header",
    "has cookie",
    "contains cookie",
    "misses cookie",
    "ip in",
    "percent <",
];
const AGENTS: [&str; 7] = ["Chrome", "Firefox", "Safari", "Edge", "IE", "iOS", "Android"];
/// Criteria of ACLs; all but the first seven may have `req.` before them.
const CRITERIA: &str = "path path_beg path_end path_sub path_reg method src hdr hdr_beg hdr_end hdr_sub hdr_reg \
     hdr_cnt cook cook_beg cook_end cook_sub cook_reg";
const FLAGS: [&str; 7] = ["-i", "-m str", "-m sub", "-m beg", "-m end", "-m reg", "--"];
/// Operands of selectors.
const OPERANDS: [&str; 14] = [
    "namespace(",
    "group(",
    "name(",
    "id(",
    "kind(",
    "type(",
    "image(",
    "label(",
    "ip(",
    "host(",
    "port(",
    "index(",
    "port_index(",
    "true",
];

/// Terms of the page's conditions that parse, as written, in lower case and with single blanks.
fn shown_terms() -> BTreeSet<String> {
    let mut shown = BTreeSet::new();
    for (_, text) in page::examples("condition").iter().flat_map(|example| &example.texts) {
        let Ok(condition) = Condition::parse(text) else { continue };
        condition.expression().visit_placed(&mut |term, _| {
            shown.insert(normal(term.span.of(text)));
        });
    }
    shown
}

fn normal(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_ascii_lowercase()
}

/// A text that begins a term of that subject and comparison.
fn beginning(subject: &str, comparison: &str) -> String {
    let name = if matches!(subject, "header" | "cookie" | "query") { " group" } else { "" };
    format!("{subject}{name} {} ", comparison.replace('-', " "))
}

#[test]
fn conditions_are_met_as_the_page_says() {
    for example in page::examples("condition") {
        example.assert_words(&["yes", "no", "wrong", "warns"]);
        for (line, text) in &example.texts {
            let condition = match Condition::parse(text) {
                Ok(condition) => condition,
                Err(error) => {
                    let wrong: Vec<&str> = example.said("wrong").collect();
                    assert_eq!(wrong, [error.column.to_string()], "line {line}: {text}: {error}");
                    continue;
                }
            };
            assert_eq!(example.said("wrong").next(), None, "line {line}: {text} parses");
            let warns: Vec<&str> = condition.lint().iter().map(|warning| warning.code).collect();
            assert_eq!(warns, example.said("warns").collect::<Vec<_>>(), "line {line}: {text}");
            for (word, met) in [("yes", true), ("no", false)] {
                for request in example.said(word) {
                    assert_eq!(
                        condition.matches(&request::parse(request)),
                        met,
                        "line {line}: {text}: {request}"
                    );
                }
            }
        }
    }
}

#[test]
fn selectors_find_what_the_page_says() {
    for example in page::examples("selector") {
        example.assert_words(&["finds", "endpoints", "wrong", "warns"]);
        for (line, text) in &example.texts {
            let selector = match Selector::parse(text) {
                Ok(selector) => selector,
                Err(error) => {
                    let wrong: Vec<&str> = example.said("wrong").collect();
                    assert_eq!(wrong, [error.column.to_string()], "line {line}: {text}: {error}");
                    continue;
                }
            };
            assert_eq!(example.said("wrong").next(), None, "line {line}: {text} parses");
            assert_finds(&selector, &example, &format!("line {line}: {text}"));
        }
    }
}

fn assert_finds(selector: &Selector, example: &page::Example, what: &str) {
    let artifact = serde_json::json!({ "name": "foo", "selector": selector.source() }).to_string();
    let parsed = gateway_model::gateway::parse("page", &artifact, "default");
    let resolved = resolved(parsed.gateways, workloads());
    let routes = &resolved.gateways.first().unwrap_or_else(|| panic!("{what}: {:?}", parsed.findings)).routes;
    if let Some(finds) = example.said("finds").next() {
        let mut names: Vec<&str> = routes.iter().map(|route| route.name.0.as_str()).collect();
        names.sort_unstable();
        let expected: Vec<&str> = finds.split(' ').filter(|name| *name != "nothing").collect();
        assert_eq!(names, expected, "{what}");
    }
    if let Some(endpoints) = example.said("endpoints").next() {
        let mut found: Vec<String> =
            routes.iter().flat_map(|route| &route.endpoints).map(|one| one.address.to_string()).collect();
        let mut expected: Vec<&str> = endpoints.split(' ').filter(|endpoint| *endpoint != "none").collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{what}");
    }
    let findings = parsed.findings.iter().chain(&resolved.findings);
    let is_about_it = |finding: &&Finding| {
        // What the selector leaves open is told once for a gateway; examples that say what they find mean it.
        !(matches!(finding.code, "selector-finds-nothing" | "route-without-endpoints"))
            && !(finding.code == "selector-without-group" && example.said("finds").next().is_some())
    };
    let codes: Vec<&str> = findings.filter(is_about_it).map(|finding| finding.code).collect();
    assert_eq!(codes, example.said("warns").collect::<Vec<_>>(), "{what}");
}

#[test]
fn the_page_shows_every_comparison_of_every_subject_and_no_other_parses() {
    let shown = shown_terms();
    for (subject, comparisons) in COMPARISONS {
        for comparison in WORDS.split(' ') {
            let beginning = beginning(subject, comparison);
            let parses = Condition::parse(&format!("{beginning}/a")).is_ok()
                || Condition::parse(&format!("{beginning}a")).is_ok();
            let known = comparisons.split(' ').any(|known| known == comparison);
            assert_eq!(parses, known, "{beginning}");
            // The name differs where an example needs another one.
            let is_shown = |term: &&String| {
                let (start, rest) = beginning.split_once(" group").unwrap_or(("", &beginning));
                match start {
                    "" => term.starts_with(rest),
                    subject => term.starts_with(subject) && term.contains(rest),
                }
            };
            assert!(!known || shown.iter().any(|term| is_shown(&term)), "no example of `{beginning}`");
        }
    }
}

#[test]
fn the_page_shows_every_other_term_and_known_agent() {
    let shown = shown_terms();
    for other in OTHERS {
        assert!(shown.iter().any(|term| term.starts_with(other)), "no example of `{other}`");
    }
    assert_eq!(AGENTS.len(), gateway_model::condition::Agent::ALL.len());
    for agent in AGENTS {
        let term = format!("user-agent is {}", agent.to_ascii_lowercase());
        assert!(shown.contains(&term), "no example of `{term}`");
        assert!(gateway_model::condition::Agent::by_name(agent).is_some(), "{agent}");
    }
}

#[test]
fn the_page_shows_every_criterion_and_flag_of_acls_and_no_other_parses() {
    let shown = shown_terms();
    let known: BTreeSet<String> = CRITERIA
        .split_whitespace()
        .flat_map(|criterion| {
            let named = criterion.starts_with("hdr") || criterion.starts_with("cook");
            let forms = if named {
                vec![criterion.to_owned(), format!("req.{criterion}")]
            } else {
                vec![criterion.to_owned()]
            };
            forms
        })
        .collect();
    let bases = ["path", "method", "src", "hdr", "cook", "url", "hdr_ip", "base"];
    for (base, suffix) in bases
        .iter()
        .flat_map(|base| ["", "_beg", "_end", "_sub", "_reg", "_cnt", "_dir"].map(|suffix| (base, suffix)))
    {
        for prefix in ["", "req."] {
            let criterion = format!("{prefix}{base}{suffix}");
            let parses = ["", "(n)"].iter().any(|name| {
                ["1", "10.0.0.1"]
                    .iter()
                    .any(|value| Condition::parse(&format!("< {criterion}{name} {value} >")).is_ok())
            });
            assert_eq!(parses, known.contains(&criterion), "{criterion}");
        }
    }
    for criterion in known {
        let is_shown = |term: &String| {
            term.strip_prefix("< ")
                .and_then(|term| term.strip_prefix(&criterion))
                .is_some_and(|rest| rest.starts_with([' ', '(']))
        };
        assert!(shown.iter().any(is_shown), "no example of `{criterion}`");
    }
    for flag in FLAGS {
        assert!(shown.iter().any(|term| term.contains(&format!(" {flag} "))), "no example of `{flag}`");
        assert!(Condition::parse(&format!("< path {flag} /a >")).is_ok(), "{flag}");
    }
    assert!(Condition::parse("< path -m dir /a >").is_err() && Condition::parse("< path -n /a >").is_err());
}

#[test]
fn the_page_shows_every_operand_of_selectors() {
    let mut shown = BTreeSet::new();
    for (_, text) in page::examples("selector").iter().flat_map(|example| &example.texts) {
        let Ok(selector) = Selector::parse(text) else { continue };
        selector.expression().visit_placed(&mut |term, _| {
            shown.insert(normal(term.span.of(text)));
        });
    }
    for operand in OPERANDS.into_iter().chain(["false"]) {
        assert!(shown.iter().any(|term| term.starts_with(operand)), "no example of `{operand}`");
    }
    assert!(shown.iter().any(|term| Selector::parse(term).is_ok_and(|term| term.captures_a_group())));
    let is_literal = |term: &selector::Term| matches!(term, selector::Term::Literal(_));
    assert!(is_literal(&selector::Term::Literal(true)));
}

#[test]
fn all_kinds_of_terms_are_among_the_examples() {
    let mut kinds = BTreeSet::new();
    for (_, text) in page::examples("condition").iter().flat_map(|example| &example.texts) {
        let Ok(condition) = Condition::parse(text) else { continue };
        condition.expression().visit(&mut |term| {
            kinds.insert(match term {
                Term::Text { .. } => "text",
                Term::Present { .. } => "present",
                Term::Client(_) => "client",
                Term::Percent(_) => "percent",
                Term::Raw(_) => "raw",
            });
        });
    }
    assert_eq!(kinds.len(), 5, "a new kind of term wants examples and a place in the lists above");
    assert_eq!(Span { column: 2, length: 1 }.of("abc"), "b");
}
