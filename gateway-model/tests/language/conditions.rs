//! Conditions of the page, and that it shows each word of theirs.

use std::collections::BTreeSet;

use gateway_model::condition::{Agent, Condition};

use super::{page, request};

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
/// Names that `User-Agent` knows.
const AGENTS: [&str; 7] = ["Chrome", "Firefox", "Safari", "Edge", "IE", "iOS", "Android"];
/// Criteria of ACLs; those of headers and cookies may have `req.` before them.
const CRITERIA: &str = "path path_beg path_end path_sub path_reg method src hdr hdr_beg hdr_end hdr_sub hdr_reg \
     hdr_cnt cook cook_beg cook_end cook_sub cook_reg";
const FLAGS: [&str; 7] = ["-i", "-m str", "-m sub", "-m beg", "-m end", "-m reg", "--"];

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
                    let is_met = condition.matches(&request::parse(request));
                    assert_eq!(is_met, met, "line {line}: {text}: {request}");
                }
            }
        }
    }
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
    assert_eq!(AGENTS.len(), Agent::ALL.len());
    for agent in AGENTS {
        let term = format!("user-agent is {}", agent.to_ascii_lowercase());
        assert!(shown.contains(&term), "no example of `{term}`");
        assert!(Agent::by_name(agent).is_some(), "{agent}");
    }
}

#[test]
fn the_page_shows_every_criterion_of_acls_and_no_other_parses() {
    let shown = shown_terms();
    let known = criteria();
    for base in ["path", "method", "src", "hdr", "cook", "url", "hdr_ip", "base"] {
        for suffix in ["", "_beg", "_end", "_sub", "_reg", "_cnt", "_dir"] {
            for criterion in [format!("{base}{suffix}"), format!("req.{base}{suffix}")] {
                assert_eq!(is_criterion(&criterion), known.contains(&criterion), "{criterion}");
            }
        }
    }
    for criterion in known {
        let begins = |term: &String| {
            let rest = term.strip_prefix("< ").and_then(|term| term.strip_prefix(&criterion));
            rest.is_some_and(|rest| rest.starts_with([' ', '(']))
        };
        assert!(shown.iter().any(begins), "no example of `{criterion}`");
    }
}

#[test]
fn the_page_shows_every_flag_of_acls_and_no_other_parses() {
    let shown = shown_terms();
    for flag in FLAGS {
        assert!(shown.iter().any(|term| term.contains(&format!(" {flag} "))), "no example of `{flag}`");
        assert!(Condition::parse(&format!("< path {flag} /a >")).is_ok(), "{flag}");
    }
    for flag in ["-m dir", "-m", "-n", "-f", "-u"] {
        assert!(Condition::parse(&format!("< path {flag} /a >")).is_err(), "{flag}");
    }
}

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

/// Criteria in all their forms.
fn criteria() -> BTreeSet<String> {
    let forms = |criterion: &str| {
        let is_named = criterion.starts_with("hdr") || criterion.starts_with("cook");
        [Some(criterion.to_owned()), is_named.then(|| format!("req.{criterion}"))]
    };
    CRITERIA.split_whitespace().flat_map(forms).flatten().collect()
}

/// Whether it parses, with a name or without, and a value that fits.
fn is_criterion(criterion: &str) -> bool {
    let forms = ["", "(n)"].into_iter().flat_map(|name| ["1", "10.0.0.1"].map(|value| (name, value)));
    forms.into_iter().any(|(name, value)| Condition::parse(&format!("< {criterion}{name} {value} >")).is_ok())
}
