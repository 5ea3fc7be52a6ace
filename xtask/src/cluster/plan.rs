//! What a cluster consists of: names, addresses and places, all of which follow from its name, its index and its
//! number of nodes. Nothing is ever searched for by pattern: what can exist has a name that is computed here.
//!
//! ```text
//!             host  weir-host0 .254 ┐
//!   weir-client  eth0  .2 ──────────┤ br0 .1 in weir-control: etcd, kube-apiserver,
//!       weir-n1  eth0 .11 ──────────┤        kube-controller-manager, kube-scheduler
//!       weir-n2  eth0 .12 ──────────┘
//! ```
//! Addresses on the link are `172.30.INDEX.HOST` and `fd00:30:INDEX::HOST`, digit for digit the same.

use std::{
    env, fmt,
    net::{Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
};

use anyhow::{Result, ensure};

use crate::cache;

/// Name of the cluster that a developer gets without asking for another.
pub const DEFAULT_NAME: &str = "weir";
/// More nodes than anybody has memory for.
pub const MOST_NODES: u8 = 32;
/// Virtual addresses that the client takes to be on its link: for load balancers. Nobody has them at first.
pub const POOL4: &str = "10.200.0.0/24";
/// The same for IPv6.
pub const POOL6: &str = "fd00:200::/112";
/// Addresses of all pods: a /24 and a /64 a node, with room for thousands of made-up nodes.
pub const PODS: &str = "10.128.0.0/10,fd00:128::/48";
/// Addresses of Services.
pub const SERVICES: &str = "10.96.0.0/16,fd00:96::/112";
/// Where DNS is served.
pub const DNS4: &str = "10.96.0.10";
/// The same over IPv6.
pub const DNS6: &str = "fd00:96::a";
/// Port of the API.
pub const API_PORT: u16 = 6443;

/// An address on the cluster's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host(u8);

impl Host {
    /// Router between the nodes, where the control plane runs.
    pub const CONTROL: Self = Self(1);
    /// Client from outside.
    pub const CLIENT: Self = Self(2);
    /// This machine.
    pub const MACHINE: Self = Self(254);
}

/// A cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// Which of the link's ranges it has.
    pub index: u8,
    /// How many nodes.
    pub nodes: u8,
}

impl Plan {
    /// A cluster of that name.
    ///
    /// # Errors
    /// Where the name does not do for namespaces and folders, or the number is silly.
    pub fn new(name: &str, index: u8, nodes: u8) -> Result<Self> {
        check_name(name)?;
        ensure!((1..=MOST_NODES).contains(&nodes), "{nodes} nodes: 1 to {MOST_NODES} are possible");
        Ok(Self { name: name.to_owned(), index, nodes })
    }

    /// Where everything of it lies.
    pub fn dir(&self) -> Result<PathBuf> {
        Ok(base()?.join(&self.name))
    }

    /// Name of one of its network namespaces: `weir-client`, or `weir-NAME-client`.
    pub fn namespace(&self, what: impl fmt::Display) -> String {
        if self.name == DEFAULT_NAME { format!("weir-{what}") } else { format!("weir-{}-{what}", self.name) }
    }

    /// Name of its control group below the root of cgroup2.
    pub fn cgroup(&self) -> String {
        self.namespace("cluster")
    }

    /// Name of this machine's device on the link.
    pub fn host_device(&self) -> String {
        format!("weir-host{}", self.index)
    }

    /// An IPv4 address on the link.
    pub fn v4(&self, host: Host) -> Ipv4Addr {
        Ipv4Addr::new(172, 30, self.index, host.0)
    }

    /// An IPv6 address on the link, with the same digits.
    pub fn v6(&self, host: Host) -> Ipv6Addr {
        Ipv6Addr::new(0xfd00, 0x30, same_digits(self.index), 0, 0, 0, 0, same_digits(host.0))
    }

    /// The hardware address of a host: the same after a reboot.
    pub fn mac(&self, host: Host) -> String {
        format!("02:57:00:00:{:02x}:{:02x}", self.index, host.0)
    }

