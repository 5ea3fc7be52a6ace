//! Section 3: selectors.

use gateway_model::selector::{Candidate, Selector};

use super::*;

/// Pod `foo-1` of version 1.0.3 with the ports 8080 (http) and 9090.
const FOO: &str = "\
- name: foo-1
  labels: {app: foo, version: 1.0.3, tier: '', stage: '2'}
  images: [registry/foo:1.0.3, sidecar:7]
  addresses: [10.0.0.1]
  ports: [{name: http, port: 8080}, 9090]
";

/// The name of the route that a selector puts the pod on, asked with its first address and port.
fn found(selector: &str) -> Option<String> {
    let workload = &workloads(FOO)[0];
    let selector: Selector = selector.parse().unwrap_or_else(|error| panic!("{selector}: {error}"));
    let candidate = Candidate { workload, address: Some(workload.addresses[0]), port: Some(0) };
    Some(RouteName::from_captured(&selector.captures(&candidate)?).0)
}

fn assert_finds(selectors: &[&str], misses: &[&str]) {
    for selector in selectors {
        assert!(found(selector).is_some(), "must find it: {selector}");
    }
    for selector in misses {
        assert!(found(selector).is_none(), "must not find it: {selector}");
    }
}

/// The ports of the endpoints of a gateway of this type with `selector` added, and its findings.
fn ports(kind: &str, selector: &str, ports: &str) -> (Vec<u16>, Vec<&'static str>) {
    let text = on(kind).replace("((.*))", &format!("((.*)){selector}"));
    let pods = pod("a", "1", "10.0.0.1").replace("[8080]", &format!("[{ports}]"));
    let agent = Agent::of(&text, &pods);
    let endpoints = agent.gateway().routes.iter().flat_map(|route| &route.endpoints);
    (endpoints.map(|endpoint| endpoint.address.port()).collect(), agent.codes())
}

#[test]
fn a_namespace_or_group_is_an_operand() {
    assert_finds(&["namespace(default)", "group(default)"], &["namespace(other)"]);
}

#[test]
fn a_name_or_id_is_an_operand() {
    assert_finds(&["name(foo-1)", "id(foo-.*)"], &["name(bar-1)"]);
}

#[test]
fn a_kind_or_type_is_an_operand() {
    assert_finds(&["kind(pod)", "type(container)"], &["kind(service)", "type(deployment)"]);
    for kind in ["service", "deployment"] {
        let workload = &workloads(&FOO.replace("- name", &format!("- kind: {kind}\n  name")))[0];
        let selector: Selector = format!("kind({kind})").parse().unwrap();
        assert!(selector.captures(&Candidate { workload, address: None, port: None }).is_some(), "{kind}");
    }
}

#[test]
fn an_image_is_an_operand() {
    assert_finds(&["image(registry/foo:.*)", "image(sidecar:7)"], &["image(foo)"]);
}

#[test]
fn a_label_is_an_operand() {
    assert_finds(&["label(app)(foo)", "label(tier)()"], &["label(app)(bar)"]);
}

#[test]
fn an_ip_or_host_is_an_operand() {
    assert_finds(&[r"ip(10\.0\.0\.1)", "host(10.*)"], &["ip(192.*)"]);
}

#[test]
fn a_port_is_an_operand_by_number_or_name() {
    assert_finds(&["port(8080)", "port(http)"], &["port(9090)", "port(tcp)"]);
}

#[test]
fn a_port_index_or_index_is_an_operand() {
    assert_finds(&["port_index(0)", "index(0)"], &["index(1)", "port_index(2)"]);
}

#[test]
fn true_and_false_are_operands() {
    assert_finds(&["true"], &["false"]);
}

#[test]
fn the_boolean_layer_is_that_of_conditions() {
    assert_finds(
        &[
            "true or true and false",
            "TRUE AND NOT FALSE",
            "true&&!false",
            "false|true",
            "(false || true) & true",
        ],
        &["(true or true) and false", "!true or false"],
    );
    for refused in ["not(true)", "true and(true)", "true or(true)", "true true"] {
        assert!(refused.parse::<Selector>().is_err(), "{refused}");
    }
}

#[test]
fn a_value_is_a_regular_expression_that_must_match_the_whole_value() {
    assert_finds(
        &["label(app)(f.*)", "label(app)(f|foo)"],
        &["label(app)(fo)", "label(app)(oo)", "label(app)(f|o)"],
    );
}

#[test]
fn a_value_has_at_most_one_capture_group() {
    assert!("label(a)((x)(?:y))".parse::<Selector>().is_ok());
    let error = "label(a)((x)(y))".parse::<Selector>().unwrap_err();
    assert!(error.to_string().contains("at most one capture group"), "{error}");
}

#[test]
fn outer_parentheses_are_syntax_and_inner_ones_the_group() {
    assert_eq!(found("label(version)((.*))").as_deref(), Some("(1.0.3)"));
    assert_eq!(found("label(version)(.*)").as_deref(), Some("()"));
    assert_eq!(found(r"label(version)((\d+)\..*)").as_deref(), Some("(1)"));
}

