//! Findings: mistakes as data. An invalid object yields findings and never blocks another.

mod expression;

use std::fmt;

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

/// A stretch of a text; line and column count from 1, columns and length in characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// File, as the user named it.
    pub file: String,
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
    /// How many characters, at least 1; 1 as well where the end is not known.
    pub length: u32,
}

impl Finding {
    /// A mistake that keeps what it is about out of force.
    pub fn error(code: &'static str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, message, advice)
    }

    /// Something legal that is surely not what was meant.
    pub fn warning(code: &'static str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, message, advice)
    }

    fn new(
        code: &'static str,
        severity: Severity,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { code, severity, gateway: None, place: None, message: message.into(), advice: advice.into() }
    }

    /// Says where it is written.
    #[must_use]
    pub fn at(mut self, place: &Place) -> Self {
        self.place = Some(place.clone());
        self
    }

    /// Says which gateway it is about.
    #[must_use]
    pub fn of(mut self, gateway: &GatewayKey) -> Self {
        self.gateway = Some(gateway.clone());
        self
    }

    /// Whether it keeps what it is about out of force.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One line: `file:3:7: error[unknown-field]: message; advice`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{severity}[{}]: ", self.code)?;
        if let Some(gateway) = &self.gateway {
            write!(f, "gateway {gateway}: ")?;
        }
        write!(f, "{}; {}", self.message, self.advice)
    }
}

/// Sorts by file, line and column; findings without a place come last.
pub fn sort(findings: &mut [Finding]) {
    findings.sort_by(|a, b| {
        let key = |finding: &Finding| (finding.place.is_none(), finding.place.clone(), finding.severity);
        key(a).cmp(&key(b)).then_with(|| a.code.cmp(b.code))
    });
}
