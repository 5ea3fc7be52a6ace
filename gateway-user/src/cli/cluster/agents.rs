//! Asking every node's agent, through the API server.

use std::collections::BTreeMap;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt as _, api::ListParams};
use serde::{Serialize, de::DeserializeOwned};

use super::{Cluster, refused, world::list};
use crate::admin::views::{DumpView, EndpointStats, GatewayStats, Latency, RouteStats, StatsView, Traffic};

/// Labels of agents' pods.
const AGENTS: &str = "app.kubernetes.io/name=weir,app.kubernetes.io/component=agent";
/// The port that agents answer on, where their pods name none.
const PORT: u16 = 9191;

/// An agent's pod.
struct AgentPod {
    node: String,
    name: String,
    port: u16,
}

/// What nodes answered, and why others did not.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Answers<T> {
    /// By node.
    pub(in crate::cli) nodes: BTreeMap<String, T>,
    /// Nodes that did not answer, and why.
    pub(in crate::cli) missing: BTreeMap<String, String>,
}

/// Counters of all nodes together.
pub(in crate::cli) struct Stats {
    /// The sums.
    pub(in crate::cli) sum: StatsView,
    /// Nodes that did not answer, and why.
    pub(in crate::cli) missing: BTreeMap<String, String>,
}

impl Cluster {
    /// Counters, summed over all nodes that answer.
    pub(in crate::cli) async fn stats(&self) -> anyhow::Result<Stats> {
        let Answers { nodes, missing } = self.ask_all::<StatsView>("stats").await?;
        Ok(Stats { sum: nodes.into_values().fold(StatsView::default(), add), missing })
    }

    /// What every node's kernel holds.
    pub(in crate::cli) async fn dumps(&self) -> anyhow::Result<Answers<DumpView>> {
        self.ask_all("dump").await
    }

    async fn ask_all<T: DeserializeOwned>(&self, what: &str) -> anyhow::Result<Answers<T>> {
        let agents = self.agents().await?;
        anyhow::ensure!(
            !agents.is_empty(),
            "there is no agent in the namespace {} (pods with the labels {AGENTS}); say with --system-namespace where \
             Weir is",
            self.system_namespace
        );
        let asked = agents.into_iter().map(|agent| async move {
            let answer = self.ask::<T>(&agent, what).await;
            (agent.node, answer)
        });
        let mut answers = Answers { nodes: BTreeMap::new(), missing: BTreeMap::new() };
        for (node, answer) in join_all(asked).await {
            match answer {
                Ok(answer) => drop(answers.nodes.insert(node, answer)),
                Err(error) => drop(answers.missing.insert(node, format!("{error:#}"))),
            }
        }
        Ok(answers)
    }

    /// One agent of each node: while two share it, both answer for the same maps.
    async fn agents(&self) -> anyhow::Result<Vec<AgentPod>> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.system_namespace);
        let pods = list(&pods, ListParams::default().labels(AGENTS), "agents cannot be listed").await?;
        let mut by_node: BTreeMap<String, AgentPod> = BTreeMap::new();
        for pod in pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()) {
            let Some(spec) = &pod.spec else { continue };
            let Some(node) = spec.node_name.clone() else { continue };
            let ports = spec.containers.iter().flat_map(|container| container.ports.iter().flatten());
            let named =
                ports.filter(|port| port.name.as_deref() == Some("metrics")).map(|port| port.container_port);
            let port = named.into_iter().find_map(|port| u16::try_from(port).ok()).unwrap_or(PORT);
            by_node.insert(node.clone(), AgentPod { node, name: pod.name_any(), port });
        }
        Ok(by_node.into_values().collect())
    }

    async fn ask<T: DeserializeOwned>(&self, agent: &AgentPod, what: &str) -> anyhow::Result<T> {
        let AgentPod { name, port, .. } = agent;
        let namespace = &self.system_namespace;
        let path = format!("/api/v1/namespaces/{namespace}/pods/http:{name}:{port}/proxy/v1/{what}");
        let request = http::Request::get(path).body(Vec::new())?;
        self.client.request(request).await.map_err(|error| refused(error, "its agent does not answer"))
    }
}

