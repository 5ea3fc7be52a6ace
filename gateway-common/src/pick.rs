//! Low-discrepancy picks from a tree: one number, the count of connections so far, says who gets the next one.
//!
//! Each node splits the connections that come to it so that, of any number of them in a row, the left side gets its
//! exact share, give or take less than one: connection `n` goes left where `n·share/total` passes a whole number. Both
//! sides then count their own connections, and how many those are follows from `n` alone: there is nothing to keep but
//! the one count. So of two routes each is within one connection of its share, at any time; of many, and of a route's
//! endpoints, within one for each level of the tree.

use crate::abi::socket::PickNode;

/// Levels of a tree, at most.
pub const DEPTH: u32 = 32;
/// Counts are below this: a share of at most 2^16 times a count fits 64 bits.
pub const COUNTS: u64 = 1 << 40;

/// Where connection `count` (below [`COUNTS`]) of those that come to `node` goes: the place below, and its number among
/// those that go there.
#[inline(always)]
#[must_use]
pub const fn step(node: &PickNode, count: u64) -> (u32, u64) {
    let (share, total) = (node.share as u64, node.total as u64);
    if total == 0 {
        return (node.right, count);
    }
    let lefts = count * share / total;
    if (count + 1) * share / total > lefts { (node.left, lefts) } else { (node.right, count - lefts) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_window_of_connections_has_its_exact_share() {
        for (share, total) in [(1, 100), (410, 4_096), (1, 65_536), (65_535, 65_536), (50, 100), (1, 3)] {
            let node = PickNode { share, total, left: 1, right: 2 };
            for start in [0, 7, 65_535, COUNTS - 1_001] {
                let mut lefts = 0_u64;
                for past in 1..=1_000 {
                    lefts += u64::from(step(&node, start + past - 1).0 == 1);
                    let exact = past * u64::from(share);
                    assert!((lefts * u64::from(total)).abs_diff(exact) < u64::from(total), "{share}/{total}");
                }
            }
        }
    }

    #[test]
    fn one_percent_of_a_hundred_is_one() {
        let node = PickNode { share: 1, total: 100, left: 1, right: 2 };
        for start in 0..200 {
            assert_eq!((start..start + 100).filter(|count| step(&node, *count).0 == 1).count(), 1);
        }
    }

    #[test]
    fn each_side_numbers_its_connections_without_a_gap() {
        let node = PickNode { share: 3, total: 10, left: 1, right: 2 };
        let mut next = [0; 3];
        for count in 0..1_000 {
            let (side, number) = step(&node, count);
            assert_eq!(number, next[side as usize]);
            next[side as usize] += 1;
        }
    }

    #[test]
    fn nothing_and_everything_go_one_way() {
        for (share, side) in [(0, 2), (10, 1)] {
            let node = PickNode { share, total: 10, left: 1, right: 2 };
            assert!((0..100).all(|count| step(&node, count) == (side, count)));
        }
    }
}
