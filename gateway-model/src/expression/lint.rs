//! Expressions, and parts of them, that are always true or never: found by proof, so never falsely.

use super::{
    Expression, Span, Warning,
    refute::{Budget, Fact, Formula, are_refuted},
};

/// Most parts of a conjunction that are tried against each other for naming the two that disagree.
const MOST_PAIRED: usize = 16;

/// How the language of an expression calls what is wrong with it.
pub(crate) struct Names {
    /// Code of an expression that is never true.
    pub(crate) never: &'static str,
    /// Code of an expression that is always true.
    pub(crate) always: &'static str,
    /// What the expression is, `condition`.
    pub(crate) noun: &'static str,
}

/// Looks for parts that are always or never true; the whole is one of them.
pub(crate) struct Linter<'a, T, M> {
    /// The expression's text.
    pub(crate) source: &'a str,
    /// What a term, or its negation, means.
    pub(crate) meaning: M,
    /// Whether a term says so on purpose, like `true`.
    pub(crate) is_deliberate: fn(&T) -> bool,
    /// How to call it.
    pub(crate) names: Names,
}

impl<'a, T: 'a, F: Fact, M: Fn(&'a T, bool) -> Formula<F>> Linter<'a, T, M> {
    /// The warnings, in the order written. The work is bounded: past that nothing more is found.
    pub(crate) fn warnings(self, expression: &'a Expression<T>) -> Vec<Warning> {
        let mut warnings = Vec::new();
        self.look_at(expression, true, &mut Budget::default(), &mut warnings);
        warnings
    }

    fn look_at(
        &self,
        part: &'a Expression<T>,
        whole: bool,
        budget: &mut Budget,
        warnings: &mut Vec<Warning>,
    ) {
        for truth in [true, false] {
            let formula = Formula::new(part, truth, &self.meaning);
            if !self.has_deliberate(part) && are_refuted(&[&formula], budget) {
                warnings.push(if truth { self.never(part, whole, budget) } else { self.always(part, whole) });
                return;
            }
        }
        match part {
            Expression::Term(_) => {}
            Expression::Not(inner) => self.look_at(inner, false, budget, warnings),
            Expression::All(inner) | Expression::Any(inner) => {
                inner.iter().for_each(|one| self.look_at(one, false, budget, warnings));
            }
        }
    }

    fn has_deliberate(&self, part: &Expression<T>) -> bool {
        let mut found = false;
        part.visit(&mut |term| found |= (self.is_deliberate)(term));
        found
    }

    fn never(&self, part: &'a Expression<T>, whole: bool, budget: &mut Budget) -> Warning {
        let (span, noun) = (part.span(), self.names.noun);
        let (code, what) = match whole {
            true => (self.names.never, format!("this {noun} can never be true")),
            false => ("part-never-matches", format!("`{}` can never be true", span.of(self.source))),
        };
        match self.disagreeing(part, budget) {
            Some([one, other]) => {
                let (one_text, other_text) = (one.of(self.source), other.of(self.source));
                let why = format!("{what}: `{one_text}` and `{other_text}` exclude each other");
                let advice = "join them with `or`, or take one of them away";
                Warning::new(code, one.through(other), why, advice)
            }
            None if whole => Warning::new(
                code,
                span,
                what,
                format!("correct the {noun}, or take it and what it is for away"),
            ),
            None => Warning::new(code, span, what, "correct this part, or take it away"),
        }
    }

    /// The first two parts of a conjunction that exclude each other.
    fn disagreeing(&self, part: &'a Expression<T>, budget: &mut Budget) -> Option<[Span; 2]> {
        let Expression::All(inner) = part else { return None };
        let formulas: Vec<_> =
            inner.iter().take(MOST_PAIRED).map(|one| Formula::new(one, true, &self.meaning)).collect();
        let mut pairs = (1..formulas.len()).flat_map(|later| (0..later).map(move |earlier| (earlier, later)));
        let (earlier, later) = pairs.find(|(earlier, later)| {
            !are_refuted(&[&formulas[*earlier]], budget)
                && !are_refuted(&[&formulas[*later]], budget)
                && are_refuted(&[&formulas[*earlier], &formulas[*later]], budget)
        })?;
        Some([inner[earlier].span(), inner[later].span()])
    }

    fn always(&self, part: &Expression<T>, whole: bool) -> Warning {
        let (span, noun) = (part.span(), self.names.noun);
        if whole {
            let advice = format!("leave the {noun} out if that is meant; otherwise correct it");
            return Warning::new(self.names.always, span, format!("this {noun} is always true"), advice);
        }
        let what = format!("`{}` is always true", span.of(self.source));
        Warning::new("part-always-matches", span, what, "correct this part, or take it away")
    }
}
