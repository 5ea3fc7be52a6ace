//! HTTP/1.1 and 1.0 with a client.

use std::{convert::Infallible, rc::Rc};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{Peer, client_io::ClientIo, link::Link, tunnel};
use crate::proxy::{
    error::Refusal,
    request::{self, Origin},
    worker::Context,
};

/// The fields that the library has room for without allocating.
const INLINE_FIELDS: usize = 100;

/// Serves a connection of which `first` was read.
pub(super) async fn serve(context: &Rc<Context>, peer: Rc<Peer>, stream: TcpStream, first: Vec<u8>) {
    let link = Rc::new(Link::default());
    let io = ClientIo::new(context, Rc::clone(&link), stream, first);
    let service = service_fn(|request| {
        let origin =
            Origin { context: Rc::clone(context), peer: Rc::clone(&peer), link: Some(Rc::clone(&link)) };
        async move { Ok::<_, Infallible>(request::handle(origin, request).await) }
    });
    let served = builder(context).serve_connection(TokioIo::new(io), service).without_shutdown().await;
    let parts = match served {
        Ok(parts) => parts,
        Err(error) => {
            if error.is_parse() {
                context.counters.refuse(Refusal::Malformed);
            }
            tracing::trace!(%error, client = %peer.ends.client, "connection ended");
            return;
        }
    };
    let io = parts.io.into_inner();
    let has_unread = io.has_unread();
    let (stream, held) = io.into_inner();
    if let Some(upgrade) = link.take_tunnel() {
        tunnel::run(context, stream, &[&parts.read_buf, &held], upgrade).await;
    } else if has_unread {
        super::close(context, &stream).await;
    }
}

fn builder(context: &Context) -> http1::Builder {
    let limits = &context.shared.config.limits;
    let mut builder = http1::Builder::new();
    // Time-outs are ours: one timer per connection, not one per request.
    builder.header_read_timeout(None);
    if limits.fields > INLINE_FIELDS {
        builder.max_headers(limits.fields);
    }
    builder
}
