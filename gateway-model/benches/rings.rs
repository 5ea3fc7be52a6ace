//! What rings cost, and how much more than needed an edit moves. Every figure stands beside its goal.
//!
//! `cargo bench -p gateway-model --bench rings [times] [memory] [excess]`. Times are CPU time of the process, of
//! several rounds the least.

#![expect(clippy::cast_precision_loss, reason = "counts and weights of a bench are small")]

use std::{hint::black_box, net::SocketAddr, time::Duration};

use gateway_model::{
    key::RouteName,
    plan::diff::count_moved,
    ring::{Memo, RingRoute, assign},
};

fn main() {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    for (name, part) in [("times", times as fn()), ("memory", memory), ("excess", excess)] {
        if wanted.is_empty() || wanted.iter().any(|one| one == name) {
            part();
        }
    }
}

fn route(index: u32, weight: u64, endpoints: u32) -> RingRoute {
    let endpoint = |number: u32| SocketAddr::from((0x0a00_0000_u32.wrapping_add(number).to_be_bytes(), 80));
    let endpoints = (0..endpoints).map(|number| endpoint(index * 10_000 + number)).collect();
    RingRoute { name: RouteName(format!("({index}.0.0)")), weight, endpoints }
}

fn routes(count: u32, endpoints: u32) -> Vec<RingRoute> {
    (0..count).map(|index| route(index, 1_000, endpoints)).collect()
}

fn times() {
    println!("from nothing                                      ms   goal");
    for (size, count, endpoints, goal) in [
        (4_096, 2, 2, ""),
        (4_096, 10, 10, "0.45"),
        (4_096, 1, 100, ""),
        (65_536, 10, 10, ""),
        (65_536, 10, 100, ""),
        (65_536, 1, 100, ""),
        (65_536, 1, 1_000, "100"),
    ] {
        let routes = routes(count, endpoints);
        let time = least(|| assign(size, 1, &routes));
        println!(
            "{size:>6} slots, {count:>2} routes x {endpoints:>5} endpoints {:>10.3}  {goal:>5}",
            ms(time)
        );
    }
    println!("with a memo                                       ms   goal");
    for (size, count, endpoints, goal) in
        [(4_096, 10, 10, ""), (65_536, 10, 100, ""), (65_536, 1, 100, "5"), (65_536, 1, 1_000, "5")]
    {
        let mut routes = routes(count, endpoints);
        let mut memo = Memo::default();
        memo.assign(size, 1, &routes);
        let mut number = 0;
        let time = least(|| {
            number = (number + 7) % routes[0].endpoints.len();
            let gone = routes[0].endpoints.swap_remove(number);
            black_box(memo.assign(size, 1, &routes));
            routes[0].endpoints.push(gone);
            memo.assign(size, 1, &routes)
        });
        let time = ms(time) / 2.0;
        println!("{size:>6} slots, one of {count:>2} x {endpoints:>5} comes or goes {time:>10.3}  {goal:>5}");
    }
}

fn memory() {
    println!("a memo beside its ring                       bytes");
    for (size, count, endpoints) in [(4_096, 10, 10), (4_096, 1, 100), (65_536, 1, 100), (65_536, 1, 1_000)] {
        let mut memo = Memo::default();
        memo.assign(size, 1, &routes(count, endpoints));
        println!("{size:>6} slots, {count:>2} routes x {endpoints:>5} endpoints {:>9}", memo.bytes());
    }
}

/// Moved slots beyond those that had to move, in percent of the ring, over many seeds.
fn excess() {
    println!("moved beyond need, % of slots              size  mean   max  (goal: 0.5)");
    for endpoints in [2, 3, 5, 10, 20, 41, 100, 300, 1_000] {
        let (old, new) = (vec![route(0, 1, endpoints)], vec![route(0, 1, endpoints + 1)]);
        show_excess(&format!("1 x {endpoints:>4}, one endpoint more"), &old, &new);
    }
    let mut fewer = routes(10, 10);
    fewer[0].endpoints.pop();
    show_excess("10 x 10, one endpoint more", &fewer, &routes(10, 10));
    show_excess("10 x 10, one route more", &routes(10, 10), &routes(11, 10));
    let mut shifted = routes(10, 10);
    shifted[0].weight = 500;
    show_excess("10 x 10, a weight from 5.3 to 10 %", &shifted, &routes(10, 10));
    for (from, to) in [(1, 5), (5, 20), (20, 50)] {
        for endpoints in [1, 2, 5, 10] {
            let pair = |share: u64| vec![route(0, 100 - share, endpoints), route(1, share, endpoints)];
            show_excess(
                &format!("2 x {endpoints:>2}, a weight from {from} to {to} %"),
                &pair(from),
                &pair(to),
            );
        }
    }
}

fn show_excess(edit: &str, old: &[RingRoute], new: &[RingRoute]) {
    let must = must_move(old, new);
    for (size, seeds) in [(4_096, 200), (16_384, 50), (65_536, 20)] {
        let excess = |seed| {
            let moved = count_moved(&assign(size, seed, old), &assign(size, seed, new));
            (moved as f64 / f64::from(size) - must) * 100.0
        };
        let all: Vec<f64> = (0..seeds).map(excess).collect();
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        let worst = all.into_iter().fold(f64::MIN, f64::max);
        println!("{edit:<40} {size:>6} {mean:>5.2} {worst:>5.2}");
    }
}

/// The part of a ring that changes hands if every share is exact.
fn must_move(old: &[RingRoute], new: &[RingRoute]) -> f64 {
    let share = |routes: &[RingRoute], name: &RouteName, endpoint: &SocketAddr| {
        let sum: u64 = routes.iter().map(|route| route.weight).sum();
        let route = routes.iter().find(|route| route.name == *name && route.endpoints.contains(endpoint));
        route.map_or(0.0, |route| route.weight as f64 / sum as f64 / route.endpoints.len() as f64)
    };
    let gains = new.iter().flat_map(|route| {
        let gain = |endpoint| share(new, &route.name, endpoint) - share(old, &route.name, endpoint);
        route.endpoints.iter().map(gain)
    });
    gains.filter(|gain| *gain > 0.0).sum()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The least time of several rounds, by call.
fn least<T>(mut run: impl FnMut() -> T) -> Duration {
    let mut round = || {
        let start = cpu_time();
        for calls in 1.. {
            black_box(run());
            let time = cpu_time().saturating_sub(start);
            if time > Duration::from_millis(200) {
                return time / calls;
            }
        }
        Duration::ZERO
    };
    (0..5).map(|_| round()).min().unwrap_or_default()
}

/// Time that this process, which has one thread, was on a CPU.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|number| number.parse().ok());
    Duration::from_nanos(nanoseconds.expect("Linux tells the time on CPU first in schedstat"))
}
