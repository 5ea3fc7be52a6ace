//! A place in an expression's text, and what can be read from there.
//!
//! It only goes forward, knows its column as it goes, and counts what it looks at: parsing takes steps in
//! proportion to the text's length.

use std::cell::Cell;

use super::{Span, SyntaxError};

/// Longest piece of a text that an error quotes, in characters.
const LONGEST_QUOTE: usize = 24;
/// Largest weight of all regular expressions of a text together: compiling takes time by it, not by the length of
/// the text.
const MAX_WEIGHT: usize = 1 << 17;

/// Reads a text from left to right.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    next: Mark,
    /// Bytes looked at so far, one more for each look.
    steps: Cell<usize>,
    /// Weight of the regular expressions so far.
    weight: usize,
}

/// Where a cursor was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    /// Byte offset, at a character's beginning.
    at: usize,
    /// In characters, from 1.
    column: usize,
}

/// A value as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// Bare or quoted text.
    Text(String),
    /// Between slashes, `\/` undone.
    Regex(String),
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, next: Mark { at: 0, column: 1 }, steps: Cell::new(0), weight: 0 }
    }

    /// How many bytes were looked at, those looked at twice counted twice.
    pub(crate) fn steps(&self) -> usize {
        self.steps.get()
    }

    pub(crate) fn mark(&self) -> Mark {
        self.next
    }

    /// Another one that stands where this one was; for errors, which end the reading.
    pub(crate) fn back_at(&self, mark: Mark) -> Self {
        Self { next: mark, steps: self.steps.clone(), ..*self }
    }

    /// From `start` up to the next character.
    pub(crate) fn span_since(&self, start: Mark) -> Span {
        Span { column: start.column, length: self.next.column - start.column }
    }

    /// What was read since `start`.
    pub(crate) fn text_since(&self, start: Mark) -> &'a str {
        &self.text[start.at..self.next.at]
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.next.at == self.text.len()
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.look(1);
        self.rest().chars().next()
    }

    pub(crate) fn advance(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.next = Mark { at: self.next.at + next.len_utf8(), column: self.next.column + 1 };
        Some(next)
    }

    /// Skips blanks; says whether there were any.
    pub(crate) fn skip_blanks(&mut self) -> bool {
        !self.take_while(char::is_whitespace).is_empty()
    }

    /// An error at the next character.
    pub(crate) fn expected(&self, what: &str) -> SyntaxError {
        self.expected_at(self.next, what)
    }

    /// An error about the word, or the sign, that begins at `start`.
    pub(crate) fn expected_at(&self, start: Mark, what: &str) -> SyntaxError {
        let rest = &self.text[start.at..];
        let word = |c: &char| !c.is_whitespace() && !matches!(c, '(' | ')');
        let length = rest.chars().take_while(word).count().max(1);
        let found = match rest.chars().next() {
            None => "the end".to_owned(),
            Some(first) if first.is_whitespace() => "a blank".to_owned(),
            Some(_) => in_backticks(rest.chars().take(length)),
        };
        SyntaxError { column: start.column, length, expected: what.to_owned(), found }
    }

    /// An error about all that was read since `start`.
    pub(crate) fn wrong_since(&self, start: Mark, what: &str) -> SyntaxError {
        match self.text_since(start) {
            "" => self.expected_at(start, what),
            text => SyntaxError::at(self.span_since(start), what, text),
        }
    }

    /// Adds the weight of a regular expression that stands at `span`; an error where all together are too large.
    pub(crate) fn weigh(&mut self, span: Span, weight: usize) -> Result<(), SyntaxError> {
        self.weight = self.weight.saturating_add(weight);
        if self.weight <= MAX_WEIGHT {
            return Ok(());
        }
        let what =
            "regular expressions that are smaller all together: fewer repetitions and classes like `\\w`";
        Err(SyntaxError::at(span, what, Span::of(span, self.text)))
    }

    /// An error about something opened at `start` that nothing closes.
    pub(crate) fn unclosed(start: Mark, what: &str) -> SyntaxError {
        let found = "the end".to_owned();
        SyntaxError { column: start.column, length: 1, expected: what.to_owned(), found }
    }

    /// Takes exactly `text`.
    pub(crate) fn take(&mut self, text: &str) -> bool {
        self.look(text.len());
        let found = self.rest().starts_with(text);
        if found {
            self.pass(text.len());
        }
        found
    }

    /// Takes the word `word` (ASCII, in any case), if it is a whole one: followed by a blank, a parenthesis or
    /// the end.
    pub(crate) fn take_word(&mut self, word: &str) -> bool {
        self.look(word.len() + 1);
        let whole = self.rest().split_at_checked(word.len()).is_some_and(|(head, tail)| {
            head.eq_ignore_ascii_case(word)
                && tail.chars().next().is_none_or(|c| c.is_whitespace() || matches!(c, '(' | ')'))
        });
        if whole {
            self.pass(word.len());
        }
        whole
    }

    /// Takes an operator, as a word (in any case, white space required after it) or as one of `symbols`, with
    /// the blanks around it.
    pub(crate) fn take_operator(&mut self, word: &str, symbols: &[&str]) -> Result<bool, SyntaxError> {
        self.skip_blanks();
        if symbols.iter().any(|symbol| self.take(symbol)) {
            self.skip_blanks();
            return Ok(true);
        }
        if !self.take_word(word) {
            return Ok(false);
        }
        if self.skip_blanks() { Ok(true) } else { Err(self.expected(&format!("white space after `{word}`"))) }
    }

    /// Takes characters while `wanted`.
    pub(crate) fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.look(length + 1);
        self.pass(length);
        &rest[..length]
    }

    /// A value: quoted, a regex between slashes where `slashes` allows one, or bare up to a blank or
    /// parenthesis.
    pub(crate) fn value(&mut self, what: &str, slashes: bool) -> Result<Value, SyntaxError> {
        self.skip_blanks();
        match self.peek() {
            Some(quote @ ('\'' | '"')) => self.quoted(quote).map(Value::Text),
            Some('/') if slashes => self.regex().map(Value::Regex),
            _ => {
                let bare = self.take_while(|c| !c.is_whitespace() && !matches!(c, '(' | ')'));
                if bare.is_empty() { Err(self.expected(what)) } else { Ok(Value::Text(bare.to_owned())) }
            }
        }
    }

    /// A quoted text, the quote doubled inside.
    pub(crate) fn quoted(&mut self, quote: char) -> Result<String, SyntaxError> {
        let start = self.mark();
        self.advance();
        let mut text = String::new();
        loop {
            match self.advance() {
                Some(next) if next == quote && self.peek() == Some(quote) => {
                    self.advance();
                    text.push(quote);
                }
                Some(next) if next == quote => return Ok(text),
                Some(next) => text.push(next),
                None => return Err(Self::unclosed(start, &format!("a closing {quote} for this one"))),
            }
        }
    }

    fn regex(&mut self) -> Result<String, SyntaxError> {
        let start = self.mark();
        self.advance();
        let mut text = String::new();
        loop {
            match self.advance() {
                Some('/') => return Ok(text),
                Some('\\') => match self.advance() {
                    Some('/') => text.push('/'),
                    Some(next) => text.extend(['\\', next]),
                    None => break,
                },
                Some(next) => text.push(next),
                None => break,
            }
        }
        Err(Self::unclosed(start, "a closing / for this one"))
    }

    /// What is left.
    pub(crate) fn rest(&self) -> &'a str {
        &self.text[self.next.at..]
    }

    fn look(&self, bytes: usize) {
        self.steps.set(self.steps.get() + bytes);
    }

    fn pass(&mut self, bytes: usize) {
        self.look(bytes);
        let column = self.next.column + self.rest()[..bytes].chars().count();
        self.next = Mark { at: self.next.at + bytes, column };
    }
}

/// What an error quotes: not all of a long text.
pub(super) fn in_backticks(mut text: impl Iterator<Item = char>) -> String {
    let head: String = text.by_ref().take(LONGEST_QUOTE).collect();
    let more = if text.next().is_some() { "…" } else { "" };
    format!("`{head}{more}`")
}

/// Writes a text so that it parses as the same value: bare where that works, else quoted.
pub(crate) fn quote(text: &str) -> String {
    let bare = !text.is_empty()
        && !text.contains(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '\'' | '"' | '<' | '>'))
        && !text.starts_with(['/', '-', '!', '='])
        && ![
            "and", "or", "not", "matches", "in", "is", "has", "contains", "misses", "starts", "ends", "with",
        ]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word));
    if bare { text.to_owned() } else { format!("'{}'", text.replace('\'', "''")) }
}

/// Writes a regex between slashes.
pub(crate) fn slash(regex: &str) -> String {
    let mut out = String::from("/");
    let mut escaped = false;
    for c in regex.chars() {
        if c == '/' && !escaped {
            out.push('\\');
        }
        escaped = c == '\\' && !escaped;
        out.push(c);
    }
    out.push('/');
    out
}
