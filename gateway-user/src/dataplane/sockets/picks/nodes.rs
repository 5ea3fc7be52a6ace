//! Who uses which node of `PICK_NODES`.

use std::collections::{HashSet, VecDeque};

use gateway_common::abi::socket::{PickNode, place};

use super::{Error, Words, tree::Tree};

/// Seconds for which a node that no tree has any more is kept from use: a walk that met it is over by then. (One that
/// is not finds its root changed, and is repeated.)
const REST: u32 = 2;

/// `PICK_NODES`: each node is two words.
#[derive(Debug)]
pub(super) struct Nodes {
    words: Words,
    /// Nodes from here on were never used. The first one is not: its index says that there is no tree.
    next: u32,
    free: Vec<u32>,
    /// Freed, with the second.
    resting: VecDeque<(u32, Vec<u32>)>,
}

impl Nodes {
    pub(super) fn new(words: Words) -> Self {
        Self { words, next: 1, free: Vec::new(), resting: VecDeque::new() }
    }

    /// The nodes of a tree that an earlier agent wrote.
    pub(super) fn of_tree(&self, root: u32) -> Vec<u32> {
        let (mut nodes, mut open) = (Vec::new(), vec![root]);
        while let Some(at) = open.pop().filter(|_| nodes.len() < self.end() as usize) {
            if at & place::LEAF == 0 && at != place::NONE && at < self.end() {
                let node = self.load(at);
                open.extend([node.left, node.right]);
                nodes.push(at);
            }
        }
        nodes
    }

    /// Takes over what earlier trees use; all others are free.
    pub(super) fn adopt(&mut self, used: &HashSet<u32>) {
        self.next = used.iter().max().map_or(1, |last| last + 1);
        self.free = (1..self.next).filter(|node| !used.contains(node)).collect();
    }

    /// Whether the tree at `root` is this one.
    pub(super) fn holds(&self, root: u32, tree: &Tree) -> bool {
        let mut open = vec![(root, tree.root)];
        while let Some((at, wanted)) = open.pop() {
            match tree.nodes.get(wanted as usize) {
                Some(want) if at & place::LEAF == 0 && at != place::NONE && at < self.end() => {
                    let node = self.load(at);
                    if (node.share, node.total) != (want.share, want.total) {
                        return false;
                    }
                    open.extend([(node.left, want.left), (node.right, want.right)]);
                }
                None if at == wanted => {}
                _ => return false,
            }
        }
        true
    }

    /// Writes a tree; its root, and its nodes.
    pub(super) fn write(&mut self, tree: &Tree, now: u32) -> Result<(u32, Vec<u32>), Error> {
        while self.resting.front().is_some_and(|(since, _)| since.saturating_add(REST) <= now) {
            self.free.extend(self.resting.pop_front().into_iter().flat_map(|(_, nodes)| nodes));
        }
        let mut taken = Vec::with_capacity(tree.nodes.len());
        for _ in &tree.nodes {
            let Some(node) = self.take() else {
                self.free.append(&mut taken);
                return Err(Error::Full { what: "endpoints to pick from", limit: self.end() });
            };
            taken.push(node);
        }
        let placed = |at: u32| if at & place::LEAF == 0 { taken.get(at as usize).copied() } else { Some(at) };
        let placed = |at: u32| placed(at).unwrap_or(place::NONE);
        for (&at, node) in taken.iter().zip(&tree.nodes) {
            self.store(at, PickNode { left: placed(node.left), right: placed(node.right), ..*node });
        }
        Ok((placed(tree.root), taken))
    }

    /// No tree has these nodes any more.
    pub(super) fn free(&mut self, nodes: Vec<u32>, now: u32) {
        if !nodes.is_empty() {
            self.resting.push_back((now, nodes));
        }
    }

    fn take(&mut self) -> Option<u32> {
        if let Some(node) = self.free.pop() {
            return Some(node);
        }
        if self.next < self.end() {
            self.next += 1;
            return Some(self.next - 1);
        }
        self.free.extend(self.resting.pop_front().into_iter().flat_map(|(_, nodes)| nodes));
        self.free.pop()
    }

    fn end(&self) -> u32 {
        self.words.len() as u32 / 2
    }

    fn load(&self, at: u32) -> PickNode {
        let at = at as usize * 2;
        let ([share, total], [left, right]) = (self.words.load(at), self.words.load(at + 1));
        PickNode { share, total, left, right }
    }

    fn store(&self, at: u32, PickNode { share, total, left, right }: PickNode) {
        let at = at as usize * 2;
        self.words.store(at, [share, total]);
        self.words.store(at + 1, [left, right]);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tree::Leaf, *};

    fn tree(leaves: u32) -> Tree {
        Tree::new(&(0..leaves).map(|at| Leaf { route: at % 3, id: 16 + at, share: 1 }).collect::<Vec<_>>())
    }

    #[test]
    fn nodes_rest_before_they_are_used_again_unless_there_are_no_others() {
        let mut nodes = Nodes::new(Words::anonymous(2 * 8).unwrap());
        let (_, first) = nodes.write(&tree(4), 10).unwrap();
        assert_eq!(first, [1, 2, 3]);
        nodes.free(first, 10);
        assert_eq!(nodes.write(&tree(3), 11).unwrap().1, [4, 5]);
        assert_eq!(nodes.write(&tree(2), 12).unwrap().1, [3], "rested");
        let (_, last) = nodes.write(&tree(5), 12).unwrap();
        assert_eq!(last.len(), 4);
        nodes.free(last, 12);
        assert_eq!(nodes.write(&tree(5), 12).unwrap().1.len(), 4, "no others");
        assert!(matches!(nodes.write(&tree(2), 12), Err(Error::Full { .. })));
    }

    #[test]
    fn a_new_agent_finds_the_nodes_in_use() {
        let words = Words::anonymous(2 * 64).unwrap();
        let mut nodes = Nodes::new(words);
        let (_, gone) = nodes.write(&tree(3), 0).unwrap();
        let (root, mut kept) = nodes.write(&tree(9), 0).unwrap();
        assert!(nodes.holds(root, &tree(9)) && !nodes.holds(root, &tree(8)));
        nodes.free(gone.clone(), 0);
        let mut next = Nodes::new(nodes.words);
        let mut found = next.of_tree(root);
        next.adopt(&found.iter().copied().collect());
        found.sort_unstable();
        kept.sort_unstable();
        assert_eq!(found, kept);
        let (_, mut new) = next.write(&tree(3), 0).unwrap();
        new.sort_unstable();
        assert_eq!(new, gone, "what the old agent had freed is free");
    }
}
