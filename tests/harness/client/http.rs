//! Requests: one at a time, or a steady load over keep-alive connections.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

use super::journal::{Answer, Journal, Record};
use crate::{netns::Netns, wait::came_true};

/// A request that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who asks: what the requests of a load carry.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    /// Class of the records.
    pub class: &'static str,
    /// Host field.
    pub host: &'static str,
    /// User-Agent field.
    pub user_agent: &'static str,
}

/// A response, read to its end.
#[derive(Clone, Debug)]
pub struct Response {
    /// Status.
    pub status: u16,
    /// Header fields.
    pub headers: http::HeaderMap,
    /// Body.
    pub body: Bytes,
}

/// One `GET path` over a connection of its own.
pub fn get(from: &Netns, to: SocketAddr, path: &str, asker: Asker) -> Result<Response, String> {
    let path = path.to_owned();
    from.run_async(move || async move {
        let mut sender = connect(to).await?;
        ask(&mut sender, &path, asker).await
    })
}

/// Requests at a steady rate over connections that are kept alive, until stopped.
#[derive(Debug)]
pub struct HttpLoad {
    log: Log,
    connections: u64,
    order: watch::Sender<Order>,
    thread: Option<JoinHandle<()>>,
}

/// What all connections are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Ask,
    Pause,
    Stop,
}

impl HttpLoad {
    /// Opens `connections` for each of `askers`; each connection sends `per_second` requests. One that the
    /// server closes between requests, as it announced, is opened again; an exchange that breaks is a failure.
    pub fn start(
        from: &Netns,
        to: SocketAddr,
        askers: &[Asker],
        connections: usize,
        per_second: u32,
    ) -> Self {
        let log = Log::default();
        let shared = log.clone();
        let (order, orders) = watch::channel(Order::Ask);
        let askers = askers.to_vec();
        let all = (askers.len() * connections) as u64;
        let thread = from.spawn_async("http-load", move || async move {
            let mut tasks = JoinSet::new();
            for asker in askers {
                for _ in 0..connections {
                    tasks.spawn(keep_asking(to, asker, per_second, shared.clone(), orders.clone()));
                }
            }
            while tasks.join_next().await.is_some() {}
        });
        Self { log, connections: all, order, thread: Some(thread) }
    }

    /// What it saw so far.
    pub fn journal(&self) -> &Journal {
        &self.log.records
    }

    /// Sends no more requests until [`HttpLoad::resume`], and waits for the answers that are due; connections
    /// stay open.
    ///
    /// # Errors
    /// Where answers do not come.
    pub fn pause(&self) -> Result<(), String> {
        self.order.send_replace(Order::Pause);
        let quiet =
            came_true(PATIENCE + PATIENCE, || self.log.paused.load(Ordering::Relaxed) == self.connections);
        if quiet { Ok(()) } else { Err(format!("still waiting for answers after {:?}", PATIENCE + PATIENCE)) }
    }

    /// Goes on after [`HttpLoad::pause`].
    pub fn resume(&self) {
        self.order.send_replace(Order::Ask);
    }

    /// Connections opened so far: more than it was started with where the server closed some.
    pub fn opened(&self) -> u64 {
        self.log.opened.load(Ordering::Relaxed)
    }

    /// Sends no more requests and waits for the answers that are due.
    pub fn stop(mut self) -> Journal {
        self.finish();
        self.log.records.clone()
    }

    fn finish(&mut self) {
        let _ = self.order.send(Order::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for HttpLoad {
    fn drop(&mut self) {
        self.finish();
    }
}

/// What a load writes down.
#[derive(Clone, Debug, Default)]
struct Log {
    records: Journal,
    /// Connections opened.
    opened: Arc<AtomicU64>,
    /// Connections that pause.
    paused: Arc<AtomicU64>,
}

async fn keep_asking(
    to: SocketAddr,
    asker: Asker,
    per_second: u32,
    log: Log,
    mut orders: watch::Receiver<Order>,
) {
    let mut tick = interval(Duration::from_secs(1) / per_second);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut connection: Option<SendRequest<Empty<Bytes>>> = None;
    loop {
        let order = *orders.borrow_and_update();
        match order {
            Order::Ask => {}
            Order::Pause => {
                log.paused.fetch_add(1, Ordering::Relaxed);
                let changed = orders.changed().await;
                log.paused.fetch_sub(1, Ordering::Relaxed);
                if changed.is_err() {
                    return;
                }
                continue;
            }
            Order::Stop => return,
        }
        tick.tick().await;
        let began = Instant::now();
        let outcome = exchange(&mut connection, to, asker, &log.opened).await;
        if outcome.is_err() {
            connection = None;
        }
        log.records.add(Record { began, ended: Instant::now(), class: asker.class, outcome });
    }
}

async fn exchange(
    connection: &mut Option<SendRequest<Empty<Bytes>>>,
    to: SocketAddr,
    asker: Asker,
    opened: &AtomicU64,
) -> Result<Answer, String> {
    // `ready` fails for a connection that was closed between two requests.
    let kept = match connection.as_mut() {
        Some(sender) => sender.ready().await.is_ok(),
        None => false,
    };
    if !kept {
        *connection = Some(connect(to).await?);
        opened.fetch_add(1, Ordering::Relaxed);
    }
    let sender = connection.as_mut().expect("just connected");
    let response = ask(sender, "/", asker).await?;
    if response.headers.get(http::header::CONNECTION).is_some_and(|value| value == "close") {
        *connection = None;
    }
    let field = |name: &str| response.headers.get(name).and_then(|value| value.to_str().ok());
    match (response.status, field("x-weir-pod"), field("x-weir-version")) {
        (200, Some(pod), Some(version)) => Ok(Answer { pod: pod.to_owned(), version: version.to_owned() }),
        (status, _, _) => Err(format!("status {status}: {}", String::from_utf8_lossy(&response.body).trim())),
    }
}

async fn connect(to: SocketAddr) -> Result<SendRequest<Empty<Bytes>>, String> {
    let open = async {
        let stream = TcpStream::connect(to).await.map_err(|error| format!("connecting to {to}: {error}"))?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        Ok(sender)
    };
    timeout(PATIENCE, open).await.unwrap_or_else(|_| Err(format!("no connection within {PATIENCE:?}")))
}

async fn ask(sender: &mut SendRequest<Empty<Bytes>>, path: &str, asker: Asker) -> Result<Response, String> {
    let request = Request::get(path)
        .header(http::header::HOST, asker.host)
        .header(http::header::USER_AGENT, asker.user_agent)
        .body(Empty::new())
        .map_err(|error| error.to_string())?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        Ok(Response { status: head.status.as_u16(), headers: head.headers, body })
    };
    timeout(PATIENCE, exchange).await.unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}")))
}
