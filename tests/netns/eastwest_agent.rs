//! Sockets of the node's own processes with the binary `weir` in the node: what its end, its successor and its own
//! connections mean to them.

use std::{fs, net::SocketAddr};

use gateway_tests::{
    Agent, Lab, LabPlan, Process, Workload,
    client::http::{Asker, get},
    lab::Pod,
    pod::Server,
};

use crate::{eastwest::process, plan::POD_PORT};

const HTTP_PORT: u16 = 8080;
const VIRTUAL: [&str; 2] = ["192.0.2.10", "2001:db8::10"];
/// One gateway in the kernel, one of the agent's.
const GATEWAYS: &str = "\
name: shop
kind: gateways
port: 40001/tcp
selector: label(app)(foo) && label(version)((.*)) && port(tcp)
---
name: web
kind: gateways
port: 40080/http
level: request
selector: label(app)(foo) && label(version)((.*)) && port(http)
";
const ASKER: Asker = Asker { class: "pod", host: "web", user_agent: "gateway-tests" };

struct Shop {
    client: Process,
    agent: Agent,
    _servers: Vec<Server>,
    lab: Lab,
}

/// Pod 0 asks; pod 1 serves 1.0.3, pod 2 2.0.1, both TCP and HTTP.
fn open(tag: &str) -> Shop {
    let lab = LabPlan::new(tag).pods(3).build().unwrap();
    let pods = || lab.pods[1..].iter().zip(["1.0.3", "2.0.1"]);
    let mut servers: Vec<_> =
        pods().map(|(pod, version)| pod.serve_tcp(POD_PORT, version).unwrap()).collect();
    servers.extend(pods().map(|(pod, version)| pod.serve_http(HTTP_PORT, version).unwrap()));
    let workloads: Vec<_> = pods().map(|(pod, version)| workload(pod, version)).collect();
    let mut agent = Agent::new(&lab).unwrap().with_services(&lab).unwrap();
    agent = VIRTUAL.iter().fold(agent, |agent, address| agent.with(&["--address", address]));
    agent.write_config(GATEWAYS).unwrap();
    agent.write_workloads(&Workload::list(&workloads)).unwrap();
    agent.start().unwrap();
    for gateway in ["shop", "web"] {
        agent.cli(&["weight", gateway, "(1.0.3)=90%", "(2.0.1)=10%"]).unwrap();
    }
    let client = process(&lab, &lab.pods[0].netns, "pod0");
    Shop { client, agent, _servers: servers, lab }
}

fn workload(pod: &Pod, version: &str) -> Workload {
    let mut workload = pod.workload(version, "tcp", POD_PORT);
    workload.ports.push(("http".to_owned(), HTTP_PORT));
    workload
}

fn virtual_addresses(port: u16) -> [SocketAddr; 2] {
    VIRTUAL.map(|address| SocketAddr::new(address.parse().unwrap(), port))
}

impl Shop {
    #[track_caller]
    fn assert_split(&self) {
        for to in virtual_addresses(40001).into_iter().chain([self.lab.node4(40001), self.lab.node6(40001)]) {
            let said = self.client.tcp(to, 100).unwrap();
            // 10 % of 4,096 slots are 410.
            assert!((10..=11).contains(&said.version("2.0.1")) && said.answered() == 100, "{to}: {said:?}");
        }
    }
}

#[test]
fn connections_go_on_with_the_agent_killed_and_follow_the_next_one_and_its_successor() {
    let mut shop = open("eastkill");
    shop.assert_split();
    let held = shop.client.hold(shop.lab.node4(40001), 10).unwrap();
    assert_eq!(held.answered(), 10);
    shop.agent.kill().unwrap();
    shop.assert_split();
    shop.agent.start().unwrap();
    shop.assert_split();
    shop.agent.replace().unwrap();
    shop.agent.cli(&["weight", "shop", "(1.0.3)=0%", "(2.0.1)=100%"]).unwrap();
    let said = shop.client.tcp(shop.lab.node6(40001), 20).unwrap();
    assert_eq!(said.version("2.0.1"), 20, "{said:?}");
    let held = shop.client.ping().unwrap();
    assert_eq!((held.answered(), held.errors.len()), (10, 0), "{held:?}");
}

