//! `weir check`: every mistake, with its place.

use std::{collections::BTreeSet, fs, path::PathBuf};

use gateway_tests::command::{Folder, assert_says, run, run_with_input};
use serde_json::Value;

fn cases(folder: &str) -> Vec<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("cases").join(folder);
    let mut files: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// `line:column code` of what a file announces: `# expect: …`.
fn announced(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| line.strip_prefix("# expect: ")).map(str::to_owned).collect()
}

fn found(findings: &Value, file: &str) -> Vec<String> {
    let describe = |finding: &Value| {
        assert_eq!(finding["file"], file);
        for field in ["message", "advice"] {
            assert!(!finding[field].as_str().unwrap().is_empty(), "{finding}");
        }
        format!("{}:{} {}", finding["line"], finding["column"], finding["code"].as_str().unwrap())
    };
    findings.as_array().unwrap().iter().map(describe).collect()
}

#[test]
fn every_mistake_in_a_broken_artifact_is_found_where_it_is() {
    let mut wrong = Vec::new();
    let mut codes = BTreeSet::new();
    let cases = cases("broken");
    assert!(cases.len() >= 50, "{} cases", cases.len());
    for path in cases {
        let file = path.display().to_string();
        let text = fs::read_to_string(&path).unwrap();
        let ran = run(&["check", &file, "-o", "json"]);
        let answer = ran.json();
        let (announced, found) = (announced(&text), found(&answer["findings"], &file));
        let errors = answer["findings"].as_array().unwrap().iter().any(|one| one["severity"] == "error");
        if announced.is_empty() || announced != found || ran.code != Some(i32::from(errors)) {
            wrong.push(format!("{file}: expected {announced:?}, found {found:?}, exit {:?}", ran.code));
        }
        codes.extend(found.iter().filter_map(|one| one.split(' ').nth(1).map(str::to_owned)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(codes.len() >= 40, "only {} different codes: {codes:?}", codes.len());
}

#[test]
fn good_artifacts_have_no_findings_and_are_shown_in_normal_form() {
    for path in cases("good") {
        let ran = run(&["check", path.to_str().unwrap(), "-o", "json"]);
        assert_eq!(ran.json()["findings"], serde_json::json!([]), "{}", path.display());
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    }
    let ran = run_with_input(
        &["check", "-", "-n", "shop", "-o", "json"],
        "name: foo\nport: 80\nvirtual_hosts: Foo.bar.com\nselector: Label(app)(foo) AND label(version)( (.*) )\n",
    );
    let expected = serde_json::json!([{
        "namespace": "shop",
        "name": "foo",
        "kind": "gateways",
        "port": "80/http",
        "virtual_hosts": ["foo.bar.com"],
        "selector": "label(app)(foo) && label(version)((.*))",
    }]);
    assert_eq!(ran.json()["gateways"], expected);
}

#[test]
fn findings_are_drawn_under_their_lines() {
    let ran = run_with_input(&["check", "-"], "name: foo\nport: 80/quic\nselectr: label(app)(foo)\n");
    assert_eq!(ran.code, Some(1));
    assert_says(&ran.err, &["error[invalid-port]", "-:2:7", "2 | port: 80/quic", "^^^^^^^", "help: "]);
    assert_says(&ran.err, &["error[unknown-field]", "did you mean `selector`?", "^^^^^^^\n", "3 errors"]);
    let lines: Vec<usize> = ran.err.match_indices("-->").map(|(at, _)| at).collect();
    assert_eq!(lines.len(), 3, "all at once: {}", ran.err);
    assert!(!ran.err.contains('\u{1b}'), "no colours where nobody looks");
}

#[test]
fn findings_of_several_files_are_in_the_order_of_file_line_and_column() {
    let folder = Folder::new("check");
    let b = folder.write("b.yaml", "name: b\nport: x\nlevel: y\n");
    let a = folder.write("a.yaml", "name: a\nroutes: {(1): {weight: x, balance: y}}\nport: z\n");
    let ran = run(&["check", &b, &a, "-o", "json"]);
    let places: Vec<(String, u64, u64)> = ran.json()["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let number = |field: &str| one[field].as_u64().unwrap();
            (one["file"].as_str().unwrap().to_owned(), number("line"), number("column"))
        })
        .collect();
    let mut sorted = places.clone();
    sorted.sort();
    assert_eq!(places, sorted);
    assert!(places.len() >= 6, "{places:?}");
}

#[test]
fn warnings_alone_exit_with_0_unless_they_are_denied() {
    let text = "name: foo\nhost_port: true\nselector: label(app)(foo)\n";
    assert_eq!(run_with_input(&["check", "-"], text).code, Some(0));
    let ran = run_with_input(&["check", "-", "--deny-warnings"], text);
    assert_eq!(ran.code, Some(1));
    assert_says(&ran.err, &["warning[host-port-without-port]", "1 warning"]);
    assert_eq!(ran.out, "1 gateway can be read\n");
}

#[test]
fn gateways_of_one_port_share_it_in_kubernetes_and_not_on_a_node() {
    let artifact = |name: &str| format!("name: {name}\nport: 80\nselector: label(app)({name})\n");
    let ran =
        run_with_input(&["check", "-", "-o", "json"], &format!("{}---\n{}", artifact("a"), artifact("b")));
    let finding = &ran.json()["findings"][0];
    assert_eq!(
        (finding["code"].as_str(), finding["severity"].as_str()),
        (Some("port-conflict"), Some("warning"))
    );
    assert_eq!(ran.code, Some(0));
    let resource = |name: &str| {
        format!(
            "apiVersion: weir.dev/v1\nkind: WeirGateway\nmetadata: {{name: {name}}}\n\
             spec: {{port: 80, virtualHosts: [{name}.example.com], selector: label(app)({name})}}\n"
        )
    };
    let ran =
        run_with_input(&["check", "-", "-o", "json"], &format!("{}---\n{}", resource("a"), resource("b")));
    assert_eq!(ran.json()["findings"], serde_json::json!([]));
}

#[test]
fn what_nobody_looked_up_is_not_called_unknown() {
    let folder = Folder::new("check-names");
    let gateways = folder.write("g.yaml", "name: foo\nroutes: '[db.example.com:5432]'\n");
    let workloads = folder.write("w.yaml", "[]");
    let ran = run(&["check", &gateways, "--workloads", &workloads, "-o", "json"]);
    assert_eq!(ran.json()["findings"], serde_json::json!([]));
    let selecting = folder.write("s.yaml", "name: foo\nselector: label(app)(foo)\n");
    let ran = run(&["check", &selecting, "--workloads", "/nonexistent.yaml", "-o", "json"]);
    let codes: Vec<_> =
        ran.json()["findings"].as_array().unwrap().iter().map(|one| one["code"].clone()).collect();
    assert_eq!(codes, ["unreadable-file"], "and not that the selector finds nothing in it");
}

#[test]
fn a_file_without_an_end_is_refused() {
    let ran = run(&["check", "/dev/zero", "-o", "json"]);
    assert_eq!((ran.code, ran.json()["findings"][0]["code"].as_str()), (Some(1), Some("unreadable-file")));
}

#[test]
fn what_only_shows_beside_workloads_is_found_with_them() {
    let folder = Folder::new("check-workloads");
    let gateways = folder.write("g.yaml", "name: foo\nselector: label(app)(foo) && label(version)((.*))\n");
    let workloads =
        folder.write("w.yaml", "- {name: a, labels: {app: bar}, addresses: 10.0.0.1, ports: 80}\n");
    assert_eq!(run(&["check", &gateways, "-o", "json"]).json()["findings"], serde_json::json!([]));
    let ran = run(&["check", &gateways, "--workloads", &workloads, "-o", "json"]);
    let finding = &ran.json()["findings"][0];
    assert_eq!(
        (finding["code"].as_str(), finding["line"].as_u64()),
        (Some("selector-finds-nothing"), Some(2))
    );
}

#[test]
fn a_file_that_cannot_be_read_is_a_finding_too() {
    let ran = run(&["check", "/nonexistent.yaml", "-o", "json"]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.json()["findings"][0]["code"], "unreadable-file");
}
