//! One who asks, over HTTP, TCP or UDP. The name of the target is resolved for every new connection.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpStream, UdpSocket, lookup_host},
    time::{Duration, timeout},
};

use crate::tally::Answer;

/// A lost datagram is noticed after this long.
const LOST: Duration = Duration::from_secs(1);

/// Whom to ask.
#[derive(Clone, Debug)]
pub enum Target {
    Http(Url),
    Tcp(String),
    Udp(String),
}

/// Parts of `http://HOST:PORT/PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// `HOST:PORT` to connect to.
    pub authority: String,
    /// Host field.
    pub host: String,
    pub path: String,
}

/// One who asks, and the connection that he keeps.
#[derive(Debug)]
pub struct Asker {
    target: Target,
    fresh: bool,
    fields: HeaderMap,
    kept: Option<Kept>,
    number: u64,
}

#[derive(Debug)]
enum Kept {
    Http(SendRequest<Empty<Bytes>>),
    Lines(BufReader<TcpStream>, Answer),
    Datagrams(UdpSocket),
}

impl Url {
    /// Takes it apart; `host` replaces the Host field.
    ///
    /// # Errors
    /// Where it is no such URL.
    pub fn parse(url: &str, host: Option<&str>) -> Result<Self> {
        let uri: http::Uri = url.parse().with_context(|| format!("`{url}` is no URL"))?;
        ensure!(uri.scheme_str() == Some("http"), "`{url}`: only http:// is spoken");
        let named = uri.authority().with_context(|| format!("`{url}` names no host"))?;
        let port = uri.port_u16().unwrap_or(80);
        Ok(Self {
            authority: format!("{}:{port}", named.host()),
            host: host.map_or_else(|| named.to_string(), str::to_owned),
            path: uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
        })
    }
}

impl Clone for Asker {
    /// Another one, who has no connection yet.
    fn clone(&self) -> Self {
        Self { target: self.target.clone(), fields: self.fields.clone(), kept: None, ..*self }
    }
}

impl Asker {
    /// One who asks `target`, with `fields` as `NAME: VALUE`; on a new connection each time where `fresh`.
    ///
    /// # Errors
    /// Where a field is none.
    pub fn new(target: Target, fresh: bool, fields: &[String]) -> Result<Self> {
        let mut map = HeaderMap::new();
        for field in fields {
            let (name, value) =
                field.split_once(':').with_context(|| format!("`{field}`: expected NAME: VALUE"))?;
            map.append(name.trim().parse::<HeaderName>()?, value.trim().parse::<HeaderValue>()?);
        }
        Ok(Self { target, fresh, fields: map, kept: None, number: 0 })
    }

    /// Lets go of the connection.
    pub fn forget(&mut self) {
        self.kept = None;
    }

    /// Asks once.
    ///
    /// # Errors
    /// What went wrong, in words.
    pub async fn ask(&mut self) -> Result<Answer, String> {
        if self.fresh {
            self.forget();
        }
        self.number += 1;
        match self.target.clone() {
            Target::Http(url) => self.request(&url).await,
            Target::Tcp(address) => self.line(&address).await,
            Target::Udp(address) => self.datagram(&address).await,
        }
    }

    async fn request(&mut self, url: &Url) -> Result<Answer, String> {
        let mut sender = match self.kept_http().await {
            Some(kept) => kept,
            None => open_http(&url.authority).await?,
        };
        let mut request = Request::get(&url.path).header(header::HOST, &url.host);
        request.headers_mut().expect("path and host are valid").extend(self.fields.clone());
        let request = request.body(Empty::new()).map_err(|error| error.to_string())?;
        let answer = sender.send_request(request).await.map_err(|error| error_text(&error))?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(|error| error_text(&error))?.to_bytes();
        let closes = head.headers.get(header::CONNECTION).is_some_and(|value| value == "close");
        if !closes && !self.fresh {
            self.kept = Some(Kept::Http(sender));
        }
        if !head.status.is_success() {
            return Err(format!("status {}: {}", head.status, String::from_utf8_lossy(&body).trim()));
        }
        Answer::read(&body)
    }

