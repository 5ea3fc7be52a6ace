//! Load balancer addresses out of pools: pure, from what is asked for and what is given already.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::IpNet;
use k8s_openapi::api::core::v1::Service;

use crate::control::{
    agent::facts::Key,
    translate::{PoolSeen, load_balancer_addresses},
};

/// `loadBalancerClass` of those that ask for addresses of a pool.
pub(super) const CLASS: &str = "weir.dev/pool";

/// A Service of Weir's, and the addresses that it asks for.
pub(super) struct Asking<'a> {
    /// Namespace and name.
    pub(super) key: &'a Key,
    /// The Service.
    pub(super) service: &'a Service,
    /// Addresses by choice; none: any.
    pub(super) wanted: &'a [String],
}

/// From the first to the last address.
type Range = (IpAddr, IpAddr);

/// The addresses that each Service is to have, those only that have them of a pool; what a Service has and may have it
/// keeps.
pub(super) fn assign(asking: &[Asking<'_>], pools: &[&PoolSeen]) -> BTreeMap<Key, Vec<IpAddr>> {
    let auto = pools.iter().any(|pool| pool.auto_assign);
    let asking: Vec<(&Asking<'_>, Vec<Range>)> = asking
        .iter()
        .filter_map(|one| {
            let spec =
                one.service.spec.as_ref().filter(|spec| spec.type_.as_deref() == Some("LoadBalancer"))?;
            let is_named = match spec.load_balancer_class.as_deref() {
                Some(CLASS) => true,
                None if auto => false,
                Some(_) | None => return None,
            };
            let usable = pools.iter().filter(|pool| is_named || pool.auto_assign);
            Some((one, usable.flat_map(|pool| ranges(pool)).collect()))
        })
        .collect();
    let mut taken: BTreeSet<IpAddr> = BTreeSet::new();
    let mut given: BTreeMap<Key, Vec<IpAddr>> = BTreeMap::new();
    // What was given stays, before anything new is given out.
    for (one, ranges) in &asking {
        let held = load_balancer_addresses(one.service).into_iter();
        let held =
            held.filter(|held| may_have(one, *held) && ranges.iter().any(|range| contains(range, *held)));
        let kept: Vec<IpAddr> = held.filter(|held| taken.insert(*held)).collect();
        given.insert(one.key.clone(), kept);
    }
    for (one, ranges) in &asking {
        let own = given.entry(one.key.clone()).or_default();
        for is_v6 in families(one.service) {
            if own.iter().any(|address| address.is_ipv6() == is_v6) {
                continue;
            }
            let wanted: Vec<IpAddr> = wanted(one).collect();
            let fresh = if wanted.is_empty() {
                first_free(ranges, is_v6, &taken)
            } else {
                let mut fitting = wanted.into_iter().filter(|address| address.is_ipv6() == is_v6);
                let in_range = |address: &IpAddr| ranges.iter().any(|range| contains(range, *address));
                fitting.find(|address| !taken.contains(address) && in_range(address))
            };
            if let Some(fresh) = fresh {
                taken.insert(fresh);
                own.push(fresh);
            }
        }
    }
    given
}

fn wanted(asking: &Asking<'_>) -> impl Iterator<Item = IpAddr> {
    asking.wanted.iter().filter_map(|text| text.parse().ok())
}

/// Whether an address fits what a Service asks for.
fn may_have(asking: &Asking<'_>, address: IpAddr) -> bool {
    families(asking.service).contains(&address.is_ipv6())
        && (asking.wanted.is_empty() || wanted(asking).any(|wanted| wanted == address))
}

/// Whether IPv6, in the order of the Service's families.
fn families(service: &Service) -> Vec<bool> {
    let spec = service.spec.as_ref();
    let families = spec.and_then(|spec| spec.ip_families.as_ref()).into_iter().flatten();
    families.map(|family| family == "IPv6").collect()
}

fn ranges(pool: &PoolSeen) -> Vec<Range> {
    pool.addresses.iter().filter_map(|text| parse(text.trim())).collect()
}

/// A network, a range or an address. A network's own and its broadcast address (of IPv6 the routers' one) are nobody's.
fn parse(text: &str) -> Option<Range> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some((address, address));
    }
    if let Some((first, last)) = text.split_once('-') {
        let (first, last): (IpAddr, IpAddr) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        return (first.is_ipv4() == last.is_ipv4() && first <= last).then_some((first, last));
    }
    let network = text.parse::<IpNet>().ok()?;
    let (first, last) = (network.network(), network.broadcast());
    Some(match network {
        IpNet::V4(network) if network.prefix_len() < 31 => (step(first, 1)?, step(last, -1)?),
        IpNet::V6(network) if network.prefix_len() < 127 => (step(first, 1)?, last),
        IpNet::V4(_) | IpNet::V6(_) => (first, last),
    })
}

