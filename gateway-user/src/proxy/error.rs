//! Everything that a request can fail with, and the one place that turns it into a status.

use bytes::Bytes;
use http::StatusCode;

macro_rules! outcomes {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident => $status:ident, $label:literal, $text:literal;)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// Every variant, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The label in metrics, kebab-case.
            pub fn label(self) -> &'static str {
                match self { $(Self::$variant => $label),+ }
            }

            /// The status that the client gets.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status),+ }
            }

            /// What the client reads: what was wrong, or what was expected.
            pub fn text(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.text())
            }
        }

        impl std::error::Error for $name {}
    };
}

outcomes! {
    /// Why a request is refused for what it is; it is never forwarded, and its connection is closed (HTTP/1) or
    /// its stream reset (HTTP/2). RFC 9112 unless said otherwise.
    Refusal {
        /// Anything but `METHOD SP target SP HTTP/1.x CRLF` (section 3).
        RequestLine => BAD_REQUEST, "request-line", "malformed request line: expected METHOD, one blank, target, one blank, HTTP/1.1";
        /// A connection that begins with a line that is nothing like a request; closed without an answer, which its
        /// client would not understand.
        NotHttp => BAD_REQUEST, "not-http", "not HTTP";
        /// A version other than HTTP/1.0 and HTTP/1.1.
        Version => HTTP_VERSION_NOT_SUPPORTED, "version", "HTTP version not supported: expected HTTP/1.1, HTTP/1.0, or HTTP/2 with prior knowledge";
        /// A request line over the limit.
        RequestLineTooLong => URI_TOO_LONG, "request-line-too-long", "request line too long";
        /// A target that is neither origin, absolute (http, https) nor asterisk form, or has illegal characters.
        Target => BAD_REQUEST, "target", "malformed request target";
        /// A path whose `..` climb above its root.
        PathEscape => BAD_REQUEST, "path-escape", "the path leaves its root";
        /// CONNECT: this is no forward proxy.
        Connect => METHOD_NOT_ALLOWED, "connect", "CONNECT is not served here";
        /// Request line and fields over the limit.
        HeadTooLarge => REQUEST_HEADER_FIELDS_TOO_LARGE, "head-too-large", "request header too large";
        /// More fields than the limit.
        TooManyFields => REQUEST_HEADER_FIELDS_TOO_LARGE, "too-many-fields", "too many header fields";
        /// CR without LF (section 2.2).
        BareCr => BAD_REQUEST, "bare-cr", "CR without LF";
        /// LF without CR (section 2.2).
        BareLf => BAD_REQUEST, "bare-lf", "LF without CR";
        /// A field line that begins with white space (section 5.2).
        ObsFold => BAD_REQUEST, "obs-fold", "folded header field";
        /// White space between a field's name and its colon (section 5.1).
        BlankBeforeColon => BAD_REQUEST, "blank-before-colon", "white space before the colon of a header field";
        /// A field name that is not a token, or no colon at all.
        FieldName => BAD_REQUEST, "field-name", "malformed header field name";
        /// A control byte in a field's value.
        ControlByte => BAD_REQUEST, "control-byte", "control byte in a header field";
        /// Content-Length that is not plain digits, or past 2^63.
        ContentLength => BAD_REQUEST, "content-length", "malformed Content-Length";
        /// More than one Content-Length.
        ContentLengths => BAD_REQUEST, "content-lengths", "more than one Content-Length";
        /// Content-Length beside Transfer-Encoding (section 6.3).
        LengthAndEncoding => BAD_REQUEST, "length-and-encoding", "Content-Length beside Transfer-Encoding";
        /// Transfer-Encoding other than exactly `chunked`, once, in HTTP/1.1.
        TransferEncoding => BAD_REQUEST, "transfer-encoding", "Transfer-Encoding other than chunked";
        /// HTTP/1.1 without Host (section 3.2).
        HostMissing => BAD_REQUEST, "host-missing", "no Host";
        /// More than one Host.
        Hosts => BAD_REQUEST, "hosts", "more than one Host";
        /// A Host that is not `name[:port]`, or `user@` in it.
        Host => BAD_REQUEST, "host", "malformed Host";
        /// Expect other than `100-continue` (RFC 9110, 10.1.1).
        Expect => EXPECTATION_FAILED, "expect", "unknown expectation";
        /// A chunk's size that is not plain hexadecimal digits, or past 2^63.
        ChunkSize => BAD_REQUEST, "chunk-size", "malformed chunk size";
        /// A control byte in a chunk's extensions, or a size line over the limit.
        ChunkExtension => BAD_REQUEST, "chunk-extension", "malformed chunk extension";
        /// A chunk's data not followed by CRLF.
        ChunkEnd => BAD_REQUEST, "chunk-end", "chunk data without its CRLF";
        /// Content-Length, Transfer-Encoding or Host among the trailers.
        Trailer => BAD_REQUEST, "trailer", "a trailer field that trailers cannot carry";
        /// The connection ended within a request.
        Incomplete => BAD_REQUEST, "incomplete", "the request ended early";
        /// Any other mistake, found by the HTTP library.
        Malformed => BAD_REQUEST, "malformed", "malformed request";
        /// The head took too long.
        HeadTimeout => REQUEST_TIMEOUT, "head-timeout", "the request header took too long";
        /// The body paused for too long.
        BodyTimeout => REQUEST_TIMEOUT, "body-timeout", "the request body took too long";
        /// More connections than the limit; closed without an answer.
        TooManyConnections => SERVICE_UNAVAILABLE, "too-many-connections", "too many connections";
        /// A connection to an address that no gateway listens on; closed without an answer.
        UnknownFrontend => NOT_FOUND, "unknown-frontend", "no gateway listens here";
    }
}

