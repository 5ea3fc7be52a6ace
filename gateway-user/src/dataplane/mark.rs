//! Marking the agent's upstream sockets, so that the kernel counts their packets per route and endpoint.

use std::{
    collections::HashMap,
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

/// Writes `UPSTREAM_MARK`, the storage of a socket, by the socket's descriptor. Shared with the proxy's threads; a
/// call takes no lock.
#[derive(Debug)]
pub(super) struct Marker {
    storage: Table<u32, UpstreamMark>,
    ids: ArcSwap<MarkTable>,
}

impl Marker {
    pub(super) fn new(maps: &Maps) -> Result<Arc<Self>, Error> {
        let open = || Table::new(sys::clone_fd(&maps.upstream_mark.as_fd())?);
        let storage = open().map_err(Error::map("UPSTREAM_MARK", "open"))?;
        let storage = storage.ok_or(Error::ObjectIncomplete { what: "UPSTREAM_MARK" })?;
        Ok(Arc::new(Self { storage, ids: ArcSwap::default() }))
    }

    /// Replaces the ids.
    pub(super) fn set_ids(&self, ids: MarkTable) {
        self.ids.store(Arc::new(ids));
    }
}

impl Mark for Marker {
    fn mark(
        &self,
        socket: BorrowedFd<'_>,
        gateway: &GatewayKey,
        route: &RouteName,
        endpoint: SocketAddr,
    ) -> io::Result<()> {
        let ids = self.ids.load();
        let marks = ids.get(gateway).and_then(|routes| routes.get(route)).ok_or(io::ErrorKind::NotFound)?;
        let backend = marks.backends.get(&endpoint).copied().unwrap_or(NONE);
        self.storage.set(&socket.as_raw_fd().cast_unsigned(), &UpstreamMark { route: marks.route, backend })
    }
}
