//! What a client is told when nobody can answer it.

use std::{sync::Arc, time::Duration};

use socket2::{Domain, Socket, Type};
use weir::proxy::{Config, config::Timeouts};

use crate::{
    backend::Backend,
    client::Client,
    stage::{Stage, gateway, gateway_with},
};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn failures(stage: &Stage, reason: &str) -> u64 {
    let failures = stage.route("a").failures;
    failures.iter().find(|(known, _)| *known == reason).map_or(0, |(_, count)| *count)
}

#[test]
fn a_host_that_no_gateway_has_is_404_and_the_connection_stays() {
    let backend = Backend::named("a");
    let stage = Stage::with(Config::default());
    let gateway = gateway(&[("a", 10_000, &[backend.address])]);
    stage.share(&[("foo.example", &gateway), ("*.bar.example", &gateway)]);
    let mut client = stage.connect();
    for (host, status) in [
        ("foo.example", 200),
        ("FOO.Example:8080", 200),
        ("x.bar.example", 200),
        ("x.y.bar.example", 200),
        ("bar.example", 404),
        ("other.example", 404),
        ("", 404),
        ("foo.example.evil", 404),
    ] {
        assert_eq!(client.get(host, "/").status, status, "{host}");
    }
    let unrouted = stage.proxy.stats().unrouted;
    assert_eq!((unrouted[0].reason, unrouted[0].status, unrouted[0].count), ("unknown-host", 404, 4));
}

#[test]
fn an_address_that_no_gateway_has_is_closed() {
    let stage = Stage::with(Config::default());
    assert!(stage.connect().is_closed());
    assert_eq!(stage.refused("unknown-frontend"), 1);
}

#[test]
fn a_gateway_without_a_usable_route_is_503() {
    let backend = Backend::named("a");
    let stage = Stage::of(gateway(&[("a", 10_000, &[]), ("b", 0, &[backend.address])]));
    let mut client = stage.connect();
    assert_eq!(client.get("a", "/").status, 503);
    stage.serve(gateway(&[]));
    assert_eq!(client.get("a", "/").status, 503);
    assert_eq!(backend.seen().len(), 0, "0 % is 0");
    assert_eq!(stage.proxy.stats().unrouted[0].count, 2);
}

#[test]
fn weights_of_zero_leave_conditions_their_requests() {
    let backend = Backend::named("a");
    let stage = Stage::of(gateway_with(&[("a", 0, &[backend.address])], &[("Path is /in", 0, 10_000)]));
    let mut client = stage.connect();
    assert_eq!(client.get("a", "/in").status, 200);
    assert_eq!(client.get("a", "/out").status, 503);
}

#[test]
fn an_endpoint_that_refuses_is_passed_over_for_another_of_its_route() {
    let backend = Backend::named("a");
    let stage =
        Stage::of(gateway(&[("a", 10_000, &[Backend::nobody(), backend.address, Backend::nobody()])]));
    for _ in 0..20 {
        assert_eq!(stage.connect().get("a", "/").text(), "a");
    }
}

#[test]
fn no_endpoint_that_accepts_is_502() {
    let other = Backend::named("b");
    let endpoints = [Backend::nobody(), Backend::nobody()];
    let stage = Stage::of(gateway(&[("a", 10_000, &endpoints), ("b", 0, &[other.address])]));
    let mut client = stage.connect();
    assert_eq!(client.get("a", "/").status, 502);
    assert_eq!(client.get("a", "/").status, 502);
    assert_eq!(failures(&stage, "connect"), 2);
    assert_eq!(stage.route("a").responses[4], 2);
    assert_eq!(other.seen().len(), 0, "another route is no substitute");
}

#[test]
fn an_endpoint_that_does_not_accept_in_time_is_504() {
    let full = FullListener::new();
    let timeouts = Timeouts { connect: Duration::from_millis(200), ..Timeouts::default() };
    let stage = Stage::with(Config { timeouts, ..Config::default() });
    stage.serve(gateway(&[("a", 10_000, &[full.address()])]));
    assert_eq!(stage.connect().get("a", "/").status, 504);
    assert_eq!(failures(&stage, "connect-timeout"), 1);
}

/// A listener whose queue is full: the kernel drops what else wants to connect.
struct FullListener {
    socket: Socket,
    _queued: Vec<Socket>,
}

