//! Virtual hosts: exact names and wildcards.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A host name in lower case, exact or with `*.` in front.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct VirtualHost(String);

/// Why a text is not a virtual host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HostError {
    /// Empty or too long.
    #[error("a host name has 1 to 253 characters")]
    Length,
    /// A label is empty, too long, or has characters that host names have not.
    #[error("a host name is made of labels of letters, digits and `-`, with `.` between them")]
    Label,
    /// A star elsewhere than alone in front.
    #[error("a `*` stands for whole labels, once, in front: `*.example.com`")]
    Star,
    /// A port.
    #[error("a virtual host has no port; it is served on the shared port")]
    Port,
}

impl VirtualHost {
    /// As written, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a host, in lower case and without port, is it or, for a wildcard, has one label or more in front.
    pub fn matches(&self, host: &str) -> bool {
        match self.wildcard() {
            None => self.0 == host,
            Some(suffix) => host
                .strip_suffix(suffix)
                .and_then(|front| front.strip_suffix('.'))
                .is_some_and(|front| !front.is_empty()),
        }
    }

    /// The part after `*.`; `None` for an exact one.
    pub fn wildcard(&self) -> Option<&str> {
        self.0.strip_prefix("*.")
    }
}

impl FromStr for VirtualHost {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        let text = text.to_ascii_lowercase();
        let name = text.strip_prefix("*.").unwrap_or(&text);
        if name.is_empty() || text.len() > 253 {
            return Err(HostError::Length);
        }
        if name.contains('*') {
            return Err(HostError::Star);
        }
        if name.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit())) {
            return Err(HostError::Port);
        }
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        if name.split('.').all(is_label) { Ok(Self(text)) } else { Err(HostError::Label) }
    }
}

impl fmt::Display for VirtualHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<VirtualHost> for String {
    fn from(host: VirtualHost) -> Self {
        host.0
    }
}

impl TryFrom<String> for VirtualHost {
    type Error = HostError;

    fn try_from(text: String) -> Result<Self, HostError> {
        text.parse()
    }
}
