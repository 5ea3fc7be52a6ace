//! What is legal in an expression and surely not what was meant.

use std::fmt;

use serde::Serialize;

use super::Span;

/// One thing that is legal and surely wrong: what, where, and what to do instead.
///
/// There is none where there is doubt: an expression without warnings may still be a mistake, and one with a
/// warning is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// Stable name in kebab-case: `condition-never-matches`, `group-in-negation`.
    pub code: &'static str,
    /// Where it is written.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// What to do instead.
    pub advice: String,
}

impl Warning {
    pub(crate) fn new(
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { code, span, message: message.into(), advice: advice.into() }
    }

    /// The same, in a text with this many characters more in front.
    #[must_use]
    pub(crate) fn shifted(mut self, characters: usize) -> Self {
        self.span.column += characters;
        self
    }
}

/// One line: `column 7: warning[unknown-method]: message; advice`.
impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: warning[{}]: {}; {}", self.span.column, self.code, self.message, self.advice)
    }
}
