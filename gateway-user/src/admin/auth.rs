//! Who may write.

use std::{fs, io, path::PathBuf};

use http::{HeaderMap, StatusCode, header};

/// Who may write through a listener.
#[derive(Clone, Debug)]
pub enum Writers {
    /// Whoever can connect: the permissions of a unix socket decide.
    Everyone,
    /// On loopback without a token: local processes, but not web pages in a local browser.
    Local,
    /// Nobody.
    Nobody,
    /// Who shows the token in this file, which is read each time: it can be replaced while the agent runs.
    Token(PathBuf),
}

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum Denied {
    /// No token, or another.
    #[error(
        "writes on this address need the agent's token; give the file that holds it with --admin-token-file (an \
         `Authorization: Bearer` header)"
    )]
    Token,
    /// The agent's own token cannot be read.
    #[error("the agent cannot read its token file {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// No writes here at all.
    #[error("nothing can be changed on this address; changes are made on the admin address")]
    Write,
    /// A browser, on behalf of a page.
    #[error("requests of web pages are refused on this address")]
    Page,
}

impl Denied {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Token => StatusCode::UNAUTHORIZED,
            Self::Unreadable { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Page | Self::Write => StatusCode::FORBIDDEN,
        }
    }
}

impl Writers {
    /// Whether a read with `headers` is allowed.
    pub(super) fn check_read(&self, headers: &HeaderMap) -> Result<(), Denied> {
        match self {
            Self::Local if is_of_a_page(headers) => Err(Denied::Page),
            Self::Everyone | Self::Nobody | Self::Local | Self::Token(_) => Ok(()),
        }
    }

    /// Whether a write with `headers` is allowed.
    pub(super) fn check_write(&self, headers: &HeaderMap) -> Result<(), Denied> {
        self.check_read(headers)?;
        if matches!(self, Self::Nobody) {
            return Err(Denied::Write);
        }
        let Self::Token(path) = self else { return Ok(()) };
        let expected =
            fs::read_to_string(path).map_err(|error| Denied::Unreadable { path: path.clone(), error })?;
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let shown = shown.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default().trim();
        if expected.trim().is_empty() || !is_equal(expected.trim(), shown) {
            return Err(Denied::Token);
        }
        Ok(())
    }
}

/// A page names its origin, or reached us by a name that its owner lets point here.
fn is_of_a_page(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let is_local = host
        .parse::<http::uri::Authority>()
        .is_ok_and(|host| host.host().trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok());
    headers.contains_key(header::ORIGIN)
        || !(is_local || host == "localhost" || host.starts_with("localhost:"))
}

/// Takes as long for a guess that is almost right as for one that is all wrong.
fn is_equal(left: &str, right: &str) -> bool {
    let differing = left.bytes().zip(right.bytes()).fold(0, |differing, (l, r)| differing | (l ^ r));
    left.len() == right.len() && std::hint::black_box(differing) == 0
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn with(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([
            (header::HOST, HeaderValue::from_static("127.0.0.1:9190")),
            (name, HeaderValue::from_static(value)),
        ])
    }

    #[test]
    fn writes_with_a_token_need_that_token() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "secret\n").unwrap();
        let writers = Writers::Token(file.path().to_owned());
        writers.check_write(&with(header::AUTHORIZATION, "Bearer secret")).unwrap();
        for shown in ["Bearer secret2", "Bearer secre", "Bearer ", "secret", "Basic secret"] {
            assert!(writers.check_write(&with(header::AUTHORIZATION, shown)).is_err(), "{shown}");
        }
        writers.check_read(&HeaderMap::new()).unwrap();
    }

    #[test]
    fn an_empty_token_file_lets_nobody_write() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let writers = Writers::Token(file.path().to_owned());
        assert!(writers.check_write(&with(header::AUTHORIZATION, "Bearer ")).is_err());
    }

    #[test]
    fn a_replaced_token_counts_at_once() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let writers = Writers::Token(file.path().to_owned());
        for (token, header) in [("one", "Bearer one"), ("two", "Bearer two")] {
            fs::write(file.path(), token).unwrap();
            writers.check_write(&with(header::AUTHORIZATION, header)).unwrap();
        }
    }

    #[test]
    fn pages_in_a_local_browser_are_refused_on_loopback() {
        let plain = with(header::ACCEPT, "*/*");
        Writers::Local.check_write(&plain).unwrap();
        assert!(Writers::Local.check_write(&with(header::ORIGIN, "http://evil.example")).is_err());
        let mut rebound = plain;
        rebound.insert(header::HOST, HeaderValue::from_static("evil.example:9190"));
        assert!(Writers::Local.check_read(&rebound).is_err());
    }
}
