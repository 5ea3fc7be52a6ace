//! Findings: mistakes as data. An invalid object yields findings and never blocks another.

use serde::Serialize;

use crate::key::GatewayKey;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// What it is about is not in force.
    Error,
    /// In force, but surely not what was meant.
    Warning,
}

/// One mistake: what, where, and what to do instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable name in kebab-case: `unknown-field`, `weights-over-100`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The gateway it is about, where one is known.
    pub gateway: Option<GatewayKey>,
    /// Where it is written, where it came from a text.
    pub place: Option<Place>,
    /// What is wrong, what was expected.
    pub message: String,
    /// What to do instead.
    pub advice: String,
}

/// A place in a text; line and column count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// File, as the user named it.
    pub file: String,
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}
