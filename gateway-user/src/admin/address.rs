//! Where the admin API is: a unix socket or an address and port.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

use serde::{Deserialize, Serialize, de};

/// `unix:PATH` or `IP:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminAddress {
    /// A unix socket; file permissions decide who may use it.
    Unix(PathBuf),
    /// TCP.
    Tcp(SocketAddr),
}

/// Neither form.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected unix:PATH or IP:PORT, as in unix:/run/weir/admin.sock or 127.0.0.1:9190")]
pub struct NotAnAddress;

impl FromStr for AdminAddress {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        match text.strip_prefix("unix:") {
            Some("") => Err(NotAnAddress),
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Tcp).map_err(|_| NotAnAddress),
        }
    }
}

impl fmt::Display for AdminAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}

impl Serialize for AdminAddress {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AdminAddress {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_read_back_as_they_are_shown() {
        for text in ["unix:/run/weir/admin.sock", "127.0.0.1:9190", "[::1]:9190"] {
            assert_eq!(text.parse::<AdminAddress>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "unix:", "/run/weir.sock", "localhost:9190", "127.0.0.1", "::1:x"] {
            assert_eq!(text.parse::<AdminAddress>(), Err(NotAnAddress), "{text}");
        }
    }
}
