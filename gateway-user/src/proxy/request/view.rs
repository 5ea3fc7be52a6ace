//! A request as conditions see it.

use std::net::IpAddr;

use http::request::Parts;

use super::authority;

/// Borrows everything: a condition costs no allocation.
pub(super) struct View<'a> {
    parts: &'a Parts,
    host: &'a str,
    client: IpAddr,
}

impl<'a> View<'a> {
    /// Of a request whose Host field is settled.
    pub fn new(parts: &'a Parts, client: IpAddr) -> Self {
        Self { parts, host: authority::host(&parts.headers), client: client.to_canonical() }
    }
}

impl gateway_model::matching::Request for View<'_> {
    fn method(&self) -> &str {
        self.parts.method.as_str()
    }

    fn host(&self) -> &str {
        self.host
    }

    fn path(&self) -> &str {
        self.parts.uri.path()
    }

    fn query(&self) -> &str {
        self.parts.uri.query().unwrap_or("")
    }

    fn any_header(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.parts.headers.get_all(name).iter().any(|value| test(value.as_bytes()))
    }

    fn client(&self) -> IpAddr {
        self.client
    }

    fn sni(&self) -> &'static str {
        ""
    }
}
