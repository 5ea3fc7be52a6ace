//! A process of its own in a namespace and a control group: hooks on control groups see whole processes. It runs
//! `weir-sockets`, which does with sockets what it is told to.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Stdio},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{lab::Lab, netns::Netns};

/// A process that waits for orders; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

/// What came of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// How often each version answered.
    pub versions: BTreeMap<String, u64>,
    /// How often each pod answered.
    pub pods: BTreeMap<String, u64>,
    /// How often each address was shown as the peer's, by getpeername or as the source of a datagram.
    pub peers: BTreeMap<String, u64>,
    /// How often each error came.
    pub errors: BTreeMap<String, u64>,
}

impl Process {
    /// Starts `program`, the path of `weir-sockets`, in a namespace and a control group of the lab's node.
    ///
    /// # Errors
    /// Where it does not start, or the control group cannot be made.
    pub fn start(program: &str, lab: &Lab, inside: &Netns, cgroup: &str) -> Result<Self> {
        let cgroup = lab.cgroup()?.join(cgroup);
        fs::create_dir_all(&cgroup)?;
        let mut command = inside.command(program);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context(program.to_owned())?;
        let stdin = child.stdin.take().context("its standard input")?;
        let stdout = BufReader::new(child.stdout.take().context("its standard output")?);
        let process = Self { pipes: Mutex::new((stdin, stdout)), child };
        process.enter(&cgroup)?;
        Ok(process)
    }

    fn enter(&self, cgroup: &Path) -> Result<()> {
        fs::write(cgroup.join("cgroup.procs"), self.child.id().to_string())
            .with_context(|| format!("entering {}", cgroup.display()))
    }

    /// Makes `count` TCP connections to `to`, one after the other.
    pub fn tcp(&self, to: SocketAddr, count: usize) -> Result<Said> {
        self.order(&format!("tcp {to} {count}"))
    }

    /// Asks once through each of `count` UDP sockets that are connected to `to`.
    pub fn udp(&self, to: SocketAddr, count: usize) -> Result<Said> {
        self.order(&format!("udp {to} {count}"))
    }

    /// Asks once through each of `count` UDP sockets that are not connected.
    pub fn datagrams(&self, to: SocketAddr, count: usize) -> Result<Said> {
        self.order(&format!("datagrams {to} {count}"))
    }

    /// Asks `count` times through one UDP socket that is not connected and stays open between orders.
    pub fn one_socket(&self, to: SocketAddr, count: usize) -> Result<Said> {
        self.order(&format!("one-socket {to} {count}"))
    }

    /// Makes `count` HTTP requests to `to`, each on a connection of its own.
    pub fn http(&self, to: SocketAddr, count: usize) -> Result<Said> {
        self.order(&format!("http {to} {count}"))
    }

    /// Opens `count` TCP connections to `to` and keeps them.
    pub fn hold(&self, to: SocketAddr, count: usize) -> Result<Said> {
        self.order(&format!("hold {to} {count}"))
    }

    /// Connects `count` UDP sockets to `to`, asks once, and keeps them.
    pub fn hold_udp(&self, to: SocketAddr, count: usize) -> Result<Said> {
        self.order(&format!("hold-udp {to} {count}"))
    }

    /// Asks once through each connection and connected socket that is kept.
    pub fn ping(&self) -> Result<Said> {
        self.order("ping")
    }

    fn order(&self, order: &str) -> Result<Said> {
        let mut pipes = self.pipes.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(pipes.0, "{order}")?;
        let mut line = String::new();
        pipes.1.read_line(&mut line)?;
        ensure!(!line.is_empty(), "the process ended at {order:?}");
        let value: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
        Ok(Said {
            versions: counts(&value["versions"]),
            pods: counts(&value["pods"]),
            peers: counts(&value["peers"]),
            errors: counts(&value["errors"]),
        })
    }
}

impl Said {
    /// How often this version answered.
    pub fn version(&self, version: &str) -> u64 {
        self.versions.get(version).copied().unwrap_or(0)
    }

    /// Answers.
    pub fn answered(&self) -> u64 {
        self.versions.values().sum()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn counts(value: &Value) -> BTreeMap<String, u64> {
    let entries = value.as_object().into_iter().flatten();
    entries.map(|(key, count)| (key.clone(), count.as_u64().unwrap_or(0))).collect()
}
