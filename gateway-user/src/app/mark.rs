//! The proxy's way to mark sockets, which outlives the data plane that it leads to: while an agent yields there
//! is none, afterwards another.

use std::{io, net::SocketAddr, os::fd::BorrowedFd, sync::Arc};

use arc_swap::ArcSwap;
use gateway_model::key::{GatewayKey, RouteName};

use crate::proxy::mark::Mark;

/// Marks by the data plane that was set last.
pub(super) struct Marks(ArcSwap<Arc<dyn Mark>>);

impl Marks {
    /// Marks by `mark`.
    pub(super) fn new(mark: Arc<dyn Mark>) -> Arc<Self> {
        Arc::new(Self(ArcSwap::from_pointee(mark)))
    }

    /// Marks by `mark` from now on.
    pub(super) fn set(&self, mark: Arc<dyn Mark>) {
        self.0.store(Arc::new(mark));
    }
}

impl Mark for Marks {
    fn mark(
        &self,
        socket: BorrowedFd<'_>,
        gateway: &GatewayKey,
        route: &RouteName,
        endpoint: SocketAddr,
    ) -> io::Result<()> {
        self.0.load().mark(socket, gateway, route, endpoint)
    }
}
