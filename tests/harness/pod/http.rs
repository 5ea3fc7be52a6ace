//! The HTTP server of a pod.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use super::{Identity, stopped};

pub(super) async fn serve(
    listener: std::net::TcpListener,
    identity: Identity,
    served: Arc<AtomicU64>,
    mut stop: watch::Receiver<bool>,
) {
    let listener = TcpListener::from_std(listener).expect("the listener is non-blocking");
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let _ = stream.set_nodelay(true);
                let identity = identity.clone();
                let served = Arc::clone(&served);
                let service = service_fn(move |request| answer(request, identity.clone(), Arc::clone(&served)));
                connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
            Some(_) = connections.join_next() => {}
            () = stopped(&mut stop) => return,
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    identity: Identity,
    served: Arc<AtomicU64>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    // The whole request first: an answer before its end would close the connection.
    let _ = request.into_body().collect().await;
    served.fetch_add(1, Ordering::Relaxed);
    let body = Full::new(Bytes::from(format!("{}\n", identity.version)));
    let response = Response::builder()
        .header("x-weir-pod", identity.pod)
        .header("x-weir-version", identity.version)
        .body(body)
        .expect("names and versions of pods are plain text");
    Ok(response)
}
