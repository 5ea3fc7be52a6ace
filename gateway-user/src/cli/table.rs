//! Tables and descriptions for people.

use std::fmt::Write as _;

use comfy_table::{ContentArrangement, Table, presets};

use crate::admin::views::{DumpView, FindingView, GatewayView, RouteView, StatusView};

/// A table without lines: columns two blanks apart, a header in capitals.
pub(super) fn plain<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header);
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt() + "\n"
}

/// Gateways, a line for each route.
pub(super) fn gateways(gateways: &[GatewayView]) -> String {
    if gateways.is_empty() {
        return "No gateways.\n".to_owned();
    }
    let header = [
        "NAMESPACE",
        "GATEWAY",
        "PORT",
        "HOSTS",
        "ROUTE",
        "WEIGHT",
        "FROM",
        "CONDITION",
        "STRENGTH",
        "READY",
    ];
    let rows = gateways.iter().flat_map(|gateway| {
        let head = [
            gateway.namespace.clone(),
            gateway.name.clone(),
            or_dash(gateway.port.clone()),
            or_dash(Some(gateway.virtual_hosts.join(","))),
        ];
        let mut rows: Vec<_> = gateway.routes.iter().map(|route| row(head.clone(), route)).collect();
        if rows.is_empty() {
            rows.push(joined(head, ["<none>", "-", "-", "-", "-", "-"].map(str::to_owned)));
        }
        // A gateway's own columns are said once.
        for row in rows.iter_mut().skip(1) {
            row[..4].fill(String::new());
        }
        rows
    });
    plain(header, rows)
}

fn row(head: [String; 4], route: &RouteView) -> [String; 10] {
    let ready = route.endpoints.iter().filter(|endpoint| endpoint.ready).count();
    let name = match &route.chained {
        Some(gateway) => format!("{} -> {gateway}", route.name),
        None => route.name.clone(),
    };
    let weight = if route.rolled_back {
        format!("{} (rolled back)", route.weight.value)
    } else if route.in_force == route.weight.value {
        route.weight.value.clone()
    } else {
        format!("{} (now {})", route.weight.value, route.in_force)
    };
    let condition = route.condition.as_ref();
    let strength = route.strength.as_ref().filter(|_| condition.is_some());
    joined(
        head,
        [
            name,
            weight,
            route.weight.origin.clone(),
            or_dash(condition.map(|condition| format!("{} ({})", condition.value, condition.origin))),
            or_dash(strength.map(|strength| strength.value.clone())),
            format!("{ready}/{}", route.endpoints.len()),
        ],
    )
}

fn joined(gateway: [String; 4], route: [String; 6]) -> [String; 10] {
    let mut cells = gateway.into_iter().chain(route);
    std::array::from_fn(|_| cells.next().expect("4 and 6 are 10"))
}

/// Everything about one gateway.
pub(super) fn description(gateway: &GatewayView) -> String {
    let port = match (&gateway.port, &gateway.port_origin) {
        (Some(port), Some(origin)) => format!("{port}  (from {origin})"),
        (Some(port), None) => port.clone(),
        (None, _) => "-".to_owned(),
    };
    let mut out = pairs(&[
        ("Name", gateway.name.clone()),
        ("Namespace", gateway.namespace.clone()),
        ("Port", port),
        ("Virtual hosts", or_dash(Some(gateway.virtual_hosts.join(", ")))),
        ("Selector", or_dash(gateway.selector.clone())),
        ("Chosen by", chosen_by(&gateway.level)),
        ("Listens on", or_dash(Some(gateway.frontends.join(", ")))),
        ("Declared in", or_dash(gateway.declared.clone())),
    ]);
    out.push_str("\nRoutes:\n");
    for route in &gateway.routes {
        describe_route(&mut out, route);
    }
    if gateway.routes.is_empty() {
        out.push_str("  none\n");
    }
    out.push_str("\nFindings:\n");
    out.push_str(&findings(&gateway.findings));
    out
}

fn chosen_by(level: &str) -> String {
    match level {
        "kernel" => "the kernel, once per connection".to_owned(),
        "request" => "the proxy, for each request".to_owned(),
        other => other.to_owned(),
    }
}

