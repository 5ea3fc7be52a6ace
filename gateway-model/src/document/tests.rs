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

/// Line and column of the mistake in the one condition of a gateway.
fn mistake(condition: &str) -> (u32, u32) {
    let text = format!(
        "name: a\nselector: 'true'\nroutes:\n  a:\n    selector: 'true'\n    condition: {condition}\n"
    );
    let findings = gateway::parse("f", &text, "n").findings;
    assert_eq!(findings.len(), 1, "{condition}: {findings:?}");
    let place = findings[0].place.clone().unwrap();
    (place.line, place.column)
}

#[test]
fn a_mistake_in_a_scalar_of_any_style_is_placed_where_it_is_written() {
    assert_eq!(mistake("Host is a bnd x"), (6, 26), "plain");
    assert_eq!(mistake("Host is a\n      bnd x"), (7, 7), "plain, over two lines");
    assert_eq!(mistake("'Host is ''a'' bnd x'"), (6, 31), "single quotes, doubled");
    assert_eq!(mistake(r#""Host\x20is \"a\" bnd x""#), (6, 34), "double quotes, escaped");
    assert_eq!(mistake("\"Host is\\\n      \\ a bnd x\""), (7, 11), "an escaped line break");
    assert_eq!(mistake("|\n      Host is a\n      bnd x"), (8, 7), "literal");
    assert_eq!(mistake("|\n      Host is"), (7, 14), "at the end of a literal");
    assert_eq!(mistake("|2-\n      Host is a\n        bnd x"), (8, 9), "literal, indented more");
    assert_eq!(mistake(">- # why\n      Host is a\n\n      bnd x"), (9, 7), "folded");
    assert_eq!(mistake("!!str Host is a bnd x"), (6, 16), "behind a tag only the beginning is known");
    assert_eq!(mistake("Host is"), (6, 23), "behind the end");
    assert_eq!(mistake("'Host is'"), (6, 24), "at the closing quote");
}

#[test]
fn a_text_with_a_byte_order_mark_and_carriage_returns_has_the_same_places() {
    let text = "\u{feff}name: a\r\nselector: >\r\n  label(a)(b) &&\r\n  lable(a)(b)\r\n";
    assert_eq!(codes(&gateway::parse("f", text, "n").findings), [("invalid-selector", 4, 3)]);
}

#[test]
fn a_broken_text_yields_the_documents_before_the_mistake() {
    let (nodes, findings) = parse("f", "a: 1\n---\nb: [1\n");
    assert_eq!((nodes.len(), findings.len()), (1, 1));
    assert_eq!(findings[0].code, "syntax");
}

#[test]
fn mistakes_stand_within_the_text() {
    let place = |text: &str| {
        let first = gateway::parse("f", text, "n").findings.swap_remove(0);
        let place = first.place.unwrap();
        (first.code, place.line, place.column)
    };
    assert_eq!(place("["), ("syntax", 1, 2));
    assert_eq!(place("name: [\r\n"), ("syntax", 2, 1));
    assert_eq!(place("name: a\nselector: 'true'\n?  "), ("unknown-field", 3, 4));
    assert_eq!(place("%größer größer \0\n"), ("syntax", 1, 17));
    let selector = |text: &str| place(&format!("name: a\nselector: {text}\n"));
    assert_eq!(selector("name(a) & ("), ("invalid-selector", 2, 22));
    assert_eq!(selector("'name(a) & ('"), ("invalid-selector", 2, 23));
    assert_eq!(selector("|-\n  name(a) & ("), ("invalid-selector", 3, 14));
    assert_eq!(selector("name(a)\n  & ("), ("invalid-selector", 3, 6));
    assert_eq!(selector(">-\n  name(a)\n  & ("), ("invalid-selector", 4, 6));
}

#[test]
fn numbers_are_the_nearest_ones() {
    let (nodes, _) = parse("f", "[12e23, -0.1, 1e400, 9223372036854775808]");
    let expected = serde_json::json!([1.2e24, -0.1, "1e400", 9_223_372_036_854_775_808_u64]);
    assert_eq!(nodes[0].to_json(), expected);
}

#[test]
fn a_year_past_all_calendars_is_no_time() {
    let text = "{name: a, created: 18446744073709551615-01-01T00:00:00Z}";
    assert_eq!(codes(&workload::parse("f", text, "n").findings), [("wrong-type", 1, 20)]);
}

#[test]
fn long_lists_are_read_in_no_time() {
    // Each compared with all before it: minutes.
    let list =
        |item: &str| (0..40_000).map(|index| item.replace('#', &index.to_string())).collect::<String>();
    assert!(parse("f", &list("k#: 1\n")).1.is_empty());
    assert_eq!(workload::parse("f", &list("- name: w#\n"), "n").workloads.len(), 40_000);
    assert_eq!(gateway::parse("f", &list("- {name: g#, selector: 'true'}\n"), "n").gateways.len(), 40_000);
    let gateway = |text: String| {
        gateway::parse("f", &format!("name: a\nselector: name((.*))\n{text}"), "n").gateways.remove(0)
    };
    assert_eq!(gateway(format!("routes:\n{}", list("- (#)\n"))).routes.len(), 40_000);
    assert_eq!(gateway(format!("virtual_hosts:\n{}", list("- h#.a\n"))).virtual_hosts.len(), 40_000);
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
    fn every_character_of_a_value_is_where_its_place_says(
        value in "[a-z '\"\\\\ä\u{1}\t:#-]{1,30}", style in 0_usize..3,
    ) {
        let written = match style {
            0 => format!("'{}'", value.replace('\'', "''")),
            1 => serde_json::to_string(&value).unwrap(),
            _ => format!("|2-\n  {value}"),
        };
        let text = format!("key:  {written}\n");
        let (nodes, _) = parse("f", &text);
        let Some(Value::Map(entries)) = nodes.first().map(|node| &node.value) else { return Ok(()) };
        let node = &entries[0].1;
        let Value::Scalar(read, _) = &node.value else { return Ok(()) };
        for (index, character) in read.chars().enumerate() {
            let place = node.written.part(index + 1, 1);
            let line = text.split('\n').nth(place.line as usize - 1).unwrap();
            let found = line.chars().nth(place.column as usize - 1).unwrap();
            prop_assert!(found == character || found == '\\', "{text:?}: {character:?} is said to be at {place}");
        }
    }

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
