//! The JSON Schema accepts what the reader accepts, and knows the same fields.

use std::{fs, path::PathBuf};

use gateway_model::{
    document::{self, Node},
    gateway::{self, GatewayArtifact, schema},
};
use jsonschema::Validator;
use serde_json::{Value, json};

fn validator() -> Validator {
    jsonschema::validator_for(&schema()).expect("the schema is one")
}

fn texts(folder: &str) -> Vec<(String, String)> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/cases").join(folder);
    let files = fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("a file").path());
    files.map(|path| (path.display().to_string(), fs::read_to_string(path).expect("a text"))).collect()
}

fn artifacts(text: &str) -> Vec<Value> {
    let (documents, _) = document::parse("f", text);
    let all = documents.iter().flat_map(|node| items(node)).map(Node::to_json);
    // Resources of Kubernetes have a schema of their own: that of their definition.
    all.filter(|artifact| artifact.get("apiVersion").is_none()).collect()
}

fn items(node: &Node) -> Vec<&Node> {
    match &node.value {
        document::Value::List(items) => items.iter().collect(),
        document::Value::Scalar(..) | document::Value::Map(_) => vec![node],
    }
}

#[test]
fn good_artifacts_fit_the_schema() {
    let validator = validator();
    for (file, text) in texts("good") {
        for artifact in artifacts(&text) {
            let errors: Vec<String> =
                validator.iter_errors(&artifact).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{file}: {errors:?}\n{artifact:#}");
        }
    }
}

#[test]
fn the_normal_form_fits_the_schema() {
    let validator = validator();
    for (file, text) in texts("good") {
        for gateway in gateway::parse(&file, &text, "default").gateways {
            let artifact = serde_json::to_value(GatewayArtifact::from(&gateway)).expect("it serialises");
            assert!(validator.is_valid(&artifact), "{file}: {artifact:#}");
            let again = gateway::parse("f", &artifact.to_string(), "default");
            assert!(again.findings.is_empty(), "{file}: {:?}", again.findings);
            let once_more =
                serde_json::to_value(GatewayArtifact::from(&again.gateways[0])).expect("it serialises");
            assert_eq!(artifact, once_more, "{file}");
        }
    }
}

#[test]
fn what_the_reader_calls_unknown_or_of_the_wrong_type_does_not_fit_the_schema() {
    let validator = validator();
    let mut tried = 0;
    for (file, text) in texts("broken") {
        let announced: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# expect: ")).collect();
        let by_shape = |line: &&str| line.ends_with("unknown-field") || line.ends_with("unknown-kind");
        if announced.iter().any(by_shape) {
            tried += 1;
            let artifacts = artifacts(&text);
            let fits = artifacts.iter().all(|artifact| validator.is_valid(artifact));
            assert!(artifacts.is_empty() || !fits, "{file}");
        }
    }
    assert!(tried >= 4, "{tried}");
}

#[test]
fn the_schema_and_the_reader_know_the_same_fields() {
    let schema = schema();
    let known = |finding: &str| -> Vec<String> {
        let (_, list) = finding.split_once("allowed are: ").expect("it lists what is allowed");
        let mut fields: Vec<String> = list.split(", ").map(str::to_owned).collect();
        fields.sort();
        fields
    };
    let properties = |schema: &Value| -> Vec<String> {
        let mut fields: Vec<String> =
            schema["properties"].as_object().expect("it has some").keys().cloned().collect();
        fields.sort();
        fields
    };
    let unknown = |artifact: Value| {
        let findings = gateway::parse("f", &artifact.to_string(), "default").findings;
        let finding =
            findings.iter().find(|finding| finding.code == "unknown-field").expect("qqqqqq is unknown");
        known(&finding.advice)
    };
    let gateway = unknown(json!({"name": "a", "selector": "true", "qqqqqq": 1}));
    assert_eq!(gateway, properties(&schema));
    let route = unknown(json!({"name": "a", "selector": "true", "routes": {"(1)": {"qqqqqq": 1}}}));
    let mut known = properties(&schema["$defs"]["RouteArtifact"]);
    // In a list, a route has its name beside its fields.
    known.push("name".to_owned());
    known.sort();
    assert_eq!(route, known);
    let sticky = unknown(json!({"name": "a", "selector": "true", "sticky": {"keep": "route", "qqqqqq": 1}}));
    assert_eq!(sticky, properties(&schema["$defs"]["StickyFields"]));
}
