//! HTTP/2 with prior knowledge, on the same port.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::{
    body::{Frame, Incoming},
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::{
    backend::Backend,
    stage::{Stage, gateway},
};

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(30), test).await.unwrap() });
}

async fn connect<B>(address: SocketAddr) -> SendRequest<B>
where
    B: hyper::body::Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(format!("http://foo.example{path}")).body(Full::default()).unwrap()
}

async fn text(response: Response<Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[test]
fn both_versions_are_served_on_one_port() {
    let backend = Backend::named("a");
    let stage = Stage::with(weir::proxy::Config::default());
    stage.share(&[("foo.example", &gateway(&[("a", 10_000, &[backend.address])]))]);
    run(async {
        let mut sender = connect(stage.frontend).await;
        let response = sender.send_request(get("/x?y")).await.unwrap();
        assert_eq!((response.status().as_u16(), response.version()), (200, http::Version::HTTP_2));
        assert_eq!(text(response).await, "a");
        let other = Request::get("http://other.example/").body(Full::default()).unwrap();
        assert_eq!(sender.send_request(other).await.unwrap().status(), 404);
    });
    assert_eq!(stage.connect().get("foo.example", "/").status, 200);
    let seen = &backend.seen()[0];
    assert_eq!(
        (seen.line.as_str(), seen.field("host").as_deref()),
        ("GET /x?y HTTP/1.1", Some("foo.example"))
    );
    assert_eq!(seen.field("x-forwarded-for").as_deref(), Some("127.0.0.1"));
}

#[test]
fn streams_of_a_connection_are_served_side_by_side() {
    let (tell, told) = std::sync::mpsc::channel::<()>();
    let told = std::sync::Mutex::new(told);
    let backend = Backend::start(move |exchange| {
        if exchange.request.line.contains("slow") {
            told.lock().unwrap().recv().unwrap();
            return exchange.answer("slow");
        }
        exchange.answer("quick")
    });
    let stage = Stage::to(backend.address);
    run(async {
        let mut sender = connect(stage.frontend).await;
        let slow = tokio::spawn(sender.send_request(get("/slow")));
        for _ in 0..50 {
            assert_eq!(text(sender.send_request(get("/quick")).await.unwrap()).await, "quick");
        }
        tell.send(()).unwrap();
        assert_eq!(text(slow.await.unwrap().unwrap()).await, "slow");
    });
}

#[test]
fn bodies_stream_and_cookies_are_joined() {
    let backend = Backend::echo();
    let stage = Stage::to(backend.address);
    run(async {
        let mut sender = connect(stage.frontend).await;
        let frames = ["hel", "lo"].map(|part| Ok::<_, std::io::Error>(Frame::data(Bytes::from(part))));
        let body = StreamBody::new(Frames(frames.into_iter().collect()));
        let request = Request::post("http://foo.example/")
            .header("cookie", "a=b")
            .header("cookie", "c=d")
            .header("te", "trailers")
            .body(body)
            .unwrap();
        let text = text(sender.send_request(request).await.unwrap()).await;
        assert!(text.contains("\ncookie: a=b; c=d\n"), "{text}");
        assert!(text.contains("\ntransfer-encoding: chunked\n"), "{text}");
        assert!(text.ends_with("\n\nhello"), "{text}");
    });
}

/// Frames that are there.
struct Frames(std::collections::VecDeque<Result<Frame<Bytes>, std::io::Error>>);

impl futures_core::Stream for Frames {
    type Item = Result<Frame<Bytes>, std::io::Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.pop_front())
    }
}

#[test]
fn requests_with_two_readings_are_refused() {
    let backend = Backend::named("a");
    let stage = Stage::to(backend.address);
    run(async {
        let mut sender = connect(stage.frontend).await;
        let host = Request::get("http://foo.example/").header("host", "a").header("host", "b");
        let escape = Request::get("http://foo.example/a/../../b");
        let user = Request::get("http://u@foo.example/");
        for (request, reason) in [(host, "hosts"), (escape, "path-escape"), (user, "host")] {
            let response =
                sender.send_request(request.body(Full::<Bytes>::default()).unwrap()).await.unwrap();
            assert_eq!(response.status(), 400, "{reason}");
            assert_eq!(stage.refused(reason), 1);
        }
        let host = Request::get("http://foo.example/").header("host", "evil.example");
        let response = sender.send_request(host.body(Full::default()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
    });
    assert_eq!(backend.seen().len(), 1);
    assert_eq!(backend.seen()[0].field("host").as_deref(), Some("foo.example"), "the target wins");
}

#[test]
fn a_drain_says_goodbye_and_ends_the_streams_it_has() {
    let (tell, told) = std::sync::mpsc::channel::<()>();
    let told = std::sync::Mutex::new(told);
    let backend = Backend::start(move |exchange| {
        if exchange.request.line.contains("slow") {
            told.lock().unwrap().recv().unwrap();
        }
        exchange.answer("a")
    });
    let stage = Stage::to(backend.address);
    run(async {
        let stream = tokio::net::TcpStream::connect(stage.frontend).await.unwrap();
        let (mut sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let under_way = tokio::spawn(sender.send_request(get("/slow")));
        while backend.seen().is_empty() {
            tokio::task::yield_now().await;
        }
        let drained = tokio::spawn(stage.proxy.drain(Duration::from_secs(20)));
        // GOAWAY: the client's library begins no more streams.
        while sender.send_request(get("/")).await.is_ok() {}
        tell.send(()).unwrap();
        assert_eq!(text(under_way.await.unwrap().unwrap()).await, "a");
        // It ends; with an error, as long as `sender` is there, that the other side has closed.
        let _ = connection.await.unwrap();
        assert_eq!(drained.await.unwrap().left, 0);
    });
}

#[test]
fn an_endpoint_s_failure_is_a_status_there_too() {
    let stage = Stage::to(Backend::nobody());
    run(async {
        let mut sender = connect(stage.frontend).await;
        assert_eq!(sender.send_request(get("/")).await.unwrap().status(), 502);
        stage.serve(gateway(&[]));
        assert_eq!(sender.send_request(get("/")).await.unwrap().status(), 503);
    });
}
