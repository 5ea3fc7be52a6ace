//! A change of the table loses no request.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use weir::proxy::Config;

use crate::{
    backend::Backend,
    client::Client,
    stage::{Stage, gateway, gateway_with, wait},
};

/// Tables swapped under load.
const SWAPS: usize = 400;

#[test]
fn keep_alive_requests_through_hundreds_of_swaps_all_succeed() {
    let backends: Vec<Backend> = (0..4).map(|index| Backend::named(["a", "a", "b", "b"][index])).collect();
    let of = |indices: &[usize]| indices.iter().map(|index| backends[*index].address).collect::<Vec<_>>();
    let stage = Stage::with(Config::default());
    stage.serve(gateway(&[("a", 10_000, &of(&[0]))]));
    let (done, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..8)
        .map(|number| {
            let (done, answered, frontend) = (Arc::clone(&done), Arc::clone(&answered), stage.frontend);
            thread::spawn(move || run(&mut Client::connect(frontend), number, &done, &answered))
        })
        .collect();
    for swap in 0..SWAPS {
        let weight = (swap * 37 % 101) as u16 * 100;
        let table = match swap % 4 {
            0 => gateway(&[("a", weight, &of(&[0, 1])), ("b", 10_000 - weight, &of(&[2]))]),
            1 => gateway(&[("a", weight, &of(&[1])), ("b", 10_000 - weight, &of(&[2, 3]))]),
            2 => gateway_with(
                &[("a", 10_000, &of(&[0])), ("b", 0, &of(&[3]))],
                &[("Has Header X-Odd", 1, 10_000)],
            ),
            _ => gateway(&[("b", 10_000, &of(&[3]))]),
        };
        stage.serve(table);
        let target = answered.load(Ordering::SeqCst) + 8;
        wait("requests between two swaps", || answered.load(Ordering::SeqCst) >= target);
    }
    done.store(true, Ordering::SeqCst);
    let sent: usize = clients.into_iter().map(|client| client.join().unwrap()).sum();
    let stats = stage.proxy.stats();
    let counted: u64 = stats.routes.iter().map(|route| route.responses[1]).sum();
    assert_eq!(counted, sent as u64);
    assert_eq!(stats.routes.iter().map(weir::proxy::stats::RouteStats::requests).sum::<u64>(), counted);
    assert_eq!(stats.accepted, 8, "no connection was lost");
}

/// Sends requests of several kinds one after the other; panics at the first that fails.
fn run(client: &mut Client, number: usize, done: &AtomicBool, answered: &AtomicUsize) -> usize {
    let mut sent = 0;
    while !done.load(Ordering::SeqCst) {
        let odd = if number % 2 == 1 { "X-Odd: 1\r\n" } else { "" };
        if number < 4 {
            client.send(format!("GET /{sent} HTTP/1.1\r\nHost: a\r\n{odd}\r\n"));
        } else {
            client.send(format!("POST /{sent} HTTP/1.1\r\nHost: a\r\n{odd}Content-Length: 5\r\n\r\nhello"));
        }
        let response = client.response();
        assert_eq!(response.status, 200, "{:?}", response.text());
        assert!(["a", "b"].contains(&response.text()));
        sent += 1;
        answered.fetch_add(1, Ordering::SeqCst);
    }
    sent
}

#[test]
fn a_request_begun_before_a_change_ends_by_the_table_it_began_with() {
    let (sent, told) = std::sync::mpsc::channel::<()>();
    let told = std::sync::Mutex::new(told);
    let slow = Backend::start(move |exchange| {
        exchange.write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nsl")?;
        told.lock().unwrap().recv().unwrap();
        exchange.write("ow")
    });
    let other = Backend::named("other");
    let stage = Stage::of(gateway(&[("slow", 10_000, &[slow.address])]));
    let mut client = stage.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.head().status, 200);
    stage.serve(gateway(&[("other", 10_000, &[other.address])]));
    assert_eq!(stage.connect().get("a", "/").text(), "other");
    sent.send(()).unwrap();
    assert_eq!(client.exactly(4), b"slow");
    assert_eq!(client.get("a", "/").text(), "other");
}

#[test]
fn requests_after_a_swap_go_by_the_new_table() {
    let (a, b) = (Backend::named("a"), Backend::named("b"));
    let stage = Stage::of(gateway(&[("a", 10_000, &[a.address]), ("b", 0, &[b.address])]));
    let mut client = stage.connect();
    for turn in 0..100 {
        let weight = if turn % 2 == 0 { 10_000 } else { 0 };
        stage.serve(gateway(&[("a", weight, &[a.address]), ("b", 10_000 - weight, &[b.address])]));
        assert_eq!(client.get("a", "/").text(), if turn % 2 == 0 { "a" } else { "b" });
    }
}
