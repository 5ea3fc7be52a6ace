//! Reading gateways from artifacts.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use serde_json::Map;

use super::{Gateway, Level, VirtualHost, read_route, resource};
use crate::{
    document::{self, Fields, Node, Places, Spelling, Value, wrong},
    finding::{self, Finding, Place},
    key::GatewayKey,
    selector::Selector,
    sticky::{By, Keep, Sticky},
};

/// What a text declares.
#[derive(Clone, Debug, Default)]
pub struct Parsed {
    /// Gateways without errors, in the order written.
    pub gateways: Vec<Gateway>,
    /// What is wrong with the others, and warnings, in the order of their places.
    pub findings: Vec<Finding>,
}

impl Parsed {
    /// Whether something is wrong.
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(Finding::is_error)
    }
}

/// Reads all gateways of a YAML or JSON text: one per document, or a list of them. `file` is its name in
/// findings. A gateway with errors is left out, the others are not touched by it.
pub fn parse(file: &str, text: &str, namespace: &str) -> Parsed {
    let (documents, mut findings) = document::parse(file, text);
    let mut gateways: Vec<Gateway> = Vec::new();
    let mut known = BTreeMap::new();
    for node in documents.iter().flat_map(Node::items) {
        let mut own = Vec::new();
        let gateway = read(node, namespace, &mut own);
        if let Some(gateway) = gateway
            && !own.iter().any(Finding::is_error)
        {
            match known.entry(gateway.key.clone()) {
                Entry::Occupied(first) => own.push(repeated(&gateway, &gateways[*first.get()])),
                Entry::Vacant(new) => {
                    new.insert(gateways.len());
                    gateways.push(gateway);
                }
            }
        }
        findings.append(&mut own);
    }
    finding::sort(&mut findings);
    Parsed { gateways, findings }
}

/// The finding for a gateway that is declared a second time.
pub fn repeated(gateway: &Gateway, first: &Gateway) -> Finding {
    Finding::error(
        "repeated-gateway",
        format!("`{}` is declared already, at {}", gateway.key.name, first.place),
        "rename or remove one of them",
    )
    .at(&gateway.place)
    .of(&gateway.key)
}

/// An artifact, or a resource of Kubernetes.
fn read(node: &Node, namespace: &str, findings: &mut Vec<Finding>) -> Option<Gateway> {
    if resource::is_resource(node) {
        return resource::read(node, namespace, findings);
    }
    let mut fields = Fields::of(node, "gateway", findings)?;
    if !is_gateway(&mut fields, findings) {
        return None;
    }
    let name = read_name(&mut fields, findings);
    read_fields(fields, Spelling::Snake, namespace, name, &node.place, findings)
}

/// What all forms of a gateway have: the fields beside its name and kind. Without a name there is no gateway, but
/// its other mistakes are told all the same.
pub(super) fn read_fields(
    fields: Fields<'_>,
    spelling: Spelling,
    namespace: &str,
    name: Option<String>,
    place: &Place,
    findings: &mut Vec<Finding>,
) -> Option<Gateway> {
    let mut fields = fields.spelled(spelling);
    let key = GatewayKey::new(namespace, name.clone().unwrap_or_default());
    let mut gateway = Gateway {
        place: place.clone(),
        port: fields
            .take("port")
            .and_then(|node| parsed(node, "invalid-port", "a port, like 80 or 40001/tcp", findings)),
        host_port: fields.take("host_port").and_then(|node| node.boolean(findings)).unwrap_or(false),
        virtual_hosts: fields.take("virtual_hosts").map_or_else(Vec::new, |node| read_hosts(node, findings)),
        selector: fields.take("selector").map(|node| read_selector(node, findings)),
        routes: fields
            .take("routes")
            .map_or_else(Vec::new, |node| read_route::read_routes(node, spelling, findings)),
        sticky: fields.take("sticky").and_then(|node| read_sticky(node, findings)),
        preserve_client_ip: fields
            .take("preserve_client_ip")
            .and_then(|node| node.boolean(findings))
            .unwrap_or(false),
        tls: fields.take("tls").map_or_else(Vec::new, |node| read_secrets(node, findings)),
        level: fields.take("level").and_then(|node| read_level(node, findings)).unwrap_or_default(),
        metadata: fields.take("metadata").map_or_else(Map::new, |node| read_metadata(node, findings)),
        is_resource: spelling == Spelling::Camel,
        places: Places::default(),
        key,
    };
    gateway.places = fields.finish(findings);
    super::check::check(&gateway, findings);
    if name.is_some() {
        for finding in findings.iter_mut() {
            finding.gateway.get_or_insert_with(|| gateway.key.clone());
        }
    }
    name.map(|_| gateway)
}

