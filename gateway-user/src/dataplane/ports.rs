//! Which ports of the node's mode `nat` gives out: apart from those that connections of the node's own get
//! (`ip_local_port_range`) and from Kubernetes' node ports.

use std::{fs, ops::RangeInclusive};

const EPHEMERAL: &str = "/proc/sys/net/ipv4/ip_local_port_range";
/// Where nothing else is known: Linux' own default.
const EPHEMERAL_DEFAULT: RangeInclusive<u16> = 32_768..=60_999;
const NODE_PORTS: RangeInclusive<u16> = 30_000..=32_767;
/// Above the ephemeral ports as Linux has them.
const PREFERRED: RangeInclusive<u16> = 61_000..=65_535;
/// Below are ports of services.
const LOWEST: u16 = 1_024;

/// Of the network namespace of this thread.
pub(super) fn range() -> RangeInclusive<u16> {
    let text = fs::read_to_string(EPHEMERAL).unwrap_or_default();
    choose(&ephemeral(&text).unwrap_or(EPHEMERAL_DEFAULT))
}

fn ephemeral(text: &str) -> Option<RangeInclusive<u16>> {
    let mut numbers = text.split_whitespace().map(str::parse);
    Some(numbers.next()?.ok()?..=numbers.next()?.ok()?)
}

/// The preferred range, else the largest that overlaps neither of the others, else the preferred one all the same.
fn choose(ephemeral: &RangeInclusive<u16>) -> RangeInclusive<u16> {
    if !overlaps(&PREFERRED, ephemeral) {
        return PREFERRED;
    }
    let mut taken = [ephemeral.clone(), NODE_PORTS];
    taken.sort_by_key(|range| *range.start());
    let mut free = Vec::new();
    let mut next = LOWEST;
    for range in &taken {
        if *range.start() > next {
            free.push(next..=range.start() - 1);
        }
        next = next.max(range.end().saturating_add(1));
    }
    if next < u16::MAX {
        free.push(next..=u16::MAX);
    }
    let largest = free.into_iter().max_by_key(|range| range.end() - range.start());
    largest.filter(|range| range.len() >= PREFERRED.len() / 4).unwrap_or_else(|| {
        tracing::warn!(
            ?ephemeral,
            "ip_local_port_range leaves no ports for connections to pods on other nodes: they share them"
        );
        PREFERRED
    })
}

fn overlaps(one: &RangeInclusive<u16>, other: &RangeInclusive<u16>) -> bool {
    one.start() <= other.end() && other.start() <= one.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_overlaps_neither_ephemeral_nor_node_ports() {
        assert_eq!(choose(&EPHEMERAL_DEFAULT), PREFERRED);
        assert_eq!(choose(&(32_768..=65_535)), 1_024..=29_999);
        assert_eq!(choose(&(10_000..=65_535)), 1_024..=9_999);
        assert_eq!(choose(&(1_024..=61_000)), 61_001..=65_535);
    }

    #[test]
    fn where_nothing_is_left_ports_are_shared() {
        assert_eq!(choose(&(1_024..=65_535)), PREFERRED);
        assert_eq!(choose(&(1_024..=65_500)), PREFERRED);
    }

    #[test]
    fn the_kernels_text_is_read() {
        assert_eq!(ephemeral("32768\t60999\n"), Some(32_768..=60_999));
        assert_eq!(ephemeral(""), None);
    }
}
