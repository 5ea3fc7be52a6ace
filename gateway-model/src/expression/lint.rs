//! Expressions, and parts of them, that are always true or never: found by proof, so never falsely.

use super::{
    Expression, Span, Warning,
    refute::{Budget, Fact, Formula, are_refuted},
    texts,
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
        // A negation is what it negates, the other way round: told of that, where it is a part.
        let is_told = matches!(part, Expression::Not(_)) && !whole;
        for truth in [true, false].into_iter().filter(|_| !is_told) {
            let formula = Formula::new(part, truth, &self.meaning);
            if !self.has_deliberate(part) && are_refuted(&[&formula], budget) {
                warnings.push(if truth {
                    self.never(part, whole, budget)
                } else {
                    self.always(part, whole, budget)
                });
                return;
            }
        }
        match part {
            Expression::Term(_) => {}
            Expression::Not(inner) => self.look_at(inner, false, budget, warnings),
            Expression::All(inner) | Expression::Any(inner) => {
                for one in inner {
                    self.look_at(one, false, budget, warnings);
                }
            }
        }
    }

    fn has_deliberate(&self, part: &Expression<T>) -> bool {
        let mut found = false;
        part.visit(&mut |term| found |= (self.is_deliberate)(term));
        found
    }

    fn never(&self, part: &'a Expression<T>, whole: bool, budget: &mut Budget) -> Warning {
        let (span, noun) = (self.span(part, whole), self.names.noun);
        let (code, what) = if whole {
            (self.names.never, format!("this {noun} can never be true"))
        } else {
            ("part-never-matches", format!("`{}` can never be true", span.of(self.source)))
        };
        if let Some(inner) = self.constant_part(part, true, budget) {
            let inner = self.never(inner, false, budget);
            let what = format!("{what}: {}", inner.message);
            return if whole { Warning::new(code, span, what, inner.advice) } else { inner };
        }
        if let Some([one, other]) = self.disagreeing(part, budget) {
            let (one_text, other_text) = (one.of(self.source), other.of(self.source));
            let why = format!("{what}: `{one_text}` and `{other_text}` exclude each other");
            let advice = "join them with `or`, or take one of them away";
            return Warning::new(code, span, why, advice);
        }
        let advice =
            if whole { format!("correct the {noun}") } else { "correct it, or take it away".to_owned() };
        Warning::new(code, span, what, advice)
    }

    fn always(&self, part: &'a Expression<T>, whole: bool, budget: &mut Budget) -> Warning {
        let (span, noun) = (self.span(part, whole), self.names.noun);
        let inner = self.constant_part(part, false, budget).map(|inner| self.always(inner, false, budget));
        let what = match (inner, whole) {
            (Some(inner), false) => return inner,
            (Some(inner), true) => format!("this {noun} is always true: {}", inner.message),
            (None, true) => format!("this {noun} is always true"),
            (None, false) => {
                let what = format!("`{}` is always true", span.of(self.source));
                return Warning::new("part-always-matches", span, what, "correct it, or take it away");
            }
        };
        let advice = format!("leave the {noun} out if that is meant; otherwise correct it");
        Warning::new(self.names.always, span, what, advice)
    }

    /// The first part of a conjunction that is never true, or where `never` is false, of an `or` that always is.
    fn constant_part(
        &self,
        part: &'a Expression<T>,
        never: bool,
        budget: &mut Budget,
    ) -> Option<&'a Expression<T>> {
        let ((Expression::All(inner), true) | (Expression::Any(inner), false)) = (part, never) else {
            return None;
        };
        inner.iter().find(|one| are_refuted(&[&Formula::new(one, never, &self.meaning)], budget))
    }

    /// The first two parts of a conjunction that exclude each other.
    fn disagreeing(&self, part: &'a Expression<T>, budget: &mut Budget) -> Option<[Span; 2]> {
        let Expression::All(inner) = part else { return None };
        let formulas: Vec<_> =
            inner.iter().take(MOST_PAIRED).map(|one| Formula::new(one, true, &self.meaning)).collect();
        let mut pairs = (1..formulas.len()).flat_map(|later| (0..later).map(move |earlier| (earlier, later)));
        let (earlier, later) =
            pairs.find(|(earlier, later)| are_refuted(&[&formulas[*earlier], &formulas[*later]], budget))?;
        Some([self.span(&inner[earlier], false), self.span(&inner[later], false)])
    }

    /// Where a part is written, with the `not` and the parentheses that belong to it.
    fn span(&self, part: &Expression<T>, whole: bool) -> Span {
        if whole {
            let blanks = self.source.len() - self.source.trim_start().len();
            let column = self.source[..blanks].chars().count() + 1;
            return Span { column, length: self.source.trim().chars().count() };
        }
        let mut terms = Vec::new();
        part.visit_placed(&mut |term, _| terms.push(term.span));
        let between = terms.windows(2).map(|pair| {
            let column = pair[0].column + pair[0].length;
            Span { column, length: pair[1].column.saturating_sub(column) }
        });
        let (mut open, mut before) = (0_usize, 0_usize);
        for c in texts(self.source, between).flat_map(str::chars) {
            match c {
                '(' => open += 1,
                ')' if open == 0 => before += 1,
                ')' => open -= 1,
                _ => {}
            }
        }
        part.span().widened(self.source, nots_at_begin(part), before, open)
    }
}

/// How many `not` stand before its first term.
fn nots_at_begin<T>(part: &Expression<T>) -> usize {
    match part {
        Expression::Term(_) => 0,
        Expression::Not(inner) => 1 + nots_at_begin(inner),
        Expression::All(inner) | Expression::Any(inner) => inner.first().map_or(0, nots_at_begin),
    }
}
