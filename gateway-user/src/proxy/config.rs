//! Every limit and time-out of the proxy, each with a default.

use std::{net::IpAddr, time::Duration};

/// What [`Proxy::start`](super::Proxy::start) is given.
#[derive(Clone, Debug)]
pub struct Config {
    /// Threads, each with its own runtime, listeners and upstream pools; at least 1. Default: one per core.
    pub workers: usize,
    /// Where this node's sequences of weighted picks start, so that nodes do not pick in step.
    pub seed: u64,
    /// Clients whose `X-Forwarded-*` and `Forwarded` are kept and added to; all others' are dropped.
    /// Default: none.
    pub trusted: Vec<Network>,
    /// Sizes and counts.
    pub limits: Limits,
    /// Times.
    pub timeouts: Timeouts,
}

impl Default for Config {
    fn default() -> Self {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            workers,
            seed: 0,
            trusted: Vec::new(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
        }
    }
}

/// Sizes in bytes, and counts.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Request line without its line end; past it: 414. Default 8 KiB.
    pub request_line: usize,
    /// Request line and fields of a request, also the trailers of a chunked body; past it: 431. Default 32 KiB.
    pub head: usize,
    /// Fields of a request, also of its trailers; past it: 431. Default 100.
    pub fields: usize,
    /// Size line of a chunk with its extensions. Default 256.
    pub chunk_line: usize,
    /// Client connections over all workers; one more is closed at once. Default 65,536.
    pub connections: usize,
    /// Open streams of an HTTP/2 connection. Default 200.
    pub h2_streams: u32,
    /// Streams that an HTTP/2 client has reset and that are not yet forgotten; past it the connection is closed
    /// (rapid reset, CVE-2023-44487). Default 20.
    pub h2_resets: usize,
    /// Idle upstream connections kept per worker and endpoint. Default 128.
    pub upstream_idle: usize,
    /// Endpoints tried for one request when connecting fails. Default 3.
    pub connect_attempts: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_line: 8 << 10,
            head: 32 << 10,
            fields: 100,
            chunk_line: 256,
            connections: 65_536,
            h2_streams: 200,
            h2_resets: 20,
            upstream_idle: 128,
            connect_attempts: 3,
        }
    }
}

/// Times; each is kept to within 50 ms.
#[derive(Clone, Debug)]
pub struct Timeouts {
    /// From the first byte of a request (or from accept) to the end of its fields; past it: 408. Default 10 s.
    pub head: Duration,
    /// Between two requests of a connection; past it, it is closed. Default 75 s.
    pub idle: Duration,
    /// Without a byte of a request body where one is due; past it: 408. Default 60 s.
    pub body_idle: Duration,
    /// Without the client taking a byte of the response; past it the connection is cut. Default 60 s.
    pub write_idle: Duration,
    /// From a request's head to the end of its response's head, body included; past it: 504. Default none.
    pub request: Option<Duration>,
    /// From the last byte of a request that was passed on to the response's head; past it: 504. Default 60 s.
    pub backend: Duration,
    /// Without a byte of a response body; past it the response is cut. Default 5 min (server-sent events).
    pub response_idle: Duration,
    /// Connecting to an endpoint, one attempt. Default 3 s.
    pub connect: Duration,
    /// How long a body is held back for the endpoint's `100 Continue`. Default 1 s.
    pub expect_continue: Duration,
    /// An upgraded connection without a byte either way. Default 1 h.
    pub upgrade_idle: Duration,
    /// An upstream connection without a request. Default 60 s.
    pub upstream_idle: Duration,
    /// On draining: how long connections that were in the accept queues or half open are still accepted.
    /// Default 1 s.
    pub drain_accept: Duration,
    /// On draining: how long a connection that has no request is kept for one. Default 5 s.
    pub drain_idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let s = Duration::from_secs;
        Self {
            head: s(10),
            idle: s(75),
            body_idle: s(60),
            write_idle: s(60),
            request: None,
            backend: s(60),
            response_idle: s(300),
            connect: s(3),
            expect_continue: s(1),
            upgrade_idle: s(3600),
            upstream_idle: s(60),
            drain_accept: s(1),
            drain_idle: s(5),
        }
    }
}

/// Addresses that share a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// An address of the network.
    pub address: IpAddr,
    /// Bits that count: at most 32 (IPv4) or 128 (IPv6).
    pub prefix: u8,
}

impl Network {
    /// Whether `address` is of the network; an IPv4 address is never of an IPv6 one.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                let unused = 32 - u32::from(self.prefix.min(32));
                (u64::from(a.to_bits()) >> unused) == (u64::from(b.to_bits()) >> unused)
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                let differ = a.to_bits() ^ b.to_bits();
                differ.leading_zeros() >= u32::from(self.prefix.min(128))
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_the_addresses_of_its_prefix_and_no_others() {
        let cases = [
            ("10.1.0.0", 16, "10.1.255.255", true),
            ("10.1.0.0", 16, "10.2.0.0", false),
            ("0.0.0.0", 0, "203.0.113.9", true),
            ("10.0.0.1", 32, "10.0.0.2", false),
            ("fd00::", 8, "fdff::1", true),
            ("fd00::", 8, "fe80::1", false),
            ("::", 0, "2001:db8::1", true),
            ("::", 0, "10.0.0.1", false),
        ];
        for (network, prefix, address, expected) in cases {
            let network = Network { address: network.parse().unwrap(), prefix };
            assert_eq!(network.contains(address.parse().unwrap()), expected, "{network:?} {address}");
        }
    }
}
