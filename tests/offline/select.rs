//! `weir select`: what a selector finds, and why others are not found.

use gateway_tests::command::{Folder, assert_says, run};
use serde_json::json;

const WORKLOADS: &str = "\
- {name: foo-1, labels: {app: foo, version: 1.0.3}, addresses: [10.0.0.1], ports: [{name: http, port: 8080}]}
- {name: foo-2, labels: {app: foo, version: 2.0.1}, addresses: [10.0.0.3, 'fd00::3'], ports: 8080}
- {name: foo-3, labels: {app: foo, version: 2.0.1}, addresses: [10.0.0.4], ports: 8080, ready: false}
- {name: foo-4, labels: {app: foo, version: 10.0.0}, addresses: [10.0.0.5], ports: 8080, ready: false}
- {name: foo-5, labels: {app: foo, verison: 2.0.1}, addresses: [10.0.0.6], ports: 8080}
- {name: other, namespace: other, labels: {app: foo, version: 9.9.9}, addresses: [10.0.0.7], ports: 8080}
- {name: shop, namespace: shop, labels: {app: shop, version: 9.9.9}, addresses: [10.0.0.9], ports: 8080}
- {name: bar, labels: {app: bar}, addresses: [10.0.0.8], ports: 8080}
";

const SELECTOR: &str = "label(app)(foo) && label(version)((.*))";

#[test]
fn routes_are_listed_in_the_order_of_versions_with_their_ready_endpoints() {
    let folder = Folder::new("select");
    let file = folder.write("w.yaml", WORKLOADS);
    let ran = run(&["select", SELECTOR, "--workloads", &file, "-o", "json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let expected = json!([
        {"name": "(1.0.3)", "endpoints": ["10.0.0.1:8080"]},
        {"name": "(2.0.1)", "endpoints": ["10.0.0.3:8080", "[fd00::3]:8080"]},
        {"name": "(10.0.0)", "endpoints": []},
    ]);
    assert_eq!(ran.json()["routes"], expected);
    assert_eq!(ran.json()["findings"], json!([]));
    let shop = "label(app)(shop) && label(version)((.*))";
    let ran = run(&["select", shop, "--workloads", &file, "-n", "shop", "-o", "json"]);
    assert_eq!(ran.json()["routes"], json!([{"name": "(9.9.9)", "endpoints": ["10.0.0.9:8080"]}]));
    let ran = run(&["select", shop, "--workloads", &file, "-o", "json"]);
    assert_eq!(ran.json()["routes"], json!([]), "another namespace");
}

#[test]
fn near_misses_say_what_kept_them_out() {
    let folder = Folder::new("near");
    let file = folder.write("w.yaml", WORKLOADS);
    let ran = run(&["select", SELECTOR, "--workloads", &file, "-o", "json"]);
    let misses = ran.json()["near_misses"].clone();
    assert_eq!(misses[0]["workload"], "foo-5");
    assert_says(misses[0]["reasons"][0].as_str().unwrap(), &["version", "missing"]);
    let ran = run(&["select", SELECTOR, "--workloads", &file]);
    assert_says(&ran.out, &["ROUTE", "(1.0.3)", "10.0.0.1:8080", "Nearly found", "foo-5"]);
}

#[test]
fn a_selector_that_does_not_parse_is_drawn_with_its_mistake() {
    let folder = Folder::new("broken-selector");
    let file = folder.write("w.yaml", WORKLOADS);
    let ran = run(&["select", "label(app)(foo) && lable(version)((.*))", "--workloads", &file, "-o", "json"]);
    assert_eq!(ran.code, Some(1));
    let finding = &ran.json()["findings"][0];
    assert_eq!((finding["code"].as_str(), finding["column"].as_u64()), (Some("invalid-selector"), Some(20)));
    let ran = run(&["select", "label(app)(foo) && lable(version)((.*))", "--workloads", &file]);
    assert_says(&ran.err, &["error[invalid-selector]", "EXPR:1:20", "lable", "^"]);
}

#[test]
fn a_port_that_could_be_one_of_several_is_a_finding_and_no_guess() {
    let folder = Folder::new("ports");
    let workloads = "- {name: a, labels: {app: foo, version: 1}, addresses: 10.0.0.1, ports: [80, 81]}\n";
    let file = folder.write("w.yaml", workloads);
    let ran = run(&["select", SELECTOR, "--workloads", &file, "-o", "json"]);
    assert_eq!(ran.json()["findings"][0]["code"], "ambiguous-port");
    let picked = format!("{SELECTOR} && index(1)");
    let ran = run(&["select", &picked, "--workloads", &file, "-o", "json"]);
    assert_eq!(ran.json()["routes"], json!([{"name": "(1)", "endpoints": ["10.0.0.1:81"]}]));
}

#[test]
fn the_port_named_like_the_type_is_taken() {
    let folder = Folder::new("types");
    let ports = "[{name: http, port: 80}, {name: tcp, port: 81}]";
    let file = folder.write(
        "w.yaml",
        &format!("- {{name: a, labels: {{app: foo, version: 1}}, addresses: 10.0.0.1, ports: {ports}}}\n"),
    );
    for (kind, port) in [("http", 80), ("tcp", 81)] {
        let ran = run(&["select", SELECTOR, "--workloads", &file, "--type", kind, "-o", "json"]);
        assert_eq!(ran.json()["routes"][0]["endpoints"], json!([format!("10.0.0.1:{port}")]));
    }
}
