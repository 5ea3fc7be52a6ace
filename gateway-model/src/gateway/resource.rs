//! Gateways as resources of Kubernetes: `apiVersion: weir.dev/v1`, `kind: WeirGateway`, the fields of an artifact
//! in camelCase under `spec`.

use super::{Gateway, read};
use crate::{
    document::{Fields, Node, Spelling, Value},
    finding::Finding,
};

/// Group and version.
pub const API_VERSION: &str = "weir.dev/v1";
/// Kind.
pub const KIND: &str = "WeirGateway";

/// Whether it is a resource of some kind: it names its API version.
pub(super) fn is_resource(node: &Node) -> bool {
    matches!(&node.value, Value::Map(entries) if entries.iter().any(|(key, _)| key.text == "apiVersion"))
}

/// Reads one. What Kubernetes itself knows of (the rest of `metadata`, and `status`) is not looked at.
pub(super) fn read(node: &Node, namespace: &str, findings: &mut Vec<Finding>) -> Option<Gateway> {
    let mut fields = Fields::of(node, "resource", findings)?;
    let is_ours = [("apiVersion", API_VERSION), ("kind", KIND)].map(|(field, expected)| {
        let found = fields.take(field);
        let is_it =
            found.is_some_and(|found| matches!(&found.value, Value::Scalar(text, _) if text == expected));
        if !is_it {
            let message = format!("a resource whose `{field}` is not known here: expected `{expected}`");
            let advice = format!("write `{field}: {expected}`, or move this document to another file");
            let place = found.map_or(fields.place, |found| &found.place);
            findings.push(Finding::error("unknown-kind", message, advice).at(place));
        }
        is_it
    });
    if is_ours != [true, true] {
        return None;
    }
    let (metadata, spec) = (fields.take("metadata"), fields.take("spec"));
    fields.take("status");
    fields.finish(findings);
    let missing = |field: &str| {
        let message = format!("a {KIND} without `{field}`");
        Finding::error("missing-field", message, format!("add `{field}: …`")).at(&node.place)
    };
    let (mut name, mut own) = (None, None);
    if let Some(metadata) = metadata {
        let mut fields = Fields::of(metadata, "metadata", findings)?;
        own = fields.take("namespace").and_then(|node| node.text("a namespace", findings));
        name = read::read_name(&mut fields, findings);
    } else {
        findings.push(missing("metadata"));
    }
    let Some(spec) = spec else {
        findings.push(missing("spec"));
        return None;
    };
    let mut fields = Fields::of(spec, "gateway", findings)?;
    // How its Service is to be: Kubernetes validates it, and the controller reads it.
    fields.take("service");
    let namespace = own.unwrap_or(namespace);
    read::read_fields(fields, Spelling::Camel, namespace, name, &node.place, findings)
}
