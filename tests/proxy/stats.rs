//! What is counted.

use crate::{
    backend::Backend,
    stage::{Stage, gateway},
};

#[test]
fn answers_are_counted_by_route_class_and_time() {
    let backend = Backend::start(|exchange| {
        let status = exchange.request.line.split('/').nth(1).unwrap()[..3].to_owned();
        exchange.write(&format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n"))
    });
    let stage = Stage::to(backend.address);
    let mut client = stage.connect();
    for status in ["200", "201", "302", "404", "500", "503", "503"] {
        assert_eq!(client.get("a", &format!("/{status}")).status.to_string(), status);
    }
    let route = stage.route("a");
    assert_eq!(route.responses, [0, 2, 1, 1, 3]);
    assert_eq!(route.latency.buckets.iter().sum::<u64>(), 7);
    assert!(route.latency.sum > std::time::Duration::ZERO);
    assert!(route.failures.is_empty(), "an endpoint's own 503 is no failure to reach it");
    assert_eq!(route.endpoints.len(), 1);
    assert_eq!((route.endpoints[0].address, route.endpoints[0].requests), (backend.address, 7));
}

#[test]
fn counters_of_a_route_survive_its_gateway_s_changes() {
    let (a, b) = (Backend::named("a"), Backend::named("b"));
    let stage = Stage::of(gateway(&[("a", 10_000, &[a.address])]));
    let mut client = stage.connect();
    client.get("a", "/");
    stage.serve(gateway(&[("b", 10_000, &[b.address])]));
    client.get("a", "/");
    stage.serve(gateway(&[("a", 10_000, &[a.address])]));
    client.get("a", "/");
    assert_eq!((stage.route("a").requests(), stage.route("b").requests()), (2, 1));
}

#[test]
fn workers_have_a_listener_per_family_and_add_up() {
    let config = weir::proxy::Config { workers: 3, ..weir::proxy::Config::default() };
    let unmarked = std::sync::Arc::new(weir::proxy::mark::Unmarked);
    let proxy = weir::proxy::Proxy::start(config, std::sync::Arc::default(), unmarked).unwrap();
    let mut ports = std::collections::HashSet::new();
    for (family, worker, socket) in proxy.listeners() {
        let address = socket2::SockRef::from(&socket).local_addr().unwrap().as_socket().unwrap();
        assert!(address.ip().is_loopback() && worker < 3);
        assert_eq!(address.is_ipv4(), family == weir::proxy::Family::V4);
        assert!(ports.insert(address));
        drop(std::net::TcpStream::connect(address).unwrap());
    }
    assert_eq!(ports.len(), 6);
    crate::stage::wait("six connections", || proxy.stats().accepted == 6 && proxy.stats().connections == 0);
}
