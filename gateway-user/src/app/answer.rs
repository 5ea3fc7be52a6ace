//! Answers for operators: from what is resolved and counted to the admin API's views.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use gateway_common::abi::stats::TrafficStats;
use gateway_model::{
    discovery::Origin,
    finding::{Finding, Severity},
    gateway::Gateway,
    key::{GatewayKey, RouteName},
    plan::l4::L4Plan,
    resolve::{Layer, Resolved, ResolvedGateway, ResolvedRoute},
};

use crate::{
    admin::views::{
        EndpointStats, EndpointView, FindingView, GatewayStats, GatewayView, Latency, RouteStats, RouteView,
        Sourced, StatsView, Traffic,
    },
    dataplane, proxy,
};

/// All gateways, by key. Those that are declared and not in force are among them, without routes.
pub(crate) fn gateways<'a>(
    declared: impl Iterator<Item = &'a Gateway>,
    resolved: &Resolved,
    plan: &L4Plan,
    findings: &[Finding],
) -> Vec<GatewayView> {
    let mut views: BTreeMap<&GatewayKey, GatewayView> = BTreeMap::new();
    for gateway in declared {
        let in_force = resolved.gateways.iter().map(Arc::as_ref).find(|resolved| resolved.key == gateway.key);
        let own =
            findings.iter().filter(|finding| finding.gateway.as_ref() == Some(&gateway.key)).map(finding);
        let view = gateway_view(gateway, in_force, plan, own.collect());
        views.entry(&gateway.key).or_insert(view);
    }
    views.into_values().collect()
}

fn gateway_view(
    declared: &Gateway,
    resolved: Option<&ResolvedGateway>,
    plan: &L4Plan,
    findings: Vec<FindingView>,
) -> GatewayView {
    let of =
        |key: &GatewayKey| plan.gateways.get(key).into_iter().flat_map(|gateway| gateway.frontends.keys());
    let serves_hosts = resolved.is_some_and(|gateway| !gateway.hosts.is_empty());
    let shared = serves_hosts.then(GatewayKey::shared);
    let frontends = of(&declared.key).chain(shared.iter().flat_map(of));
    let port_origin = if declared.port.is_some() { Origin::File } else { Origin::Discovery };
    GatewayView {
        namespace: declared.key.namespace.clone(),
        name: declared.key.name.clone(),
        port: resolved.map(|gateway| format!("{}/{}", gateway.port, gateway.kind)),
        port_origin: resolved.map(|_| origin(port_origin)),
        virtual_hosts: declared.virtual_hosts.iter().map(|(host, _)| host.to_string()).collect(),
        selector: declared.selector.as_ref().map(ToString::to_string),
        level: resolved.map_or("none", |gateway| layer(gateway.layer)).to_owned(),
        frontends: frontends.map(|at| format!("{}/{}", at.address, at.protocol)).collect(),
        routes: resolved.map_or_else(Vec::new, |gateway| gateway.routes.iter().map(route_view).collect()),
        declared: Some(format!("{}:{}", declared.place.file, declared.place.line)),
        findings,
    }
}

fn route_view(route: &ResolvedRoute) -> RouteView {
    let sourced = |value: String, from: Origin| Sourced { value, origin: origin(from) };
    let condition = route.condition.as_ref();
    RouteView {
        name: route.name.0.clone(),
        chained: route.chained.as_ref().map(|inner| inner.key.to_string()),
        weight: sourced(route.weight.to_string(), route.origin),
        in_force: route.lent.to_string(),
        rolled_back: route.rolled_back,
        condition: condition.map(|condition| sourced(condition.to_string(), route.condition_origin)),
        strength: condition.map(|_| sourced(route.strength.to_string(), route.strength_origin)),
        endpoints: route
            .endpoints
            .iter()
            .map(|endpoint| EndpointView {
                address: endpoint.address.to_string(),
                ready: endpoint.ready,
                workload: endpoint.workload.clone(),
            })
            .collect(),
    }
}

fn origin(origin: Origin) -> String {
    match origin {
        Origin::File => "file",
        Origin::Cli => "cli",
        Origin::Discovery => "discovery",
    }
    .to_owned()
}

fn layer(layer: Layer) -> &'static str {
    match layer {
        Layer::Kernel => "kernel",
        Layer::Request => "request",
    }
}

