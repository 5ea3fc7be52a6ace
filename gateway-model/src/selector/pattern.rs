//! A selector's regular expression: it must match a whole value, and may capture one part of it.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, PoisonError},
};

use regex::{Regex, RegexBuilder};
use regex_syntax::hir::Hir;

use crate::expression::shape::{only_text, weight};

/// Largest compiled size of a regular expression, in bytes.
pub const SIZE_LIMIT: usize = 1 << 20;

/// A regular expression, anchored at both ends, with at most one capture group.
#[derive(Clone, Debug)]
pub struct Pattern {
    source: String,
    /// The only text that it matches, if there is one.
    only_text: Option<String>,
    weight: usize,
    /// Nothing where it is plain text, as most are.
    regex: Option<Regex>,
}

/// Compiled ones that were asked for last: what many gateways write alike is compiled, and kept, once.
static RECENT: Mutex<VecDeque<(String, Regex)>> = Mutex::new(VecDeque::new());
/// How many.
const RECENTS: usize = 64;

impl Pattern {
    /// Compiles it; an error says what is wrong in words that fit after "expected".
    pub fn new(source: &str) -> Result<Self, String> {
        let hir = regex_syntax::parse(source).map_err(|error| reason(&error))?;
        let regex = if is_plain(source) { None } else { Some(compile(source)?) };
        if let Some(count) = regex.as_ref().map(Regex::captures_len).filter(|count| *count > 2) {
            return Err(format!(
                "at most one capture group, there are {}; write (?:…) for the others",
                count - 1
            ));
        }
        Ok(Self { source: source.to_owned(), only_text: only_text(&hir), weight: weight(&hir), regex })
    }

    /// As written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The only text that it matches, where it is plain text.
    pub(crate) fn as_plain(&self) -> Option<&str> {
        self.regex.is_none().then_some(&self.source)
    }

    /// How much there was to compile.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// The only text that it matches, whether a part of it is captured or not.
    pub(super) fn only_text(&self) -> Option<&str> {
        self.only_text.as_deref()
    }

    /// What it is made of.
    pub(super) fn hir(&self) -> Option<Hir> {
        regex_syntax::parse(&self.source).ok()
    }

    /// Whether it has a capture group.
    pub fn captures_a_group(&self) -> bool {
        self.regex.as_ref().is_some_and(|regex| regex.captures_len() == 2)
    }

    /// Whether it matches all of `value`.
    pub fn is_match(&self, value: &str) -> bool {
        self.regex.as_ref().map_or(self.source == value, |regex| regex.is_match(value))
    }

    /// What its group captures of `value`; `None` where it does not match, `Some(None)` where it captures nothing.
    pub fn capture<'a>(&self, value: &'a str) -> Option<Option<&'a str>> {
        let Some(regex) = self.regex.as_ref().filter(|regex| regex.captures_len() == 2) else {
            return self.is_match(value).then_some(None);
        };
        let captures = regex.captures(value)?;
        Some(captures.get(1).map(|group| group.as_str()))
    }
}

fn is_plain(source: &str) -> bool {
    !source.contains(['\\', '.', '+', '*', '?', '(', ')', '|', '[', ']', '{', '}', '^', '$'])
}

fn compile(source: &str) -> Result<Regex, String> {
    let mut recent = RECENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(at) = recent.iter().position(|(known, _)| known == source) {
        let known = recent.remove(at).expect("it is there");
        let regex = known.1.clone();
        recent.push_back(known);
        return Ok(regex);
    }
    // What is enclosed must not undo the anchors: `a)|(?:b` is right only between them.
    let build = |anchored: &str| RegexBuilder::new(anchored).size_limit(SIZE_LIMIT).build();
    let regex = build(&format!(r"\A(?:{source})\z"))
        // In a `(?x)` comment, which ends with its line, the parenthesis would be part of it.
        .or_else(
            |error| {
                if error_is_size(&error) { Err(error) } else { build(&format!("\\A(?:{source}\n)\\z")) }
            },
        )
        .map_err(|error| reason(&error))?;
    if recent.len() == RECENTS {
        recent.pop_front();
    }
    recent.push_back((source.to_owned(), regex.clone()));
    Ok(regex)
}

fn error_is_size(error: &regex::Error) -> bool {
    matches!(error, regex::Error::CompiledTooBig(_))
}

/// The last line of a regex error, which names the mistake.
pub(crate) fn reason(error: &dyn fmt::Display) -> String {
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
