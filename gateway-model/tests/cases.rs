//! The artifacts in tests/cases that are good, and files of workloads, good and broken ones. Broken artifacts are
//! tried with `weir check`, in tests/offline. What a file announces in comments is found:
//! `# expect: line:column code`.

use std::{fs, path::PathBuf};

use gateway_model::{
    finding::Finding,
    gateway::{self, GatewayArtifact},
    workload,
};

fn cases(folder: &str) -> Vec<(String, String)> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/cases").join(folder);
    let entries = fs::read_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut cases: Vec<_> = entries
        .map(|entry| entry.expect("a folder that can be read").path())
        .map(|path| {
            (
                path.file_name().expect("entries have names").to_string_lossy().into_owned(),
                fs::read_to_string(&path).expect("a text file"),
            )
        })
        .collect();
    cases.sort();
    cases
}

fn expected(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| line.strip_prefix("# expect: ")).map(str::to_owned).collect()
}

/// `line:column code` of each finding, after asserting what all findings promise.
fn found(file: &str, findings: &[Finding]) -> Vec<String> {
    let describe = |finding: &Finding| {
        let place = finding.place.as_ref().unwrap_or_else(|| panic!("{file}: no place: {finding}"));
        assert_eq!(place.file, file);
        assert!(!finding.message.is_empty() && !finding.advice.is_empty(), "{finding:?}");
        format!("{}:{} {}", place.line, place.column, finding.code)
    };
    findings.iter().map(describe).collect()
}

#[test]
fn good_artifacts_have_no_findings() {
    let cases = cases("good");
    assert!(cases.iter().any(|(file, _)| file == "foo-ingress.yaml"));
    for (file, text) in cases {
        let parsed = gateway::parse(&file, &text, "default");
        assert!(parsed.findings.is_empty(), "{file}: {:?}", parsed.findings);
        assert!(!parsed.gateways.is_empty(), "{file}");
    }
}

#[test]
fn the_examples_have_no_findings() {
    for (file, text) in cases("../../deploy/examples") {
        let findings = if file == "workloads.yaml" {
            workload::parse(&file, &text, "default").findings
        } else {
            gateway::parse(&file, &text, "default").findings
        };
        assert!(findings.is_empty(), "{file}: {findings:?}");
    }
}

#[test]
fn a_broken_gateway_does_not_take_others_with_it() {
    let (_, text) = cases("broken").into_iter().find(|(file, _)| file == "one-bad-of-three.yaml").unwrap();
    let parsed = gateway::parse("f", &text, "default");
    let names: Vec<&str> = parsed.gateways.iter().map(|gateway| gateway.key.name.as_str()).collect();
    assert_eq!(names, ["good", "also-good"]);
    assert_eq!(parsed.findings[0].gateway.as_ref().map(|key| key.name.as_str()), Some("bad"));
}

#[test]
fn workloads_are_read_and_their_mistakes_found() {
    for (file, text) in cases("workloads") {
        let parsed = workload::parse(&file, &text, "default");
        assert_eq!(found(&file, &parsed.findings), expected(&text), "{file}: {:#?}", parsed.findings);
    }
    let (_, text) = cases("workloads").into_iter().find(|(file, _)| file == "good.yaml").unwrap();
    let workloads = workload::parse("w", &text, "shop").workloads;
    assert_eq!(workloads[0].created, Some(1_769_860_800));
    assert_eq!(workloads[0].addresses.len(), 2);
    assert_eq!(
        (workloads[1].namespace.as_str(), workloads[1].ready, workloads[1].ports[0].port),
        ("shop", false, 8080)
    );
    assert_eq!(workloads[1].labels["empty"], "");
    assert_eq!((workloads[2].kind.as_str(), workloads[2].ready), ("deployment", true));
}

#[test]
fn the_seed_example_reads_as_it_is_written() {
    let (file, text) = cases("good").into_iter().find(|(file, _)| file == "foo-ingress.yaml").unwrap();
    let gateways = gateway::parse(&file, &text, "default").gateways;
    let gateway = &gateways[0];
    assert_eq!(gateway.key.to_string(), "default/foo-ingress");
    assert_eq!(gateway.virtual_hosts[0].0.as_str(), "foo.bar.com");
    assert_eq!(gateway.selector.as_ref().unwrap().to_string(), "label(app)(foo) && label(version)((.*))");
    assert!(gateway.port.is_none() && gateway.routes.is_empty());
}

#[test]
fn a_resource_reads_as_the_artifact_of_the_same_fields_does() {
    let (file, text) = cases("good").into_iter().find(|(file, _)| file == "resource.yaml").unwrap();
    let resource = &gateway::parse(&file, &text, "default").gateways[0];
    let artifact = "name: foo-ingress\nvirtual_hosts: [foo.bar.com]\n\
                    selector: label(app)(foo) && label(version)((.*))\nroutes:\n  (1.0.3): {weight: 95%}\n  \
                    (2.0.1): {weight: 5%, condition: User-Agent is Firefox, condition_strength: 50%}\n";
    let artifact = &gateway::parse("artifact", artifact, "shop").gateways[0];
    assert_eq!(resource.key, artifact.key, "the namespace is that of its metadata");
    assert_eq!(GatewayArtifact::from(resource), GatewayArtifact::from(artifact));
}

#[test]
fn all_forms_of_routes_are_read() {
    let (file, text) = cases("good").into_iter().find(|(file, _)| file == "several.yaml").unwrap();
    let gateways = gateway::parse(&file, &text, "default").gateways;
    let routes: Vec<Vec<&str>> = gateways
        .iter()
        .map(|gateway| gateway.routes.iter().map(|route| route.name.0.as_str()).collect())
        .collect();
    assert_eq!(
        routes,
        [
            vec![],
            vec!["[198.51.100.7:5432]"],
            vec!["(1)", "(2)", "(3)", "[[2001:db8::7]:80]"],
            vec!["stable", "canary"],
            vec!["()"],
        ]
    );
    assert_eq!(gateways[2].routes[3].external(), Some(("2001:db8::7", 80)));
}
