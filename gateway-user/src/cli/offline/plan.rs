//! `weir plan`: what would be in force, and what would change.

use std::{fmt::Write as _, path::PathBuf, process::ExitCode};

use gateway_model::{
    compare::{Change, Comparison, Moment, Unit, compare},
    plan::{self, Plan, diff},
    resolve::{self, Layer, Resolved},
    snapshot::Snapshot,
    weight::Weight,
};
use serde::Serialize;

use super::files::{self, FindingView, Loaded};
use crate::cli::{
    args::{FileArgs, Output},
    table::plain,
};

#[derive(Serialize)]
struct Answer<'a> {
    gateways: &'a [Comparison],
    changes: Vec<String>,
    findings: Vec<FindingView<'a>>,
}

/// Plans, from nothing or from what is in force before; exits with 1 where something is wrong with the new files.
pub(super) fn run(
    files: &FileArgs,
    against: &[PathBuf],
    against_workloads: &[PathBuf],
    format: Output,
) -> anyhow::Result<ExitCode> {
    let namespace = files.namespace();
    let (mut loaded, settings) = files::load(files)?;
    let (mut before, mut in_force) = ((Resolved::default(), Plan::default()), Vec::new());
    if !against.is_empty() {
        let workloads = if against_workloads.is_empty() { &files.workloads } else { against_workloads };
        let mut old = Loaded::read(against, workloads, namespace);
        if old.settle() {
            old.complain()?;
            anyhow::bail!("--against: what is in force before must be without errors");
        }
        before = work_out(&old, Snapshot { settings, ..Snapshot::default() }, None);
        in_force = old.gateways;
    }
    let remembered = Snapshot { kept: before.0.kept.clone(), in_force, settings, ..Snapshot::default() };
    let after = work_out(&loaded, remembered, Some(&before.1));
    loaded.extend(after.0.findings.iter().cloned());
    let has_errors = loaded.settle();
    let moment = |(resolved, plan)| Moment { resolved, plan };
    let gateways = compare(moment((&before.0, &before.1)), moment((&after.0, &after.1)));
    let changes = diff::diff(&before.1.l4, &after.1.l4).iter().map(ToString::to_string).collect();
    let answer = Answer { gateways: &gateways, changes, findings: files::views(&loaded.findings) };
    files::answer(&loaded, format, &answer, || describe(&answer))?;
    Ok(if has_errors { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn work_out(loaded: &Loaded, remembered: Snapshot, previous: Option<&Plan>) -> (Resolved, Plan) {
    let snapshot =
        Snapshot { gateways: loaded.gateways.clone(), workloads: loaded.workloads.clone(), ..remembered };
    let resolved = resolve::resolve(&snapshot);
    let plan = plan::plan(&resolved, previous);
    (resolved, plan)
}

fn describe(answer: &Answer<'_>) -> String {
    let mut out = String::new();
    if answer.gateways.is_empty() {
        out.push_str("No gateways.\n");
    }
    for gateway in answer.gateways {
        describe_gateway(&mut out, gateway);
    }
    if answer.gateways.iter().all(|gateway| gateway.change == Change::Unchanged) {
        out.push_str("Nothing changes.\n");
    }
    out
}

fn describe_gateway(out: &mut String, gateway: &Comparison) {
    let change = match gateway.change {
        Change::Added => "new",
        Change::Removed => "gone",
        Change::Changed => "changed",
        Change::Unchanged => "unchanged",
    };
    let layer = match gateway.layer {
        Layer::Kernel => "chosen by the kernel, once per connection",
        Layer::Request => "chosen by the proxy, for each request",
    };
    let mut write = |text: String| out.push_str(&text);
    write(format!(
        "Gateway {}/{}: {change}; port {}, {layer}\n\n",
        gateway.namespace, gateway.gateway, gateway.port
    ));
    let rows = gateway.routes.iter().map(|route| {
        let slots = route.slots.zip(route.ring).map(|(slots, ring)| format!("{slots} of {ring}"));
        [
            route.name.to_string(),
            transition(route.weight_before, route.weight),
            transition(route.in_force_before, route.in_force),
            slots.unwrap_or_else(|| "-".to_owned()),
            route.ready.to_string(),
        ]
    });
    write(plain(["ROUTE", "WEIGHT", "IN FORCE", "SLOTS", "READY"], rows));
    for route in gateway.routes.iter().filter(|route| route.condition_before != route.condition) {
        let or_none = |condition: &Option<String>| condition.clone().unwrap_or_else(|| "none".to_owned());
        let (before, now) = (or_none(&route.condition_before), or_none(&route.condition));
        write(format!("\nCondition of {}: {before} -> {now}\n", route.name));
    }
    let unit = match gateway.unit {
        Unit::Connections => "new connections",
        Unit::Users => "users",
        Unit::Requests => "requests",
    };
    let all: f64 = gateway.moves.iter().map(|one| one.percent).sum();
    if !gateway.moves.is_empty() {
        write(format!("\n{all:.2}% of the {unit} go elsewhere:\n"));
    }
    for one in &gateway.moves {
        let name = |route: &Option<gateway_model::key::RouteName>| {
            route.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string)
        };
        write(format!("  {:>6.2}%  {} -> {}\n", one.percent, name(&one.from), name(&one.to)));
    }
    writeln!(out).expect("writing to a String does not fail");
}

fn transition(before: Option<Weight>, after: Option<Weight>) -> String {
    match (before, after) {
        (None, None) => "-".to_owned(),
        (None, Some(after)) => after.to_string(),
        (Some(before), None) => format!("{before} -> gone"),
        (Some(before), Some(after)) if before == after => after.to_string(),
        (Some(before), Some(after)) => format!("{before} -> {after}"),
    }
}
