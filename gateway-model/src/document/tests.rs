use proptest::prelude::*;

use super::*;
use crate::{finding::Finding, gateway, workload};

fn codes(findings: &[Finding]) -> Vec<(&str, u32, u32)> {
    findings
        .iter()
        .map(|one| (one.code, one.place.as_ref().unwrap().line, one.place.as_ref().unwrap().column))
        .collect()
}

#[test]
fn several_documents_are_read_with_their_places() {
    let (nodes, findings) = parse("f", "a: 1\n---\n- x\n-   'y'\n---\n---\n{\"b\": [true]}\n");
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(nodes.len(), 3, "an empty one is none");
    let Value::List(items) = &nodes[1].value else { panic!("{nodes:?}") };
    assert_eq!((items[1].place.line, items[1].place.column), (4, 5));
    assert_eq!(items[1].value, Value::Scalar("y".to_owned(), true));
    assert_eq!(nodes[2].to_json(), serde_json::json!({"b": [true]}));
}

#[test]
fn scalars_keep_what_they_say() {
    let (nodes, _) = parse("f", "{a: 1.10, b: '1', c: yes, d: ~, e: , f: 1.0.3, g: -7, h: null, i: ''}");
    let expected = serde_json::json!(
        {"a": 1.1, "b": "1", "c": "yes", "d": null, "e": null, "f": "1.0.3", "g": -7, "h": null, "i": ""}
    );
    assert_eq!(nodes[0].to_json(), expected);
    let parsed = workload::parse("f", "[{name: a, labels: {version: 1.10, on: yes}}]", "n");
    assert_eq!(parsed.workloads[0].labels["version"], "1.10", "a version is a text, not a number");
    assert_eq!(parsed.workloads[0].labels["on"], "yes");
}

#[test]
fn what_could_grow_or_hide_is_refused() {
    assert_eq!(codes(&parse("f", "a: &x 1\nb: 2").1), [("alias", 1, 4)]);
    assert_eq!(codes(&parse("f", "a: *x").1).len(), 1);
    assert_eq!(codes(&parse("f", "a: 1\nb: 2\na: 3").1), [("repeated-key", 3, 1)]);
    assert_eq!(codes(&parse("f", "? [a]\n: b").1)[0].0, "syntax");
    assert_eq!(codes(&parse("f", &"[".repeat(40)).1)[0].0, "too-deep");
    assert_eq!(parse("f", &"[".repeat(1_000_000)).1.len(), 1, "whoever notices first");
    assert_eq!(codes(&parse("f", &" ".repeat(MAX_TEXT + 1)).1), [("text-too-long", 1, 1)]);
}

#[test]
fn a_broken_text_yields_the_documents_before_the_mistake() {
    let (nodes, findings) = parse("f", "a: 1\n---\nb: [1\n");
    assert_eq!((nodes.len(), findings.len()), (1, 1));
    assert_eq!(findings[0].code, "syntax");
}

#[test]
fn a_misspelt_field_is_told_the_right_one() {
    let findings =
        gateway::parse("f", "name: a\nselector: 'true'\nvirtualhosts: [a]\nqqq: 1\n", "n").findings;
    assert!(findings[0].advice.contains("did you mean `virtual_hosts`"), "{}", findings[0]);
    assert!(!findings[1].advice.contains("did you mean"), "{}", findings[1]);
    assert!(findings[1].advice.contains("virtual_hosts, selector"), "{}", findings[1]);
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = gateway::parse("f", &text, "n");
        let _ = workload::parse("f", &text, "n");
    }

    #[test]
    fn no_text_of_its_own_words_panics(words in prop::collection::vec(prop::sample::select(vec![
        "name", ": ", "a", "\n", "- ", "  ", "routes", "selector", "{", "}", "[", "]", ", ", "weight", "5%", "\"", "'", "(1)", "---\n", "port", "80/tcp",
        "addresses", "10.0.0.1", "ports", "created", "0", "&x ", "*x", "? ", "| ", "> ", "!!str ", "%", "#", "\t", "ä", "virtual_hosts", "condition", "Host is a",
        "2026-00-00T00:00:00Z", "~",
    ]), 0..40)) {
        let text = words.concat();
        for findings in [gateway::parse("f", &text, "n").findings, workload::parse("f", &text, "n").findings] {
            prop_assert!(findings.iter().all(|finding| finding.place.is_some()), "{:?}", findings);
        }
    }
}