    /// Where the API is, as everybody reaches it.
    pub fn api(&self) -> String {
        format!("https://{}:{API_PORT}", self.v4(Host::CONTROL))
    }

    /// Its nodes.
    pub fn nodes(&self) -> impl Iterator<Item = Node> + use<> {
        (1..=self.nodes).map(Node)
    }

    /// The node called that.
    ///
    /// # Errors
    /// Where there is none; the message names those that there are.
    pub fn node(&self, name: &str) -> Result<Node> {
        let node = self.nodes().find(|node| node.to_string() == name);
        node.ok_or_else(|| anyhow::anyhow!("no node {name}: there are n1 to n{}", self.nodes))
    }
}

/// A node, displayed as what Kubernetes calls it: `n1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node(u8);

impl Node {
    /// The one that every cluster has.
    pub const FIRST: Self = Self(1);

    /// Its place on the link.
    pub fn host(self) -> Host {
        Host(10 + self.0)
    }

    /// Addresses of its pods, IPv4.
    pub fn pods4(self) -> String {
        format!("10.128.{}.0/24", self.0)
    }

    /// Addresses of its pods, IPv6.
    pub fn pods6(self) -> String {
        format!("fd00:128:0:{}::/64", self.0)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "n{}", self.0)
    }
}

/// The folder of all clusters: `$WEIR_CLUSTER_DIR`, else `cluster` in the cache folder.
pub fn base() -> Result<PathBuf> {
    let chosen = env::var_os("WEIR_CLUSTER_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let base = chosen.map_or_else(|| Ok(cache::dir()?.join("cluster")), anyhow::Ok)?;
    ensure!(base.is_absolute(), "{}: the clusters' folder must be an absolute path", base.display());
    // A node has folders of its own in these places.
    let hidden = ["/var", "/run", "/sys", "/proc"].into_iter().find(|place| base.starts_with(place));
    if let Some(place) = hidden {
        anyhow::bail!(
            "{}: nodes have a {place} of their own and would not see it: set WEIR_CLUSTER_DIR to another folder",
            base.display()
        );
    }
    Ok(base)
}

/// Whether `name` does for namespaces, control groups and folders.
pub fn check_name(name: &str) -> Result<()> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    ensure!(
        (1..=20).contains(&name.len()) && name.bytes().all(fits) && Path::new(name).file_name().is_some(),
        "cluster name `{name}`: 1 to 20 of a-z, 0-9 and - are possible"
    );
    Ok(())
}

/// The number whose hexadecimal digits are the decimal ones of `number`.
fn same_digits(number: u8) -> u16 {
    u16::from_str_radix(&number.to_string(), 16).expect("decimal digits are hexadecimal digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families_have_the_same_digits() {
        let plan = Plan::new("weir", 7, 3).unwrap();
        let node = plan.node("n3").unwrap();
        assert_eq!(plan.v4(node.host()).to_string(), "172.30.7.13");
        assert_eq!(plan.v6(node.host()).to_string(), "fd00:30:7::13");
        assert_eq!(plan.v6(Host::MACHINE).to_string(), "fd00:30:7::254");
    }

    #[test]
    fn clusters_of_different_names_share_no_namespace() {
        let mine = Plan::new("weir", 0, 2).unwrap();
        let other = Plan::new("n1", 1, 2).unwrap();
        let names = |plan: &Plan| {
            ["control", "client", "cluster", "n1", "n2"].map(|what| plan.namespace(what)).to_vec()
        };
        assert!(names(&mine).iter().all(|name| !names(&other).contains(name)));
    }

    #[test]
    fn names_that_would_not_do_are_refused() {
        for name in ["", "a/b", "..", "Weir", "a b", "a-name-which-is-too-long-by-far"] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert!(Plan::new("weir", 0, 0).is_err());
        assert!(Plan::new("weir", 0, 2).unwrap().node("n3").is_err());
    }
}
