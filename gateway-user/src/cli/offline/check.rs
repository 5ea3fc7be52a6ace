//! `weir check`: everything that is wrong with artifacts.

use std::{path::PathBuf, process::ExitCode};

use gateway_model::{
    finding::{Finding, Severity},
    gateway::GatewayArtifact,
    resolve,
    snapshot::{Settings, Snapshot},
};
use serde::Serialize;

use super::files::{self, FindingView, Loaded};
use crate::cli::args::Output;

#[derive(Serialize)]
struct Answer<'a> {
    gateways: Vec<GatewayView<'a>>,
    findings: Vec<FindingView<'a>>,
}

#[derive(Serialize)]
struct GatewayView<'a> {
    namespace: &'a str,
    #[serde(flatten)]
    artifact: GatewayArtifact,
}

/// Checks files, each by itself and all together.
pub(super) fn run(
    artifacts: &[PathBuf],
    workloads: &[PathBuf],
    namespace: &str,
    deny_warnings: bool,
    format: Output,
) -> anyhow::Result<ExitCode> {
    let mut loaded = Loaded::read(artifacts, workloads, namespace);
    let snapshot = Snapshot {
        gateways: loaded.gateways.clone(),
        workloads: loaded.workloads.clone(),
        settings: Settings::default(),
        ..Snapshot::default()
    };
    let together = resolve::resolve(&snapshot).findings;
    let together: Vec<Finding> = together.into_iter().filter_map(|one| on_a_node(&loaded, one)).collect();
    loaded.extend(together);
    let has_errors = loaded.settle();
    let gateways = loaded
        .gateways
        .iter()
        .map(|gateway| GatewayView { namespace: &gateway.key.namespace, artifact: gateway.into() });
    let answer = Answer { gateways: gateways.collect(), findings: files::views(&loaded.findings) };
    files::answer(&loaded, format, &answer, || describe(&loaded))?;
    let is_wrong = has_errors || (deny_warnings && !loaded.findings.is_empty());
    Ok(if is_wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A finding about ports that only concerns gateways which share a node. In Kubernetes each has a Service of its
/// own: for a resource it says nothing, for an artifact, which may go either way, it is a warning.
fn on_a_node(loaded: &Loaded, mut finding: Finding) -> Option<Finding> {
    if !matches!(finding.code, "port-conflict" | "port-shared") {
        return Some(finding);
    }
    let gateway = loaded.gateways.iter().find(|gateway| Some(&gateway.key) == finding.gateway.as_ref())?;
    finding.severity = Severity::Warning;
    finding.message.push_str(" (on one node; in Kubernetes each gateway has a Service of its own)");
    (!gateway.is_resource).then_some(finding)
}

fn describe(loaded: &Loaded) -> String {
    let count = loaded.gateways.len();
    let gateways = if count == 1 { "1 gateway".to_owned() } else { format!("{count} gateways") };
    if loaded.findings.is_empty() {
        format!("{gateways}, nothing wrong\n")
    } else {
        format!("{gateways} can be read\n")
    }
}
