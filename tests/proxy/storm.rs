//! Everything that goes wrong, at once: afterwards nothing is left over, and requests are served as ever.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use weir::proxy::{Config, config::Timeouts};

use crate::{
    backend::{Backend, Exchange},
    stage::{Stage, gateway},
};

/// How long it lasts.
const STORM: Duration = Duration::from_secs(3);

/// Panics on a proxy's threads; its runtime would swallow them.
static PANICS: AtomicUsize = AtomicUsize::new(0);

/// A sequence of numbers that looks random (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[test]
fn clients_and_endpoints_that_break_off_anywhere_leave_nothing_behind() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if thread::current().name().is_some_and(|name| name.starts_with("weir-proxy")) {
            PANICS.fetch_add(1, Ordering::SeqCst);
        }
        default(panic);
    }));
    let backends: Vec<Backend> = (1..4).map(moody).collect();
    let steady = Backend::named("steady");
    let timeouts = Timeouts {
        head: Duration::from_millis(200),
        backend: Duration::from_millis(300),
        body_idle: Duration::from_millis(200),
        upstream_idle: Duration::from_millis(300),
        ..Timeouts::default()
    };
    let stage = Stage::with(Config { timeouts, ..Config::default() });
    let until = Instant::now() + STORM;
    thread::scope(|scope| {
        for seed in 1..=12 {
            let frontend = stage.frontend;
            scope.spawn(move || {
                let mut dice = Dice(seed * 0x9E37_79B9);
                while Instant::now() < until {
                    // Whatever comes of it.
                    let _ = misbehave(frontend, &mut dice);
                }
            });
        }
        let mut dice = Dice(99);
        while Instant::now() < until {
            let weight = dice.below(101) as u16 * 100;
            let addresses: Vec<SocketAddr> =
                backends.iter().map(|backend| backend.address).filter(|_| dice.below(3) > 0).collect();
            stage.serve(gateway(&[("a", weight, &addresses), ("b", 10_000 - weight, &[steady.address])]));
            gateway_tests::let_pass(Duration::from_millis(3));
        }
    });
    stage.serve(gateway(&[("b", 10_000, &[steady.address])]));
    stage.wait("every connection is gone", |stats| stats.connections == 0);
    stage.wait("no request is left", |stats| {
        stats.routes.iter().flat_map(|route| &route.endpoints).all(|endpoint| endpoint.in_flight == 0)
    });
    crate::stage::wait("every connection to an endpoint that left is closed", || {
        backends.iter().all(|backend| connections_to(backend.address) == 0)
    });
    assert!(stage.proxy.stats().accepted > 100);
    let mut client = stage.connect();
    assert!((0..100).all(|_| client.get("a", "/").text() == "steady"));
    assert_eq!(PANICS.load(Ordering::SeqCst), 0);
}

/// Sockets of this machine that are connected to this address and not yet shut.
fn connections_to(address: SocketAddr) -> usize {
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let port = format!(":{:04X}", address.port());
    // Columns: number, local, remote, state; 01 is established, 08 waits for us to close.
    let rows = table.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[2].ends_with(&port) && (row[3] == "01" || row[3] == "08")).count()
}

/// An endpoint that answers, or breaks off wherever it likes.
fn moody(seed: u64) -> Backend {
    let dice = Mutex::new(Dice(seed));
    Backend::start(move |exchange| {
        let mood = dice.lock().unwrap().below(10);
        match mood {
            0 => Err(std::io::ErrorKind::Other.into()),
            1 => break_off(exchange, "HTTP/1.1 2"),
            2 => break_off(exchange, "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhalf"),
            3 => break_off(exchange, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhe"),
            4 => break_off(exchange, "HTTP/1.1 413 Early\r\ncontent-length: 2\r\n\r\nno"),
            5 => exchange.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
            6 => exchange
                .write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"),
            _ => {
                exchange.read_body()?;
                exchange.answer(&"x".repeat(100_000))
            }
        }
    })
}

fn break_off(exchange: &mut Exchange, bytes: &str) -> std::io::Result<()> {
    exchange.write(bytes)?;
    Err(std::io::ErrorKind::Other.into())
}

/// One connection that is used, and left, in one of many ways.
fn misbehave(frontend: SocketAddr, dice: &mut Dice) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(frontend)?;
    stream.set_read_timeout(Some(Duration::from_millis(dice.below(300) + 1)))?;
    let requests = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\nhello",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello0x\r\n",
    ];
    for _ in 0..=dice.below(6) {
        let request = requests[dice.below(requests.len() as u64) as usize].as_bytes();
        let cut = if dice.below(4) == 0 { dice.below(request.len() as u64) as usize } else { request.len() };
        stream.write_all(&request[..cut])?;
        if dice.below(2) == 0 {
            let mut buffer = [0; 10_000];
            let _ = stream.read(&mut buffer)?;
        }
    }
    if dice.below(2) == 0 {
        stream.shutdown(Shutdown::Write)?;
        let mut buffer = [0; 10_000];
        while stream.read(&mut buffer)? > 0 {}
    }
    Ok(())
}