/// The field `name`.
pub(super) fn read_name(fields: &mut Fields<'_>, findings: &mut Vec<Finding>) -> Option<String> {
    let Some(node) = fields.take("name") else {
        findings.push(
            Finding::error("missing-field", "a gateway without a `name`", "add `name: …`").at(fields.place),
        );
        return None;
    };
    let name = node.text("a name", findings)?;
    let wrong = name.is_empty() || name.contains(|c: char| c.is_whitespace() || matches!(c, '[' | ']'));
    if wrong {
        findings.push(
            Finding::error(
                "invalid-name",
                format!("`{name}` cannot be the name of a gateway: expected a text without white space, `[` and `]`"),
                "rename it",
            )
            .at(&node.place),
        );
        return None;
    }
    Some(name.to_owned())
}

/// Whether it is a gateway; what is none would only yield unknown fields.
fn is_gateway(fields: &mut Fields<'_>, findings: &mut Vec<Finding>) -> bool {
    let Some(node) = fields.take("kind") else { return true };
    let Some(kind) = node.text("`gateways`", findings) else { return false };
    if matches!(kind, "gateways" | "gateway") {
        return true;
    }
    findings.push(
        Finding::error(
            "unknown-kind",
            format!("`{kind}` is not a kind of artifact that is known here: expected `gateways`"),
            "write `kind: gateways`, or move this document to another file",
        )
        .at(&node.place),
    );
    false
}

/// A scalar that parses by `FromStr`.
pub(super) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    node: &Node,
    code: &'static str,
    expected: &str,
    findings: &mut Vec<Finding>,
) -> Option<T> {
    match node.text(expected, findings)?.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            findings
                .push(Finding::error(code, error.to_string(), format!("write {expected}")).at(&node.place));
            None
        }
    }
}

fn read_hosts(node: &Node, findings: &mut Vec<Finding>) -> Vec<(VirtualHost, crate::finding::Place)> {
    let mut hosts = Vec::new();
    let mut known = BTreeSet::new();
    for item in node.items() {
        let expected = "a host, like foo.bar.com or *.bar.com";
        let Some(host) = parsed::<VirtualHost>(item, "invalid-host", expected, findings) else { continue };
        if !known.insert(host.clone()) {
            findings.push(
                Finding::warning("repeated-host", format!("`{host}` is listed twice"), "remove one of them")
                    .at(&item.place),
            );
            continue;
        }
        hosts.push((host, item.place.clone()));
    }
    hosts
}

/// A selector; a mistake in it is placed at its very column where the text is written in one line. A wrong one
/// is still one: what depends on there being a selector is not wrong as well.
pub(super) fn read_selector(node: &Node, findings: &mut Vec<Finding>) -> Selector {
    let text = node.text("a selector, like label(app)(foo)", findings);
    let parsed = text.map(Selector::parse).transpose().unwrap_or_else(|error| {
        findings.push(Finding::syntax("invalid-selector", "selector", &node.written, &error));
        None
    });
    parsed.unwrap_or_else(Selector::nothing)
}

