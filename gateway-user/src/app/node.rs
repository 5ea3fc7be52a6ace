//! What the node itself says: addresses of its devices, and ports that other programs listen on.

mod listening;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

pub(super) use listening::{Listening, listening};

/// A device that does not exist, or addresses that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum NodeError {
    /// No such device.
    #[error("--interface {name}: there is no such network device; there are: {existing}")]
    NoSuchInterface {
        /// Its name.
        name: String,
        /// Those that exist.
        existing: String,
    },
    /// Nothing that could be an uplink.
    #[error(
        "no default route and no device with the node's own address; name the uplinks with --interface; there are: {existing}"
    )]
    NoUplink {
        /// Devices that exist.
        existing: String,
    },
    /// The system does not tell.
    #[error("the addresses of network devices cannot be read: {0}")]
    Unreadable(#[from] nix::Error),
}

/// Addresses of devices by name, those that clients can reach.
pub(super) type DeviceAddresses = BTreeMap<String, BTreeSet<IpAddr>>;

/// Addresses of the devices called `names`; a device without an address has an empty set.
///
/// # Errors
/// A device that does not exist.
pub(super) fn device_addresses(names: &[String]) -> Result<DeviceAddresses, NodeError> {
    let mut all = all_addresses()?;
    if let Some(missing) = names.iter().find(|name| !all.contains_key(*name)) {
        let existing = all.keys().cloned().collect::<Vec<_>>().join(", ");
        return Err(NodeError::NoSuchInterface { name: missing.clone(), existing });
    }
    all.retain(|name, _| names.contains(name));
    Ok(all)
}

/// The same, for devices that existed once: one that is away keeps what it had `before`, so that its gateways
/// answer again as soon as it is back.
pub(super) fn follow_addresses(names: &[String], before: &DeviceAddresses) -> DeviceAddresses {
    let mut all = all_addresses().unwrap_or_default();
    let of = |name: &String| all.remove(name).or_else(|| before.get(name).cloned()).unwrap_or_default();
    names.iter().cloned().zip(names.iter().map(of)).collect()
}

/// Addresses of all devices.
///
/// # Errors
/// Where the system does not tell.
pub(super) fn all_addresses() -> Result<DeviceAddresses, NodeError> {
    let mut all = DeviceAddresses::new();
    for entry in nix::ifaddrs::getifaddrs()? {
        let addresses = all.entry(entry.interface_name).or_default();
        let Some(address) = entry.address else { continue };
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        let v6 = address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip()));
        addresses.extend(v4.or(v6).filter(is_reachable));
    }
    Ok(all)
}

/// A link-local address means something on one link only, and a client would have to name the link.
fn is_reachable(address: &IpAddr) -> bool {
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !address.is_loopback() && !address.is_unspecified() && !is_link_local
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_does_not_exist_is_named_with_those_that_do() {
        let error = device_addresses(&["weir-none".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("--interface weir-none") && error.contains("lo"), "{error}");
        assert!(device_addresses(&["lo".to_owned()]).unwrap()["lo"].is_empty(), "loopback is no frontend");
    }

    #[test]
    fn a_device_that_is_away_keeps_its_addresses() {
        let address = IpAddr::from([192, 0, 2, 1]);
        let before = DeviceAddresses::from([("weir-none".to_owned(), BTreeSet::from([address]))]);
        let now = follow_addresses(&["weir-none".to_owned(), "lo".to_owned()], &before);
        assert_eq!(now["weir-none"], before["weir-none"]);
        assert!(now["lo"].is_empty());
    }
}
