//! Where a Service's gateway answers, and for whom: as kube-proxy would have it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

use gateway_model::{
    key::Protocol,
    plan::l4::{Access, Frontend, Frontends},
};

use super::facts::{ServiceFacts, ServicePort};

/// The frontends of a gateway: those of its Service, and, with `hostPort`, its port on the node's addresses. Of a
/// port on node addresses that is a node port as well, what the Service says of that counts.
pub(super) fn frontends(
    service: Option<&ServiceFacts>,
    host_port: Option<(u16, Protocol)>,
    node_addresses: &BTreeSet<IpAddr>,
) -> Frontends {
    let mut frontends = BTreeMap::new();
    if let Some((port, protocol)) = host_port {
        let access = Access { is_node_address: true, ..Access::default() };
        let all = node_addresses.iter().map(|address| (at(*address, port, protocol), access.clone()));
        frontends.extend(all);
    }
    let ports = service.into_iter().flat_map(|service| service.ports.iter().map(move |port| (service, port)));
    for (service, port) in ports {
        add(service, port, node_addresses, &mut frontends);
    }
    frontends
}

fn add(service: &ServiceFacts, port: &ServicePort, node: &BTreeSet<IpAddr>, frontends: &mut Frontends) {
    let has_family = |address: &IpAddr| if address.is_ipv4() { service.has_ipv4 } else { service.has_ipv6 };
    let access = |address: &IpAddr, local_only: bool| Access {
        local_only,
        by_client: service.is_by_client,
        sources: Vec::new(),
        is_node_address: node.contains(address),
    };
    let mut answer = |address: IpAddr, port: u16, protocol: Protocol, access: Access| {
        frontends.insert(at(address, port, protocol), access);
    };
    if let Some(node_port) = port.node_port {
        for address in node.iter().filter(|address| has_family(address)) {
            answer(*address, node_port, port.protocol, access(address, service.is_external_local));
        }
    }
    for address in &service.external_ips {
        answer(*address, port.port, port.protocol, access(address, service.is_external_local));
    }
    // Source ranges are the load balancer's: on no other address do they count.
    for address in &service.load_balancer_ips {
        let access =
            Access { sources: service.source_ranges.clone(), ..access(address, service.is_external_local) };
        answer(*address, port.port, port.protocol, access);
    }
    for address in &service.cluster_ips {
        answer(*address, port.port, port.protocol, access(address, service.is_internal_local));
    }
}

fn at(address: IpAddr, port: u16, protocol: Protocol) -> Frontend {
    Frontend { address: SocketAddr::new(address.to_canonical(), port), protocol }
}

/// The addresses that no device has, and that every node is to answer for.
pub(super) fn virtual_addresses<'a>(
    services: impl Iterator<Item = &'a ServiceFacts>,
    node_addresses: &BTreeSet<IpAddr>,
) -> BTreeSet<IpAddr> {
    services
        .flat_map(|service| {
            service.cluster_ips.iter().chain(&service.external_ips).chain(&service.load_balancer_ips)
        })
        .map(IpAddr::to_canonical)
        .filter(|address| !node_addresses.contains(address))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> ServiceFacts {
        ServiceFacts {
            ports: vec![ServicePort { port: 80, node_port: Some(30_080), protocol: Protocol::Tcp }],
            cluster_ips: vec!["10.96.0.9".parse().unwrap(), "fd00:96::9".parse().unwrap()],
            has_ipv4: true,
            has_ipv6: true,
            ..ServiceFacts::default()
        }
    }

    fn node() -> BTreeSet<IpAddr> {
        ["192.0.2.1", "2001:db8::1"].map(|address| address.parse().unwrap()).into()
    }

    fn shown(frontends: &Frontends) -> Vec<String> {
        let mark = |is: bool, mark: &'static str| if is { mark } else { "" };
        let one = |(frontend, access): (&Frontend, &Access)| {
            format!(
                "{}/{}{}{}{}{}",
                frontend.address,
                frontend.protocol,
                mark(access.local_only, " local"),
                mark(access.by_client, " client"),
                mark(access.is_node_address, " node"),
                access
                    .sources
                    .iter()
                    .flat_map(|range| [" ".to_owned(), range.to_string()])
                    .collect::<String>(),
            )
        };
        frontends.iter().map(one).collect()
    }

    #[test]
    fn every_address_of_a_service_answers_in_both_families() {
        let mut service = service();
        service.external_ips = vec!["203.0.113.7".parse().unwrap()];
        let expected = [
            "10.96.0.9:80/tcp",
            "192.0.2.1:30080/tcp node",
            "203.0.113.7:80/tcp",
            "[2001:db8::1]:30080/tcp node",
            "[fd00:96::9]:80/tcp",
        ];
        assert_eq!(shown(&frontends(Some(&service), None, &node())), expected);
        service.has_ipv6 = false;
        service.cluster_ips.pop();
        assert_eq!(shown(&frontends(Some(&service), None, &node())), &expected[..3]);
    }

    #[test]
    fn each_policy_counts_where_it_is_about() {
        let mut service = service();
        service.load_balancer_ips = vec!["198.51.100.4".parse().unwrap()];
        service.source_ranges = vec!["192.0.2.0/24".parse().unwrap()];
        (service.is_external_local, service.is_by_client, service.has_ipv6) = (true, true, false);
        service.cluster_ips.pop();
        let expected = [
            "10.96.0.9:80/tcp client",
            "192.0.2.1:30080/tcp local client node",
            "198.51.100.4:80/tcp local client 192.0.2.0/24",
        ];
        assert_eq!(shown(&frontends(Some(&service), None, &node())), expected);
        (service.is_external_local, service.is_internal_local) = (false, true);
        let expected = [
            "10.96.0.9:80/tcp local client",
            "192.0.2.1:30080/tcp client node",
            "198.51.100.4:80/tcp client 192.0.2.0/24",
        ];
        assert_eq!(shown(&frontends(Some(&service), None, &node())), expected);
    }

    #[test]
    fn a_host_port_answers_on_node_addresses_without_a_service() {
        let expected = ["192.0.2.1:53/udp node", "[2001:db8::1]:53/udp node"];
        assert_eq!(shown(&frontends(None, Some((53, Protocol::Udp)), &node())), expected);
    }

    #[test]
    fn an_address_of_the_node_gets_no_route() {
        let mut service = service();
        service.external_ips = vec!["192.0.2.1".parse().unwrap(), "203.0.113.7".parse().unwrap()];
        let found = virtual_addresses([&service].into_iter(), &node());
        let expected = ["10.96.0.9", "203.0.113.7", "fd00:96::9"].map(|address| address.parse().unwrap());
        assert_eq!(found, BTreeSet::from(expected));
        let all = frontends(Some(&service), None, &node());
        let own = all.keys().find(|frontend| frontend.address.to_string() == "192.0.2.1:80").unwrap();
        assert!(all[own].is_node_address);
    }
}
