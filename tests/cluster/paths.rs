//! Every way in: from outside, from pods, from nodes, from a pod to itself. On each the weights hold, and pods see the
//! client as is promised.

use std::{collections::BTreeSet, net::IpAddr};

use anyhow::{Context, Result, ensure};
use gateway_tests::cluster::{Asker, Node, Tally};
use serde_json::{Value, json};

use crate::scene::{Entry, NEW, OLD, Pod, SELECTOR, Scene, check_three_to_one, three_to_one, url};

/// Enough to tell three to one from half and half, and from everything.
const ASKED: u32 = 200;

/// What is spoken: how it is called, and the port of its gateway.
#[derive(Clone, Copy, Debug)]
enum Spoken {
    Http,
    Tcp,
    Udp,
}

/// Whom pods may see as the client.
#[derive(Clone, Debug)]
enum Seen {
    /// Exactly these addresses, for all pods.
    Always(Vec<IpAddr>),
    /// This address from pods of the node that was asked; elsewhere the node that was asked.
    KeptOn(Node, IpAddr),
    /// Any of these.
    Within(BTreeSet<IpAddr>),
}

/// One who asks, at one address.
struct Way {
    from: Asker,
    to: String,
    seen: Seen,
}

struct Stage {
    scene: Scene,
    entry: Entry,
    spoken: Spoken,
    pods: Vec<Pod>,
}

#[test]
fn http_is_shared_out_by_weight_on_every_way_in() {
    hold(&Stage::new(Spoken::Http));
}

#[test]
fn tcp_is_shared_out_by_weight_on_every_way_in() {
    hold(&Stage::new(Spoken::Tcp));
}

#[test]
fn udp_is_shared_out_by_weight_on_every_way_in() {
    hold(&Stage::new(Spoken::Udp));
}

#[test]
fn load_balancer_addresses_of_the_pool_are_shared_out_by_weight() {
    let stage = Stage::with(Spoken::Http, "balancer", "LoadBalancer");
    hold(&stage);
}

/// Tries all, and tells of all that do not hold.
fn hold(stage: &Stage) {
    let mut ways = stage.outside_ways();
    ways.extend(stage.node_ways());
    ways.extend(stage.pod_ways());
    let broken: Vec<String> = ways.iter().filter_map(|way| stage.try_way(way).err()).collect();
    let total = ways.len();
    assert!(broken.is_empty(), "{} of {total} ways in do not hold:\n{}", broken.len(), broken.join("\n"));
}

impl Stage {
    fn new(spoken: Spoken) -> Self {
        let tag = match spoken {
            Spoken::Http => "http",
            Spoken::Tcp => "tcp",
            Spoken::Udp => "udp",
        };
        Self::with(spoken, tag, "NodePort")
    }

    fn with(spoken: Spoken, tag: &str, service: &str) -> Self {
        let port = match spoken {
            Spoken::Http => json!(8000),
            Spoken::Tcp => json!("9000/tcp"),
            Spoken::Udp => json!("9001/udp"),
        };
        let scene = Scene::new(tag);
        let nodes = u32::try_from(scene.nodes().len()).unwrap();
        scene.deploy(OLD, nodes);
        scene.deploy(NEW, nodes);
        let mut entry = scene.gateway("in", &spec(&port, service));
        if service == "LoadBalancer" {
            entry = balanced(&scene, &entry);
        }
        no_other_service(&scene);
        let pods = scene.pods(None);
        for pod in &pods {
            scene.meet(pod);
        }
        Self { scene, entry, spoken, pods }
    }

    fn outside_ways(&self) -> Vec<Way> {
        let clients = self.scene.cluster.client_addresses();
        let of_family = |address: &IpAddr| *clients.iter().find(|one| same_family(one, address)).unwrap();
        let way = |to: String, seen| Way { from: Asker::Outside, to, seen };
        let mut ways = Vec::new();
        for node in self.scene.nodes() {
            for address in &node.addresses {
                let seen = Seen::KeptOn(node.clone(), of_family(address));
                ways.push(way(self.entry.at_node(*address).to_string(), seen));
            }
        }
        for address in &self.entry.balancer {
            let mut seen = BTreeSet::from([of_family(address)]);
            seen.extend(self.scene.nodes().iter().flat_map(|node| node.addresses.clone()));
            ways.push(way(self.entry.at(*address).to_string(), Seen::Within(seen)));
        }
        ways
    }