#[test]
fn requests_reach_the_agent_at_an_address_that_is_the_node_s_by_a_local_route_only() {
    let shop = open("eastseven");
    for to in virtual_addresses(40080) {
        let mut second = 0;
        for _ in 0..100 {
            let answer = shop.client.http(to, 1).unwrap();
            assert_eq!(answer.errors.len(), 0, "{to}: {answer:?}");
            assert_eq!(answer.peers.get(&to.to_string()), Some(&1), "{to}: {answer:?}");
            second += answer.version("2.0.1");
        }
        assert!((9..=11).contains(&second), "{second} of 100 at {to}");
    }
}

#[test]
fn the_agent_s_own_connections_to_a_frontend_are_left_alone() {
    let shop = open("eastown");
    // The endpoint of `front` is a frontend of `plain`, which the kernel has.
    let web = GATEWAYS.split("---\n").nth(1).unwrap();
    let plain = web.replace("web", "plain").replace("40080", "40082").replace("level: request\n", "");
    let front = "\
name: front
port: 40081/http
level: request
routes:
  one:
    selector: label(app)(front)
";
    let config = format!("{GATEWAYS}---\n{plain}---\n{front}");
    let endpoint = Workload {
        namespace: "default".to_owned(),
        name: "front".to_owned(),
        labels: vec![("app".to_owned(), "front".to_owned())],
        addresses: vec![VIRTUAL[0].parse().unwrap()],
        ports: vec![("http".to_owned(), 40082)],
        ready: true,
    };
    let pods = shop.lab.pods[1..].iter().zip(["1.0.3", "2.0.1"]);
    let workloads: Vec<_> = pods.map(|(pod, version)| workload(pod, version)).chain([endpoint]).collect();
    shop.agent.write_workloads(&Workload::list(&workloads)).unwrap();
    shop.agent.write_config(&config).unwrap();
    let ask = || get(&shop.lab.client().netns, shop.lab.node4(40081), "/", ASKER);
    // Gateways and endpoints are two files: in between the gateway is there, and says 503.
    gateway_tests::wait_until(std::time::Duration::from_secs(10), "the gateway has its endpoint", || {
        ask().is_ok_and(|answer| ![404, 503].contains(&answer.status))
    });
    // Another process of the node is served there.
    let host = process(&shop.lab, &shop.lab.node, "host");
    let said = host.http(virtual_addresses(40082)[0], 10).unwrap();
    assert_eq!(said.answered(), 10, "{said:?}");
    // To the agent nobody listens there.
    let answer = ask().unwrap();
    assert_eq!(answer.status, 502, "{answer:?}");
    let own = shop.lab.cgroup().unwrap().join("agent");
    let inside = fs::read_to_string(own.join("cgroup.procs")).unwrap();
    assert_eq!(inside.trim(), shop.agent.pid().unwrap().to_string());
}

#[test]
fn uninstall_takes_the_hooks_off() {
    let mut shop = open("eastgone");
    assert_eq!(hooks(&shop.lab), 8);
    shop.agent.terminate().unwrap();
    shop.assert_split();
    shop.agent.uninstall().unwrap();
    assert_eq!(hooks(&shop.lab), 0);
    let said = shop.client.tcp(shop.lab.node4(40001), 5).unwrap();
    assert_eq!(said.errors.get("connection refused"), Some(&5), "nobody listens there: {said:?}");
}

#[test]
fn an_agent_that_is_to_serve_no_sockets_takes_its_predecessor_s_hooks_off() {
    let mut shop = open("eastless");
    shop.agent.terminate().unwrap();
    let mut agent = Agent::new(&shop.lab).unwrap();
    agent.write_config(GATEWAYS).unwrap();
    agent.start().unwrap();
    assert_eq!(hooks(&shop.lab), 0);
}

/// Hooks on sockets at the root of the node's control groups.
fn hooks(lab: &Lab) -> usize {
    let tree = lab.node.exec(&format!("bpftool cgroup show {}", lab.cgroup().unwrap().display())).unwrap();
    tree.lines().filter(|line| line.contains("weir_") && !line.contains("weir_cg")).count()
}