/// Adds the counters of another node.
fn add(mut sum: StatsView, other: StatsView) -> StatsView {
    sum.taken_at = sum.taken_at.max(other.taken_at);
    sum.open_connections += other.open_connections;
    add_counts(&mut sum.verdicts, other.verdicts);
    add_counts(&mut sum.refused_requests, other.refused_requests);
    for gateway in other.gateways {
        let is_same = |known: &&mut GatewayStats| {
            (&known.namespace, &known.name) == (&gateway.namespace, &gateway.name)
        };
        match sum.gateways.iter_mut().find(is_same) {
            Some(known) => add_gateway(known, gateway),
            None => sum.gateways.push(gateway),
        }
    }
    sum
}

fn add_gateway(sum: &mut GatewayStats, other: GatewayStats) {
    add_traffic(&mut sum.client, other.client);
    add_counts(&mut sum.unrouted_requests, other.unrouted_requests);
    for route in other.routes {
        match sum.routes.iter_mut().find(|known| known.name == route.name) {
            Some(known) => add_route(known, route),
            None => sum.routes.push(route),
        }
    }
}

fn add_route(sum: &mut RouteStats, other: RouteStats) {
    if sum.weight.is_empty() {
        sum.weight = other.weight;
    }
    add_traffic(&mut sum.traffic, other.traffic);
    sum.connections += other.connections;
    add_counts(&mut sum.requests, other.requests);
    add_latency(&mut sum.latency, other.latency);
    for endpoint in other.endpoints {
        match sum.endpoints.iter_mut().find(|known| known.address == endpoint.address) {
            Some(EndpointStats { traffic, .. }) => add_traffic(traffic, endpoint.traffic),
            None => sum.endpoints.push(endpoint),
        }
    }
}

fn add_traffic(sum: &mut Traffic, other: Traffic) {
    sum.packets += other.packets;
    sum.bytes += other.bytes;
    sum.reply_packets += other.reply_packets;
    sum.reply_bytes += other.reply_bytes;
}

fn add_counts(sum: &mut BTreeMap<String, u64>, other: BTreeMap<String, u64>) {
    for (name, count) in other {
        *sum.entry(name).or_default() += count;
    }
}

fn add_latency(sum: &mut Latency, other: Latency) {
    sum.sum += other.sum;
    sum.count += other.count;
    if sum.buckets.is_empty() {
        sum.buckets = other.buckets;
        return;
    }
    for ((_, count), (_, more)) in sum.buckets.iter_mut().zip(other.buckets) {
        *count += more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(connections: u64, endpoint: &str) -> StatsView {
        let traffic = Traffic { packets: connections * 10, ..Traffic::default() };
        let route = RouteStats {
            name: "(1)".to_owned(),
            weight: "100%".to_owned(),
            connections,
            traffic,
            requests: [("2xx".to_owned(), connections)].into(),
            latency: Latency {
                buckets: vec![(Some(0.1), connections), (None, 0)],
                sum: 1.0,
                count: connections,
            },
            endpoints: vec![EndpointStats { address: endpoint.to_owned(), traffic }],
        };
        let gateway = GatewayStats {
            namespace: "shop".to_owned(),
            name: "foo".to_owned(),
            routes: vec![route],
            ..GatewayStats::default()
        };
        StatsView { gateways: vec![gateway], verdicts: [("tx".to_owned(), 3)].into(), ..StatsView::default() }
    }

    #[test]
    fn counters_of_nodes_add_up_by_route_and_endpoint() {
        let sum = [node(3, "10.0.0.1:80"), node(4, "10.0.0.1:80"), node(5, "10.0.0.2:80")]
            .into_iter()
            .fold(StatsView::default(), add);
        let [gateway] = &sum.gateways[..] else { panic!("{:?}", sum.gateways) };
        let [route] = &gateway.routes[..] else { panic!("{:?}", gateway.routes) };
        assert_eq!((route.connections, route.traffic.packets, route.requests["2xx"]), (12, 120, 12));
        assert_eq!((route.latency.count, route.latency.buckets[0]), (12, (Some(0.1), 12)));
        let endpoints: Vec<_> =
            route.endpoints.iter().map(|one| (one.address.as_str(), one.traffic.packets)).collect();
        assert_eq!(endpoints, [("10.0.0.1:80", 70), ("10.0.0.2:80", 50)]);
        assert_eq!(sum.verdicts["tx"], 9);
    }
}
