//! Ports and hosts: the oldest gateway has the first claim.

use std::collections::{BTreeMap, BTreeSet};

use super::Resolved;
use crate::{
    finding::Finding,
    gateway::{Gateway, VirtualHost},
    key::{GatewayKey, Protocol},
    snapshot::{PORTS, SHARED_PORT, Snapshot},
};

/// What a gateway may have for itself.
pub(super) struct Claim {
    /// Its own port.
    pub port: u16,
    /// Its hosts.
    pub hosts: Vec<VirtualHost>,
}

/// Gives out ports and hosts; a gateway that gets no port is not in the answer, and has a finding.
pub(super) fn settle(snapshot: &Snapshot, out: &mut Resolved) -> BTreeMap<GatewayKey, Claim> {
    let mut by_age: Vec<&Gateway> = Vec::new();
    let mut firsts: BTreeMap<&GatewayKey, &Gateway> = BTreeMap::new();
    for gateway in &snapshot.gateways {
        if let Some(first) = firsts.get(&gateway.key) {
            out.findings.push(crate::gateway::repeated(gateway, first));
            continue;
        }
        firsts.insert(&gateway.key, gateway);
        by_age.push(gateway);
    }
    by_age.sort_by_key(|gateway| out.kept.gateways.get(&gateway.key).map_or(u64::MAX, |kept| kept.since));
    let mut ports = Ports::new(&by_age, snapshot, out);
    let mut hosts: BTreeMap<VirtualHost, GatewayKey> = BTreeMap::new();
    let mut claims = BTreeMap::new();
    for gateway in by_age {
        let Some(port) = ports.claim(gateway, snapshot, out) else { continue };
        let hosts = claim_hosts(gateway, &mut hosts, out);
        claims.insert(gateway.key.clone(), Claim { port, hosts });
    }
    claims
}

fn claim_hosts(
    gateway: &Gateway,
    taken: &mut BTreeMap<VirtualHost, GatewayKey>,
    out: &mut Resolved,
) -> Vec<VirtualHost> {
    let mut own = Vec::new();
    for (host, place) in &gateway.virtual_hosts {
        if let Some(owner) = taken.get(host) {
            out.findings.push(
                Finding::error(
                    "conflicted",
                    format!("virtual host `{host}` belongs to gateway `{owner}`, which named it first"),
                    "remove the host from one of them",
                )
                .at(place)
                .of(&gateway.key),
            );
            continue;
        }
        taken.insert(host.clone(), gateway.key.clone());
        own.push(host.clone());
    }
    own
}

/// Who has which port.
struct Ports {
    taken: BTreeMap<(Protocol, u16), GatewayKey>,
    /// Never given out: named by a gateway, or recorded for one.
    reserved: BTreeSet<u16>,
}

impl Ports {
    fn new(gateways: &[&Gateway], snapshot: &Snapshot, out: &Resolved) -> Self {
        let mut taken = BTreeMap::new();
        if gateways.iter().any(|gateway| !gateway.virtual_hosts.is_empty()) {
            taken.insert((Protocol::Tcp, SHARED_PORT), GatewayKey::shared());
        }
        let named = gateways.iter().filter_map(|gateway| gateway.port).map(|port| port.number);
        let recorded = out.kept.gateways.values().filter_map(|kept| kept.port);
        let in_use = snapshot.ports_in_use.iter().map(|(_, port)| *port);
        Self { taken, reserved: named.chain(recorded).chain(in_use).collect() }
    }

    fn claim(&mut self, gateway: &Gateway, snapshot: &Snapshot, out: &mut Resolved) -> Option<u16> {
        let protocol = gateway.port.map_or(Protocol::Tcp, |port| port.kind.protocol());
        let recorded = out.kept.gateways.get(&gateway.key).and_then(|kept| kept.port);
        let port = match gateway.port {
            Some(port) => self.named(gateway, (protocol, port.number), recorded, snapshot),
            None => self.given_out(gateway, recorded),
        };
        match port {
            Ok(port) => {
                self.taken.insert((protocol, port), gateway.key.clone());
                self.reserved.insert(port);
                Some(port)
            }
            Err(finding) => {
                out.findings.push(finding.at(&gateway.place).of(&gateway.key));
                None
            }
        }
    }

    fn named(
        &self,
        gateway: &Gateway,
        port: (Protocol, u16),
        recorded: Option<u16>,
        snapshot: &Snapshot,
    ) -> Result<u16, Finding> {
        match self.taken.get(&port) {
            Some(owner) if *owner == GatewayKey::shared() => {
                let message = format!("port {} is the one that virtual hosts share", port.1);
                let advice = "leave `port` out and use `virtual_hosts`, or name another port";
                Err(Finding::error("port-shared", message, advice))
            }
            Some(owner) => {
                let message =
                    format!("port {}/{} belongs to gateway `{owner}`, which is older", port.1, port.0);
                Err(Finding::error("port-conflict", message, "name another port, or leave `port` out"))
            }
            // A port that the gateway has already is not taken away by who begins to listen on it later.
            None if recorded != Some(port.1) && snapshot.ports_in_use.contains(&port) => {
                let message = format!(
                    "port {}/{} of gateway `{}` is in use by another program on this machine",
                    port.1, port.0, gateway.key.name
                );
                Err(Finding::error("port-in-use", message, "stop that program, or name another port"))
            }
            None => Ok(port.1),
        }
    }

    fn given_out(&self, gateway: &Gateway, recorded: Option<u16>) -> Result<u16, Finding> {
        let free = |port: &u16| {
            ![Protocol::Tcp, Protocol::Udp].iter().any(|p| self.taken.contains_key(&(*p, *port)))
        };
        let recorded = recorded.filter(|port| PORTS.contains(port) && free(port));
        recorded.or_else(|| PORTS.into_iter().find(|port| !self.reserved.contains(port))).ok_or_else(|| {
            let message = format!(
                "no port from {} to {} is free for `{}`",
                PORTS.start(),
                PORTS.end(),
                gateway.key.name
            );
            Finding::error("no-free-port", message, "name a port with `port: …`, or stop what uses them")
        })
    }
}