outcomes! {
    /// Why a well-formed request cannot be served.
    Failure {
        /// A shared port, and no gateway has the host.
        UnknownHost => NOT_FOUND, "unknown-host", "no gateway has this host";
        /// No condition took the request and no route with a weight has a ready endpoint.
        NoRoute => SERVICE_UNAVAILABLE, "no-route", "no route of this gateway is usable";
        /// No endpoint accepted a connection.
        Connect => BAD_GATEWAY, "connect", "the endpoint could not be reached";
        /// The endpoint closed before it answered.
        EndpointClosed => BAD_GATEWAY, "endpoint-closed", "the endpoint closed the connection before it answered";
        /// The endpoint's answer is not HTTP.
        EndpointProtocol => BAD_GATEWAY, "endpoint-protocol", "the endpoint's answer was malformed";
        /// The endpoint broke off within its answer; the client's connection is cut.
        ResponseBroke => BAD_GATEWAY, "response-broke", "the endpoint broke off within its answer";
        /// Connecting took too long, on every endpoint tried.
        ConnectTimeout => GATEWAY_TIMEOUT, "connect-timeout", "connecting to the endpoint took too long";
        /// The endpoint did not answer in time.
        BackendTimeout => GATEWAY_TIMEOUT, "backend-timeout", "the endpoint took too long to answer";
        /// Request and answer together took too long.
        RequestTimeout => GATEWAY_TIMEOUT, "request-timeout", "the request took too long";
    }
}

/// A request's outcome where it is not a response of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Refused for what it is.
    Refused(Refusal),
    /// Could not be served.
    Failed(Failure),
}

/// The one function that turns an error into a status and a body, plain text.
pub fn answer(error: Error) -> (StatusCode, Bytes) {
    let (status, text) = match error {
        Error::Refused(refusal) => (refusal.status(), refusal.text()),
        Error::Failed(failure) => (failure.status(), failure.text()),
    };
    (status, Bytes::from(format!("{} {text}\n", status.as_u16())))
}
