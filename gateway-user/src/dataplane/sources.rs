//! SOURCES: the prefixes that clients may come from, of frontends that do not let in everybody.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use gateway_common::abi::frontend::{Source, SourceKey};
use gateway_model::{key::Protocol, plan::l4};
use ipnet::IpNet;

use super::{error::Error, maps::Maps, shadow::SourceOf};

/// What the maps hold.
pub(super) fn read(maps: &Maps) -> Result<BTreeSet<SourceOf>, Error> {
    let v4 = maps.sources4.entries(u32::MAX).map_err(Error::map("SOURCES4", "read"))?;
    let v6 = maps.sources6.entries(u32::MAX).map_err(Error::map("SOURCES6", "read"))?;
    let v4 = v4.into_iter().filter_map(|(key, _)| source_of(&key));
    Ok(v4.chain(v6.into_iter().filter_map(|(key, _)| source_of(&key))).collect())
}

/// Writes or removes one prefix; one of the other family lets nobody in.
pub(super) fn put(maps: &Maps, (frontend, prefix): &SourceOf, is_wanted: bool) -> Result<(), Error> {
    match (frontend.address.ip(), prefix) {
        (IpAddr::V4(address), IpNet::V4(net)) => {
            let key = key(frontend, address.octets(), net.network().octets(), net.prefix_len());
            let table = &maps.sources4;
            if is_wanted { table.set(&key, &1) } else { table.remove(&key).map(drop) }
                .map_err(Error::map("SOURCES4", "write"))
        }
        (IpAddr::V6(address), IpNet::V6(net)) => {
            let key = key(frontend, address.octets(), net.network().octets(), net.prefix_len());
            let table = &maps.sources6;
            if is_wanted { table.set(&key, &1) } else { table.remove(&key).map(drop) }
                .map_err(Error::map("SOURCES6", "write"))
        }
        _ => Ok(()),
    }
}

fn key<A>(frontend: &l4::Frontend, address: A, client: A, prefix: u8) -> SourceKey<A> {
    let source = Source {
        frontend: address,
        port: frontend.address.port().to_be_bytes(),
        protocol: match frontend.protocol {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
        },
        pad: 0,
        client,
    };
    SourceKey { bits: frontend_bits::<A>() + u32::from(prefix), source }
}

/// Bits of a key before the client's address.
fn frontend_bits<A>() -> u32 {
    8 * (size_of::<Source<A>>() - size_of::<A>()) as u32
}

fn source_of<A: Copy + Into<IpAddr>>(key: &SourceKey<A>) -> Option<SourceOf> {
    let Source { frontend, port, protocol, client, .. } = key.source;
    let address = SocketAddr::new(frontend.into(), u16::from_be_bytes(port));
    let protocol = if protocol == 17 { Protocol::Udp } else { Protocol::Tcp };
    let prefix = u8::try_from(key.bits.checked_sub(frontend_bits::<A>())?).ok()?;
    Some((l4::Frontend { address, protocol }, IpNet::new(client.into(), prefix).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_survives_the_map() {
        let frontend =
            |address: &str| l4::Frontend { address: address.parse().unwrap(), protocol: Protocol::Udp };
        let v4 = (frontend("192.0.2.1:80"), "10.1.0.0/16".parse().unwrap());
        assert_eq!(source_of(&key(&v4.0, [192, 0, 2, 1], [10, 1, 0, 0], 16)), Some(v4));
        let v6 = (frontend("[fd00::1]:80"), "::/0".parse().unwrap());
        let address = "fd00::1".parse::<std::net::Ipv6Addr>().unwrap().octets();
        assert_eq!(source_of(&key(&v6.0, address, [0; 16], 0)), Some(v6));
    }
}
