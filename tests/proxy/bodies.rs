//! Bodies pass as they come, both ways.

use std::{
    io::{Read, Write},
    sync::{Mutex, mpsc},
    time::Duration,
};

use weir::proxy::{Config, config::Timeouts};

use crate::{
    backend::Backend,
    stage::{Stage, gateway},
};

/// How long an endpoint waits for what a test tells it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A channel whose receiving end an endpoint can hold.
fn channel() -> (mpsc::Sender<()>, Mutex<mpsc::Receiver<()>>) {
    let (sender, receiver) = mpsc::channel();
    (sender, Mutex::new(receiver))
}

fn wait(told: &Mutex<mpsc::Receiver<()>>) {
    told.lock().unwrap().recv_timeout(PATIENCE).unwrap();
}

#[test]
fn a_response_reaches_the_client_before_it_has_ended() {
    let (tell, told) = channel();
    let backend = Backend::start(move |exchange| {
        exchange.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")?;
        wait(&told);
        exchange.write("5\r\nworld\r\n0\r\n\r\n")
    });
    let stage = Stage::to(backend.address);
    let mut client = stage.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.head().status, 200);
    assert_eq!(client.chunk().unwrap(), b"hello");
    tell.send(()).unwrap();
    assert_eq!(client.chunk().unwrap(), b"world");
    assert_eq!(client.chunk(), None);
}

#[test]
fn a_request_reaches_the_endpoint_before_it_has_ended() {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let backend = Backend::start(move |exchange| {
        let mut first = [0; 10];
        exchange.stream.read_exact(&mut first)?;
        assert_eq!(&first, b"5\r\nhello\r\n");
        tell.lock().unwrap().send(()).unwrap();
        let (rest, _) = exchange.read_body()?;
        exchange.answer(std::str::from_utf8(&rest).unwrap())
    });
    let stage = Stage::to(backend.address);
    let mut client = stage.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    wait(&told);
    client.send("5;ext=1\r\nworld\r\n0\r\n\r\n");
    assert_eq!(client.response().text(), "world");
}

#[test]
fn lengths_and_chunks_stay_what_they_are() {
    let backend = Backend::echo();
    let stage = Stage::to(backend.address);
    let mut client = stage.connect();
    client.send("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    let response = client.response();
    assert!(response.text().contains("content-length: 5\n"), "{}", response.text());
    assert!(response.text().ends_with("\n\nhello"));
    client.send(
        "PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nhel\r\n02\r\nlo\r\n0\r\n\r\n",
    );
    let response = client.response();
    assert!(response.text().contains("transfer-encoding: chunked\n"), "{}", response.text());
    assert!(response.text().ends_with("\n\nhello"));
    client.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    let response = client.response();
    assert!(response.text().contains("content-length: 0\n"), "{}", response.text());
    client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    let response = client.response();
    assert!(!response.text().contains("content-length"), "{}", response.text());
    assert!(!response.text().contains("transfer-encoding"), "{}", response.text());
}

#[test]
fn large_bodies_pass_both_ways_unchanged() {
    let backend = Backend::start(|exchange| {
        let (body, _) = exchange.read_body()?;
        let stream = exchange.stream.get_mut();
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len())?;
        stream.write_all(&body)
    });
    let stage = Stage::to(backend.address);
    let body: Vec<u8> = (0..16 << 20).map(|at: u32| (at ^ at >> 9) as u8).collect();
    for chunked in [false, true] {
        let mut client = stage.connect();
        let mut writer = client.stream().try_clone().unwrap();
        let sent = body.clone();
        let sending = std::thread::spawn(move || {
            if chunked {
                writer
                    .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
                    .unwrap();
                for chunk in sent.chunks(70_001) {
                    write!(writer, "{:X}\r\n", chunk.len()).unwrap();
                    writer.write_all(chunk).unwrap();
                    writer.write_all(b"\r\n").unwrap();
                }
                writer.write_all(b"0\r\n\r\n").unwrap();
            } else {
                write!(writer, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", sent.len())
                    .unwrap();
                writer.write_all(&sent).unwrap();
            }
        });
        let response = client.response();
        sending.join().unwrap();
        assert!(response.body == body, "chunked: {chunked}");
    }
}

#[test]
fn a_client_that_does_not_read_holds_its_endpoint_back() {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let backend = Backend::start(move |exchange| {
        let stream = exchange.stream.get_mut();
        stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n")?;
        // The time-out is what the test waits for: nobody takes a gigabyte.
        let error = (0..1 << 17).find_map(|_| stream.write_all(&[b'x'; 8192]).err());
        assert_eq!(error.map(|error| error.kind()), Some(std::io::ErrorKind::WouldBlock));
        tell.lock().unwrap().send(()).unwrap();
        Err(std::io::ErrorKind::Other.into())
    });
    let stage = Stage::to(backend.address);
    let mut client = stage.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.head().status, 200);
    wait(&told);
}

