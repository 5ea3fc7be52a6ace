//! `weir top`: rates per gateway and route, from two readings of the counters.

use std::{
    collections::{BTreeMap, HashMap},
    io::IsTerminal as _,
    time::Duration,
};

use anyhow::bail;
use serde_json::Value;
use tokio::time;

use super::{
    args::Output,
    cluster::{Stats, Target},
    commands::read,
    output, table,
};
use crate::admin::views::{RouteStats, StatsView};

/// Clears the terminal and goes to its upper left corner.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Shows counters once, or, with an interval, rates until interrupted.
pub(super) async fn show(
    target: &Target,
    gateway: Option<(String, String)>,
    interval: Option<Duration>,
    output: Output,
) -> anyhow::Result<()> {
    let Some(interval) = interval else {
        let value = reading(target, gateway.as_ref()).await?;
        return output::show(output, &value, |value| Ok(totals(&read(value)?)));
    };
    if interval < Duration::from_millis(50) {
        bail!("--interval: expected at least 50ms");
    }
    let mut before: StatsView = read(&reading(target, gateway.as_ref()).await?)?;
    let mut ticks = time::interval(interval);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let value = reading(target, gateway.as_ref()).await?;
        let now: StatsView = read(&value)?;
        match output {
            Output::Table => {
                let clear = if std::io::stdout().is_terminal() { CLEAR } else { "" };
                output::print(&format!("{clear}{}\n", rates(&before, &now)))?;
            }
            Output::Json => output::print(&(serde_json::to_string(&value)? + "\n"))?,
            Output::Yaml => output::print(&format!("---\n{}", output::yaml(&value)?))?,
        }
        before = now;
    }
}

async fn reading(target: &Target, gateway: Option<&(String, String)>) -> anyhow::Result<Value> {
    let mut value = match target {
        Target::Agent(client) => client.get(&["stats"]).await?,
        Target::Cluster(cluster) => {
            let Stats { sum, missing } = cluster.stats().await?;
            complain(&missing);
            serde_json::to_value(sum)?
        }
    };
    if let (Some((namespace, name)), Some(gateways)) = (gateway, value["gateways"].as_array_mut()) {
        let existing: Vec<_> =
            gateways.iter().map(|g| format!("{}/{}", text(g, "namespace"), text(g, "name"))).collect();
        gateways.retain(|gateway| gateway["namespace"] == **namespace && gateway["name"] == **name);
        if gateways.is_empty() {
            bail!("no gateway {namespace}/{name}; there are: {}", existing.join(", "));
        }
    }
    Ok(value)
}

/// Names the nodes that did not answer.
pub(super) fn complain(missing: &BTreeMap<String, String>) {
    for (node, why) in missing {
        eprintln!("warning: node {node} is not in it: {why}");
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

const HEADER: [&str; 9] =
    ["GATEWAY", "ROUTE", "WEIGHT", "CONNECTIONS", "REQUESTS", "ERRORS", "PACKETS", "BYTES IN", "BYTES OUT"];

fn totals(stats: &StatsView) -> String {
    let rows = stats.gateways.iter().flat_map(|gateway| {
        gateway.routes.iter().map(|route| {
            let c = Counts::of(route);
            let name = format!("{}/{}", gateway.namespace, gateway.name);
            let numbers = [c.connections, c.requests, c.errors, c.packets].map(|n| n.to_string());
            row(name, route, numbers, [bytes(number(c.bytes_in)), bytes(number(c.bytes_out))])
        })
    });
    table::plain(HEADER, rows)
}

fn rates(before: &StatsView, now: &StatsView) -> String {
    let seconds = (now.taken_at - before.taken_at).max(0.001);
    let earlier: HashMap<_, _> = before
        .gateways
        .iter()
        .flat_map(|g| g.routes.iter().map(move |r| ((&g.namespace, &g.name, &r.name), Counts::of(r))))
        .collect();
    let rows = now.gateways.iter().flat_map(|gateway| {
        let earlier = &earlier;
        gateway.routes.iter().map(move |route| {
            let key = (&gateway.namespace, &gateway.name, &route.name);
            let then = earlier.get(&key).copied().unwrap_or_default();
            let c = Counts::of(route);
            let rate = |now: u64, then: u64| number(now.saturating_sub(then)) / seconds;
            let numbers = [
                rate(c.connections, then.connections),
                rate(c.requests, then.requests),
                rate(c.errors, then.errors),
                rate(c.packets, then.packets),
            ]
            .map(|rate| format!("{rate:.1}/s"));
            let sizes = [rate(c.bytes_in, then.bytes_in), rate(c.bytes_out, then.bytes_out)]
                .map(|rate| format!("{}/s", bytes(rate)));
            row(format!("{}/{}", gateway.namespace, gateway.name), route, numbers, sizes)
        })
    });
    table::plain(HEADER, rows)
}

fn row(gateway: String, route: &RouteStats, counts: [String; 4], sizes: [String; 2]) -> [String; 9] {
    let weight = if route.weight.is_empty() { "gone".to_owned() } else { route.weight.clone() };
    let mut cells = [gateway, route.name.clone(), weight].into_iter().chain(counts).chain(sizes);
    std::array::from_fn(|_| cells.next().expect("3, 4 and 2 are 9"))
}

/// The numbers that are shown of a route.
#[derive(Clone, Copy, Default)]
struct Counts {
    connections: u64,
    requests: u64,
    errors: u64,
    packets: u64,
    bytes_in: u64,
    bytes_out: u64,
}

impl Counts {
    fn of(route: &RouteStats) -> Self {
        let errors = |(status, count): (&String, &u64)| if status == "5xx" { *count } else { 0 };
        Self {
            connections: route.connections,
            requests: route.requests.values().sum(),
            errors: route.requests.iter().map(errors).sum(),
            packets: route.traffic.packets + route.traffic.reply_packets,
            bytes_in: route.traffic.bytes,
            bytes_out: route.traffic.reply_bytes,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn number(count: u64) -> f64 {
    count as f64
}

fn bytes(count: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut count = count;
    let mut unit = 0;
    while count >= 1024.0 && unit + 1 < units.len() {
        count /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count:.0} B") } else { format!("{count:.1} {}", units[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::views::{GatewayStats, Traffic};

    fn reading(taken_at: f64, packets: u64, requests: u64) -> StatsView {
        let route = RouteStats {
            name: "(1.0.3)".to_owned(),
            weight: "95%".to_owned(),
            traffic: Traffic { packets, bytes: packets * 1024, ..Traffic::default() },
            requests: [("2xx".to_owned(), requests)].into(),
            ..RouteStats::default()
        };
        let gateway = GatewayStats {
            namespace: "default".to_owned(),
            name: "foo".to_owned(),
            routes: vec![route],
            ..GatewayStats::default()
        };
        StatsView { taken_at, gateways: vec![gateway], ..StatsView::default() }
    }

    #[test]
    fn rates_are_differences_over_the_time_between_readings() {
        let text = rates(&reading(10.0, 100, 50), &reading(12.0, 300, 60));
        let line = text.lines().nth(1).unwrap();
        assert!(line.contains("100.0/s") && line.contains("5.0/s") && line.contains("100.0 KiB/s"), "{text}");
    }

    #[test]
    fn a_counter_that_went_back_shows_no_rate() {
        let text = rates(&reading(1.0, 100, 5), &reading(2.0, 0, 0));
        assert!(text.lines().nth(1).unwrap().contains("0.0/s"), "{text}");
    }
}
