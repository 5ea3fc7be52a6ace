//! What endpoints see of a request's fields, and clients of a response's.

use weir::proxy::{Config, Family, config::Network};

use crate::{
    backend::{Backend, Seen},
    stage::{Stage, gateway},
};

/// What an endpoint sees of this request.
fn seen(stage: &Stage, backend: &Backend, request: &str) -> Seen {
    let mut client = stage.connect();
    client.send(request);
    assert_eq!(client.response().status, 200, "{request:?}");
    backend.seen().pop().unwrap()
}

fn get(fields: &str) -> String {
    format!("GET /a%20b?c=d&e HTTP/1.1\r\nHost: Foo.example:8080\r\n{fields}\r\n")
}

#[test]
fn a_request_arrives_as_it_was_sent_but_for_what_is_the_connections() {
    let backend = Backend::named("a");
    let stage = Stage::to(backend.address);
    let fields = "Connection: close, X-Hop ,keep-alive\r\nX-Hop: 1\r\nX-End: 2\r\nKeep-Alive: timeout=5\r\n\
        Proxy-Connection: keep-alive\r\nTE: gzip\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAA\r\n\
        Accept: a\r\nAccept: b\r\n";
    let seen = seen(&stage, &backend, &get(fields));
    assert_eq!(seen.line, "GET /a%20b?c=d&e HTTP/1.1");
    let mut names: Vec<&str> = seen.fields.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let expected =
        ["accept", "accept", "host", "x-end", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
    assert_eq!(names, expected);
    assert_eq!(seen.field("host").as_deref(), Some("Foo.example:8080"));
    assert_eq!(seen.field("accept").as_deref(), Some("a|b"));
    assert_eq!(seen.field("x-forwarded-for").as_deref(), Some("127.0.0.1"));
    assert_eq!(seen.field("x-forwarded-proto").as_deref(), Some("http"));
    assert_eq!(seen.field("x-forwarded-host").as_deref(), Some("Foo.example:8080"));
}

#[test]
fn ipv6_clients_are_served_and_named() {
    let backend = Backend::named("a");
    let stage = Stage::start(Config::default(), Family::V6, std::sync::Arc::new(weir::proxy::mark::Unmarked));
    stage.serve(gateway(&[("a", 10_000, &[backend.address])]));
    let seen = seen(&stage, &backend, "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n");
    assert_eq!(seen.field("x-forwarded-for").as_deref(), Some("::1"));
    assert_eq!(seen.field("host").as_deref(), Some("[::1]:80"));
}

#[test]
fn connection_cannot_take_host_or_length_or_forwarded_out() {
    let backend = Backend::echo();
    let stage = Stage::to(backend.address);
    let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\
        Connection: Host, Content-Length, Transfer-Encoding, X-Forwarded-For\r\n\r\nhello";
    let seen = seen(&stage, &backend, request);
    assert_eq!(seen.field("host").as_deref(), Some("a"));
    assert_eq!(seen.field("content-length").as_deref(), Some("5"));
    assert_eq!(seen.field("x-forwarded-for").as_deref(), Some("127.0.0.1"));
}

#[test]
fn what_a_client_says_of_itself_is_dropped() {
    let backend = Backend::named("a");
    let stage = Stage::to(backend.address);
    let fields = "X-Forwarded-For: 10.9.9.9\r\nx-forwarded-for: 10.8.8.8\r\nX-Forwarded-Proto: https\r\n\
        X-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\nForwarded: for=10.9.9.9\r\n";
    let seen = seen(&stage, &backend, &get(fields));
    assert_eq!(seen.field("x-forwarded-for").as_deref(), Some("127.0.0.1"));
    assert_eq!(seen.field("x-forwarded-proto").as_deref(), Some("http"));
    assert_eq!(seen.field("x-forwarded-host").as_deref(), Some("Foo.example:8080"));
    assert_eq!((seen.field("x-forwarded-port"), seen.field("forwarded")), (None, None));
}

#[test]
fn what_a_trusted_client_says_is_kept_and_added_to() {
    let backend = Backend::named("a");
    let trusted = vec![Network { address: "127.0.0.0".parse().unwrap(), prefix: 8 }];
    let stage = Stage::with(Config { trusted, ..Config::default() });
    stage.serve(gateway(&[("a", 10_000, &[backend.address])]));
    let fields = "X-Forwarded-For: 10.9.9.9\r\nX-Forwarded-For: 10.8.8.8, 10.7.7.7\r\n\
        X-Forwarded-Proto: https\r\nX-Forwarded-Host: b\r\n";
    let seen = seen(&stage, &backend, &get(fields));
    assert_eq!(seen.field("x-forwarded-for").as_deref(), Some("10.9.9.9, 10.8.8.8, 10.7.7.7, 127.0.0.1"));
    assert_eq!(seen.field("x-forwarded-proto").as_deref(), Some("https"));
    assert_eq!(seen.field("x-forwarded-host").as_deref(), Some("b"));
}

#[test]
fn a_target_that_names_a_host_wins_over_the_field() {
    let backend = Backend::named("a");
    let stage = Stage::to(backend.address);
    let seen =
        seen(&stage, &backend, "GET http://target.example:81?x HTTP/1.1\r\nHost: field.example\r\n\r\n");
    assert_eq!(seen.line, "GET /?x HTTP/1.1");
    assert_eq!(seen.field("host").as_deref(), Some("target.example:81"));
    assert_eq!(seen.field("x-forwarded-host").as_deref(), Some("target.example:81"));
}

#[test]
fn a_question_to_the_server_as_a_whole_stays_one() {
    let backend = Backend::named("a");
    let stage = Stage::to(backend.address);
    assert_eq!(seen(&stage, &backend, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").line, "OPTIONS * HTTP/1.1");
}

#[test]
fn a_response_arrives_as_it_was_sent_but_for_what_is_the_connections() {
    let backend = Backend::start(|exchange| {
        exchange.write(
            "HTTP/1.1 299 Whatever\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
             Proxy-Connection: x\r\nUpgrade: h2c\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nServer: x\r\n\
             Date: Tue, 15 Nov 1994 08:12:31 GMT\r\nContent-Length: 2\r\n\r\nok",
        )
    });
    let stage = Stage::to(backend.address);
    let response = stage.connect().get("a", "/");
    assert_eq!((response.status, response.text()), (299, "ok"));
    let mut names: Vec<&str> = response.fields.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "date", "server", "set-cookie", "set-cookie"]);
    assert_eq!(response.field("date"), Some("Tue, 15 Nov 1994 08:12:31 GMT"));
}

#[test]
fn a_length_beside_an_encoding_in_a_response_has_no_meaning() {
    let backend = Backend::start(|exchange| {
        exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    });
    let stage = Stage::to(backend.address);
    let response = stage.connect().get("a", "/");
    assert_eq!((response.text(), response.field("content-length")), ("hello", None));
}

#[test]
fn a_client_of_http_1_0_is_answered_and_closed_unless_it_asks_to_stay() {
    let backend = Backend::named("a");
    let stage = Stage::to(backend.address);
    let mut client = stage.connect();
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(client.response().text(), "a");
    assert!(client.is_closed());
    let mut client = stage.connect();
    for _ in 0..2 {
        client.send("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
        assert_eq!(client.response().text(), "a");
    }
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(client.response().text(), "a");
    assert!(client.is_closed());
}

#[test]
fn a_client_of_http_1_0_gets_no_chunks() {
    let backend = Backend::start(|exchange| {
        exchange.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    });
    let stage = Stage::to(backend.address);
    let mut client = stage.connect();
    client.send("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
    let response = client.response();
    assert_eq!((response.text(), response.field("transfer-encoding")), ("hello", None));
    assert!(client.is_closed());
}
