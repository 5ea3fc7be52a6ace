//! A new connection to an endpoint.

use std::{io, net::SocketAddr, os::fd::AsFd, rc::Rc};

use gateway_model::key::{GatewayKey, RouteName};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpSocket, TcpStream};

use super::Sender;
use crate::proxy::{error::Failure, worker::Context};

/// Connects to `address`, an endpoint of `route` of `gateway`, and starts what drives the connection.
pub(in crate::proxy) async fn connect(
    context: &Rc<Context>,
    gateway: &GatewayKey,
    route: &RouteName,
    address: SocketAddr,
) -> Result<Sender, Failure> {
    let socket = open(address).map_err(|error| failed(address, &error))?;
    if let Err(error) = context.shared.mark.mark(socket.as_fd(), gateway, route, address)
        && !context.mark_warned.replace(true)
    {
        tracing::warn!(%error, %gateway, %route, "packets to endpoints are not counted");
    }
    let timer = context.clock.timer();
    timer.set(context.shared.config.timeouts.connect);
    let stream = tokio::select! {
        connected = socket.connect(address) => connected.map_err(|error| failed(address, &error))?,
        () = timer.expired() => {
            tracing::debug!(%address, "connecting took too long");
            return Err(Failure::ConnectTimeout);
        }
    };
    start(stream).await
}

fn open(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

fn failed(address: SocketAddr, error: &io::Error) -> Failure {
    tracing::debug!(%address, %error, "cannot connect");
    Failure::Connect
}

async fn start(stream: TcpStream) -> Result<Sender, Failure> {
    let (sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|_| Failure::EndpointProtocol)?;
    tokio::task::spawn_local(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::trace!(%error, "upstream connection ended");
        }
    });
    Ok(sender)
}