#[test]
fn head_is_answered_without_a_body_and_with_its_length() {
    let backend = Backend::start(|exchange| {
        let length = if exchange.request.line.starts_with("HEAD") { "" } else { "hello" };
        exchange.write(&format!("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n{length}"))
    });
    let stage = Stage::to(backend.address);
    let mut client = stage.connect();
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = client.head();
    assert_eq!((head.status, head.field("content-length")), (200, Some("5")));
    assert_eq!(client.get("a", "/").text(), "hello");
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.head().status, 200);
}

#[test]
fn responses_without_a_body_end_at_their_head() {
    for status in ["204 No Content", "304 Not Modified"] {
        let backend =
            Backend::start(move |exchange| exchange.write(&format!("HTTP/1.1 {status}\r\netag: x\r\n\r\n")));
        let stage = Stage::to(backend.address);
        let mut client = stage.connect();
        for _ in 0..3 {
            let response = client.get("a", "/");
            assert_eq!(
                (format!("{}", response.status), response.field("etag")),
                (status[..3].to_owned(), Some("x"))
            );
        }
        assert_eq!(backend.connections(), 1);
    }
}

#[test]
fn a_body_that_ends_with_the_connection_passes() {
    let backend = Backend::start(|exchange| {
        exchange.write("HTTP/1.0 200 OK\r\n\r\nhello")?;
        Err(std::io::ErrorKind::Other.into())
    });
    let stage = Stage::to(backend.address);
    let mut client = stage.connect();
    assert_eq!(client.get("a", "/").text(), "hello");
    assert_eq!(client.get("a", "/").text(), "hello", "the client's connection stays");
}

#[test]
fn trailers_pass_both_ways() {
    let backend = Backend::start(|exchange| {
        assert_eq!(exchange.request.field("te").as_deref(), Some("trailers"));
        let (body, trailers) = exchange.read_body()?;
        assert_eq!((&body[..], trailers.to_ascii_lowercase().as_str()), (&b"hello"[..], "x-sum: 1\r\n"));
        exchange.write(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 2\r\n\r\n",
        )
    });
    let stage = Stage::to(backend.address);
    let mut client = stage.connect();
    client.send(
        "POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\nTrailer: X-Sum\r\n\
         Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
    );
    let response = client.response();
    assert_eq!(response.text(), "ok");
    assert_eq!(response.trailers, [("x-sum".to_owned(), "2".to_owned())]);
}

const EXPECTING: &str = "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";

#[test]
fn a_body_that_waits_for_continue_is_sent_when_the_endpoint_wants_it() {
    let backend = Backend::start(|exchange| {
        assert_eq!(exchange.request.field("expect").as_deref(), Some("100-continue"));
        exchange.write("HTTP/1.1 100 Continue\r\n\r\n")?;
        let (body, _) = exchange.read_body()?;
        exchange.answer(std::str::from_utf8(&body).unwrap())
    });
    // The endpoint's word opens the way, not time.
    let timeouts = Timeouts { expect_continue: Duration::from_hours(1), ..Timeouts::default() };
    let stage = Stage::with(Config { timeouts, ..Config::default() });
    stage.serve(gateway(&[("a", 10_000, &[backend.address])]));
    let mut client = stage.connect();
    for _ in 0..2 {
        client.send(EXPECTING);
        assert_eq!(client.head().status, 100);
        client.send("hello");
        assert_eq!(client.response().text(), "hello");
    }
}

