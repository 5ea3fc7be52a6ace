//! `weir check`: everything that is wrong with artifacts.

use std::{path::PathBuf, process::ExitCode};

use gateway_model::{
    finding::Finding,
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
    let mut together = resolve::resolve(&snapshot).findings;
    if workloads.is_empty() {
        together.retain(|finding| !resolve::ABOUT_SURROUNDINGS.contains(&finding.code));
    }
    loaded.findings.extend(together);
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

fn describe(loaded: &Loaded) -> String {
    let count = loaded.gateways.len();
    let gateways = if count == 1 { "1 gateway".to_owned() } else { format!("{count} gateways") };
    match loaded.findings.iter().filter(|finding| Finding::is_error(finding)).count() {
        0 => format!("{gateways}, nothing wrong\n"),
        _ => format!("{gateways} can be read\n"),
    }
}
