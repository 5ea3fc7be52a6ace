//! What is refused: a clear 4xx, the connection closed, counted by reason, never forwarded.

use weir::proxy::{Config, config::Limits};

use crate::{backend::Backend, stage::Stage};

/// A stage with small limits in front of `backend`.
fn stage(backend: &Backend) -> Stage {
    let limits = Limits { request_line: 200, head: 1000, fields: 10, chunk_line: 40, ..Limits::default() };
    let stage = Stage::with(Config { limits, ..Config::default() });
    stage.serve(crate::stage::gateway(&[("a", 10_000, &[backend.address])]));
    stage
}

fn with_field(field: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n")
}

fn heads() -> Vec<(String, u16, &'static str)> {
    let line = |line: &str| format!("{line}\r\nHost: a\r\n\r\n");
    vec![
        (with_field("Content-Length: 5\r\nTransfer-Encoding: chunked"), 400, "length-and-encoding"),
        (with_field("Transfer-Encoding: chunked\r\nContent-Length: 5"), 400, "length-and-encoding"),
        (with_field("Content-Length: 5\r\nContent-Length: 6"), 400, "content-lengths"),
        (with_field("Content-Length: 5\r\nContent-Length: 5"), 400, "content-lengths"),
        (with_field("Content-Length: +5"), 400, "content-length"),
        (with_field("Content-Length: 5, 5"), 400, "content-length"),
        (with_field("Content-Length: 5 "), 400, "content-length"),
        (with_field("Content-Length: "), 400, "content-length"),
        (with_field("Content-Length: -1"), 400, "content-length"),
        (with_field("Transfer-Encoding: gzip, chunked"), 400, "transfer-encoding"),
        (with_field("Transfer-Encoding: chunked, identity"), 400, "transfer-encoding"),
        (with_field("Transfer-Encoding: xchunked"), 400, "transfer-encoding"),
        (with_field("Transfer-Encoding:\tchunked"), 400, "transfer-encoding"),
        (with_field("Transfer-Encoding: chunked\r\nTransfer-Encoding: x"), 400, "transfer-encoding"),
        (with_field("A: b\r\n c: d"), 400, "obs-fold"),
        (with_field("A: b\r\n\tc: d"), 400, "obs-fold"),
        (with_field("A: b\rC: d"), 400, "bare-cr"),
        (with_field("A: b\nC: d"), 400, "bare-lf"),
        ("GET / HTTP/1.1\nHost: a\n\n".into(), 400, "bare-lf"),
        (with_field("A : b"), 400, "blank-before-colon"),
        (with_field("Content-Length : 5"), 400, "blank-before-colon"),
        (with_field("A\t: b"), 400, "blank-before-colon"),
        (with_field("A: b\0"), 400, "control-byte"),
        (with_field("A: b\x01"), 400, "control-byte"),
        (with_field("A: b\x7f"), 400, "control-byte"),
        (with_field("A B"), 400, "blank-before-colon"),
        (with_field("(A): b"), 400, "field-name"),
        (with_field("Host: a"), 400, "hosts"),
        (with_field("host: b"), 400, "hosts"),
        ("GET / HTTP/1.1\r\n\r\n".into(), 400, "host-missing"),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n".into(), 400, "host"),
        (line("GET\t/ HTTP/1.1"), 400, "request-line"),
        (line("GET  / HTTP/1.1"), 400, "request-line"),
        (line("GET /"), 400, "request-line"),
        (line("GET / HTTP/3.0"), 505, "version"),
        (line("GET http://a@b/ HTTP/1.1"), 400, "target"),
        (line("GET /a/../../b HTTP/1.1"), 400, "path-escape"),
        (line("GET /%2e%2e/b HTTP/1.1"), 400, "path-escape"),
        (line("CONNECT a:443 HTTP/1.1"), 405, "connect"),
        (line(&format!("GET /{} HTTP/1.1", "x".repeat(200))), 414, "request-line-too-long"),
        (with_field(&format!("A: {}", "x".repeat(1000))), 431, "head-too-large"),
        (with_field(["A: b"; 10].join("\r\n").as_str()), 431, "too-many-fields"),
        (with_field("Expect: something"), 417, "expect"),
        (line("GET /a<b HTTP/1.1"), 400, "target"),
    ]
}

fn bodies() -> Vec<(&'static str, &'static str)> {
    vec![
        ("+5\r\nhello\r\n0\r\n\r\n", "chunk-size"),
        ("-5\r\nhello\r\n0\r\n\r\n", "chunk-size"),
        ("0x5\r\nhello\r\n0\r\n\r\n", "chunk-size"),
        ("5 \r\nhello\r\n0\r\n\r\n", "chunk-size"),
        ("8000000000000000\r\nhello", "chunk-size"),
        ("fffffffffffffffff\r\nhello", "chunk-size"),
        ("5;a\nb\r\nhello\r\n0\r\n\r\n", "chunk-extension"),
        ("5;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nhello\r\n0\r\n\r\n", "chunk-extension"),
        ("5\nhello\r\n0\r\n\r\n", "bare-lf"),
        ("5\rhello\r\n0\r\n\r\n", "bare-cr"),
        ("5\r\nhelloGET / HTTP/1.1\r\n", "chunk-end"),
        ("5\r\nhello\r\n0\r\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\n", "blank-before-colon"),
        ("5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n", "trailer"),
        ("5\r\nhello\r\n0\r\nA: b\n\r\n", "bare-lf"),
    ]
}

