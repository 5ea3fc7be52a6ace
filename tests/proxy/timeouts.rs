//! Clients that take their time.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use weir::proxy::{Config, config::Timeouts};

use crate::{
    backend::Backend,
    stage::{Stage, gateway},
};

const SHORT: Duration = Duration::from_millis(300);

/// Times are kept to within 50 ms.
const EARLIEST: Duration = Duration::from_millis(240);

fn stage(backend: &Backend, timeouts: Timeouts) -> Stage {
    let stage = Stage::with(Config { timeouts, ..Config::default() });
    stage.serve(gateway(&[("a", 10_000, &[backend.address])]));
    stage
}

#[test]
fn a_head_that_trickles_in_is_408_after_its_time_however_busy_it_is() {
    let backend = Backend::named("a");
    let stage = stage(&backend, Timeouts { head: SHORT, ..Timeouts::default() });
    let mut client = stage.connect();
    assert_eq!(client.get("a", "/").status, 200);
    let began = Instant::now();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n");
    let mut writer = client.stream().try_clone().unwrap();
    let trickle = std::thread::spawn(move || {
        while writer.write_all(b"X: y\r\n").is_ok() && began.elapsed() < Duration::from_secs(20) {
            gateway_tests::let_pass(Duration::from_millis(20));
        }
    });
    assert_eq!(client.response().status, 408);
    assert!(began.elapsed() >= EARLIEST && began.elapsed() < SHORT * 10);
    assert_eq!(stage.refused("head-timeout"), 1);
    drop(client);
    trickle.join().unwrap();
    assert_eq!(backend.seen().len(), 1);
}

#[test]
fn a_connection_that_sends_nothing_is_closed() {
    let backend = Backend::named("a");
    let stage = stage(&backend, Timeouts { head: SHORT, ..Timeouts::default() });
    assert!(stage.connect().is_closed());
    assert_eq!(stage.refused("head-timeout"), 1);
    let mut client = stage.connect();
    client.send("PRI * HTTP");
    assert!(client.is_closed());
}

#[test]
fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let (tell, told) = std::sync::mpsc::channel::<()>();
    let told = std::sync::Mutex::new(told);
    let backend = Backend::start(move |exchange| {
        told.lock().unwrap().recv().unwrap();
        exchange.answer("a")
    });
    let stage = stage(&backend, Timeouts { idle: SHORT, ..Timeouts::default() });
    let mut client = stage.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    gateway_tests::let_pass(SHORT * 3);
    tell.send(()).unwrap();
    assert_eq!(client.response().text(), "a");
    let idle = Instant::now();
    assert!(client.is_closed());
    assert!(idle.elapsed() >= EARLIEST, "{:?}", idle.elapsed());
}

#[test]
fn a_body_that_pauses_for_too_long_is_408_and_a_slow_one_is_not() {
    let backend = Backend::named("a");
    let stage = stage(&backend, Timeouts { body_idle: SHORT, backend: SHORT, ..Timeouts::default() });
    let mut client = stage.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
    for _ in 0..10 {
        gateway_tests::let_pass(SHORT / 4);
        client.send("x");
    }
    assert_eq!(
        client.response().status,
        200,
        "longer than any pause, and the endpoint's time begins at its end"
    );
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
    assert_eq!(client.response().status, 408);
    assert_eq!(stage.refused("body-timeout"), 1);
    assert!(client.is_closed());
}

#[test]
fn a_client_that_takes_nothing_is_cut_off() {
    let backend = Backend::start(|exchange| {
        let stream = exchange.stream.get_mut();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n")?;
        (0..1 << 17).try_for_each(|_| stream.write_all(&[b'x'; 8192]))
    });
    let stage = stage(&backend, Timeouts { write_idle: SHORT, ..Timeouts::default() });
    let mut client = stage.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    stage.wait("the connection is cut", |stats| stats.accepted == 1 && stats.connections == 0);
    stage.wait("the endpoint is free", |stats| stats.routes[0].endpoints[0].in_flight == 0);
}

#[test]
fn an_answer_that_pauses_for_too_long_is_cut_off() {
    let (_tell, told) = std::sync::mpsc::channel::<()>();
    let told = std::sync::Mutex::new(told);
    let backend = Backend::start(move |exchange| {
        exchange.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello")?;
        let _ = told.lock().unwrap().recv();
        exchange.write("world")
    });
    let stage = stage(&backend, Timeouts { response_idle: SHORT, ..Timeouts::default() });
    let mut client = stage.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.head().status, 200);
    assert_eq!(client.exactly(5), b"hello");
    assert!(client.is_closed());
}

#[test]
fn a_client_that_goes_away_frees_its_endpoint() {
    let (ended, ends) = std::sync::mpsc::channel();
    let ended = std::sync::Mutex::new(ended);
    let backend = Backend::start(move |exchange| {
        let mut rest = Vec::new();
        std::io::Read::read_to_end(&mut exchange.stream, &mut rest)?;
        ended.lock().unwrap().send(()).unwrap();
        Err(std::io::ErrorKind::Other.into())
    });
    let stage = stage(&backend, Timeouts::default());
    let mut client = stage.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    crate::stage::wait("the request is under way", || backend.seen().len() == 1);
    drop(client);
    ends.recv_timeout(Duration::from_secs(20)).unwrap();
}
