//! Endpoints: blocking HTTP/1 servers of a few lines, one thread per connection, that do exactly what a test says.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// A running endpoint; its threads end with the test process.
pub struct Backend {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A request's head as it arrived.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub line: String,
    pub fields: Vec<(String, String)>,
}

impl Seen {
    /// The values of a field, by lower-case name, joined with `|`.
    pub fn field(&self, name: &str) -> Option<String> {
        let values: Vec<&str> =
            self.fields.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then(|| values.join("|"))
    }
}

/// One request under way at an endpoint.
pub struct Exchange {
    pub request: Seen,
    pub stream: BufReader<TcpStream>,
}

impl Exchange {
    /// Reads the body to its end: what it holds, and its trailers as they came.
    pub fn read_body(&mut self) -> io::Result<(Vec<u8>, String)> {
        if self.request.field("transfer-encoding").is_some() {
            return self.read_chunked();
        }
        let length = self.request.field("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((body, String::new()))
    }

    fn read_chunked(&mut self) -> io::Result<(Vec<u8>, String)> {
        let mut body = Vec::new();
        loop {
            let size = self.read_line()?;
            let size = usize::from_str_radix(size.trim_end(), 16).map_err(io::Error::other)?;
            if size == 0 {
                break;
            }
            let start = body.len();
            body.resize(start + size, 0);
            self.stream.read_exact(&mut body[start..])?;
            self.read_line()?;
        }
        let mut trailers = String::new();
        loop {
            match self.read_line()?.as_str() {
                "\r\n" => return Ok((body, trailers)),
                line => trailers.push_str(line),
            }
        }
    }

    fn read_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line),
        }
    }

    /// Writes bytes as they are.
    pub fn write(&mut self, bytes: &str) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_bytes())
    }

    /// Answers 200 with a text.
    pub fn answer(&mut self, text: &str) -> io::Result<()> {
        self.write(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len()))
    }
}

impl Backend {
    /// Runs `handle` for every request; the connection is kept until it returns an error.
    pub fn start(handle: impl Fn(&mut Exchange) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let backend = Self { address, connections: Arc::default(), seen: Arc::default() };
        let (connections, seen) = (Arc::clone(&backend.connections), Arc::clone(&backend.seen));
        let handle = Arc::new(handle);
        thread::spawn(move || {
            for stream in listener.incoming() {
                connections.fetch_add(1, Ordering::SeqCst);
                let (handle, seen) = (Arc::clone(&handle), Arc::clone(&seen));
                thread::spawn(move || serve(stream.unwrap(), &seen, &*handle));
            }
        });
        backend
    }

    /// Answers every request with `name`, after having read its body.
    pub fn named(name: &'static str) -> Self {
        Self::start(move |exchange| {
            exchange.read_body()?;
            exchange.answer(name)
        })
    }

    /// Answers with what was asked: the head, then the body.
    pub fn echo() -> Self {
        Self::start(|exchange| {
            let (body, trailers) = exchange.read_body()?;
            let fields: Vec<String> =
                exchange.request.fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            let head = format!("{}\n{}\n\n", exchange.request.line, fields.join("\n"));
            exchange.answer(&format!("{head}{}{trailers}", String::from_utf8_lossy(&body)))
        })
    }

    /// An address where nobody listens.
    pub fn nobody() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    /// Connections accepted up to now.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Requests up to now.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(stream: TcpStream, seen: &Mutex<Vec<Seen>>, handle: &dyn Fn(&mut Exchange) -> io::Result<()>) {
    let mut exchange = Exchange { request: Seen::default(), stream: BufReader::new(stream) };
    while let Ok(request) = read_head(&mut exchange) {
        seen.lock().unwrap().push(request.clone());
        exchange.request = request;
        if handle(&mut exchange).is_err() {
            return;
        }
    }
}

fn read_head(exchange: &mut Exchange) -> io::Result<Seen> {
    let line = exchange.read_line()?.trim_end().to_owned();
    let mut fields = Vec::new();
    loop {
        let field = exchange.read_line()?;
        if field == "\r\n" {
            return Ok(Seen { line, fields });
        }
        let (name, value) = field.trim_end().split_once(": ").or(field.trim_end().split_once(':')).unwrap();
        fields.push((name.to_ascii_lowercase(), value.to_owned()));
    }
}
