//! Sockets of this node's own processes, which the connect hooks serve: whom they are connected to, and what becomes
//! of those whose endpoint is gone.

mod cuts;
pub(super) mod picks;

use std::{collections::HashSet, path::Path};

use super::{desired::Desired, error::Error, shadow::Shadow};

use cuts::Cuts;
use picks::Picks;

/// What the hooks need.
#[derive(Debug)]
pub(super) struct Sockets {
    pub(super) picks: Picks,
    pub(super) cuts: Cuts,
}

impl Sockets {
    /// Over the maps pinned in `folder`; `rings` are the indices of those that there are.
    pub(super) fn open(folder: &Path, rings: &HashSet<u32>) -> Result<Self, Error> {
        Ok(Self { picks: Picks::open(folder, rings)?, cuts: Cuts::open(folder)? })
    }

    /// What the kernel holds otherwise than desired, in words.
    pub(super) fn differences(&self, desired: &Desired, shadow: &Shadow) -> Vec<String> {
        let route_of = |id| desired.backends.get(&id).map_or(0, |backend| backend.route);
        let rings = desired.rings.iter().filter_map(|(key, want)| Some((shadow.rings.get(key)?.index, want)));
        rings
            .filter(|(ring, want)| !self.picks.holds(*ring, &want.shares(), route_of))
            .map(|(ring, _)| format!("ring {ring}: sockets of this node are served by other shares"))
            .collect()
    }
}
