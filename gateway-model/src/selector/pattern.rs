//! A selector's regular expression: it must match a whole value, and may capture one part of it.

use std::fmt;

use regex::{Regex, RegexBuilder};

/// Largest compiled size of a regular expression, in bytes.
pub const SIZE_LIMIT: usize = 1 << 20;

/// A regular expression, anchored at both ends, with at most one capture group.
#[derive(Clone, Debug)]
pub struct Pattern {
    source: String,
    regex: Regex,
}

impl Pattern {
    /// Compiles it; an error says what is wrong in words that fit after "expected".
    pub fn new(source: &str) -> Result<Self, String> {
        let regex = RegexBuilder::new(&format!("^(?:{source})$"))
            .size_limit(SIZE_LIMIT)
            .build()
            .map_err(|error| reason(&error))?;
        // The anchors must not be undone by what they enclose: `a)|(?:b` compiles only with them.
        Regex::new(source).map_err(|error| reason(&error))?;
        if regex.captures_len() > 2 {
            return Err(format!(
                "at most one capture group, there are {}; write (?:…) for the others",
                regex.captures_len() - 1
            ));
        }
        Ok(Self { source: source.to_owned(), regex })
    }

    /// As written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The only text that it matches, where it is plain text.
    pub(crate) fn as_plain(&self) -> Option<&str> {
        (!self.source.contains(r"\.+*?()|[]{}^$".chars().collect::<Vec<_>>().as_slice()))
            .then_some(&self.source)
    }

    /// Whether it has a capture group.
    pub fn captures_a_group(&self) -> bool {
        self.regex.captures_len() == 2
    }

    /// Whether it matches all of `value`.
    pub fn is_match(&self, value: &str) -> bool {
        self.regex.is_match(value)
    }

    /// What its group captures of `value`; `None` where it does not match, `Some(None)` where it captures nothing.
    pub fn capture<'a>(&self, value: &'a str) -> Option<Option<&'a str>> {
        if !self.captures_a_group() {
            return self.is_match(value).then_some(None);
        }
        let captures = self.regex.captures(value)?;
        Some(captures.get(1).map(|group| group.as_str()))
    }
}

/// The last line of a regex error, which names the mistake.
pub(crate) fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    format!("a regular expression that compiles ({})", last.trim_start_matches("error: "))
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Pattern {}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}
