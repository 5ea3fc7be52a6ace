//! A place in an expression's text, and what can be read from there.

use super::SyntaxError;

/// Reads a text from left to right.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    /// Byte offset, at a character's beginning.
    at: usize,
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
        Self { text, at: 0 }
    }

    pub(crate) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.text.len()
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(crate) fn advance(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    /// Skips blanks; says whether there were any.
    pub(crate) fn skip_blanks(&mut self) -> bool {
        let before = self.at;
        self.at = self.text.len() - self.rest().trim_start().len();
        self.at > before
    }

    /// The column of the next character, from 1.
    pub(crate) fn column(&self) -> usize {
        self.text[..self.at].chars().count() + 1
    }

    /// An error at the next character.
    pub(crate) fn expected(&self, what: &str) -> SyntaxError {
        let word: String = self.rest().chars().take_while(|c| !c.is_whitespace()).take(24).collect();
        let found = match (self.peek(), word.is_empty()) {
            (None, _) => "the end".to_owned(),
            (Some(_), true) => "a blank".to_owned(),
            (Some(_), false) => format!("`{word}`"),
        };
        SyntaxError { column: self.column(), expected: what.to_owned(), found }
    }

    /// Takes exactly `text`.
    pub(crate) fn take(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    /// Takes `text`, which is ASCII, in any case.
    pub(crate) fn take_ignoring_case(&mut self, text: &str) -> bool {
        let found = self.rest().get(..text.len()).is_some_and(|head| head.eq_ignore_ascii_case(text));
        if found {
            self.at += text.len();
        }
        found
    }

    /// Takes the word `word` (in any case), if it is a whole one: followed by a blank, a parenthesis or the end.
    pub(crate) fn take_word(&mut self, word: &str) -> bool {
        let mut after = self.clone();
        let whole = after.take_ignoring_case(word)
            && after.peek().is_none_or(|c| c.is_whitespace() || matches!(c, '(' | ')'));
        if whole {
            *self = after;
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
        self.at += length;
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
        let start = self.clone();
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
                None => return Err(start.expected(&format!("a closing {quote} for this one"))),
            }
        }
    }

    fn regex(&mut self) -> Result<String, SyntaxError> {
        let start = self.clone();
        self.advance();
        let mut text = String::new();
        loop {
            match self.advance() {
                Some('/') => return Ok(text),
                Some('\\') => match self.advance() {
                    Some('/') => text.push('/'),
                    Some(next) => text.extend(['\\', next]),
                    None => return Err(start.expected("a closing / for this one")),
                },
                Some(next) => text.push(next),
                None => return Err(start.expected("a closing / for this one")),
            }
        }
    }
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
