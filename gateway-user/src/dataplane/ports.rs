//! Which ports of the node's mode `nat` gives out: apart from those that connections of the node's own get
//! (`ip_local_port_range` without `ip_local_reserved_ports`) and from Kubernetes' node ports.

use std::{fs, ops::RangeInclusive};

/// Ports from one to another.
type Range = RangeInclusive<u16>;

const EPHEMERAL: &str = "/proc/sys/net/ipv4/ip_local_port_range";
const RESERVED: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";
/// Where nothing else is known: Linux' own default.
const EPHEMERAL_DEFAULT: Range = 32_768..=60_999;
const NODE_PORTS: Range = 30_000..=32_767;
/// Above the ephemeral ports as Linux has them.
const PREFERRED: Range = 61_000..=65_535;
/// Below are ports of services.
const LOWEST: u16 = 1_024;

/// Of the network namespace of this thread.
pub(super) fn range() -> Range {
    let text = |path| fs::read_to_string(path).unwrap_or_default();
    let own = given_out(ephemeral(&text(EPHEMERAL)).unwrap_or(EPHEMERAL_DEFAULT), &reserved(&text(RESERVED)));
    choose(&own)
}

fn ephemeral(text: &str) -> Option<Range> {
    let mut numbers = text.split_whitespace().map(str::parse);
    Some(numbers.next()?.ok()?..=numbers.next()?.ok()?)
}

/// A list of ports and ranges, as in `8080,9000-9010`.
fn reserved(text: &str) -> Vec<Range> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    text.trim().split(',').filter_map(range).collect()
}

/// What the kernel gives to connections of the node's own, in order.
fn given_out(ephemeral: Range, reserved: &[Range]) -> Vec<Range> {
    let mut left = vec![ephemeral];
    for gap in reserved {
        let without = |range: Range| {
            let below = (range.start() < gap.start())
                .then(|| *range.start()..=(*range.end()).min(gap.start().saturating_sub(1)));
            let above = (range.end() > gap.end())
                .then(|| (*range.start()).max(gap.end().saturating_add(1))..=*range.end());
            below.into_iter().chain(above)
        };
        left = left.into_iter().flat_map(without).collect();
    }
    left
}

/// The preferred range, else the largest that overlaps none of the others, else the preferred one all the same.
fn choose(own: &[Range]) -> Range {
    if !own.iter().any(|range| overlaps(&PREFERRED, range)) {
        return PREFERRED;
    }
    let mut taken = [own, &[NODE_PORTS]].concat();
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
            given_out = ?own,
            "ip_local_port_range leaves no ports for connections to pods on other nodes: one of the node's own that gets \
             a port of theirs is not answered; set net.ipv4.ip_local_reserved_ports={}-{} on the node",
            PREFERRED.start(),
            PREFERRED.end()
        );
        PREFERRED
    })
}

fn overlaps(one: &Range, other: &Range) -> bool {
    one.start() <= other.end() && other.start() <= one.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_overlaps_neither_ephemeral_nor_node_ports() {
        assert_eq!(choose(&[EPHEMERAL_DEFAULT]), PREFERRED);
        assert_eq!(choose(&[32_768..=65_535]), 1_024..=29_999);
        assert_eq!(choose(&[10_000..=65_535]), 1_024..=9_999);
        assert_eq!(choose(&[1_024..=61_000]), 61_001..=65_535);
        assert_eq!(choose(&[1_024..=60_999]), PREFERRED);
        assert_eq!(choose(&[1_024..=20_000, 25_000..=65_535]), 20_001..=24_999);
    }

    #[test]
    fn where_nothing_is_left_ports_are_shared() {
        assert_eq!(choose(&[1_024..=65_535]), PREFERRED);
        assert_eq!(choose(&[1_024..=65_500]), PREFERRED);
    }

    #[test]
    fn reserved_ports_are_nobodys() {
        assert_eq!(given_out(1_024..=65_535, &[]), [1_024..=65_535]);
        assert_eq!(given_out(1_024..=65_535, &reserved("61000-65535\n")), [1_024..=60_999]);
        assert_eq!(
            given_out(1_024..=9_000, &reserved("1000-2000,8080,9000-9100")),
            [2_001..=8_079, 8_081..=8_999]
        );
        assert_eq!(given_out(1_024..=9_000, &reserved("1-65535")), []);
        assert_eq!(given_out(1_024..=9_000, &reserved("9001-9100,x,")), [1_024..=9_000]);
    }

    #[test]
    fn the_kernels_text_is_read() {
        assert_eq!(ephemeral("32768\t60999\n"), Some(32_768..=60_999));
        assert_eq!(ephemeral(""), None);
    }
}
