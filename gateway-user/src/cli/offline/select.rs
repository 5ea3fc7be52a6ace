//! `weir select`: what a selector finds, and why others are not found.

use std::{path::PathBuf, process::ExitCode};

use gateway_model::{
    document::Written,
    finding::{Finding, Place},
    gateway::{Gateway, PortSpec, PortType, lint_selector},
    key::{GatewayKey, RouteName},
    resolve,
    selector::Selector,
    snapshot::Snapshot,
};
use serde::Serialize;

use super::files::{self, FindingView, Loaded};
use crate::cli::{
    args::{ClusterArgs, DEFAULT_NAMESPACE, Output},
    block_on,
    cluster::Cluster,
    table::plain,
};

/// What findings call the expression of the command line.
const EXPRESSION: &str = "EXPR";

#[derive(Serialize)]
struct Answer<'a> {
    routes: Vec<RouteView>,
    near_misses: Vec<NearMissView>,
    findings: Vec<FindingView<'a>>,
}

#[derive(Serialize)]
struct RouteView {
    name: RouteName,
    /// Ready ones.
    endpoints: Vec<String>,
    #[serde(skip)]
    not_ready: usize,
}

#[derive(Serialize)]
struct NearMissView {
    workload: String,
    reasons: Vec<String>,
}

/// Shows what a selector finds; exits with 1 where it does not parse or an endpoint cannot be told.
pub(super) fn run(
    expression: &str,
    workloads: &[PathBuf],
    kind: PortType,
    (namespace, cluster): (Option<&str>, &ClusterArgs),
    format: Output,
) -> anyhow::Result<ExitCode> {
    let (mut loaded, namespace) = load(workloads, namespace, cluster)?;
    let namespace = namespace.as_str();
    loaded.sources.insert(EXPRESSION.to_owned(), expression.into());
    let place = Place {
        file: EXPRESSION.to_owned(),
        line: 1,
        column: 1,
        length: u32::try_from(expression.chars().count()).unwrap_or(u32::MAX).max(1),
    };
    let (mut routes, mut near_misses) = (Vec::new(), Vec::new());
    match Selector::parse(expression) {
        Ok(selector) => {
            near_misses = find_near_misses(&selector, namespace, &loaded);
            loaded.findings.extend(lint_selector(&selector, &Written::in_one_line(place.clone())));
            routes = find(selector, place, kind, namespace, &mut loaded);
        }
        Err(error) => {
            let written = Written::in_one_line(place);
            loaded.findings.push(Finding::syntax("invalid-selector", "selector", &written, &error));
        }
    }
    let has_errors = loaded.settle();
    let answer = Answer { routes, near_misses, findings: files::views(&loaded.findings) };
    files::answer(&loaded, format, &answer, || describe(&answer))?;
    Ok(if has_errors { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The workloads of files, or the pods of the cluster; and the namespace that is meant.
fn load(
    workloads: &[PathBuf],
    namespace: Option<&str>,
    cluster: &ClusterArgs,
) -> anyhow::Result<(Loaded, String)> {
    if !workloads.is_empty() {
        let namespace = namespace.unwrap_or(DEFAULT_NAMESPACE);
        return Ok((Loaded::read(&[], workloads, namespace), namespace.to_owned()));
    }
    block_on(async {
        let cluster = Cluster::need(cluster).await?;
        let namespace = namespace.unwrap_or(&cluster.namespace).to_owned();
        let workloads = cluster.pods(&namespace).await?;
        Ok((Loaded { workloads, knows_workloads: true, ..Loaded::default() }, namespace))
    })
}

/// Workloads that were most likely meant, and what keeps them out.
fn find_near_misses(selector: &Selector, namespace: &str, loaded: &Loaded) -> Vec<NearMissView> {
    let own = loaded.workloads.iter().filter(|workload| workload.namespace == namespace);
    let misses = own.filter_map(|workload| {
        let explanation = selector.explain_workload(workload);
        let reasons = explanation.reasons().map(str::to_owned).collect();
        explanation.is_near_miss.then(|| NearMissView { workload: workload.name.clone(), reasons })
    });
    misses.collect()
}

/// The routes that a gateway of this selector alone would have.
fn find(
    selector: Selector,
    place: Place,
    kind: PortType,
    namespace: &str,
    loaded: &mut Loaded,
) -> Vec<RouteView> {
    let gateway = Gateway {
        selector: Some(selector),
        port: Some(PortSpec { number: 1, kind }),
        ..Gateway::new(GatewayKey::new(namespace, EXPRESSION), place)
    };
    let snapshot =
        Snapshot { gateways: vec![gateway], workloads: loaded.workloads.clone(), ..Snapshot::default() };
    let resolved = resolve::resolve(&snapshot);
    loaded.findings.extend(resolved.findings.into_iter().map(|finding| Finding { gateway: None, ..finding }));
    let routes = resolved.gateways.into_iter().flat_map(|gateway| gateway.routes.clone());
    let mut routes: Vec<RouteView> = routes
        .map(|route| {
            let (ready, not_ready): (Vec<_>, Vec<_>) =
                route.endpoints.into_iter().partition(|endpoint| endpoint.ready);
            RouteView {
                name: route.name,
                endpoints: ready.into_iter().map(|endpoint| endpoint.address.to_string()).collect(),
                not_ready: not_ready.len(),
            }
        })
        .collect();
    routes.sort_by(|a, b| a.name.display_order(&b.name));
    routes
}

fn describe(answer: &Answer<'_>) -> String {
    let mut out = if answer.routes.is_empty() {
        "No routes.\n".to_owned()
    } else {
        let rows = answer.routes.iter().map(|route| {
            let ready = if route.endpoints.is_empty() { "-".to_owned() } else { route.endpoints.join(", ") };
            [route.name.to_string(), ready, route.not_ready.to_string()]
        });
        plain(["ROUTE", "ENDPOINTS", "NOT READY"], rows)
    };
    if !answer.near_misses.is_empty() {
        let rows = answer.near_misses.iter().map(|miss| [miss.workload.clone(), miss.reasons.join("; ")]);
        out.push_str("\nNearly found:\n\n");
        out.push_str(&plain(["WORKLOAD", "WHY NOT"], rows));
    }
    out
}
