//! `weir apply`: gateways of files become resources of the cluster.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use gateway_model::{
    finding::Finding,
    gateway::{Gateway, GatewayArtifact},
    key::GatewayKey,
};
use kube::{
    Api,
    api::{Patch, PatchParams},
    core::{ApiResource, DynamicObject},
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Cluster, refused};
use crate::{
    cli::{
        args::{ClusterArgs, Output},
        offline::files::{self, FindingView, Loaded},
    },
    control::resource::WeirGateway,
};

/// Who owns the fields that files say: not `weir weight` and `weir condition`, or applying a file would take away what these
/// have set since.
const APPLIER: &str = "weir-apply";
/// Fields whose values are not ours to rename.
const FREE: [&str; 2] = ["metadata", "rewrites"];

#[derive(Serialize)]
struct Answer<'a> {
    applied: Vec<String>,
    dry_run: bool,
    findings: Vec<FindingView<'a>>,
}

/// Writes the gateways of files; none of them where one is wrong.
pub(in crate::cli) async fn apply(
    paths: &[PathBuf],
    namespace: Option<&str>,
    is_dry: bool,
    cluster: &ClusterArgs,
    format: Output,
) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::need(cluster).await?;
    let namespace = namespace.unwrap_or(&cluster.namespace);
    let mut loaded = Loaded::read(paths, &[], namespace);
    let named: Vec<Finding> = loaded.gateways.iter().filter_map(unnameable).collect();
    loaded.findings.extend(named);
    let mut applied = Vec::new();
    let is_wrong = loaded.settle();
    if !is_wrong {
        for document in documents(&loaded, namespace)? {
            applied.push(cluster.apply_one(&document, is_dry).await?);
        }
    }
    let answer = Answer { applied, dry_run: is_dry, findings: files::views(&loaded.findings) };
    files::answer(&loaded, format, &answer, || describe(&answer))?;
    Ok(if is_wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn describe(answer: &Answer<'_>) -> String {
    let dry = if answer.dry_run { " (dry run)" } else { "" };
    answer
        .applied
        .iter()
        .map(|name| format!("weirgateway.weir.dev/{name} applied{dry}\n"))
        .collect::<Vec<_>>()
        .concat()
}

/// Names of objects are narrower than those of artifacts.
fn unnameable(gateway: &Gateway) -> Option<Finding> {
    let name = &gateway.key.name;
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label = |label: &str| {
        !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(inside)
    };
    let fits = name.len() <= 253 && name.split('.').all(is_label);
    let message = format!("`{name}` cannot be the name of a resource of Kubernetes");
    let advice = "rename it: lower case letters, digits, `-` and `.`, as in `foo-ingress`";
    (!fits).then(|| {
        Finding::error("invalid-name", message, advice).at(gateway.place_of("name")).of(&gateway.key)
    })
}

/// The resources that files declare, in their order.
fn documents(loaded: &Loaded, namespace: &str) -> anyhow::Result<Vec<Value>> {
    let mut documents = Vec::new();
    for (file, text) in &loaded.sources {
        let parsed: Vec<Value> = serde_saphyr::from_multiple(text).with_context(|| file.clone())?;
        let items = parsed.into_iter().flat_map(|document| match document {
            Value::Array(items) => items,
            Value::Null => Vec::new(),
            one @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => vec![one],
        });
        for item in items {
            documents.push(resource(item, loaded, namespace).with_context(|| file.clone())?);
        }
    }
    Ok(documents)
}

/// A resource as it is written, or an artifact as a resource.
fn resource(mut item: Value, loaded: &Loaded, namespace: &str) -> anyhow::Result<Value> {
    if item.get("apiVersion").is_some() {
        let metadata = &mut item["metadata"];
        if metadata["namespace"].is_null() {
            metadata["namespace"] = namespace.into();
        }
        item.as_object_mut().map(|item| item.remove("status"));
        return Ok(item);
    }
    let name = item["name"].as_str().context("an artifact without a name")?;
    let key = GatewayKey::new(namespace, name);
    let gateway = loaded.gateways.iter().find(|gateway| gateway.key == key);
    Ok(from_artifact(gateway.with_context(|| format!("the artifact `{name}`"))?)?)
}

fn from_artifact(gateway: &Gateway) -> serde_json::Result<Value> {
    let Value::Object(mut artifact) = serde_json::to_value(GatewayArtifact::from(gateway))? else {
        return Ok(Value::Null);
    };
    artifact.remove("name");
    artifact.remove("kind");
    let mut spec = in_camel_case(artifact);
    if let Some(Value::Object(routes)) = spec.get_mut("routes") {
        for route in routes.values_mut() {
            if let Value::Object(fields) = route.take() {
                *route = Value::Object(in_camel_case(fields));
            }
        }
    }
    Ok(json!({
        "apiVersion": "weir.dev/v1",
        "kind": "WeirGateway",
        "metadata": { "name": gateway.key.name, "namespace": gateway.key.namespace },
        "spec": spec,
    }))
}

/// The fields of one level, as resources spell them.
fn in_camel_case(fields: Map<String, Value>) -> Map<String, Value> {
    let rename = |(name, value): (String, Value)| {
        let mut words = name.split('_');
        let first = words.next().unwrap_or_default().to_owned();
        let rest = words.map(|word| {
            let mut chars = word.chars();
            chars
                .next()
                .map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + chars.as_str())
        });
        let renamed = rest.fold(first, |name, word| name + &word);
        debug_assert!(!FREE.contains(&name.as_str()) || renamed == name, "free data keeps its name");
        (renamed, value)
    };
    fields.into_iter().map(rename).collect()
}

