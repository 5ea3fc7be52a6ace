//! How a client speaks with a pod over a connection: the lines of [`Pod::serve_tcp`], or HTTP.
//!
//! [`Pod::serve_tcp`]: crate::lab::Pod::serve_tcp

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use super::journal::Answer;

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The pod greets, then answers pings.
    Lines,
    /// The client asks `GET /`, again and again.
    Http,
}

impl Dialect {
    /// Connects and learns who answers.
    pub(super) async fn greet(self, to: SocketAddr) -> io::Result<(Answer, BufReader<TcpStream>)> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let mut stream = BufReader::new(stream);
        let answer = match self {
            Self::Lines => {
                let mut line = String::new();
                stream.read_line(&mut line).await?;
                read_greeting(&line).ok_or_else(|| invalid(format!("greeted with {line:?}")))?
            }
            Self::Http => ask(&mut stream).await?,
        };
        Ok((answer, stream))
    }

    /// One exchange on a connection whose other end is `pod`; `word` tells exchanges apart.
    pub(super) async fn ping(
        self,
        stream: &mut BufReader<TcpStream>,
        pod: &str,
        word: usize,
    ) -> io::Result<()> {
        let answered = match self {
            Self::Lines => {
                stream.write_all(format!("ping {word}\n").as_bytes()).await?;
                let mut line = String::new();
                stream.read_line(&mut line).await?;
                if line.is_empty() {
                    return Err(ended());
                }
                line
            }
            Self::Http => format!("{} {word}\n", ask(stream).await?.pod),
        };
        if answered == format!("{pod} {word}\n") {
            Ok(())
        } else {
            Err(invalid(format!("pinged {pod}, answered {answered:?}")))
        }
    }
}

/// One request and its whole response, which must be a 200 of a pod.
async fn ask(stream: &mut BufReader<TcpStream>) -> io::Result<Answer> {
    stream.write_all(b"GET / HTTP/1.1\r\nhost: foo.bar.com\r\nuser-agent: gateway-tests\r\n\r\n").await?;
    let mut status = String::new();
    if stream.read_line(&mut status).await? == 0 {
        return Err(ended());
    }
    let (mut pod, mut version, mut length) = (None, None, 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(ended());
        }
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name {
            "x-weir-pod" => pod = Some(value.to_owned()),
            "x-weir-version" => version = Some(value.to_owned()),
            "content-length" => length = value.parse().map_err(|_| invalid(line.clone()))?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    match (status.starts_with("HTTP/1.1 200 "), pod, version) {
        (true, Some(pod), Some(version)) => Ok(Answer { pod, version }),
        _ => Err(invalid(format!("answered {:?}", status.trim_end()))),
    }
}

fn read_greeting(line: &str) -> Option<Answer> {
    let (pod, version) = line.trim_end().split_once(' ')?;
    Some(Answer { pod: pod.to_owned(), version: version.to_owned() })
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "closed by the server")
}
