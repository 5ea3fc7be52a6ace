//! The audit: what the kernel counted against what was on the wires.
//!
//! One capture runs on the client's link, one in every pod. The client's tells packets of the TCP gateway,
//! whose connections are attributed to a route by the pod that saw the same client port. What a pod exchanged
//! with the node itself is the upstream leg of requests, counted for the ingress gateway.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use anyhow::{Result, ensure};
use gateway_tests::{
    Capture, came_true,
    capture::{Flow, Seen},
};

use crate::{
    kernel::{self, Counters},
    stage::{INGRESS, NEW, OLD, POD_PORT, Stage, TCP, route},
};

/// What is on its way when the load stops is counted within this time.
const SETTLE: Duration = Duration::from_secs(5);

/// Counters by gateway and route.
type Book = BTreeMap<(String, String), Counters>;

/// Captures on every wire.
#[derive(Debug)]
pub struct Audit {
    client: Capture,
    pods: Vec<(&'static str, Capture)>,
}

impl Audit {
    /// Starts them; nothing may have been sent to a gateway before.
    pub fn start(stage: &Stage) -> Result<Self> {
        let client = Capture::start(&stage.lab.client().netns, "eth0")?;
        let mut pods = Vec::new();
        for (pod, version) in stage.lab.pods.iter().zip([OLD, OLD, NEW, NEW]) {
            pods.push((version, Capture::start(&pod.netns, "eth0")?));
        }
        Ok(Self { client, pods })
    }

    /// Compares the counters of one gateway; nothing may be sent meanwhile.
    ///
    /// # Errors
    /// Where they differ for longer than what is under way takes.
    pub fn compare(&self, stage: &Stage, gateway: &str) -> Result<Vec<(String, Counters)>> {
        let mut wire = Book::new();
        let mut kernel = Book::new();
        let mut failure = None;
        let equal = came_true(SETTLE, || {
            wire = self.wire(stage);
            match kernel::route_counters(&stage.agent.pin_dir()) {
                Ok(counters) => kernel = counters,
                Err(error) => failure = Some(error),
            }
            wire.retain(|(of, _), _| of == gateway);
            kernel.retain(|(of, _), counters| of == gateway && *counters != Counters::default());
            !wire.is_empty() && wire == kernel
        });
        if let Some(error) = failure {
            return Err(error.context("reading the kernel's counters"));
        }
        ensure!(equal, "{gateway}: the kernel counted {kernel:?}, the wire had {wire:?}");
        Ok(kernel.into_iter().map(|((_, route), counters)| (route, counters)).collect())
    }

    /// Ends the captures.
    ///
    /// # Errors
    /// Where one lost packets, so that its figures were worth nothing.
    pub fn stop(self) -> Result<()> {
        self.client.stop()?;
        for (_, capture) in self.pods {
            capture.stop()?;
        }
        Ok(())
    }

    fn wire(&self, stage: &Stage) -> Book {
        let client = SocketAddr::new(stage.lab.client().v4.into(), 0).ip();
        let mut book = Book::new();
        let mut served_by: HashMap<u16, &str> = HashMap::new();
        for ((version, capture), pod) in self.pods.iter().zip(&stage.lab.pods) {
            let own = [IpAddr::from(pod.v4), IpAddr::from(pod.v6)];
            let is_server = |end: SocketAddr| end.port() == POD_PORT && own.contains(&end.ip());
            for (flow, seen) in capture.flows() {
                let Some((peer, inwards)) = peer_of(&flow, is_server) else { continue };
                if peer.ip() == client {
                    served_by.insert(peer.port(), version);
                } else {
                    enter(&mut book, INGRESS, version, inwards, seen);
                }
            }
        }
        for (flow, seen) in self.client.flows() {
            let Some((peer, inwards)) = peer_of(&flow, |end| end == stage.tcp()) else { continue };
            if let Some(version) = served_by.get(&peer.port()) {
                enter(&mut book, TCP, version, inwards, seen);
            }
        }
        book
    }
}

/// The other end of a flow to (`true`) or from a server. Its port alone does not tell: a client may have the same.
fn peer_of(flow: &Flow, is_server: impl Fn(SocketAddr) -> bool) -> Option<(SocketAddr, bool)> {
    if is_server(flow.to) {
        Some((flow.from, true))
    } else if is_server(flow.from) {
        Some((flow.to, false))
    } else {
        None
    }
}

fn enter(book: &mut Book, gateway: &str, version: &str, inwards: bool, seen: Seen) {
    let counters = book.entry((gateway.to_owned(), route(version))).or_default();
    if inwards {
        counters.packets += seen.packets;
        counters.bytes += seen.bytes;
    } else {
        counters.reply_packets += seen.packets;
        counters.reply_bytes += seen.bytes;
    }
}