impl FullListener {
    fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap();
        let queued = (0..4).map(|_| {
            let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            client.set_nonblocking(true).unwrap();
            // In progress, and for some of them for ever.
            let _ = client.connect(&address);
            client
        });
        Self { _queued: queued.collect(), socket }
    }

    fn address(&self) -> std::net::SocketAddr {
        self.socket.local_addr().unwrap().as_socket().unwrap()
    }
}

#[test]
fn an_endpoint_that_does_not_answer_in_time_is_504() {
    let backend = Backend::start(|exchange| {
        // Reads until the proxy gives up.
        exchange.read_body()?;
        std::io::copy(&mut exchange.stream, &mut std::io::sink())?;
        Err(std::io::ErrorKind::Other.into())
    });
    let timeouts = Timeouts { backend: Duration::from_millis(200), ..Timeouts::default() };
    let stage = Stage::with(Config { timeouts, ..Config::default() });
    stage.serve(gateway(&[("a", 10_000, &[backend.address])]));
    let mut client = stage.connect();
    assert_eq!(client.get("a", "/").status, 504);
    assert_eq!(failures(&stage, "backend-timeout"), 1);
    assert_eq!(backend.seen().len(), 1, "a request that may have been served is not sent again");
    assert_eq!(client.get("a", "/").status, 504, "the client's connection stays");
}

#[test]
fn a_request_that_takes_too_long_as_a_whole_is_504() {
    let backend = Backend::named("a");
    let timeouts = Timeouts { request: Some(Duration::from_millis(300)), ..Timeouts::default() };
    let stage = Stage::with(Config { timeouts, ..Config::default() });
    stage.serve(gateway(&[("a", 10_000, &[backend.address])]));
    let mut client = stage.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
    assert_eq!(client.response().status, 504);
    assert_eq!(failures(&stage, "request-timeout"), 1);
}

#[test]
fn an_endpoint_that_closes_without_an_answer_is_502() {
    let backend = Backend::start(|_| Err(std::io::ErrorKind::Other.into()));
    let stage = Stage::to(backend.address);
    let mut client = stage.connect();
    assert_eq!(client.get("a", "/").status, 502);
    assert_eq!(failures(&stage, "endpoint-closed"), 1);
    assert_eq!(backend.seen().len(), 1);
}

#[test]
fn an_endpoint_that_does_not_speak_http_is_502() {
    let answers = [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    ];
    for answer in answers {
        let backend = Backend::start(move |exchange| {
            exchange.write(answer)?;
            Err(std::io::ErrorKind::Other.into())
        });
        let stage = Stage::to(backend.address);
        assert_eq!(stage.connect().get("a", "/").status, 502, "{answer:?}");
    }
}

#[test]
fn an_answer_that_breaks_off_breaks_off_for_the_client() {
    for head in ["content-length: 100", "transfer-encoding: chunked"] {
        let backend = Backend::start(move |exchange| {
            exchange.write(&format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nhello\r\n"))?;
            Err(std::io::ErrorKind::Other.into())
        });
        let stage = Stage::to(backend.address);
        let mut client = stage.connect();
        client.send(GET);
        assert_eq!(client.head().status, 200);
        let mut rest = Vec::new();
        let _ = std::io::Read::read_to_end(client.stream(), &mut rest);
        assert!(!rest.ends_with(b"0\r\n\r\n"), "{head}: a broken answer must not look whole");
        stage.wait("the failure is counted", |_| failures(&stage, "response-broke") == 1);
    }
}

#[test]
fn a_gateway_taken_away_is_404_on_the_connections_it_leaves() {
    let backend = Backend::named("a");
    let stage = Stage::to(backend.address);
    let mut client = stage.connect();
    assert_eq!(client.get("a", "/").status, 200);
    stage.proxy.set_table(Arc::default());
    assert_eq!(client.get("a", "/").status, 404);
}

#[test]
fn an_endpoint_gone_for_a_moment_is_tried_again_where_it_is_the_only_one() {
    let address = Backend::nobody();
    let stage = Stage::to(address);
    let mut client: Client = stage.connect();
    assert_eq!(client.get("a", "/").status, 502);
    let listener = std::net::TcpListener::bind(address).unwrap();
    let answers = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 1024];
        std::io::Read::read(&mut stream, &mut head).unwrap();
        std::io::Write::write_all(&mut stream, b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
    });
    assert_eq!(client.get("a", "/").status, 204);
    answers.join().unwrap();
}
