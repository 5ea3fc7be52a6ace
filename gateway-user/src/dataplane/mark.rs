//! Marking the agent's upstream sockets, so that the kernel counts their packets per route and endpoint.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher},
    io,
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    sync::Arc,
};

use arc_swap::ArcSwap;
use gateway_common::abi::{backend::NONE, stats::UpstreamMark};
use gateway_model::key::{GatewayKey, RouteName};

use super::{
    error::Error,
    maps::Maps,
    sys::{self, table::Table},
};
use crate::proxy::mark::Mark;

/// Ids by gateway and route.
pub(super) type MarkTable = HashMap<Arc<GatewayKey>, Arc<HashMap<RouteName, RouteMarks>>>;

/// A route's index and its endpoints' backend ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RouteMarks {
    pub(super) route: u32,
    pub(super) backends: HashMap<SocketAddr, u32>,
}

/// In how many pieces ids are kept: a change copies one of them.
const PIECES: usize = 256;

/// Writes `UPSTREAM_MARK`, the storage of a socket, by the socket's descriptor. Shared with the proxy's threads; a
/// call takes no lock.
#[derive(Debug)]
pub(super) struct Marker {
    storage: Table<u32, UpstreamMark>,
    /// By the hash of the gateway's key.
    ids: [ArcSwap<MarkTable>; PIECES],
}

impl Marker {
    pub(super) fn new(maps: &Maps) -> Result<Arc<Self>, Error> {
        let open = || Table::new(sys::clone_fd(&maps.upstream_mark.as_fd())?);
        let storage = open().map_err(Error::map("UPSTREAM_MARK", "open"))?;
        let storage = storage.ok_or(Error::ObjectIncomplete { what: "UPSTREAM_MARK" })?;
        Ok(Arc::new(Self { storage, ids: std::array::from_fn(|_| ArcSwap::default()) }))
    }

    /// Replaces all ids.
    pub(super) fn set_all(&self, ids: &MarkTable) {
        let mut pieces = [const { None::<MarkTable> }; PIECES];
        for (key, marks) in ids {
            pieces[piece(key)].get_or_insert_default().insert(key.clone(), marks.clone());
        }
        for (known, fresh) in self.ids.iter().zip(pieces) {
            known.store(Arc::new(fresh.unwrap_or_default()));
        }
    }

    /// Replaces those of one gateway by what `ids` have.
    pub(super) fn set(&self, key: &GatewayKey, ids: &MarkTable) {
        let known = &self.ids[piece(key)];
        let mut fresh = MarkTable::clone(&known.load());
        match ids.get_key_value(key) {
            Some((key, marks)) => drop(fresh.insert(key.clone(), marks.clone())),
            None => drop(fresh.remove(key)),
        }
        known.store(Arc::new(fresh));
    }
}

fn piece(key: &GatewayKey) -> usize {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(key);
    (hash % PIECES as u64) as usize
}

impl Mark for Marker {
    fn mark(
        &self,
        socket: BorrowedFd<'_>,
        gateway: &GatewayKey,
        route: &RouteName,
        endpoint: SocketAddr,
    ) -> io::Result<()> {
        let ids = self.ids[piece(gateway)].load();
        let marks = ids.get(gateway).and_then(|routes| routes.get(route)).ok_or(io::ErrorKind::NotFound)?;
        let backend = marks.backends.get(&endpoint).copied().unwrap_or(NONE);
        self.storage.set(&socket.as_raw_fd().cast_unsigned(), &UpstreamMark { route: marks.route, backend })
    }
}