#[test]
fn a_missing_label_never_matches_not_even_everything() {
    assert_finds(&["label(tier)(.*)"], &["label(none)(.*)", "label(none)((.*))", "label(none)()"]);
}

#[test]
fn a_negated_missing_label_is_true() {
    assert_finds(&["!label(none)(.*)", "not label(none)(x)"], &["!label(tier)(.*)"]);
}

// First bullet.

#[test]
fn captured_texts_form_a_sorted_set_that_names_the_route() {
    assert_eq!(found("label(version)((.*)) && label(app)((.*))").as_deref(), Some("(1.0.3),(foo)"));
    assert_eq!(found("label(app)((.*)) && label(version)((.*))").as_deref(), Some("(1.0.3),(foo)"));
    assert_eq!(found("label(app)((.*)) && name((foo)-1)").as_deref(), Some("(foo)"));
}

#[test]
fn a_workload_of_which_nothing_is_captured_is_on_the_route_of_empty_parentheses() {
    assert_eq!(found("label(app)(foo)").as_deref(), Some("()"));
    let agent = Agent::of("name: a\nselector: label(app)(foo)\n", &three_pods());
    assert_eq!((agent.weights().as_str(), agent.route("()").endpoints.len()), ("() 100%", 3));
}

// Second bullet.

#[test]
fn only_the_gateways_own_namespace_is_searched() {
    let foreign = three_pods().replace("name: b,", "name: b, namespace: other,");
    assert_eq!(Agent::of(&on("tcp"), &foreign).weights(), "(1) 100%, (3) 0%");
    let text = on("tcp").replace("label(app)(foo)", "namespace(other)");
    assert_eq!(Agent::of(&text, &foreign).weights(), "", "not even if it asks for another one");
}

#[test]
fn pods_are_found_by_labels_addresses_and_readiness() {
    let agent = Agent::of(&on("tcp"), &without("a", &three_pods()));
    let endpoints: Vec<(String, bool)> = agent
        .gateway()
        .routes
        .iter()
        .flat_map(|route| &route.endpoints)
        .map(|endpoint| (endpoint.address.to_string(), endpoint.ready))
        .collect();
    let expected = [("10.0.0.1:8080", false), ("10.0.0.2:8080", true), ("10.0.0.3:8080", true)];
    assert_eq!(endpoints, expected.map(|(address, ready)| (address.to_owned(), ready)));
}

#[test]
fn services_are_found_where_the_selector_asks_for_them() {
    let both =
        pod("a", "1", "10.0.0.1") + &pod("s", "2", "10.0.0.2").replace("name: s,", "name: s, kind: service,");
    let text = on("tcp").replace("label(app)", "kind(service) && label(app)");
    assert_eq!(Agent::of(&text, &both).weights(), "(2) 100%");
}

// Third bullet.

#[test]
fn an_endpoint_has_the_port_that_the_selector_asks_for() {
    assert_eq!(ports("http", " && port(81)", "{name: http, port: 80}, 81"), (vec![81], vec![]));
    assert_eq!(ports("http", " && index(1)", "{name: http, port: 80}, 81"), (vec![81], vec![]));
    assert_eq!(ports("http", " && port(admin)", "80, {name: admin, port: 81}"), (vec![81], vec![]));
}

#[test]
fn else_an_endpoint_has_the_port_named_like_the_gateways_protocol() {
    let both = "{name: tcp, port: 80}, {name: http, port: 81}";
    assert_eq!(ports("http", "", both), (vec![81], vec![]));
    assert_eq!(ports("tcp", "", both), (vec![80], vec![]));
}

#[test]
fn else_an_endpoint_has_the_only_port() {
    assert_eq!(ports("http", "", "{name: web, port: 80}"), (vec![80], vec![]));
}

#[test]
fn ports_of_sidecars_are_no_ambiguity_where_one_carries_a_name_that_matches() {
    assert_eq!(
        ports("http", "", "15090, {name: http, port: 80}, {name: envoy, port: 15001}"),
        (vec![80], vec![])
    );
}

#[test]
fn more_than_one_port_left_is_a_finding_and_not_a_guess() {
    let (ports, codes) = ports("http", "", "80, 81");
    assert_eq!((ports, codes[0]), (vec![], "ambiguous-port"));
}

// Fourth bullet.

#[test]
fn a_dry_run_shows_what_a_selector_finds_and_why_not() {
    let selector: Selector = "label(app)(foo) && label(version)((2.*))".parse().unwrap();
    let explained = selector.explain_workload(&workloads(FOO)[0]);
    let terms: Vec<_> = explained.terms.iter().map(|term| (term.text.as_str(), term.is_true)).collect();
    assert_eq!(terms, [("label(app)(foo)", true), ("label(version)((2.*))", false)]);
    assert_eq!(explained.reasons().collect::<Vec<_>>(), ["label `version` is `1.0.3`"]);
}

#[test]
fn a_selector_that_does_not_parse_is_refused_with_the_column_and_what_was_expected() {
    let found = &complaints("name: a\nselector: label(app)(foo) && lable(version)((.*))\n")[0];
    let place = found.place.as_ref().unwrap();
    assert_eq!((found.code, place.line, place.column), ("invalid-selector", 2, 30), "{found}");
}
