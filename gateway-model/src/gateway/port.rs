//! A gateway's port: `80`, `40001/tcp`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::key::Protocol;

/// Port number and what is spoken on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PortSpec {
    /// Number, 1 to 65,535.
    pub number: u16,
    /// What is spoken.
    pub kind: PortType,
}

/// What is spoken on a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PortType {
    /// HTTP.
    #[default]
    Http,
    /// HTTP over TLS, terminated here.
    Https,
    /// Any TCP.
    Tcp,
    /// Any UDP.
    Udp,
    /// TLS passed through, by its server name.
    Tls,
}

/// Why a text is not a port.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PortError {
    /// The number.
    #[error("`{0}` is not a port number from 1 to 65535")]
    Number(String),
    /// What follows the slash.
    #[error("`{0}` is not a port type: http, https, tcp, udp or tls")]
    Type(String),
}

impl PortType {
    /// The transport protocol.
    pub fn protocol(self) -> Protocol {
        match self {
            Self::Udp => Protocol::Udp,
            Self::Http | Self::Https | Self::Tcp | Self::Tls => Protocol::Tcp,
        }
    }

    /// Its name in an artifact.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Tls => "tls",
        }
    }
}

impl FromStr for PortSpec {
    type Err = PortError;

    fn from_str(text: &str) -> Result<Self, PortError> {
        let (number, kind) = text.split_once('/').unwrap_or((text, "http"));
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        let parsed = number.parse().ok().filter(|number| digits && *number > 0);
        let number = parsed.ok_or_else(|| PortError::Number(number.to_owned()))?;
        Ok(Self { number, kind: kind.parse()? })
    }
}

impl FromStr for PortType {
    type Err = PortError;

    fn from_str(text: &str) -> Result<Self, PortError> {
        [Self::Http, Self::Https, Self::Tcp, Self::Udp, Self::Tls]
            .into_iter()
            .find(|known| known.name() == text)
            .ok_or_else(|| PortError::Type(text.to_owned()))
    }
}

impl fmt::Display for PortSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.kind.name())
    }
}

impl fmt::Display for PortType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
