//! Which host a request is for: its target where that names one, else its Host field.

use http::{
    HeaderValue, Method, Request, Uri,
    header::{self, HeaderMap},
    request::Parts,
    uri::PathAndQuery,
};

use crate::proxy::{error::Refusal, framing::escapes_root};

/// What HTTP/2 requests may not be, as far as its library lets them through.
pub(super) fn check_h2<B>(request: &Request<B>) -> Result<(), Refusal> {
    if request.method() == Method::CONNECT {
        return Err(Refusal::Connect);
    }
    let headers = request.headers();
    let hosts = headers.get_all(header::HOST).iter().count();
    if hosts > 1 {
        return Err(Refusal::Hosts);
    }
    let host = headers.get(header::HOST).map(HeaderValue::as_bytes);
    let authority = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    let valid =
        |host: Option<&[u8]>| host.is_none_or(|host| host.is_empty() || crate::proxy::framing::is_host(host));
    if !valid(host) || !valid(authority) {
        return Err(Refusal::Host);
    }
    if host.is_none() && authority.is_none() {
        return Err(Refusal::HostMissing);
    }
    if is_chunked_or_lengths(headers) {
        return Err(Refusal::LengthAndEncoding);
    }
    if escapes_root(request.uri().path().as_bytes()) {
        return Err(Refusal::PathEscape);
    }
    Ok(())
}

fn is_chunked_or_lengths(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get_all(header::CONTENT_LENGTH).iter().count() > 1
}

/// Makes the target a path and the Host field the host: a target that names a host wins over the field.
pub(super) fn settle(parts: &mut Parts) {
    let Some(authority) = parts.uri.authority() else { return };
    // The framing check, and `check_h2`, let hosts through that are fields' values too.
    if let Ok(host) = HeaderValue::from_str(authority.as_str()) {
        parts.headers.insert(header::HOST, host);
    }
    let mut target = http::uri::Parts::default();
    let path = parts.uri.path_and_query().cloned();
    target.path_and_query = Some(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    parts.uri = Uri::from_parts(target).expect("a path alone is a target");
}

/// The host of a request that is settled, without its port; empty where there is none.
pub(super) fn host(headers: &HeaderMap) -> &str {
    without_port(headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or(""))
}

/// `name` of `name:port`, `[address]` of `[address]:port`.
fn without_port(host: &str) -> &str {
    let end = host.rfind(':').filter(|colon| host[*colon + 1..].bytes().all(|byte| byte.is_ascii_digit()));
    end.map_or(host, |colon| &host[..colon])
}

#[cfg(test)]
mod tests {
    use super::without_port;

    #[test]
    fn a_port_is_cut_off_and_an_address_is_not() {
        for (host, expected) in [
            ("a.example", "a.example"),
            ("a.example:80", "a.example"),
            ("a.example:", "a.example"),
            ("[fd00::1]:80", "[fd00::1]"),
            ("[fd00::1]", "[fd00::1]"),
            ("", ""),
        ] {
            assert_eq!(without_port(host), expected);
        }
    }
}
