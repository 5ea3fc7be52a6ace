//! The stage: a client, a node with the agent, and four pods, two of each version.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use anyhow::{Context, Result, ensure};
use gateway_tests::{Agent, Lab, LabPlan, Name, Workload, came_true, pod::Server};
use serde_json::Value;

/// The version that everyone uses at first.
pub const OLD: &str = "1.0.3";
/// The version that is rolled out.
pub const NEW: &str = "2.0.1";
/// The gateway whose requests are routed, by host name on port 80.
pub const INGRESS: &str = "foo-ingress";
/// The gateway whose connections are routed, on [`TCP_PORT`].
pub const TCP: &str = "foo-tcp";
/// Port of [`TCP`].
pub const TCP_PORT: u16 = 40001;
/// Port that pods serve HTTP on.
pub const POD_PORT: u16 = 8080;

/// What files change takes effect within 500 ms; a busy machine gets more.
const PATIENCE: Duration = Duration::from_secs(5);

/// Everything that is up. Fields are dropped in this order.
#[derive(Debug)]
pub struct Stage {
    pub agent: Agent,
    servers: Vec<(String, Server)>,
    pub lab: Lab,
}

/// A route as the agent reports it.
#[derive(Clone, Debug)]
pub struct Route {
    pub gateway: &'static str,
    pub name: String,
    pub weight: String,
    pub condition: Option<String>,
    /// Pods behind it; each has an endpoint per address family.
    pub pods: usize,
}

impl Stage {
    /// Builds it, with only [`OLD`] known to the agent.
    pub fn build(name: &Name) -> Result<Self> {
        let lab = LabPlan::new("story").named(name.clone()).pods(4).build()?;
        let agent = Agent::new(&lab)?;
        agent.write_config(concat!(
            include_str!("../../deploy/examples/foo-ingress.yaml"),
            "---\n",
            include_str!("../../deploy/examples/foo-tcp.yaml"),
        ))?;
        let mut stage = Self { agent, servers: Vec::new(), lab };
        stage.start_servers(OLD)?;
        stage.start_servers(NEW)?;
        stage.deploy(&[OLD])?;
        stage.agent.start()?;
        Ok(stage)
    }

    /// Tells the agent that pods of these versions exist, and no others.
    pub fn deploy(&self, versions: &[&str]) -> Result<()> {
        let pods = self.lab.pods.iter().zip([OLD, OLD, NEW, NEW]);
        let there = pods.filter(|(_, version)| versions.contains(version));
        let list: Vec<_> = there.map(|(pod, version)| pod.workload(version, "http", POD_PORT)).collect();
        self.agent.write_workloads(&Workload::list(&list))
    }

    /// Waits until the route of `version` is there, with so many pods, in both gateways.
    pub fn wait_for_route(&self, version: &str, pods: usize) -> Result<()> {
        let name = route(version);
        let mut last = Vec::new();
        let there = came_true(PATIENCE, || {
            last = self.routes().unwrap_or_default();
            let found = last.iter().filter(|route| route.name == name && route.pods == pods);
            found.count() == 2 || (pods == 0 && last.iter().all(|route| route.name != name))
        });
        ensure!(there, "after {PATIENCE:?} {name} still has not {pods} pods in both: {last:?}");
        Ok(())
    }

    /// Ends the servers of `version`.
    pub fn stop_servers(&mut self, version: &str) {
        self.servers.retain(|(of, _)| of != version);
    }

    /// Starts them again.
    pub fn start_servers(&mut self, version: &str) -> Result<()> {
        for (pod, _) in self.lab.pods.iter().zip([OLD, OLD, NEW, NEW]).filter(|(_, of)| *of == version) {
            self.servers.push((version.to_owned(), pod.serve_http(POD_PORT, version)?));
        }
        Ok(())
    }

    /// Sets the weights of both versions, on both gateways, and waits for the kernel.
    pub fn weigh(&self, old: u8, new: u8) -> Result<()> {
        for gateway in [INGRESS, TCP] {
            let shares = [format!("{}={old}%", route(OLD)), format!("{}={new}%", route(NEW))];
            self.agent.cli(&["weight", gateway, &shares[0], &shares[1]])?;
        }
        Ok(())
    }

    /// Routes of both gateways, as `weir get` tells them.
    pub fn routes(&self) -> Result<Vec<Route>> {
        let answer = self.agent.json(&["get"])?;
        let gateways = answer.as_array().context("`weir get -o json` is no list")?;
        let mut routes = Vec::new();
        for name in [INGRESS, TCP] {
            let gateway = gateways.iter().find(|gateway| gateway["name"] == name);
            let listed = gateway.and_then(|gateway| gateway["routes"].as_array());
            for route in listed.into_iter().flatten() {
                routes.push(Route {
                    gateway: name,
                    name: text(&route["name"]),
                    weight: text(&route["weight"]["value"]),
                    condition: route["condition"]["value"].as_str().map(str::to_owned),
                    pods: pods_of(route),
                });
            }
        }
        Ok(routes)
    }

    /// Where the shared port is, as the client sees it.
    pub fn http(&self) -> SocketAddr {
        self.lab.node4(80)
    }

    /// Where [`TCP`] is, as the client sees it.
    pub fn tcp(&self) -> SocketAddr {
        self.lab.node4(TCP_PORT)
    }
}

/// Name of the route of `version`.
pub fn route(version: &str) -> String {
    format!("({version})")
}

fn pods_of(route: &Value) -> usize {
    let endpoints = route["endpoints"].as_array().into_iter().flatten();
    endpoints.map(|endpoint| text(&endpoint["workload"])).collect::<BTreeSet<_>>().len()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
