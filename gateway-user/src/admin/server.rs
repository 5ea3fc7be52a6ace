//! HTTP/1.1 on the admin and metrics listeners.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    task::JoinHandle,
};

use super::{listen::Listener, views::ErrorView};

/// An answer, whole in memory.
pub type Reply = Response<Full<Bytes>>;

/// Time in which a request's head must have come.
const HEAD: Duration = Duration::from_secs(10);

/// What answers on a listener; one [`Service::Connection`] is made for each connection and dropped with it.
pub trait Service: Send + Sync + 'static {
    /// Answers the requests of one connection.
    type Connection: Connection;

    /// A new connection.
    fn connect(&self) -> Self::Connection;
}

/// Answers the requests of one connection.
pub trait Connection: Send + Sync + 'static {
    /// Answers one request.
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Reply> + Send;
}

/// A listener at work. Dropping it closes the listener; connections that are open finish by themselves.
#[derive(Debug)]
pub struct Server {
    accepting: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Serves `service` on `listener`; must be called within a runtime.
///
/// # Errors
/// Where the runtime cannot poll the listener.
pub fn serve<S: Service>(listener: Listener, service: S) -> io::Result<Server> {
    let service = Arc::new(service);
    let accepting = match listener {
        Listener::Unix(listener, file) => {
            let listener = UnixListener::from_std(listener)?;
            tokio::spawn(async move {
                let _file = file;
                loop {
                    match listener.accept().await {
                        Ok((stream, _)) if is_same_user(&stream) => start(stream, &*service),
                        Ok((_, peer)) => tracing::warn!(?peer, "another user's connection was refused"),
                        Err(error) => pause(&error).await,
                    }
                }
            })
        }
        Listener::Tcp(listener) => {
            let listener = TcpListener::from_std(listener)?;
            tokio::spawn(async move {
                loop {
                    match listener.accept().await {
                        Ok((stream, _)) => start(stream, &*service),
                        Err(error) => pause(&error).await,
                    }
                }
            })
        }
    };
    Ok(Server { accepting })
}

/// An abstract socket has no permissions: root and the agent's own user are let in, as on one with mode 0600.
fn is_same_user(stream: &tokio::net::UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}

/// No descriptor or memory left: waiting is all that can be done.
async fn pause(error: &io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

fn start<S: Service>(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, service: &S) {
    let connection = Arc::new(service.connect());
    tokio::spawn(async move {
        let answer = service_fn(move |request| {
            let connection = Arc::clone(&connection);
            async move { Ok::<_, Infallible>(connection.answer(request).await) }
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .serve_connection(TokioIo::new(stream), answer)
            .await;
        if let Err(error) = served {
            tracing::debug!(%error, "an admin connection ended early");
        }
    });
}

/// An answer of `value` as JSON.
///
/// # Panics
/// Where `value` has a map whose keys are no texts, or a number that is not finite.
pub fn json<T: Serialize>(status: StatusCode, value: &T) -> Reply {
    let body = serde_json::to_vec(value).expect("views have text keys and finite numbers");
    with_body(status, "application/json", body)
}

/// An answer that says what went wrong.
#[expect(clippy::needless_pass_by_value, reason = "takes errors and texts alike")]
pub fn error(status: StatusCode, what: impl ToString) -> Reply {
    json(status, &ErrorView { error: what.to_string() })
}

/// An answer of any kind.
pub fn with_body(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    reply
}