#[test]
fn a_body_that_the_endpoint_does_not_want_is_not_asked_for() {
    let backend = Backend::start(|exchange| {
        exchange.write("HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno")?;
        // Whatever comes now, it is not the body.
        let mut rest = Vec::new();
        exchange.stream.read_to_end(&mut rest)?;
        assert_eq!(rest, b"");
        Err(std::io::ErrorKind::Other.into())
    });
    let stage = Stage::to(backend.address);
    let mut client = stage.connect();
    client.send(EXPECTING);
    let response = client.response();
    assert_eq!((response.status, response.text(), response.field("connection")), (401, "no", Some("close")));
    assert!(client.is_closed());
}

#[test]
fn behind_a_body_that_nobody_wants_no_request_keeps_the_connection_open() {
    let backend = Backend::start(|exchange| {
        exchange.write("HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno")?;
        std::io::copy(&mut exchange.stream, &mut std::io::sink())?;
        Err(std::io::ErrorKind::Other.into())
    });
    let stage = Stage::with(Config::default());
    stage.share(&[("a", &gateway(&[("a", 10_000, &[backend.address])]))]);
    let refused_by_endpoint = format!("{EXPECTING}hello");
    let unroutable = "POST / HTTP/1.1\r\nHost: nobody\r\nContent-Length: 5\r\n\r\nhello".to_owned();
    for (first, status) in [(refused_by_endpoint, 401), (unroutable, 404)] {
        let mut client = stage.connect();
        client.send(format!("{first}GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
        let response = client.response();
        assert_eq!((response.status, response.field("connection")), (status, Some("close")));
        assert!(client.is_closed(), "{status}");
        stage.wait("the connection is gone", |stats| stats.connections == 0);
    }
}

#[test]
fn a_body_goes_on_its_way_although_the_endpoint_says_nothing() {
    let backend = Backend::named("a");
    let timeouts = Timeouts { expect_continue: Duration::from_millis(100), ..Timeouts::default() };
    let stage = Stage::with(Config { timeouts, ..Config::default() });
    stage.serve(gateway(&[("a", 10_000, &[backend.address])]));
    let mut client = stage.connect();
    client.send(EXPECTING);
    assert_eq!(client.head().status, 100);
    client.send("hello");
    assert_eq!(client.response().text(), "a");
}

#[test]
fn an_answer_before_the_body_has_ended_reaches_the_client() {
    let backend = Backend::start(|exchange| {
        exchange.write("HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbig")?;
        // Lets the proxy read it: closing with bytes unread would be a reset.
        std::io::copy(&mut exchange.stream, &mut std::io::sink())?;
        Err(std::io::ErrorKind::Other.into())
    });
    let stage = Stage::to(backend.address);
    let mut client = stage.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1073741824\r\n\r\n");
    client.send(vec![b'x'; 100_000]);
    let response = client.response();
    assert_eq!((response.status, response.text(), response.field("connection")), (413, "big", Some("close")));
    // Nobody reads the rest, and it is not waited for either.
    while client.try_send(vec![b'x'; 100_000]) {}
    assert!(client.is_closed());
}

#[test]
fn an_early_answer_that_is_large_arrives_whole() {
    let backend = Backend::start(|exchange| {
        let stream = exchange.stream.get_mut();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4000000\r\n\r\n")?;
        stream.write_all(&vec![b'y'; 4_000_000])?;
        std::io::copy(&mut exchange.stream, &mut std::io::sink())?;
        Err(std::io::ErrorKind::Other.into())
    });
    let stage = Stage::to(backend.address);
    let mut client = stage.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx");
    // The proxy's buffers are full before a byte of it is read.
    crate::stage::wait("the response is under way", || {
        stage.proxy.stats().routes.first().is_some_and(|route| route.requests() == 1)
    });
    let response = client.response();
    assert_eq!(response.body.len(), 4_000_000);
}
