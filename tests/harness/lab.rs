//! The network of a test: clients, a node and pods, each in a namespace of its own.
//!
//! ```text
//! client0 eth0 ────── up0 ┐      ┌ pod0 ────── eth0 pod0
//! client1 eth0 ────── up1 ┤ node ├ pod1 ────── eth0 pod1
//!                         │      └ …
//!                  mate0 ─┘
//!     far0, far1, … ── mate (another node, where asked for)
//! ```
//! Addresses: client `i` is `192.168.i.2` and `fd00:192:i::2`, the node's uplink `i` `192.168.i.1` and
//! `fd00:192:i::1`; pod `i` is `10.77.i.2` and `fd00:77:i::2` behind `10.77.i.1` and `fd00:77:i::1`, or, behind a
//! bridge `cni0`, `10.77.0.(10+i)` and `fd00:77::(10+i)`. `10.200.0.0/16` and `fd00:200::/48` are routed to client 0
//! as well: source addresses for floods. The other node is `172.30.0.2` and `fd00:172::2`, this one to it `172.30.0.1`
//! and `fd00:172::1`, through `mate0`; its pod `i` is `10.88.i.2` and `fd00:88:i::2`. It knows the way to this node's
//! pods, and none to the clients. Offloads are as in life: whole checksums on the wire between client
//! and node, partial ones on the pods' side.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::OwnedFd,
    path::PathBuf,
    sync::Arc,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{Workload, name::Name, netns::Netns, teardown, teardown::Teardown, wire};

/// What a lab is to have.
#[derive(Clone, Debug)]
pub struct LabPlan {
    name: Name,
    clients: usize,
    pods: usize,
    far_pods: usize,
    bridge: bool,
}

impl LabPlan {
    /// One client and no pods. `tag` is a short word in lower case that says whose lab it is.
    pub fn new(tag: &str) -> Self {
        Self { name: Name::unique(tag), clients: 1, pods: 0, far_pods: 0, bridge: false }
    }

    /// Under this name instead.
    #[must_use]
    pub fn named(self, name: Name) -> Self {
        Self { name, ..self }
    }

    /// With so many pods.
    #[must_use]
    pub fn pods(self, pods: usize) -> Self {
        Self { pods, ..self }
    }

    /// With so many pods on another node.
    #[must_use]
    pub fn far_pods(self, far_pods: usize) -> Self {
        Self { far_pods, ..self }
    }

    /// With so many clients, each behind an uplink of its own.
    #[must_use]
    pub fn clients(self, clients: usize) -> Self {
        Self { clients, ..self }
    }

    /// With all pods behind a bridge instead of routed one by one.
    #[must_use]
    pub fn bridge(self) -> Self {
        Self { bridge: true, ..self }
    }

    /// Builds it.
    ///
    /// # Errors
    /// Without root, or where a command of iproute2 or ethtool fails; nothing is left behind then.
    pub fn build(self) -> Result<Lab> {
        ensure!(
            rustix::process::geteuid().is_root(),
            "network namespaces and BPF programs need root: run this as root"
        );
        teardown::remove_stale()?;
        let teardown = Teardown::arm(&self.name)?;
        let dir = self.name.run_dir();
        fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
        let node = Netns::create(&self.name.namespace("node"))?;
        // As on a real node: forwarding, and strict reverse path filtering, which takes an address rewritten
        // at the wrong place for a martian.
        node.sysctl(&[
            ("net.ipv4.ip_forward", "1"),
            ("net.ipv6.conf.all.forwarding", "1"),
            ("net.ipv4.conf.all.rp_filter", "1"),
            ("net.ipv4.conf.default.rp_filter", "1"),
        ])?;
        let mut clients = Vec::new();
        for index in 0..self.clients {
            clients.push(self.add_client(&node, index)?);
        }
        if self.bridge {
            node.ip("link add cni0 type bridge\nlink set cni0 up\naddr add 10.77.0.1/16 dev cni0\n\
                     addr add fd00:77::1/64 dev cni0 nodad\n")?;
        }
        let mut pods = Vec::new();
        for index in 0..self.pods {
            pods.push(self.add_pod(&node, index)?);
        }
        let mate =
            if self.far_pods > 0 { Some(Mate::build(&self.name, &node, self.far_pods)?) } else { None };
        let lab = Lab { clients, node, pods, mate, name: self.name, _teardown: teardown };
        lab.meet()?;
        Ok(lab)
    }

