//! Going away without losing a request.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use weir::proxy::{Config, Drained, config::Timeouts};

use crate::{
    backend::Backend,
    client::Client,
    stage::{Stage, gateway},
};

/// A stage whose drain is quick, before `backend`.
fn stage(backend: &Backend) -> Stage {
    let quick = Duration::from_millis(200);
    let timeouts = Timeouts { drain_accept: quick, drain_idle: quick, ..Timeouts::default() };
    let stage = Stage::with(Config { timeouts, ..Config::default() });
    stage.serve(gateway(&[("a", 10_000, &[backend.address])]));
    stage
}

/// Begins to drain on a thread of its own.
fn drain(stage: &Stage, deadline: Duration) -> mpsc::Receiver<Drained> {
    let drained = stage.proxy.drain(deadline);
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        sender.send(runtime.block_on(drained)).unwrap();
    });
    receiver
}

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn a_request_under_way_ends_and_its_connection_closes() {
    let (tell, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let backend = Backend::start(move |exchange| {
        told.lock().unwrap().recv().unwrap();
        exchange.answer("a")
    });
    let stage = stage(&backend);
    let mut client = stage.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    crate::stage::wait("the request is under way", || backend.seen().len() == 1);
    let drained = drain(&stage, PATIENCE);
    gateway_tests::let_pass(Duration::from_millis(600));
    assert!(drained.try_recv().is_err(), "not while a request is under way");
    tell.send(()).unwrap();
    let response = client.response();
    assert_eq!((response.text(), response.field("connection")), ("a", Some("close")));
    assert!(client.is_closed());
    assert_eq!(drained.recv_timeout(PATIENCE).unwrap(), Drained { left: 0 });
}

#[test]
fn an_idle_connection_may_send_one_more_request_and_is_closed_after_a_while() {
    let backend = Backend::named("a");
    let stage = stage(&backend);
    let (mut one, mut other) = (stage.connect(), stage.connect());
    assert_eq!((one.get("a", "/").status, other.get("a", "/").status), (200, 200));
    let drained = drain(&stage, PATIENCE);
    let response = one.get("a", "/");
    assert_eq!((response.status, response.field("connection")), (200, Some("close")));
    assert!(one.is_closed());
    assert!(other.is_closed());
    assert_eq!(drained.recv_timeout(PATIENCE).unwrap(), Drained { left: 0 });
}

#[test]
fn a_connection_that_comes_while_draining_is_served_until_accepting_ends() {
    let backend = Backend::named("a");
    let stage = stage(&backend);
    let drained = drain(&stage, PATIENCE);
    let response = stage.connect().get("a", "/");
    assert_eq!((response.status, response.field("connection")), (200, Some("close")));
    assert_eq!(drained.recv_timeout(PATIENCE).unwrap(), Drained { left: 0 });
    assert!(std::net::TcpStream::connect(stage.frontend).is_err(), "it listens no more");
}

#[test]
fn what_is_left_at_the_deadline_is_counted_and_cut() {
    let (_tell, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let backend = Backend::start(move |_| {
        let _ = told.lock().unwrap().recv();
        Err(std::io::ErrorKind::Other.into())
    });
    let stage = stage(&backend);
    let mut client = stage.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    crate::stage::wait("the request is under way", || backend.seen().len() == 1);
    let began = Instant::now();
    let drained = drain(&stage, Duration::from_millis(500));
    assert_eq!(drained.recv_timeout(PATIENCE).unwrap(), Drained { left: 1 });
    assert!(began.elapsed() >= Duration::from_millis(500));
    assert!(client.is_closed());
}

#[test]
fn no_request_of_clients_that_reconnect_when_told_is_lost_to_a_successor() {
    let backend = Backend::named("a");
    let old = stage(&backend);
    let new = stage(&backend);
    let draining = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..6).map(|_| scope.spawn(|| follow(&old, &new, &draining))).collect();
        old.wait("load", |stats| stats.routes.first().is_some_and(|route| route.requests() > 500));
        // New connections go to the successor from now on, as the kernel's socket map would have it.
        draining.store(true, Ordering::SeqCst);
        assert_eq!(drain(&old, PATIENCE).recv_timeout(PATIENCE).unwrap(), Drained { left: 0 });
        let sent: u64 = clients.into_iter().map(|client| client.join().unwrap()).sum();
        assert_eq!(old.route("a").responses[1] + new.route("a").responses[1], sent);
    });
}

/// Sends requests to the old proxy until it says that it goes, then a hundred to the new one.
fn follow(old: &Stage, new: &Stage, draining: &AtomicBool) -> u64 {
    let mut client = old.connect();
    for sent in 1.. {
        let response = client.get("a", "/");
        assert_eq!(response.status, 200);
        if response.field("connection") == Some("close") {
            assert!(draining.load(Ordering::SeqCst));
            let mut client: Client = new.connect();
            assert!((0..100).all(|_| client.get("a", "/").status == 200));
            return sent + 100;
        }
    }
    unreachable!("requests do not run out")
}

#[test]
fn dropping_a_proxy_ends_its_threads_and_closes_its_connections() {
    let backend = Backend::named("a");
    let stage = stage(&backend);
    let mut client = stage.connect();
    assert_eq!(client.get("a", "/").status, 200);
    let frontend = stage.frontend;
    drop(stage);
    assert!(client.is_closed());
    assert!(std::net::TcpStream::connect(frontend).is_err());
}
