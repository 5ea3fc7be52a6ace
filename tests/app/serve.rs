//! `weir-app serve`: says who answers, over HTTP, TCP and UDP.
//!
//! Told to end, it is a good citizen: unready at once, it serves on for the grace period, with each answer the last of
//! its connection, and exits with 0.

use std::{
    convert::Infallible,
    env,
    net::{Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream, UdpSocket},
    time::sleep,
};

/// Arguments of `weir-app serve`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Port for HTTP; any free one where it is 0
    #[arg(long, default_value_t = 8080)]
    pub http: u16,
    /// Port for TCP: a greeting, then every line comes back
    #[arg(long, default_value_t = 9000)]
    pub tcp: u16,
    /// Port for UDP: every datagram is answered
    #[arg(long, default_value_t = 9001)]
    pub udp: u16,
    /// Seconds that are served on after SIGTERM
    #[arg(long, default_value_t = 5.0)]
    pub grace: f64,
}

/// Who answers, and whether he wants more.
#[derive(Debug)]
struct Pod {
    version: String,
    name: String,
    node: String,
    unready: AtomicBool,
    ending: AtomicBool,
}

/// Sockets that are bound.
#[derive(Debug)]
pub struct Bound {
    http: TcpListener,
    tcp: TcpListener,
    udp: UdpSocket,
}

/// Serves until `end`, and the grace period after it.
///
/// # Errors
/// Where a port is taken.
pub async fn serve(args: &Args, end: impl Future<Output = ()>) -> Result<()> {
    let bound = Bound::new(args)?;
    bound.serve(args.grace, end).await
}

impl Bound {
    /// Binds the ports, for both families.
    ///
    /// # Errors
    /// Where one is taken.
    pub fn new(args: &Args) -> Result<Self> {
        let stream = |port| {
            let socket = bind(Type::STREAM, Protocol::TCP, port)?;
            socket.listen(1024)?;
            TcpListener::from_std(socket.into()).context("a listener for tokio")
        };
        let datagrams = bind(Type::DGRAM, Protocol::UDP, args.udp)?;
        Ok(Self {
            http: stream(args.http)?,
            tcp: stream(args.tcp)?,
            udp: UdpSocket::from_std(datagrams.into())?,
        })
    }

    /// The ports of HTTP, TCP and UDP.
    #[cfg(test)]
    pub fn ports(&self) -> [u16; 3] {
        [self.http.local_addr(), self.tcp.local_addr(), self.udp.local_addr()]
            .map(|address| address.expect("it is bound").port())
    }

    /// Serves until `end`, and `grace` seconds after it.
    ///
    /// # Errors
    /// Where a socket fails for good.
    pub async fn serve(self, grace: f64, end: impl Future<Output = ()>) -> Result<()> {
        let pod = Arc::new(Pod::new());
        tokio::spawn(accept(self.http, Arc::clone(&pod), serve_http));
        tokio::spawn(accept(self.tcp, Arc::clone(&pod), serve_lines));
        tokio::spawn(answer_datagrams(self.udp, Arc::clone(&pod)));
        end.await;
        pod.unready.store(true, Ordering::Relaxed);
        pod.ending.store(true, Ordering::Relaxed);
        sleep(Duration::from_secs_f64(grace)).await;
        Ok(())
    }
}

impl Pod {
    fn new() -> Self {
        let named = |name| env::var(name).unwrap_or_default();
        Self {
            version: named("VERSION"),
            name: named("POD_NAME"),
            node: named("NODE_NAME"),
            unready: AtomicBool::new(false),
            ending: AtomicBool::new(false),
        }
    }

    /// The line that says who answers whom.
    fn line(&self, client: SocketAddr, path: &str, more: serde_json::Value) -> String {
        let client = SocketAddr::new(client.ip().to_canonical(), client.port());
        let mut line = json!({
            "version": self.version, "pod": self.name, "node": self.node, "client": client, "path": path,
        });
        if let (Some(line), serde_json::Value::Object(more)) = (line.as_object_mut(), more) {
            line.extend(more);
        }
        format!("{line}\n")
    }

    fn answer(&self, client: SocketAddr, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        if path == "/unready" {
            self.unready.store(true, Ordering::Relaxed);
        }
        let ready = path != "/ready" || !self.unready.load(Ordering::Relaxed);
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let field = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let more = json!({ "host": field("host"), "forwarded_for": field("x-forwarded-for") });
        let mut answer = Response::new(Full::from(self.line(client, path, more)));
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        if self.ending.load(Ordering::Relaxed) {
            headers.insert(header::CONNECTION, header::HeaderValue::from_static("close"));
        }
        answer
    }
}

fn bind(kind: Type, protocol: Protocol, port: u16) -> Result<Socket> {
    let socket = Socket::new(Domain::IPV6, kind, Some(protocol))?;
    socket.set_only_v6(false)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    socket.bind(&address.into()).with_context(|| format!("binding {address}"))?;
    Ok(socket)
}

async fn accept<F>(listener: TcpListener, pod: Arc<Pod>, each: fn(TcpStream, SocketAddr, Arc<Pod>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        match listener.accept().await {
            Ok((stream, client)) => {
                // Without it, short answers wait for acknowledgements.
                let _ = stream.set_nodelay(true);
                tokio::spawn(each(stream, client, Arc::clone(&pod)));
            }
            // Out of descriptors, or the client has gone again.
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn serve_http(stream: TcpStream, client: SocketAddr, pod: Arc<Pod>) {
    let service = service_fn(move |request| {
        let answer = pod.answer(client, &request);
        async { Ok::<_, Infallible>(answer) }
    });
    // A client that breaks off is the client's business.
    let _ =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
}

async fn serve_lines(stream: TcpStream, client: SocketAddr, pod: Arc<Pod>) {
    let (from, mut to) = stream.into_split();
    let mut lines = BufReader::new(from);
    if to.write_all(pod.line(client, "", json!({})).as_bytes()).await.is_err() {
        return;
    }
    let mut line = String::new();
    while lines.read_line(&mut line).await.is_ok_and(|length| length > 0) {
        if to.write_all(line.as_bytes()).await.is_err() || pod.ending.load(Ordering::Relaxed) {
            return;
        }
        line.clear();
    }
}

async fn answer_datagrams(socket: UdpSocket, pod: Arc<Pod>) {
    let mut datagram = vec![0; 2048];
    loop {
        // Errors are those of earlier answers: nobody listened there any more.
        if let Ok((length, client)) = socket.recv_from(&mut datagram).await {
            let said = String::from_utf8_lossy(&datagram[..length]);
            let _ = socket.send_to(pod.line(client, said.trim_end(), json!({})).as_bytes(), client).await;
        }
    }
}
