//! Why a condition is met or not, term by term.

use serde::Serialize;

use super::Condition;
use crate::{
    expression::{Span, texts},
    matching::Request,
};

/// What came of one term of a condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TermVerdict {
    /// The term as written.
    pub text: String,
    /// Where it is written.
    pub span: Span,
    /// Whether the term, without any `not` before it or around it, is true.
    pub is_true: bool,
    /// Whether an odd number of `not` stands before it or around it.
    pub negated: bool,
}

impl Condition {
    /// What a request makes of each term, in the order written; all are asked, also those that no longer matter.
    pub fn explain(&self, request: &(impl Request + ?Sized)) -> Vec<TermVerdict> {
        let mut verdicts = Vec::new();
        self.expression.visit_placed(&mut |term, negated| {
            let is_true = term.matches(request);
            verdicts.push(TermVerdict { text: String::new(), span: term.span, is_true, negated });
        });
        let spans: Vec<Span> = verdicts.iter().map(|verdict| verdict.span).collect();
        for (verdict, text) in verdicts.iter_mut().zip(texts(&self.source, spans.into_iter())) {
            text.clone_into(&mut verdict.text);
        }
        verdicts
    }
}
