//! What pods serve: TCP, UDP and HTTP, each saying which pod and version answered.

mod http;
mod tcp;
mod udp;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use anyhow::{Context, Result};
use tokio::sync::watch;

use crate::lab::Pod;

/// Who answers.
#[derive(Clone, Debug)]
struct Identity {
    pod: String,
    version: String,
}

/// A server that runs in a pod until it is dropped; its connections end with it.
#[derive(Debug)]
pub struct Server {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
    served: Arc<AtomicU64>,
}

impl Server {
    /// Connections (TCP), requests (HTTP) or datagrams (UDP) served so far.
    pub fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Pod {
    /// Serves TCP on `port`, both families. On connect it says `<pod> <version>\n`; then it answers lines:
    /// `ping <word>` with `<pod> <word>`, `give <n>` with `n` bytes of the [`crate::pattern`], `take <n>` followed
    /// by `n` such bytes with `ok <n>` or `bad at <offset>`.
    pub fn serve_tcp(&self, port: u16, version: &str) -> Result<Server> {
        self.serve("tcp", port, version, |listener, identity, served, stop| {
            Box::pin(tcp::serve(listener, identity, served, stop))
        })
    }

    /// Serves HTTP/1.1 on `port`, both families: status 200, the version as body, and the fields
    /// `x-weir-pod` and `x-weir-version`.
    pub fn serve_http(&self, port: u16, version: &str) -> Result<Server> {
        self.serve("http", port, version, |listener, identity, served, stop| {
            Box::pin(http::serve(listener, identity, served, stop))
        })
    }

    /// Serves UDP on `port`, both families: each datagram is answered `<pod> <version> <datagram>`.
    pub fn serve_udp(&self, port: u16, version: &str) -> Result<Server> {
        let socket =
            self.netns.run(|| udp::bind(port)).with_context(|| format!("udp {port} in {}", self.name))?;
        let identity = self.identity(version);
        let served = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = watch::channel(false);
        let counter = Arc::clone(&served);
        let thread =
            self.netns.spawn_async("pod-udp", move || udp::serve(socket, identity, counter, stopped));
        Ok(Server { stop, thread: Some(thread), served })
    }

    fn serve(
        &self,
        what: &str,
        port: u16,
        version: &str,
        run: impl FnOnce(
            std::net::TcpListener,
            Identity,
            Arc<AtomicU64>,
            watch::Receiver<bool>,
        ) -> std::pin::Pin<Box<dyn Future<Output = ()>>>
        + Send
        + 'static,
    ) -> Result<Server> {
        // Bound here and now: who gets a `Server` may connect to it.
        let listener = self
            .netns
            .run(|| tcp::listen(port))
            .with_context(|| format!("{what} {port} in {}", self.name))?;
        let identity = self.identity(version);
        let served = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = watch::channel(false);
        let counter = Arc::clone(&served);
        let thread =
            self.netns.spawn_async(&format!("pod-{what}"), move || run(listener, identity, counter, stopped));
        Ok(Server { stop, thread: Some(thread), served })
    }

    fn identity(&self, version: &str) -> Identity {
        Identity { pod: self.name.clone(), version: version.to_owned() }
    }
}

/// Comes back when the server is to stop.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the server's handle is gone, which stops it as well.
    let _ = stop.wait_for(|stop| *stop).await;
}
