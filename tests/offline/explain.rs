//! `weir explain`: which route takes a request, and why.

use gateway_tests::command::{Folder, Ran, assert_says, run};
use serde_json::json;

const WORKLOADS: &str = "\
- {name: foo-1, labels: {app: foo, version: 1.0.3}, addresses: [10.0.0.1], ports: [{name: http, port: 8080}]}
- {name: foo-2, labels: {app: foo, version: 2.0.1}, addresses: [10.0.0.3], ports: 8080}
- {name: foo-3, labels: {app: foo, version: 3.0.0}, addresses: [10.0.0.4], ports: 8080, ready: false}
";

const GATEWAYS: &str = "\
name: foo
virtual_hosts: [foo.bar.com, '*.foo.bar.com']
port: 8080
selector: label(app)(foo) && label(version)((.*))
routes:
  (1.0.3): {weight: 95%}
  (2.0.1): {weight: 5%, condition: 'Header X-Group has testers and not Has Cookie stable', condition_strength: 50%}
---
name: tcp
port: 9000/tcp
selector: label(app)(foo) && label(version)((.*))
---
name: user
port: 9001
sticky: route
selector: label(app)(foo) && label(version)((.*))
routes:
  (1.0.3): {weight: 50%}
  (2.0.1): {weight: 50%}
---
name: front
port: 9002
routes: {foo: {weight: 100%}}
";

fn explain(arguments: &[&str]) -> Ran {
    let folder =
        Folder::new(&format!("explain-{}", arguments.join("-").replace(|c: char| !c.is_alphanumeric(), "")));
    let (config, workloads) = (folder.write("g.yaml", GATEWAYS), folder.write("w.yaml", WORKLOADS));
    run(&[&["explain", "--config", &config, "--workloads", &workloads][..], arguments].concat())
}

