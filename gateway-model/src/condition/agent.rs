//! Browsers and systems that `User-Agent` conditions know by name.

use std::fmt;

use super::evaluate::contains_ignoring_case;

/// A known name. Recognised as Vamp did, and by what today's browsers of that name send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agent {
    /// `Chrome`.
    Chrome,
    /// `Firefox`.
    Firefox,
    /// `Safari` and `Version`: others call themselves Safari, but name no version of it.
    Safari,
    /// `Edge`, and what it has called itself since 2019: `Edg/`, `EdgA/`, `EdgiOS/`.
    Edge,
    /// `MSIE`.
    Ie,
    /// `iOS`, and the devices by which browsers on it name it.
    Ios,
    /// `Android`.
    Android,
}

impl Agent {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Chrome, Self::Firefox, Self::Safari, Self::Edge, Self::Ie, Self::Ios, Self::Android];

    /// By name, in any case.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|agent| agent.name().eq_ignore_ascii_case(name))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Chrome => "Chrome",
            Self::Firefox => "Firefox",
            Self::Safari => "Safari",
            Self::Edge => "Edge",
            Self::Ie => "IE",
            Self::Ios => "iOS",
            Self::Android => "Android",
        }
    }

    /// The ways to know it: by a `User-Agent` value that has all parts of one of them, in any case.
    pub(super) fn ways(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Chrome => &[&["Chrome"]],
            Self::Firefox => &[&["Firefox"]],
            Self::Safari => &[&["Safari", "Version"]],
            Self::Edge => &[&["Edge"], &["Edg/"], &["EdgA/"], &["EdgiOS/"]],
            Self::Ie => &[&["MSIE"]],
            Self::Ios => &[&["iOS"], &["iPhone"], &["iPad"], &["iPod"]],
            Self::Android => &[&["Android"]],
        }
    }

    /// Whether a `User-Agent` value is one of it.
    pub fn is_agent(self, value: &[u8]) -> bool {
        let has = |part: &&str| contains_ignoring_case(value, part.as_bytes());
        self.ways().iter().any(|parts| parts.iter().all(has))
    }
}

impl fmt::Display for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