    fn add_client(&self, node: &Netns, index: usize) -> Result<Client> {
        let netns = Netns::create(&self.name.namespace(&format!("client{index}")))?;
        let uplink = format!("up{index}");
        // Many short connections to one address: the whole port range, and room for their TIME_WAIT.
        netns.sysctl(&[("net.ipv4.ip_local_port_range", "1024 65535")])?;
        node.ip(&format!("link add {uplink} type veth peer name eth0 netns {}\n", netns.name()))?;
        node.ip(&format!(
            "addr add 192.168.{index}.1/24 dev {uplink}\n\
             addr add fd00:192:{index}::1/64 dev {uplink} nodad\nlink set {uplink} up\n"
        ))?;
        netns.ip(&format!(
            "addr add 192.168.{index}.2/24 dev eth0\naddr add fd00:192:{index}::2/64 dev eth0 nodad\n\
             link set eth0 up\nroute add default via 192.168.{index}.1\n\
             route add default via fd00:192:{index}::1\n"
        ))?;
        if index == 0 {
            node.ip("route add 10.200.0.0/16 via 192.168.0.2\nroute add fd00:200::/48 via fd00:192:0::2\n")?;
        }
        let end = make_wire(node, &uplink, &netns, "eth0")?;
        let (v4, v6) = (Ipv4Addr::new(192, 168, octet(index), 2), v6(0x192, index, 2));
        Ok(Client { netns, v4, v6, uplink, _end: Arc::new(end) })
    }

    fn add_pod(&self, node: &Netns, index: usize) -> Result<Pod> {
        if !self.bridge {
            return add_routed_pod(&self.name, node, "pod", 77, index);
        }
        let name = format!("pod{index}");
        let netns = Netns::create(&self.name.namespace(&name))?;
        node.ip(&format!(
            "link add {name} type veth peer name eth0 netns {}\nlink set {name} up\n\
             link set {name} master cni0\n",
            netns.name()
        ))?;
        let host = octet(10 + index);
        let (v4, v6) =
            (Ipv4Addr::new(10, 77, 0, host), Ipv6Addr::new(0xfd00, 0x77, 0, 0, 0, 0, 0, u16::from(host)));
        netns.ip(&format!(
            "addr add {v4}/16 dev eth0\naddr add {v6}/64 dev eth0 nodad\nlink set eth0 up\n\
             route add default via 10.77.0.1\nroute add default via fd00:77::1\n"
        ))?;
        Ok(Pod { netns, name, v4, v6 })
    }
}

/// A pod with a route of its own: `<kind><index>` in `10.<net>.<index>.0/24`.
fn add_routed_pod(lab: &Name, node: &Netns, kind: &str, net: u8, index: usize) -> Result<Pod> {
    let name = format!("{kind}{index}");
    let netns = Netns::create(&lab.namespace(&name))?;
    node.ip(&format!(
        "link add {name} type veth peer name eth0 netns {}\nlink set {name} up\n\
         addr add 10.{net}.{index}.1/24 dev {name}\naddr add fd00:{net}:{index}::1/64 dev {name} nodad\n",
        netns.name()
    ))?;
    let v4 = Ipv4Addr::new(10, net, octet(index), 2);
    let v6 = v6(digits(usize::from(net)), index, 2);
    netns.ip(&format!(
        "addr add {v4}/24 dev eth0\naddr add {v6}/64 dev eth0 nodad\nlink set eth0 up\n\
         route add default via 10.{net}.{index}.1\nroute add default via fd00:{net}:{index}::1\n"
    ))?;
    Ok(Pod { netns, name, v4, v6 })
}

