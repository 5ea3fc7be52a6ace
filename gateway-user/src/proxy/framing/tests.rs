use proptest::prelude::*;

use super::*;

/// What came of a whole connection.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    passed: Vec<u8>,
    refused: Option<Refused>,
    heads: u64,
    place: Place,
}

fn limits() -> Limits {
    Limits { request_line: 100, head: 300, fields: 5, chunk_line: 20, ..Limits::default() }
}

/// Gives the bytes to a scanner in pieces, holding back what does not pass, as a connection does.
fn run<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut scanner = Scanner::new(&limits());
    let (mut held, mut passed, mut refused) = (Vec::new(), Vec::new(), None);
    for piece in pieces {
        held.extend_from_slice(piece);
        let scan = scanner.scan(&held);
        passed.extend(held.drain(..scan.passed));
        refused = scan.refused;
        if refused.is_some() {
            break;
        }
    }
    Outcome { passed, refused, heads: scanner.heads(), place: scanner.place() }
}

fn run_whole(bytes: &[u8]) -> Outcome {
    run([bytes])
}

/// A request with these fields after its Host.
fn with_fields(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

fn chunked(body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
}

/// A request with this request line.
fn line(line: &str) -> String {
    format!("{line}\r\nHost: a\r\n\r\n")
}

fn refused_heads() -> Vec<(String, Refusal)> {
    refused_lines().into_iter().chain(refused_fields()).collect()
}

fn refused_lines() -> Vec<(String, Refusal)> {
    let long = "x".repeat(100);
    vec![
        (line("GET /"), Refusal::RequestLine),
        (line("GET  / HTTP/1.1"), Refusal::RequestLine),
        (line("GET / HTTP/1.1 "), Refusal::RequestLine),
        (line("GET\t/ HTTP/1.1"), Refusal::RequestLine),
        (line("GET /\tHTTP/1.1"), Refusal::RequestLine),
        (line(" GET / HTTP/1.1"), Refusal::RequestLine),
        (line("G(T / HTTP/1.1"), Refusal::RequestLine),
        (line("GET / http/1.1"), Refusal::RequestLine),
        (line("GET / HTTP/1.10"), Refusal::RequestLine),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n".into(), Refusal::RequestLine),
        ("\x16\x03\x01".into(), Refusal::RequestLine),
        ("INVALID CONNECTION PREFACE\r\n\r\n".into(), Refusal::NotHttp),
        ("EHLO a\r\n".into(), Refusal::NotHttp),
        (line("GET / HTTP/1.2"), Refusal::Version),
        (line("GET / HTTP/2.0"), Refusal::Version),
        (line(&format!("GET /{long} HTTP/1.1")), Refusal::RequestLineTooLong),
        (format!("GET /{long}"), Refusal::RequestLineTooLong),
        (line("GET a HTTP/1.1"), Refusal::Target),
        (line("GET * HTTP/1.1"), Refusal::Target),
        (line("GET /a#b HTTP/1.1"), Refusal::Target),
        (line("GET /\x7f HTTP/1.1"), Refusal::Target),
        (line("GET /ä HTTP/1.1"), Refusal::Target),
        (line("GET ftp://a/ HTTP/1.1"), Refusal::Target),
        (line("GET http:///b HTTP/1.1"), Refusal::Target),
        (line("GET http://u@a/ HTTP/1.1"), Refusal::Target),
        (line("GET http://a:x/ HTTP/1.1"), Refusal::Target),
        (line("GET /../a HTTP/1.1"), Refusal::PathEscape),
        (line("GET /a/../../b/c HTTP/1.1"), Refusal::PathEscape),
        (line("GET /%2e%2E/a HTTP/1.1"), Refusal::PathEscape),
        (line("GET /a%2f..%2F..%5cb HTTP/1.1"), Refusal::PathEscape),
        (line("GET /..\\a HTTP/1.1"), Refusal::PathEscape),
        (line("GET http://a/.. HTTP/1.1"), Refusal::PathEscape),
        (line("CONNECT a:443 HTTP/1.1"), Refusal::Connect),
    ]
}

fn refused_fields() -> Vec<(String, Refusal)> {
    let long = "x".repeat(100);
    vec![
        (with_fields("A: b\rc\r\n"), Refusal::BareCr),
        (with_fields("A\r: b\r\n"), Refusal::BareCr),
        (line("GET /\r HTTP/1.1"), Refusal::BareCr),
        (with_fields("A: b\nC: d\r\n"), Refusal::BareLf),
        ("GET / HTTP/1.1\nHost: a\r\n\r\n".into(), Refusal::BareLf),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n".into(), Refusal::BareLf),
        ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n".into(), Refusal::BareLf),
        (with_fields("A: b\r\n c\r\n"), Refusal::ObsFold),
        (with_fields("A: b\r\n\tc\r\n"), Refusal::ObsFold),
        ("GET / HTTP/1.1\r\n Host: a\r\n\r\n".into(), Refusal::ObsFold),
        (with_fields("A : b\r\n"), Refusal::BlankBeforeColon),
        (with_fields("Content-Length\t: 5\r\n"), Refusal::BlankBeforeColon),
        (with_fields("A\r\n"), Refusal::FieldName),
        (with_fields(": b\r\n"), Refusal::FieldName),
        (with_fields("A(: b\r\n"), Refusal::FieldName),
        (with_fields("Ä: b\r\n"), Refusal::FieldName),
        (with_fields("A\0: b\r\n"), Refusal::FieldName),
        (with_fields("A: b\0\r\n"), Refusal::ControlByte),
        (with_fields("A: \x0bb\r\n"), Refusal::ControlByte),
        (with_fields("A: b\x7f\r\n"), Refusal::ControlByte),
        (with_fields("Content-Length: +5\r\n"), Refusal::ContentLength),
        (with_fields("Content-Length: -5\r\n"), Refusal::ContentLength),
        (with_fields("Content-Length: 5, 5\r\n"), Refusal::ContentLength),
        (with_fields("Content-Length: 5 5\r\n"), Refusal::ContentLength),
        (with_fields("Content-Length: 5 \r\n"), Refusal::ContentLength),
        (with_fields("Content-Length:  5\r\n"), Refusal::ContentLength),
        (with_fields("Content-Length:\t5\r\n"), Refusal::ContentLength),
        (with_fields("Content-Length: 0x5\r\n"), Refusal::ContentLength),
        (with_fields("Content-Length: 5.0\r\n"), Refusal::ContentLength),
        (with_fields("Content-Length:\r\n"), Refusal::ContentLength),
        (with_fields("Content-Length: 9223372036854775808\r\n"), Refusal::ContentLength),
        (with_fields("Content-Length: 18446744073709551617\r\n"), Refusal::ContentLength),
        (with_fields("Content-Length: 5\r\nContent-Length: 6\r\n"), Refusal::ContentLengths),
        (with_fields("Content-Length: 5\r\ncontent-length: 5\r\n"), Refusal::ContentLengths),
        (with_fields("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), Refusal::LengthAndEncoding),
        (with_fields("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), Refusal::LengthAndEncoding),
        (with_fields("Transfer-Encoding: chunked\r\nContent-Length: +5\r\n"), Refusal::LengthAndEncoding),
        (with_fields("Transfer-Encoding: gzip, chunked\r\n"), Refusal::TransferEncoding),
        (with_fields("Transfer-Encoding: chunked, chunked\r\n"), Refusal::TransferEncoding),
        (with_fields("Transfer-Encoding: chunked, identity\r\n"), Refusal::TransferEncoding),
        (with_fields("Transfer-Encoding: identity\r\n"), Refusal::TransferEncoding),
        (with_fields("Transfer-Encoding: xchunked\r\n"), Refusal::TransferEncoding),
        (with_fields("Transfer-Encoding:\r\n"), Refusal::TransferEncoding),
        (with_fields("Transfer-Encoding:\tchunked\r\n"), Refusal::TransferEncoding),
        (with_fields("Transfer-Encoding: chunked\t\r\n"), Refusal::TransferEncoding),
        (with_fields("Transfer-Encoding: \"chunked\"\r\n"), Refusal::TransferEncoding),
        (
            with_fields("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
            Refusal::TransferEncoding,
        ),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".into(), Refusal::TransferEncoding),
        ("GET / HTTP/1.1\r\n\r\n".into(), Refusal::HostMissing),
        (with_fields("Host: a\r\n"), Refusal::Hosts),
        (with_fields("host: b\r\n"), Refusal::Hosts),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n".into(), Refusal::Host),
        ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n".into(), Refusal::Host),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n".into(), Refusal::Host),
        ("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n".into(), Refusal::Host),
        ("GET / HTTP/1.1\r\nHost:\ta\r\n\r\n".into(), Refusal::Host),
        ("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n".into(), Refusal::Host),
        ("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n".into(), Refusal::Host),
        (with_fields("Expect: 200-ok\r\n"), Refusal::Expect),
        (with_fields("A: b\r\n".repeat(5).as_str()), Refusal::TooManyFields),
        (with_fields(&format!("A: {long}\r\nB: {long}\r\nC: {long}\r\n")), Refusal::HeadTooLarge),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}", long.repeat(3)), Refusal::HeadTooLarge),
    ]
}

fn refused_bodies() -> Vec<(String, Refusal)> {
    let long = "x".repeat(100);
    vec![
        (chunked("+5\r\n"), Refusal::ChunkSize),
        (chunked("-5\r\n"), Refusal::ChunkSize),
        (chunked("0x5\r\n"), Refusal::ChunkSize),
        (chunked(" 5\r\n"), Refusal::ChunkSize),
        (chunked("5 \r\n"), Refusal::ChunkSize),
        (chunked("5\t;a\r\n"), Refusal::ChunkSize),
        (chunked("\r\n"), Refusal::ChunkSize),
        (chunked(";a\r\n"), Refusal::ChunkSize),
        (chunked("g\r\n"), Refusal::ChunkSize),
        (chunked("8000000000000000\r\n"), Refusal::ChunkSize),
        (chunked("10000000000000005\r\n"), Refusal::ChunkSize),
        (chunked("00000000000000005\r\n"), Refusal::ChunkSize),
        (chunked("5\nhello\r\n"), Refusal::BareLf),
        (chunked("5\rhello\r\n"), Refusal::BareCr),
        (chunked("5;a\nb\r\n"), Refusal::ChunkExtension),
        (chunked("5;a\0\r\n"), Refusal::ChunkExtension),
        (chunked("5;a=\"\tb\"\r\n"), Refusal::ChunkExtension),
        (chunked(&format!("5;{long}")), Refusal::ChunkExtension),
        (chunked("5;a\rb\r\n"), Refusal::BareCr),
        (chunked("5\r\nhelloX"), Refusal::ChunkEnd),
        (chunked("5\r\nhello\n"), Refusal::ChunkEnd),
        (chunked("5\r\nhello\rX"), Refusal::ChunkEnd),
        (chunked("5\r\nhello!\r\n"), Refusal::ChunkEnd),
        (chunked("0\r\nContent-Length: 5\r\n\r\n"), Refusal::Trailer),
        (chunked("0\r\nTransfer-Encoding: chunked\r\n\r\n"), Refusal::Trailer),
        (chunked("0\r\nhost: b\r\n\r\n"), Refusal::Trailer),
        (chunked("0\r\nGET / HTTP/1.1\r\n\r\n"), Refusal::BlankBeforeColon),
        (chunked("0\r\n\n"), Refusal::BareLf),
        (chunked("0\r\n A: b\r\n\r\n"), Refusal::ObsFold),
        (chunked(&format!("0\r\n{}\r\n", "A: b\r\n".repeat(6))), Refusal::TooManyFields),
        (chunked(&format!("0\r\nA: {}", long.repeat(3))), Refusal::HeadTooLarge),
    ]
}

/// Requests that pass, and how many.
fn passing() -> Vec<(String, u64)> {
    vec![
        (with_fields(""), 1),
        (with_fields("A:\r\nB:b\r\nC: \tc \r\nD: \u{e4}\r\n"), 1),
        (format!("\r\n{}", with_fields("")), 1),
        ("GET / HTTP/1.0\r\n\r\n".into(), 1),
        ("OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n".into(), 1),
        ("GET http://a:80/b?c HTTP/1.1\r\nHost: other\r\n\r\n".into(), 1),
        ("GET HTTPS://[fd00::1]:443 HTTP/1.1\r\nHost: [fd00::1]:443\r\n\r\n".into(), 1),
        ("GET /a/../b/./c?../.. HTTP/1.1\r\nHost: a.example:8080\r\n\r\n".into(), 1),
        ("GET /a..b/...?x=/../.. HTTP/1.1\r\nHost: a\r\n\r\n".into(), 1),
        (format!("{}{}", with_fields("Content-Length: 5\r\n"), "hello"), 1),
        (format!("{}{}{}", with_fields("Content-Length:0\r\n"), with_fields(""), with_fields("")), 3),
        (
            format!(
                "{}{}",
                chunked("5;a=\"b c\"\r\nhello\r\n1A\r\n01234567890123456789012345\r\n0\r\n\r\n"),
                with_fields("")
            ),
            2,
        ),
        (
            format!(
                "{}{}",
                chunked("0000;x\r\nA: b\r\nChecksum: 5\r\n\r\n"),
                with_fields("Expect: 100-Continue\r\n")
            ),
            2,
        ),
    ]
}

/// `bytes` cut after every one.
fn singly(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.chunks(1).collect()
}

#[test]
fn a_head_with_two_readings_is_refused_before_a_byte_of_it_passes() {
    for (bytes, refusal) in refused_heads() {
        let outcome = run_whole(bytes.as_bytes());
        assert_eq!(outcome.refused, Some(Refused::Head(refusal)), "{bytes:?}");
        assert_eq!((outcome.passed.len(), outcome.heads, outcome.place), (0, 0, Place::Refused), "{bytes:?}");
    }
}

#[test]
fn a_body_with_two_readings_is_refused_where_it_goes_wrong() {
    for (bytes, refusal) in refused_bodies() {
        let outcome = run_whole(bytes.as_bytes());
        assert_eq!(outcome.refused, Some(Refused::Body(refusal)), "{bytes:?}");
        assert_eq!((outcome.heads, outcome.place), (1, Place::Refused), "{bytes:?}");
    }
}

#[test]
fn well_formed_requests_pass_as_they_are() {
    for (bytes, heads) in passing() {
        let expected =
            Outcome { passed: bytes.clone().into_bytes(), refused: None, heads, place: Place::Between };
        assert_eq!(run_whole(bytes.as_bytes()), expected, "{bytes:?}");
    }
}

#[test]
fn a_request_after_a_refused_one_never_passes() {
    for (bytes, _) in refused_heads().into_iter().chain(refused_bodies()) {
        let mut scanner = Scanner::new(&limits());
        let mut all = bytes.into_bytes();
        let first = scanner.scan(&all);
        all.extend_from_slice(with_fields("").as_bytes());
        assert!(first.refused.is_some());
        assert_eq!(scanner.scan(&all[first.passed..]), Scan { passed: 0, refused: None });
    }
}

#[test]
fn the_requests_before_a_refused_one_pass() {
    for (bytes, refusal) in refused_heads() {
        let good = with_fields("Content-Length: 2\r\n") + "ok";
        let outcome = run_whole(format!("{good}{bytes}").as_bytes());
        assert_eq!((outcome.passed, outcome.heads), (good.into_bytes(), 1), "{bytes:?}");
        let refusal = if refusal == Refusal::NotHttp { Refusal::RequestLine } else { refusal };
        assert_eq!(outcome.refused, Some(Refused::Head(refusal)));
    }
}

#[test]
fn every_cut_in_two_and_byte_by_byte_gives_the_same_verdict() {
    let cases = refused_heads().into_iter().map(|(bytes, _)| bytes);
    let cases = cases.chain(refused_bodies().into_iter().map(|(bytes, _)| bytes));
    for bytes in cases.chain(passing().into_iter().map(|(bytes, _)| bytes)) {
        let whole = run_whole(bytes.as_bytes());
        assert_eq!(run(singly(bytes.as_bytes())), whole, "{bytes:?} byte by byte");
        for cut in 0..bytes.len() {
            let (left, right) = bytes.as_bytes().split_at(cut);
            assert_eq!(run([left, right]), whole, "{bytes:?} cut at {cut}");
        }
    }
}

#[test]
fn what_follows_an_upgrade_is_held_until_it_is_refused() {
    let upgrade = with_fields("Upgrade: websocket\r\nConnection: upgrade\r\n");
    let bytes = format!("{upgrade}{}", with_fields(""));
    let mut scanner = Scanner::new(&limits());
    assert_eq!(scanner.scan(bytes.as_bytes()).passed, upgrade.len());
    assert_eq!(scanner.place(), Place::Held);
    scanner.resume();
    assert_eq!(scanner.scan(&bytes.as_bytes()[upgrade.len()..]).passed, bytes.len() - upgrade.len());
    assert_eq!((scanner.place(), scanner.heads()), (Place::Between, 2));
}

#[test]
fn an_end_within_a_request_is_refused_and_between_two_it_is_not() {
    let cases = [
        (String::new(), None),
        (with_fields(""), None),
        ("GET / HTTP/1.1\r\nHost: a\r\n".into(), Some(Refused::Head(Refusal::Incomplete))),
        ("G".into(), Some(Refused::Head(Refusal::Incomplete))),
        (with_fields("Content-Length: 5\r\n") + "hell", Some(Refused::Body(Refusal::Incomplete))),
        (chunked("5\r\nhello\r\n"), Some(Refused::Body(Refusal::Incomplete))),
        (chunked("0\r\n"), Some(Refused::Body(Refusal::Incomplete))),
    ];
    for (bytes, expected) in cases {
        let mut scanner = Scanner::new(&limits());
        scanner.scan(bytes.as_bytes());
        assert_eq!(scanner.end(), expected, "{bytes:?}");
    }
}

/// Bytes as an attacker would compose them: pieces of requests, whole ones, and single bytes that matter.
fn composed() -> impl Strategy<Value = Vec<u8>> {
    let known = refused_heads().into_iter().chain(refused_bodies()).map(|(bytes, _)| bytes);
    let known: Vec<String> = known.chain(passing().into_iter().map(|(bytes, _)| bytes)).collect();
    let pieces = prop_oneof![
        3 => proptest::sample::select(known).prop_map(String::into_bytes),
        3 => proptest::sample::select(vec![
            "GET / HTTP/1.1\r\n", "Host: a\r\n", "\r\n", "\r", "\n", "Content-Length: 3\r\n", "A: b\r\n", "5\r\n",
            "Transfer-Encoding: chunked\r\n", "hello", "0\r\n\r\n", " ", "\t", ":", "\0", "Upgrade: x\r\n",
        ]).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 1..4),
    ];
    proptest::collection::vec(pieces, 1..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn however_the_bytes_are_cut_the_verdict_is_the_same(
        bytes in composed(),
        sizes in proptest::collection::vec(1_usize..40, 1..30),
    ) {
        let mut pieces = Vec::new();
        let mut rest = &bytes[..];
        for size in sizes.iter().cycle() {
            if rest.is_empty() { break }
            let (piece, after) = rest.split_at(rest.len().min(*size));
            pieces.push(piece);
            rest = after;
        }
        prop_assert_eq!(run(pieces), run_whole(&bytes));
    }

    #[test]
    fn a_head_that_passes_ends_where_the_http_library_ends_it(bytes in composed()) {
        let mut scanner = Scanner::new(&limits());
        let mut fields = [httparse::EMPTY_HEADER; 100];
        let scan = scanner.scan(&bytes);
        if scanner.heads() > 0 {
            let parsed = httparse::Request::new(&mut fields).parse(&bytes);
            prop_assert!(matches!(parsed, Ok(httparse::Status::Complete(end)) if end <= scan.passed), "{:?}", parsed);
        }
    }
}
