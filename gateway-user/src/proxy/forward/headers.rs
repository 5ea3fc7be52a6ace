//! The fields of messages that pass: what concerns one connection only is taken out, what endpoints want to know of
//! the client is put in.

use http::{
    HeaderMap, HeaderName, HeaderValue, Version,
    header::{self, Entry},
    request::Parts,
};

use crate::proxy::{request::has_upgrades, serve::Peer};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Fields of one connection (RFC 9110, 7.6.1, and what older specifications added).
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
    header::PROXY_AUTHENTICATE,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What a request's fields asked of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prepared {
    /// It asks for an upgrade, and is sent so.
    pub upgrades: bool,
    /// It waits for `100 Continue` before its body, and is sent so.
    pub expects_continue: bool,
}

/// Makes a client's request one for an endpoint.
pub(super) fn prepare(parts: &mut Parts, peer: &Peer, has_no_body: bool) -> Prepared {
    let is_h2 = parts.version == Version::HTTP_2;
    let upgrade = upgrade_of(&parts.headers).filter(|_| has_upgrades(parts.version));
    let takes_trailers = has_token(&parts.headers, &header::TE, "trailers");
    strip(&mut parts.headers);
    if let Some(upgrade) = &upgrade {
        parts.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        parts.headers.insert(header::UPGRADE, upgrade.clone());
    } else if takes_trailers {
        parts.headers.insert(header::CONNECTION, HeaderValue::from_static("te"));
        parts.headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    // An HTTP/2 library sends no Continue for us, so its clients' bodies are not held back.
    let expects_continue =
        parts.headers.contains_key(header::EXPECT) && !has_no_body && has_upgrades(parts.version);
    if !expects_continue {
        parts.headers.remove(header::EXPECT);
    }
    if is_h2 {
        join_cookies(&mut parts.headers);
    }
    tell_of_client(&mut parts.headers, peer);
    parts.version = Version::HTTP_11;
    Prepared { upgrades: upgrade.is_some(), expects_continue }
}

/// Makes an endpoint's response one for a client; `switches`: it accepts an upgrade.
pub(super) fn strip_response(headers: &mut HeaderMap, switches: bool) {
    let upgrade = switches.then(|| headers.get(header::UPGRADE).cloned()).flatten();
    // The length is the encoding's (RFC 9112, 6.3); one beside it has no meaning.
    if headers.contains_key(header::TRANSFER_ENCODING) {
        headers.remove(header::CONTENT_LENGTH);
    }
    strip(headers);
    if let Some(upgrade) = upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, upgrade);
    }
}

/// Takes out what concerns one connection only, and what `Connection` names.
fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = tokens(headers, &header::CONNECTION)
        .filter(|token| {
            !["close", "keep-alive", "upgrade", "te"].iter().any(|known| token.eq_ignore_ascii_case(known))
        })
        .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
        // A client cannot have these taken out: they say whose request this is and where it ends.
        .filter(|name| !matches!(*name, header::HOST | header::CONTENT_LENGTH))
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// The protocol that a request asks to switch to, if it is one that can be passed on: HTTP/2 by upgrade would take
/// requests past every check.
fn upgrade_of(headers: &HeaderMap) -> Option<HeaderValue> {
    let upgrade = headers.get(header::UPGRADE)?;
    let is_asked = has_token(headers, &header::CONNECTION, "upgrade");
    let is_h2c = tokens(headers, &header::UPGRADE).any(|token| {
        token.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("h2c"))
            || token.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("http"))
    });
    (is_asked && !is_h2c).then(|| upgrade.clone())
}

/// The elements of a list field.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> + use<'a> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|found| found.eq_ignore_ascii_case(token))
}

/// HTTP/2 may send a cookie field in pieces, HTTP/1 may not (RFC 9113, 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(header::COOKIE).iter().nth(1).is_none() {
        return;
    }
    let pieces: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    let joined = HeaderValue::from_bytes(&pieces.join(&b"; "[..])).expect("pieces of fields make a field");
    headers.insert(header::COOKIE, joined);
}

/// Says who the client is, and drops what it says itself unless it is trusted.
fn tell_of_client(headers: &mut HeaderMap, peer: &Peer) {
    if !peer.trusted {
        let is_claim =
            |name: &&HeaderName| name.as_str().starts_with("x-forwarded-") || *name == header::FORWARDED;
        let claims: Vec<HeaderName> = headers.keys().filter(is_claim).cloned().collect();
        for claim in claims {
            headers.remove(claim);
        }
    }
    match headers.entry(FORWARDED_FOR) {
        Entry::Vacant(entry) => {
            entry.insert(peer.address.clone());
        }
        Entry::Occupied(mut entry) => {
            let mut chain: Vec<&[u8]> = entry.iter().map(HeaderValue::as_bytes).collect();
            chain.push(peer.address.as_bytes());
            let chain =
                HeaderValue::from_bytes(&chain.join(&b", "[..])).expect("pieces of fields make a field");
            entry.insert(chain);
        }
    }
    if let Entry::Vacant(entry) = headers.entry(FORWARDED_PROTO) {
        entry.insert(HeaderValue::from_static("http"));
    }
    if let Some(host) = headers.get(header::HOST).cloned()
        && let Entry::Vacant(entry) = headers.entry(FORWARDED_HOST)
    {
        entry.insert(host);
    }
}
