//! Trees of picks: routes at the top, each with its endpoints below, so that routes are the most exact.

use gateway_common::abi::socket::{PickNode, place};

/// Who has how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    /// Leaves of one route are neighbours.
    pub(super) route: u32,
    /// Backend id.
    pub(super) id: u32,
    /// In slots; more than 0.
    pub(super) share: u32,
}

/// A tree whose places are indices of `nodes`, or leaves.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) nodes: Vec<PickNode>,
    pub(super) root: u32,
}

impl Tree {
    /// Of leaves in the order of their routes; of none, every connection finds nothing.
    pub(super) fn new(leaves: &[Leaf]) -> Self {
        let mut tree = Self { nodes: Vec::with_capacity(leaves.len()), root: place::NONE };
        let routes: Vec<&[Leaf]> = leaves.chunk_by(|one, other| one.route == other.route).collect();
        tree.root = tree.routes(&routes);
        tree
    }

    fn routes(&mut self, routes: &[&[Leaf]]) -> u32 {
        match routes {
            [] => place::NONE,
            [route] => self.endpoints(route),
            _ => {
                let (left, right) = routes.split_at(routes.len() / 2);
                let total = |part: &[&[Leaf]]| part.iter().map(|route| sum(route)).sum();
                let (share, rest): (u32, u32) = (total(left), total(right));
                let (left, right) = (self.routes(left), self.routes(right));
                self.add(PickNode { share, total: share + rest, left, right })
            }
        }
    }

    fn endpoints(&mut self, leaves: &[Leaf]) -> u32 {
        if let [leaf] = leaves {
            return place::LEAF | leaf.id;
        }
        let (left, right) = leaves.split_at(leaves.len() / 2);
        let (share, total) = (sum(left), sum(leaves));
        let (left, right) = (self.endpoints(left), self.endpoints(right));
        self.add(PickNode { share, total, left, right })
    }

    fn add(&mut self, node: PickNode) -> u32 {
        self.nodes.push(node);
        self.nodes.len() as u32 - 1
    }
}

fn sum(leaves: &[Leaf]) -> u32 {
    leaves.iter().map(|leaf| leaf.share).sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use gateway_common::pick::{self, COUNTS};
    use proptest::prelude::*;

    use super::*;

    fn pick(tree: &Tree, count: u64) -> u32 {
        let (mut at, mut count) = (tree.root, count);
        for _ in 0..pick::DEPTH {
            if at & place::LEAF != 0 {
                return at & !place::LEAF;
            }
            (at, count) = pick::step(&tree.nodes[at as usize], count);
        }
        panic!("deeper than {}", pick::DEPTH)
    }

    /// Routes with their endpoints' shares.
    fn leaves(routes: &[Vec<u32>]) -> Vec<Leaf> {
        let mut ids = 16..;
        let leaf = |route: usize, share: u32, id| Leaf { route: route as u32, id, share };
        let shares = routes.iter().enumerate().flat_map(|(at, all)| all.iter().map(move |one| (at, *one)));
        shares.map(|(route, share)| leaf(route, share, ids.next().unwrap())).collect()
    }

    #[test]
    fn one_percent_of_a_hundred_connections_is_one_whatever_the_number_of_endpoints() {
        // 1 % of 4,096 slots is 41; of 1,000 connections 10.
        let tree = Tree::new(&leaves(&[vec![1_014, 1_014, 1_014, 1_013], vec![14, 14, 13]]));
        for start in (0..COUNTS / 2).step_by((COUNTS / 64) as usize) {
            let few = (start..start + 100).filter(|count| pick(&tree, *count) >= 20).count();
            assert!((1..=2).contains(&few), "{few} of 100 at {start}");
            let more = (start..start + 1_000).filter(|count| pick(&tree, *count) >= 20).count();
            assert!((10..=11).contains(&more), "{more} of 1,000 at {start}");
        }
    }

    #[test]
    fn sixteen_thousand_endpoints_are_not_too_deep() {
        let routes = vec![vec![1; 4]; 4_096];
        let tree = Tree::new(&leaves(&routes));
        assert_eq!(tree.nodes.len(), 4 * 4_096 - 1);
        assert!((0..100_000).all(|count| pick(&tree, count * 7_919) >= 16));
    }

    #[test]
    fn of_nobody_nothing_is_picked() {
        assert_eq!(Tree::new(&[]).root, place::NONE);
    }

    proptest! {
        #[test]
        fn a_whole_round_gives_everybody_his_exact_share(
            routes in prop::collection::vec(prop::collection::vec(1_u32..200, 1..6), 1..6), start in 0..COUNTS / 2,
        ) {
            let leaves = leaves(&routes);
            let tree = Tree::new(&leaves);
            let (start, round) = (start, u64::from(sum(&leaves)));
            let mut counts = BTreeMap::new();
            // Twice: after a round it begins again.
            for count in start..start + 2 * round {
                *counts.entry(pick(&tree, count)).or_insert(0_u32) += 1;
            }
            for leaf in leaves {
                // Each level of the tree may be one off where the window cuts it.
                prop_assert!(counts[&leaf.id].abs_diff(2 * leaf.share) <= 6, "{:?}: {counts:?}", leaf);
            }
        }

        #[test]
        fn two_routes_are_never_a_whole_connection_off(
            one in 1_u32..4_096, endpoints in 1_usize..9, start in 0..COUNTS / 2, window in 1_u64..2_000,
        ) {
            let (share, of) = (u64::from(one), 4_096_u64);
            let rest: Vec<u32> = (0..endpoints as u32).map(|at| {
                let rest = 4_096 - one;
                (rest + at) / endpoints as u32
            }).filter(|share| *share > 0).collect();
            let tree = Tree::new(&leaves(&[vec![one], rest]));
            let picked = (start..start + window).filter(|count| pick(&tree, *count) == 16).count() as u64;
            prop_assert!((picked * of).abs_diff(window * share) < of, "{} of {} at {}", picked, window, one);
        }
    }
}
