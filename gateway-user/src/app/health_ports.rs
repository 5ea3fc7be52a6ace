//! `healthCheckNodePort`: load balancers ask each node whether it has endpoints of a Service, and get the answers
//! that kube-proxy gives.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwap;
use http::{HeaderValue, Request, StatusCode};
use hyper::body::Incoming;
use serde_json::json;

use crate::{
    admin::{
        listen::{self, Taking},
        server::{self, Connection, Reply, Server, Service},
    },
    control::agent::view::HealthCheck,
};

/// All ports that are answered on.
#[derive(Debug, Default)]
pub(super) struct HealthPorts {
    ports: BTreeMap<u16, Port>,
    is_leaving: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Port {
    check: Arc<ArcSwap<HealthCheck>>,
    _server: Server,
}

impl HealthPorts {
    /// Answers on these ports, and no others.
    pub(super) fn set(&mut self, checks: &BTreeMap<u16, HealthCheck>) {
        self.ports.retain(|port, _| checks.contains_key(port));
        for (port, check) in checks {
            if let Some(known) = self.ports.get(port) {
                known.check.store(Arc::new(check.clone()));
                continue;
            }
            match self.open(*port, check) {
                Ok(opened) => drop(self.ports.insert(*port, opened)),
                Err(error) => {
                    let service = format!("{}/{}", check.namespace, check.name);
                    tracing::error!(port, service, %error, "its health cannot be asked for on this node");
                }
            }
        }
    }

    /// From now on every answer is that nobody is here: the node is going.
    pub(super) fn leave(&self) {
        self.is_leaving.store(true, Ordering::Relaxed);
    }

    fn open(&self, port: u16, check: &HealthCheck) -> anyhow::Result<Port> {
        let check = Arc::new(ArcSwap::from_pointee(check.clone()));
        let listen = |address| listen::listen_tcp("healthCheckNodePort", address, Taking::Over);
        // Takes IPv4 as well; there are machines without IPv6.
        let listener = listen(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port))
            .or_else(|_| listen(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port)))?;
        let asked = Asked { check: Arc::clone(&check), is_leaving: Arc::clone(&self.is_leaving) };
        Ok(Port { check, _server: server::serve(listener, asked)? })
    }
}

/// What answers on one port.
#[derive(Clone, Debug)]
struct Asked {
    check: Arc<ArcSwap<HealthCheck>>,
    is_leaving: Arc<AtomicBool>,
}

impl Service for Asked {
    type Connection = Self;

    fn connect(&self) -> Self {
        self.clone()
    }
}

impl Connection for Asked {
    async fn answer(&self, _: Request<Incoming>) -> Reply {
        reply(&self.check.load(), !self.is_leaving.load(Ordering::Relaxed))
    }
}

fn reply(check: &HealthCheck, is_healthy: bool) -> Reply {
    let HealthCheck { namespace, name, local_endpoints } = check;
    let body = json!({
        "service": { "namespace": namespace, "name": name },
        "localEndpoints": local_endpoints,
        "serviceProxyHealthy": is_healthy,
    });
    let is_here = is_healthy && *local_endpoints > 0;
    let status = if is_here { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut reply = server::json(status, &body);
    let headers = reply.headers_mut();
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("x-load-balancing-endpoint-weight", HeaderValue::from(*local_endpoints));
    reply
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
    };

    use super::*;

    fn check(local_endpoints: usize) -> HealthCheck {
        HealthCheck { namespace: "shop".to_owned(), name: "foo".to_owned(), local_endpoints }
    }

    async fn ask(port: u16) -> std::io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        Ok(text)
    }

    fn free_port() -> u16 {
        std::net::TcpListener::bind("[::]:0").unwrap().local_addr().unwrap().port()
    }

    fn block_on(future: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
    }

    #[test]
    fn a_node_with_endpoints_is_healthy_until_they_or_the_agent_go() {
        block_on(async {
            let port = free_port();
            let mut ports = HealthPorts::default();
            ports.set(&BTreeMap::from([(port, check(2))]));
            let text = ask(port).await.unwrap();
            let body = r#"{"service":{"namespace":"shop","name":"foo"},"localEndpoints":2,"serviceProxyHealthy":true}"#;
            assert!(text.starts_with("HTTP/1.1 200") && text.contains(body), "{text}");
            assert!(text.contains("x-load-balancing-endpoint-weight: 2"), "{text}");
            ports.set(&BTreeMap::from([(port, check(0))]));
            assert!(ask(port).await.unwrap().starts_with("HTTP/1.1 503"));
            ports.set(&BTreeMap::from([(port, check(1))]));
            assert!(ask(port).await.unwrap().starts_with("HTTP/1.1 200"));
            ports.leave();
            let text = ask(port).await.unwrap();
            assert!(
                text.starts_with("HTTP/1.1 503") && text.contains(r#""serviceProxyHealthy":false"#),
                "{text}"
            );
        });
    }

    #[test]
    fn a_service_that_goes_takes_its_port_along() {
        block_on(async {
            let port = free_port();
            let mut ports = HealthPorts::default();
            ports.set(&BTreeMap::from([(port, check(1))]));
            ask(port).await.unwrap();
            ports.set(&BTreeMap::new());
            let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
            while ask(port).await.is_ok() {
                assert!(std::time::Instant::now() < deadline, "port {port} is still answered on");
            }
        });
    }
}