#[test]
fn a_refused_head_is_answered_and_counted_and_never_forwarded() {
    let backend = Backend::named("a");
    let stage = stage(&backend);
    for (bytes, status, reason) in heads() {
        let before = stage.refused(reason);
        let mut client = stage.connect();
        client.send(&bytes);
        let response = client.response();
        assert_eq!(response.status, status, "{bytes:?}");
        assert_eq!(response.field("connection"), Some("close"), "{bytes:?}");
        assert!(response.text().starts_with(&status.to_string()), "{bytes:?}: {:?}", response.text());
        assert!(client.is_closed(), "{bytes:?}");
        assert_eq!(stage.refused(reason), before + 1, "{bytes:?}");
    }
    assert_eq!(backend.seen().len(), 0);
}

#[test]
fn a_refused_body_is_answered_and_counted_and_never_ends_at_the_endpoint() {
    let ended = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let at_end = std::sync::Arc::clone(&ended);
    let backend = Backend::start(move |exchange| {
        exchange.read_body()?;
        at_end.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        exchange.answer("a")
    });
    let stage = stage(&backend);
    for (bytes, reason) in bodies() {
        let before = stage.refused(reason);
        let mut client = stage.connect();
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{bytes}"));
        let response = client.response();
        assert_eq!((response.status, response.field("connection")), (400, Some("close")), "{bytes:?}");
        assert!(client.is_closed(), "{bytes:?}");
        assert_eq!(stage.refused(reason), before + 1, "{bytes:?}");
    }
    assert_eq!(ended.load(std::sync::atomic::Ordering::SeqCst), 0);
    assert!(backend.seen().iter().all(|request| request.line == "POST / HTTP/1.1"));
}

#[test]
fn the_requests_before_a_refused_one_are_answered_in_order() {
    let backend = Backend::named("a");
    let stage = stage(&backend);
    let mut client = stage.connect();
    let good = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
    client.send(format!("{good}{good}{}{good}", with_field("Content-Length: +2")));
    let statuses = [(); 3].map(|()| client.response().status);
    assert_eq!(statuses, [200, 200, 400]);
    assert!(client.is_closed());
    assert_eq!(backend.seen().len(), 2);
}

#[test]
fn a_refusal_is_the_same_when_the_bytes_come_one_by_one() {
    let backend = Backend::named("a");
    let stage = stage(&backend);
    for (bytes, status, reason) in [
        (with_field("Content-Length: 5\r\nTransfer-Encoding: chunked"), 400, "length-and-encoding"),
        (with_field("A: b\r\n c"), 400, "obs-fold"),
    ] {
        let before = stage.refused(reason);
        let mut client = stage.connect();
        for byte in bytes.as_bytes() {
            if !client.try_send([*byte]) {
                break;
            }
        }
        assert_eq!(client.response().status, status);
        assert_eq!(stage.refused(reason), before + 1);
    }
}

#[test]
fn a_client_of_another_protocol_is_closed_without_an_answer() {
    let backend = Backend::named("a");
    let stage = stage(&backend);
    let mut client = stage.connect();
    client.send("INVALID CONNECTION PREFACE\r\n\r\n");
    assert!(client.is_closed());
    assert_eq!(stage.refused("not-http"), 1);
}

#[test]
fn a_head_that_ends_early_is_answered_400() {
    let backend = Backend::named("a");
    let stage = stage(&backend);
    let mut client = stage.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n");
    client.stream().shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(client.response().status, 400);
    assert_eq!(stage.refused("incomplete"), 1);
    assert_eq!(backend.seen().len(), 0);
}

#[test]
fn a_body_that_ends_early_never_ends_at_the_endpoint() {
    let (sent, results) = std::sync::mpsc::channel();
    let sent = std::sync::Mutex::new(sent);
    let backend = Backend::start(move |exchange| {
        let body = exchange.read_body();
        sent.lock().unwrap().send(body.is_err()).unwrap();
        body?;
        exchange.answer("a")
    });
    let stage = stage(&backend);
    let mut client = stage.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
    client.stream().shutdown(std::net::Shutdown::Write).unwrap();
    assert!(results.recv_timeout(std::time::Duration::from_secs(20)).unwrap());
}

#[test]
fn one_connection_more_than_the_limit_is_closed() {
    let backend = Backend::named("a");
    let limits = Limits { connections: 2, ..Limits::default() };
    let stage = Stage::with(Config { limits, ..Config::default() });
    stage.serve(crate::stage::gateway(&[("a", 10_000, &[backend.address])]));
    let (mut first, mut second) = (stage.connect(), stage.connect());
    assert_eq!((first.get("a", "/").status, second.get("a", "/").status), (200, 200));
    assert!(stage.connect().is_closed());
    assert_eq!(stage.refused("too-many-connections"), 1);
    drop(first);
    stage.wait("one connection less", |stats| stats.connections == 1);
    assert_eq!(stage.connect().get("a", "/").status, 200);
}
