//! A few requests that conditions are asked about.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use gateway_model::matching::Request;

/// A request written down.
#[derive(Debug)]
pub(crate) struct Sample {
    method: &'static str,
    host: &'static str,
    path: &'static str,
    query: &'static str,
    headers: &'static [(&'static str, &'static [u8])],
    client: IpAddr,
    sni: &'static str,
}

/// An ordinary one, an empty one, and one that is as odd as a request may be.
pub(crate) const SAMPLES: &[Sample] = &[
    Sample {
        method: "GET",
        host: "foo.bar.com",
        path: "/api/v1",
        query: "v=2&beta",
        headers: &[
            ("host", b"foo.bar.com"),
            ("user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"),
            ("cookie", b"beta=1; session=abc"),
            ("x-group", b"a, b"),
        ],
        client: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
        sni: "foo.bar.com",
    },
    Sample {
        method: "",
        host: "",
        path: "",
        query: "",
        headers: &[],
        client: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        sni: "",
    },
    Sample {
        method: "M-SEARCH",
        host: "[2001:db8::1]:8080",
        path: "/%zz//\u{fffd}/",
        query: "%=%2&&a=%41+%&=&b",
        headers: &[
            ("cookie", b"=;;a=\xff; a; \"q=\"; beta"),
            ("cookie", b""),
            ("x-group", b",\xc3\x28,"),
            ("x-group", b"\t a\t,,"),
            ("user-agent", b"\xf0\x9f"),
        ],
        client: IpAddr::V6(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0xc633, 0x6407)),
        sni: "*.bar.com.",
    },
];

impl Request for Sample {
    fn method(&self) -> &str {
        self.method
    }

    fn host(&self) -> &str {
        self.host
    }

    fn path(&self) -> &str {
        self.path
    }

    fn query(&self) -> &str {
        self.query
    }

    fn any_header(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.headers.iter().any(|(own, value)| own.eq_ignore_ascii_case(name) && test(value))
    }

    fn client(&self) -> IpAddr {
        self.client
    }

    fn sni(&self) -> &str {
        self.sni
    }
}
