//! `/metrics` (`OpenMetrics` text), `/healthz` and `/readyz`. Nothing here writes.

use std::{collections::BTreeMap, fmt, time::Duration};

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text},
    metrics::MetricType,
    registry::{Registry, Unit},
};
use tokio::time;

use super::{
    api::Api,
    question::{Agent, Question},
    server::{Connection, Reply, Service, error, with_body},
    views::{GatewayStats, Latency, RouteStats, StatsView, StatusView, Traffic},
};

/// How long an answer may take: longer, and the agent counts as stuck.
const PATIENCE: Duration = Duration::from_secs(2);
const TEXT: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Metrics and health of an agent.
#[derive(Clone, Debug)]
pub struct Health {
    /// Who answers.
    pub agent: Agent,
    /// What of the admin API is answered here as well.
    pub reads: Option<Api>,
}

impl Service for Health {
    type Connection = Self;

    fn connect(&self) -> Self {
        self.clone()
    }
}

impl Connection for Health {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/metrics") => self.metrics().await,
            (&Method::GET, "/healthz") => with_body(StatusCode::OK, TEXT, "ok\n"),
            (&Method::GET, "/readyz") => self.ready().await,
            (_, path) if path.starts_with("/v1/") && self.reads.is_some() => {
                let reads = self.reads.as_ref().expect("it was looked at just now");
                reads.connect().answer(request).await
            }
            (&Method::GET, path) => error(
                StatusCode::NOT_FOUND,
                format!("there is no {path}; there are /metrics, /healthz, /readyz"),
            ),
            (method, _) => {
                error(StatusCode::METHOD_NOT_ALLOWED, format!("{method}: only GET is answered here"))
            }
        }
    }
}

impl Health {
    async fn status(&self) -> Option<StatusView> {
        time::timeout(PATIENCE, self.agent.ask(Question::Status)).await.ok()?.ok()
    }

    async fn ready(&self) -> Reply {
        let Some(status) = self.status().await else {
            return with_body(StatusCode::SERVICE_UNAVAILABLE, TEXT, "the agent does not answer\n");
        };
        if status.ready {
            return with_body(StatusCode::OK, TEXT, "ready\n");
        }
        let why = status.kernel_error.unwrap_or_else(|| {
            format!("generation {} of {} is in force", status.generation_in_force, status.generation)
        });
        with_body(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("not ready: {why}\n"))
    }

    async fn metrics(&self) -> Reply {
        let (agent, counters) =
            tokio::join!(self.status(), time::timeout(PATIENCE, self.agent.ask(Question::Stats)));
        match (agent, counters) {
            (Some(agent), Ok(Ok(Ok(counters)))) => {
                with_body(StatusCode::OK, OPEN_METRICS, render(agent, counters))
            }
            (None, _) | (_, Err(_) | Ok(Err(_))) => {
                error(StatusCode::SERVICE_UNAVAILABLE, "the agent does not answer")
            }
            (_, Ok(Ok(Err(refusal)))) => error(StatusCode::SERVICE_UNAVAILABLE, refusal),
        }
    }
}

/// The metrics as `OpenMetrics` text.
fn render(agent: StatusView, counters: StatsView) -> String {
    let mut registry = Registry::with_prefix("weir");
    registry.register_collector(Box::new(Reading { agent, counters }));
    let mut out = String::new();
    text::encode(&mut out, &registry).expect("writing to a String does not fail");
    out
}

/// One reading of everything.
#[derive(Debug)]
struct Reading {
    agent: StatusView,
    counters: StatsView,
}

/// What is counted client → endpoint, and what comes back.
type Sides = [fn(&Traffic) -> u64; 2];
type Labels<'a> = Vec<(&'static str, &'a str)>;

impl Collector for Reading {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        self.encode_agent(&mut encoder)?;
        self.encode_packets(&mut encoder)?;
        self.encode_requests(&mut encoder)
    }
}

