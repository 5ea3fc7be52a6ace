//! `ROUTE_NAMES`: what the indices of counters stand for, and how a new agent knows an old one's indices.

use gateway_common::abi::names::RouteNames;
use gateway_model::key::{GatewayKey, RouteName};
use sha2::{Digest as _, Sha256};

/// Identity of a gateway (no route) or a route: indices are given out by it.
pub(super) type Digest = [u8; 16];

/// First half of SHA-256 over namespace, gateway and route, each followed by a zero byte.
pub(super) fn digest(gateway: &GatewayKey, route: Option<&RouteName>) -> Digest {
    let mut hash = Sha256::new();
    for text in [gateway.namespace.as_str(), &gateway.name, route.map_or("", |route| &route.0)] {
        hash.update(text.as_bytes());
        hash.update([0]);
    }
    let full = hash.finalize();
    std::array::from_fn(|at| full[at])
}

/// The entry for people with bpftool and for the next agent.
pub(super) fn entry(gateway: &GatewayKey, route: Option<&RouteName>) -> RouteNames {
    RouteNames {
        digest: digest(gateway, route),
        namespace: padded(&gateway.namespace),
        gateway: padded(&gateway.name),
        route: padded(route.map_or("", |route| &route.0)),
    }
}

/// UTF-8, cut at a character boundary where it is longer than 64 bytes, zero-padded.
fn padded(text: &str) -> [u8; 64] {
    let kept = &text.as_bytes()[..text.floor_char_boundary(64)];
    std::array::from_fn(|at| kept.get(at).copied().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(namespace: &str, name: &str) -> GatewayKey {
        GatewayKey { namespace: namespace.into(), name: name.into() }
    }

    #[test]
    fn digests_keep_the_parts_apart() {
        let one = digest(&key("a", "bc"), None);
        assert_ne!(one, digest(&key("ab", "c"), None));
        assert_ne!(one, digest(&key("a", "b"), Some(&RouteName("c".into()))));
        assert_eq!(one, digest(&key("a", "bc"), None));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let text = padded(&"ä".repeat(40));
        assert_eq!(std::str::from_utf8(&text).unwrap(), "ä".repeat(32));
        let odd = padded(&format!("x{}", "ä".repeat(40)));
        assert_eq!(odd[63], 0);
    }
}
