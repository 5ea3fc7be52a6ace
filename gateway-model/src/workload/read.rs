//! Reading workloads from files: the standalone stand-in for a cluster.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::{Labels, Workload, WorkloadPort};
use crate::{
    document::{self, Fields, Node, Value, wrong},
    finding::{self, Finding},
};

/// What a text lists.
#[derive(Clone, Debug, Default)]
pub struct Parsed {
    /// Workloads without errors, in the order written.
    pub workloads: Vec<Workload>,
    /// What is wrong with the others, in the order of their places.
    pub findings: Vec<Finding>,
}

impl Parsed {
    /// Whether something is wrong.
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(Finding::is_error)
    }
}

/// Reads a list of workloads from a YAML or JSON text; `namespace` is for those that name none.
pub fn parse(file: &str, text: &str, namespace: &str) -> Parsed {
    let (documents, mut findings) = document::parse(file, text);
    let mut workloads: Vec<Workload> = Vec::new();
    let mut known = BTreeSet::new();
    for node in documents.iter().flat_map(Node::items) {
        let mut own = Vec::new();
        let read = read(node, namespace, &mut own);
        if let Some(workload) = read
            && own.is_empty()
        {
            if known.insert(workload.identity()) {
                workloads.push(workload);
            } else {
                own.push(
                    Finding::error(
                        "repeated-workload",
                        format!("`{}` is listed twice", workload.identity()),
                        "rename or remove one of them",
                    )
                    .at(&node.place),
                );
            }
        }
        findings.append(&mut own);
    }
    finding::sort(&mut findings);
    Parsed { workloads, findings }
}

fn read(node: &Node, namespace: &str, findings: &mut Vec<Finding>) -> Option<Workload> {
    let mut fields = Fields::of(node, "workload", findings)?;
    let mut text = |name: &'static str, findings: &mut Vec<Finding>| {
        fields.take(name).and_then(|node| node.text("a text", findings)).map(str::to_owned)
    };
    let name = text("name", findings);
    let workload = Workload {
        namespace: text("namespace", findings).unwrap_or_else(|| namespace.to_owned()),
        kind: text("kind", findings).map_or_else(|| "pod".to_owned(), |kind| kind.to_ascii_lowercase()),
        node: text("node", findings),
        labels: fields.take("labels").map_or_else(Labels::default, |node| read_labels(node, findings).into()),
        images: fields.take("images").map_or_else(Vec::new, |node| {
            let images = node.items().iter();
            images.filter_map(|item| item.text("an image", findings).map(str::to_owned)).collect()
        }),
        addresses: fields.take("addresses").map_or_else(Vec::new, |node| read_addresses(node, findings)),
        ports: fields.take("ports").map_or_else(Vec::new, |node| {
            node.items().iter().filter_map(|item| read_port(item, findings)).collect()
        }),
        ready: fields.take("ready").and_then(|node| node.boolean(findings)).unwrap_or(true),
        created: fields.take("created").and_then(|node| read_time(node, findings)),
        name: name.clone().unwrap_or_default(),
    };
    fields.finish(findings);
    if name.is_none() {
        findings.push(
            Finding::error("missing-field", "a workload without a `name`", "add `name: …`").at(&node.place),
        );
    }
    Some(workload)
}

fn read_labels(node: &Node, findings: &mut Vec<Finding>) -> BTreeMap<String, String> {
    let Value::Map(entries) = &node.value else {
        findings.push(wrong(node, "a map of labels"));
        return BTreeMap::new();
    };
    let mut labels = BTreeMap::new();
    for (key, value) in entries {
        if value.is_null() {
            labels.insert(key.text.clone(), String::new());
        } else if let Some(text) = value.text("a text", findings) {
            labels.insert(key.text.clone(), text.to_owned());
        }
    }
    labels
}

fn read_addresses(node: &Node, findings: &mut Vec<Finding>) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for item in node.items() {
        match item.text("an IP address", findings).map(str::parse::<IpAddr>) {
            Some(Ok(address)) => addresses.push(address.to_canonical()),
            Some(Err(_)) => findings.push(wrong(item, "an IP address")),
            None => {}
        }
    }
    addresses
}

/// `{name: http, port: 8080}`, or the number alone.
fn read_port(node: &Node, findings: &mut Vec<Finding>) -> Option<WorkloadPort> {
    let number = |node: &Node, findings: &mut Vec<Finding>| {
        let expected = "a port number from 1 to 65535";
        let port = node.text(expected, findings)?.parse().ok().filter(|port: &u16| *port > 0);
        if port.is_none() {
            findings.push(wrong(node, expected));
        }
        port
    };
    if let Value::Scalar(..) = node.value {
        return Some(WorkloadPort { name: String::new(), port: number(node, findings)? });
    }
    let mut fields = Fields::of(node, "port", findings)?;
    let name = fields.take("name").and_then(|node| node.text("a name", findings)).unwrap_or_default();
    let port = fields.take("port").map(|node| number(node, findings));
    if port.is_none() {
        findings.push(
            Finding::error("missing-field", "a port without a `port`", "add `port: …`").at(&node.place),
        );
    }
    fields.finish(findings);
    Some(WorkloadPort { name: name.to_owned(), port: port?? })
}

/// Seconds since 1970, or RFC 3339 in UTC: `2026-01-31T12:00:00Z`.
fn read_time(node: &Node, findings: &mut Vec<Finding>) -> Option<u64> {
    let expected = "a time: seconds since 1970, or like 2026-01-31T12:00:00Z";
    let text = node.text(expected, findings)?;
    let time = text.parse().ok().or_else(|| from_rfc3339(text));
    if time.is_none() {
        findings.push(wrong(node, expected));
    }
    time
}

/// Fractions of a second are dropped; the offset must be `Z`.
fn from_rfc3339(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix(['Z', 'z'])?.split_once(['T', 't', ' '])?;
    let numbers = |text: &str, separator: char| -> Option<[u64; 3]> {
        let parts: Vec<u64> = text
            .split(separator)
            .map(|part| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())?)
            .collect::<Option<_>>()?;
        parts.try_into().ok()
    };
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time.split('.').next()?, ':')?;
    let valid = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !valid {
        return None;
    }
    // Days since 1970 in the Gregorian calendar, with years that begin in March (Hinnant, days_from_civil).
    let shifted = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days =
        (shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + day_of_year).checked_sub(719_468)?;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}