impl Reading {
    fn encode_agent(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let status = &self.agent;
        encoder
            .encode_descriptor("build", "What is running", None, MetricType::Info)?
            .encode_info(&[("version", status.version.as_str())])?;
        let gauges = [
            ("ready", "Whether everything desired is in force", u64::from(status.ready)),
            ("generation", "Changes worked out since start", status.generation),
            ("generation_in_force", "Newest generation in force", status.generation_in_force),
            ("gateways", "Gateways", status.gateways as u64),
            ("open_client_connections", "Client connections at L7", self.counters.open_connections),
        ];
        for (name, help, value) in gauges {
            encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)?;
        }
        if let Some(took) = &self.counters.convergence {
            let help = "Time from an event of the API server to the last write of a map";
            let name = "agent_convergence";
            let mut metric =
                encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
            encode_latency(&mut metric, took)?;
        }
        let mut findings = BTreeMap::from([("error", 0_i64), ("warning", 0)]);
        for finding in &status.findings {
            *findings.entry(&finding.severity).or_default() += 1;
        }
        let mut metric =
            encoder.encode_descriptor("findings", "Mistakes in what is declared", None, MetricType::Gauge)?;
        for (severity, count) in findings {
            metric.encode_family(&[("severity", severity)])?.encode_gauge(&count)?;
        }
        Ok(())
    }

    fn encode_packets(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let mut metric =
            encoder.encode_descriptor("verdicts", "Packets by verdict", None, MetricType::Counter)?;
        for (verdict, count) in &self.counters.verdicts {
            counter(&mut metric, &[("verdict", verdict.as_str())], *count)?;
        }
        let of_gateways = || self.counters.gateways.iter().map(|gateway| (labels(gateway), gateway.client));
        let of_routes = || self.routes().map(|(labels, route)| (labels, route.traffic));
        let of_endpoints = || {
            self.routes().flat_map(|(labels, route)| {
                let of = |endpoint: &'_ super::views::EndpointStats| endpoint.traffic;
                route
                    .endpoints
                    .iter()
                    .map(move |endpoint| (with(&labels, "endpoint", &endpoint.address), of(endpoint)))
            })
        };
        encode_traffic(encoder, "gateway_client", "of clients that the proxy answers", of_gateways)?;
        encode_traffic(encoder, "route", "of a route", of_routes)?;
        encode_traffic(encoder, "endpoint", "of an endpoint", of_endpoints)?;
        let help = "Connections given to a route in the kernel";
        let mut metric = encoder.encode_descriptor("route_connections", help, None, MetricType::Counter)?;
        for (labels, route) in self.routes() {
            counter(&mut metric, &labels, route.connections)?;
        }
        Ok(())
    }

    fn encode_requests(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let help = "Share of requests or connections that a route is to get";
        let unit = Unit::Other("ratio".to_owned());
        let mut metric = encoder.encode_descriptor("route_weight", help, Some(&unit), MetricType::Gauge)?;
        for (labels, route) in self.routes() {
            if let Ok(weight) = route.weight.parse::<gateway_model::weight::Weight>() {
                let ratio = f64::from(weight.hundredths()) / 10_000.0;
                metric.encode_family(&labels)?.encode_gauge(&ratio)?;
            }
        }
        let help = "Requests by route and status class";
        let mut metric = encoder.encode_descriptor("requests", help, None, MetricType::Counter)?;
        for (labels, route) in self.routes() {
            for (status, count) in &route.requests {
                counter(&mut metric, &with(&labels, "status", status), *count)?;
            }
        }
        let help = "Requests to a gateway that no route took";
        let mut metric = encoder.encode_descriptor("unrouted_requests", help, None, MetricType::Counter)?;
        for gateway in &self.counters.gateways {
            for (status, count) in &gateway.unrouted_requests {
                counter(&mut metric, &with(&labels(gateway), "status", status), *count)?;
            }
        }
        let help = "Requests and connections refused for what they are";
        let mut metric = encoder.encode_descriptor("refused_requests", help, None, MetricType::Counter)?;
        for (reason, count) in &self.counters.refused_requests {
            counter(&mut metric, &[("reason", reason.as_str())], *count)?;
        }
        let help = "Time from a request's head to its answer's head";
        let unit = Some(&Unit::Seconds);
        let mut metric = encoder.encode_descriptor("request_duration", help, unit, MetricType::Histogram)?;
        for (labels, route) in self.routes().filter(|(_, route)| !route.latency.buckets.is_empty()) {
            encode_latency(&mut metric.encode_family(&labels)?, &route.latency)?;
        }
        Ok(())
    }

    fn routes(&self) -> impl Iterator<Item = (Labels<'_>, &RouteStats)> {
        self.counters.gateways.iter().flat_map(|gateway| {
            gateway.routes.iter().map(|route| (with(&labels(gateway), "route", &route.name), route))
        })
    }
}

