//! Ports and hosts: the oldest gateway has the first claim.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    discovery::KeptGateway,
    finding::Finding,
    gateway::{Gateway, VirtualHost},
    key::{GatewayKey, Protocol},
    snapshot::{PORTS, Settings},
};

/// What a gateway may have for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Its own port.
    pub port: u16,
    /// Its hosts.
    pub hosts: Vec<VirtualHost>,
}

/// Who gets what.
#[derive(Debug, Default)]
pub(crate) struct Claimed {
    /// By gateway; one that gets no port is not in it, and has a finding.
    pub claims: BTreeMap<GatewayKey, Claim>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// Whose ports gateways have.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PortSpace<'a> {
    /// The machine's, on which others listen on these.
    Machine(&'a BTreeSet<(Protocol, u16)>),
    /// Each its Service's: two may have the same.
    Services,
}

impl<'a> PortSpace<'a> {
    /// As the settings have it.
    pub(crate) fn new(in_use: &'a BTreeSet<(Protocol, u16)>, settings: Settings) -> Self {
        if settings.given_frontends { Self::Services } else { Self::Machine(in_use) }
    }
}

/// Gives out ports and hosts; `kept` knows each of the gateways.
pub(crate) fn settle(
    gateways: &[&Gateway],
    kept: &BTreeMap<GatewayKey, KeptGateway>,
    space: PortSpace<'_>,
) -> Claimed {
    let mut by_age = gateways.to_vec();
    by_age.sort_by_cached_key(|gateway| kept.get(&gateway.key).map_or(u64::MAX, |kept| kept.since));
    let mut ports = Ports::new(&by_age, kept, space);
    let mut hosts: BTreeMap<&VirtualHost, &GatewayKey> = BTreeMap::new();
    let mut out = Claimed::default();
    for gateway in by_age {
        match ports.claim(gateway) {
            Ok(port) => {
                let hosts = claim_hosts(gateway, &mut hosts, &mut out.findings);
                out.claims.insert(gateway.key.clone(), Claim { port, hosts });
            }
            Err(finding) => out.findings.push(finding.at(gateway.place_of("port")).of(&gateway.key)),
        }
    }
    out
}

fn claim_hosts<'a>(
    gateway: &'a Gateway,
    taken: &mut BTreeMap<&'a VirtualHost, &'a GatewayKey>,
    findings: &mut Vec<Finding>,
) -> Vec<VirtualHost> {
    let mut own = Vec::new();
    for (host, place) in &gateway.virtual_hosts {
        if let Some(owner) = taken.get(host) {
            findings.push(
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
        taken.insert(host, &gateway.key);
        own.push(host.clone());
    }
    own
}

/// Who has which port.
struct Ports<'a> {
    taken: BTreeMap<(Protocol, u16), GatewayKey>,
    kept: &'a BTreeMap<GatewayKey, KeptGateway>,
    space: PortSpace<'a>,
    /// Never given out: named by a gateway, recorded for one, or in use.
    reserved: BTreeSet<u16>,
}

impl<'a> Ports<'a> {
    fn new(gateways: &[&Gateway], kept: &'a BTreeMap<GatewayKey, KeptGateway>, space: PortSpace<'a>) -> Self {
        let mut taken = BTreeMap::new();
        let in_use = match space {
            PortSpace::Machine(in_use) => in_use.iter().map(|(_, port)| *port).collect(),
            PortSpace::Services => Vec::new(),
        };
        for port in gateways.iter().flat_map(|gateway| gateway.shared_ports()) {
            taken.insert((Protocol::Tcp, *port), GatewayKey::shared());
        }
        let named = gateways.iter().filter_map(|gateway| gateway.port).map(|port| port.number);
        let recorded = kept.values().filter_map(|kept| kept.port);
        let reserved = named.chain(recorded).chain(in_use).collect();
        Self { taken, kept, space, reserved }
    }

    fn claim(&mut self, gateway: &Gateway) -> Result<u16, Finding> {
        let protocol = gateway.port.map_or(Protocol::Tcp, |port| port.kind.protocol());
        let recorded = self.kept.get(&gateway.key).and_then(|kept| kept.port);
        let port = match gateway.port {
            Some(port) => self.named(gateway, (protocol, port.number), recorded),
            None => self.given_out(gateway, recorded),
        }?;
        self.taken.insert((protocol, port), gateway.key.clone());
        self.reserved.insert(port);
        Ok(port)
    }

    fn named(&self, gateway: &Gateway, port: (Protocol, u16), recorded: Option<u16>) -> Result<u16, Finding> {
        let PortSpace::Machine(in_use) = self.space else { return Ok(port.1) };
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
            None if recorded != Some(port.1) && in_use.contains(&port) => {
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
