//! Where things stand in an expression's text.

use std::ops::Deref;

use serde::Serialize;

/// A part of an expression's text, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Span {
    /// Its first character, from 1.
    pub column: usize,
    /// How many characters it has.
    pub length: usize,
}

impl Span {
    /// From the beginning of this one to the end of `last`.
    #[must_use]
    pub fn through(self, last: Self) -> Self {
        Self { column: self.column, length: (last.column + last.length).saturating_sub(self.column) }
    }

    /// The part of `text` that it names, `text` being what it was made for; otherwise what there is of it.
    pub fn of(self, text: &str) -> &str {
        texts(text, [self].into_iter()).next().unwrap_or_default()
    }
}

impl Span {
    /// With what stands around it and belongs to it: so many `not` before it, opening parentheses (at least
    /// `open` of them) before it and as many closing ones after it, and `close` more of these.
    pub(super) fn widened(self, text: &str, mut nots: usize, open: usize, close: usize) -> Self {
        let head: Vec<char> = text.chars().take(self.column - 1).collect();
        let (mut left, mut opened) = (0, 0);
        for c in head.into_iter().rev() {
            if nots == 0 && opened >= open {
                break;
            }
            left += 1;
            match c {
                '(' => opened += 1,
                '!' | 'n' | 'N' => nots = nots.saturating_sub(1),
                _ => {}
            }
        }
        let tail = text.chars().skip(self.column - 1 + self.length).enumerate();
        let closed = tail.filter(|(_, c)| *c == ')').map(|(at, _)| at + 1);
        let right = closed.take(close + opened.saturating_sub(open)).last().unwrap_or(0);
        Self { column: self.column - left, length: left + self.length + right }
    }
}

/// The texts of spans that are sorted and do not overlap, in one walk over `text`.
pub(crate) fn texts<'a>(
    text: &'a str,
    spans: impl Iterator<Item = Span> + 'a,
) -> impl Iterator<Item = &'a str> + 'a {
    let (mut rest, mut column) = (text, 1);
    spans.map(move |span| {
        let after = |text: &'a str, characters: usize| {
            text.char_indices().nth(characters).map_or(text.len(), |(at, _)| at)
        };
        rest = &rest[after(rest, span.column.saturating_sub(column))..];
        let found = &rest[..after(rest, span.length)];
        rest = &rest[found.len()..];
        column = span.column + span.length;
        found
    })
}

/// A term with its place; two are equal wherever they stand.
#[derive(Clone, Copy, Debug)]
pub struct Placed<T> {
    /// The term.
    pub term: T,
    /// Where it is written.
    pub span: Span,
}

impl<T> Deref for Placed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.term
    }
}

impl<T: PartialEq> PartialEq for Placed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.term == other.term
    }
}

impl<T: Eq> Eq for Placed<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_count_characters() {
        let text = "äö and ü";
        let spans = [Span { column: 1, length: 2 }, Span { column: 8, length: 1 }];
        assert_eq!(texts(text, spans.into_iter()).collect::<Vec<_>>(), ["äö", "ü"]);
        assert_eq!(spans[0].through(spans[1]).of(text), text);
        assert_eq!(Span { column: 8, length: 9 }.of(text), "ü");
        assert_eq!(Span { column: 80, length: 9 }.of(text), "");
    }
}