fn encode_traffic<'a, I: Iterator<Item = (Labels<'a>, Traffic)>>(
    encoder: &mut DescriptorEncoder,
    subject: &str,
    help: &str,
    of: impl Fn() -> I,
) -> fmt::Result {
    let sides: [(&str, Option<&Unit>, Sides); 2] = [
        ("_packets", None, [|traffic| traffic.packets, |traffic| traffic.reply_packets]),
        // The encoder adds the unit to the name.
        ("", Some(&Unit::Bytes), [|traffic| traffic.bytes, |traffic| traffic.reply_bytes]),
    ];
    for (what, unit, [forth, back]) in sides {
        let name = format!("{subject}{what}");
        let help = format!("{} {help}, by direction", if unit.is_some() { "IP bytes" } else { "Packets" });
        let mut metric = encoder.encode_descriptor(&name, &help, unit, MetricType::Counter)?;
        for (labels, traffic) in of() {
            counter(&mut metric, &with(&labels, "direction", "request"), forth(&traffic))?;
            counter(&mut metric, &with(&labels, "direction", "reply"), back(&traffic))?;
        }
    }
    Ok(())
}

fn encode_latency(metric: &mut MetricEncoder, latency: &Latency) -> fmt::Result {
    // The encoder adds the buckets up and writes infinity as +Inf, the bucket that readers require.
    let bound = |(bound, count): &(Option<f64>, u64)| (bound.unwrap_or(f64::INFINITY), *count);
    let buckets: Vec<_> = latency.buckets.iter().map(bound).collect();
    metric.encode_histogram::<NoLabelSet>(latency.sum, latency.count, &buckets, None)
}

fn counter(metric: &mut MetricEncoder, labels: &[(&'static str, &str)], value: u64) -> fmt::Result {
    metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, f64>(&value, None)
}

fn labels(gateway: &GatewayStats) -> Labels<'_> {
    vec![("namespace", &gateway.namespace), ("gateway", &gateway.name)]
}

fn with<'a>(labels: &Labels<'a>, name: &'static str, value: &'a str) -> Labels<'a> {
    labels.iter().copied().chain([(name, value)]).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_histogram_ends_with_the_infinite_bucket_that_readers_require() {
        let agent = serde_json::from_value(json!({
            "version": "", "pid": 1, "uptime_seconds": 0, "generation": 1, "generation_in_force": 1, "ready": true,
            "phase": "serving", "kernel_error": null, "interfaces": [], "kernel": {}, "gateways": 1, "routes": 1,
            "findings": [], "paths": {}
        }));
        let latency = Latency { buckets: vec![(Some(0.5), 3), (None, 1)], sum: 2.5, count: 4 };
        let routes = vec![RouteStats { name: "(1.0.3)".to_owned(), latency, ..RouteStats::default() }];
        let gateways = vec![GatewayStats { name: "foo".to_owned(), routes, ..GatewayStats::default() }];
        let text = render(agent.unwrap(), StatsView { gateways, ..StatsView::default() });
        let buckets: Vec<(&str, &str)> = text
            .lines()
            .filter_map(|line| line.strip_prefix("weir_request_duration_seconds_bucket{le=\""))
            .filter_map(|rest| Some((rest.split_once('"')?.0, rest.rsplit_once(' ')?.1)))
            .collect();
        assert_eq!(buckets, [("0.5", "3"), ("+Inf", "4")], "{text}");
    }
}
