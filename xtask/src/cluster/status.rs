//! `cargo xtask cluster status`.

use std::{collections::HashMap, fs, path::Path};

use anyhow::Result;
use serde_json::{Value, json};

use super::{cgroup, control, node, plan::Plan};
use crate::exec::{read, say};

/// How it is shown.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub enum Output {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// Shows the cluster `name`.
///
/// # Errors
/// Where there is none, or not all of it runs: after showing it.
pub fn show(name: &str, output: Output) -> Result<()> {
    let (plan, mut description) = super::existing(name)?;
    let components = components(&plan)?;
    let ready = nodes_ready(&plan);
    match output {
        Output::Json => {
            let listed = components.iter().map(|(name, pid)| json!({ "name": name, "pid": pid }));
            description["components"] = listed.collect();
            if let Some(nodes) = description["nodes"].as_array_mut() {
                for node in nodes {
                    let state = node["name"].as_str().and_then(|name| ready.get(name));
                    node["ready"] = json!(state.copied().unwrap_or(false));
                }
            }
            say(&format!("{description:#}\n"))?;
        }
        Output::Text => say(&text(&plan, &description, &components, &ready))?,
    }
    let down: Vec<_> =
        components.iter().filter(|(_, pid)| pid.is_none()).map(|(name, _)| name.as_str()).collect();
    anyhow::ensure!(down.is_empty(), "not running: {}", down.join(", "));
    Ok(())
}

/// Whether every program of the cluster runs.
pub fn all_runs(plan: &Plan) -> bool {
    components(plan).is_ok_and(|components| components.iter().all(|(_, pid)| pid.is_some()))
}

fn text(
    plan: &Plan,
    description: &Value,
    components: &[(String, Option<u32>)],
    ready: &HashMap<String, bool>,
) -> String {
    let mut rows = vec![["COMPONENT", "PROCESS"].map(str::to_owned).to_vec()];
    for (name, pid) in components {
        rows.push(vec![name.clone(), pid.map_or_else(|| "down".to_owned(), |pid| pid.to_string())]);
    }
    let mut nodes =
        vec![["NODE", "STATE", "ADDRESSES", "", "PODS", "", "NAMESPACE"].map(str::to_owned).to_vec()];
    for node in plan.nodes() {
        let state = match ready.get(&node.to_string()) {
            Some(true) => "Ready",
            Some(false) => "NotReady",
            None => "unknown",
        };
        let (v4, v6) = (plan.v4(node.host()).to_string(), plan.v6(node.host()).to_string());
        let (name, namespace) = (node.to_string(), plan.namespace(node));
        nodes.push(vec![name, state.to_owned(), v4, v6, node.pods4(), node.pods6(), namespace]);
    }
    let pair = |key: &str| vec![key.to_owned(), description[key].as_str().unwrap_or_default().to_owned()];
    let places = ["apiserver", "kubeconfig", "client_namespace", "logs"].map(pair);
    [table(&rows), table(&nodes), table(&places)].join("\n")
}

/// Columns as wide as they must be.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widest = |column| rows.iter().filter_map(|row| row.get(column)).map(String::len).max();
    let widths: Vec<_> = (0..columns).map(|column| widest(column).unwrap_or_default()).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// Every program with its process.
fn components(plan: &Plan) -> Result<Vec<(String, Option<u32>)>> {
    let control = cgroup::of_cluster(plan)?.join("control");
    let mut components: Vec<_> = control::PROGRAMS
        .iter()
        .map(|name| ((*name).to_owned(), process(name, &control.join(name))))
        .collect();
    for node in plan.nodes() {
        for name in node::PROGRAMS {
            components
                .push((format!("{node}/{name}"), process(name, &node::program_cgroup(plan, node, name)?)));
        }
    }
    Ok(components)
}

/// The process of a program in its group, where others may be that it started.
fn process(program: &str, group: &Path) -> Option<u32> {
    let called = match program {
        "holder" => "sleep",
        "etcd" | "containerd" => program,
        _ => "kube",
    };
    let is_called = |pid: &u32| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim_end() == called)
    };
    cgroup::processes(group).into_iter().find(is_called)
}

/// Nodes by name, and whether they are ready; empty where the API does not answer.
fn nodes_ready(plan: &Plan) -> HashMap<String, bool> {
    let path = "jsonpath={range .items[*]}{.metadata.name}={.status.conditions[?(@.type==\"Ready\")].status}{\"\\n\"}{end}";
    let said = super::kubectl(plan).and_then(|mut kubectl| {
        read(kubectl.args(["get", "nodes", "--request-timeout=5s", "--output", path]))
    });
    let pairs = said.unwrap_or_default();
    pairs
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, state)| (name.to_owned(), state == "True"))
        .collect()
}
