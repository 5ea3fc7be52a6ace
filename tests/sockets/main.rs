//! `weir-sockets`: does with sockets what standard input says, line by line, and writes what came of it as a line of
//! JSON. Orders: see `gateway_tests::process`.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Write},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Said(BTreeMap<&'static str, BTreeMap<String, u64>>);

#[derive(Default)]
struct Kept {
    socket4: Option<UdpSocket>,
    socket6: Option<UdpSocket>,
    streams: Vec<(String, BufReader<TcpStream>)>,
    connected: Vec<(String, UdpSocket)>,
}

fn main() -> io::Result<()> {
    let mut kept = Kept::default();
    for line in io::stdin().lines() {
        let mut said = Said::default();
        obey(&line?, &mut kept, &mut said);
        let mut out = io::stdout().lock();
        writeln!(out, "{}", serde_json::to_value(&said.0)?)?;
        out.flush()?;
    }
    Ok(())
}

fn obey(line: &str, kept: &mut Kept, said: &mut Said) {
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["ping"] => {
            for (word, (pod, stream)) in kept.streams.iter_mut().enumerate() {
                let pinged = ping(stream, pod, word).map(|()| (pod.clone(), "alive".to_owned()));
                said.note(pinged);
            }
            for (turn, (_, socket)) in kept.connected.iter().enumerate() {
                let sent = socket.send(turn.to_string().as_bytes());
                let outcome = sent.and_then(|_| answer(socket, turn, said));
                said.note(outcome);
            }
        }
        [order, to, count] => {
            let to: SocketAddr = to.parse().expect("an address");
            for turn in 0..count.parse().expect("a number") {
                one(order, to, turn, kept, said);
            }
        }
        _ => panic!("no such order: {line}"),
    }
}

fn one(order: &str, to: SocketAddr, turn: usize, kept: &mut Kept, said: &mut Said) {
    let outcome = match order {
        "tcp" => greet(to, said).map(|(who, _)| who),
        "hold" => greet(to, said).map(|(who, stream)| {
            kept.streams.push((who.0.clone(), stream));
            who
        }),
        "http" => ask_http(to, said),
        "udp" => connect(to, turn, said).map(|(who, _)| who),
        "hold-udp" => connect(to, turn, said).map(|(who, socket)| {
            kept.connected.push((who.0.clone(), socket));
            who
        }),
        "datagrams" => bind(to).and_then(|socket| ask(&socket, to, turn, said)),
        "one-socket" => {
            let place = if to.is_ipv4() { &mut kept.socket4 } else { &mut kept.socket6 };
            let socket = place.take().map_or_else(|| bind(to), Ok);
            socket.and_then(|socket| {
                let outcome = ask(&socket, to, turn, said);
                *place = Some(socket);
                outcome
            })
        }
        _ => panic!("no such order: {order}"),
    };
    said.note(outcome);
}

type Who = (String, String);

/// Connects, and reads the pod's greeting.
fn greet(to: SocketAddr, said: &mut Said) -> io::Result<(Who, BufReader<TcpStream>)> {
    let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    said.count("peers", &stream.peer_addr()?.to_string());
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let who = line.trim_end().split_once(' ').ok_or(io::ErrorKind::InvalidData)?;
    Ok(((who.0.to_owned(), who.1.to_owned()), stream))
}

/// One request on a connection of its own; the version is the body.
fn ask_http(to: SocketAddr, said: &mut Said) -> io::Result<Who> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    said.count("peers", &stream.peer_addr()?.to_string());
    stream.write_all(b"GET / HTTP/1.1\r\nhost: web\r\nconnection: close\r\n\r\n")?;
    let answer = io::read_to_string(stream)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
    if !head.starts_with("HTTP/1.1 200 ") {
        return Err(io::Error::other(head.to_owned()));
    }
    Ok((String::new(), body.trim_end().to_owned()))
}

fn ping(stream: &mut BufReader<TcpStream>, pod: &str, word: usize) -> io::Result<()> {
    stream.get_mut().write_all(format!("ping {word}\n").as_bytes())?;
    let mut line = String::new();
    stream.read_line(&mut line)?;
    if line == format!("{pod} {word}\n") { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn bind(to: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr =
        if to.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// A connected socket, and who answers.
fn connect(to: SocketAddr, turn: usize, said: &mut Said) -> io::Result<(Who, UdpSocket)> {
    let socket = bind(to)?;
    socket.connect(to)?;
    said.count("peers", &socket.peer_addr()?.to_string());
    socket.send(turn.to_string().as_bytes())?;
    Ok((answer(&socket, turn, said)?, socket))
}

fn ask(socket: &UdpSocket, to: SocketAddr, turn: usize, said: &mut Said) -> io::Result<Who> {
    socket.send_to(turn.to_string().as_bytes(), to)?;
    answer(socket, turn, said)
}

fn answer(socket: &UdpSocket, turn: usize, said: &mut Said) -> io::Result<Who> {
    let mut buffer = [0; 256];
    let (length, from) = socket.recv_from(&mut buffer)?;
    said.count("peers", &from.to_string());
    let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
    match text.split(' ').collect::<Vec<_>>()[..] {
        [pod, version, word] if word == turn.to_string() => Ok((pod.to_owned(), version.to_owned())),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

impl Said {
    fn count(&mut self, what: &'static str, which: &str) {
        *self.0.entry(what).or_default().entry(which.to_owned()).or_default() += 1;
    }

    fn note(&mut self, outcome: io::Result<Who>) {
        match outcome {
            Ok((pod, version)) => {
                self.count("pods", &pod);
                self.count("versions", &version);
            }
            Err(error) => self.count("errors", &text(&error)),
        }
    }
}

fn text(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::Other { error.to_string() } else { error.kind().to_string() }
}
