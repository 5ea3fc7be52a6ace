//! A condition's regular expression: searched for anywhere in the value, in time linear in its length.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;

use crate::{
    expression::shape::{Found, found_in, weight},
    selector::regex_reason,
};

/// Largest compiled size, in bytes.
const SIZE_LIMIT: usize = 1 << 20;

/// A compiled regular expression over bytes.
#[derive(Clone, Debug)]
pub struct Pattern {
    source: String,
    ignores_case: bool,
    /// Where finding it is no more than comparing texts.
    found_in: Option<Found>,
    weight: usize,
    regex: Regex,
}

impl Pattern {
    /// Compiles it; an error says what is wrong in words that fit after "expected".
    pub fn new(source: &str, ignores_case: bool) -> Result<Self, String> {
        let regex = RegexBuilder::new(source)
            .case_insensitive(ignores_case)
            .size_limit(SIZE_LIMIT)
            .build()
            .map_err(|error| regex_reason(&error))?;
        let mut parser = ParserBuilder::new().utf8(false).case_insensitive(ignores_case).build();
        let hir = parser.parse(source).map_err(|error| regex_reason(&error))?;
        let (found_in, weight) = (found_in(&hir), weight(&hir));
        Ok(Self { source: source.to_owned(), ignores_case, found_in, weight, regex })
    }

    /// How much there was to compile.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// What it is found in, where that is no more than comparing texts.
    pub(super) fn found_in(&self) -> Option<&Found> {
        self.found_in.as_ref()
    }

    /// As written, without the slashes.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it is found in `value`.
    pub fn is_match(&self, value: &[u8]) -> bool {
        self.regex.is_match(value)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        (&self.source, self.ignores_case) == (&other.source, other.ignores_case)
    }
}

impl Eq for Pattern {}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}
