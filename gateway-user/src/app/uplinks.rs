//! The devices that clients come in through, where nobody names them: those of the default routes, and those that
//! have the addresses by which other nodes know this one.

use std::{collections::BTreeSet, fs, net::IpAddr};

use super::node::{DeviceAddresses, NodeError};

/// Finds them, by name.
///
/// # Errors
/// Where the system does not tell its addresses.
pub(super) fn find(internal_ips: &[IpAddr], devices: &DeviceAddresses) -> Result<Vec<String>, NodeError> {
    let table = |name: &str| fs::read_to_string(format!("/proc/thread-self/net/{name}")).unwrap_or_default();
    let v4 = table("route");
    let v6 = table("ipv6_route");
    let routed = v4.lines().filter_map(default_v4).chain(v6.lines().filter_map(default_v6));
    let has_one = |addresses: &BTreeSet<IpAddr>| internal_ips.iter().any(|ip| addresses.contains(ip));
    let known = devices.iter().filter(|(_, addresses)| has_one(addresses)).map(|(name, _)| name.as_str());
    let found: BTreeSet<&str> =
        routed.chain(known).filter(|name| *name != "lo" && devices.contains_key(*name)).collect();
    if found.is_empty() {
        let existing = devices.keys().cloned().collect::<Vec<_>>().join(", ");
        return Err(NodeError::NoUplink { existing });
    }
    Ok(found.into_iter().map(str::to_owned).collect())
}

/// `eth0 00000000 0102000A 0003 0 0 0 00000000 …`: device, destination, …, mask (`proc_net(5)`).
fn default_v4(line: &str) -> Option<&str> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let is_default = fields.get(1) == Some(&"00000000") && fields.get(7) == Some(&"00000000");
    is_default.then(|| fields[0])
}

/// `00…00 00 00…00 00 NEXTHOP METRIC … eth0`: destination and its length, …, the device at the end. The kernel's own
/// entry that refuses everything is on `lo`.
fn default_v6(line: &str) -> Option<&str> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let is_default = fields.first().is_some_and(|to| to.bytes().all(|digit| digit == b'0'))
        && fields.get(1) == Some(&"00");
    is_default.then(|| fields.last().copied()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_routes_of_both_families_are_found() {
        let v4 = [
            "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0",
            "eth1\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0",
            "Iface Destination Gateway",
        ];
        assert_eq!(v4.map(default_v4), [Some("eth0"), None, None]);
        let zero = "0".repeat(32);
        let v6 = [
            format!("{zero} 00 {zero} 00 fe80 00000400 00000001 00000000 00000003     eth2"),
            format!("fd{} 40 {zero} 00 {zero} 1 1 0 1 eth3", "0".repeat(30)),
        ];
        assert_eq!(v6.each_ref().map(|line| default_v6(line)), [Some("eth2"), None]);
    }

    #[test]
    fn the_device_with_the_node_s_address_is_one_and_without_any_it_is_said() {
        let address = IpAddr::from([192, 0, 2, 1]);
        let devices = DeviceAddresses::from([
            ("weir-none".to_owned(), BTreeSet::from([address])),
            ("lo".to_owned(), BTreeSet::from([IpAddr::from([127, 0, 0, 1])])),
        ]);
        assert_eq!(find(&[address], &devices).unwrap(), ["weir-none"]);
        let error = find(&[], &devices).unwrap_err().to_string();
        assert!(error.contains("--interface"), "{error}");
    }
}
