//! Names of gateways, routes and endpoints: the identities that every stage of the configuration uses.

use std::{cmp::Ordering, collections::BTreeSet, fmt, net::SocketAddr, str::FromStr};

use semver::Version;
use serde::{Deserialize, Serialize, Serializer};

/// A gateway: namespace and name. Displays, and is stored, as `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub struct GatewayKey {
    /// Namespace; standalone: `default` or what `-n` says.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl fmt::Display for GatewayKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A route's name as users see it: `(2.0.1)`, `[host:port]`, or a plain name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RouteName(pub String);

impl fmt::Display for RouteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An endpoint: one address and port of a route of a gateway. In kernel maps it is a *backend* with an id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointKey {
    /// The gateway.
    pub gateway: GatewayKey,
    /// The route.
    pub route: RouteName,
    /// Where it listens.
    pub address: SocketAddr,
}

/// Transport protocol of a frontend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP, IP protocol 6.
    Tcp,
    /// UDP, IP protocol 17.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

impl GatewayKey {
    /// From its two parts.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The pseudo-gateway that owns the shared ports.
    pub fn shared() -> Self {
        Self::new("", "weir-agent")
    }
}

impl FromStr for GatewayKey {
    type Err = std::convert::Infallible;

    /// `namespace/name`; a bare name is in the namespace `default`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.split_once('/') {
            Some((namespace, name)) => Self::new(namespace, name),
            None => Self::new("default", text),
        })
    }
}

impl RouteName {
    /// The name of the route for what a selector captured: `(2.0.1)`, `(a),(b)`, `()`.
    pub fn from_captured(captured: &BTreeSet<String>) -> Self {
        if captured.is_empty() {
            return Self("()".to_owned());
        }
        let groups: Vec<String> = captured.iter().map(|text| format!("({text})")).collect();
        Self(groups.join(","))
    }

    /// The same name with its groups in the order in which selectors name routes: `(b),(a)` is `(a),(b)`.
    #[must_use]
    pub fn in_order(self) -> Self {
        let groups = self.0.strip_prefix('(').and_then(|name| name.strip_suffix(')'));
        match groups {
            Some("") | None => self,
            Some(groups) => Self::from_captured(&groups.split("),(").map(str::to_owned).collect()),
        }
    }

    /// Whether a selector's capture groups name it: `(2.0.1)`.
    pub fn is_group(&self) -> bool {
        self.0.starts_with('(') && self.0.ends_with(')')
    }

    /// The version it names, where it is a single group that reads as semver (`2`, `2.0` and a leading `v` are
    /// taken as well).
    pub fn version(&self) -> Option<Version> {
        let text = self.0.strip_prefix('(')?.strip_suffix(')')?;
        let text = text.strip_prefix('v').unwrap_or(text);
        Version::parse(text).ok().or_else(|| {
            let missing = 2_usize.checked_sub(text.matches('.').count())?;
            let plain = text.chars().all(|c| c.is_ascii_digit() || c == '.');
            (plain && !text.is_empty())
                .then(|| Version::parse(&format!("{text}{}", ".0".repeat(missing))).ok())
                .flatten()
        })
    }

    /// Order in which routes are shown: versions by semver, all others by name after them.
    pub fn display_order(&self, other: &Self) -> Ordering {
        match (self.version(), other.version()) {
            (Some(a), Some(b)) => a.cmp(&b).then_with(|| self.cmp(other)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => self.cmp(other),
        }
    }
}

/// Something about each route of a gateway, in an order that means something. Serialised as a map.
#[derive(Clone, Debug, PartialEq)]
pub struct ByRoute<T>(pub Vec<(RouteName, T)>);

impl<T> ByRoute<T> {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> Default for ByRoute<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Serialize> Serialize for ByRoute<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl From<GatewayKey> for String {
    fn from(key: GatewayKey) -> Self {
        key.to_string()
    }
}

impl From<String> for GatewayKey {
    fn from(text: String) -> Self {
        let Ok(key) = text.parse();
        key
    }
}
