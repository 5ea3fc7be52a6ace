//! Sockets of this node's own processes, which the connect hooks serve: whom they are connected to, and what becomes
//! of those whose endpoint is gone.

mod cuts;
pub(super) mod picks;

use std::{collections::HashSet, path::Path};

use super::error::Error;

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
}