/// What makes the two ends of a link a wire: whole checksums, no VLAN tag beside the frame. Delivers at once at the far
/// end for as long as the descriptor lives.
fn make_wire(node: &Netns, device: &str, far: &Netns, far_device: &str) -> Result<OwnedFd> {
    far.exec(&format!("ethtool -K {far_device} tx off txvlan off"))?;
    node.exec(&format!("ethtool -K {device} tx off txvlan off"))?;
    far.run(|| wire::pass_everything(far_device)).context("XDP at the far end of the wire")
}

/// Another node, of which there are only its pods and the way to them.
#[derive(Debug)]
pub struct Mate {
    /// Its namespace; its device towards the node is `eth0`.
    pub netns: Netns,
    /// Its pods.
    pub pods: Vec<Pod>,
    /// The node's end of the link to it.
    pub uplink: String,
    _end: OwnedFd,
}

impl Mate {
    fn build(lab: &Name, node: &Netns, count: usize) -> Result<Self> {
        let netns = Netns::create(&lab.namespace("mate"))?;
        netns.sysctl(&[("net.ipv4.ip_forward", "1"), ("net.ipv6.conf.all.forwarding", "1")])?;
        let uplink = "mate0".to_owned();
        node.ip(&format!("link add {uplink} type veth peer name eth0 netns {}\n", netns.name()))?;
        node.ip(&format!(
            "addr add 172.30.0.1/24 dev {uplink}\naddr add fd00:172::1/64 dev {uplink} nodad\n\
             link set {uplink} up\nroute add 10.88.0.0/16 via 172.30.0.2\n"
        ))?;
        netns.ip(
            "addr add 172.30.0.2/24 dev eth0\naddr add fd00:172::2/64 dev eth0 nodad\nlink set eth0 up\n\
             route add 10.77.0.0/16 via 172.30.0.1\n",
        )?;
        let end = make_wire(node, &uplink, &netns, "eth0")?;
        let pods: Vec<Pod> =
            (0..count).map(|index| add_routed_pod(lab, &netns, "far", 88, index)).collect::<Result<_>>()?;
        for index in 0..count {
            node.ip(&format!("route add fd00:88:{index}::/64 via fd00:172::2\n"))?;
        }
        for index in 0..10 {
            netns.ip(&format!("route add fd00:77:{index}::/64 via fd00:172::1\n"))?;
        }
        for pod in &pods {
            meet(node, pod.v4.into())?;
            meet(node, pod.v6.into())?;
        }
        Ok(Self { netns, pods, uplink, _end: end })
    }
}

/// How often a pod is asked for before it counts as unreachable; an attempt takes about three seconds.
const MEETINGS: usize = 8;

/// A network that is up; taken down when dropped.
#[derive(Debug)]
pub struct Lab {
    /// Clients, each behind its own uplink.
    pub clients: Vec<Client>,
    /// Where the agent runs.
    pub node: Netns,
    /// Pods.
    pub pods: Vec<Pod>,
    /// The other node, where there is one.
    pub mate: Option<Mate>,
    name: Name,
    _teardown: Teardown,
}

/// Waits until an address answers. `ping` gives up, whatever its deadline, when the stack says that the address is
/// unreachable, which it does while a solicitation goes unheard: it is asked again.
fn meet(from: &Netns, address: IpAddr) -> Result<()> {
    let address = address.to_string();
    let mut said = String::new();
    for _ in 0..MEETINGS {
        let ping = ["-n", "-q", "-c", "1", "-i", "0.2", "-w", "15", &address];
        let output = from.command("ping").args(ping).output().context("running ping")?;
        if output.status.success() {
            return Ok(());
        }
        said = String::from_utf8_lossy(&output.stdout).into_owned();
    }
    bail!("{address} does not answer {}: {said}", from.name())
}

