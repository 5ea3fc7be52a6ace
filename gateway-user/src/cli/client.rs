//! Asking a running agent over its admin address.

use std::{fs, io, path::PathBuf, time::Duration};

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;
use tokio::{
    net::{TcpStream, UnixStream},
    time::{Instant, sleep},
};

use super::args::{DEFAULT_ADMIN, RemoteArgs};
use crate::admin::{address::AdminAddress, views::ErrorView};

/// How long a question is repeated while one agent hands over to another.
const HANDING_OVER: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(100);
/// What a path segment may not hold as it is.
const SEGMENT: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'/').add(b'<').add(b'>').add(b'?');

/// A running agent.
#[derive(Debug)]
pub(super) struct Client {
    admin: AdminAddress,
    token_file: Option<PathBuf>,
}

/// Why an attempt failed, and whether another may do better.
enum Attempt {
    Again(anyhow::Error),
    Final(anyhow::Error),
}

impl Client {
    pub(super) fn new(remote: &RemoteArgs) -> Self {
        let admin = remote.admin.clone().unwrap_or_else(|| DEFAULT_ADMIN.parse().expect("it is an address"));
        Self { admin, token_file: remote.admin_token_file.clone() }
    }

    /// Of the agent there; it answers whoever can connect.
    pub(super) fn of(admin: AdminAddress) -> Self {
        Self { admin, token_file: None }
    }

    /// `GET` of a path whose segments are `parts`.
    pub(super) async fn get(&self, parts: &[&str]) -> anyhow::Result<Value> {
        self.ask(Method::GET, parts, None).await
    }

    /// `PUT` of `body` on a path whose segments are `parts`.
    pub(super) async fn put(&self, parts: &[&str], body: &impl serde::Serialize) -> anyhow::Result<Value> {
        self.ask(Method::PUT, parts, Some(serde_json::to_vec(body)?.into())).await
    }

    /// `GET` of a path, asked once.
    pub(super) async fn get_now(&self, path: &str) -> anyhow::Result<Value> {
        self.attempt(Method::GET, path, None).await.map_err(|failed| match failed {
            Attempt::Again(error) | Attempt::Final(error) => error,
        })
    }

    async fn ask(&self, method: Method, parts: &[&str], body: Option<Bytes>) -> anyhow::Result<Value> {
        let parts: Vec<_> = parts.iter().map(|part| utf8_percent_encode(part, SEGMENT).to_string()).collect();
        let path = format!("/v1/{}", parts.join("/"));
        let deadline = Instant::now() + HANDING_OVER;
        loop {
            // Every question may be asked twice: a change sets values, it does not add to them.
            match self.attempt(method.clone(), &path, body.clone()).await {
                Ok(value) => return Ok(value),
                Err(Attempt::Again(_)) if Instant::now() < deadline => sleep(PAUSE).await,
                Err(Attempt::Again(error) | Attempt::Final(error)) => return Err(error),
            }
        }
    }

    async fn attempt(&self, method: Method, path: &str, body: Option<Bytes>) -> Result<Value, Attempt> {
        let request = self.request(method, path, body).map_err(Attempt::Final)?;
        let (status, body) = match &self.admin {
            AdminAddress::Unix(socket) => {
                let stream = UnixStream::connect(socket).await.map_err(|error| self.unreachable(&error))?;
                send(TokioIo::new(stream), request).await?
            }
            AdminAddress::Tcp(address) => {
                let stream = TcpStream::connect(address).await.map_err(|error| self.unreachable(&error))?;
                send(TokioIo::new(stream), request).await?
            }
        };
        if status.is_success() {
            let read = serde_json::from_slice(&body).context("the agent's answer is no JSON");
            return read.map_err(Attempt::Final);
        }
        let error = match serde_json::from_slice::<ErrorView>(&body) {
            Ok(view) => anyhow!(view.error),
            Err(_) => anyhow!("the agent answered {status}"),
        };
        Err(if status == StatusCode::SERVICE_UNAVAILABLE {
            Attempt::Again(error)
        } else {
            Attempt::Final(error)
        })
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> anyhow::Result<Request<Full<Bytes>>> {
        let host = match &self.admin {
            AdminAddress::Unix(_) => "localhost".to_owned(),
            AdminAddress::Tcp(address) => address.to_string(),
        };
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, host);
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(file) = &self.token_file {
            let token = fs::read_to_string(file)
                .with_context(|| format!("--admin-token-file {}: cannot be read", file.display()))?;
            if token.trim().is_empty() {
                bail!(
                    "--admin-token-file {}: expected the agent's token, found an empty file",
                    file.display()
                );
            }
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.trim()));
        }
        Ok(request.body(Full::new(body.unwrap_or_default()))?)
    }

    fn unreachable(&self, error: &io::Error) -> Attempt {
        let admin = &self.admin;
        let is = |kind| error.kind() == kind;
        Attempt::Final(if is(io::ErrorKind::NotFound) || is(io::ErrorKind::ConnectionRefused) {
            anyhow!(
                "no agent answers at {admin}; start one with `weir run`, or say where it is with --admin or \
                 WEIR_ADMIN"
            )
        } else if is(io::ErrorKind::PermissionDenied) {
            anyhow!("{admin} is for the agent's own user only; run this command as that user (root, mostly)")
        } else {
            anyhow!("no agent can be reached at {admin}: {error}")
        })
    }
}

async fn send<I>(stream: I, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), Attempt>
where
    I: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    // An agent that stops between accepting and answering is being replaced or gone; the next attempt tells.
    let again =
        |error: hyper::Error| Attempt::Again(anyhow!(error).context("the agent closed the connection"));
    let (mut sender, connection) = http1::handshake(stream).await.map_err(again)?;
    tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(again)?;
    let status = response.status();
    let body = response.into_body().collect().await.map_err(again)?.to_bytes();
    Ok((status, body))
}