/// A finding as JSON.
pub(super) fn finding(finding: &Finding) -> FindingView {
    FindingView {
        code: finding.code.to_owned(),
        severity: match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
        .to_owned(),
        gateway: finding.gateway.as_ref().map(ToString::to_string),
        place: finding.place.as_ref().map(ToString::to_string),
        message: finding.message.clone(),
        advice: finding.advice.clone(),
    }
}

/// Counters of the kernel and of the proxy, by gateway and route.
pub(super) fn stats(kernel: &dataplane::Stats, proxy: &proxy::Stats, resolved: &Resolved) -> StatsView {
    let mut gateways: BTreeMap<GatewayKey, Counted> = BTreeMap::new();
    for of in &kernel.gateways {
        gateways.entry(of.gateway.clone()).or_default().client = traffic(&of.traffic);
    }
    for of in &kernel.routes {
        let route = route_of(&mut gateways, &of.gateway, &of.route);
        let gateway_common::abi::stats::RouteStats { packets, bytes, new_flows, reply_packets, reply_bytes } =
            of.traffic;
        route.traffic = Traffic { packets, bytes, reply_packets, reply_bytes };
        route.connections = new_flows;
    }
    for of in &kernel.endpoints {
        let address = of.endpoint.address.to_string();
        let endpoint = EndpointStats { address, traffic: traffic(&of.traffic) };
        route_of(&mut gateways, &of.endpoint.gateway, &of.endpoint.route).endpoints.push(endpoint);
    }
    for of in &proxy.routes {
        let route = route_of(&mut gateways, &of.gateway, &of.route);
        route.requests = by_status(&of.responses);
        route.latency = latency(&of.latency, of.requests());
    }
    let mut refused: BTreeMap<String, u64> =
        proxy.refused.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect();
    for of in &proxy.unrouted {
        let status = class(of.status);
        match &of.gateway {
            Some(gateway) => {
                *gateways.entry(gateway.clone()).or_default().unrouted.entry(status).or_default() += of.count;
            }
            None => *refused.entry(of.reason.to_owned()).or_default() += of.count,
        }
    }
    for gateway in &resolved.gateways {
        for route in &gateway.routes {
            route_of(&mut gateways, &gateway.key, &route.name).weight = route.lent.to_string();
        }
    }
    StatsView {
        taken_at: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
        gateways: gateways.into_iter().map(|(key, counted)| counted.into_view(key)).collect(),
        verdicts: kernel
            .verdicts
            .iter()
            .map(|(verdict, count)| (verdict.label().to_owned(), *count))
            .collect(),
        refused_requests: refused,
        open_connections: proxy.connections,
        convergence: None,
    }
}

/// Counters of a gateway, while they are gathered.
#[derive(Default)]
struct Counted {
    client: Traffic,
    routes: BTreeMap<RouteName, RouteStats>,
    unrouted: BTreeMap<String, u64>,
}

impl Counted {
    fn into_view(self, key: GatewayKey) -> GatewayStats {
        let mut routes: Vec<_> = self.routes.into_iter().collect();
        routes.sort_by(|(left, _), (right, _)| left.display_order(right));
        GatewayStats {
            namespace: key.namespace,
            name: key.name,
            client: self.client,
            routes: routes.into_iter().map(|(_, route)| route).collect(),
            unrouted_requests: self.unrouted,
        }
    }
}

fn route_of<'a>(
    gateways: &'a mut BTreeMap<GatewayKey, Counted>,
    gateway: &GatewayKey,
    route: &RouteName,
) -> &'a mut RouteStats {
    let routes = &mut gateways.entry(gateway.clone()).or_default().routes;
    let fresh = || RouteStats { name: route.0.clone(), ..RouteStats::default() };
    routes.entry(route.clone()).or_insert_with(fresh)
}

fn traffic(of: &TrafficStats) -> Traffic {
    let TrafficStats { packets, bytes, reply_packets, reply_bytes } = *of;
    Traffic { packets, bytes, reply_packets, reply_bytes }
}

fn by_status(responses: &[u64; 5]) -> BTreeMap<String, u64> {
    (1_u16..).zip(responses).map(|(hundreds, count)| (class(hundreds * 100), *count)).collect()
}

fn class(status: u16) -> String {
    format!("{}xx", status / 100)
}

fn latency(of: &proxy::stats::Latency, count: u64) -> Latency {
    let bounds = proxy::stats::LATENCY_BOUNDS.iter().map(|bound| Some(bound.as_secs_f64())).chain([None]);
    Latency { buckets: bounds.zip(of.buckets).collect(), sum: of.sum.as_secs_f64(), count }
}