impl Cluster {
    async fn apply_one(&self, document: &Value, is_dry: bool) -> anyhow::Result<String> {
        let text = |field: &str| document["metadata"][field].as_str().unwrap_or_default().to_owned();
        let (namespace, name) = (text("namespace"), text("name"));
        let resource = ApiResource::erase::<WeirGateway>(&());
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &namespace, &resource);
        let params = PatchParams { dry_run: is_dry, ..PatchParams::apply(APPLIER).force() };
        let what = format!("gateway {namespace}/{name}");
        api.patch(&name, &params, &Patch::Apply(document)).await.map_err(|error| refused(error, &what))?;
        Ok(format!("{namespace}/{name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(text: &str) -> Loaded {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("g.yaml");
        std::fs::write(&path, text).unwrap();
        let mut loaded = Loaded::read(&[path], &[], "shop");
        assert!(!loaded.settle(), "{:?}", loaded.findings);
        loaded
    }

    #[test]
    fn the_artifact_of_the_manual_becomes_a_resource() {
        let text = "name: foo-ingress\nkind: gateways\nvirtual_hosts:\n- foo.bar.com\nselector: label(app)(foo) && label(version)((.*))\n";
        let expected = json!({
            "apiVersion": "weir.dev/v1", "kind": "WeirGateway",
            "metadata": {"name": "foo-ingress", "namespace": "shop"},
            "spec": {"virtualHosts": ["foo.bar.com"], "selector": "label(app)(foo) && label(version)((.*))"}
        });
        assert_eq!(documents(&loaded(text), "shop").unwrap(), [expected]);
    }

    #[test]
    fn fields_of_routes_are_renamed_and_free_data_is_not() {
        let text = "name: foo\nport: 9050/http\nselector: label(v)((.*))\npreserve_client_ip: false\nmetadata: {cost_centre: 1}\nroutes:\n  (1): {weight: 100%, condition: Has Header x, condition_strength: 50%, metadata: {some_key: 2}}\n";
        let all = documents(&loaded(text), "shop").unwrap();
        let spec = &all[0]["spec"];
        assert_eq!(spec["metadata"], json!({"cost_centre": 1}));
        assert_eq!(spec["routes"]["(1)"]["conditionStrength"], "50%");
        assert_eq!(spec["routes"]["(1)"]["metadata"], json!({"some_key": 2}));
        // The resource says what the artifact says.
        let again = gateway_model::gateway::parse("r", &all[0].to_string(), "shop");
        assert!(again.findings.iter().all(|finding| !finding.is_error()), "{:?}", again.findings);
        assert_eq!(again.gateways[0].routes[0].condition_strength, Some("50%".parse().unwrap()));
    }

    #[test]
    fn a_resource_is_sent_as_it_is_written_with_its_service() {
        let text = "apiVersion: weir.dev/v1\nkind: WeirGateway\nmetadata: {name: foo, labels: {a: b}}\nspec: {selector: 'true', service: {type: ClusterIP}}\nstatus: {port: 1}\n";
        let expected = json!({
            "apiVersion": "weir.dev/v1", "kind": "WeirGateway",
            "metadata": {"name": "foo", "labels": {"a": "b"}, "namespace": "shop"},
            "spec": {"selector": "true", "service": {"type": "ClusterIP"}}
        });
        assert_eq!(documents(&loaded(text), "shop").unwrap(), [expected]);
    }

    #[test]
    fn a_name_that_no_resource_can_have_is_an_error_with_advice() {
        let loaded = loaded("name: Foo_Ingress\nselector: 'true'\n");
        let finding = unnameable(&loaded.gateways[0]).unwrap();
        assert!(finding.message.contains("Foo_Ingress") && finding.advice.contains("lower case"));
    }
}
