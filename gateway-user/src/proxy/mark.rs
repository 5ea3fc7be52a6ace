//! Telling the kernel whose packets an upstream connection carries.

use std::{io, net::SocketAddr, os::fd::BorrowedFd};

use gateway_model::key::{GatewayKey, RouteName};

/// Marks upstream sockets, so that the kernel counts their packets for a route and an endpoint. Called once per
/// connection, after `socket` and before `connect`.
pub trait Mark: Send + Sync {
    /// Marks `socket` as carrying requests of `gateway` to `endpoint` of `route`.
    ///
    /// # Errors
    /// Where the kernel refuses; the connection is usable all the same, only uncounted.
    fn mark(
        &self,
        socket: BorrowedFd<'_>,
        gateway: &GatewayKey,
        route: &RouteName,
        endpoint: SocketAddr,
    ) -> io::Result<()>;
}

/// Marks nothing: a proxy without a kernel data plane, as in its own tests.
#[derive(Clone, Copy, Debug)]
pub struct Unmarked;

impl Mark for Unmarked {
    fn mark(&self, _: BorrowedFd<'_>, _: &GatewayKey, _: &RouteName, _: SocketAddr) -> io::Result<()> {
        Ok(())
    }
}