fn contains((first, last): &Range, address: IpAddr) -> bool {
    first.is_ipv4() == address.is_ipv4() && *first <= address && address <= *last
}

/// The next address, or the one before.
fn step(address: IpAddr, by: i8) -> Option<IpAddr> {
    Some(match address {
        IpAddr::V4(address) => {
            Ipv4Addr::from_bits(address.to_bits().checked_add_signed(i32::from(by))?).into()
        }
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits().checked_add_signed(i128::from(by))?).into()
        }
    })
}

fn first_free(ranges: &[Range], is_v6: bool, taken: &BTreeSet<IpAddr>) -> Option<IpAddr> {
    ranges.iter().filter(|(first, _)| first.is_ipv6() == is_v6).find_map(|(first, last)| {
        let mut address = *first;
        while taken.contains(&address) {
            address = step(address, 1)?;
        }
        (address <= *last).then_some(address)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(class: Option<&str>, held: &[&str]) -> Service {
        let ingress: Vec<_> = held.iter().map(|ip| json!({ "ip": ip })).collect();
        serde_json::from_value(json!({
            "metadata": {},
            "spec": { "type": "LoadBalancer", "loadBalancerClass": class, "ipFamilies": ["IPv4", "IPv6"] },
            "status": { "loadBalancer": { "ingress": ingress } },
        }))
        .unwrap()
    }

    fn pool(addresses: &[&str], auto_assign: bool) -> PoolSeen {
        let addresses = addresses.iter().map(|&one| one.to_owned()).collect();
        PoolSeen { key: (String::new(), "p".to_owned()), addresses, auto_assign }
    }

    fn given(services: &[(&str, &Service, &[String])], pool: &PoolSeen) -> BTreeMap<String, Vec<String>> {
        let keys: Vec<Key> = services.iter().map(|(name, ..)| (String::new(), (*name).to_owned())).collect();
        let asking: Vec<_> = services
            .iter()
            .zip(&keys)
            .map(|((_, service, wanted), key)| Asking { key, service, wanted })
            .collect();
        assign(&asking, &[pool])
            .into_iter()
            .map(|((_, name), all)| (name, all.iter().map(ToString::to_string).collect()))
            .collect()
    }

    #[test]
    fn each_gets_one_of_each_family_and_keeps_it() {
        let pool = pool(&["10.200.0.0/30", "fd00::10-fd00::1f"], true);
        let (fresh, holder) = (service(None, &[]), service(None, &["10.200.0.1", "fd00::10"]));
        let all = given(&[("a", &fresh, &[]), ("b", &holder, &[]), ("c", &fresh, &[])], &pool);
        assert_eq!(all["b"], ["10.200.0.1", "fd00::10"]);
        assert_eq!(all["a"], ["10.200.0.2", "fd00::11"]);
        assert_eq!(all["c"], ["fd00::12"], "of the first family none is left");
    }

    #[test]
    fn an_address_by_choice_is_given_where_it_is_free_and_of_the_pool() {
        let pool = pool(&["10.200.0.0/24"], true);
        let fresh = service(None, &[]);
        let (wanted, other) = (["10.200.0.9".to_owned()], ["10.201.0.9".to_owned()]);
        let all = given(&[("a", &fresh, &wanted), ("b", &fresh, &wanted), ("c", &fresh, &other)], &pool);
        assert_eq!((&all["a"][..], all["b"].len(), all["c"].len()), (&["10.200.0.9".to_owned()][..], 0, 0));
    }

    #[test]
    fn who_names_another_provider_or_no_one_is_left_to_others() {
        let named = pool(&["10.200.0.0/24"], false);
        let (ours, others, any) =
            (service(Some(CLASS), &[]), service(Some("x/y"), &[]), service(None, &["192.0.2.1"]));
        let all = given(&[("a", &ours, &[]), ("b", &others, &[]), ("c", &any, &[])], &named);
        assert_eq!(all.keys().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn what_is_no_address_is_no_part_of_a_pool() {
        assert_eq!(parse("10.0.0.9-10.0.0.1"), None);
        assert_eq!(parse("10.0.0.1-fd00::1"), None);
        assert_eq!(parse("10.0.0.0/33"), None);
        assert!(parse("10.0.0.1").is_some());
    }
}
