//! Connections that become tunnels.

use std::{io::Write, time::Duration};

use weir::proxy::{Config, config::Timeouts};

use crate::{
    backend::Backend,
    stage::{Stage, gateway},
};

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Accepts every upgrade, greets, and sends back what it gets.
fn echo() -> Backend {
    Backend::start(|exchange| {
        if exchange.request.field("upgrade").as_deref() != Some("websocket") {
            return exchange.answer("plain");
        }
        assert_eq!(exchange.request.field("connection").as_deref(), Some("upgrade"));
        exchange.write(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: x\r\n\r\nhi",
        )?;
        let mut writer = exchange.stream.get_ref().try_clone()?;
        std::io::copy(&mut exchange.stream, &mut writer)?;
        writer.write_all(b"bye")?;
        Err(std::io::ErrorKind::Other.into())
    })
}

#[test]
fn an_upgraded_connection_carries_bytes_both_ways_until_both_ends_are_done() {
    let backend = echo();
    let stage = Stage::to(backend.address);
    let mut client = stage.connect();
    client.send(UPGRADE);
    let head = client.head();
    assert_eq!((head.status, head.field("upgrade")), (101, Some("websocket")));
    assert_eq!(head.field("sec-websocket-accept"), Some("x"));
    assert_eq!(client.exactly(2), b"hi");
    // Nothing of what passes now is HTTP.
    for message in
        [&b"GET / HTTP/1.1\nContent-Length: +5\r\n\r\n"[..], &[0, 255, 13, 10], &vec![b'x'; 300_000]]
    {
        client.send(message);
        assert!(client.exactly(message.len()) == message);
    }
    client.stream().shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(client.exactly(3), b"bye");
    assert!(client.is_closed());
    assert_eq!(stage.route("a").responses, [1, 0, 0, 0, 0]);
}

#[test]
fn bytes_sent_before_the_upgrade_is_accepted_are_carried() {
    let backend = echo();
    let stage = Stage::to(backend.address);
    let mut client = stage.connect();
    client.send(format!("{UPGRADE}early\0"));
    assert_eq!(client.head().status, 101);
    assert_eq!(client.exactly(8), b"hiearly\0");
}

#[test]
fn requests_before_an_upgrade_in_one_piece_do_not_decide_it() {
    let backend = echo();
    let stage = Stage::to(backend.address);
    let mut client = stage.connect();
    let plain = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    client.send(format!("{plain}{plain}{UPGRADE}early\n"));
    let plain = [(); 2].map(|()| client.response().text().to_owned());
    assert_eq!(plain, ["plain", "plain"]);
    assert_eq!(client.head().status, 101);
    assert_eq!(client.exactly(8), b"hiearly\n");
}

#[test]
fn an_upgrade_that_is_declined_leaves_the_connection_to_the_next_request() {
    let backend = Backend::named("a");
    let stage = Stage::to(backend.address);
    let mut client = stage.connect();
    client.send(format!("{UPGRADE}GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_eq!(client.response().text(), "a");
    assert_eq!(client.response().text(), "a");
    client.send(format!("{UPGRADE}GET / HTTP/1.1\nHost: a\r\n\r\n"));
    assert_eq!(client.response().status, 200);
    assert_eq!(client.response().status, 400, "what follows a declined upgrade is checked as ever");
}

#[test]
fn http_2_is_not_a_way_past_the_checks() {
    let backend = echo();
    let stage = Stage::to(backend.address);
    for upgrade in ["h2c", "H2C", "websocket, h2c", "HTTP/2.0"] {
        let mut client = stage.connect();
        client
            .send(format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n\r\n"));
        assert_eq!(client.response().text(), "plain", "{upgrade}");
        assert_eq!(backend.seen().pop().unwrap().field("upgrade"), None, "{upgrade}");
    }
}

#[test]
fn a_tunnel_without_traffic_is_closed_in_time() {
    let backend = echo();
    let timeouts = Timeouts { upgrade_idle: Duration::from_millis(200), ..Timeouts::default() };
    let stage = Stage::with(Config { timeouts, ..Config::default() });
    stage.serve(gateway(&[("a", 10_000, &[backend.address])]));
    let mut client = stage.connect();
    client.send(UPGRADE);
    assert_eq!(client.head().status, 101);
    assert_eq!(client.exactly(2), b"hi");
    assert!(client.is_closed());
}

#[test]
fn an_endpoint_that_goes_away_ends_the_tunnel() {
    let backend = Backend::start(|exchange| {
        exchange
            .write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")?;
        Err(std::io::ErrorKind::Other.into())
    });
    let stage = Stage::to(backend.address);
    let mut client = stage.connect();
    client.send(UPGRADE);
    assert_eq!(client.head().status, 101);
    assert!(client.is_closed());
}