    /// The connection that is kept, unless it was closed between two requests, as the server may.
    async fn kept_http(&mut self) -> Option<SendRequest<Empty<Bytes>>> {
        let Some(Kept::Http(mut kept)) = self.kept.take() else { return None };
        kept.ready().await.is_ok().then_some(kept)
    }

    async fn line(&mut self, address: &str) -> Result<Answer, String> {
        let (mut stream, answer) = match self.kept.take() {
            Some(Kept::Lines(stream, answer)) if is_open(&stream) => (stream, answer),
            _ => open_lines(address).await?,
        };
        let sent = format!("{}\n", self.number);
        let gone = |error: std::io::Error| format!("sending a line to {}: {error}", answer.pod);
        stream.write_all(sent.as_bytes()).await.map_err(gone)?;
        let echo = read_line(&mut stream).await.map_err(|error| format!("{}: {error}", answer.pod))?;
        if echo != sent {
            return Err(format!("{} answered {echo:?} to {sent:?}", answer.pod));
        }
        if !self.fresh {
            self.kept = Some(Kept::Lines(stream, answer.clone()));
        }
        Ok(answer)
    }

    async fn datagram(&mut self, address: &str) -> Result<Answer, String> {
        let socket = match self.kept.take() {
            Some(Kept::Datagrams(socket)) => socket,
            _ => open_datagrams(address).await?,
        };
        let sent = self.number.to_string();
        socket.send(sent.as_bytes()).await.map_err(|error| format!("sending to {address}: {error}"))?;
        let mut buffer = vec![0; 2048];
        let received = timeout(LOST, socket.recv(&mut buffer)).await;
        let length = received.map_err(|_| format!("no datagram within {LOST:?}"))?;
        let length = length.map_err(|error| format!("receiving from {address}: {error}"))?;
        if !self.fresh {
            self.kept = Some(Kept::Datagrams(socket));
        }
        Answer::read(&buffer[..length])
    }
}

async fn open_http(authority: &str) -> Result<SendRequest<Empty<Bytes>>, String> {
    let stream = connect(authority).await?;
    let (sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn open_lines(address: &str) -> Result<(BufReader<TcpStream>, Answer), String> {
    let mut stream = BufReader::new(connect(address).await?);
    let greeting = read_line(&mut stream).await.map_err(|error| format!("{address}: {error}"))?;
    Ok((stream, Answer::read(greeting.as_bytes())?))
}

async fn open_datagrams(address: &str) -> Result<UdpSocket, String> {
    let to = resolve(address).await?[0];
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await.map_err(|error| error.to_string())?;
    socket.connect(to).await.map_err(|error| format!("connecting to {to}: {error}"))?;
    Ok(socket)
}

async fn connect(address: &str) -> Result<TcpStream, String> {
    let mut last = String::new();
    for to in resolve(address).await? {
        match TcpStream::connect(to).await {
            Ok(stream) => {
                stream.set_nodelay(true).map_err(|error| error.to_string())?;
                return Ok(stream);
            }
            Err(error) => last = format!("connecting to {to}: {error}"),
        }
    }
    Err(last)
}

/// At least one address.
async fn resolve(address: &str) -> Result<Vec<SocketAddr>, String> {
    let found: Vec<_> =
        lookup_host(address).await.map_err(|error| format!("resolving {address}: {error}"))?.collect();
    if found.is_empty() { Err(format!("{address} has no address")) } else { Ok(found) }
}

async fn read_line(stream: &mut BufReader<TcpStream>) -> Result<String, String> {
    let mut line = String::new();
    match stream.read_line(&mut line).await {
        Ok(0) => Err("closed without a line".to_owned()),
        Ok(_) => Ok(line),
        Err(error) => Err(format!("reading a line: {error}")),
    }
}

/// Whether the server has not closed it between two lines, as it may.
fn is_open(stream: &BufReader<TcpStream>) -> bool {
    let read = stream.get_ref().try_read(&mut [0]);
    read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

/// Why, down to the cause.
fn error_text(error: &hyper::Error) -> String {
    let cause = std::error::Error::source(error);
    cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}