impl Lab {
    /// Lets neighbours find each other. On a device that has just come up a neighbour solicitation may go unheard,
    /// for seconds: TCP sends its SYN again, but a lone datagram is lost, and looks as if Weir had lost it.
    fn meet(&self) -> Result<()> {
        for client in &self.clients {
            for pod in &self.pods {
                for address in [IpAddr::from(pod.v4), pod.v6.into()] {
                    meet(&client.netns, address)?;
                }
            }
        }
        Ok(())
    }

    /// Names of all uplinks of the node.
    pub fn uplinks(&self) -> Vec<String> {
        let mate = self.mate.iter().map(|mate| mate.uplink.clone());
        self.clients.iter().map(|client| client.uplink.clone()).chain(mate).collect()
    }

    /// Pods of the other node; none where there is no other.
    pub fn far_pods(&self) -> &[Pod] {
        self.mate.as_ref().map_or(&[], |mate| &mate.pods)
    }

    /// The first client.
    pub fn client(&self) -> &Client {
        &self.clients[0]
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Folder for its files; removed with it.
    pub fn dir(&self) -> PathBuf {
        self.name.run_dir()
    }

    /// The root of the node's control groups.
    ///
    /// # Errors
    /// Where no cgroup2 is mounted, or it cannot be made.
    pub fn cgroup(&self) -> Result<PathBuf> {
        let root = teardown::cgroup_root().context("cgroup2 is mounted nowhere")?;
        let path = root.join(self.name.as_str());
        fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(path)
    }

    /// Where `port` of the node is reached from the first client, over IPv4.
    pub fn node4(&self, port: u16) -> SocketAddr {
        SocketAddr::new(Ipv4Addr::new(192, 168, 0, 1).into(), port)
    }

    /// Where `port` of the node is reached from the first client, over IPv6.
    pub fn node6(&self, port: u16) -> SocketAddr {
        SocketAddr::new(v6(0x192, 0, 1).into(), port)
    }
}

/// A client.
#[derive(Debug)]
pub struct Client {
    /// Its namespace; its device is `eth0`.
    pub netns: Netns,
    /// IPv4 address.
    pub v4: Ipv4Addr,
    /// IPv6 address.
    pub v6: Ipv6Addr,
    /// The node's end of its link.
    pub uplink: String,
    /// What makes its end deliver at once; goes with it.
    _end: Arc<OwnedFd>,
}

/// A pod.
#[derive(Clone, Debug)]
pub struct Pod {
    /// Its namespace; its device is `eth0`, the node's end is called like the pod.
    pub netns: Netns,
    /// Its name, `pod0`.
    pub name: String,
    /// IPv4 address.
    pub v4: Ipv4Addr,
    /// IPv6 address.
    pub v6: Ipv6Addr,
}

impl Pod {
    /// The pod as a ready workload of `app: foo` at `version`, dual stack, with one named port.
    pub fn workload(&self, version: &str, port_name: &str, port: u16) -> Workload {
        Workload {
            namespace: "default".to_owned(),
            name: self.name.clone(),
            labels: vec![("app".to_owned(), "foo".to_owned()), ("version".to_owned(), version.to_owned())],
            addresses: vec![IpAddr::V4(self.v4), IpAddr::V6(self.v6)],
            ports: vec![(port_name.to_owned(), port)],
            ready: true,
        }
    }
}

fn v6(net: u16, index: usize, host: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, net, digits(index), 0, 0, 0, 0, host)
}

/// Numbers are written in decimal in the texts above, hence digits, not a number.
fn digits(number: usize) -> u16 {
    u16::from_str_radix(&number.to_string(), 16).expect("decimal digits are hexadecimal digits")
}

fn octet(number: usize) -> u8 {
    u8::try_from(number).expect("a lab has fewer than 200 clients and pods")
}
