//! Upstream connections: kept, taken again, and not trusted too far.

use std::{
    net::SocketAddr,
    os::fd::BorrowedFd,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use gateway_model::key::{GatewayKey, RouteName};
use weir::proxy::{
    Config, Family, Mark,
    config::{Limits, Timeouts},
};

use crate::{
    backend::Backend,
    stage::{Stage, gateway},
};

#[test]
fn requests_one_after_the_other_share_a_connection() {
    let backend = Backend::named("a");
    let stage = Stage::to(backend.address);
    for _ in 0..5 {
        let mut client = stage.connect();
        for _ in 0..5 {
            assert_eq!(client.get("a", "/").status, 200);
        }
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        assert_eq!(client.response().status, 200);
    }
    assert_eq!(backend.connections(), 1);
}

#[test]
fn routes_share_no_connection_even_to_the_same_endpoint() {
    let backend = Backend::named("a");
    let stage = Stage::of(gateway(&[("a", 5_000, &[backend.address]), ("b", 5_000, &[backend.address])]));
    let mut client = stage.connect();
    for _ in 0..20 {
        assert_eq!(client.get("a", "/").status, 200);
    }
    assert_eq!(backend.connections(), 2, "packets are counted per route");
    assert_eq!((stage.route("a").requests(), stage.route("b").requests()), (10, 10));
}

/// Remembers whose packets sockets were said to carry, and that they were not connected yet.
#[derive(Default)]
struct Marks(Mutex<Vec<(String, String, SocketAddr, bool)>>);

impl Mark for Marks {
    fn mark(
        &self,
        socket: BorrowedFd<'_>,
        gateway: &GatewayKey,
        route: &RouteName,
        endpoint: SocketAddr,
    ) -> std::io::Result<()> {
        let is_connected = socket2::SockRef::from(&socket).peer_addr().is_ok();
        self.0.lock().unwrap().push((gateway.to_string(), route.0.clone(), endpoint, is_connected));
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

#[test]
fn every_upstream_connection_is_marked_once_before_it_is_made() {
    let backend = Backend::named("a");
    let marks = Arc::new(Marks::default());
    let stage = Stage::start(Config::default(), Family::V4, Arc::clone(&marks) as _);
    stage.serve(gateway(&[("(1.0.3)", 5_000, &[backend.address]), ("b", 5_000, &[backend.address])]));
    let mut client = stage.connect();
    for _ in 0..10 {
        assert_eq!(client.get("a", "/").status, 200, "a socket that cannot be marked serves all the same");
    }
    let mut marked = marks.0.lock().unwrap().clone();
    marked.sort();
    let expected =
        ["(1.0.3)", "b"].map(|route| ("default/foo".to_owned(), route.to_owned(), backend.address, false));
    assert_eq!(marked, expected);
}

/// Answers this many requests per connection, then closes it without a word, one request late.
fn closes_after(requests: usize) -> Backend {
    let count = AtomicUsize::new(0);
    Backend::start(move |exchange| {
        exchange.read_body()?;
        if count.fetch_add(1, Ordering::SeqCst) % (requests + 1) == requests {
            return Err(std::io::ErrorKind::Other.into());
        }
        exchange.answer("a")
    })
}

#[test]
fn a_request_on_a_connection_that_died_is_sent_again_on_a_new_one() {
    let backend = closes_after(1);
    let stage = Stage::to(backend.address);
    let mut client = stage.connect();
    for _ in 0..20 {
        assert_eq!(client.get("a", "/").status, 200);
    }
    assert!(stage.route("a").failures.is_empty());
}

#[test]
fn a_request_that_may_have_been_served_is_not_sent_again() {
    let backend = closes_after(1);
    let stage = Stage::to(backend.address);
    let mut client = stage.connect();
    assert_eq!(client.get("a", "/").status, 200);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(client.response().status, 502);
    assert_eq!(backend.seen().len(), 2);
}

#[test]
fn a_connection_that_its_endpoint_has_closed_is_not_taken() {
    let backend = Backend::start(|exchange| {
        exchange.read_body()?;
        exchange.answer("a")?;
        Err(std::io::ErrorKind::Other.into())
    });
    let stage = Stage::to(backend.address);
    let mut client = stage.connect();
    for _ in 0..50 {
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        // Lost only where the close crosses the request; the proxy sees a close that came before.
        let status = client.response().status;
        assert!(status == 200 || status == 502, "{status}");
    }
    for _ in 0..50 {
        assert_eq!(client.get("a", "/").status, 200, "what can be sent again is never lost");
    }
}

#[test]
fn bytes_that_nobody_asked_for_are_no_answer_to_the_next_request() {
    let backend = Backend::start(|exchange| {
        // In one piece: bytes that come only after the next request was sent are its answer for all anybody can tell.
        exchange.write(
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok\
             HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
        )
    });
    let stage = Stage::to(backend.address);
    let mut client = stage.connect();
    for _ in 0..20 {
        assert_eq!(client.get("a", "/").text(), "ok");
    }
}

#[test]
fn an_idle_connection_is_closed_in_time() {
    let backend = Backend::named("a");
    let timeouts = Timeouts { upstream_idle: Duration::from_millis(100), ..Timeouts::default() };
    let stage = Stage::with(Config { timeouts, ..Config::default() });
    stage.serve(gateway(&[("a", 10_000, &[backend.address])]));
    let mut client = stage.connect();
    assert_eq!(client.get("a", "/").status, 200);
    crate::stage::wait("a new connection after the idle time", || {
        let before = backend.connections();
        gateway_tests::let_pass(Duration::from_millis(150));
        stage.connect().get("a", "/").status == 200 && backend.connections() > before
    });
}

#[test]
fn no_more_idle_connections_are_kept_than_told() {
    let (tell, told) = std::sync::mpsc::channel::<()>();
    let told = Mutex::new(told);
    let backend = Backend::start(move |exchange| {
        exchange.read_body()?;
        if exchange.request.line.contains("/wait") {
            told.lock().unwrap().recv().unwrap();
        }
        exchange.answer("a")
    });
    let limits = Limits { upstream_idle: 1, ..Limits::default() };
    let stage = Stage::with(Config { limits, ..Config::default() });
    stage.serve(gateway(&[("a", 10_000, &[backend.address])]));
    let mut clients: Vec<_> = (0..3).map(|_| stage.connect()).collect();
    for client in &mut clients {
        client.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    stage.wait("three requests under way", |stats| {
        stats.routes.first().is_some_and(|route| route.endpoints[0].in_flight == 3)
    });
    (0..3).for_each(|_| tell.send(()).unwrap());
    for client in &mut clients {
        assert_eq!(client.response().status, 200);
    }
    stage.wait("none under way", |stats| stats.routes[0].endpoints[0].in_flight == 0);
    assert_eq!(backend.connections(), 3);
    clients[0].send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
    clients[1].send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
    crate::stage::wait("one kept, one new", || backend.connections() == 4);
    (0..2).for_each(|_| tell.send(()).unwrap());
    assert_eq!((clients[0].response().status, clients[1].response().status), (200, 200));
}

#[test]
fn connections_of_an_endpoint_that_left_are_closed_when_idle_and_not_before() {
    let (tell, told) = std::sync::mpsc::channel::<()>();
    let told = Mutex::new(told);
    let (ended, ends) = std::sync::mpsc::channel();
    let ended = Mutex::new(ended);
    let leaving = Backend::start(move |exchange| {
        if exchange.request.line.contains("/wait") {
            told.lock().unwrap().recv().unwrap();
        }
        exchange.answer("leaving")?;
        // Reads the next head itself: the end of the connection is what the test waits for.
        let mut rest = Vec::new();
        std::io::Read::read_to_end(&mut exchange.stream, &mut rest)?;
        ended.lock().unwrap().send(rest).unwrap();
        Err(std::io::ErrorKind::Other.into())
    });
    let other = Backend::named("other");
    let stage = Stage::to(leaving.address);
    let (mut idle, mut busy) = (stage.connect(), stage.connect());
    busy.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
    stage.wait("one under way", |stats| {
        stats.routes.first().is_some_and(|route| route.endpoints[0].in_flight == 1)
    });
    assert_eq!(idle.get("a", "/").text(), "leaving");
    stage.serve(gateway(&[("a", 10_000, &[other.address])]));
    let patience = Duration::from_secs(20);
    assert_eq!(ends.recv_timeout(patience).unwrap(), b"", "the idle one ends, without a request for it");
    tell.send(()).unwrap();
    assert_eq!(busy.response().text(), "leaving", "the busy one ends its request");
    assert_eq!(ends.recv_timeout(patience).unwrap(), b"", "and is closed then");
    assert_eq!(busy.get("a", "/").text(), "other");
}
