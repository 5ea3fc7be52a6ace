//! Server and load against one another.

use std::{cell::RefCell, rc::Rc, time::Duration};

use serde_json::Value;
use tokio::{
    sync::oneshot,
    task::{JoinHandle, LocalSet},
    time::timeout,
};

use crate::{
    ask::{Asker, Target, Url},
    load,
    serve::{self, Bound},
    tally::Tally,
};

/// A server that is told to end by the sender.
fn start(grace: f64) -> ([u16; 3], oneshot::Sender<()>, JoinHandle<anyhow::Result<()>>) {
    let bound = Bound::new(&serve::Args { http: 0, tcp: 0, udp: 0, grace }).unwrap();
    let ports = bound.ports();
    let (end, ended) = oneshot::channel();
    let server = tokio::spawn(bound.serve(grace, async {
        let _ = ended.await;
    }));
    (ports, end, server)
}

async fn count(args: load::Args) -> Value {
    let tally = Rc::new(RefCell::new(Tally::default()));
    let args = load::Args { rate: 200.0, connections: 2, ..args };
    let asking = load::ask(&args, Rc::clone(&tally), std::future::pending());
    LocalSet::new().run_until(asking).await.unwrap();
    let seen = tally.borrow();
    seen.json()
}

fn assert_all_answered(seen: &Value, client: &str) {
    let number = |name: &str| seen[name].as_u64().unwrap();
    assert!(number("sent") > 10, "{seen}");
    assert_eq!(number("sent"), number("ok"), "{seen}");
    assert_eq!(seen["by_client"][client], number("ok"), "{seen}");
}

#[tokio::test]
async fn every_protocol_and_family_is_answered_and_counted() {
    let ([http, tcp, udp], _end, _server) = start(0.0);
    for (host, client) in [("127.0.0.1", "127.0.0.1"), ("[::1]", "::1")] {
        for fresh in [false, true] {
            let args = load::Args { fresh, time: Some(0.3), ..load::Args::default() };
            let url = Some(format!("http://{host}:{http}/x"));
            assert_all_answered(&count(load::Args { url, ..args.clone() }).await, client);
            let address = Some(format!("{host}:{tcp}"));
            assert_all_answered(&count(load::Args { tcp: address, ..args.clone() }).await, client);
            let address = Some(format!("{host}:{udp}"));
            assert_all_answered(&count(load::Args { udp: address, ..args }).await, client);
        }
    }
}

#[tokio::test]
async fn what_is_not_answered_is_counted_as_failed() {
    // Nobody listens there any more.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = Some(format!("http://{closed}/"));
    let seen = count(load::Args { url: refused, time: Some(0.2), ..load::Args::default() }).await;
    assert_eq!(seen["ok"], 0, "{seen}");
    assert_eq!(seen["sent"], seen["failed"], "{seen}");
    let told = seen["failures"].as_array().unwrap();
    assert!((1..=20).contains(&told.len()), "{seen}");
    assert!(told[0]["error"].as_str().unwrap().contains("refused"), "{seen}");
}

#[tokio::test]
async fn a_server_told_to_end_is_unready_and_serves_on_for_its_grace() {
    let ([http, tcp, _], end, server) = start(1.0);
    let url = |path: &str| Url::parse(&format!("http://127.0.0.1:{http}{path}"), None).unwrap();
    let asker = |path: &str| Asker::new(Target::Http(url(path)), false, &[]).unwrap();
    let (mut page, mut ready) = (asker("/"), asker("/ready"));
    let mut lines = Asker::new(Target::Tcp(format!("127.0.0.1:{tcp}")), false, &[]).unwrap();
    ready.ask().await.unwrap();
    lines.ask().await.unwrap();
    end.send(()).unwrap();
    tokio::task::yield_now().await;
    for _ in 0..3 {
        page.ask().await.unwrap();
        lines.ask().await.unwrap();
    }
    assert!(ready.ask().await.unwrap_err().contains("503"));
    timeout(Duration::from_secs(5), server).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn unready_on_demand_and_still_answering() {
    let ([http, ..], _end, _server) = start(0.0);
    let url =
        |path: &str| Url::parse(&format!("http://127.0.0.1:{http}{path}"), Some("foo.bar.com")).unwrap();
    let ask = async |path: &str| Asker::new(Target::Http(url(path)), true, &[]).unwrap().ask().await;
    ask("/ready").await.unwrap();
    ask("/unready").await.unwrap();
    assert!(ask("/ready").await.unwrap_err().contains("503"));
    ask("/").await.unwrap();
}

#[test]
fn a_url_has_a_port_and_a_path() {
    let url = Url::parse("http://foo-ingress.default", Some("foo.bar.com")).unwrap();
    let parts = (url.authority.as_str(), url.host.as_str(), url.path.as_str());
    assert_eq!(parts, ("foo-ingress.default:80", "foo.bar.com", "/"));
    let url = Url::parse("http://[::1]:8080/a?b=c", None).unwrap();
    let parts = (url.authority.as_str(), url.host.as_str(), url.path.as_str());
    assert_eq!(parts, ("[::1]:8080", "[::1]:8080", "/a?b=c"));
    assert!(Url::parse("https://x/", None).is_err());
}

#[tokio::test]
async fn a_count_is_kept_exactly() {
    let ([http, ..], _end, _server) = start(0.0);
    for fresh in [false, true] {
        let url = Some(format!("http://127.0.0.1:{http}/"));
        let seen = count(load::Args { url, fresh, count: Some(23), ..load::Args::default() }).await;
        assert_eq!((&seen["sent"], &seen["ok"]), (&23.into(), &23.into()), "{seen}");
    }
}
