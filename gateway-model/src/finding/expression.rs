//! Findings about expressions, placed where the part that they are about is written.

use super::Finding;
use crate::{
    document::Written,
    expression::{SyntaxError, Warning},
};

impl Finding {
    /// What keeps an expression from being read; `what` it is: `selector`, `condition`.
    pub fn syntax(code: &'static str, what: &str, written: &Written, error: &SyntaxError) -> Self {
        let message = format!(
            "the {what} is wrong at its column {}: expected {}, found {}",
            error.column, error.expected, error.found
        );
        Self::error(code, message, format!("correct the {what} at this place"))
            .at(&written.part(error.column, error.length))
    }

    /// What is legal in an expression and surely wrong.
    pub fn warned(written: &Written, warning: Warning) -> Self {
        let place = written.part(warning.span.column, warning.span.length);
        Self::warning(warning.code, warning.message, warning.advice).at(&place)
    }
}
