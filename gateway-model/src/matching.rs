//! Matching a request against conditions and gateways: no allocation, no I/O.

use std::net::IpAddr;

/// What a condition may ask of a request. The proxy implements it over its parsed request; names of headers
/// are given in lower case and compared without regard to case.
pub trait Request {
    /// Method, `GET`.
    fn method(&self) -> &str;
    /// Host without port, as the client wrote it; empty where there is none.
    fn host(&self) -> &str;
    /// Path without query, as received.
    fn path(&self) -> &str;
    /// Query without the question mark; empty where there is none.
    fn query(&self) -> &str;
    /// Whether a field line called `name` has a value that `test` accepts; `test` sees one field line at a time.
    fn any_header(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool;
    /// The client's address.
    fn client(&self) -> IpAddr;
    /// The TLS server name; empty without TLS.
    fn sni(&self) -> &str;
}
