//! Selectors of the page, and that it shows each operand of theirs.

use std::collections::BTreeSet;

use gateway_model::{finding::Finding, gateway, selector::Selector};

use super::{
    artifacts::{resolved, workloads},
    page,
};

/// Operands of selectors.
const OPERANDS: &str =
    "namespace( group( name( id( kind( type( image( label( ip( host( port( index( port_index( true false";

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
    let parsed = gateway::parse("page", &artifact, "default");
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
    // Examples that say what they find mean it.
    let is_meant = example.said("finds").next().is_some();
    let is_about_it = |finding: &&Finding| match finding.code {
        "selector-finds-nothing" | "route-without-endpoints" => false,
        "selector-without-group" => !is_meant,
        _ => true,
    };
    let codes: Vec<&str> = findings.filter(is_about_it).map(|finding| finding.code).collect();
    assert_eq!(codes, example.said("warns").collect::<Vec<_>>(), "{what}");
}

#[test]
fn the_page_shows_every_operand_of_selectors() {
    let mut shown = BTreeSet::new();
    for (_, text) in page::examples("selector").iter().flat_map(|example| &example.texts) {
        let Ok(selector) = Selector::parse(text) else { continue };
        selector.expression().visit_placed(&mut |term, _| {
            shown.insert(term.span.of(text).to_owned());
        });
    }
    for operand in OPERANDS.split_whitespace() {
        assert!(shown.iter().any(|term| term.starts_with(operand)), "no example of `{operand}`");
        let word = operand.trim_end_matches('(');
        let told = Selector::parse("nonsense(x)").expect_err("there is no such operand").expected;
        let is_second_name = matches!(word, "group" | "id" | "type" | "host" | "port_index");
        assert!(is_second_name || told.contains(word), "`{word}` is not among {told}");
    }
}