    /// From a node itself, and from a pod in a node's network: pods see an address of that node.
    fn node_ways(&self) -> Vec<Way> {
        let nodes = self.scene.nodes();
        let (first, last) = (&nodes[0], nodes.last().unwrap());
        let mut ways = Vec::new();
        for (node, other, from) in
            [(first, last, Asker::Node(first.clone())), (last, first, self.scene.asker_on_host(&last.name))]
        {
            let seen = Seen::Within(all_addresses(node));
            for to in self.inside(node) {
                ways.push(Way { from: from.clone(), to, seen: seen.clone() });
            }
            ways.extend(self.through(other, &from, &node.addresses));
        }
        ways
    }

    /// From a pod by name and by address, from a pod to itself among others, and from the network of a pod where no
    /// hook of its cgroup sees it.
    fn pod_ways(&self) -> Vec<Way> {
        let nodes = self.scene.nodes();
        let node = &nodes[0];
        let asker = self.scene.asker(&node.name);
        let addresses = self.addresses_of(&asker);
        let mut ways = Vec::new();
        let mut within = self.inside(node);
        within.push(self.by_name());
        for to in within {
            ways.push(Way { from: asker.clone(), to, seen: Seen::Always(addresses.clone()) });
        }
        ways.extend(self.through(nodes.last().unwrap(), &asker, &addresses));
        let own = &self.pods[0];
        let itself = Asker::Pod { namespace: self.scene.namespace.clone(), name: own.name.clone() };
        for to in self.at_cluster_ips() {
            let seen = Seen::Always(own.addresses.clone());
            ways.push(Way { from: itself.clone(), to, seen });
        }
        let Asker::Pod { namespace, name } = asker else { unreachable!("it was made as a pod") };
        for to in self.at_cluster_ips() {
            let mut seen = all_addresses(node);
            seen.extend(addresses.clone());
            let (node, namespace, pod) = (node.clone(), namespace.clone(), name.clone());
            let from = Asker::Network { node, namespace, pod };
            ways.push(Way { from, to, seen: Seen::Within(seen) });
        }
        ways
    }

    /// Through the node port of another node: that node is who shares out.
    fn through(&self, other: &Node, from: &Asker, asker: &[IpAddr]) -> Vec<Way> {
        let way = |address: &IpAddr| {
            let client = asker.iter().find(|one| same_family(one, address)).unwrap();
            let seen = Seen::KeptOn(other.clone(), *client);
            Way { from: from.clone(), to: self.entry.at_node(*address).to_string(), seen }
        };
        other.addresses.iter().map(way).collect()
    }

    fn at_cluster_ips(&self) -> Vec<String> {
        self.entry.cluster_ips.iter().map(|ip| self.entry.at(*ip).to_string()).collect()
    }

    /// Addresses that are asked on a node: the Service's, its load balancer's, and the node's own.
    fn inside(&self, node: &Node) -> Vec<String> {
        let mut all = self.at_cluster_ips();
        all.extend(self.entry.balancer.iter().map(|ip| self.entry.at(*ip).to_string()));
        all.extend(node.addresses.iter().map(|address| self.entry.at_node(*address).to_string()));
        all
    }

    fn by_name(&self) -> String {
        let Entry { name, port, .. } = &self.entry;
        format!("{name}.{}.svc.cluster.local:{port}", self.scene.namespace)
    }

    fn target(&self, to: &str) -> Vec<String> {
        match self.spoken {
            Spoken::Http => vec!["--url".into(), url(to)],
            Spoken::Tcp => vec!["--tcp".into(), to.to_owned()],
            Spoken::Udp => vec!["--udp".into(), to.to_owned()],
        }
    }

    fn addresses_of(&self, asker: &Asker) -> Vec<IpAddr> {
        let Asker::Pod { namespace, name } = asker else { unreachable!("only pods are asked for") };
        let pod = self.scene.cluster.kubectl().json(&["-n", namespace, "get", "pod", name]).unwrap();
        let ips = pod["status"]["podIPs"].as_array().unwrap();
        ips.iter().map(|one| one["ip"].as_str().unwrap().parse().unwrap()).collect()
    }

