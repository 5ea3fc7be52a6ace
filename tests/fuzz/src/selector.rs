//! Selectors.

use std::iter;

use gateway_model::{
    expression::MAX_DEPTH,
    selector::{Candidate, Selector},
    workload::{Workload, WorkloadPort},
};

use crate::place::assert_column;

/// A text is refused at a place within it, or is a selector that prints, wraps and answers as it should.
pub(crate) fn keep_promises(text: &str) {
    let selector = match Selector::parse(text) {
        Ok(selector) => selector,
        Err(error) => return assert_column(text, &error),
    };
    assert_prints(&selector);
    let nested = text.matches(['(', '!']).count() + text.to_ascii_lowercase().matches("not").count();
    if nested + 2 > MAX_DEPTH {
        return;
    }
    let wrapped = Selector::parse(&format!("({text})"));
    assert_eq!(wrapped.as_ref(), Ok(&selector), "parentheses change it");
    let negated = Selector::parse(&format!("!({text})")).expect("what parses can be negated");
    for candidate in candidates(&workloads()) {
        let captured = selector.captures(&candidate);
        let opposite = negated.captures(&candidate);
        assert_ne!(captured.is_some(), opposite.is_some(), "{selector} and its negation: {candidate:?}");
        assert!(opposite.is_none_or(|captured| captured.is_empty()), "{negated} captures: {candidate:?}");
    }
}

/// What is printed parses to the same selector, and prints the same.
pub(crate) fn assert_prints(selector: &Selector) {
    let printed = selector.to_string();
    let again = Selector::parse(&printed);
    assert_eq!(again.as_ref(), Ok(selector), "printed: {printed}");
    assert_eq!(again.map(|again| again.to_string()), Ok(printed));
}

fn workloads() -> Vec<Workload> {
    let port = |name: &str, port| WorkloadPort { name: name.to_owned(), port };
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    vec![
        Workload {
            namespace: "default".to_owned(),
            kind: "pod".to_owned(),
            name: "foo-1".to_owned(),
            labels: [label("app", "foo"), label("version", "1.0.3"), label("empty", "")].into(),
            images: vec!["registry/foo:1.0.3".to_owned(), "proxy".to_owned()],
            addresses: ["10.0.0.1", "fd00::1"].iter().filter_map(|address| address.parse().ok()).collect(),
            ports: vec![port("http", 8080), port("", 9090)],
            ready: true,
            node: None,
            created: Some(0),
        },
        Workload { name: "ünïcode\n".to_owned(), kind: "deployment".to_owned(), ..Workload::default() },
    ]
}

/// Each workload without address and port, and with each of its own.
fn candidates(workloads: &[Workload]) -> Vec<Candidate<'_>> {
    let of = |workload| {
        let Workload { addresses, ports, .. }: &Workload = workload;
        let addresses = iter::once(None).chain(addresses.iter().copied().map(Some));
        let ports = || iter::once(None).chain((0..ports.len()).map(Some));
        addresses.flat_map(move |address| ports().map(move |port| Candidate { workload, address, port }))
    };
    workloads.iter().flat_map(of).collect()
}
