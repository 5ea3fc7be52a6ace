//! Which workloads are a gateway's, which route each belongs to, and the one port it is reached on.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

use super::{Endpoint, World};
use crate::{
    finding::{Finding, Place},
    gateway::{Gateway, PortType, Route},
    key::RouteName,
    selector::{Candidate, Selector},
    workload::Workload,
};

/// A route that a selector found.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// When its oldest workload was made, seconds since 1970.
    pub oldest: u64,
    /// Its endpoints.
    pub endpoints: BTreeMap<SocketAddr, Endpoint>,
}

/// What a selector, written at `place`, finds, by route, whatever the order of workloads. Findings about ports are
/// added, one of a kind.
pub(super) fn find(
    gateway: &Gateway,
    selector: &Selector,
    place: &Place,
    world: &World<'_>,
    findings: &mut Vec<Finding>,
) -> BTreeMap<RouteName, Found> {
    let mut routes: BTreeMap<RouteName, Found> = BTreeMap::new();
    let mut complaints: BTreeMap<&'static str, (Finding, usize)> = BTreeMap::new();
    for number in world.index.candidates(&gateway.key.namespace, selector) {
        let workload = &world.workloads[*number as usize];
        for (address, outcome) in choose(selector, workload, gateway.kind()) {
            match outcome {
                Ok(Some((name, port))) => {
                    let found = routes.entry(name).or_insert(Found { oldest: u64::MAX, ..Found::default() });
                    found.oldest = found.oldest.min(age(workload, world));
                    if let (Some(address), Some(port)) = (address, port) {
                        found.add(endpoint(SocketAddr::new(address, port), Some(workload), gateway, world));
                    }
                }
                Ok(None) => {}
                Err(complaint) => complain(&mut complaints, complaint),
            }
        }
    }
    for (mut complaint, count) in complaints.into_values() {
        if count > 1 {
            complaint.message = format!("{} (and {} more like it)", complaint.message, count - 1);
        }
        findings.push(complaint.at(place).of(&gateway.key));
    }
    routes
}

impl Found {
    /// Of several workloads with one address a ready one counts, then the one whose name comes first.
    fn add(&mut self, endpoint: Endpoint) {
        match self.endpoints.get_mut(&endpoint.address) {
            Some(known) if known.rank() <= endpoint.rank() => {}
            Some(known) => *known = endpoint,
            None => {
                self.endpoints.insert(endpoint.address, endpoint);
            }
        }
    }
}

impl Endpoint {
    fn rank(&self) -> (bool, &str) {
        (!self.ready, &self.workload)
    }
}

/// Of several complaints of a kind the one whose text comes first is told.
fn complain(complaints: &mut BTreeMap<&'static str, (Finding, usize)>, complaint: Finding) {
    match complaints.get_mut(complaint.code) {
        Some((first, count)) => {
            *count += 1;
            if complaint.message < first.message {
                *first = complaint;
            }
        }
        None => {
            complaints.insert(complaint.code, (complaint, 1));
        }
    }
}

/// Whether a workload has a part in what a selector finds, or in what it complains of.
pub(crate) fn concerns(selector: &Selector, workload: &Workload, kind: PortType) -> bool {
    choose(selector, workload, kind).any(|(_, outcome)| !matches!(outcome, Ok(None)))
}

/// When a workload was made, as far as is known.
fn age(workload: &Workload, world: &World<'_>) -> u64 {
    let first_seen = || world.seen.get(&workload.identity()).map_or(u64::MAX, |seen| seen.first);
    workload.created.unwrap_or_else(first_seen)
}

/// The endpoints of an external route `[host:port]`, all addresses of the host; a finding where there are none, or
/// where one must not be an endpoint.
pub(super) fn external(
    gateway: &Gateway,
    route: &Route,
    world: &World<'_>,
) -> Option<Result<Vec<Endpoint>, Finding>> {
    let (host, port) = route.external()?;
    let addresses = match host.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) => world.external.names.get(&host.to_ascii_lowercase()).cloned().unwrap_or_default(),
    };
    if addresses.is_empty() {
        let message = format!("route `{}` leads to a host of which no address is known", route.name);
        let advice = "see whether the name is right and can be looked up here, or write the address";
        return Some(Err(Finding::warning("external-unresolved", message, advice).at(&route.place)));
    }
    let endpoints = addresses.into_iter().map(|address| {
        let address = address.to_canonical();
        match refusal(address, world) {
            None => Ok(endpoint(SocketAddr::new(address, port), None, gateway, world)),
            Some(what) => Err(Finding::error(
                "external-refused",
                format!("route `{}` leads to {what}, {address}", route.name),
                "name an address of another machine, or have a policy allow it",
            )
            .at(&route.place)),
        }
    });
    Some(endpoints.collect())
}

