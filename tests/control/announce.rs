//! For an address of a pool one node answers on its network: it holds the address's Lease.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::Duration,
};

use gateway_tests::wait_until;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::Value;
use tokio::{runtime::Builder, select, sync::watch};
use weir::control::agent::announce::{Announcer, Answers, Told};

use crate::{
    server::Server,
    shop::{self, SOON},
};

const NODES: [&str; 2] = ["n1", "n2"];

/// An agent's part in it, with a kernel that does as it is told. Dropping it ends it without a word.
struct Node {
    servable: Option<watch::Sender<BTreeMap<IpAddr, bool>>>,
    in_force: Arc<Mutex<Answers>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.servable.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Node {
    /// With the rights of the shipped roles.
    fn start(server: &Server, name: &str, address: IpAddr) -> Self {
        let config = Kubeconfig::from_yaml(&server.agent_kubeconfig(name)).unwrap();
        let (servable, mut changes) = watch::channel(BTreeMap::from([(address, true)]));
        let in_force: Arc<Mutex<Answers>> = Arc::default();
        let (kernel, name) = (Arc::clone(&in_force), name.to_owned());
        let live = async move {
            let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
            let client = Client::try_from(config).unwrap();
            let mut announcer = Announcer::start(&client, "weir-system", &name);
            loop {
                let in_force = Some(kernel.lock().unwrap().clone());
                let servable = changes.borrow_and_update().clone();
                announcer.tell(Told { servable, in_force, is_leaving: false });
                select! {
                    answers = announcer.changed() => *kernel.lock().unwrap() = answers,
                    news = changes.changed() => if news.is_err() { return },
                }
            }
        };
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let thread = thread::spawn(move || runtime.block_on(live));
        Self { servable: Some(servable), in_force, thread: Some(thread) }
    }

    fn may_answer(&self, address: IpAddr, may: bool) {
        self.servable.as_ref().unwrap().send_replace(BTreeMap::from([(address, may)]));
    }

    fn answers(&self, address: IpAddr) -> bool {
        self.in_force.lock().unwrap().get(&address) == Some(&true)
    }

    fn is_told_of(&self, address: IpAddr) -> bool {
        self.in_force.lock().unwrap().contains_key(&address)
    }
}

fn lease(server: &Server) -> Value {
    server.get("lease", "weir-system", "weir-l2-10-200-0-9")
}

/// A shop with a gateway that has an address of a pool.
fn open() -> (Server, IpAddr) {
    let server = shop::open();
    server.apply("{apiVersion: v1, kind: Node, metadata: {name: n2}}");
    server.apply(
        "{apiVersion: weir.dev/v1, kind: WeirAddressPool, metadata: {name: p}, spec: {addresses: [10.200.0.0/24]}}",
    );
    server.gateway("foo", "{selector: 'true', service: {type: LoadBalancer, loadBalancerIPs: [10.200.0.9]}}");
    wait_until(SOON, "the address has a Lease", || !lease(&server).is_null());
    (server, IpAddr::from([10, 200, 0, 9]))
}

#[test]
fn one_node_answers_for_an_address_and_another_where_it_may_not_or_is_gone() {
    let (server, address) = open();
    let mut nodes: Vec<Option<Node>> =
        NODES.iter().map(|name| Some(Node::start(&server, name, address))).collect();
    let answering = |nodes: &[Option<Node>]| -> Vec<usize> {
        let answers = |at: &usize| nodes[*at].as_ref().is_some_and(|node| node.answers(address));
        (0..nodes.len()).filter(answers).collect()
    };
    wait_until(SOON, "one answers", || answering(&nodes).len() == 1);
    let first = answering(&nodes)[0];
    assert_eq!(lease(&server)["spec"]["holderIdentity"], NODES[first]);
    // It has no endpoint any more, and the Service's policy is Local.
    nodes[first].as_ref().unwrap().may_answer(address, false);
    wait_until(SOON, "the other one answers", || answering(&nodes) == [1 - first]);
    assert_eq!(lease(&server)["spec"]["holderIdentity"], NODES[1 - first]);
    nodes[first].as_ref().unwrap().may_answer(address, true);
    drop(nodes[1 - first].take());
    wait_until(SOON * 2, "the one that is left answers", || answering(&nodes) == [first]);
    server.gateway("foo", "{selector: 'true', service: {type: ClusterIP}}");
    wait_until(SOON, "an address that is nobody's has no Lease", || lease(&server).is_null());
    let left = nodes[first].as_ref().unwrap();
    wait_until(SOON, "it is left to the kernel", || !left.is_told_of(address));
}

#[test]
fn while_the_api_server_is_away_the_holder_answers_on_and_nobody_takes_over_afterwards() {
    let (mut server, address) = open();
    let nodes = NODES.map(|name| Node::start(&server, name, address));
    let answering = || nodes.iter().position(|node| node.answers(address));
    wait_until(SOON, "one answers", || answering().is_some());
    let (holder, before) = (answering(), lease(&server)["spec"].clone());
    server.stop_api();
    // Longer than a Lease lasts.
    gateway_tests::let_pass(Duration::from_secs(17));
    assert_eq!(answering(), holder);
    server.start_api();
    let spec = || lease(&server)["spec"].clone();
    wait_until(SOON, "it is renewed", || !spec().is_null() && spec()["renewTime"] != before["renewTime"]);
    assert_eq!(answering(), holder);
    assert_eq!(spec()["leaseTransitions"], before["leaseTransitions"]);
}

#[test]
fn an_agent_takes_leases_of_addresses_only_and_for_its_own_node_only() {
    let (server, _) = open();
    let patch = |name: &str, holder: &str| {
        let patch = format!("{{\"spec\":{{\"holderIdentity\":\"{holder}\"}}}}");
        server
            .ask_as_agent("n1", &["patch", "lease", "-n", "weir-system", name, "--type=merge", "-p", &patch])
    };
    let says = |result: Result<String, String>, what: &str| result.is_err_and(|error| error.contains(what));
    let name = "weir-l2-10-200-0-9";
    wait_until(SOON, "another node's is refused", || {
        says(patch(name, "n2"), "may hold a Lease for that node only")
    });
    assert!(says(patch("weir-controller", "n1"), "Leases of addresses only"));
    patch(name, "n1").unwrap();
    patch(name, "").unwrap();
}