/// `route` or `instance`, by cookie; or a map that says by what; or `none`.
fn read_sticky(node: &Node, findings: &mut Vec<Finding>) -> Option<Sticky> {
    if let Value::Scalar(text, _) = &node.value {
        if text == "none" {
            return None;
        }
        return read_keep(node, findings).map(|keep| Sticky { keep, by: By::default() });
    }
    let mut fields = Fields::of(node, "sticky", findings)?;
    let keep = fields.take("keep").and_then(|node| read_keep(node, findings));
    let by = fields.take("by").map(|node| (node, read_by(node, findings)));
    let mut named = |field: &'static str, of: fn(String) -> By, findings: &mut Vec<Finding>| {
        let node = fields.take(field)?;
        let name = node.text(&format!("the name of a {field}"), findings).map(str::to_owned);
        Some((node, name.filter(|name| !name.is_empty()).map(of)))
    };
    let header = named("header", |name| By::Header(name.to_ascii_lowercase()), findings);
    let claim = named("claim", By::Claim, findings);
    if fields.finish(findings).of("keep").is_none() {
        let message = "`sticky` says by what a user is known, and not what he keeps";
        let advice = "add `keep: route` or `keep: instance`";
        findings.push(Finding::error("missing-field", message, advice).at(&node.place));
    }
    let mut given = [by, header, claim].into_iter().flatten();
    let first = given.next();
    if let Some((second, _)) = given.next() {
        let message = "a user is known by one thing: `by`, `header` or `claim`";
        findings.push(Finding::error("sticky-by-two", message, "remove all but one").at(&second.place));
    }
    let by = first.map_or(Some(By::default()), |(_, by)| by);
    Some(Sticky { keep: keep?, by: by? })
}

fn read_keep(node: &Node, findings: &mut Vec<Finding>) -> Option<Keep> {
    choice(node, "`route` or `instance`", &[("route", Keep::Route), ("instance", Keep::Instance)], findings)
}

fn read_by(node: &Node, findings: &mut Vec<Finding>) -> Option<By> {
    let expected = "`cookie` or `client`; or `header: NAME` or `claim: NAME` instead of `by`";
    choice(node, expected, &[("cookie", By::Cookie), ("client", By::Client)], findings)
}

fn read_level(node: &Node, findings: &mut Vec<Finding>) -> Option<Level> {
    let levels = [("auto", Level::Auto), ("kernel", Level::Kernel), ("request", Level::Request)];
    choice(node, "`auto`, `kernel` or `request`", &levels, findings)
}

/// One of some words.
pub(super) fn choice<T: Clone>(
    node: &Node,
    expected: &str,
    words: &[(&str, T)],
    findings: &mut Vec<Finding>,
) -> Option<T> {
    let text = node.text(expected, findings)?;
    let found = words.iter().find(|(word, _)| *word == text);
    if found.is_none() {
        findings.push(wrong(node, expected));
    }
    found.map(|(_, value)| value.clone())
}

/// Names of secrets: `name` or `namespace/name`, as Kubernetes allows them (RFC 1123 subdomains).
fn read_secrets(node: &Node, findings: &mut Vec<Finding>) -> Vec<String> {
    let expected = "the name of a secret, like foo-tls or namespace/foo-tls";
    let mut secrets: Vec<String> = Vec::new();
    for item in node.items() {
        let Some(text) = item.text(expected, findings) else { continue };
        let mut parts = text.splitn(2, '/');
        if !parts.all(is_subdomain) {
            findings.push(
                Finding::error(
                    "invalid-secret",
                    format!("`{text}` cannot be the name of a secret: expected lower case letters, digits, `-` and `.`"),
                    format!("write {expected}"),
                )
                .at(&item.place),
            );
        } else if secrets.iter().any(|other| other == text) {
            findings.push(
                Finding::warning(
                    "repeated-secret",
                    format!("`{text}` is listed twice"),
                    "remove one of them",
                )
                .at(&item.place),
            );
        } else {
            secrets.push(text.to_owned());
        }
    }
    secrets
}

fn is_subdomain(name: &str) -> bool {
    let is_label = |label: &str| {
        let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(inside)
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

pub(super) fn read_metadata(node: &Node, findings: &mut Vec<Finding>) -> Map<String, serde_json::Value> {
    if let (Value::Map(_), serde_json::Value::Object(map)) = (&node.value, node.to_json()) {
        return map;
    }
    findings.push(wrong(node, "a map"));
    Map::new()
}