/// Why an external route must not lead there.
fn refusal(address: IpAddr, world: &World<'_>) -> Option<&'static str> {
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    if address.is_unspecified() || address.is_multicast() {
        // No policy makes these an address of anybody.
        return Some("an address that nobody has");
    }
    if world.external.allowed.iter().any(|network| network.contains(&address)) {
        return None;
    }
    if address.is_loopback() {
        Some("an address of the machine itself")
    } else if is_link_local {
        Some("a link-local address")
    } else if world.addresses.contains(&address) {
        Some("an address of this node")
    } else {
        None
    }
}

/// An endpoint of a workload, or an external one. Clients of one on another node come to it with this node's address.
fn endpoint(
    address: SocketAddr,
    workload: Option<&Workload>,
    gateway: &Gateway,
    world: &World<'_>,
) -> Endpoint {
    let is_local = match (workload.and_then(|workload| workload.node.as_deref()), world.node) {
        (Some(node), Some(own)) => node == own,
        (None, _) | (_, None) => !world.through_uplink.contains(&address.ip()),
    };
    Endpoint {
        address,
        ready: workload.is_none_or(|workload| workload.ready),
        is_local,
        usable_at_l4: is_local || !gateway.preserve_client_ip,
        workload: workload.map(|workload| workload.name.clone()).unwrap_or_default(),
    }
}

/// For each address of a workload (once without, if it has none): the route and the port, where it matches.
type Chosen = Result<Option<(RouteName, Option<u16>)>, Finding>;

fn choose<'a>(
    selector: &'a Selector,
    workload: &'a Workload,
    kind: PortType,
) -> impl Iterator<Item = (Option<IpAddr>, Chosen)> + 'a {
    let addresses = workload.addresses.iter().copied().map(Some);
    let none = workload.addresses.is_empty().then_some(None);
    addresses.chain(none).map(move |address| (address, choose_port(selector, workload, address, kind)))
}

fn choose_port(selector: &Selector, workload: &Workload, address: Option<IpAddr>, kind: PortType) -> Chosen {
    let captures = |port: Option<usize>| selector.captures(&Candidate { workload, address, port });
    if selector.asks_for_port() && !workload.ports.is_empty() {
        let matching: Vec<(usize, BTreeSet<String>)> =
            (0..workload.ports.len()).filter_map(|index| Some((index, captures(Some(index))?))).collect();
        return match matching.as_slice() {
            [] => Ok(None),
            [(index, groups)] => {
                Ok(Some((RouteName::from_captured(groups), Some(workload.ports[*index].port))))
            }
            several => {
                let ports: Vec<usize> = several.iter().map(|(index, _)| *index).collect();
                Err(ambiguous(workload, &ports))
            }
        };
    }
    let Some(groups) = captures(None) else { return Ok(None) };
    let name = RouteName::from_captured(&groups);
    if address.is_none() {
        return Ok(Some((name, None)));
    }
    let called = |name: &str| workload.ports.iter().find(|port| port.name == name);
    // TLS ends at the gateway: behind it http is spoken, unless a port says otherwise.
    let named = called(kind.name()).or_else(|| (kind == PortType::Https).then(|| called("http")).flatten());
    match (named, workload.ports.as_slice()) {
        (Some(port), _) | (None, [port]) => Ok(Some((name, Some(port.port)))),
        (None, []) => Err(Finding::error(
            "no-port",
            format!("workload `{}` matches the selector and has no port", workload.name),
            "declare its port",
        )),
        (None, several) => Err(ambiguous(workload, &(0..several.len()).collect::<Vec<_>>())),
    }
}

fn ambiguous(workload: &Workload, ports: &[usize]) -> Finding {
    let ports: Vec<String> = ports
        .iter()
        .filter_map(|index| workload.ports.get(*index))
        .map(|port| {
            if port.name.is_empty() {
                port.port.to_string()
            } else {
                format!("{} ({})", port.port, port.name)
            }
        })
        .collect();
    Finding::error(
        "ambiguous-port",
        format!(
            "workload `{}` has more than one port that could be meant: {}",
            workload.name,
            ports.join(", ")
        ),
        "add `&& port(…)` or `&& index(…)` to the selector, or name the port like the gateway's protocol",
    )
}
