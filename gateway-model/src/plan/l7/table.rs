//! Who is asked, by where a connection came in and by host.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use super::L7Gateway;
use crate::{gateway::VirtualHost, key::GatewayKey};

/// Longest host name that is looked up, in bytes (RFC 1035 has 253 and a dot).
const LONGEST_HOST: usize = 254;

/// The proxy's table, swapped as a whole; a request takes it once.
///
/// Most changes concern what is in a gateway, not where it answers: names are kept apart, and shared between the tables
/// before and after such a change.
#[derive(Clone, Debug, Default)]
pub struct RouteTable {
    /// By place; nothing in those that are free.
    gateways: Vec<Option<Arc<L7Gateway>>>,
    names: Arc<Names>,
}

/// A gateway's index in [`RouteTable::gateways`].
type Place = u32;

#[derive(Clone, Debug, Default)]
struct Names {
    places: HashMap<GatewayKey, Place>,
    free: Vec<Place>,
    /// Who answers on an address and port; no gateway: a shared port.
    frontends: HashMap<SocketAddr, Option<Place>>,
    /// Gateways by exact virtual host, lower case.
    hosts: HashMap<String, Place>,
    /// Gateways by `*.example.com`, keyed by `example.com`, lower case; the longest match wins.
    wildcards: HashMap<String, Place>,
}

/// Who answers on a frontend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A shared port: the request's host decides; an unknown one is answered 404.
    Shared,
    /// A gateway's own port: it answers every host.
    Gateway(&'a Arc<L7Gateway>),
}

impl RouteTable {
    /// Who answers on an address and port.
    pub fn find_frontend(&self, address: &SocketAddr) -> Option<Entry<'_>> {
        match self.names.frontends.get(address)? {
            None => Some(Entry::Shared),
            Some(place) => self.at(*place).map(Entry::Gateway),
        }
    }

    /// The gateway of a virtual host: an exact name before a wildcard, a longer wildcard before a shorter one.
    /// Case, a `:port` suffix and a dot at the end do not matter. Does not allocate.
    pub fn find_host(&self, host: &str) -> Option<&Arc<L7Gateway>> {
        let Names { hosts, wildcards, .. } = &*self.names;
        let host = crate::condition::without_port(host);
        let host = host.strip_suffix('.').unwrap_or(host);
        let mut buffer = [0; LONGEST_HOST];
        let buffer = buffer.get_mut(..host.len())?;
        buffer.copy_from_slice(host.as_bytes());
        buffer.make_ascii_lowercase();
        let host = std::str::from_utf8(buffer).ok()?;
        let place = hosts.get(host).or_else(|| {
            let suffixes = host.match_indices('.').map(|(dot, _)| &host[dot + 1..]);
            suffixes.filter(|_| !wildcards.is_empty()).find_map(|suffix| wildcards.get(suffix))
        });
        self.at(*place?)
    }

    /// A gateway by its name.
    pub fn find(&self, key: &GatewayKey) -> Option<&Arc<L7Gateway>> {
        self.at(*self.names.places.get(key)?)
    }

    /// Enters a gateway, or takes its newer state; where it answers stays as it is.
    pub fn set(&mut self, gateway: Arc<L7Gateway>) {
        if let Some(place) = self.names.places.get(&gateway.key) {
            self.gateways[*place as usize] = Some(gateway);
            return;
        }
        let names = Arc::make_mut(&mut self.names);
        let place = names.free.pop().unwrap_or_else(|| {
            self.gateways.push(None);
            self.gateways.len() as Place - 1
        });
        names.places.insert(gateway.key.clone(), place);
        self.gateways[place as usize] = Some(gateway);
    }

    /// Lets a gateway that was entered answer for these hosts, and for every host on these addresses and ports.
    pub fn answer<'a>(
        &mut self,
        key: &GatewayKey,
        hosts: &[VirtualHost],
        frontends: impl Iterator<Item = &'a SocketAddr>,
    ) {
        let names = Arc::make_mut(&mut self.names);
        let Some(&place) = names.places.get(key) else { return };
        for host in hosts {
            let (of, name) = names.hosts_like(host);
            of.insert(name.to_owned(), place);
        }
        names.frontends.extend(frontends.map(|address| (*address, Some(place))));
    }

    /// Takes a gateway away that answers for these hosts and on these addresses and ports.
    pub fn remove<'a>(
        &mut self,
        key: &GatewayKey,
        hosts: &[VirtualHost],
        frontends: impl Iterator<Item = &'a SocketAddr>,
    ) {
        let names = Arc::make_mut(&mut self.names);
        let Some(place) = names.places.remove(key) else { return };
        for host in hosts {
            let (of, name) = names.hosts_like(host);
            of.remove(name);
        }
        for address in frontends {
            names.frontends.remove(address);
        }
        names.free.push(place);
        self.gateways[place as usize] = None;
    }

    /// Makes an address and port a shared one.
    pub fn share(&mut self, frontend: SocketAddr) {
        Arc::make_mut(&mut self.names).frontends.insert(frontend, None);
    }

    /// Undoes [`Self::share`]; a gateway's own port is left alone.
    pub fn unshare(&mut self, frontend: &SocketAddr) {
        if self.names.frontends.get(frontend) == Some(&None) {
            Arc::make_mut(&mut self.names).frontends.remove(frontend);
        }
    }

    fn at(&self, place: Place) -> Option<&Arc<L7Gateway>> {
        self.gateways.get(place as usize)?.as_ref()
    }
}

/// Tables are equal that answer alike, whatever the places of their gateways.
impl PartialEq for RouteTable {
    fn eq(&self, other: &Self) -> bool {
        let (mine, others) = (&*self.names, &*other.names);
        let same_hosts = |mine: &HashMap<String, Place>, others: &HashMap<String, Place>| {
            let is_same = |(host, place): (&String, &Place)| {
                others.get(host).is_some_and(|theirs| self.at(*place) == other.at(*theirs))
            };
            mine.len() == others.len() && mine.iter().all(is_same)
        };
        mine.places.len() == others.places.len()
            && self.gateways.iter().flatten().all(|gateway| other.find(&gateway.key) == Some(gateway))
            && mine.frontends.len() == others.frontends.len()
            && mine.frontends.keys().all(|at| self.find_frontend(at) == other.find_frontend(at))
            && same_hosts(&mine.hosts, &others.hosts)
            && same_hosts(&mine.wildcards, &others.wildcards)
    }
}

impl Eq for RouteTable {}

impl Names {
    /// Where a host like this is kept, and as what.
    fn hosts_like<'a>(&mut self, host: &'a VirtualHost) -> (&mut HashMap<String, Place>, &'a str) {
        match host.wildcard() {
            Some(suffix) => (&mut self.wildcards, suffix),
            None => (&mut self.hosts, host.as_str()),
        }
    }
}