fn describe_route(out: &mut String, route: &RouteView) {
    let mut line =
        |text: std::fmt::Arguments<'_>| writeln!(out, "  {text}").expect("writing to a String does not fail");
    line(format_args!("{}", route.name));
    if let Some(gateway) = &route.chained {
        line(format_args!("  leads to   gateway {gateway}"));
    }
    let rolled_back = if route.rolled_back { ", rolled back" } else { "" };
    line(format_args!("  weight     {}  (from {}{rolled_back})", route.weight.value, route.weight.origin));
    if route.in_force != route.weight.value {
        line(format_args!("  in force   {}  (routes without a ready endpoint lend theirs)", route.in_force));
    }
    if let Some(condition) = &route.condition {
        line(format_args!("  condition  {}  (from {})", condition.value, condition.origin));
        if let Some(strength) = &route.strength {
            line(format_args!("  strength   {}  (from {})", strength.value, strength.origin));
        }
    }
    for endpoint in &route.endpoints {
        let ready = if endpoint.ready { "ready" } else { "not ready" };
        line(format_args!("  endpoint   {}  {ready}  {}", endpoint.address, endpoint.workload));
    }
}

/// The agent itself.
pub(super) fn status(status: &StatusView) -> String {
    let in_force = if status.ready {
        format!("generation {}, all of it in the kernel", status.generation)
    } else {
        format!("generation {} of {} in the kernel", status.generation_in_force, status.generation)
    };
    let uptime =
        humantime::format_duration(std::time::Duration::from_secs(status.uptime_seconds)).to_string();
    let mut facts = vec![
        ("Version", status.version.clone()),
        ("Process", format!("{}, up {uptime}", status.pid)),
        ("Phase", status.phase.clone()),
        ("Ready", format!("{}: {in_force}", if status.ready { "yes" } else { "no" })),
        ("Gateways", format!("{} with {} routes", status.gateways, status.routes)),
    ];
    if !status.announces.is_empty() {
        facts.push(("Announces", status.announces.join(", ")));
    }
    let mut out = pairs(&facts);
    if let Some(error) = &status.kernel_error {
        out.push_str(&pairs(&[("Error", error.clone())]));
    }
    out.push('\n');
    out.push_str(&plain(
        ["INTERFACE", "ATTACHED", "REASON", "ADDRESSES"],
        status.interfaces.iter().map(|interface| {
            [
                interface.name.clone(),
                interface.mode.clone(),
                or_dash(interface.reason.clone()),
                or_dash(Some(interface.addresses.join(","))),
            ]
        }),
    ));
    for (title, map) in [("Kernel", &status.kernel), ("Paths", &status.paths)] {
        let lines: Vec<_> = map.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        write!(out, "\n{title}:\n{}", pairs(&lines)).expect("writing to a String does not fail");
    }
    out.push_str("\nFindings:\n");
    out.push_str(&findings(&status.findings));
    out
}

/// Kernel against desired state.
pub(super) fn dump(dump: &DumpView, kernel: &str) -> String {
    let mut out = format!("{kernel}\n");
    if dump.differences.is_empty() {
        writeln!(out, "The kernel holds generation {}, without a difference.", dump.generation)
    } else {
        writeln!(
            out,
            "The kernel differs from generation {}:\n  {}",
            dump.generation,
            dump.differences.join("\n  ")
        )
    }
    .expect("writing to a String does not fail");
    out
}

fn findings(findings: &[FindingView]) -> String {
    if findings.is_empty() {
        return "  none\n".to_owned();
    }
    let line = |finding: &FindingView| {
        let place = finding.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
        let gateway =
            finding.gateway.as_ref().map(|gateway| format!("gateway {gateway}: ")).unwrap_or_default();
        let FindingView { severity, code, message, advice, .. } = finding;
        format!("  {place}{severity}[{code}]: {gateway}{message}; {advice}\n")
    };
    findings.iter().map(line).collect()
}

fn pairs(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let lines = pairs.iter().map(|(name, value)| format!("{:<1$}  {value}\n", format!("{name}:"), width + 1));
    lines.collect::<Vec<_>>().concat()
}

fn or_dash(text: Option<String>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or_else(|| "-".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::views::Sourced;

    #[test]
    fn a_route_says_where_it_leads_and_that_it_was_rolled_back() {
        let route = |name: &str, chained: Option<&str>, rolled_back: bool| RouteView {
            name: name.to_owned(),
            chained: chained.map(str::to_owned),
            weight: Sourced { value: "0%".to_owned(), origin: "cli".to_owned() },
            in_force: "0%".to_owned(),
            rolled_back,
            condition: None,
            strength: None,
            endpoints: Vec::new(),
        };
        let head = || std::array::from_fn(|_| String::new());
        assert_eq!(row(head(), &route("(1)", None, false))[4..6], ["(1)", "0%"]);
        let bad = route("inner", Some("default/inner"), true);
        assert_eq!(row(head(), &bad)[4..6], ["inner -> default/inner", "0% (rolled back)"]);
        let mut out = String::new();
        describe_route(&mut out, &bad);
        assert_eq!(
            out,
            "  inner\n    leads to   gateway default/inner\n    weight     0%  (from cli, rolled back)\n"
        );
    }
}
