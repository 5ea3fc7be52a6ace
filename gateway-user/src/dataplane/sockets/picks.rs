//! How connections of this node's own sockets are shared out: per ring a tree with the ring's exact shares, from which
//! the connect hooks pick. A new tree is written beside the old one, then the root is changed in one store.

mod nodes;
mod tree;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{BuildHasher, RandomState},
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::Arc,
};

use gateway_common::abi::{
    backend::{AGENT, REFUSE},
    socket::{Pick, place},
};
use gateway_model::plan::l4::Slots;

use self::{
    nodes::Nodes,
    tree::{Leaf, Tree},
};
use super::super::{
    error::Error,
    sys::{self, memory::Words, table::Table},
};

/// A ring's slots in words of the maps. Cheap to compare where a plan is shared, as plans are: an `Arc` equals itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Shares {
    /// Backend ids, REFUSE for those that cannot be used.
    pub(in super::super) members: Arc<[u32]>,
    /// Index of a member per slot; `None`: every slot is the agent's.
    pub(in super::super) slots: Option<Slots>,
}

/// PICKS, `PICK_COUNTS` and `PICK_NODES`.
#[derive(Debug)]
pub(in super::super) struct Picks {
    roots: Words,
    counts: Table<u32, u64>,
    nodes: Nodes,
    trees: HashMap<u32, Written>,
}

/// A tree in the kernel.
#[derive(Debug, Default)]
struct Written {
    nodes: Vec<u32>,
    /// `None`: an earlier agent wrote it.
    shares: Option<Shares>,
}

impl Picks {
    /// Opens the maps pinned in `folder`, and takes over the trees that are there; those of other rings than `rings`
    /// are left-overs and are removed.
    pub(in super::super) fn open(folder: &Path, rings: &HashSet<u32>) -> Result<Self, Error> {
        let mut picks = Self {
            roots: map(folder, "PICKS", 1)?,
            counts: open(folder, "PICK_COUNTS")?,
            nodes: Nodes::new(map(folder, "PICK_NODES", 2)?),
            trees: HashMap::new(),
        };
        for ring in 0..picks.roots.len() as u32 {
            let root = picks.root(ring).root;
            if root != place::NONE && !rings.contains(&ring) {
                picks.set_root(ring, place::NONE);
            } else if root != place::NONE {
                let nodes = picks.nodes.of_tree(root);
                picks.trees.insert(ring, Written { nodes, shares: None });
            }
        }
        let used = picks.trees.values().flat_map(|tree| &tree.nodes).copied().collect();
        picks.nodes.adopt(&used);
        Ok(picks)
    }

    /// Shares connections out as the ring does. `route_of` says which route a backend belongs to: connections are
    /// shared among routes first.
    pub(in super::super) fn set(
        &mut self,
        ring: u32,
        shares: Shares,
        route_of: impl Fn(u32) -> u32,
        now: u32,
    ) -> Result<(), Error> {
        let known = self.trees.get(&ring);
        if known.is_some_and(|tree| tree.shares.as_ref() == Some(&shares)) {
            return Ok(());
        }
        if known.is_none() {
            // A place of this node's own in the sequence of every ring.
            let start = RandomState::new().hash_one(ring);
            self.counts.set(&ring, &start).map_err(Error::map("PICK_COUNTS", "write"))?;
        }
        let tree = Tree::new(&shares.leaves(route_of));
        let (root, nodes) = self.nodes.write(&tree, now)?;
        let old = self.trees.remove(&ring).unwrap_or_default();
        self.set_root(ring, root);
        self.nodes.free(old.nodes, now);
        self.trees.insert(ring, Written { nodes, shares: Some(shares) });
        Ok(())
    }

    /// Takes away the tree of a ring that is to be no more.
    pub(in super::super) fn remove(&mut self, ring: u32, now: u32) {
        if let Some(old) = self.trees.remove(&ring) {
            self.set_root(ring, place::NONE);
            self.nodes.free(old.nodes, now);
        }
    }

    /// Whether connections are shared out as the ring does.
    pub(in super::super) fn holds(&self, ring: u32, shares: &Shares, route_of: impl Fn(u32) -> u32) -> bool {
        self.nodes.holds(self.root(ring).root, &Tree::new(&shares.leaves(route_of)))
    }

    fn root(&self, ring: u32) -> Pick {
        let [root, generation] = self.roots.load(ring as usize);
        Pick { root, generation }
    }

    fn set_root(&self, ring: u32, root: u32) {
        let generation = self.root(ring).generation.wrapping_add(1);
        self.roots.store(ring as usize, [root, generation]);
    }
}

impl Shares {
    fn leaves(&self, route_of: impl Fn(u32) -> u32) -> Vec<Leaf> {
        let Some(slots) = &self.slots else { return vec![Leaf { route: 0, id: AGENT, share: 1 }] };
        let mut counts = vec![0_u32; self.members.len()];
        let mut nobody = 0;
        for slot in slots.iter() {
            *counts.get_mut(usize::from(slot)).unwrap_or(&mut nobody) += 1;
        }
        let mut leaves = BTreeMap::new();
        let members = self.members.iter().copied().zip(counts);
        for (id, count) in members.chain([(REFUSE, nobody)]).filter(|(_, count)| *count > 0) {
            let route = if id == REFUSE { u32::MAX } else { route_of(id) };
            *leaves.entry((route, id)).or_insert(0) += count;
        }
        leaves.into_iter().map(|((route, id), share)| Leaf { route, id, share }).collect()
    }
}

fn open<V: aya::Pod>(folder: &Path, name: &str) -> Result<Table<u32, V>, Error> {
    let path = folder.join(name);
    let table = Table::new(open_pin(&path)?).map_err(Error::pin("inspect", &path))?;
    table.ok_or(Error::MapLayout { path })
}

/// Maps an array whose values are `words` words of 64 bits.
fn map(folder: &Path, name: &'static str, words: usize) -> Result<Words, Error> {
    let path = folder.join(name);
    let fd = open_pin(&path)?;
    let info = sys::map_info(fd.as_fd()).map_err(Error::pin("inspect", &path))?;
    if info.value_size as usize != words * size_of::<u64>() {
        return Err(Error::MapLayout { path });
    }
    Words::map(fd.as_fd(), info.max_entries as usize * words).map_err(Error::map(name, "map"))
}

fn open_pin(path: &Path) -> Result<OwnedFd, Error> {
    sys::open_pin(path).map_err(Error::pin("open", path))
}
