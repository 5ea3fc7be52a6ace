//! Why a workload is found or not, and which ones are nearly found.

use super::*;

fn explain(selector: &str) -> Explanation {
    explain_for(selector, &workload())
}

fn explain_for(selector: &str, workload: &Workload) -> Explanation {
    Selector::parse(selector).unwrap_or_else(|error| panic!("{selector}: {error}")).explain_workload(workload)
}

fn labelled(labels: &[(&str, &str)]) -> Workload {
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Workload { labels, ..workload() }
}

#[test]
fn every_term_is_explained_with_its_place_and_its_reason() {
    let text = "label(app)(foo) and (!label(version)((1.*)) | namespace(x))";
    let explanation = explain(text);
    assert!(!explanation.matches);
    let terms: Vec<_> = explanation
        .terms
        .iter()
        .map(|term| (term.span.of(text), term.is_true, term.negated, term.reason.as_deref()))
        .collect();
    assert_eq!(
        terms,
        [
            ("label(app)(foo)", true, false, None),
            ("label(version)((1.*))", true, true, Some("label `version` is `1.0.3`")),
            ("namespace(x)", false, false, Some("namespace is `default`")),
        ]
    );
    assert!(explanation.terms.iter().all(|term| term.text == term.span.of(text)));
}

#[test]
fn reasons_say_what_the_workload_has_instead() {
    for (selector, reason) in [
        ("label(tier)(x)", "label `tier` is missing"),
        ("label(verison)((.*))", "label `verison` is missing; there is `version`"),
        ("label(app)(bar)", "label `app` is `foo`"),
        ("!label(app)(foo)", "label `app` is `foo`"),
        ("namespace(x)", "namespace is `default`"),
        ("name(x)", "name is `foo-1`"),
        ("kind(service)", "kind is `pod`"),
        ("image(x)", "images are `registry/foo:1.0.3`, `sidecar:7`"),
        ("ip(x)", "address is `10.0.0.1`"),
        ("port(metrics)", "no port is named `metrics`; there is `http` (8080), 9090"),
        ("port(80)", "no port has the number 80; there is `http` (8080), 9090"),
        ("port(8|9)", "port is `http` (8080)"),
        ("index(7)", "no port has the index 7; it has 2 ports"),
        ("false", "`false` is what it says"),
    ] {
        let explanation = explain(selector);
        assert_eq!(explanation.terms[0].reason.as_deref(), Some(reason), "{selector}");
    }
    let bare = Workload { images: Vec::new(), addresses: Vec::new(), ports: Vec::new(), ..workload() };
    for (selector, reason) in [
        ("image(x)", "it has no image"),
        ("ip(x)", "it has no address"),
        ("port(x)", "it has no port"),
        ("index(0)", "it has no port"),
    ] {
        assert_eq!(explain_for(selector, &bare).terms[0].reason.as_deref(), Some(reason), "{selector}");
    }
}

#[test]
fn workloads_that_nearly_match_are_told_from_others() {
    let selector = "label(app)(frontend) && label(version)((.*))";
    for (labels, reason) in [
        (&[("app", "frontend")][..], "label `version` is missing"),
        (&[("app", "frontend"), ("verison", "1")], "label `version` is missing; there is `verison`"),
        (&[("app", "fronted"), ("version", "1")], "label `app` is `fronted`"),
        (&[("App", "frontend"), ("version", "1")], "label `app` is missing; there is `App`"),
        (&[("ap", "frontend"), ("version", "1")], "label `app` is missing; there is `ap`"),
    ] {
        let explanation = explain_for(selector, &labelled(labels));
        assert!(explanation.is_near_miss && !explanation.matches, "{labels:?}");
        assert_eq!(explanation.reasons().collect::<Vec<_>>(), [reason]);
    }
    for labels in [
        &[("app", "backend"), ("version", "1")][..],
        &[("version", "1")],
        &[],
        &[("ap", "backend"), ("version", "1")],
    ] {
        assert!(!explain_for(selector, &labelled(labels)).is_near_miss, "{labels:?}");
    }
    let found = explain_for(selector, &labelled(&[("app", "frontend"), ("version", "1")]));
    assert!(found.matches && !found.is_near_miss && found.missed.is_empty());
}

#[test]
fn the_port_that_fits_best_is_explained() {
    assert!(explain("label(app)(foo) && port(9090)").matches);
    let missed = explain("label(app)(foo) && port(metrics)");
    assert!(missed.is_near_miss);
    assert_eq!(
        missed.reasons().collect::<Vec<_>>(),
        ["no port is named `metrics`; there is `http` (8080), 9090"]
    );
}

#[test]
fn nothing_can_be_changed_about_what_is_false_by_itself() {
    let explanation = explain("label(app)(foo) && false");
    assert!(!explanation.matches && !explanation.is_near_miss && explanation.missed.is_empty());
    let explanation = explain("label(app)(fooo) && false || name(foo-2x)");
    assert_eq!(explanation.missed, [2]);
}

proptest! {
    #[test]
    fn what_is_explained_is_what_is_matched(expression in expression(), port in prop::option::of(0_usize..3)) {
        let workload = workload();
        let candidate = Candidate { workload: &workload, address: workload.addresses.first().copied(), port };
        let selector = Selector::parse(&expression.to_string()).unwrap();
        let explanation = selector.explain(&candidate);
        prop_assert_eq!(explanation.matches, selector.captures(&candidate).is_some());
        prop_assert!(explanation.matches <= explanation.missed.is_empty());
        for (index, term) in explanation.terms.iter().enumerate() {
            prop_assert_eq!(term.reason.is_some(), term.is_true == term.negated);
            prop_assert!(term.reason.is_some() || !explanation.missed.contains(&index));
        }
    }

    #[test]
    fn no_warning_of_never_or_always_is_false(expression in expression(), port in prop::option::of(0_usize..3)) {
        let workload = workload();
        let candidate = Candidate { workload: &workload, address: workload.addresses.first().copied(), port };
        let selector = Selector::parse(&expression.to_string()).unwrap();
        let matches = selector.captures(&candidate).is_some();
        for warning in selector.lint() {
            prop_assert!(warning.code != "selector-never-matches" || !matches, "{}", selector);
            prop_assert!(warning.code != "selector-always-matches" || matches, "{}", selector);
        }
    }
}
