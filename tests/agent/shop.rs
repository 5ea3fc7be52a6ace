//! An agent in a lab, with the gateways of the manual: `foo-tcp` on port 40001, in the kernel, and, where asked
//! for, `foo-ingress` for the host foo.bar.com.

use std::{net::SocketAddr, time::Duration};

use gateway_tests::{Agent, Lab, LabPlan, Workload, client::connect_many, pod::Server, wait_until};
use serde_json::Value;

pub(crate) const TCP: &str = "\
name: foo-tcp
kind: gateways
port: 40001/tcp
selector: label(app)(foo) && label(version)((.*))
";
const POD_PORT: u16 = 8080;
/// What a change of a file may take, from the rename to the kernel, as users are promised, and some more for a
/// debug build on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(5);

/// A lab with one pod of each version, served by an agent.
pub(crate) struct Shop {
    pub(crate) agent: Agent,
    pub(crate) versions: Vec<&'static str>,
    _servers: Vec<Server>,
    pub(crate) lab: Lab,
}

impl Shop {
    /// With `foo-tcp` over pods of `versions`; the agent runs.
    pub(crate) fn open(tag: &str, versions: &[&'static str]) -> Self {
        let mut shop = Self::closed(tag, versions);
        shop.agent.start().unwrap();
        shop
    }

    /// The same, with the agent still to be started.
    pub(crate) fn closed(tag: &str, versions: &[&'static str]) -> Self {
        let lab = LabPlan::new(tag).pods(versions.len()).build().unwrap();
        let pods = lab.pods.iter().zip(versions);
        let servers = pods.map(|(pod, version)| pod.serve_tcp(POD_PORT, version).unwrap()).collect();
        let agent = Agent::new(&lab).unwrap();
        let shop = Self { agent, versions: versions.to_vec(), _servers: servers, lab };
        shop.agent.write_config(TCP).unwrap();
        shop.show(versions);
        shop
    }

    /// With an agent that is to be started in another way.
    pub(crate) fn with(mut self, change: impl FnOnce(Agent) -> Agent) -> Self {
        self.agent = change(self.agent);
        self
    }

    /// Lists the pods of these versions, ready, as workloads.
    pub(crate) fn show(&self, versions: &[&str]) {
        let pods = self.lab.pods.iter().zip(&self.versions).filter(|(_, version)| versions.contains(version));
        let list: Vec<_> = pods.map(|(pod, version)| pod.workload(version, "http", POD_PORT)).collect();
        self.agent.write_workloads(&Workload::list(&list)).unwrap();
    }

    /// The gateway's address on the node, IPv4.
    pub(crate) fn frontend(&self) -> SocketAddr {
        self.lab.node4(40001)
    }

    /// A route as `weir get` shows it.
    pub(crate) fn route(&self, name: &str) -> Option<Value> {
        let gateway = self.agent.json(&["get", "foo-tcp"]).unwrap();
        gateway["routes"].as_array().unwrap().iter().find(|route| route["name"] == name).cloned()
    }

    /// A route's weight and where it comes from; empty where there is none.
    pub(crate) fn weight(&self, route: &str) -> (String, String) {
        let of = |field: &str| {
            self.route(route)
                .and_then(|route| Some(route["weight"][field].as_str()?.to_owned()))
                .unwrap_or_default()
        };
        (of("value"), of("origin"))
    }

    /// Waits until a route has this weight.
    pub(crate) fn wait_for_weight(&self, route: &str, weight: &str) {
        wait_until(SOON, &format!("{route} at {weight}"), || self.weight(route).0 == weight);
    }

    /// Whom 20 new connections reach.
    pub(crate) fn reached(&self) -> Vec<String> {
        let tally = connect_many(&self.lab.client().netns, self.frontend(), 20, 5);
        assert_eq!(tally.failures, Vec::<String>::new());
        tally.versions.into_keys().collect()
    }
}
