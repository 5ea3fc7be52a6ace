//! Connections held open: some talk all the time, some are silent until asked. One that ends, stalls, or is answered by another pod is *broken*.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Result, ensure};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{dialect::Dialect, journal::Answer};
use crate::{netns::Netns, wait::came_true};

/// Pause between two pings of a connection that talks.
const PAUSE: Duration = Duration::from_millis(100);
/// A ping that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// One held connection.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Who answered when it was opened.
    pub peer: Answer,
    /// Whether it keeps silent until [`Held::speak`].
    pub silent: bool,
    /// Pings answered.
    pub pings: u64,
    /// What broke it.
    pub broken: Option<String>,
    /// Whether [`Held::close`] ended it.
    pub closed: bool,
    /// Last round of [`Held::speak`] in which it was answered.
    round: u64,
}

/// What all connections are told.
#[derive(Clone, Debug, Default)]
struct Orders {
    round: u64,
    close: Vec<String>,
    stop: bool,
}

/// Connections held open until dropped.
#[derive(Debug)]
pub struct Held {
    connections: Arc<Mutex<Vec<Connection>>>,
    orders: watch::Sender<Orders>,
    thread: Option<JoinHandle<()>>,
}

impl Held {
    /// Opens `count` connections to `to`, `silent` of which will keep silent, in the dialect of lines.
    ///
    /// # Errors
    /// Where one cannot be opened.
    pub fn open(from: &Netns, to: SocketAddr, count: usize, silent: usize) -> Result<Self> {
        Self::open_in(Dialect::Lines, from, to, count, silent)
    }

    /// As [`Held::open`], in any dialect.
    pub fn open_in(
        dialect: Dialect,
        from: &Netns,
        to: SocketAddr,
        count: usize,
        silent: usize,
    ) -> Result<Self> {
        let connections = Arc::new(Mutex::new(Vec::new()));
        let (orders, watcher) = watch::channel(Orders::default());
        let (ready, opened) = std::sync::mpsc::channel();
        let shared = Arc::clone(&connections);
        let thread = from.spawn_async("held", move || async move {
            let mut tasks = JoinSet::new();
            for index in 0..count {
                let silent = index < silent;
                match timeout(PATIENCE, dialect.greet(to)).await {
                    Ok(Ok((peer, stream))) => {
                        lock(&shared).push(Connection {
                            peer,
                            silent,
                            pings: 0,
                            broken: None,
                            closed: false,
                            round: 0,
                        });
                        tasks.spawn(hold(dialect, stream, index, Arc::clone(&shared), watcher.clone()));
                    }
                    Ok(Err(error)) => return drop(ready.send(Err(error.to_string()))),
                    Err(_) => return drop(ready.send(Err(format!("no answer within {PATIENCE:?}")))),
                }
            }
            let _ = ready.send(Ok(()));
            while tasks.join_next().await.is_some() {}
        });
        let outcome = opened.recv().unwrap_or_else(|_| Err("the client thread ended".to_owned()));
        let held = Self { connections, orders, thread: Some(thread) };
        if let Err(error) = outcome {
            let opened = held.connections().len();
            anyhow::bail!("connection {opened} of {count} to {to}: {error}");
        }
        Ok(held)
    }

    /// The state of every connection.
    pub fn connections(&self) -> Vec<Connection> {
        lock(&self.connections).clone()
    }

    /// What is broken so far: `pod0 1.0.3: connection reset`.
    pub fn broken(&self) -> Vec<String> {
        let describe = |connection: &Connection| {
            let Answer { pod, version } = &connection.peer;
            connection.broken.as_ref().map(|why| format!("{pod} {version}: {why}"))
        };
        lock(&self.connections).iter().filter_map(describe).collect()
    }

