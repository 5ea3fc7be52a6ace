//! Whether an expression can be true at all: a sound and incomplete proof by cases, with bounded work.
//!
//! Terms are turned into facts. A fact knows when another excludes it; two that exclude each other refute every
//! conjunction in which both stand. What is refuted is never true; what is not refuted may be or not. From that
//! follow "always true" (its negation is refuted) and "one implies the other" (the one with the negation of the
//! other is refuted).

use super::Expression;

/// Work after which a proof is given up, in comparisons of facts and bytes compared.
const BUDGET: usize = 1 << 18;
/// Most choices that a proof makes before it is given up.
const MAX_CHOICES: usize = 64;

/// Something that a term says.
pub(crate) trait Fact {
    /// Whether it can never be `truth`.
    fn is_never(&self, truth: bool) -> bool;

    /// Whether it cannot be `truth` while `other` is `other_truth`.
    fn excludes(&self, truth: bool, other: &Self, other_truth: bool, budget: &mut Budget) -> bool;
}

/// What a proof may still cost.
#[derive(Debug)]
pub(crate) struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(BUDGET)
    }
}

impl Budget {
    /// Whether so much more work may be done; it counts as done.
    pub(crate) fn spend(&mut self, work: usize) -> bool {
        let enough = self.0 >= work;
        self.0 = if enough { self.0 - work } else { 0 };
        enough
    }

    fn is_spent(&self) -> bool {
        self.0 == 0
    }
}

/// An expression over facts, with negation at the facts only.
#[derive(Debug)]
pub(crate) enum Formula<F> {
    /// A fact and what it must be.
    Fact(F, bool),
    /// All are true; true where there is none.
    All(Vec<Self>),
    /// One is true; false where there is none.
    Any(Vec<Self>),
}

impl<F> Formula<F> {
    /// `expression`, or its negation, given what a term, or its negation, means.
    pub(crate) fn new<'a, T>(
        expression: &'a Expression<T>,
        truth: bool,
        meaning: &impl Fn(&'a T, bool) -> Self,
    ) -> Self {
        let parts = |inner: &'a [Expression<T>]| -> Vec<Self> {
            inner.iter().map(|one| Self::new(one, truth, meaning)).collect()
        };
        match (expression, truth) {
            (Expression::Term(term), _) => meaning(&term.term, truth),
            (Expression::Not(inner), _) => Self::new(inner, !truth, meaning),
            (Expression::All(inner), true) | (Expression::Any(inner), false) => Self::All(parts(inner)),
            (Expression::Any(inner), true) | (Expression::All(inner), false) => Self::Any(parts(inner)),
        }
    }

    /// One of `facts` is true, or where `truth` is false none is.
    pub(crate) fn one_of(facts: impl Iterator<Item = F>, truth: bool) -> Self {
        let facts = facts.map(|fact| Self::Fact(fact, truth)).collect();
        if truth { Self::Any(facts) } else { Self::All(facts) }
    }
}

/// Whether the formulas cannot all be true.
pub(crate) fn are_refuted<F: Fact>(formulas: &[&Formula<F>], budget: &mut Budget) -> bool {
    Proof { facts: Vec::new(), budget }.refutes(formulas.to_vec(), 0)
}

struct Proof<'f, 'b, F> {
    /// What holds in the case that is looked at.
    facts: Vec<(&'f F, bool)>,
    budget: &'b mut Budget,
}

impl<'f, F: Fact> Proof<'f, '_, F> {
    /// Whether `todo` cannot all be true together with the facts.
    fn refutes(&mut self, mut todo: Vec<&'f Formula<F>>, depth: usize) -> bool {
        let known = self.facts.len();
        let mut choices = Vec::new();
        let refuted = loop {
            let Some(next) = todo.pop() else { break self.refutes_choices(choices, depth) };
            match next {
                Formula::Fact(fact, truth) if self.excludes(fact, *truth) => break true,
                Formula::Fact(fact, truth) => self.facts.push((fact, *truth)),
                Formula::All(inner) => todo.extend(inner),
                Formula::Any(_) => choices.push(next),
            }
            if !self.budget.spend(1) {
                break false;
            }
        };
        self.facts.truncate(known);
        refuted
    }

    /// Whether every way to choose is refuted; the choice with the fewest ways is made first.
    fn refutes_choices(&mut self, mut choices: Vec<&'f Formula<F>>, depth: usize) -> bool {
        let ways = |choice: &&Formula<F>| match choice {
            Formula::Any(inner) => inner.len(),
            Formula::Fact(..) | Formula::All(_) => 1,
        };
        let Some(fewest) = (0..choices.len()).min_by_key(|index| ways(&choices[*index])) else {
            return false;
        };
        let Formula::Any(inner) = choices.swap_remove(fewest) else { return false };
        if depth == MAX_CHOICES || self.budget.is_spent() {
            return false;
        }
        inner.iter().all(|one| {
            let mut todo = choices.clone();
            todo.push(one);
            self.budget.spend(todo.len()) && self.refutes(todo, depth + 1)
        })
    }

    fn excludes(&mut self, fact: &F, truth: bool) -> bool {
        fact.is_never(truth)
            || self.facts.iter().any(|(known, known_truth)| {
                self.budget.spend(1) && fact.excludes(truth, known, *known_truth, self.budget)
            })
    }
}
