//! A client's connection.

use tokio::net::TcpStream;

use super::accept::{Ends, Open};

/// Serves a connection to its end.
pub(super) async fn connection(open: Open, stream: TcpStream, ends: Ends) {
    tracing::trace!(client = %ends.client, frontend = %ends.frontend, "connection");
    drop((open, stream));
}