    fn try_way(&self, way: &Way) -> Result<(), String> {
        let target = self.target(&way.to);
        let target: Vec<&str> = target.iter().map(String::as_str).collect();
        let tell = |errors: &[anyhow::Error]| {
            // The first failure tells as much as all of them.
            let said =
                errors.iter().map(|error| format!("{error:#}").lines().next().unwrap_or_default().to_owned());
            format!("{} → {}: {}", way.from, way.to, said.collect::<Vec<_>>().join("; "))
        };
        let tally = self.scene.cluster.ask(&way.from, ASKED, &target).map_err(|error| tell(&[error]))?;
        // Whom pods saw may be why answers failed to come.
        let seen = self.check_seen(&way.seen, &tally).with_context(|| format!("{:?}", tally.by_client));
        let broken: Vec<_> = [check_three_to_one(&tally), seen].into_iter().filter_map(Result::err).collect();
        if broken.is_empty() { Ok(()) } else { Err(tell(&broken)) }
    }

    fn check_seen(&self, seen: &Seen, tally: &Tally) -> Result<()> {
        let saw: BTreeSet<IpAddr> = tally.by_client.keys().map(|text| text.parse().unwrap()).collect();
        match seen {
            Seen::Always(addresses) => {
                ensure!(saw.iter().all(|one| addresses.contains(one)), "pods are to see {addresses:?} alone");
            }
            Seen::Within(addresses) => {
                ensure!(saw.is_subset(addresses), "pods are to see addresses of {addresses:?} alone");
            }
            Seen::KeptOn(node, client) => {
                let is_here =
                    |name: &String| self.pods.iter().any(|pod| pod.name == *name && pod.node == node.name);
                let here: u64 =
                    tally.by_pod.iter().filter(|(name, _)| is_here(name)).map(|(_, count)| count).sum();
                let kept = tally.by_client.get(&client.to_string()).copied().unwrap_or(0);
                ensure!(
                    here > 0 && tally.by_pod.len() > 2,
                    "pods of all nodes are to answer: {:?}",
                    tally.by_pod
                );
                ensure!(kept >= here, "the {here} answers of pods on {} are to be for {client}", node.name);
                let mut allowed: BTreeSet<IpAddr> = node.addresses.iter().copied().collect();
                allowed.insert(*client);
                ensure!(saw.is_subset(&allowed), "pods are to see {allowed:?} alone");
            }
        }
        Ok(())
    }
}

fn spec(port: &Value, service: &str) -> Value {
    json!({
        "port": port,
        "selector": SELECTOR,
        "routes": three_to_one(),
        "service": { "type": service, "ipFamilyPolicy": "RequireDualStack" },
    })
}

/// The gateway as soon as its load balancer has an address of each family.
fn balanced(scene: &Scene, entry: &Entry) -> Entry {
    let has_both = |gateway: &Value| {
        let addresses = gateway["status"]["service"]["addresses"].as_array();
        addresses.is_some_and(|addresses| addresses.len() == 2)
    };
    scene.wait_for(&entry.name, "given addresses of both families", has_both);
    scene.settled(&entry.name)
}

/// The gateway is the only Service there is.
fn no_other_service(scene: &Scene) {
    let services = scene.cluster.kubectl().list(&["-n", &scene.namespace, "get", "services"]).unwrap();
    let names: Vec<_> = services.iter().map(|service| &service["metadata"]["name"]).collect();
    assert_eq!(names, ["in"], "the application is to have no Service of its own");
}

fn same_family(one: &IpAddr, other: &IpAddr) -> bool {
    one.is_ipv4() == other.is_ipv4()
}

/// Addresses of all devices of a node, those towards its pods included.
fn all_addresses(node: &Node) -> BTreeSet<IpAddr> {
    let said = gateway_tests::netns::run(node.command("ip").unwrap().args(["-json", "address"])).unwrap();
    let devices: Value = serde_json::from_str(&said).unwrap();
    let infos = devices.as_array().into_iter().flatten().filter_map(|device| device["addr_info"].as_array());
    infos.flatten().filter_map(|info| info["local"].as_str()?.parse().ok()).collect()
}