    /// Has every open connection, the silent ones too, ping once, and waits for the answers.
    ///
    /// # Errors
    /// Where a connection is broken.
    pub fn speak(&self) -> Result<()> {
        let mut round = 0;
        self.orders.send_modify(|orders| {
            orders.round += 1;
            round = orders.round;
        });
        let settled = |c: &Connection| c.round >= round || c.broken.is_some() || c.closed;
        let all = came_true(PATIENCE + PATIENCE, || lock(&self.connections).iter().all(settled));
        let broken = self.broken();
        ensure!(broken.is_empty(), "{} held connections broken: {}", broken.len(), broken.join("; "));
        ensure!(all, "held connections still not answered after {:?}", PATIENCE + PATIENCE);
        Ok(())
    }

    /// Closes the connections to `version` from the client's side and waits until their servers closed too.
    ///
    /// # Errors
    /// Where one does not close cleanly.
    pub fn close(&self, version: &str) -> Result<()> {
        self.orders.send_modify(|orders| orders.close.push(version.to_owned()));
        let over = |c: &Connection| c.peer.version != version || c.closed || c.broken.is_some();
        let all = came_true(PATIENCE, || lock(&self.connections).iter().all(over));
        ensure!(all, "connections to {version} still open after {PATIENCE:?}");
        let broken = self.broken();
        ensure!(broken.is_empty(), "held connections broken: {}", broken.join("; "));
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.orders.send_modify(|orders| orders.stop = true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Holds one connection until it is told to end, or breaks.
async fn hold(
    dialect: Dialect,
    mut stream: BufReader<TcpStream>,
    index: usize,
    connections: Arc<Mutex<Vec<Connection>>>,
    mut orders: watch::Receiver<Orders>,
) {
    let Connection { peer, silent, .. } = lock(&connections)[index].clone();
    loop {
        let Orders { round, close, stop } = orders.borrow_and_update().clone();
        if stop {
            return;
        }
        let closing = close.contains(&peer.version);
        let told = round > lock(&connections)[index].round;
        let outcome = if closing {
            end(&mut stream).await
        } else if told || !silent {
            let pinged = timeout(PATIENCE, dialect.ping(&mut stream, &peer.pod, index)).await;
            pinged.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        } else {
            listen(&mut stream, &mut orders).await
        };
        {
            let mut connections = lock(&connections);
            let connection = &mut connections[index];
            match outcome {
                Ok(()) if closing => connection.closed = true,
                Ok(()) if told || !silent => {
                    connection.pings += 1;
                    connection.round = round;
                }
                Ok(()) => {}
                Err(error) => connection.broken = Some(error.to_string()),
            }
            if connection.closed || connection.broken.is_some() {
                return;
            }
        }
        if !silent && !told {
            // Talk at leisure, but obey at once; an error means that the handle is gone.
            tokio::select! {
                () = sleep(PAUSE) => {}
                changed = orders.changed() => if changed.is_err() { return },
            }
        }
    }
}

/// Keeps silent until there are new orders; a silent connection that ends is noticed.
async fn listen(stream: &mut BufReader<TcpStream>, orders: &mut watch::Receiver<Orders>) -> io::Result<()> {
    tokio::select! {
        _ = orders.changed() => Ok(()),
        readable = stream.get_ref().readable() => {
            readable?;
            let mut byte = [0];
            match stream.get_ref().try_read(&mut byte) {
                Ok(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed by the server")),
                Ok(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "unasked data")),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
                Err(error) => Err(error),
            }
        }
    }
}

async fn end(stream: &mut BufReader<TcpStream>) -> io::Result<()> {
    stream.get_mut().shutdown().await?;
    let mut rest = String::new();
    match timeout(PATIENCE, stream.read_line(&mut rest)).await {
        Ok(Ok(0)) => Ok(()),
        Ok(Ok(_)) => Err(io::Error::new(io::ErrorKind::InvalidData, format!("left over: {rest:?}"))),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

fn lock(connections: &Mutex<Vec<Connection>>) -> MutexGuard<'_, Vec<Connection>> {
    connections.lock().unwrap_or_else(PoisonError::into_inner)
}
