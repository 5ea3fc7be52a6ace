//! `WeirGateway`s: read by the model, as an artifact is.

use gateway_model::{
    finding::{Finding, Place},
    gateway::{self, Gateway},
    key::GatewayKey,
};
use kube::ResourceExt as _;
use serde_json::{Value, json};

use super::{created, version};
use crate::control::{
    agent::facts::{Fact, Key},
    resource::{ServiceSpec, WeirGateway, WeirGatewayStatus},
};

/// What is kept of a gateway.
#[derive(Clone, Debug, PartialEq)]
pub struct GatewayFacts {
    /// Namespace and name.
    pub key: GatewayKey,
    /// What tells it from another of its name.
    pub uid: String,
    /// When it was made, seconds since 1970.
    pub created: u64,
    /// Counts changes of its spec.
    pub generation: i64,
    /// Counts changes of all of it.
    pub version: u64,
    /// What its spec means.
    pub spec: Spec,
    /// The name of its Service.
    pub service_name: String,
    /// How its Service is to be.
    pub service: ServiceSpec,
    /// Its status.
    pub status: WeirGatewayStatus,
}

impl Fact for GatewayFacts {
    fn key(&self) -> Key {
        (self.key.namespace.clone(), self.key.name.clone())
    }
}

/// What a spec means.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// The document that was read: JSON, one field a line.
    text: String,
    /// The gateway that it declares; `None` where it has an error.
    pub gateway: Option<Gateway>,
    /// What is wrong, each with the path of the field that it is about.
    pub findings: Vec<(String, Finding)>,
}

impl Spec {
    /// Reads the spec of a gateway.
    ///
    /// # Panics
    /// Never: a value of JSON can be written.
    pub fn read(key: &GatewayKey, spec: &Value) -> Self {
        let document = json!({
            "apiVersion": "weir.dev/v1",
            "kind": "WeirGateway",
            "metadata": { "name": key.name, "namespace": key.namespace },
            "spec": spec,
        });
        // One field a line, so that a line says which field.
        let text = serde_json::to_string_pretty(&document).expect("a value of JSON can be written");
        let mut parsed = gateway::parse("spec", &text, &key.namespace);
        let findings = parsed.findings.into_iter().map(|finding| (field(&text, &finding), finding));
        Self { findings: findings.collect(), gateway: parsed.gateways.pop(), text }
    }

    /// The spec as it is written.
    ///
    /// # Panics
    /// Never: it was written as JSON.
    pub fn value(&self) -> Value {
        let mut document: Value = serde_json::from_str(&self.text).expect("it was written as JSON");
        document["spec"].take()
    }

    /// The path of the field that a finding about this gateway is about.
    pub fn field_of(&self, finding: &Finding) -> String {
        field(&self.text, finding)
    }
}

/// Reads a gateway.
///
/// # Panics
/// Never: a spec that was read can be written.
pub fn gateway(object: &WeirGateway) -> GatewayFacts {
    let key = GatewayKey::new(object.namespace().unwrap_or_default(), object.name_any());
    let spec = serde_json::to_value(&object.spec).expect("a spec can be written as JSON");
    let named = Gateway::new(key.clone(), Place { file: String::new(), line: 1, column: 1, length: 1 });
    GatewayFacts {
        uid: object.uid().unwrap_or_default(),
        created: created(&object.metadata),
        generation: object.metadata.generation.unwrap_or(0),
        version: version(&object.metadata),
        spec: Spec::read(&key, &spec),
        service_name: named.service_name(),
        service: object.spec.service.clone().unwrap_or_default(),
        status: object.status.clone().unwrap_or_default(),
        key,
    }
}

/// The path of the field that a finding is about, by its line in JSON that is written with two blanks a level:
/// `spec.routes[(2.0.1)].weight`.
fn field(text: &str, finding: &Finding) -> String {
    let line = finding.place.as_ref().map_or(1, |place| place.line);
    let mut path: Vec<&str> = Vec::new();
    for line in text.lines().take(line as usize) {
        let content = line.trim_start();
        let depth = (line.len() - content.len()) / 2;
        path.truncate(depth.saturating_sub(1));
        let name = content.strip_prefix('"').and_then(|rest| rest.split_once("\":")).map(|(name, _)| name);
        path.resize(depth.saturating_sub(1), "");
        if depth > 0 {
            path.push(name.unwrap_or(""));
        }
    }
    let mut shown = String::new();
    for name in path.into_iter().filter(|name| !name.is_empty()) {
        if name.chars().all(|c| c.is_ascii_alphanumeric()) {
            if !shown.is_empty() {
                shown.push('.');
            }
            shown.push_str(name);
        } else {
            for part in ["[", name, "]"] {
                shown.push_str(part);
            }
        }
    }
    if shown.is_empty() { "spec".to_owned() } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(spec: &serde_json::Value) -> GatewayFacts {
        let object = json!({
            "apiVersion": "weir.dev/v1", "kind": "WeirGateway",
            "metadata": { "name": "foo", "namespace": "shop", "resourceVersion": "17", "generation": 3,
                          "creationTimestamp": "2026-01-01T00:00:00Z" },
            "spec": spec,
        });
        gateway(&serde_json::from_value(object).unwrap())
    }

    #[test]
    fn the_artifact_of_the_product_page_is_read() {
        let facts = facts(&json!({
            "virtualHosts": ["foo.bar.com"], "selector": "label(app)(foo) && label(version)((.*))",
            "service": { "type": "ClusterIP" },
        }));
        assert_eq!(facts.spec.findings, []);
        assert!(facts.spec.gateway.unwrap().is_resource);
        assert_eq!((facts.version, facts.generation, facts.created), (17, 3, 1_767_225_600));
        assert_eq!(facts.service.type_.as_deref(), Some("ClusterIP"));
    }

    #[test]
    fn a_mistake_says_which_field_and_where_in_it() {
        let facts = facts(&json!({
            "selector": "label(app)(foo)",
            "routes": { "(1.0)": { "weight": "95%" }, "(2.0)": { "condition": "Has Headr X-Id" } },
        }));
        assert_eq!(facts.spec.gateway, None);
        let errors = facts.spec.findings.iter().filter(|(_, finding)| finding.is_error());
        let [(field, finding)] = &errors.collect::<Vec<_>>()[..] else { panic!("{:?}", facts.spec.findings) };
        assert_eq!(field, "spec.routes[(2.0)].condition");
        assert!(finding.message.contains("column 5"), "{}", finding.message);
    }
}