#[test]
fn a_request_without_a_matching_condition_goes_by_weight() {
    let ran = explain(&["GET http://foo.bar.com/x", "-o", "json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let answer = ran.json();
    assert_eq!(
        (answer["gateway"].as_str(), answer["virtual_host"].as_str()),
        (Some("foo"), Some("foo.bar.com"))
    );
    assert_eq!(answer["condition"], json!(null));
    assert_eq!(answer["shares"], json!({"(1.0.3)": 95.0, "(2.0.1)": 5.0, "(3.0.0)": 0.0}));
    assert_eq!(answer.get("route"), None, "chance decides");
}

#[test]
fn a_matching_condition_takes_its_strength_and_its_weight_of_the_rest() {
    let ran = explain(&["GET http://foo.bar.com/x", "-H", "X-Group: testers", "-o", "json"]);
    let answer = ran.json();
    let expected = json!({
        "route": "(2.0.1)",
        "expression": "Header X-Group has testers and not Has Cookie stable",
        "strength": 50.0,
    });
    assert_eq!(answer["condition"], expected);
    assert_eq!(answer["shares"], json!({"(1.0.3)": 47.5, "(2.0.1)": 52.5, "(3.0.0)": 0.0}), "s + (1 - s) w");
}

#[test]
fn every_term_of_every_condition_has_its_verdict() {
    let ran =
        explain(&["http://foo.bar.com/", "-H", "X-Group: testers", "-H", "Cookie: stable=1", "-o", "json"]);
    let answer = ran.json();
    let terms: Vec<_> = answer["terms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|term| {
            (
                term["term"].as_str().unwrap(),
                term["column"].as_u64().unwrap(),
                term["matches"].as_bool().unwrap(),
            )
        })
        .collect();
    assert_eq!(terms, [("Header X-Group has testers", 1, true), ("Has Cookie stable", 36, true)]);
    assert_eq!(answer["condition"], json!(null), "the second is negated");
}

#[test]
fn the_gateway_is_found_by_host_and_else_by_port() {
    let gateway = |url: &str| {
        let answer = explain(&[url, "-o", "json"]).json();
        (answer["gateway"].clone(), answer["virtual_host"].clone())
    };
    assert_eq!(gateway("http://FOO.bar.com:80/"), (json!("foo"), json!("foo.bar.com")));
    assert_eq!(
        gateway("http://a.b.foo.bar.com/"),
        (json!("foo"), json!("*.foo.bar.com")),
        "one label or more"
    );
    assert_eq!(gateway("http://192.0.2.1:8080/"), (json!("foo"), json!(null)));
    assert_eq!(gateway("http://192.0.2.1:9000/"), (json!("tcp"), json!(null)));
    assert_eq!(gateway("http://[2001:db8::1]:9000/"), (json!("tcp"), json!(null)));
    let ran = explain(&["http://unknown.example/"]);
    assert_eq!(ran.code, Some(1));
    assert_says(&ran.out, &["No gateway answers", "unknown.example"]);
}

#[test]
fn a_request_has_the_host_field_that_every_client_sends() {
    let folder = Folder::new("explain-host");
    let config = folder.write(
        "g.yaml",
        "name: a\nport: 80\nroutes:\n  '[192.0.2.7:80]': {weight: 0%, condition: '< hdr(host) -i foo.com:80 >'}\n  \
         '[192.0.2.8:80]': {weight: 100%}\n",
    );
    for (arguments, route) in [
        (&["http://foo.com:80/"][..], "[192.0.2.7:80]"),
        (&["http://foo.com/"], "[192.0.2.8:80]"),
        (&["http://x/", "-H", "Host: FOO.com:80"], "[192.0.2.7:80]"),
    ] {
        let ran = run(&[&["explain", "--config", &config, "-o", "json"][..], arguments].concat());
        assert_eq!(ran.json()["route"], route, "{arguments:?}");
    }
}

#[test]
fn a_gateway_of_one_route_leaves_nothing_to_chance() {
    let answer = explain(&["http://192.0.2.1:9000/", "-o", "json"]).json();
    assert_eq!(answer["route"], "(1.0.3)");
    assert_eq!(answer["shares"], json!({"(1.0.3)": 100.0, "(2.0.1)": 0.0, "(3.0.0)": 0.0}));
}

#[test]
fn a_sticky_user_is_told_his_route_and_keeps_it() {
    let route = |user: &str| {
        let answer = explain(&["http://192.0.2.1:9001/", "--user", user, "-o", "json"]).json();
        answer["route"].as_str().unwrap().to_owned()
    };
    let users: Vec<String> = (0..20).map(|number| format!("user-{number}")).collect();
    let routes: Vec<String> = users.iter().map(|user| route(user)).collect();
    assert!(routes.contains(&"(1.0.3)".to_owned()) && routes.contains(&"(2.0.1)".to_owned()), "{routes:?}");
    assert_eq!(route(&users[0]), routes[0]);
}

#[test]
fn a_chained_gateway_is_explained_inside() {
    let ran = explain(&["http://192.0.2.1:9002/", "-H", "X-Group: testers", "-o", "json"]);
    let answer = ran.json();
    assert_eq!((answer["gateway"].as_str(), answer["route"].as_str()), (Some("front"), Some("foo")));
    assert_eq!(answer["chained"]["foo"]["shares"]["(2.0.1)"], 52.5);
}

#[test]
fn the_table_says_it_in_words() {
    let ran = explain(&["GET", "http://foo.bar.com/x", "-H", "X-Group: testers"]);
    assert_says(
        &ran.out,
        &["default/foo, by its virtual host foo.bar.com", "Strength   50%", "52.5%", "47.5%"],
    );
    assert_says(&ran.out, &["Header X-Group has testers", "yes"]);
}

#[test]
fn a_request_that_is_none_is_refused_with_an_example() {
    for request in
        ["foo.bar.com/x", "GET", "GET POST http://a/", "ftp://a/", "http://a:99999/", "http://a:b/"]
    {
        let ran = explain(&[request]);
        assert_eq!(ran.code, Some(2), "{request}: {ran:?}");
        assert_says(&ran.err, &["GET http://foo.bar.com/x"]);
    }
    let ran = explain(&["http://foo.bar.com/", "-H", "no colon"]);
    assert_eq!(ran.code, Some(2));
    assert_says(&ran.err, &["-H", "X-Group: testers"]);
}
