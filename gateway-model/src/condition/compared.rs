//! How a text is compared, and what follows from that for another comparison of the same text.

use super::{
    Agent, Pattern,
    evaluate::{contains, contains_ignoring_case},
};
use crate::expression::{refute::Budget, shape::Found};

/// Longest text that is tried on a regular expression for a proof, in bytes.
const LONGEST_TRIED: usize = 256;
/// What trying a text on a regular expression costs a proof.
const TRYING: usize = 4_096;

/// A comparison of one text; `bool`: without regard to case, which makes a difference only where it is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compared<'a> {
    Equals(&'a str, bool),
    Contains(&'a str, bool),
    StartsWith(&'a str, bool),
    EndsWith(&'a str, bool),
    /// A regular expression that is no plain comparison.
    Matches(&'a Pattern),
    Known(Agent),
}

impl<'a> Compared<'a> {
    pub(super) fn equals(text: &'a str, ignores_case: bool) -> Self {
        Self::Equals(text, ignores_case && has_letters(text))
    }

    pub(super) fn contains(text: &'a str, ignores_case: bool) -> Self {
        Self::Contains(text, ignores_case && has_letters(text))
    }

    pub(super) fn starts_with(text: &'a str, ignores_case: bool) -> Self {
        Self::StartsWith(text, ignores_case && has_letters(text))
    }

    pub(super) fn ends_with(text: &'a str, ignores_case: bool) -> Self {
        Self::EndsWith(text, ignores_case && has_letters(text))
    }

    pub(super) fn matches(pattern: &'a Pattern) -> Self {
        match pattern.found_in() {
            Some(Found::Everywhere) => Self::Contains("", false),
            Some(Found::Inside(text)) => Self::Contains(text, false),
            Some(Found::AtBegin(text)) => Self::StartsWith(text, false),
            Some(Found::AtEnd(text)) => Self::EndsWith(text, false),
            Some(Found::Whole(text)) => Self::Equals(text, false),
            None => Self::Matches(pattern),
        }
    }

    /// Whether every text passes.
    pub(super) fn is_everything(&self) -> bool {
        matches!(self, Self::Contains("", _) | Self::StartsWith("", _) | Self::EndsWith("", _))
    }

    /// The text that it compares with, and whether without regard to case.
    fn text(&self) -> Option<(&'a str, bool)> {
        match *self {
            Self::Equals(text, ignores_case)
            | Self::Contains(text, ignores_case)
            | Self::StartsWith(text, ignores_case)
            | Self::EndsWith(text, ignores_case) => Some((text, ignores_case)),
            Self::Matches(_) | Self::Known(_) => None,
        }
    }

    /// What it says of a text of which the compared one is a part.
    pub(super) fn as_part(&self) -> Option<Self> {
        self.text().map(|(text, ignores_case)| Self::Contains(text, ignores_case))
    }

    /// Whether a text that passes has this character.
    pub(super) fn needs(&self, character: char) -> bool {
        self.text().is_some_and(|(text, _)| text.contains(character))
    }

    /// Whether a text that passes begins or ends with a blank.
    pub(super) fn needs_blank_at_an_end(&self) -> bool {
        let is_blank = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_whitespace);
        match *self {
            Self::Equals(text, _) => is_blank(text.as_bytes().first()) || is_blank(text.as_bytes().last()),
            Self::StartsWith(text, _) => is_blank(text.as_bytes().first()),
            Self::EndsWith(text, _) => is_blank(text.as_bytes().last()),
            Self::Contains(..) | Self::Matches(_) | Self::Known(_) => false,
        }
    }

    /// Whether there may be one text that passes both.
    pub(super) fn can_hold_with(&self, other: &Self, budget: &mut Budget) -> bool {
        match (*self, *other) {
            (Self::Equals(text, ignores_case), other) | (other, Self::Equals(text, ignores_case)) => {
                other.may_pass(text, ignores_case, budget)
            }
            (Self::StartsWith(one, one_ignores), Self::StartsWith(other, other_ignores)) => {
                let length = one.len().min(other.len());
                let (one, other) = (&one.as_bytes()[..length], &other.as_bytes()[..length]);
                !budget.spend(length) || are_equal(one, other, one_ignores || other_ignores)
            }
            (Self::EndsWith(one, one_ignores), Self::EndsWith(other, other_ignores)) => {
                let length = one.len().min(other.len());
                let end = |text: &'a str| &text.as_bytes()[text.len() - length..];
                !budget.spend(length) || are_equal(end(one), end(other), one_ignores || other_ignores)
            }
            _ => true,
        }
    }

    /// Whether `text`, or where `any_case` one that differs by case only, may pass.
    fn may_pass(&self, text: &str, any_case: bool, budget: &mut Budget) -> bool {
        match self {
            Self::Matches(_) if any_case => true,
            Self::Matches(pattern) => {
                text.len() > LONGEST_TRIED || !budget.spend(TRYING) || pattern.is_match(text.as_bytes())
            }
            Self::Equals(..)
            | Self::Contains(..)
            | Self::StartsWith(..)
            | Self::EndsWith(..)
            | Self::Known(_) => !self.can_afford(text, budget) || self.passes(text, any_case),
        }
    }

    /// Whether every text that passes this one surely passes `other`.
    pub(super) fn implies(&self, other: &Self, budget: &mut Budget) -> bool {
        if self == other || other.is_everything() {
            return true;
        }
        match (self.text(), other) {
            (Some((text, any_case)), Self::Matches(pattern)) => {
                matches!(self, Self::Equals(..))
                    && !any_case
                    && text.len() <= LONGEST_TRIED
                    && budget.spend(TRYING)
                    && pattern.is_match(text.as_bytes())
            }
            (Some((text, _)), Self::Known(agent)) => {
                // A name is known by parts that a text has: a longer one has them too.
                other.can_afford(text, budget) && agent.is_agent(text.as_bytes())
            }
            (Some((text, any_case)), _) => {
                let cares = other.text().is_some_and(|(_, ignores_case)| !ignores_case);
                let comparable = matches!(
                    (self, other),
                    (Self::Equals(..), _)
                        | (_, Self::Contains(..))
                        | (Self::StartsWith(..), Self::StartsWith(..))
                        | (Self::EndsWith(..), Self::EndsWith(..))
                );
                // Where the case is open, what cares for it cannot be sure.
                comparable
                    && !(any_case && cares && has_letters_of(other))
                    && other.can_afford(text, budget)
                    && other.passes(text, false)
            }
            (None, _) => self.known_implies(other),
        }
    }

    fn known_implies(&self, other: &Self) -> bool {
        let Self::Known(agent) = self else { return false };
        let has = |parts: &[&str], wanted: &str| {
            parts.iter().any(|part| contains_ignoring_case(part.as_bytes(), wanted.as_bytes()))
        };
        agent.ways().iter().all(|parts| match other {
            Self::Contains(text, ignores_case) => (*ignores_case || !has_letters(text)) && has(parts, text),
            Self::Known(other) => {
                other.ways().iter().any(|wanted| wanted.iter().all(|wanted| has(parts, wanted)))
            }
            Self::Equals(..) | Self::StartsWith(..) | Self::EndsWith(..) | Self::Matches(_) => false,
        })
    }

    /// Counts the work of comparing with `text`; `false` where that is too much.
    fn can_afford(&self, text: &str, budget: &mut Budget) -> bool {
        let own = self.text().map_or(32, |(own, _)| own.len());
        budget.spend(1 + own * text.len() / 16)
    }

    /// Whether `text` passes; `loosely`: whatever its case. Regular expressions are not asked here.
    fn passes(&self, text: &str, loosely: bool) -> bool {
        let text = text.as_bytes();
        match *self {
            Self::Equals(wanted, ignores_case) => are_equal(text, wanted.as_bytes(), ignores_case || loosely),
            Self::Contains(wanted, ignores_case) if ignores_case || loosely => {
                contains_ignoring_case(text, wanted.as_bytes())
            }
            Self::Contains(wanted, _) => contains(text, wanted.as_bytes()),
            Self::StartsWith(wanted, ignores_case) => text
                .get(..wanted.len())
                .is_some_and(|head| are_equal(head, wanted.as_bytes(), ignores_case || loosely)),
            Self::EndsWith(wanted, ignores_case) => text
                .len()
                .checked_sub(wanted.len())
                .is_some_and(|at| are_equal(&text[at..], wanted.as_bytes(), ignores_case || loosely)),
            Self::Known(agent) => agent.is_agent(text),
            Self::Matches(_) => false,
        }
    }
}

fn has_letters(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

fn has_letters_of(compared: &Compared<'_>) -> bool {
    compared.text().is_some_and(|(text, _)| has_letters(text))
}

fn are_equal(one: &[u8], other: &[u8], ignores_case: bool) -> bool {
    if ignores_case { one.eq_ignore_ascii_case(other) } else { one == other }
}
